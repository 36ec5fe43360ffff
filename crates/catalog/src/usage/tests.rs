//! What the log keeps, what it must not keep, and what happens under a flood.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use chrono::TimeDelta;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use store::records::Records;
use store::testing::{Bed, beds};

use super::*;
use crate::lineage::Lineage;
use crate::sql::LimitKind;
use crate::{Answer, Principal, SqlError};

/// The records of an empty database, migrated.
async fn migrated(bed: &Bed) -> Records {
    bed.records.migrate(crate::records::migrations()).await.expect("migrates");
    bed.records.clone()
}

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

fn entry(organisation: &str, minutes: i64, fields: &[&str]) -> UsageEntry {
    let session = Session {
        principal: std::sync::Arc::new(Principal {
            user: format!("user of {organisation}"),
            organisation: organisation.into(),
            ..Principal::default()
        }),
        as_of: None,
        scenario: None,
        surface: Surface::Http,
    };
    let sql = "select site from air.pm25";
    let mut entry = UsageEntry::begin(Uuid::now_v7(), &session, sql, at(minutes));
    let fields = fields.iter().map(|f| (*f).to_owned()).collect();
    entry.used = BTreeMap::from([("air.pm25".to_owned(), fields)]);
    entry.outcome = Outcome::Answered;
    entry
}

#[tokio::test]
async fn a_summary_tells_who_used_what_how_often() {
    for bed in beds().await {
        let records = migrated(&bed).await;
        let log = UsageLog::start(records.clone(), UsageLogOptions::default());
        log.record(entry("transport", 10, &["site", "pm25"]));
        log.record(entry("transport", 20, &["pm25"]));
        log.record(entry("health", 30, &["pm25"]));
        log.record(entry("health", -90 * 24 * 60, &["site"]));
        log.flush().await;
        let summary = summary(&records, "air.pm25", at(60)).await.expect("reads");
        assert_eq!((summary.queries, summary.principals), (3, 2), "what is older is not counted");
        assert_eq!(summary.last_used, Some(at(30)));
        let used = |by: &str, queries| Used { by: by.into(), queries };
        assert_eq!(summary.by_organisation, [used("transport", 2), used("health", 1)]);
        assert_eq!(summary.by_surface, [used("http", 3)]);
        assert_eq!(summary.by_field, [used("pm25", 3), used("site", 1)]);
        let unused = super::summary(&records, "people.resident", at(60)).await.expect("reads");
        assert_eq!((unused.queries, unused.last_used), (0, None));
        assert_eq!(log.lost(), 0);
    }
}

#[tokio::test]
async fn a_query_without_a_dataset_is_kept_too() {
    for bed in beds().await {
        let records = migrated(&bed).await;
        let mut refused = entry("transport", 1, &[]);
        refused.used.clear();
        refused.outcome = Outcome::Refused;
        refused.statement = Statement::of("select \"a\0b\"");
        super::records::insert(&records, &[refused]).await.expect("writes");
        assert_eq!(super::records::forget_before(&records, at(2)).await.expect("forgets"), 1);
        assert_eq!(super::records::forget_before(&records, at(2)).await.expect("forgets"), 0);
    }
}

#[tokio::test]
async fn a_flood_is_dropped_and_counted_and_never_waited_for() {
    for bed in beds().await {
        let records = migrated(&bed).await;
        // The one writer of the records is kept away, so that nothing can be written meanwhile.
        let held = records.write().await.expect("a turn");
        let options = UsageLogOptions {
            queue_entries_max: 10,
            batch_entries_max: 5,
            gather: Duration::from_millis(1),
        };
        let log = UsageLog::start(records.clone(), options);
        for minute in 0..100 {
            log.record(entry("transport", minute, &["site"]));
            tokio::task::yield_now().await;
        }
        // At most the queue and the batch that the writer holds are kept.
        assert!(log.lost() >= 85, "{}", log.lost());
        drop(held);
        log.flush().await;
        let kept = summary_since(&records, "air.pm25", at(-1)).await.expect("reads").queries;
        assert_eq!(kept + log.lost(), 100, "every entry is kept or counted as lost");
        assert!(log.is_running());
    }
}

