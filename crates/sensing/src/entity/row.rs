//! Entities as rows of the tables they are kept in (decision 0012), and back.
//!
//! A row has exactly the columns of its table: JSON as text, times in µs, geometries as geometries.
//! What no entity says — whose it is, who may see it, where a Thing is now — comes with the rows
//! and goes with them. A row that storage gives back is checked like a body: it is a way in.

use geo_types::Geometry;
use serde_json::Value;

use super::fault::{At, Fault, Result};
use super::geojson;
use super::id::ObservationId;
use super::json::{Json, push_text, value_of};
use super::model::{
    Datastream, Entity, Extent, FeatureOfInterest, HistoricalLocation, Location, MultiDatastream,
    Observation, ObservedProperty, Outcome, Sensor, Thing, Unit,
};
use super::observation_type::ObservationType;
use super::property::push_unit;
use super::read::{read_data_types, read_unit, read_units};
use super::time::{Moment, Period, TimeObject};

/// `sensing.thing`
#[derive(Debug, Clone, PartialEq)]
pub struct ThingRow {
    pub id: i64,
    pub name: String,
    pub description: String,
    pub properties: Option<String>,
    pub owner: Option<String>,
    pub area_code: Option<String>,
    pub sharing: Option<String>,
    pub network: Option<String>,
    /// Of its newest location.
    pub geometry: Option<Geometry<f64>>,
}

/// `sensing.location`
#[derive(Debug, Clone, PartialEq)]
pub struct LocationRow {
    pub id: i64,
    pub name: String,
    pub description: String,
    pub encoding_type: String,
    pub location: String,
    pub properties: Option<String>,
    pub owner: Option<String>,
    pub geometry: Option<Geometry<f64>>,
}

/// `sensing.thing_location`: where a Thing is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThingLocationRow {
    pub thing: i64,
    pub location: i64,
}

/// `sensing.historical_location`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoricalLocationRow {
    pub id: i64,
    pub thing: i64,
    pub time: i64,
}

/// `sensing.historical_location_place`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoricalLocationPlaceRow {
    pub historical_location: i64,
    pub location: i64,
}

/// `sensing.sensor`
#[derive(Debug, Clone, PartialEq)]
pub struct SensorRow {
    pub id: i64,
    pub name: String,
    pub description: String,
    pub encoding_type: String,
    pub metadata: String,
    pub properties: Option<String>,
    pub owner: Option<String>,
}

/// `sensing.observed_property`
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedPropertyRow {
    pub id: i64,
    pub name: String,
    pub definition: String,
    pub description: String,
    pub properties: Option<String>,
    pub owner: Option<String>,
}

/// `sensing.datastream`, of Datastreams and MultiDatastreams.
#[derive(Debug, Clone, PartialEq)]
pub struct DatastreamRow {
    pub id: i64,
    pub name: String,
    pub description: String,
    pub observation_type: String,
    /// A unit, or of a MultiDatastream an array of them.
    pub unit_of_measurement: String,
    /// Of a MultiDatastream, an array of types.
    pub data_types: Option<String>,
    pub multi: bool,
    pub properties: Option<String>,
    pub thing: i64,
    pub sensor: i64,
    /// Of a plain one; those of a MultiDatastream have a table.
    pub observed_property: Option<i64>,
    pub owner: Option<String>,
    pub phenomenon_start: Option<i64>,
    pub phenomenon_end: Option<i64>,
    pub result_start: Option<i64>,
    pub result_end: Option<i64>,
    pub observed_area: Option<Geometry<f64>>,
}

/// `sensing.datastream_observed_property`, of a MultiDatastream, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatastreamObservedPropertyRow {
    pub datastream: i64,
    pub position: i32,
    pub observed_property: i64,
}

/// `sensing.feature_of_interest`
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureOfInterestRow {
    pub id: i64,
    pub name: String,
    pub description: String,
    pub encoding_type: String,
    pub feature: String,
    pub properties: Option<String>,
    pub owner: Option<String>,
    pub geometry: Option<Geometry<f64>>,
}

