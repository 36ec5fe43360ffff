//! `$apply`: rows of groups as JSON, as OData's extension for data aggregation answers them.
//!
//! A key stands under its path, `{"Datastream": {"Thing": {"name": …}}}`; a window and an aggregate
//! under their names. A window is an interval. What a group has no value of is null.

use sensing::entity::{Moment, Period};
use sensing::odata::{Apply, GroupKey, Path, Step};
use sensing::plan::{Column, Part, Role};
use sensing::schema::ValueType;
use serde_json::{Map, Value};

use super::table::Table;

/// A part of the groups.
#[derive(Debug, Default)]
pub struct StaGroups {
    /// How many there are in all, where it was asked for.
    pub count: Option<u64>,
    pub groups: Vec<Value>,
    /// The whole URL of the next part.
    pub next_link: Option<String>,
}

impl StaGroups {
    /// As it is answered.
    pub fn into_json(self) -> String {
        let mut members = Map::new();
        if let Some(count) = self.count {
            members.insert("@iot.count".to_owned(), count.into());
        }
        members.insert("value".to_owned(), self.groups.into());
        if let Some(link) = self.next_link {
            members.insert("@iot.nextLink".to_owned(), link.into());
        }
        Value::Object(members).to_string()
    }
}

/// How a value that is a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Always as two instants.
    Interval,
    /// As one where it begins and ends at once.
    Time,
}

/// One group: a row of the answer, whose columns are what the plan says they are.
pub(super) fn group(table: &Table, row: usize, columns: &[Column], apply: &Apply) -> Value {
    let mut members = Map::new();
    for (index, key) in apply.keys.iter().enumerate() {
        let own = |role: &Role| match role {
            Role::Group { key, part } if *key == index => Some(*part),
            _ => None,
        };
        let form = match &key.value {
            GroupKey::Window(_) => Form::Interval,
            GroupKey::Path(path) if path.value_type() == ValueType::Interval => Form::Interval,
            GroupKey::Path(_) => Form::Time,
        };
        let value = value(table, row, &parts(columns, own), form);
        match &key.value {
            GroupKey::Window(window) => {
                members.insert(window.alias.clone(), value);
            }
            GroupKey::Path(path) => put(&mut members, &names(path), value),
        }
    }
    for (index, aggregate) in apply.aggregates.iter().enumerate() {
        let own = |role: &Role| match role {
            Role::Aggregate { item, part } if *item == index => Some(*part),
            _ => None,
        };
        let value = value(table, row, &parts(columns, own), Form::Time);
        members.insert(aggregate.value.alias.clone(), value);
    }
    Value::Object(members)
}

/// The columns of one value.
fn parts(columns: &[Column], own: impl Fn(&Role) -> Option<Part>) -> Vec<(Part, &str)> {
    let part = |column: &Column| column.roles.iter().find_map(&own);
    columns.iter().filter_map(|column| Some((part(column)?, column.name.as_str()))).collect()
}

/// The names that lead to a key's value. An element of an array has its place behind the array's.
fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for step in &path.steps {
        match &step.value {
            Step::Navigation(navigation) => names.push(navigation.name.to_owned()),
            Step::Property(property) => {
                names.push(property.annotation.unwrap_or(property.name).to_owned());
            }
            Step::Key(key) => names.push(key.clone()),
            Step::Column(column) => names.push(column.name.clone()),
            Step::Index(index) => {
                let place = format!("[{index}]");
                match names.last_mut() {
                    Some(array) => array.push_str(&place),
                    None => names.push(place),
                }
            }
        }
    }
    names
}

/// Puts a value where names lead. Where a value is in the way, which is of another key, the names
/// from there on are one.
fn put(members: &mut Map<String, Value>, names: &[String], value: Value) {
    let Some((first, below)) = names.split_first() else { return };
    if below.is_empty() {
        members.insert(first.clone(), value);
        return;
    }
    let inner = members.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        put(inner, below, value);
        return;
    }
    members.insert(names.join("/"), value);
}

fn value(table: &Table, row: usize, parts: &[(Part, &str)], form: Form) -> Value {
    let of = |wanted: Part| parts.iter().find(|(part, _)| *part == wanted).map(|(_, name)| *name);
    if let Some(start) = of(Part::Start) {
        let Some(start) = table.instant(start, row) else { return Value::Null };
        let end = of(Part::End).map(|end| table.instant(end, row).unwrap_or(start));
        return time(start, end, form);
    }
    if let Some(number) = of(Part::Number).and_then(|name| table.number(name, row)) {
        return number_of(number);
    }
    if let Some(json) = of(Part::Json) {
        let text = table.text(json, row);
        return text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    }
    of(Part::Value).map_or(Value::Null, |name| plain(table, name, row))
}

/// A value of the one type that its column has.
fn plain(table: &Table, name: &str, row: usize) -> Value {
    if let Some(whole) = table.integer(name, row) {
        return whole.into();
    }
    if let Some(number) = table.number(name, row) {
        return number_of(number);
    }
    if let Some(truth) = table.flag(name, row) {
        return truth.into();
    }
    if let Some(moment) = table.instant(name, row) {
        return time(moment, None, Form::Time);
    }
    table.text(name, row).map_or(Value::Null, Value::String)
}

