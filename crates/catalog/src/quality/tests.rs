//! Rules over rows whose faults are known, and over rows made at random.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use chrono::TimeDelta;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use pack::model::{Contract, DatasetKind, FieldType, SharingAttribute};
use proptest::prelude::*;

use super::*;
use crate::fixtures::{self, contract, field, rule};

/// `(site, minutes, pm25)` in the shape of `air.pm25`, nulls allowed everywhere.
type Reading<'a> = (Option<&'a str>, Option<i64>, Option<f64>);

fn readings(rows: &[Reading<'_>]) -> RecordBatch {
    let schema = fixtures::pm25().arrow_schema();
    let loose: Vec<_> =
        schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    let times = rows.iter().map(|row| row.1.map(|minutes| minutes * 60_000_000));
    RecordBatch::try_new(
        Arc::new(arrow::datatypes::Schema::new(loose)),
        vec![
            Arc::new(StringArray::from_iter(rows.iter().map(|row| row.0))),
            Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC")),
            Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.2))),
        ],
    )
    .expect("the contract's shape")
}

fn rules(contract: &Contract) -> RowRules {
    RowRules::compile(contract).expect("compiles")
}

fn broken(checked: &Checked) -> Vec<(usize, &str)> {
    checked.failures.iter().map(|failure| (failure.row, failure.rule.as_ref())).collect()
}

fn table(batches: Vec<RecordBatch>) -> Arc<MemTable> {
    let schema = batches[0].schema();
    Arc::new(MemTable::try_new(schema, vec![batches]).expect("a table"))
}

#[test]
fn good_rows_pass_untouched() {
    let batch =
        readings(&[(Some("caotangsi"), Some(0), Some(10.0)), (Some("shahepu"), Some(0), None)]);
    let checked = rules(&fixtures::pm25()).check(&batch).expect("checks");
    assert_eq!(checked.failures, []);
    assert!(
        checked.good.column(0).to_data().ptr_eq(&batch.column(0).to_data()),
        "a good batch is not copied"
    );
}

#[test]
fn each_fault_is_found_where_it_is() {
    let batch = readings(&[
        (Some("caotangsi"), Some(0), Some(-1.0)),
        (Some("elsewhere"), Some(0), Some(1.0)),
        (None, Some(0), Some(1.0)),
        (Some("shahepu"), None, Some(5_000.0)),
        (Some("shahepu"), Some(0), Some(950.0)),
        (Some("shahepu"), Some(60), Some(20.0)),
    ]);
    let checked = rules(&fixtures::pm25()).check(&batch).expect("checks");
    assert_eq!(
        broken(&checked),
        [
            (2, "required:site"),
            (1, "codes:site"),
            (3, "required:observed_at"),
            (0, "pm25_range"),
            (3, "pm25_range"),
            (3, "pm25_high"),
            (4, "pm25_high"),
        ]
    );
    // Row 4 only broke a warning.
    assert_eq!(checked.good, batch.slice(4, 2));
    let codes = &checked.failures[1];
    assert_eq!((codes.field.as_deref(), codes.severity), (Some("site"), Severity::Error));
}

#[test]
fn a_rule_about_a_missing_value_passes() {
    let batch = readings(&[(Some("caotangsi"), Some(0), None)]);
    let checked = rules(&fixtures::pm25()).check(&batch).expect("checks");
    assert_eq!((checked.failures.len(), checked.good.num_rows()), (0, 1));
}

#[test]
fn a_rule_may_ask_what_time_it_is() {
    let mut contract = fixtures::pm25();
    contract.quality = vec![
        rule("not_ahead", "observed_at <= now() + interval '1 hour'", Severity::Error),
        rule("today", "observed_at <= current_date + interval '2 days'", Severity::Error),
    ];
    let ahead = (Utc::now() + TimeDelta::days(30)).timestamp() / 60;
    let batch = readings(&[(Some("shahepu"), Some(0), None), (Some("shahepu"), Some(ahead), None)]);
    let checked = rules(&contract).check(&batch).expect("checks");
    assert_eq!(broken(&checked), [(1, "not_ahead"), (1, "today")]);
}

#[test]
fn a_rule_that_cannot_be_computed_fails_its_row_alone() {
    let mut contract = contract("a.b", "甲", "a", "x", SharingAttribute::Unconditional);
    contract.fields = vec![field("text", FieldType::Text, "文", "text")];
    contract.quality = vec![rule("a_number", "cast(text as bigint) > 0", Severity::Error)];
    let texts: Vec<String> =
        (0..100).map(|i| if i % 40 == 7 { "no number".into() } else { "5".into() }).collect();
    let batch = RecordBatch::try_new(
        contract.arrow_schema(),
        vec![Arc::new(StringArray::from_iter_values(texts))],
    )
    .expect("the contract's shape");
    let checked = rules(&contract).check(&batch).expect("checks");
    assert_eq!(broken(&checked), [(7, "a_number"), (47, "a_number"), (87, "a_number")]);
    assert_eq!(checked.good.num_rows(), 97);
}

