//! What reaches the raw table: a table that writes down how it was scanned, under questions that
//! try to get a predicate, a limit or an order past the barrier.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use catalog::{Catalog, Source};
use chrono::{DateTime, Utc};
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use parking_lot::Mutex;

use crate::support::{PEOPLE, ask, city_pack, options, people, session};

#[derive(Debug, Clone, Default)]
struct Scan {
    columns: Vec<String>,
    filters: Vec<String>,
    limit: Option<usize>,
}

/// Takes every filter that it is offered, as the keenest of sources would.
#[derive(Debug)]
struct Spied {
    inner: MemTable,
    scans: Arc<Mutex<Vec<Scan>>>,
}

#[async_trait]
impl TableProvider for Spied {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let columns = projection.map_or_else(
            || schema.fields().iter().map(|field| field.name().clone()).collect(),
            |indices| indices.iter().map(|i| schema.field(*i).name().clone()).collect(),
        );
        let filters = filters.iter().map(ToString::to_string).collect();
        self.scans.lock().push(Scan { columns, filters, limit });
        self.inner.scan(state, projection, &[], None).await
    }
}

#[derive(Debug, Default)]
struct Spying(Arc<Mutex<Vec<Scan>>>);

#[async_trait]
impl Source for Spying {
    async fn table(
        &self,
        dataset: &str,
        _as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        assert_eq!(dataset, PEOPLE);
        let batch = people();
        let inner = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        Ok(Arc::new(Spied { inner, scans: Arc::clone(&self.0) }))
    }

    fn version(&self, _dataset: &str) -> u64 {
        1
    }
}

async fn scans(organisation: &str, sql: &str) -> Vec<Scan> {
    let source = Arc::new(Spying::default());
    let seen = Arc::clone(&source.0);
    let catalog = Catalog::open(Arc::new(city_pack()), source, options()).expect("it opens");
    ask(&catalog, &session(organisation), sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let scans = seen.lock().clone();
    assert!(!scans.is_empty(), "{sql}");
    scans
}

/// The street's row filter, as it prunes.
const POLICY: &str = "area_code >= Utf8(\"510104\")";

#[tokio::test]
async fn only_harmless_predicates_reach_the_raw_table() {
    for (predicate, passed) in [
        ("area_code = '510104001'", true),
        ("area_code IN ('510104001', 'x')", true),
        ("area_code BETWEEN '51' AND '52'", true),
        ("area_code IS NOT NULL", true),
        // Over what is masked: the raw table would compare the hidden value.
        ("id = '510104198001010000'", false),
        ("phone = '13800000000'", false),
        ("born > DATE '1980-01-01'", false),
        ("name IS NULL", false),
        // Over plain columns, but able to fail or to be slow.
        ("CAST(area_code AS BIGINT) > 510104000", false),
        ("area_code LIKE '%001'", false),
        ("area_code ~ '(a|b)*c'", false),
        ("length(area_code) = 9", false),
        ("area_code = phone", false),
        ("area_code || 'x' = '510104001x'", false),
    ] {
        let sql = format!("SELECT count(*) FROM people.person WHERE {predicate}");
        for scan in scans("street", &sql).await {
            assert!(scan.filters.iter().any(|filter| filter.contains(POLICY)), "{scan:?}");
            let users = scan.filters.iter().filter(|filter| {
                !filter.contains(POLICY) && !filter.contains("area_code < Utf8(\"510105\")")
            });
            assert_eq!(users.count() > 0, passed, "{predicate}: {scan:?}");
            assert_eq!(scan.limit, None);
        }
    }
}

#[tokio::test]
async fn limits_stay_above_the_barrier() {
    for sql in [
        "SELECT area_code FROM people.person LIMIT 1",
        "SELECT area_code FROM people.person ORDER BY area_code LIMIT 1",
        "SELECT * FROM (SELECT * FROM people.person LIMIT 2) x",
        "SELECT count(*) FROM (SELECT 1 FROM people.person LIMIT 1) x",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM people.person)",
    ] {
        for scan in scans("street", sql).await {
            assert_eq!(scan.limit, None, "{sql}");
        }
    }
    // Its owner has nothing hidden below.
    let owner = scans("police", "SELECT id FROM people.person LIMIT 1").await;
    assert_eq!(owner[0].limit, Some(1));
}

#[tokio::test]
async fn only_needed_columns_are_read() {
    let scan = scans("street", "SELECT phone FROM people.person").await.remove(0);
    assert_eq!(scan.columns, ["phone", "area_code"]);
    // What is redacted is not even read.
    let scan = scans("street", "SELECT name, area_code FROM people.person").await.remove(0);
    assert_eq!(scan.columns, ["area_code"]);
    let scan = scans("street", "SELECT * FROM people.person").await.remove(0);
    assert_eq!(scan.columns, ["id", "phone", "born", "area_code"]);
}
