//! PostgreSQL with the schema of FROST-Server 2: its table of observations with the same columns
//! and indexes. Its foreign keys and its triggers, which keep each Datastream's times, are left
//! out: they would slow the peer down.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::load::{moment, moments_ms};
use crate::peers::Server;
use crate::work::sense::{START_US, STREAMS_OF_THING, Shape};

const OBSERVATIONS: &str = r#"CREATE TABLE "OBSERVATIONS" (
    "PHENOMENON_TIME_START" timestamptz, "PHENOMENON_TIME_END" timestamptz,
    "RESULT_TIME" timestamptz, "RESULT_TYPE" smallint, "RESULT_NUMBER" double precision,
    "RESULT_BOOLEAN" boolean, "RESULT_JSON" jsonb, "RESULT_STRING" text, "RESULT_QUALITY" jsonb,
    "VALID_TIME_START" timestamptz, "VALID_TIME_END" timestamptz, "PARAMETERS" jsonb,
    "DATASTREAM_ID" bigint NOT NULL, "FEATURE_ID" bigint NOT NULL, "ID" bigserial NOT NULL)"#;

const INDEXES: [&str; 3] = [
    r#"ALTER TABLE "OBSERVATIONS" ADD CONSTRAINT "OBSERVATIONS_PKEY" PRIMARY KEY ("ID")"#,
    r#"CREATE INDEX "OBSERVATIONS_DATASTREAM_ID" ON "OBSERVATIONS" ("DATASTREAM_ID")"#,
    r#"CREATE INDEX "OBSERVATIONS_FEATURE_ID" ON "OBSERVATIONS" ("FEATURE_ID")"#,
];

/// What FROST fills of a number at an instant; the text of a number stands beside it.
const FILLED: &str = r#""OBSERVATIONS" ("PHENOMENON_TIME_START", "PHENOMENON_TIME_END", "RESULT_TYPE", "RESULT_NUMBER", "RESULT_STRING", "DATASTREAM_ID", "FEATURE_ID")"#;

/// Statements that clients send in turn.
const SCRIPTS: u64 = 64;

pub fn start() -> anyhow::Result<Server> {
    let server = Server::start()?;
    server.sql(OBSERVATIONS)?;
    Ok(server)
}

pub fn index(server: &Server) -> anyhow::Result<()> {
    for index in INDEXES {
        server.sql(index)?;
    }
    Ok(())
}

/// Scripts of a multi-row INSERT each, of one Datastream.
pub fn inserts(dir: &Path, rows: u64, streams: u64) -> anyhow::Result<Vec<PathBuf>> {
    let mut scripts = Vec::new();
    for number in 0..SCRIPTS {
        let mut statement = format!("INSERT INTO {FILLED} VALUES ");
        let stream = number % streams + 1;
        let first_ms = moments_ms(rows);
        for row in 0..i64::try_from(rows)? {
            let (time, comma) = (moment(first_ms + row), if row > 0 { "," } else { "" });
            let value = (first_ms + row) % 500;
            write!(
                statement,
                "{comma}('{time}','{time}',0,{value}.5,'{value}.5',{stream},{stream})"
            )?;
        }
        // pgbench ends a command at the line's end, so it is all on one.
        statement.push_str(";\n");
        let path = dir.join(format!("frost-{number}.sql"));
        std::fs::write(&path, statement)?;
        scripts.push(path);
    }
    Ok(scripts)
}

/// A file of so many rows, and the statement that copies it.
pub fn copy(dir: &Path, rows: u64, streams: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    let first_ms = moments_ms(rows);
    for row in 0..i64::try_from(rows)? {
        let (time, value) = (moment(first_ms + row), (first_ms + row) % 500);
        let stream = row.unsigned_abs() % streams + 1;
        writeln!(text, "{time},{time},0,{value}.5,{value}.5,{stream},{stream}")?;
    }
    let path = dir.join("frost.csv");
    std::fs::write(&path, text)?;
    Ok(format!("\\copy {FILLED} FROM '{}' (FORMAT csv)", path.display()))
}

/// Fills it with observations that lie over Datastreams as ours do, with Things and Datastreams
/// beside them; made in the server, with the indexes after the rows.
pub fn fill(server: &Server, shape: Shape, districts: u64) -> anyhow::Result<()> {
    let Shape { datastreams, minutely, ticks } = shape;
    let first = START_US / 1_000_000;
    let per_thing = STREAMS_OF_THING;
    let things = datastreams.div_ceil(per_thing);
    let minutes_a_tick = 525_600 / ticks.max(1);
    let value = "round((random() * 499.9)::numeric, 1)::double precision";
    let filled = format!(
        "INSERT INTO {FILLED} SELECT t, t, 0, r, r::text, s, (s - 1) / {per_thing} + 1 FROM"
    );
    let statements = [
        r#"CREATE TABLE "THINGS" ("ID" bigint PRIMARY KEY, "AREA" bigint NOT NULL)"#.to_owned(),
        r#"CREATE TABLE "DATASTREAMS" ("ID" bigint PRIMARY KEY, "THING_ID" bigint NOT NULL)"#
            .to_owned(),
        format!(
            r#"INSERT INTO "THINGS" SELECT id, id % {districts} FROM generate_series(1, {things}) id"#
        ),
        format!(
            r#"INSERT INTO "DATASTREAMS" SELECT id, (id - 1) / {per_thing} + 1 FROM generate_series(1, {datastreams}) id"#
        ),
        r#"CREATE INDEX "DATASTREAMS_THING_ID" ON "DATASTREAMS" ("THING_ID")"#.to_owned(),
        r#"CREATE INDEX "THINGS_AREA" ON "THINGS" ("AREA")"#.to_owned(),
        format!(
            "{filled} generate_series(1, {ticks}) k, \
             generate_series({minutely} + 1, {datastreams}) s, \
             LATERAL (SELECT to_timestamp({first} + (k * {minutes_a_tick} - 1) * 60) AS t, \
             {value} AS r, s AS own) made"
        ),
        format!(
            "{filled} generate_series(0, 525599) k, generate_series(1, {minutely}) s, \
             LATERAL (SELECT to_timestamp({first} + k * 60) AS t, {value} AS r, s AS own) made"
        ),
    ];
    for statement in statements {
        server.sql(&statement)?;
    }
    index(server)?;
    server.sql("VACUUM ANALYZE")?;
    Ok(())
}