/// `sensing.observation`
#[derive(Debug, Clone, PartialEq)]
pub struct ObservationRow {
    pub datastream: i64,
    pub phenomenon_time: i64,
    pub ordinal: u32,
    pub phenomenon_end: Option<i64>,
    pub result_time: Option<i64>,
    /// A number, or else the next column.
    pub result_number: Option<f64>,
    pub result_json: Option<String>,
    pub result_quality: Option<String>,
    pub valid_start: Option<i64>,
    pub valid_end: Option<i64>,
    pub parameters: Option<String>,
    pub feature_of_interest: Option<i64>,
    /// What quality rules found; the ingest's to set.
    pub flags: i64,
    pub owner: Option<String>,
}

impl ThingRow {
    pub fn new(id: i64, thing: Thing) -> Self {
        Self {
            id,
            name: thing.name,
            description: thing.description,
            properties: thing.properties.map(Json::into_text),
            owner: None,
            area_code: None,
            sharing: None,
            network: None,
            geometry: None,
        }
    }

    pub fn entity(self) -> Result<Entity> {
        Ok(Entity::Thing(Thing {
            name: self.name,
            description: self.description,
            properties: json("properties", self.properties)?,
        }))
    }
}

impl LocationRow {
    pub fn new(id: i64, location: Location) -> Self {
        Self {
            id,
            geometry: geometry(&location.encoding_type, &location.location),
            name: location.name,
            description: location.description,
            encoding_type: location.encoding_type,
            location: location.location.into_text(),
            properties: location.properties.map(Json::into_text),
            owner: None,
        }
    }

    pub fn entity(self) -> Result<Entity> {
        Ok(Entity::Location(Location {
            name: self.name,
            description: self.description,
            encoding_type: self.encoding_type,
            location: Json::parse(&self.location).map_err(|fault| of("location", fault))?,
            properties: json("properties", self.properties)?,
        }))
    }
}

impl FeatureOfInterestRow {
    pub fn new(id: i64, feature: FeatureOfInterest) -> Self {
        Self {
            id,
            geometry: geometry(&feature.encoding_type, &feature.feature),
            name: feature.name,
            description: feature.description,
            encoding_type: feature.encoding_type,
            feature: feature.feature.into_text(),
            properties: feature.properties.map(Json::into_text),
            owner: None,
        }
    }

    pub fn entity(self) -> Result<Entity> {
        Ok(Entity::FeatureOfInterest(FeatureOfInterest {
            name: self.name,
            description: self.description,
            encoding_type: self.encoding_type,
            feature: Json::parse(&self.feature).map_err(|fault| of("feature", fault))?,
            properties: json("properties", self.properties)?,
        }))
    }
}

impl HistoricalLocationRow {
    pub fn new(id: i64, thing: i64, historical: HistoricalLocation) -> Self {
        Self { id, thing, time: historical.time.micros() }
    }

    pub fn entity(self) -> Result<Entity> {
        Ok(Entity::HistoricalLocation(HistoricalLocation { time: moment("time", self.time)? }))
    }
}

impl SensorRow {
    pub fn new(id: i64, sensor: Sensor) -> Self {
        Self {
            id,
            name: sensor.name,
            description: sensor.description,
            encoding_type: sensor.encoding_type,
            metadata: sensor.metadata.into_text(),
            properties: sensor.properties.map(Json::into_text),
            owner: None,
        }
    }

    pub fn entity(self) -> Result<Entity> {
        Ok(Entity::Sensor(Sensor {
            name: self.name,
            description: self.description,
            encoding_type: self.encoding_type,
            metadata: Json::parse(&self.metadata).map_err(|fault| of("metadata", fault))?,
            properties: json("properties", self.properties)?,
        }))
    }
}

impl ObservedPropertyRow {
    pub fn new(id: i64, property: ObservedProperty) -> Self {
        Self {
            id,
            name: property.name,
            definition: property.definition,
            description: property.description,
            properties: property.properties.map(Json::into_text),
            owner: None,
        }
    }

    pub fn entity(self) -> Result<Entity> {
        Ok(Entity::ObservedProperty(ObservedProperty {
            name: self.name,
            definition: self.definition,
            description: self.description,
            properties: json("properties", self.properties)?,
        }))
    }
}

