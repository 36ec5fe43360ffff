//! Answers of SQL with their cells by column and row, and a row as the entity that it is.
//!
//! A query that selects reads a part of an entity's columns. What was not read is filled with what
//! is valid and never written: the writer is told the same selection.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use geo_types::Geometry;
use sensing::entity::{
    At, DatastreamRow, Entity, FeatureOfInterestRow, HistoricalLocationRow, Item, LocationRow,
    ObservationRow, ObservedPropertyRow, SensorRow, ThingRow, geojson,
};
use sensing::odata::EntityId;
use sensing::plan::ObservationKey;
use sensing::schema::EntityKind;

use crate::CityError;

const UNIT_UNREAD: &str = r#"{"name":null,"symbol":null,"definition":null}"#;
const TYPE_UNREAD: &str = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Observation";
const PLACE_UNREAD: &str = "{}";

#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: usize,
    columns: HashMap<String, ArrayRef>,
}

impl Table {
    pub fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self, CityError> {
        let batch = concat_batches(schema, batches)?;
        let mut columns = HashMap::new();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            columns.insert(field.name().clone(), plain(column)?);
        }
        Ok(Self { rows: batch.num_rows(), columns })
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    fn cells(&self, name: &str, row: usize) -> Option<&ArrayRef> {
        self.columns.get(name).filter(|_| row < self.rows)
    }

