//! Entities as rows of their datasets: the columns of each, all rows of a new tree, and one row of
//! an entity that is changed.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use catalog::Session;
use sensing::entity::{
    DatastreamObservedPropertyRow, DatastreamRow, Entity, FeatureOfInterestRow,
    HistoricalLocationPlaceRow, HistoricalLocationRow, LocationRow, ObservedPropertyRow, SensorRow,
    Thing, ThingLocationRow, ThingRow, wkb,
};
use sensing::schema::EntityKind;

use super::columns::{Columns, Terms};
use super::draft::{Draft, Far, Node};
use super::{
    DATASTREAM, DATASTREAM_PROPERTY, FEATURE, HISTORICAL_LOCATION, HISTORICAL_PLACE, LOCATION,
    THING, THING_LOCATION, dataset,
};
use crate::objects::in_scope;
use crate::{City, CityError};

/// The rows of a body, by dataset.
#[derive(Default)]
pub(super) struct Rows {
    pub sensors: Vec<SensorRow>,
    pub properties: Vec<ObservedPropertyRow>,
    pub locations: Vec<LocationRow>,
    pub things: Vec<ThingRow>,
    pub at: Vec<ThingLocationRow>,
    pub historical: Vec<HistoricalLocationRow>,
    pub historical_at: Vec<HistoricalLocationPlaceRow>,
    pub streams: Vec<DatastreamRow>,
    pub stream_properties: Vec<DatastreamObservedPropertyRow>,
    pub features: Vec<FeatureOfInterestRow>,
    /// Where new Things are, as WKB.
    pub places: BTreeMap<i64, Vec<u8>>,
}

impl Rows {
    pub fn add(&mut self, session: &Session, draft: &Draft, node: &Node) -> Result<(), CityError> {
        let id = node.id;
        let one = |navigation: &str| {
            let missing = || CityError::Invalid(format!("`{navigation}` is missing"));
            draft.one(node, navigation).ok_or_else(missing)
        };
        match node.entity.clone() {
            Entity::Thing(thing) => {
                let (area_code, network) = (told(&thing, "area_code"), told(&thing, "network"));
                may_be_in(session, area_code.as_deref())?;
                self.things.push(ThingRow { area_code, network, ..ThingRow::new(id, thing) });
            }
            Entity::Location(location) => {
                self.locations.push(LocationRow::new(id, location));
                for far in node.links("HistoricalLocations") {
                    // A new one holds the link itself.
                    if let Far::Existing(historical_location) = far {
                        self.historical_at
                            .push(HistoricalLocationPlaceRow { historical_location, location: id });
                    }
                }
            }
            Entity::Sensor(sensor) => self.sensors.push(SensorRow::new(id, sensor)),
            Entity::ObservedProperty(property) => {
                self.properties.push(ObservedPropertyRow::new(id, property));
            }
            Entity::FeatureOfInterest(feature) => {
                self.features.push(FeatureOfInterestRow::new(id, feature));
            }
            Entity::HistoricalLocation(historical) => {
                self.historical.push(HistoricalLocationRow::new(id, one("Thing")?, historical));
                for far in node.links("Locations") {
                    let location = draft.id(far);
                    let historical_location = id;
                    self.historical_at
                        .push(HistoricalLocationPlaceRow { historical_location, location });
                }
            }
            Entity::Datastream(stream) => {
                let (thing, sensor) = (one("Thing")?, one("Sensor")?);
                let property = one("ObservedProperty")?;
                self.streams.push(DatastreamRow::new(id, stream, thing, sensor, property));
            }
            Entity::MultiDatastream(stream) => {
                let (thing, sensor) = (one("Thing")?, one("Sensor")?);
                self.streams.push(DatastreamRow::new_multi(id, stream, thing, sensor));
                let properties = node.links("ObservedProperties").map(|far| draft.id(far));
                self.stream_properties.extend(properties_of(id, properties));
            }
            Entity::Observation(_) => {}
        }
        Ok(())
    }

