//! Golden lineage over many shapes of SQL: `golden.txt`, regenerated with `BLESS=1`.
//!
//! Every statement is walked twice, as planned and as optimised; what the golden file holds is
//! the planned one. The optimised plan must name the same fields, in whatever way.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chrono::DateTime;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::catalog::SchemaProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::prelude::SessionContext;
use serde_json::Value;
use uuid::Uuid;

use super::*;

fn context() -> SessionContext {
    let ctx = SessionContext::new();
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    type Columns = Vec<(&'static str, DataType)>;
    let tables: [(&str, &str, Columns); 4] = [
        (
            "air",
            "pm25",
            vec![("site", DataType::Utf8), ("observed_at", time), ("pm25", DataType::Float64)],
        ),
        (
            "people",
            "census",
            vec![
                ("area_code", DataType::Utf8),
                ("sex", DataType::Utf8),
                ("age_from", DataType::Int64),
                ("people", DataType::Int64),
            ],
        ),
        (
            "place",
            "area",
            vec![
                ("code", DataType::Utf8),
                ("parent", DataType::Utf8),
                ("name", DataType::Utf8),
                ("level", DataType::Utf8),
            ],
        ),
        ("place", "site", vec![("site", DataType::Utf8), ("area_code", DataType::Utf8)]),
    ];
    let catalog = ctx.catalog("datafusion").expect("the default catalogue");
    for (schema, table, fields) in tables {
        let fields: Vec<Field> =
            fields.into_iter().map(|(name, ty)| Field::new(name, ty, true)).collect();
        let provider = Arc::new(EmptyTable::new(Arc::new(Schema::new(fields))));
        let tables = catalog.schema(schema).unwrap_or_else(|| {
            let tables = Arc::new(MemorySchemaProvider::new());
            let made: Arc<dyn SchemaProvider> = tables;
            catalog.register_schema(schema, Arc::clone(&made)).expect("a memory catalogue");
            made
        });
        tables.register_table(table.to_owned(), provider).expect("registered once");
    }
    ctx
}

fn render(lineage: &Lineage) -> String {
    let mut text = String::new();
    for column in &lineage.columns {
        let from: Vec<String> = column
            .from
            .iter()
            .map(|origin| {
                let how = match origin.how {
                    How::Identity => "",
                    How::Transformation => " (transformed)",
                    How::Aggregation => " (aggregated)",
                };
                format!("{}.{}{how}", origin.field.dataset, origin.field.field)
            })
            .collect();
        let from = if from.is_empty() { "nothing".to_owned() } else { from.join(", ") };
        let _ = writeln!(text, "{} <- {from}", column.name);
    }
    for indirect in &lineage.indirect {
        let influences: Vec<String> =
            indirect.influences.iter().map(|influence| format!("{influence:?}")).collect();
        let (dataset, field) = (&indirect.field.dataset, &indirect.field.field);
        let _ = writeln!(text, "~ {dataset}.{field}: {}", influences.join(", "));
    }
    let datasets: Vec<&str> = lineage.datasets.iter().map(String::as_str).collect();
    let _ = writeln!(text, "reads {}", datasets.join(", "));
    text
}

fn fields(lineage: &Lineage) -> BTreeSet<String> {
    let used = lineage.fields_used();
    used.iter().flat_map(|(d, fields)| fields.iter().map(move |f| format!("{d}.{f}"))).collect()
}

#[tokio::test]
async fn lineage_is_golden() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lineage/golden.txt");
    let golden = std::fs::read_to_string(&path).expect("the golden file is there");
    let ctx = context();
    let mut regenerated = String::new();
    let mut cases = 0;
    for case in golden.split("\n=== ") {
        let case = case.strip_prefix("=== ").unwrap_or(case);
        let Some((title, rest)) = case.split_once('\n') else { continue };
        let sql = rest.split("\n---\n").next().unwrap_or(rest).trim();
        let plan = ctx.state().create_logical_plan(sql).await.expect(title);
        let lineage = of(&plan);
        let _ = write!(regenerated, "=== {title}\n{sql}\n---\n{}\n", render(&lineage));
        cases += 1;

        let optimised = ctx.state().optimize(&plan).expect(title);
        let strangers: Vec<String> =
            fields(&of(&optimised)).difference(&fields(&lineage)).cloned().collect();
        assert!(strangers.is_empty(), "{title}: only the optimised plan names {strangers:?}");
        for (planned, optimised) in lineage.columns.iter().zip(of(&optimised).columns) {
            let names = |column: &Column| -> BTreeSet<String> {
                column.from.iter().map(|o| format!("{:?}", o.field)).collect()
            };
            assert!(
                names(&optimised).is_subset(&names(planned)),
                "{title}: {} comes from {:?} once optimised",
                planned.name,
                optimised.from
            );
        }
    }
    assert!(cases >= 40, "only {cases} cases");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, regenerated.trim_end().to_owned() + "\n").expect("blessed");
        return;
    }
    for (expected, found) in golden.split("\n=== ").zip(regenerated.trim_end().split("\n=== ")) {
        assert_eq!(expected.trim_end(), found.trim_end(), "run with BLESS=1 if this is right");
    }
}

#[tokio::test]
async fn the_openlineage_event_says_where_each_column_came_from() {
    let ctx = context();
    let sql = "select site, avg(pm25) as mean from air.pm25 where observed_at is not null \
               group by site order by site";
    let plan = ctx.state().create_logical_plan(sql).await.expect("plans");
    let event = run_event(
        &of(&plan),
        &Job {
            namespace: "shujin://chengdu",
            name: "sql/abc",
            run: Uuid::nil(),
            output: "answer/abc",
            producer: "https://example.org/shujin",
            sql: None,
            finished: DateTime::UNIX_EPOCH,
        },
    );
    assert_eq!(event["eventTime"], "1970-01-01T00:00:00.000Z");
    assert_eq!(event["inputs"][0]["name"], "air.pm25");
    let facet = &event["outputs"][0]["facets"]["columnLineage"];
    assert_eq!(
        facet["_schemaURL"],
        "https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet"
    );
    let input = &facet["fields"]["mean"]["inputFields"][0];
    assert_eq!(input["field"], "pm25");
    assert_eq!(
        input["transformations"],
        serde_json::json!([{ "type": "DIRECT", "subtype": "AGGREGATION" }])
    );
    let indirect: Vec<&Value> = facet["dataset"].as_array().expect("a list").iter().collect();
    let subtypes = |field: &str| -> Vec<&str> {
        let found = indirect.iter().find(|i| i["field"] == field).expect("named");
        let list = found["transformations"].as_array().expect("a list");
        list.iter().filter_map(|t| t["subtype"].as_str()).collect()
    };
    assert_eq!(subtypes("observed_at"), ["FILTER"]);
    assert_eq!(subtypes("site"), ["GROUP_BY", "SORT"]);
    assert!(event["job"]["facets"].get("sql").is_none(), "the statement was not handed in");
}

#[tokio::test]
async fn lineage_survives_json() {
    let ctx = context();
    let plan = ctx
        .state()
        .create_logical_plan("select pm25 * 2 from air.pm25 where site = 'x'")
        .await
        .expect("plans");
    let lineage = of(&plan);
    let text = serde_json::to_string(&lineage).expect("plain data");
    assert_eq!(serde_json::from_str::<Lineage>(&text).expect("reads back"), lineage);
}