    pub fn integer(&self, name: &str, row: usize) -> Option<i64> {
        let column = self.cells(name, row)?.as_primitive_opt::<Int64Type>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    pub fn number(&self, name: &str, row: usize) -> Option<f64> {
        let column = self.cells(name, row)?.as_primitive_opt::<Float64Type>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    /// µs since 1970, UTC.
    pub fn instant(&self, name: &str, row: usize) -> Option<i64> {
        let column = self.cells(name, row)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    pub fn flag(&self, name: &str, row: usize) -> Option<bool> {
        let column = self.cells(name, row)?.as_boolean_opt()?;
        column.is_valid(row).then(|| column.value(row))
    }

    pub fn text(&self, name: &str, row: usize) -> Option<String> {
        let column = self.cells(name, row)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    }

    pub fn bytes(&self, name: &str, row: usize) -> Option<Vec<u8>> {
        let column = self.cells(name, row)?.as_binary_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_vec())
    }

    fn text_or(&self, name: &str, row: usize, unread: &str) -> String {
        self.text(name, row).unwrap_or_else(|| unread.to_owned())
    }

    /// The row as an entity with its id.
    pub fn item(&self, kind: EntityKind, row: usize) -> Result<Item, CityError> {
        let damaged = |why: String| CityError::Kept(format!("{}: {why}", super::dataset(kind)));
        if kind == EntityKind::Observation {
            let observation = self.observation(row).ok_or_else(|| damaged("no key".to_owned()))?;
            let id = observation.id().map_err(|fault| damaged(fault.to_string()))?;
            let entity = observation.entity().map_err(|fault| damaged(fault.to_string()))?;
            return Ok(Item::new(id.into(), entity));
        }
        let id = self.integer("id", row).ok_or_else(|| damaged("no id".to_owned()))?;
        let entity = self.entity(kind, id, row).map_err(|fault| damaged(fault.to_string()))?;
        Ok(Item::new(EntityId::Integer(id), entity))
    }

    fn entity(&self, kind: EntityKind, id: i64, row: usize) -> sensing::entity::Result<Entity> {
        let name = self.text_or("name", row, "");
        let description = self.text_or("description", row, "");
        let properties = self.text("properties", row);
        let encoding_type = self.text_or("encoding_type", row, "");
        match kind {
            EntityKind::Thing => ThingRow {
                id,
                name,
                description,
                properties,
                owner: None,
                area_code: None,
                sharing: None,
                network: None,
                geometry: None,
            }
            .entity(),
            EntityKind::Location => LocationRow {
                id,
                name,
                description,
                encoding_type,
                location: self.text_or("location", row, PLACE_UNREAD),
                properties,
                owner: None,
                geometry: None,
            }
            .entity(),
            EntityKind::FeatureOfInterest => FeatureOfInterestRow {
                id,
                name,
                description,
                encoding_type,
                feature: self.text_or("feature", row, PLACE_UNREAD),
                properties,
                owner: None,
                geometry: None,
            }
            .entity(),
            EntityKind::HistoricalLocation => {
                let time = self.instant("time", row).unwrap_or(0);
                HistoricalLocationRow { id, thing: 0, time }.entity()
            }
            EntityKind::Sensor => SensorRow {
                id,
                name,
                description,
                encoding_type,
                metadata: self.text_or("metadata", row, "null"),
                properties,
                owner: None,
            }
            .entity(),
            EntityKind::ObservedProperty => ObservedPropertyRow {
                id,
                name,
                definition: self.text_or("definition", row, ""),
                description,
                properties,
                owner: None,
            }
            .entity(),
            EntityKind::Datastream | EntityKind::MultiDatastream | EntityKind::Observation => {
                let multi = kind == EntityKind::MultiDatastream;
                let units = self.text("unit_of_measurement", row);
                let types = self.text("data_types", row);
                let (units, types) = if multi { paired(units, types) } else { (units, types) };
                DatastreamRow {
                    id,
                    name,
                    description,
                    observation_type: self.text_or("observation_type", row, TYPE_UNREAD),
                    unit_of_measurement: units.unwrap_or_else(|| UNIT_UNREAD.to_owned()),
                    data_types: types,
                    multi,
                    properties,
                    thing: 0,
                    sensor: 0,
                    observed_property: None,
                    owner: None,
                    phenomenon_start: self.instant("phenomenon_start", row),
                    phenomenon_end: self.instant("phenomenon_end", row),
                    result_start: self.instant("result_start", row),
                    result_end: self.instant("result_end", row),
                    observed_area: self.bytes("observed_area", row).and_then(|wkb| geometry(&wkb)),
                }
                .entity()
            }
        }
    }

    /// Where an observation is.
    pub fn key(&self, row: usize) -> Option<ObservationKey> {
        Some(ObservationKey {
            datastream: self.integer("datastream", row)?,
            time_us: self.instant("phenomenon_time", row)?,
            ordinal: self.integer("ordinal", row)?,
        })
    }

    /// An observation with all that its row holds.
    pub fn kept_observation(&self, row: usize) -> Option<ObservationRow> {
        Some(ObservationRow {
            feature_of_interest: self.integer("feature_of_interest", row),
            flags: self.integer("flags", row)?,
            ..self.observation(row)?
        })
    }

    fn observation(&self, row: usize) -> Option<ObservationRow> {
        let result_json = self.text("result_json", row);
        let result_number = self.number("result_number", row);
        // Of a row whose result was not read, any will do.
        let result_number = match (&result_json, result_number) {
            (None, None) => Some(0.0),
            _ => result_number,
        };
        Some(ObservationRow {
            datastream: self.integer("datastream", row)?,
            phenomenon_time: self.instant("phenomenon_time", row)?,
            ordinal: u32::try_from(self.integer("ordinal", row)?).ok()?,
            phenomenon_end: self.instant("phenomenon_end", row),
            result_time: self.instant("result_time", row),
            result_number,
            result_json,
            result_quality: self.text("result_quality", row),
            valid_start: self.instant("valid_start", row),
            valid_end: self.instant("valid_end", row),
            parameters: self.text("parameters", row),
            feature_of_interest: None,
            flags: 0,
            owner: None,
        })
    }
}

/// A column in the one type that cells of its kind are read from.
fn plain(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let to = match column.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Dictionary(..) => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Timestamp(..) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ty if ty.is_integer() => DataType::Int64,
        ty if ty.is_floating() => DataType::Float64,
        _ => return Ok(column.clone()),
    };
    cast(column, &to)
}

/// Units and types of a MultiDatastream are as many: of what was not read, as of what was.
fn paired(units: Option<String>, types: Option<String>) -> (Option<String>, Option<String>) {
    let length = |text: &Option<String>| {
        let read = text.as_ref().and_then(|text| serde_json::from_str(text).ok());
        read.map(|items: Vec<serde_json::Value>| items.len())
    };
    let count = length(&units).or(length(&types)).unwrap_or(1);
    let repeated = |item: &str| format!("[{}]", vec![item; count].join(","));
    let kind = format!("\"{TYPE_UNREAD}\"");
    (units.or_else(|| Some(repeated(UNIT_UNREAD))), types.or_else(|| Some(repeated(&kind))))
}

pub(crate) fn geometry(wkb: &[u8]) -> Option<Geometry<f64>> {
    let mut text = String::new();
    let whole = |lon: f64, lat: f64| (lon, lat);
    if !spatial::geojson(wkb, &whole, &mut text) {
        return None;
    }
    geojson::geometry(At::Root, &serde_json::from_str(&text).ok()?).ok()
}
