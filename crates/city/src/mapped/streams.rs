//! Which Datastream a device's reading is of: those of one owner by `source_id` of their Thing and
//! `source_key` of their own.
//!
//! Numbers only are found here, among rows as they are kept; whether somebody may add to a stream is
//! asked through the session afterwards.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, StringArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use pack::mapped::StreamBy;
use serde_json::Value;

use crate::{City, CityError};

const THING: &str = "sensing.thing";
const DATASTREAM: &str = "sensing.datastream";
/// What a Thing's `properties` call it in its source.
const SOURCE_ID: &str = "source_id";
/// And a Datastream's, its values.
const SOURCE_KEY: &str = "source_key";
/// What was found holds for so many times as long as finding it took, whatever changes.
pub(super) const INDEX_SHARE: u32 = 20;

/// A Datastream as readings find it.
#[derive(Debug, Clone)]
pub(super) struct At {
    pub stream: i64,
    /// The symbol of its unit.
    pub unit: Option<Arc<str>>,
}

/// The Datastreams of one owner.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By device and key; none where two have the same.
    by_key: HashMap<(Box<str>, Box<str>), Option<At>>,
    by_id: HashMap<i64, At>,
}

/// Why no Datastream was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoStream {
    #[error(
        "no Datastream with source_key `{key}` of a Thing with source_id `{device}`: make one, or \
         write these into the properties of one that is there"
    )]
    Unknown { device: String, key: String },
    #[error(
        "several Datastreams have source_key `{key}` and source_id `{device}`: let one have them"
    )]
    Ambiguous { device: String, key: String },
    #[error("there is no Datastream {0} of the source's owner")]
    NoNumber(i64),
}

impl Index {
    pub fn find(&self, device: &str, by: &StreamBy) -> Result<&At, NoStream> {
        match by {
            StreamBy::Id(id) => self.by_id.get(id).ok_or(NoStream::NoNumber(*id)),
            StreamBy::Key(key) => {
                let place: (Box<str>, Box<str>) = (device.into(), key.as_str().into());
                let (device, key) = (device.to_owned(), key.clone());
                match self.by_key.get(&place) {
                    Some(Some(at)) => Ok(at),
                    Some(None) => Err(NoStream::Ambiguous { device, key }),
                    None => Err(NoStream::Unknown { device, key }),
                }
            }
        }
    }

    fn add(&mut self, device: &str, key: String, at: At) {
        let place = self.by_key.entry((device.into(), key.into()));
        place.and_modify(|known| *known = None).or_insert(Some(at));
    }
}

impl City {
    /// The Datastreams of an owner, as they are, or were a moment ago.
    pub(super) async fn mapped_index(&self, owner: &str) -> Result<Arc<Index>, CityError> {
        let version = || {
            let registers = self.registers();
            Some(registers.version(THING) + registers.version(DATASTREAM))
        };
        self.mapping.index.get(owner, version, self.make_index(owner)).await
    }

    async fn make_index(&self, owner: &str) -> Result<Arc<Index>, CityError> {
        let things = self.contract(THING)?;
        let found = self.registers().find(things, |rows| marked(rows, owner, SOURCE_ID)).await?;
        let mut devices: HashMap<i64, Box<str>> = HashMap::new();
        for_each(&found.rows, |row| {
            if let Some(device) = property(row.properties, SOURCE_ID) {
                devices.insert(row.id, device.into());
            }
        });
        let named = self.named_streams(owner);
        let choose = |rows: &RecordBatch| {
            let keyed = marked(rows, owner, SOURCE_KEY);
            let ids = rows.column_by_name("id").and_then(|ids| ids.as_primitive_opt::<Int64Type>());
            let owners = texts(rows, "owner");
            let (Some(ids), Some(owners)) = (ids, owners) else { return keyed };
            let wanted = (0..rows.num_rows()).map(|row| {
                let by_id = named.contains(&ids.value(row)) && owners.value(row) == owner;
                Some(keyed.value(row) || by_id)
            });
            wanted.collect()
        };
        let found = self.registers().find(self.contract(DATASTREAM)?, choose).await?;
        let mut index = Index::default();
        let mut units: HashMap<String, Arc<str>> = HashMap::new();
        for_each(&found.rows, |row| {
            let unit = row.unit.and_then(symbol).map(|symbol| {
                let shared = units.entry(symbol.clone()).or_insert_with(|| symbol.into());
                Arc::clone(shared)
            });
            let at = At { stream: row.id, unit };
            if named.contains(&row.id) {
                index.by_id.insert(row.id, at.clone());
            }
            let device = row.thing.and_then(|thing| devices.get(&thing));
            if let (Some(device), Some(key)) = (device, property(row.properties, SOURCE_KEY)) {
                index.add(device, key, at);
            }
        });
        Ok(Arc::new(index))
    }

