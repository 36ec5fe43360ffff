//! Lineage as an OpenLineage run event, for Marquez, DataHub, OpenMetadata and their like.
//!
//! The answer is the event's output dataset; the column lineage facet (1-2-0) hangs on it, with
//! direct transformations by column and the indirect ones once, for the dataset as a whole. That
//! facet's vocabulary has a word for each of ours.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{How, Influence, Lineage};

const RUN_EVENT_SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const COLUMN_LINEAGE_SCHEMA: &str = "https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet";
const SCHEMA_SCHEMA: &str =
    "https://openlineage.io/spec/facets/1-1-1/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet";
const SQL_SCHEMA: &str =
    "https://openlineage.io/spec/facets/1-1-0/SQLJobFacet.json#/$defs/SQLJobFacet";

/// The run that gave an answer.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// Of the datasets and the job: a URI naming this city's installation.
    pub namespace: &'a str,
    /// Stable across runs of the same work, e.g. `sql/<statement hash>`.
    pub name: &'a str,
    pub run: Uuid,
    /// What the answer is called as a dataset.
    pub output: &'a str,
    /// URI of the software that made the event.
    pub producer: &'a str,
    /// The statement, when it may be told: the caller decides and takes values out.
    pub sql: Option<&'a str>,
    pub finished: DateTime<Utc>,
}

/// A `COMPLETE` run event for one answer.
pub fn run_event(lineage: &Lineage, job: &Job<'_>) -> Value {
    let used = lineage.fields_used();
    let inputs: Vec<Value> = used
        .iter()
        .map(|(dataset, fields)| {
            let fields: Vec<Value> = fields.iter().map(|name| json!({ "name": name })).collect();
            json!({
                "namespace": job.namespace,
                "name": dataset,
                "facets": { "schema": facet(job, SCHEMA_SCHEMA, [("fields", fields.into())]) },
            })
        })
        .collect();
    let columns: Vec<Value> =
        lineage.columns.iter().map(|column| json!({ "name": column.name })).collect();
    let mut job_facets = Map::new();
    if let Some(sql) = job.sql {
        job_facets.insert("sql".into(), facet(job, SQL_SCHEMA, [("query", sql.into())]));
    }
    json!({
        "eventType": "COMPLETE",
        "eventTime": job.finished.to_rfc3339_opts(SecondsFormat::Millis, true),
        "producer": job.producer,
        "schemaURL": RUN_EVENT_SCHEMA,
        "run": { "runId": job.run },
        "job": { "namespace": job.namespace, "name": job.name, "facets": job_facets },
        "inputs": inputs,
        "outputs": [{
            "namespace": job.namespace,
            "name": job.output,
            "facets": {
                "schema": facet(job, SCHEMA_SCHEMA, [("fields", columns.into())]),
                "columnLineage": column_lineage(lineage, job),
            },
        }],
    })
}

fn column_lineage(lineage: &Lineage, job: &Job<'_>) -> Value {
    // Two output columns may share a name; the facet is keyed by name, so they share an entry.
    let mut fields: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for column in &lineage.columns {
        let inputs = column.from.iter().map(|origin| {
            json!({
                "namespace": job.namespace,
                "name": origin.field.dataset,
                "field": origin.field.field,
                "transformations": [{ "type": "DIRECT", "subtype": direct(origin.how) }],
            })
        });
        let entry = fields.entry(&column.name).or_default();
        for input in inputs {
            if !entry.contains(&input) {
                entry.push(input);
            }
        }
    }
    let fields: Map<String, Value> = fields
        .into_iter()
        .map(|(name, inputs)| (name.to_owned(), json!({ "inputFields": inputs })))
        .collect();
    let dataset: Vec<Value> = lineage
        .indirect
        .iter()
        .map(|indirect| {
            let transformations: Vec<Value> = indirect
                .influences
                .iter()
                .map(|influence| json!({ "type": "INDIRECT", "subtype": subtype(*influence) }))
                .collect();
            json!({
                "namespace": job.namespace,
                "name": indirect.field.dataset,
                "field": indirect.field.field,
                "transformations": transformations,
            })
        })
        .collect();
    facet(job, COLUMN_LINEAGE_SCHEMA, [("fields", fields.into()), ("dataset", dataset.into())])
}

fn facet<const N: usize>(job: &Job<'_>, schema: &str, entries: [(&str, Value); N]) -> Value {
    let mut facet = Map::new();
    facet.insert("_producer".into(), job.producer.into());
    facet.insert("_schemaURL".into(), schema.into());
    facet.extend(entries.map(|(key, value)| (key.to_owned(), value)));
    facet.into()
}

fn direct(how: How) -> &'static str {
    match how {
        How::Identity => "IDENTITY",
        How::Transformation => "TRANSFORMATION",
        How::Aggregation => "AGGREGATION",
    }
}

fn subtype(influence: Influence) -> &'static str {
    match influence {
        Influence::Filter => "FILTER",
        Influence::Join => "JOIN",
        Influence::GroupBy => "GROUP_BY",
        Influence::Sort => "SORT",
        Influence::Window => "WINDOW",
    }
}