impl DatastreamRow {
    pub fn new(
        id: i64,
        stream: Datastream,
        thing: i64,
        sensor: i64,
        observed_property: i64,
    ) -> Self {
        let mut unit = String::new();
        push_unit(&mut unit, &stream.unit_of_measurement);
        let row = Self::of_stream(id, stream.name, stream.description, thing, sensor);
        Self {
            observation_type: stream.observation_type.uri(),
            unit_of_measurement: unit,
            observed_property: Some(observed_property),
            properties: stream.properties.map(Json::into_text),
            ..row.covering(stream.extent)
        }
    }

    pub fn new_multi(id: i64, stream: MultiDatastream, thing: i64, sensor: i64) -> Self {
        let units = text_of_list(&stream.units_of_measurement, push_unit);
        let types = text_of_list(&stream.data_types, |out, kind| {
            push_text(out, &kind.uri());
        });
        let row = Self::of_stream(id, stream.name, stream.description, thing, sensor);
        Self {
            observation_type: ObservationType::Complex.uri(),
            unit_of_measurement: units,
            data_types: Some(types),
            multi: true,
            properties: stream.properties.map(Json::into_text),
            ..row.covering(stream.extent)
        }
    }

    fn of_stream(id: i64, name: String, description: String, thing: i64, sensor: i64) -> Self {
        Self {
            id,
            name,
            description,
            observation_type: String::new(),
            unit_of_measurement: String::new(),
            data_types: None,
            multi: false,
            properties: None,
            thing,
            sensor,
            observed_property: None,
            owner: None,
            phenomenon_start: None,
            phenomenon_end: None,
            result_start: None,
            result_end: None,
            observed_area: None,
        }
    }

    fn covering(self, extent: Extent) -> Self {
        let start = |period: Option<Period>| period.map(|period| period.start().micros());
        let end = |period: Option<Period>| period.map(|period| period.end().micros());
        Self {
            phenomenon_start: start(extent.phenomenon_time),
            phenomenon_end: end(extent.phenomenon_time),
            result_start: start(extent.result_time),
            result_end: end(extent.result_time),
            observed_area: extent.observed_area,
            ..self
        }
    }

    pub fn entity(self) -> Result<Entity> {
        let root = At::Root;
        let unit_at = root.member("unit_of_measurement");
        let types_at = root.member("data_types");
        let unit = value("unit_of_measurement", &self.unit_of_measurement)?;
        let phenomenon = period("phenomenon_end", self.phenomenon_start, self.phenomenon_end)?;
        let extent = Extent {
            observed_area: self.observed_area,
            phenomenon_time: phenomenon,
            result_time: period("result_end", self.result_start, self.result_end)?,
        };
        let properties = json("properties", self.properties)?;
        let (name, description) = (self.name, self.description);
        if !self.multi {
            return Ok(Entity::Datastream(Datastream {
                name,
                description,
                unit_of_measurement: read_unit(unit_at, unit)?,
                observation_type: ObservationType::parse(&self.observation_type)?,
                extent,
                properties,
            }));
        }
        let types = self.data_types.as_deref().unwrap_or("[]");
        let data_types =
            read_data_types(types_at, array("data_types", value("data_types", types)?)?)?;
        let units_of_measurement: Vec<Unit> =
            read_units(unit_at, array("unit_of_measurement", unit)?)?;
        if units_of_measurement.len() != data_types.len() {
            return Err(Fault::new(unit_at, "as many units as data types are needed"));
        }
        Ok(Entity::MultiDatastream(MultiDatastream {
            name,
            description,
            units_of_measurement,
            data_types,
            extent,
            properties,
        }))
    }
}

