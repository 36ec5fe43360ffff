//! Questions about many observations, beside PostgreSQL with FROST's schema; and what an
//! observation costs on the disk.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use pack::AreaLevel;

use super::{Cities, Found, datastreams, frost};
use crate::peers::Server;
use crate::readings::scramble;
use crate::report::{Line, Verdict};
use crate::served::{Served, Talk, pack_dir};
use crate::stats::{median, percentile};
use crate::work::sense::{Shape, USER};

const BYTES_BAR: f64 = 12.0;
const OK: u16 = 200;
/// The first question of a kind opens files; a server does that once.
const WARMING: u64 = 3;

/// What questions are about.
struct Facts {
    shape: Shape,
    /// The district that is asked about, and how many there are.
    district: String,
    districts: u64,
}

impl Facts {
    /// Some Datastream that has a reading a tick.
    fn ordinary(&self, read: u64) -> u64 {
        let others = self.shape.datastreams - self.shape.minutely;
        self.shape.minutely + 1 + scramble(read) % others.max(1)
    }

    /// One that has a reading a minute.
    fn minutely(&self, read: u64) -> u64 {
        read % self.shape.minutely.max(1) + 1
    }
}

enum Asked {
    Get(String),
    Sql(String),
}

struct Question {
    /// How the sides are called.
    sides: [&'static str; 2],
    what: &'static str,
    ms_bar: f64,
    reads: u64,
    ours: fn(&Facts, u64) -> Asked,
    peer: fn(&Facts, u64) -> String,
}

/// The district's place among the pack's; the peer calls it by that.
const DISTRICT: usize = 1;

const QUESTIONS: [Question; 5] = [
    Question {
        sides: ["ask: newest 100: shujin", "ask: newest 100: PostgreSQL"],
        what: "ask: newest 100 of a Datastream, median, ms",
        ms_bar: 10.0,
        reads: 200,
        ours: |facts, read| Asked::Get(newest(facts.ordinary(read))),
        peer: |facts, read| peer_newest(facts.ordinary(read)),
    },
    Question {
        sides: [
            "ask: newest 100 of a year of minutes: shujin",
            "ask: newest 100 of a year of minutes: PostgreSQL",
        ],
        what: "ask: newest 100 of a Datastream with a reading a minute, median, ms",
        ms_bar: 10.0,
        reads: 50,
        ours: |facts, read| Asked::Get(newest(facts.minutely(read))),
        peer: |facts, read| peer_newest(facts.minutely(read)),
    },
    Question {
        sides: ["ask: $count of a Datastream: shujin", "ask: count of a Datastream: PostgreSQL"],
        what: "ask: $count of a Datastream, median, ms",
        ms_bar: 10.0,
        reads: 200,
        ours: |facts, read| {
            let stream =
                if read.is_multiple_of(2) { facts.ordinary(read) } else { facts.minutely(read) };
            let path = format!("/sta/v1.1/Datastreams({stream})/Observations?$count=true&$top=0");
            Asked::Get(path)
        },
        peer: |facts, read| {
            let stream =
                if read.is_multiple_of(2) { facts.ordinary(read) } else { facts.minutely(read) };
            format!(r#"SELECT count(*) FROM "OBSERVATIONS" WHERE "DATASTREAM_ID" = {stream};"#)
        },
    },
    Question {
        sides: [
            "ask: latest of every Datastream of a district: shujin",
            "ask: latest of every Datastream of a district: PostgreSQL",
        ],
        what: "ask: latest of every Datastream of a district, median, ms",
        ms_bar: 200.0,
        reads: 10,
        ours: |facts, _| {
            Asked::Sql(format!(
                "SELECT datastream, newest_at, result FROM sensing.datastream_state \
                 WHERE area_code = '{}'",
                facts.district
            ))
        },
        peer: |_, _| {
            format!(
                r#"SELECT d."ID", o."PHENOMENON_TIME_START", o."RESULT_NUMBER" FROM "THINGS" t JOIN "DATASTREAMS" d ON d."THING_ID" = t."ID" CROSS JOIN LATERAL (SELECT * FROM "OBSERVATIONS" WHERE "DATASTREAM_ID" = d."ID" ORDER BY "PHENOMENON_TIME_START" DESC LIMIT 1) o WHERE t."AREA" = {DISTRICT};"#
            )
        },
    },
    Question {
        sides: ["ask: hourly means of a year: shujin", "ask: hourly means of a year: PostgreSQL"],
        what: "ask: hourly means of a year of minutes, median, ms",
        ms_bar: 50.0,
        reads: 30,
        ours: |facts, read| {
            Asked::Sql(format!(
                "SELECT date_trunc('hour', phenomenon_time) AS hour, avg(result_number) AS mean \
                 FROM sensing.observation WHERE datastream = {} AND flags = 0 GROUP BY 1 ORDER BY 1",
                facts.minutely(read)
            ))
        },
        peer: |facts, read| {
            format!(
                r#"SELECT date_trunc('hour', "PHENOMENON_TIME_START") AS hour, avg("RESULT_NUMBER") FROM "OBSERVATIONS" WHERE "DATASTREAM_ID" = {} GROUP BY 1 ORDER BY 1;"#,
                facts.minutely(read)
            )
        },
    },
];

fn newest(stream: u64) -> String {
    format!("/sta/v1.1/Datastreams({stream})/Observations?$orderby=phenomenonTime%20desc&$top=100")
}

fn peer_newest(stream: u64) -> String {
    format!(
        r#"SELECT * FROM "OBSERVATIONS" WHERE "DATASTREAM_ID" = {stream} ORDER BY "PHENOMENON_TIME_START" DESC LIMIT 100;"#
    )
}

pub(super) fn measure(cities: &mut Cities<'_>) -> anyhow::Result<Found> {
    let settings = cities.settings;
    let facts = facts(settings)?;
    let (dir, made) = cities.asked()?;
    let fill_seconds = made.one("fill_seconds")?;
    let mut found = Found::default();
    let served = Served::start_sensing(dir, USER)?;
    let mut talk = served.talk()?;
    let mut ours = Vec::new();
    for question in &QUESTIONS {
        let mut taken_ms = Vec::new();
        for read in 0..WARMING + question.reads * settings.rounds as u64 {
            let took = ask(&mut talk, &served.token, &(question.ours)(&facts, read))?;
            if read >= WARMING {
                taken_ms.push(took);
            }
        }
        ours.push(taken_ms);
    }
    let peak_mib = served.peak_mib()?;
    drop((talk, served));

    let server = frost::start()?;
    frost::fill(&server, facts.shape, facts.districts)?;
    let watch = server.watch();
    let mut peers = Vec::new();
    for question in &QUESTIONS {
        peers.push(peer(&server, question, &facts, settings)?);
    }
    let peer_peak_mib = watch.peak_mib();
    for ((question, ours), peers) in QUESTIONS.iter().zip(&ours).zip(&peers) {
        found.lines.push(line(question.sides[0], ours, peak_mib));
        found.lines.push(line(question.sides[1], peers, peer_peak_mib));
        found.verdicts.push(Verdict::at_most(question.what, median(ours), question.ms_bar));
    }
    let Shape { datastreams, minutely, ticks } = facts.shape;
    found.notes.push(format!(
        "ask: {} observations of {datastreams} Datastreams over a year: {minutely} of them have a \
         reading a minute, the others {ticks} each; written in {fill_seconds:.0} s and compacted. \
         Ours is asked over HTTP, one question after the other, under a token, access rules and \
         policies, to the last byte of the answer; the peer by psql over one connection, its \
         tables analysed, the answer thrown away. Ranges are 5 – 95 %.",
        facts.shape.observations()
    ));
    Ok(found)
}

fn line(side: &'static str, taken_ms: &[f64], peak_mib: f64) -> Line {
    let range = (percentile(taken_ms, 5), percentile(taken_ms, 95));
    Line { side, value: median(taken_ms), unit: "ms", range, peak_mib }
}

fn facts(settings: &crate::Settings) -> anyhow::Result<Facts> {
    let pack = pack::load(&pack_dir()).map_err(|faults| anyhow::anyhow!("{faults}"))?;
    let districts: Vec<_> =
        pack.areas.iter().filter(|area| area.level == AreaLevel::District).collect();
    let district = districts.get(DISTRICT).context("the pack has too few districts")?;
    Ok(Facts {
        shape: Shape::of(datastreams(settings), settings.sensing.observations),
        district: district.code.clone(),
        districts: districts.len() as u64,
    })
}

/// How long an answer took, ms.
fn ask(talk: &mut Talk, token: &str, asked: &Asked) -> anyhow::Result<f64> {
    let started = Instant::now();
    let (answer, body) = match asked {
        Asked::Get(path) => talk.get_body(path, token)?,
        Asked::Sql(sql) => {
            let body = serde_json::json!({ "sql": sql }).to_string();
            talk.post("/api/sql", token, body.as_bytes())?
        }
    };
    let took = started.elapsed().as_secs_f64() * 1_000.0;
    let text = || String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned();
    ensure!(answer.status == OK, "a question was answered {}: {}", answer.status, text());
    let empty = [r#""rows":[]"#, r#""value":[]"#].iter().any(|none| text().contains(none));
    ensure!(!empty || text().contains("@iot.count"), "a question found nothing: {}", text());
    Ok(took)
}

fn peer(
    server: &Server,
    question: &Question,
    facts: &Facts,
    settings: &crate::Settings,
) -> anyhow::Result<Vec<f64>> {
    let script = settings.dir.join("sensing-ask.sql");
    let statements: Vec<String> =
        (0..question.reads).map(|read| (question.peer)(facts, WARMING + read)).collect();
    std::fs::write(&script, statements.join("\n") + "\n")?;
    let mut taken_ms = Vec::new();
    for _ in 0..settings.rounds {
        taken_ms.extend(server.timed(&script)?);
    }
    Ok(taken_ms)
}

/// Bytes of an observation after compaction.
pub(super) fn disk(cities: &mut Cities<'_>) -> anyhow::Result<Found> {
    let (_, made) = cities.asked()?;
    let (rows, bytes) = (made.one("rows")?, made.one("bytes")?);
    let each = bytes / rows;
    let value = Line {
        side: "disk: an observation, compacted",
        value: each,
        unit: "bytes",
        range: (each, each),
        peak_mib: made.peak_mib,
    };
    Ok(Found {
        lines: vec![value],
        verdicts: vec![Verdict::at_most("disk: bytes of an observation", each, BYTES_BAR)],
        notes: vec![format!(
            "disk: {rows} observations in {} Parquet files that the table's newest version names, \
             compacted in {:.0} s; values of one decimal from 0 to 499.9 at random, which compress \
             worse than a station's. Files of earlier versions stay for as long as the history.",
            made.one("files")?,
            made.one("compaction_seconds")?
        )],
    })
}