    pub fn batches(
        &self,
        city: &City,
        terms: &Terms,
    ) -> Result<Vec<(&'static str, RecordBatch)>, CityError> {
        let (sensor, property) =
            (dataset(EntityKind::Sensor), dataset(EntityKind::ObservedProperty));
        let place = |row: &ThingRow| self.places.get(&row.id).cloned();
        Ok(vec![
            (sensor, batch(city, sensor, sensor_columns(&self.sensors), terms)?),
            (property, batch(city, property, property_columns(&self.properties), terms)?),
            (LOCATION, batch(city, LOCATION, location_columns(&self.locations), terms)?),
            (THING, batch(city, THING, thing_columns(&self.things, place), terms)?),
            (THING_LOCATION, batch(city, THING_LOCATION, at_columns(&self.at), terms)?),
            (
                HISTORICAL_LOCATION,
                batch(city, HISTORICAL_LOCATION, historical_columns(&self.historical), terms)?,
            ),
            (
                HISTORICAL_PLACE,
                batch(city, HISTORICAL_PLACE, place_columns(&self.historical_at), terms)?,
            ),
            (DATASTREAM, batch(city, DATASTREAM, stream_columns(&self.streams), terms)?),
            (
                DATASTREAM_PROPERTY,
                batch(
                    city,
                    DATASTREAM_PROPERTY,
                    stream_property_columns(&self.stream_properties),
                    terms,
                )?,
            ),
            (FEATURE, batch(city, FEATURE, feature_columns(&self.features, None), terms)?),
        ])
    }
}

/// What a row holds of others, beside what its entity says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub thing: i64,
    pub sensor: i64,
    pub observed_property: i64,
}

/// The row of an entity. What neither it nor `held` says is empty.
pub(super) fn row_of(
    city: &City,
    id: i64,
    entity: Entity,
    held: Held,
    terms: &Terms,
) -> Result<RecordBatch, CityError> {
    let name = dataset(entity.kind());
    match entity {
        Entity::Thing(thing) => {
            let rows = [ThingRow::new(id, thing)];
            batch(city, name, thing_columns(&rows, |_| None), terms)
        }
        Entity::Location(location) => {
            batch(city, name, location_columns(&[LocationRow::new(id, location)]), terms)
        }
        Entity::HistoricalLocation(historical) => {
            let rows = [HistoricalLocationRow::new(id, held.thing, historical)];
            batch(city, name, historical_columns(&rows), terms)
        }
        Entity::Datastream(stream) => {
            let Held { thing, sensor, observed_property } = held;
            let rows = [DatastreamRow::new(id, stream, thing, sensor, observed_property)];
            batch(city, name, stream_columns(&rows), terms)
        }
        Entity::MultiDatastream(stream) => {
            let rows = [DatastreamRow::new_multi(id, stream, held.thing, held.sensor)];
            batch(city, name, stream_columns(&rows), terms)
        }
        Entity::Sensor(sensor) => {
            batch(city, name, sensor_columns(&[SensorRow::new(id, sensor)]), terms)
        }
        Entity::ObservedProperty(property) => {
            batch(city, name, property_columns(&[ObservedPropertyRow::new(id, property)]), terms)
        }
        Entity::FeatureOfInterest(feature) => {
            let rows = [FeatureOfInterestRow::new(id, feature)];
            batch(city, name, feature_columns(&rows, None), terms)
        }
        Entity::Observation(_) => {
            Err(CityError::Kept("an observation is no row of a register".to_owned()))
        }
    }
}

/// Columns of a dataset as its rows, all of the same terms.
pub(super) fn batch<R>(
    city: &City,
    dataset: &str,
    columns: Columns<'_, R>,
    terms: &Terms,
) -> Result<RecordBatch, CityError> {
    Ok(columns.terms(|_| terms).batch(city.contract(dataset)?)?)
}

/// The ObservedProperties of a MultiDatastream, in order.
pub(super) fn properties_of(
    datastream: i64,
    properties: impl Iterator<Item = i64>,
) -> impl Iterator<Item = DatastreamObservedPropertyRow> {
    (0..).zip(properties).map(move |(position, observed_property)| DatastreamObservedPropertyRow {
        datastream,
        position,
        observed_property,
    })
}

fn sensor_columns(rows: &[SensorRow]) -> Columns<'_, SensorRow> {
    Columns::of(rows)
        .integer("id", |row| row.id)
        .text("name", |row| row.name.as_str())
        .text("description", |row| row.description.as_str())
        .text("encoding_type", |row| row.encoding_type.as_str())
        .text("metadata", |row| row.metadata.as_str())
        .text_if("properties", |row| row.properties.as_deref())
}

fn property_columns(rows: &[ObservedPropertyRow]) -> Columns<'_, ObservedPropertyRow> {
    Columns::of(rows)
        .integer("id", |row| row.id)
        .text("name", |row| row.name.as_str())
        .text("definition", |row| row.definition.as_str())
        .text("description", |row| row.description.as_str())
        .text_if("properties", |row| row.properties.as_deref())
}

