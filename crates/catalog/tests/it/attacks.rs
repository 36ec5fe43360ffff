//! Each surface by which SQL from people has leaked elsewhere, attacked. A test is named after its
//! surface; what it holds is that the attack gets what an honest question would get, or a refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use catalog::sql::{CatalogOptions, Events, Grant, Grants, GrantsError, LimitKind, Visible};
use catalog::{Session, SqlError};
use chrono::{DateTime, Utc};
use pack::Mask;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::support::{
    AIR, PEOPLE, ask, catalog, catalog_granting, catalog_with, city_pack, options, refusal, rows,
    session, table, value,
};

/// All of them refused, none with anything but a reason.
async fn all_refused(session: &Session, statements: &[&str]) {
    let catalog = catalog();
    for sql in statements {
        let error = refusal(&catalog, session, sql).await;
        assert!(matches!(error, SqlError::Refused { .. }), "{sql}: {error:?}");
    }
}

async fn none_found(session: &Session, statements: &[&str]) {
    let catalog = catalog();
    for sql in statements {
        let error = refusal(&catalog, session, sql).await;
        let hidden = matches!(
            error,
            SqlError::NotFound { .. } | SqlError::Syntax { .. } | SqlError::Invalid { .. }
        );
        assert!(hidden, "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn ddl_is_refused() {
    all_refused(
        &session("admin"),
        &[
            "CREATE TABLE air.copy AS SELECT * FROM air.pm25",
            "CREATE VIEW air.open AS SELECT * FROM people.person",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE EXTERNAL TABLE t (line TEXT) STORED AS CSV LOCATION 'file:///etc/passwd'",
            "CREATE FUNCTION f(x INT) RETURNS INT AS 'x'",
            "CREATE SCHEMA other",
            "CREATE DATABASE other",
            "DROP TABLE air.pm25",
            "ALTER TABLE air.pm25 ADD COLUMN x INT",
            "CREATE INDEX i ON air.pm25 (site)",
            "TRUNCATE TABLE air.pm25",
        ],
    )
    .await;
}

#[tokio::test]
async fn dml_is_refused_wherever_it_hides() {
    all_refused(
        &session("admin"),
        &[
            "INSERT INTO air.pm25 VALUES ('x', 1, 1.0)",
            "INSERT INTO air.pm25 SELECT * FROM air.pm25",
            "UPDATE air.pm25 SET pm25 = 0",
            "DELETE FROM air.pm25",
            "MERGE INTO air.pm25 a USING air.pm25 b ON a.hour = b.hour WHEN MATCHED THEN DELETE",
            "WITH x AS (SELECT 1) INSERT INTO air.pm25 SELECT 'x', 1, 1.0",
            "WITH gone AS (DELETE FROM air.pm25 RETURNING *) SELECT * FROM gone",
            "SELECT * INTO air.copy FROM air.pm25",
            "SELECT 1 UNION ALL SELECT hour INTO x FROM air.pm25",
            "SELECT * FROM (SELECT hour INTO x FROM air.pm25) y",
            "SELECT * FROM air.pm25 FOR UPDATE",
        ],
    )
    .await;
}

#[tokio::test]
async fn settings_and_transactions_are_refused() {
    all_refused(
        &session("admin"),
        &[
            "SET datafusion.execution.parquet.pushdown_filters = true",
            "SET ROLE admin",
            "RESET datafusion.execution.batch_size",
            "PREPARE p AS SELECT * FROM air.pm25",
            "EXECUTE p",
            "DEALLOCATE p",
            "BEGIN",
            "COMMIT",
            "SHOW ALL",
            "SHOW datafusion.execution.batch_size",
            "SHOW FUNCTIONS",
            "SHOW TABLES LIKE 'people%'",
            "SHOW COLUMNS FROM people.person LIKE 'i%'",
            "SHOW CREATE TABLE air.pm25",
            "USE other",
            "KILL 1",
            "GRANT SELECT ON air.pm25 TO street",
        ],
    )
    .await;
}

#[tokio::test]
async fn copy_is_refused_in_both_directions() {
    all_refused(
        &session("admin"),
        &[
            "COPY air.pm25 TO '/tmp/out.csv'",
            "COPY (SELECT * FROM people.person) TO 'file:///tmp/out.parquet' STORED AS PARQUET",
        ],
    )
    .await;
    none_found(&session("admin"), &["COPY air.pm25 FROM '/etc/passwd'"]).await;
}

#[tokio::test]
async fn files_and_object_stores_have_no_name() {
    none_found(
        &session("admin"),
        &[
            "SELECT * FROM 'file:///etc/passwd'",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM \"/etc/passwd\"",
            "SELECT * FROM \"s3://bucket/rows.parquet\"",
            "SELECT * FROM \"http://127.0.0.1/rows.csv\"",
            "SELECT * FROM 'rows.parquet'",
            "SELECT * FROM other.air.pm25",
            "SELECT * FROM datafusion.public.t",
            "SELECT * FROM pm25",
        ],
    )
    .await;
}

#[tokio::test]
async fn unlisted_table_functions_are_not_there() {
    none_found(
        &session("admin"),
        &[
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM read_parquet('x')",
            "SELECT * FROM parquet_metadata('x')",
            "SELECT * FROM glob('/etc/*')",
            "SELECT * FROM pg_ls_dir('/')",
        ],
    )
    .await;
}

#[tokio::test]
async fn unlisted_functions_are_not_there() {
    none_found(
        &session("admin"),
        &[
            "SELECT input_file_name() FROM air.pm25",
            "SELECT file_row_index() FROM air.pm25",
            "SELECT version()",
            "SELECT arrow_cast('1', 'Int64')",
            "SELECT array_repeat('x', 1000000000)",
            "SELECT range(0, 1000000000)",
            "SELECT generate_series(1, 1000000000)",
            "SELECT array_resize([1], 1000000000, 1)",
            "SELECT array_transform([1], x -> x)",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT in_area('510104001')",
            "SELECT has_role('police')",
            "SELECT mask_token('x')",
            "SELECT \"||\"('a', 'b')",
        ],
    )
    .await;
    let catalog = catalog();
    let error = refusal(&catalog, &session("admin"), "SELECT @@version").await;
    assert!(!matches!(error, SqlError::Internal { .. }), "{error:?}");
}

#[tokio::test]
async fn functions_that_make_much_of_little_are_bounded() {
    let catalog = catalog();
    let admin = session("admin");
    for sql in [
        "SELECT count(*) FROM generate_series(1, 1000000000)",
        "SELECT count(*) FROM range(0, 9223372036854775807)",
        "SELECT count(*) FROM generate_series(9223372036854775807, -9223372036854775807, -1)",
        "SELECT count(*) FROM generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2020-01-01', INTERVAL '1 microsecond')",
        "SELECT length(repeat('x', 1000000000))",
        "SELECT length(repeat('x', hour * 100000000)) FROM air.pm25",
        "SELECT length(lpad('x', 1000000000, 'y'))",
        "SELECT length(rpad(site, 1000000000)) FROM air.pm25",
        "SELECT length(replace(repeat('a', 10000), 'a', repeat('b', 100000)))",
        "SELECT regexp_like(site, repeat('(a|b)', 1000)) FROM air.pm25",
        "SELECT count(*) FROM generate_series(1, 1000) WHERE regexp_like('a', '(a{9}){9}' || value)",
        "SELECT length(regexp_replace(repeat('a', 100000), 'a', repeat('b', 100000), 'g'))",
        "SELECT length(regexp_replace(repeat('a', 1000000), '(.*)', repeat('\\1', 1000)))",
        "SELECT levenshtein(repeat('a', 100000), repeat('b', 100000))",
        "SELECT array_has_all(l, l) FROM (SELECT array_agg(value) AS l FROM generate_series(1, 100000)) x",
        "SELECT length(concat_ws(repeat('x', 10000000), '', '', '', '', '', '', '', '', ''))",
        "SELECT length(to_char(now(), repeat('%c', 4000000)))",
        "SELECT length(array_to_string(string_to_array(repeat('a,', 100000), ','), repeat('x', 9999)))",
        "SELECT length(overlay(repeat('x', 50000000) placing repeat('y', 50000000) from 1))",
    ] {
        let error = refusal(&catalog, &admin, sql).await;
        let bounded = matches!(error, SqlError::Limit { what: LimitKind::ArgumentSize, .. });
        assert!(bounded, "{sql}: {error:?}");
    }
    // Doubling through subqueries, by the operator and by the function.
    for join in ["s || s", "concat(s, s)", "replace(s, 'x', 'xx')"] {
        let mut sql = "WITH t0 AS (SELECT repeat('x', 1000) AS s)".to_owned();
        for level in 1..30 {
            sql += &format!(", t{level} AS (SELECT {join} AS s FROM t{})", level - 1);
        }
        let error = refusal(&catalog, &admin, &(sql + " SELECT length(s) FROM t29")).await;
        assert!(matches!(error, SqlError::Limit { .. }), "{join}: {error:?}");
    }
    // The same of lists, and of text as it is written out.
    for (first, join) in [
        ("make_array(1)", "array_concat(s, s)"),
        ("make_array(1)", "s || s"),
        ("make_array(1)", "[s, s]"),
        ("repeat('x', 1000)", "encode(CAST(s AS BYTEA), 'hex')"),
    ] {
        let mut sql = format!("WITH t0 AS (SELECT {first} AS s)");
        for level in 1..30 {
            sql += &format!(", t{level} AS (SELECT {join} AS s FROM t{})", level - 1);
        }
        let error = refusal(&catalog, &admin, &(sql + " SELECT s FROM t29")).await;
        assert!(matches!(error, SqlError::Limit { .. }), "{join}: {error:?}");
    }
    // Many calls share what one may make.
    let many: Vec<String> =
        (0..80).map(|i| format!("length(repeat('x', {}))", 10_000_000 + i)).collect();
    let error = refusal(&catalog, &admin, &format!("SELECT {}", many.join(", "))).await;
    let bounded = matches!(error, SqlError::Limit { what: LimitKind::ArgumentSize, .. });
    assert!(bounded, "{error:?}");
    assert_eq!(value(&catalog, &admin, "SELECT repeat('ab', 3) || 'c'").await, "abababc");
    assert_eq!(value(&catalog, &admin, "SELECT array_has_all([1, 2], [2])").await, "true");
    assert_eq!(value(&catalog, &admin, "SELECT levenshtein('kitten', 'sitting')").await, "3");
    assert_eq!(value(&catalog, &admin, "SELECT concat_ws('-', 'a', 'b', NULL)").await, "a-b");
    let replaced = "SELECT regexp_replace('foobar', 'o(.)', '<\\1>', 'g')";
    assert_eq!(value(&catalog, &admin, replaced).await, "f<o>bar");
    assert_eq!(
        value(&catalog, &admin, "SELECT array_to_string([1] || [2, 3], '+')").await,
        "1+2+3"
    );
    assert_eq!(value(&catalog, &admin, "SELECT 'a' || NULL IS NULL").await, "true");
    assert_eq!(value(&catalog, &admin, "SELECT count(*) FROM generate_series(1, 10)").await, "10");
}

#[tokio::test]
async fn steps_that_hold_all_rows_for_each_row_are_refused() {
    all_refused(
        &session("admin"),
        &[
            "SELECT array_agg(value) OVER (ORDER BY value) FROM generate_series(1, 1000000)",
            "SELECT array_agg(value) OVER () FROM generate_series(1, 1000000)",
            "SELECT string_agg(site, ',') OVER (PARTITION BY hour) FROM air.pm25",
            "SELECT median(hour) OVER (ORDER BY hour) FROM air.pm25",
            "SELECT site ~ site FROM air.pm25",
            "SELECT 'a' !~* repeat('a', 3)",
            "SELECT site SIMILAR TO site FROM air.pm25",
        ],
    )
    .await;
    // Put into itself twice, a struct's type doubles.
    none_found(&session("admin"), &["SELECT struct(1, 2)", "SELECT named_struct('a', 1)"]).await;
    let catalog = catalog();
    let admin = session("admin");
    let long = format!("SELECT count(*) FROM air.pm25 WHERE site ~ '{}'", "a".repeat(2_000));
    let error = refusal(&catalog, &admin, &long).await;
    assert!(matches!(error, SqlError::Limit { .. }), "{error:?}");
    for (sql, expected) in [
        ("SELECT count(*) FROM air.pm25 WHERE site ~ '^site [01]$'", "50"),
        ("SELECT DISTINCT median(hour) OVER () FROM air.pm25 WHERE hour < 3", "1.0"),
        ("SELECT max(s) FROM (SELECT sum(hour) OVER (ORDER BY hour) AS s FROM air.pm25) x", "4950"),
    ] {
        assert_eq!(value(&catalog, &admin, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn explain_is_for_administrators() {
    let catalog = catalog();
    for sql in [
        "EXPLAIN SELECT * FROM people.person",
        "EXPLAIN ANALYZE SELECT * FROM people.person",
        "EXPLAIN VERBOSE SELECT * FROM people.person",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM people.person",
        "EXPLAIN FORMAT TREE SELECT * FROM people.person",
    ] {
        let error = refusal(&catalog, &session("street"), sql).await;
        assert!(matches!(error, SqlError::Refused { .. }), "{sql}: {error:?}");
    }
    let admin = session("admin");
    let error = refusal(&catalog, &admin, "EXPLAIN DELETE FROM air.pm25").await;
    assert!(matches!(error, SqlError::Refused { .. }), "{error:?}");
    let error =
        refusal(&catalog, &admin, "EXPLAIN ANALYZE INSERT INTO air.pm25 SELECT 'x', 1, 1.0").await;
    assert!(matches!(error, SqlError::Refused { .. }), "{error:?}");
    assert!(table(&catalog, &admin, "EXPLAIN SELECT * FROM air.pm25").await.contains("plan"));
    // Administering is not reading: an administrator's plan is over the administrator's tables.
    let error = refusal(&catalog, &admin, "EXPLAIN SELECT * FROM secret.plan").await;
    assert!(matches!(error, SqlError::NotFound { .. }), "{error:?}");
}

/// Keeps what the author of a query is not told.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<(Uuid, String)>>);

impl Events for Kept {
    fn failed(&self, correlation_id: Uuid, _user: &str, _sql: &str, details: &str) {
        self.0.lock().push((correlation_id, details.to_owned()));
    }
}

#[tokio::test]
async fn errors_carry_a_code_and_no_value() {
    let kept = Arc::new(Kept::default());
    let options = CatalogOptions { events: Arc::clone(&kept) as _, ..options() };
    let catalog = catalog_with(city_pack(), rows(), options);
    let police = session("police");
    for (sql, code) in [
        ("SELECT CAST(name AS INT) FROM people.person", "cast"),
        ("SELECT 1 / (income - 3000) FROM people.person", "division"),
        ("SELECT CAST(name AS DATE) FROM people.person", "cast"),
        ("SELECT to_timestamp(name) FROM people.person", ""),
        ("SELECT CAST(income * 1000000000 AS SMALLINT) FROM people.person", "cast"),
    ] {
        let error = refusal(&catalog, &police, sql).await;
        let SqlError::Internal { code: told, correlation_id } = &error else {
            panic!("{sql}: {error:?}")
        };
        assert!(told.contains(code), "{sql}: {told}");
        let text = format!("{error} {error:?}");
        for name in crate::support::NAMES {
            assert!(!text.contains(name), "{sql} printed a value: {text}");
        }
        let details = kept.0.lock().clone();
        assert!(details.iter().any(|(id, _)| id == correlation_id), "{sql}: details were lost");
    }
    let details = kept.0.lock().clone();
    assert!(details.iter().any(|(_, text)| text.contains("王芳")), "{details:?}");
}

#[tokio::test]
async fn a_predicate_does_not_run_over_hidden_rows() {
    let catalog = catalog();
    let street = session("street");
    // Were any of these to meet a row of 510105 or 510107, it would fail, and so tell of it.
    for predicate in [
        "1 / (CASE WHEN area_code LIKE '510105%' THEN 0 ELSE 1 END) = 1",
        "CAST(CASE WHEN area_code >= '510105' THEN 'x' ELSE '1' END AS INT) = 1",
        "area_code < '510109' AND 1 / (CAST(substr(area_code, 1, 6) AS INT) - 510105) < 9",
    ] {
        let sql = format!("SELECT count(*) FROM people.person WHERE {predicate}");
        assert_eq!(value(&catalog, &street, &sql).await, "5", "{predicate}");
        let sql = format!(
            "SELECT count(*) FROM people.person p JOIN place.home h ON true WHERE {predicate} \
             AND h.home = 'h1'"
        );
        let sql = sql.replace("area_code", "p.area_code");
        assert_eq!(value(&catalog, &street, &sql).await, "5", "{predicate}");
    }
}

#[tokio::test]
async fn statistics_do_not_answer_for_hidden_rows() {
    let catalog = catalog();
    let street = session("street");
    // A table in memory knows its exact row count: it must not come through.
    assert_eq!(value(&catalog, &street, "SELECT count(*) FROM people.person").await, "5");
    let range = "SELECT min(area_code) || '..' || max(area_code) FROM people.person";
    assert_eq!(value(&catalog, &street, range).await, "510104001..510104002");
    let years = "SELECT max(born) FROM people.person";
    assert_eq!(value(&catalog, &street, years).await, "1989-01-01");
    assert_eq!(value(&catalog, &street, "SELECT count(name) FROM people.person").await, "0");
}

#[tokio::test]
async fn a_limit_is_not_spent_on_hidden_rows() {
    let catalog = catalog();
    let mut street = session("street");
    Arc::make_mut(&mut street.principal).area_prefixes = vec!["510107".into()];
    let sql = "SELECT area_code FROM people.person LIMIT 1";
    assert_eq!(value(&catalog, &street, sql).await, "510107001");
    let sql = "SELECT area_code FROM people.person ORDER BY area_code LIMIT 1";
    assert_eq!(value(&catalog, &street, sql).await, "510107001");
    let sql = "SELECT count(*) FROM (SELECT * FROM people.person OFFSET 1) x";
    assert_eq!(value(&catalog, &street, sql).await, "0");
}

#[tokio::test]
async fn masked_columns_cannot_be_searched_by_what_they_hide() {
    let catalog = catalog();
    let street = session("street");
    for predicate in [
        "id = '510104198001010000'",
        "id IN ('510104198001010000', '510104198001010001')",
        "id LIKE '5101041980%'",
        "id BETWEEN '51010419800101' AND '51010419800102'",
        "phone = '13800000000'",
        "phone > '138'",
        "name = '王芳'",
        "name IS NOT NULL",
        "born = DATE '1979-12-30'",
        "date_part('month', born) <> 1",
        "upper(name) = '王芳'",
    ] {
        let sql = format!("SELECT count(*) FROM people.person WHERE {predicate}");
        assert_eq!(value(&catalog, &street, &sql).await, "0", "{predicate}");
    }
    let joined = "SELECT count(*) FROM people.person p JOIN (VALUES ('510104198001010000')) v(id) \
                  ON p.id = v.id";
    assert_eq!(value(&catalog, &street, joined).await, "0");
    let first = "SELECT name FROM people.person ORDER BY name LIMIT 1";
    assert_eq!(value(&catalog, &street, first).await, "");
}

#[tokio::test]
async fn hidden_and_unclassified_columns_do_not_exist() {
    let street = session("street");
    none_found(
        &street,
        &[
            "SELECT income FROM people.person",
            "SELECT count(*) FROM people.person WHERE income > 0",
            "SELECT count(*) FROM people.person ORDER BY max(income)",
            "SELECT p.income FROM people.person p",
            "SELECT note FROM people.person",
            "SELECT count(note) FROM people.person",
            "SELECT nothing FROM people.person",
        ],
    )
    .await;
    let catalog = catalog();
    // A guess at a hidden name and at no name at all are answered alike.
    let hidden = refusal(&catalog, &street, "SELECT income FROM people.person").await.to_string();
    let nothing = refusal(&catalog, &street, "SELECT inkome FROM people.person").await.to_string();
    assert_eq!(hidden.replace("income", "?"), nothing.replace("inkome", "?"));
    // The unclassified one is there for the owner.
    assert_eq!(
        value(&catalog, &session("police"), "SELECT count(note) FROM people.person").await,
        "8"
    );
}

#[tokio::test]
async fn a_dataset_without_a_policy_does_not_exist() {
    let catalog = catalog();
    let known = refusal(&catalog, &session("street"), "SELECT * FROM secret.plan").await;
    let unknown = refusal(&catalog, &session("street"), "SELECT * FROM secret.plam").await;
    assert_eq!(known.to_string().replace("plan", "?"), unknown.to_string().replace("plam", "?"));
    let nobody = refusal(&catalog, &session("nobody"), "SELECT * FROM people.person").await;
    assert!(matches!(nobody, SqlError::NotFound { .. }), "{nobody:?}");
    for sql in ["DESCRIBE secret.plan", "SHOW COLUMNS FROM secret.plan"] {
        let error = refusal(&catalog, &session("street"), sql).await;
        assert!(matches!(error, SqlError::NotFound { .. }), "{sql}: {error:?}");
    }
    let mut mute = session("police");
    Arc::make_mut(&mut mute.principal).permissions.clear();
    let error = refusal(&catalog, &mute, "SELECT 1").await;
    assert!(matches!(error, SqlError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn information_schema_tells_only_of_what_is_visible() {
    let catalog = catalog();
    let street = session("street");
    for sql in [
        "SHOW TABLES",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM information_schema.schemata",
        "SELECT * FROM shujin.information_schema.columns",
    ] {
        let told = table(&catalog, &street, sql).await;
        assert!(told.contains("people"), "{sql}: {told}");
        for secret in ["secret", "plan", "income", "note"] {
            assert!(!told.contains(secret), "{sql} told of {secret}:\n{told}");
        }
    }
    let described = table(&catalog, &street, "DESCRIBE people.person").await;
    assert!(described.contains("born") && !described.contains("income"), "{described}");
    let visible: Vec<Visible> = catalog.visible(&street).await.expect("the catalogue is there");
    assert!(visible.iter().all(|one| one.dataset != "secret.plan"));
    for sql in [
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM information_schema.routines",
        "SELECT * FROM pg_catalog.pg_class",
    ] {
        let error = refusal(&catalog, &street, sql).await;
        assert!(matches!(error, SqlError::NotFound { .. }), "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn prepared_descriptions_are_governed() {
    let catalog = catalog();
    let street = session("street");
    let error = catalog.describe(&street, "SELECT * FROM secret.plan").await.expect_err("closed");
    assert!(matches!(error, SqlError::NotFound { .. }), "{error:?}");
    let all = catalog.describe(&street, "SELECT * FROM people.person").await.expect("open");
    let names: Vec<_> = all.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "name", "phone", "born", "area_code"]);
    let sql = "SELECT count(*) FROM people.person WHERE area_code = $1";
    let prepared = catalog.prepare(&street, sql).await.expect("it plans");
    let types = &prepared.description().parameters;
    assert_eq!(types, &[Some(arrow::datatypes::DataType::Utf8)]);
    let other = catalog.run(&session("police"), &prepared, &["510104001".into()]).await;
    assert!(matches!(other, Err(SqlError::Refused { .. })), "somebody else ran it");
}

/// One grant that can be withdrawn.
#[derive(Debug, Default)]
struct OneGrant {
    grant: Mutex<Option<Grant>>,
    epoch: AtomicU64,
}

impl OneGrant {
    fn set(&self, grant: Option<Grant>) {
        *self.grant.lock() = grant;
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Grants for OneGrant {
    async fn active(
        &self,
        dataset: &str,
        organisation: &str,
        _now: DateTime<Utc>,
    ) -> Result<Vec<Grant>, GrantsError> {
        let standing = dataset == PEOPLE && organisation == "health";
        Ok(self.grant.lock().iter().filter(|_| standing).cloned().collect())
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn nothing_is_served_from_before_a_grant_was_withdrawn() {
    let grants = Arc::new(OneGrant::default());
    let catalog = catalog_granting(Arc::clone(&grants) as _);
    let health = session("health");
    let sql = "SELECT id, area_code FROM people.person";
    assert!(matches!(refusal(&catalog, &health, sql).await, SqlError::NotFound { .. }));

    let grant = Grant {
        id: "g1".into(),
        row_filter: Some("area_code = '510104001'".into()),
        fields: Some(vec!["id".into(), "area_code".into(), "note".into()]),
        ..Grant::default()
    };
    grants.set(Some(grant.clone()));
    let prepared = catalog.prepare(&health, sql).await.expect("granted");
    let answer = catalog.run(&health, &prepared, &[]).await.expect("granted");
    let rows = answer.collect().await.expect("it runs");
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 3);
    // Unclassified stays closed even where a grant names it.
    let error = refusal(&catalog, &health, "SELECT note FROM people.person").await;
    assert!(matches!(error, SqlError::Invalid { .. }), "{error:?}");

    // Coarser now: the same prepared statement runs under the new rule.
    let masks = [("id".to_owned(), Mask::Redact)].into();
    grants.set(Some(Grant { masks, ..grant.clone() }));
    let answer = catalog.run(&health, &prepared, &[]).await.expect("still granted");
    let rows = answer.collect().await.expect("it runs");
    assert!(rows.iter().all(|batch| batch.column(0).null_count() == batch.num_rows()));

    // Where the columns are other ones, the statement wants to be prepared again.
    let mut prepared_all =
        catalog.prepare(&health, "SELECT * FROM people.person").await.expect("granted");
    grants.set(Some(Grant { fields: Some(vec!["area_code".into()]), ..grant.clone() }));
    let refused = catalog.run(&health, &prepared_all, &[]).await;
    assert!(matches!(refused, Err(SqlError::Refused { .. })));
    prepared_all = catalog.prepare(&health, prepared_all.sql()).await.expect("granted");
    assert_eq!(prepared_all.description().schema.fields().len(), 1);

    // Run out, or withdrawn: gone at once.
    let past = Utc::now() - chrono::TimeDelta::seconds(1);
    grants.set(Some(Grant { expires: Some(past), ..grant }));
    assert!(matches!(refusal(&catalog, &health, sql).await, SqlError::NotFound { .. }));
    grants.set(None);
    assert!(catalog.run(&health, &prepared, &[]).await.is_err());
}

#[tokio::test]
async fn the_same_text_is_answered_to_each_by_their_own_rules() {
    let catalog = catalog();
    let sql = "SELECT count(*) FROM people.person";
    for _ in 0..3 {
        assert_eq!(value(&catalog, &session("police"), sql).await, "8");
        assert_eq!(value(&catalog, &session("street"), sql).await, "5");
    }
}

#[tokio::test]
async fn the_moment_of_asking_is_known_to_questions_and_rules() {
    let catalog = catalog();
    let admin = session("admin");
    for sql in [
        "SELECT now() > TIMESTAMP '2020-01-01' AND current_date > DATE '2020-01-01'",
        "SELECT now() = current_timestamp",
        "SELECT count(*) = 100 FROM air.pm25 WHERE now() > TIMESTAMP '2020-01-01'",
        "SELECT count(*) > 1 FROM generate_series(now() - INTERVAL '1 day', now(), INTERVAL '1 hour')",
    ] {
        assert_eq!(value(&catalog, &admin, sql).await, "true", "{sql}");
    }
    let mut pack = city_pack();
    for policy in &mut pack.policies {
        policy.row_filter = (policy.dataset == PEOPLE)
            .then(|| "born < current_date AND now() > born AND income > 2000".into());
    }
    let catalog = catalog_with(pack, rows(), options());
    let count = "SELECT count(*) FROM people.person";
    assert_eq!(value(&catalog, &session("police"), count).await, "5");
}

#[tokio::test]
async fn the_past_is_read_under_todays_rules() {
    let catalog = catalog();
    let mut street = session("street");
    street.as_of = Some(DateTime::<Utc>::UNIX_EPOCH);
    assert_eq!(value(&catalog, &street, "SELECT count(*) FROM people.person").await, "5");
    let error = refusal(&catalog, &street, "SELECT * FROM secret.plan").await;
    assert!(matches!(error, SqlError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn tokens_of_two_datasets_do_not_join() {
    let catalog = catalog();
    let owner_like = "SELECT count(*) FROM people.person p JOIN place.home h ON p.id = h.person_id";
    assert_eq!(value(&catalog, &session("street"), owner_like).await, "0");
    // Within one dataset equal values have equal tokens: people can be counted.
    let own = "SELECT count(DISTINCT id) FROM people.person";
    assert_eq!(value(&catalog, &session("street"), own).await, "5");
    let self_join = "SELECT count(*) FROM people.person a JOIN people.person b ON a.id = b.id";
    assert_eq!(value(&catalog, &session("street"), self_join).await, "5");
}

#[tokio::test]
async fn secrets_are_not_printed() {
    let options = options();
    assert!(!format!("{options:?}").contains("7, 7"));
    let catalog = catalog();
    assert!(!format!("{catalog:?}").contains("7, 7"));
    let mut admin = session("street");
    Arc::make_mut(&mut admin.principal).permissions.insert("administer".into());
    let plan = table(&catalog, &admin, "EXPLAIN VERBOSE SELECT id FROM people.person").await;
    assert!(plan.contains("BarrierExec") && !plan.contains("[7, 7"), "{plan}");
}

#[tokio::test]
async fn open_data_is_read_without_a_barrier() {
    let catalog = catalog();
    let plan = table(&catalog, &session("admin"), "EXPLAIN SELECT * FROM air.pm25").await;
    assert!(!plan.contains("BarrierExec"), "{plan}");
    let sql = format!("SELECT count(*) FROM {AIR}");
    assert_eq!(value(&catalog, &session("nobody"), &sql).await, "100");
}

#[tokio::test]
async fn policies_that_do_not_plan_close_the_dataset() {
    for filter in ["area_code", "nothing = 1", "in_area(", "in_area(area_code) AND (SELECT true)"] {
        let mut pack = city_pack();
        for policy in &mut pack.policies {
            policy.row_filter = Some(filter.into());
        }
        let catalog = catalog_with(pack, rows(), options());
        let error = refusal(&catalog, &session("police"), "SELECT * FROM people.person").await;
        assert!(matches!(error, SqlError::Internal { code: "policy", .. }), "{filter}: {error:?}");
        assert!(!error.to_string().contains("nothing"), "{error}");
    }
    assert!(ask(&catalog(), &session("police"), "SELECT * FROM people.person").await.is_ok());
}