#[test]
fn checksums_are_implied_for_people_and_enterprises() {
    let mut contract =
        contract("party.legal_person", "法定代表人", "x", "y", SharingAttribute::Conditional);
    let mut number = field("id_number", FieldType::Text, "身份证号", "Identity number");
    number.pii = pack::model::Pii::IdentityNumber;
    contract.fields = vec![number, field("credit_code", FieldType::Text, "代码", "Credit code")];
    let text =
        |values: [Option<&str>; 3]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let batch = RecordBatch::try_new(
        contract.arrow_schema(),
        vec![
            // The example of GB 11643, then one digit changed.
            text([Some("11010519491231002X"), Some("110105194912310021"), None]),
            text([Some("91350100M000100Y43"), None, Some("91350100M000100Y44")]),
        ],
    )
    .expect("the contract's shape");
    let checked = rules(&contract).check(&batch).expect("checks");
    assert_eq!(broken(&checked), [(1, "checksum:id_number"), (2, "checksum:credit_code")]);
}

#[test]
fn a_batch_of_another_shape_is_refused_by_name() {
    let batch =
        RecordBatch::try_from_iter([("site", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)])
            .expect("a batch");
    let error = rules(&fixtures::pm25()).check(&batch).expect_err("columns are missing");
    assert!(error.to_string().contains("lack the field observed_at"), "{error}");
}

#[test]
fn a_rule_that_does_not_plan_is_named() {
    let mut contract = fixtures::pm25();
    contract.quality = vec![rule("wrong", "pm26 > 0", Severity::Error)];
    let error = RowRules::compile(&contract).expect_err("no such field");
    assert!(error.to_string().contains("rule wrong of air.pm25"), "{error}");
}

