//! Reads import mappings.
//!
//! Judges the form of a mapping; that its fields, columns and groups exist is `check`'s.

use std::collections::BTreeMap;

use crate::diagnostics::Diagnostic;
use crate::model::{Crs, ImportMapping, Shape, SkipWhen, ValueSource};
use crate::reader::Table;

const SYSTEMS: [(&str, Crs); 4] = [
    ("wgs84", Crs::Wgs84),
    ("gcj02", Crs::Gcj02),
    ("bd09", Crs::Bd09),
    ("cgcs2000", Crs::Cgcs2000),
];

pub(super) fn mapping(table: &Table<'_>) -> ImportMapping {
    ImportMapping {
        id: table.text("id"),
        dataset: table.text("dataset"),
        columns: table.texts("columns"),
        headerless: table.flag("headerless"),
        crs: table.choice_if("crs", &SYSTEMS),
        nulls: table.texts("nulls"),
        shape: shape(table),
        values: values(table),
        skip: skip(table),
        place: table.own_place(),
    }
}

/// `wide = { columns = "regex", value = "field" }`; rows where it is not there.
fn shape(table: &Table<'_>) -> Shape {
    let Some(wide) = table.table_if("wide") else { return Shape::Rows };
    let shape = Shape::Wide { columns: wide.text("columns"), value: wide.text("value") };
    wide.finish();
    shape
}

fn values(table: &Table<'_>) -> BTreeMap<String, ValueSource> {
    let Some(values) = table.table_if("values") else { return BTreeMap::new() };
    let mut read = BTreeMap::new();
    for field in values.keys() {
        if let Some(made) = value(&values, &field) {
            read.insert(field, made);
        }
    }
    values.finish();
    read
}

/// How one field's value is made: `{ column = "…" }`, `{ template = "…" }`,
/// `{ lookup = "…", table = { … } }`, `{ local_time = "…" }` or `{ lon = "…", lat = "…" }`.
fn value(values: &Table<'_>, field: &str) -> Option<ValueSource> {
    let source = values.table_if(field)?;
    let made = if source.has("column") {
        ValueSource::Column(source.text("column"))
    } else if source.has("template") {
        ValueSource::Template(source.text("template"))
    } else if source.has("lookup") {
        let template = source.text("lookup");
        let mut table = BTreeMap::new();
        if let Some(entries) = source.table("table") {
            for key in entries.keys() {
                table.insert(key.clone(), entries.any_text(&key));
            }
            entries.finish();
        }
        ValueSource::Lookup { template, table }
    } else if source.has("local_time") {
        ValueSource::LocalTime(source.text("local_time"))
    } else if source.has("lon") || source.has("lat") {
        ValueSource::Point { lon: source.text("lon"), lat: source.text("lat") }
    } else {
        values.fault(
            Diagnostic::new(values.place(field), format!("`{field}` has no source"))
                .expected("one of column, template, lookup, local_time, lon and lat"),
        );
        return None;
    };
    source.finish();
    Some(made)
}

fn skip(table: &Table<'_>) -> Vec<SkipWhen> {
    table
        .tables("skip")
        .iter()
        .map(|skip| {
            let read = SkipWhen { column: skip.text("column"), values: skip.texts("values") };
            skip.finish();
            read
        })
        .collect()
}
