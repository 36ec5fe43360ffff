//! Statistics over small tables whose figures are known, and who sees them.

use std::collections::BTreeMap;

use arrow::array::{Float64Array, StringArray, TimestampMicrosecondArray};
use chrono::TimeDelta;
use datafusion::datasource::MemTable;
use pack::model::Mask;

use super::*;
use crate::fixtures;

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

fn readings(rows: &[(&str, i64, Option<f64>)]) -> Arc<dyn TableProvider> {
    let schema = fixtures::pm25().arrow_schema();
    let times = rows.iter().map(|row| at(row.1).timestamp_micros());
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
            Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.2))),
        ],
    )
    .expect("the contract's shape");
    Arc::new(MemTable::try_new(schema, vec![vec![batch]]).expect("a table"))
}

async fn statistics(rows: &[(&str, i64, Option<f64>)]) -> Statistics {
    Statistics::compute(&fixtures::pm25(), readings(rows), at(1_000)).await.expect("computes")
}

#[tokio::test]
async fn figures_are_those_of_the_rows() {
    let rows = [
        ("caotangsi", 0, Some(10.0)),
        ("caotangsi", 60, None),
        ("shahepu", 0, Some(250.5)),
        ("shahepu", 120, Some(10.0)),
    ];
    let found = statistics(&rows).await;
    assert_eq!((found.rows, found.oldest, found.newest), (4, Some(at(0)), Some(at(120))));
    let pm25 = &found.fields["pm25"];
    assert_eq!((pm25.null_share, pm25.distinct), (0.25, 2));
    assert_eq!((pm25.min.as_deref(), pm25.max.as_deref()), (Some("10.0"), Some("250.5")));
    assert_eq!(found.fields["site"].distinct_share, 0.5);
}

#[tokio::test]
async fn an_empty_dataset_has_statistics_too() {
    let found = statistics(&[]).await;
    assert_eq!((found.rows, found.newest), (0, None));
    assert_eq!(found.fields["pm25"].null_share, 0.0);
    assert_eq!(found.fields["pm25"].min, None);
}

#[tokio::test]
async fn a_masked_field_shows_no_range_and_a_filtered_principal_nothing() {
    let found = statistics(&[("caotangsi", 0, Some(10.0))]).await;
    let mut known = Known {
        access: Access::Readable,
        fields: BTreeMap::from([
            ("site".to_owned(), Shown::Masked(Mask::Token)),
            ("pm25".to_owned(), Shown::Plain),
        ]),
        whole: true,
        owner: false,
    };
    let shown = found.shown(&known).expect("sees every row");
    assert_eq!(shown.fields.keys().collect::<Vec<_>>(), ["pm25", "site"]);
    assert_eq!(shown.fields["pm25"].max.as_deref(), Some("10.0"));
    let site = &shown.fields["site"];
    assert_eq!((&site.min, &site.max, site.distinct), (&None, &None, None));

    known.whole = false;
    assert_eq!(found.shown(&known), None);
    known.whole = true;
    known.access = Access::OnRequest;
    assert_eq!(found.shown(&known), None);
}

#[test]
fn freshness_counts_from_the_limit() {
    let now = at(1_000);
    let of = |newest, limit| Freshness::of(newest, limit, now);
    assert_eq!(of(None, Some(60)), Freshness::Never);
    assert_eq!(of(Some(at(940)), Some(60)), Freshness::Fresh { age_minutes: 60 });
    assert_eq!(of(Some(at(939)), Some(60)), Freshness::Late { age_minutes: 61, late_minutes: 1 });
    assert_eq!(of(Some(at(1_500)), Some(60)), Freshness::Fresh { age_minutes: 0 });
    assert_eq!(of(Some(at(0)), None), Freshness::Unlimited { age_minutes: 1_000 });
}

#[test]
fn dates_have_a_newest_too() {
    let dates: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![Some(1), None, Some(3)]));
    assert_eq!(newest(&dates), DateTime::from_timestamp(3 * 86_400, 0));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["2026-01-01"]));
    assert_eq!(newest(&texts), None);
}

#[tokio::test]
async fn the_newest_statistics_are_kept() {
    for bed in store::testing::beds().await {
        let records = &bed.records;
        records.migrate(crate::records::migrations()).await.expect("migrates");
        assert_eq!(records::load(records, "air.pm25").await.expect("reads"), None);
        for rows in
            [&[("caotangsi", 0, Some(1.0))][..], &[("shahepu", 5, None), ("shahepu", 6, None)]]
        {
            let found = statistics(rows).await;
            records::save(records, &found).await.expect("saves");
            assert_eq!(records::load(records, "air.pm25").await.expect("reads"), Some(found));
        }
    }
}