impl ObservationRow {
    pub fn new(id: ObservationId, observation: Observation, feature: Option<i64>) -> Self {
        debug_assert_eq!(id.time(), observation.phenomenon_time.start(), "its id says where it is");
        let (result_number, result_json) = match observation.result {
            Outcome::Number(number) => (Some(number), None),
            Outcome::Other(json) => (None, Some(json.into_text())),
        };
        Self {
            datastream: id.datastream(),
            phenomenon_time: id.time().micros(),
            ordinal: id.ordinal(),
            phenomenon_end: observation.phenomenon_time.end().map(Moment::micros),
            result_time: observation.result_time.map(Moment::micros),
            result_number,
            result_json,
            result_quality: observation.result_quality.map(Json::into_text),
            valid_start: observation.valid_time.map(|period| period.start().micros()),
            valid_end: observation.valid_time.map(|period| period.end().micros()),
            parameters: observation.parameters.map(Json::into_text),
            feature_of_interest: feature,
            flags: 0,
            owner: None,
        }
    }

    pub fn id(&self) -> Result<ObservationId> {
        let time = moment("phenomenon_time", self.phenomenon_time)?;
        let root = At::Root;
        ObservationId::new(self.datastream, time, self.ordinal)
            .ok_or_else(|| Fault::new(root.member("datastream"), "no number of a datastream"))
    }

    pub fn entity(self) -> Result<Entity> {
        let root = At::Root;
        let start = Some(self.phenomenon_time);
        let phenomenon_time = match self.phenomenon_end {
            None => TimeObject::Moment(moment("phenomenon_time", self.phenomenon_time)?),
            end => match period("phenomenon_end", start, end)? {
                Some(period) => TimeObject::Period(period),
                None => return Err(Fault::new(root.member("phenomenon_end"), "no interval")),
            },
        };
        let result = match (self.result_number, self.result_json) {
            (Some(number), None) if number.is_finite() => Outcome::Number(number),
            (None, Some(text)) => Outcome::of(&value("result_json", &text)?),
            _ => {
                let fault = Fault::new(root.member("result_number"), "no result, or two");
                return Err(fault.expected("a finite number, or result_json"));
            }
        };
        Ok(Entity::Observation(Observation {
            phenomenon_time,
            result,
            result_time: self.result_time.map(|time| moment("result_time", time)).transpose()?,
            result_quality: json("result_quality", self.result_quality)?,
            valid_time: period("valid_end", self.valid_start, self.valid_end)?,
            parameters: json("parameters", self.parameters)?,
        }))
    }
}

/// The geometry of what is GeoJSON.
fn geometry(encoding_type: &str, value: &Json) -> Option<Geometry<f64>> {
    let is_geojson = geojson::is_geojson(encoding_type);
    is_geojson.then(|| geojson::location(At::Root, &value.value()).ok()).flatten()
}

fn text_of_list<T>(items: &[T], push: impl Fn(&mut String, &T)) -> String {
    let mut out = "[".to_owned();
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        push(&mut out, item);
    }
    out.push(']');
    out
}

/// A fault inside of a column.
fn of(column: &str, mut fault: Box<Fault>) -> Box<Fault> {
    fault.pointer = format!("/{column}{}", fault.pointer);
    fault
}

fn value(column: &str, text: &str) -> Result<Value> {
    value_of(text.as_bytes()).map_err(|fault| of(column, fault))
}

fn json(column: &str, text: Option<String>) -> Result<Option<Json>> {
    text.map(|text| Json::parse(&text)).transpose().map_err(|fault| of(column, fault))
}

fn array(column: &str, value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(of(column, Fault::wrong_type(At::Root, "an array", &other))),
    }
}

fn moment(column: &str, micros: i64) -> Result<Moment> {
    let root = At::Root;
    Moment::from_micros(micros).ok_or_else(|| {
        let fault = Fault::new(root.member(column), "a time outside of the years 0000 to 9999");
        fault.found(format!("{micros} µs"))
    })
}

/// Of both columns or of neither.
fn period(column: &str, start: Option<i64>, end: Option<i64>) -> Result<Option<Period>> {
    let root = At::Root;
    match (start, end) {
        (None, None) => Ok(None),
        (Some(start), Some(end)) => {
            Period::new(moment(column, start)?, moment(column, end)?).map(Some).ok_or_else(|| {
                Fault::new(root.member(column), "an interval that ends before it begins")
            })
        }
        _ => Err(Fault::new(root.member(column), "one end of an interval without the other")),
    }
}