#[tokio::test]
async fn many_entries_fit_in_the_databases_bounds() {
    for bed in beds().await {
        let records = migrated(&bed).await;
        let entries: Vec<_> =
            (0..1_000).map(|minute| entry("transport", minute, &["site"])).collect();
        super::records::insert(&records, &entries).await.expect("writes");
        let summary = summary_since(&records, "air.pm25", at(0)).await.expect("reads");
        assert_eq!(summary.queries, 1_000);
    }
}

#[test]
fn a_statement_is_kept_without_its_values() {
    let shape = |sql: &str| Statement::of(sql).shape.expect("SQL");
    assert_eq!(
        shape(
            "SELECT name -- 510104199001011234\nFROM people.resident WHERE id_number = '510104199001011234' AND age > 65"
        ),
        "select name from people . resident where id_number = ? and age > ?"
    );
    for secret in [
        "'s3cret'",
        "E's3cret'",
        "$$s3cret$$",
        "$tag$s3cret$tag$",
        "N's3cret'",
        "X's3cret'",
        "U&'s3cret'",
        "B's3cret'",
    ] {
        let statement = Statement::of(&format!("select * from t where a = {secret}"));
        assert!(
            !statement.shape.as_deref().unwrap_or_default().contains("s3cret"),
            "{secret}: {statement:?}"
        );
    }
}

#[test]
fn one_question_about_two_people_has_one_fingerprint() {
    let hash = |sql: &str| Statement::of(sql).hash;
    assert_eq!(hash("select a from t where b = 'x'"), hash("SELECT  a FROM t\nWHERE b = 'y'"));
    assert_eq!(
        hash("select a from t where b in (1, 2)"),
        hash("select a from t where b in (1,2,3,4)")
    );
    assert_ne!(hash("select a from t"), hash("select b from t"));
    assert_eq!(hash("select 1").len(), 64);
}

#[test]
fn what_is_not_sql_is_not_kept() {
    assert_eq!(Statement::of("select 'open and never closed").shape, None);
}

#[test]
fn a_long_statement_is_cut() {
    let sql = format!("select {}", "列, ".repeat(5_000));
    let shape = Statement::of(&sql).shape.expect("SQL");
    assert_eq!(shape.chars().count(), STATEMENT_CHARS_MAX + 1);
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<UsageEntry>>);

impl UsageSink for Heard {
    fn record(&self, entry: UsageEntry) {
        self.0.lock().push(entry);
    }
}

/// An answer of three rows and then, perhaps, an error; `taken` items of it are read.
async fn heard(error: Option<SqlError>, taken: usize) -> Vec<UsageEntry> {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("n", column)]).expect("a batch");
    let answer = Answer {
        id: Uuid::now_v7(),
        schema: batch.schema(),
        stream: Box::pin(stream::iter([Ok(batch)].into_iter().chain(error.map(Err)))),
        lineage: Lineage { datasets: ["air.pm25".to_owned()].into(), ..Lineage::default() },
    };
    let (id, sink) = (answer.id, Arc::new(Heard::default()));
    let mut watched =
        watch(answer, entry("transport", 0, &[]), Instant::now(), Arc::clone(&sink) as _);
    for _ in 0..taken {
        watched.stream.next().await;
    }
    drop(watched);
    let heard = std::mem::take(&mut *sink.0.lock());
    assert!(heard.iter().all(|entry| entry.id == id && entry.used.contains_key("air.pm25")));
    heard
}

#[tokio::test]
async fn a_query_is_recorded_once_however_it_ends() {
    let limit = || SqlError::Limit { what: LimitKind::OutputRows, reason: "too many".into() };
    let invalid = || SqlError::Invalid { reason: "no such column".into() };
    for (error, taken, outcome, rows) in [
        (None, 2, Outcome::Answered, 3),
        (None, 1, Outcome::Cancelled, 3),
        (None, 0, Outcome::Cancelled, 0),
        (Some(limit()), 3, Outcome::Limited, 3),
        (Some(invalid()), 2, Outcome::Failed, 3),
    ] {
        let heard = heard(error, taken).await;
        assert_eq!(heard.len(), 1);
        assert_eq!((heard[0].outcome, heard[0].rows), (outcome, rows));
    }
}