#[tokio::test]
async fn a_run_counts_samples_and_finds_the_rows_again() {
    let now = DateTime::UNIX_EPOCH + TimeDelta::minutes(1_000);
    let batches = vec![
        readings(&[
            (Some("caotangsi"), Some(0), Some(-1.0)),
            (Some("caotangsi"), Some(60), Some(1.0)),
        ]),
        readings(&[(Some("caotangsi"), Some(60), Some(2.0)), (Some("nowhere"), Some(120), None)]),
    ];
    let contract = fixtures::pm25();
    let rules = rules(&contract);
    let options = RunOptions { now, ..RunOptions::default() };
    let found = run(table(batches.clone()), &rules, &options).await.expect("runs");
    assert_eq!((found.rows, found.passed), (4, false));
    let result = |name: &str| found.rules.iter().find(|r| r.rule == name).expect(name);
    let range = result("pm25_range");
    assert_eq!((range.checked, range.failed, range.failed_share), (4, 1, 0.25));
    assert_eq!(range.sample[0]["site"].as_deref(), Some("caotangsi"));
    assert_eq!(range.sample[0]["observed_at"].as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(result("codes:site").failed, 1);
    let unique = result("unique_key");
    assert_eq!((unique.failed, unique.sample.len()), (2, 1));
    let fresh = result("freshness");
    assert_eq!((fresh.failed, fresh.severity), (1, Severity::Warning));
    let complete = result("completeness");
    assert_eq!((complete.checked, complete.failed), (12, 1));

    // The queries that the result carries find exactly the rows that it counted.
    let ctx = SessionContext::new();
    ctx.sql("create schema air").await.expect("a schema");
    ctx.register_table("air.pm25", table(batches)).expect("registers");
    for rule in found.rules.iter().filter(|r| r.kind != RuleKind::UniqueKey) {
        let Some(sql) = &rule.failing_rows else { continue };
        let rows = ctx.sql(sql).await.expect(sql).count().await.expect(sql);
        assert_eq!(rows as u64, rule.failed, "{sql}");
    }
    let doubles = unique.failing_rows.as_deref().expect("a query");
    assert_eq!(ctx.sql(doubles).await.expect(doubles).count().await.expect(doubles), 1);

    let json = serde_json::to_string(&found).expect("plain data");
    assert_eq!(serde_json::from_str::<RunResult>(&json).expect("reads back"), found);
}

#[tokio::test]
async fn an_empty_dataset_passes_and_is_late() {
    let rules = rules(&fixtures::pm25());
    let found =
        run(table(vec![readings(&[])]), &rules, &RunOptions::default()).await.expect("runs");
    assert_eq!((found.rows, found.passed), (0, true));
    let fresh = found.rules.iter().find(|r| r.kind == RuleKind::Freshness).expect("a limit is set");
    assert_eq!(fresh.failed, 1);
    assert!(found.rules.iter().all(|r| r.failed_share.is_finite()));
}

#[tokio::test]
async fn samples_are_bounded() {
    let rows: Vec<Reading<'_>> = (0..500).map(|i| (Some("shahepu"), Some(i), Some(-1.0))).collect();
    let rules = rules(&fixtures::pm25());
    let found =
        run(table(vec![readings(&rows)]), &rules, &RunOptions::default()).await.expect("runs");
    let range = found.rules.iter().find(|r| r.rule == "pm25_range").expect("stated");
    assert_eq!((range.failed, range.sample.len()), (500, 20));
}

#[tokio::test]
async fn runs_are_kept_and_read_back_newest_first() {
    for bed in store::testing::beds().await {
        let records = &bed.records;
        records.migrate(crate::records::migrations()).await.expect("migrates");
        let rules = rules(&fixtures::pm25());
        let batch = readings(&[(Some("caotangsi"), Some(0), Some(1.0))]);
        let mut saved = Vec::new();
        for _ in 0..3 {
            let found = run(table(vec![batch.clone()]), &rules, &RunOptions::default())
                .await
                .expect("runs");
            super::records::save(records, &found).await.expect("saves");
            saved.insert(0, found);
        }
        let latest = super::records::latest(records, "air.pm25", 2).await.expect("reads");
        assert_eq!(latest, saved[..2]);
        assert!(super::records::latest(records, "other", 2).await.expect("reads").is_empty());
    }
}

#[tokio::test]
async fn what_was_put_off_is_due_when_its_time_has_come() {
    use super::records::{due, put_off, settle};
    let moment = |minutes: i64| crate::records::time(1_700_000_000_000_000 + minutes * 60_000_000);
    for bed in store::testing::beds().await {
        let records = &bed.records;
        let mut all = crate::records::migrations();
        all.extend(crate::records::later_migrations());
        records.migrate(all).await.expect("migrates");
        put_off(records, "air.pm25", moment(9)).await.expect("writes");
        put_off(records, "place.park", moment(2)).await.expect("writes");
        // The later word holds.
        put_off(records, "air.pm25", moment(5)).await.expect("writes");
        assert!(due(records, moment(1)).await.expect("reads").is_empty(), "{}", bed.name);
        let both = due(records, moment(5)).await.expect("reads");
        assert_eq!(both, ["place.park", "air.pm25"], "{}", bed.name);
        settle(records, "place.park").await.expect("writes");
        settle(records, "place.park").await.expect("writes");
        assert_eq!(due(records, moment(5)).await.expect("reads"), ["air.pm25"], "{}", bed.name);
    }
}

fn bands() -> Contract {
    let mut contract =
        contract("people.census_2020", "人口", "Census", "x", SharingAttribute::Unconditional);
    contract.kind = DatasetKind::Snapshot;
    let mut age = field("age_from", FieldType::Integer, "年龄", "Age");
    age.codes = ["0", "5", "10"].map(str::to_owned).to_vec();
    let mut born = field("born", FieldType::Date, "出生", "Born");
    born.required = true;
    contract.fields = vec![age, born, field("people", FieldType::Integer, "人数", "People")];
    contract.quality = vec![rule("positive", "people >= 0 or age_from = 0", Severity::Error)];
    contract
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// The vectorised check gives the verdicts of a plain reading of the rules, row by row.
    #[test]
    fn the_check_is_the_rules_row_by_row(
        rows in prop::collection::vec(
            (prop::option::of(0i64..12), prop::option::of(0i32..3), prop::option::of(-3i64..3)), 0..60)
    ) {
        let contract = bands();
        let loose: Vec<_> = contract.arrow_schema().fields().iter()
            .map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let batch = RecordBatch::try_new(
            Arc::new(arrow::datatypes::Schema::new(loose)),
            vec![
                Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.0))),
                Arc::new(Date32Array::from_iter(rows.iter().map(|r| r.1))),
                Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.2))),
            ],
        ).expect("the contract's shape");
        let checked = rules(&contract).check(&batch).expect("checks");
        let good = |(age, born, people): &(Option<i64>, Option<i32>, Option<i64>)| {
            let coded = age.is_none_or(|age| [0, 5, 10].contains(&age));
            // Three-valued: false only when both sides are known to be false.
            let positive = !(people.is_some_and(|p| p < 0) && age.is_some_and(|a| a != 0));
            coded && born.is_some() && positive
        };
        let expected: Vec<usize> =
            (0..rows.len()).filter(|row| !good(&rows[*row])).collect();
        let mut found: Vec<usize> = checked.failures.iter().map(|f| f.row).collect();
        found.sort_unstable();
        found.dedup();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(checked.good.num_rows(), rows.len() - expected.len());
    }
}

/// Not a benchmark, a guard: the pass over good rows must stay far below the cost of reading them.
/// The bound is for a debug build on a slow machine; `bench import` measures the real cost.
#[test]
fn a_million_good_rows_are_checked_in_a_blink() {
    const ROWS: i64 = 1_000_000;
    let sites = ["caotangsi", "shahepu", "us_post"];
    let rows: Vec<Reading<'_>> =
        (0..8_192).map(|i| (Some(sites[i % 3]), Some(0), Some(10.0))).collect();
    let batch = readings(&rows);
    let rules = rules(&fixtures::pm25());
    let started = Instant::now();
    let mut good = 0;
    while good < ROWS {
        let checked = rules.check(&batch).expect("checks");
        good += i64::try_from(checked.good.num_rows()).expect("small");
    }
    let spent_ns = started.elapsed().as_nanos() / 1_000_000;
    println!("{spent_ns} ns a row");
    assert!(spent_ns < 2_000, "{spent_ns} ns a row");
}