    /// The Datastreams that sources of this owner name by their numbers.
    fn named_streams(&self, owner: &str) -> BTreeSet<i64> {
        let sources = self.pack().sources.iter().filter(|source| source.owner == owner);
        let readings = sources.flat_map(|source| &source.readings);
        readings
            .filter_map(|reading| match reading.stream {
                StreamBy::Id(id) => Some(id),
                StreamBy::Key(_) => None,
            })
            .collect()
    }
}

/// One row's cells.
struct Row<'r> {
    id: i64,
    thing: Option<i64>,
    properties: Option<&'r str>,
    unit: Option<&'r str>,
}

fn for_each(rows: &RecordBatch, mut what: impl FnMut(Row<'_>)) {
    let numbers = |name: &str| {
        rows.column_by_name(name).and_then(|cells| cells.as_primitive_opt::<Int64Type>())
    };
    let (ids, things) = (numbers("id"), numbers("thing"));
    let (properties, units) = (texts(rows, "properties"), texts(rows, "unit_of_measurement"));
    for row in 0..rows.num_rows() {
        let Some(id) = ids.map(|ids| ids.value(row)) else { continue };
        what(Row {
            id,
            thing: things.filter(|things| things.is_valid(row)).map(|things| things.value(row)),
            properties: cell(properties, row),
            unit: cell(units, row),
        });
    }
}

fn texts<'r>(rows: &'r RecordBatch, name: &str) -> Option<&'r StringArray> {
    rows.column_by_name(name)?.as_string_opt::<i32>()
}

fn cell(cells: Option<&StringArray>, row: usize) -> Option<&str> {
    cells.filter(|cells| cells.is_valid(row)).map(|cells| cells.value(row))
}

/// The rows of an owner whose properties may have this member.
fn marked(rows: &RecordBatch, owner: &str, member: &str) -> BooleanArray {
    let (owners, properties) = (texts(rows, "owner"), texts(rows, "properties"));
    let is_marked = |row: usize| {
        let own = cell(owners, row).is_some_and(|cell| cell == owner);
        own && cell(properties, row).is_some_and(|cell| cell.contains(member))
    };
    (0..rows.num_rows()).map(|row| Some(is_marked(row))).collect()
}

/// A member of properties that is a text or a number.
fn property(properties: Option<&str>, member: &str) -> Option<String> {
    let properties: Value = serde_json::from_str(properties?).ok()?;
    match properties.get(member)? {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The symbol of a unit of measurement.
fn symbol(unit: &str) -> Option<String> {
    let unit: Value = serde_json::from_str(unit).ok()?;
    let symbol = unit.get("symbol")?.as_str()?.trim();
    (!symbol.is_empty()).then(|| symbol.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_two_have_finds_neither() {
        let mut index = Index::default();
        let at = |stream| At { stream, unit: None };
        index.add("W-1", "level".to_owned(), at(1));
        index.add("W-2", "level".to_owned(), at(2));
        let level = StreamBy::Key("level".to_owned());
        assert_eq!(index.find("W-1", &level).map(|at| at.stream), Ok(1));
        index.add("W-1", "level".to_owned(), at(3));
        assert!(matches!(index.find("W-1", &level), Err(NoStream::Ambiguous { .. })));
        assert_eq!(index.find("W-2", &level).map(|at| at.stream), Ok(2));
        assert!(matches!(index.find("W-3", &level), Err(NoStream::Unknown { .. })));
        assert_eq!(index.find("W-1", &StreamBy::Id(9)).unwrap_err(), NoStream::NoNumber(9));
    }

    #[test]
    fn properties_say_what_a_thing_is_called() {
        assert_eq!(property(Some(r#"{"source_id":" W-1 "}"#), SOURCE_ID), Some("W-1".to_owned()));
        assert_eq!(property(Some(r#"{"source_id":17}"#), SOURCE_ID), Some("17".to_owned()));
        assert_eq!(property(Some(r#"{"source_id":null}"#), SOURCE_ID), None);
        assert_eq!(symbol(r#"{"name":"metre","symbol":"m","definition":null}"#), Some("m".into()));
        assert_eq!(symbol(r#"{"name":null,"symbol":null}"#), None);
    }
}