fn location_columns(rows: &[LocationRow]) -> Columns<'_, LocationRow> {
    Columns::of(rows)
        .integer("id", |row| row.id)
        .text("name", |row| row.name.as_str())
        .text("description", |row| row.description.as_str())
        .text("encoding_type", |row| row.encoding_type.as_str())
        .text("location", |row| row.location.as_str())
        .text_if("properties", |row| row.properties.as_deref())
        .place_if("geometry", |row| row.geometry.as_ref().map(wkb))
}

fn thing_columns(
    rows: &[ThingRow],
    place: impl Fn(&ThingRow) -> Option<Vec<u8>>,
) -> Columns<'_, ThingRow> {
    Columns::of(rows)
        .integer("id", |row| row.id)
        .text("name", |row| row.name.as_str())
        .text("description", |row| row.description.as_str())
        .text_if("properties", |row| row.properties.as_deref())
        .text_if("area_code", |row| row.area_code.as_deref())
        .text_if("network", |row| row.network.as_deref())
        .place_if("geometry", place)
}

pub(super) fn at_columns(rows: &[ThingLocationRow]) -> Columns<'_, ThingLocationRow> {
    Columns::of(rows).integer("thing", |row| row.thing).integer("location", |row| row.location)
}

pub(super) fn historical_columns(
    rows: &[HistoricalLocationRow],
) -> Columns<'_, HistoricalLocationRow> {
    Columns::of(rows)
        .integer("id", |row| row.id)
        .integer("thing", |row| row.thing)
        .instant("time", |row| row.time)
}

pub(super) fn place_columns(
    rows: &[HistoricalLocationPlaceRow],
) -> Columns<'_, HistoricalLocationPlaceRow> {
    Columns::of(rows)
        .integer("historical_location", |row| row.historical_location)
        .integer("location", |row| row.location)
}

fn stream_columns(rows: &[DatastreamRow]) -> Columns<'_, DatastreamRow> {
    Columns::of(rows)
        .integer("id", |row| row.id)
        .text("name", |row| row.name.as_str())
        .text("description", |row| row.description.as_str())
        .text("observation_type", |row| row.observation_type.as_str())
        .text("unit_of_measurement", |row| row.unit_of_measurement.as_str())
        .text_if("data_types", |row| row.data_types.as_deref())
        .flag("multi", |row| row.multi)
        .text_if("properties", |row| row.properties.as_deref())
        .integer("thing", |row| row.thing)
        .integer("sensor", |row| row.sensor)
        .integer_if("observed_property", |row| row.observed_property)
        .instant_if("phenomenon_start", |row| row.phenomenon_start)
        .instant_if("phenomenon_end", |row| row.phenomenon_end)
        .instant_if("result_start", |row| row.result_start)
        .instant_if("result_end", |row| row.result_end)
        .place_if("observed_area", |row| row.observed_area.as_ref().map(wkb))
}

pub(super) fn stream_property_columns(
    rows: &[DatastreamObservedPropertyRow],
) -> Columns<'_, DatastreamObservedPropertyRow> {
    Columns::of(rows)
        .integer("datastream", |row| row.datastream)
        .integer("position", |row| i64::from(row.position))
        .integer("observed_property", |row| row.observed_property)
}

/// Features of Interest, of which the Location may be known that they were made from.
pub(super) fn feature_columns(
    rows: &[FeatureOfInterestRow],
    location: Option<i64>,
) -> Columns<'_, FeatureOfInterestRow> {
    Columns::of(rows)
        .integer("id", |row| row.id)
        .text("name", |row| row.name.as_str())
        .text("description", |row| row.description.as_str())
        .text("encoding_type", |row| row.encoding_type.as_str())
        .text("feature", |row| row.feature.as_str())
        .text_if("properties", |row| row.properties.as_deref())
        .integer_if("location", |_| location)
        .place_if("geometry", |row| row.geometry.as_ref().map(wkb))
}

/// A text among a Thing's properties.
pub(super) fn told(thing: &Thing, member: &str) -> Option<String> {
    thing.properties.as_ref()?.value().get(member)?.as_str().map(str::to_owned)
}

/// Whether a Thing may be said to be in an area: one of the asker's.
pub(super) fn may_be_in(session: &Session, area: Option<&str>) -> Result<(), CityError> {
    if in_scope(session, area) {
        return Ok(());
    }
    let user = &session.principal.user;
    Err(CityError::Refused(format!("the Thing's area is not among those of {user}")))
}