/// A number as it is written elsewhere: a whole one without a fraction. What overflowed is null.
fn number_of(number: f64) -> Value {
    /// Below it every whole number is one of its own.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < WHOLE_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        let whole = number as i64;
        return whole.into();
    }
    number.into()
}

fn time(start_us: i64, end_us: Option<i64>, form: Form) -> Value {
    let Some(start) = Moment::from_micros(start_us) else { return Value::Null };
    match end_us {
        Some(end) if form == Form::Interval || end != start_us => {
            let period = Moment::from_micros(end).and_then(|end| Period::new(start, end));
            period.map_or(Value::Null, |period| period.to_string().into())
        }
        _ => start.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    };
    use sensing::odata::{QueryOptions, ResourcePath};
    use sensing::plan::{Context, Extras, Request, plan};
    use sensing::schema::SENSORTHINGS_1_1;
    use serde_json::json;

    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    /// The groups that columns of an answer make, in the order of the plan's columns.
    fn groups(apply: &str, columns: Vec<ArrayRef>) -> Vec<Value> {
        let path = ResourcePath::parse(&SENSORTHINGS_1_1, "Observations").unwrap();
        let raw = format!("$apply={apply}");
        let options = QueryOptions::parse(&SENSORTHINGS_1_1, path.target(), &raw).unwrap();
        let zone = chrono::FixedOffset::east_opt(0).unwrap();
        let (schema, root) = (&SENSORTHINGS_1_1, String::new());
        let context = Context { schema, now: chrono::Utc::now(), zone, root };
        let request = Request { path: &path, options: &options, extras: Extras::default() };
        let plan = plan(&request, &context).unwrap();
        let names = plan.columns.iter().map(|column| column.name.as_str());
        let batch = RecordBatch::try_from_iter(names.zip(columns)).unwrap();
        let table = Table::of(&batch.schema(), std::slice::from_ref(&batch)).unwrap();
        let apply = &options.apply.as_ref().unwrap().value;
        (0..batch.num_rows()).map(|row| group(&table, row, &plan.columns, apply)).collect()
    }

    fn numbers(values: Vec<Option<f64>>) -> ArrayRef {
        Arc::new(Float64Array::from(values))
    }

    fn times(values: Vec<Option<i64>>) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values))
    }

    #[test]
    fn a_window_is_an_interval_and_a_mean_a_number() {
        let found = groups(
            "groupby((window(phenomenonTime,'PT1H') as hour),aggregate(result with average as m))",
            vec![
                times(vec![Some(0), Some(HOUR_US)]),
                times(vec![Some(HOUR_US), Some(2 * HOUR_US)]),
                numbers(vec![Some(2.0), None]),
            ],
        );
        assert_eq!(
            found,
            [
                json!({"hour": "1970-01-01T00:00:00Z/1970-01-01T01:00:00Z", "m": 2}),
                json!({"hour": "1970-01-01T01:00:00Z/1970-01-01T02:00:00Z", "m": null}),
            ]
        );
    }

    #[test]
    fn keys_stand_under_their_paths() {
        let texts = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
        let found = groups(
            "groupby((Datastream/Thing/name,Datastream/id,parameters/run),aggregate($count as n))",
            vec![
                texts(vec![Some("a")]),
                Arc::new(Int64Array::from(vec![5])),
                texts(vec![Some(r#"{"x":[1]}"#)]),
                Arc::new(Int64Array::from(vec![3])),
            ],
        );
        let expected = json!({
            "Datastream": {"Thing": {"name": "a"}, "@iot.id": 5},
            "parameters": {"run": {"x": [1]}},
            "n": 3,
        });
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_result_is_a_number_or_anything_else_and_a_time_may_be_both() {
        let texts = Arc::new(StringArray::from(vec![None, Some("\"on\"")])) as ArrayRef;
        let found = groups(
            "groupby((phenomenonTime),aggregate(result with last as newest))",
            vec![
                times(vec![Some(0), Some(0)]),
                times(vec![Some(0), Some(HOUR_US)]),
                numbers(vec![Some(1.5), None]),
                texts,
            ],
        );
        assert_eq!(
            found,
            [
                json!({"phenomenonTime": "1970-01-01T00:00:00Z", "newest": 1.5}),
                json!({
                    "phenomenonTime": "1970-01-01T00:00:00Z/1970-01-01T01:00:00Z",
                    "newest": "on",
                }),
            ]
        );
    }

    #[test]
    fn a_value_in_the_way_of_another_is_gone_round() {
        let mut members = Map::new();
        let path = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        put(&mut members, &path("a"), 1.into());
        put(&mut members, &path("a/b"), 2.into());
        assert_eq!(Value::Object(members), json!({"a": 1, "a/b": 2}));
        assert_eq!(number_of(f64::INFINITY), Value::Null);
    }
}
