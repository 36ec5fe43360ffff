//! POST: a new entity with all that comes with it.
//!
//! What is linked to is written before what links to it, a transaction for each dataset, so that a
//! crash leaves an insert unfinished and no link that leads nowhere. Observations come last.

use std::collections::{BTreeMap, BTreeSet};

use catalog::Session;
use catalog::audit::Event;
use chrono::{DateTime, Utc};
use pack::Contract;
use registry::registers::Stamp;
use sensing::entity::{
    DatastreamObservedPropertyRow, DatastreamRow, Entity, FeatureOfInterestRow,
    HistoricalLocationPlaceRow, HistoricalLocationRow, LocationRow, Moment, ObservationId,
    ObservationRow, ObservedPropertyRow, Parent, SensorRow, Thing, ThingLocationRow, ThingRow,
    create, wkb,
};
use sensing::odata::{EntityId, QueryOptions, ResourceEnd, ResourcePath, Target};
use sensing::plan::{Context, Extras, Request, plan};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};
use serde_json::json;

use super::columns::{Columns, Terms};
use super::draft::{Draft, Far, Node};
use super::known::{Known, Stream, may_add};
use super::observe::Observed;
use super::{
    DATASTREAM, DATASTREAM_PROPERTY, FEATURE, HISTORICAL_LOCATION, HISTORICAL_PLACE, LOCATION,
    THING, THING_LOCATION, dataset, unplanned, unread,
};
use crate::objects::in_scope;
use crate::{City, CityError};

const SHARED: [&str; 2] = ["own", "open"];
/// The reason that stands beside each version of a row.
const REASON: &str = "SensorThings";

/// An entity that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaCreated {
    pub kind: EntityKind,
    pub id: EntityId,
}

/// The rows of a body, by dataset.
#[derive(Default)]
struct Rows {
    sensors: Vec<SensorRow>,
    properties: Vec<ObservedPropertyRow>,
    locations: Vec<LocationRow>,
    things: Vec<ThingRow>,
    at: Vec<ThingLocationRow>,
    historical: Vec<HistoricalLocationRow>,
    historical_at: Vec<HistoricalLocationPlaceRow>,
    streams: Vec<DatastreamRow>,
    stream_properties: Vec<DatastreamObservedPropertyRow>,
    features: Vec<FeatureOfInterestRow>,
    /// Where Things are now, as WKB.
    places: BTreeMap<i64, Vec<u8>>,
}

/// A Thing that was there and comes to other Locations.
struct Move {
    thing: i64,
    locations: BTreeSet<i64>,
}

impl City {
    /// Makes the entity of a body in the collection that the path ends at.
    pub async fn sta_create(
        &self,
        session: &Session,
        path: &ResourcePath,
        body: &[u8],
    ) -> Result<StaCreated, CityError> {
        self.may_sense(session)?;
        let (Target::Collection(kind), ResourceEnd::Whole) = (path.target(), &path.end) else {
            let reason = "entities are made in a collection: POST to it".to_owned();
            return Err(CityError::Invalid(reason));
        };
        let parent = self.parent(session, path).await?;
        let now = Utc::now();
        let moment = Moment::from_micros(now.timestamp_micros()).unwrap_or(Moment::MAX);
        let new = create(kind, body, parent.as_ref(), moment).map_err(|error| unread(&error))?;
        let mut draft = Draft::of(new)?;
        let known = self.sta_linked(session, &draft.existing).await?;
        let terms = terms(session, &draft, &known)?;
        let mut streams = self.sta_streams(session, &streams_of(&draft, true)).await?;
        check_results(&draft, &streams)?;
        self.give_numbers(&mut draft).await?;

        let (rows, moves) = self.rows_of(session, &draft, &known, now).await?;
        self.put_drafted(session, &rows, &terms, now).await?;
        for moved in moves {
            let place = rows.places.get(&moved.thing);
            self.move_thing(session, &moved, place, now).await?;
        }
        if streams_of(&draft, false).len() > streams.len() {
            streams = self.sta_streams(session, &streams_of(&draft, false)).await?;
        }
        let observed = self.observe(session, &draft, &streams).await?;
        let id: EntityId = match kind {
            EntityKind::Observation => observed.ok_or_else(|| unkept(&draft))?.into(),
            _ => EntityId::Integer(draft.nodes[0].id),
        };
        Ok(StaCreated { kind, id })
    }

    /// The entity whose collection is posted to, where it is one's.
    async fn parent(
        &self,
        session: &Session,
        path: &ResourcePath,
    ) -> Result<Option<Parent>, CityError> {
        let [.., above, _] = path.segments.as_slice() else { return Ok(None) };
        let Some(id) = above.value.id.clone() else {
            let reason = "post below an entity with its id, such as Things(1)/Datastreams";
            return Err(CityError::Invalid(reason.to_owned()));
        };
        let root = String::new();
        let context = Context { schema: &SENSORTHINGS_1_1, now: Utc::now(), root };
        let options = QueryOptions::default();
        let request = Request { path, options: &options, extras: Extras::default() };
        let parents = plan(&request, &context).map_err(|error| unplanned(&error))?.parents;
        self.sta_way(session, parents.as_ref()).await?;
        Ok(Some(Parent { kind: above.value.entity.kind, id }))
    }

    async fn give_numbers(&self, draft: &mut Draft) -> Result<(), CityError> {
        // Datastreams and MultiDatastreams are counted together.
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        for entity in SENSORTHINGS_1_1.entities {
            let count = draft.count(entity.kind);
            if entity.kind != EntityKind::Observation && count > 0 {
                *counts.entry(dataset(entity.kind)).or_default() += count;
            }
        }
        for (name, count) in counts {
            let mut numbers = self.sta_numbers(name, count).await?;
            for node in &mut draft.nodes {
                let kind = node.entity.kind();
                if kind != EntityKind::Observation && dataset(kind) == name {
                    node.id = numbers.next().unwrap_or_default();
                }
            }
        }
        Ok(())
    }

    async fn rows_of(
        &self,
        session: &Session,
        draft: &Draft,
        known: &BTreeMap<(EntityKind, i64), Known>,
        now: DateTime<Utc>,
    ) -> Result<(Rows, Vec<Move>), CityError> {
        let mut rows = Rows::default();
        for node in &draft.nodes {
            rows.add(session, draft, node)?;
        }
        let places = draft.places();
        let made: BTreeSet<i64> = rows.things.iter().map(|thing| thing.id).collect();
        let mut moves = Vec::new();
        let numbers = self.sta_numbers(HISTORICAL_LOCATION, places.len()).await?;
        for ((thing, locations), number) in places.into_iter().zip(numbers) {
            let geometry = |far: &Far| match far {
                Far::Existing(id) => known.get(&(EntityKind::Location, *id))?.geometry.clone(),
                Far::New(_) => {
                    let id = draft.id(*far);
                    let row = rows.locations.iter().find(|location| location.id == id)?;
                    row.geometry.as_ref().map(wkb)
                }
            };
            if let Some(place) = locations.iter().find_map(geometry) {
                rows.places.insert(thing, place);
            }
            let ids: BTreeSet<i64> = locations.iter().map(|far| draft.id(*far)).collect();
            let time = now.timestamp_micros();
            rows.historical.push(HistoricalLocationRow { id: number, thing, time });
            for location in &ids {
                rows.at.push(ThingLocationRow { thing, location: *location });
                let historical_location = number;
                rows.historical_at
                    .push(HistoricalLocationPlaceRow { historical_location, location: *location });
            }
            if !made.contains(&thing) {
                moves.push(Move { thing, locations: ids });
            }
        }
        // Of a Thing that is moved, the link to where it stays is there already.
        for moved in &moves {
            let stays = self.locations_of(session, moved.thing).await?;
            rows.at.retain(|at| at.thing != moved.thing || !stays.contains(&at.location));
        }
        Ok((rows, moves))
    }

    async fn put_drafted(
        &self,
        session: &Session,
        rows: &Rows,
        terms: &Terms,
        now: DateTime<Utc>,
    ) -> Result<(), CityError> {
        for (name, batch) in rows.batches(self, terms)? {
            if batch.num_rows() == 0 {
                continue;
            }
            self.sta_put(session, name, &batch, now).await?;
        }
        Ok(())
    }

    /// Puts new rows: one whose number ever was another's is a conflict.
    pub(super) async fn sta_put(
        &self,
        session: &Session,
        name: &str,
        batch: &arrow::record_batch::RecordBatch,
        now: DateTime<Utc>,
    ) -> Result<(), CityError> {
        let contract = self.contract(name)?;
        let stamp = stamp(session, contract, "create", batch.num_rows(), now);
        // A Thing may come back to where it was; other rows are under numbers of their own.
        let since = match name {
            THING_LOCATION => DateTime::<Utc>::MAX_UTC,
            _ => DateTime::<Utc>::UNIX_EPOCH,
        };
        self.registers().put_since(contract, batch, since, stamp).await?;
        self.tell_of_rows(&contract.id, batch.num_rows() as u64);
        Ok(())
    }

    async fn locations_of(
        &self,
        session: &Session,
        thing: i64,
    ) -> Result<BTreeSet<i64>, CityError> {
        let sql = format!("SELECT location FROM {THING_LOCATION} WHERE thing = {thing}");
        let table = self.sta_rows(session, &sql, &[]).await?;
        Ok((0..table.len()).filter_map(|row| table.integer("location", row)).collect())
    }

    /// Takes a Thing from where it was and notes where it is.
    async fn move_thing(
        &self,
        session: &Session,
        moved: &Move,
        place: Option<&Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<(), CityError> {
        let contract = self.contract(THING_LOCATION)?;
        for location in self.locations_of(session, moved.thing).await? {
            if moved.locations.contains(&location) {
                continue;
            }
            let key = pack::keys::join(&[moved.thing.to_string(), location.to_string()]);
            if let Some((version, _)) = self.registers().row(contract, &key).await? {
                let stamp = stamp(session, contract, "delete", 1, now);
                self.registers().delete(contract, &key, version, stamp).await?;
            }
        }
        let contract = self.contract(THING)?;
        let key = moved.thing.to_string();
        let Some((version, row)) = self.registers().row(contract, &key).await? else {
            return Ok(());
        };
        let column = row.schema().index_of("geometry")?;
        let mut columns = row.columns().to_vec();
        let place = place.map(Vec::as_slice);
        columns[column] = std::sync::Arc::new(arrow::array::BinaryArray::from(vec![place]));
        let row = arrow::record_batch::RecordBatch::try_new(row.schema(), columns)?;
        let stamp = stamp(session, contract, "change", 1, now);
        self.registers().change(contract, &row, version, stamp).await?;
        self.tell_of_rows(&contract.id, 1);
        Ok(())
    }

    /// Appends the body's observations; the id of the first.
    async fn observe(
        &self,
        session: &Session,
        draft: &Draft,
        streams: &BTreeMap<i64, Stream>,
    ) -> Result<Option<ObservationId>, CityError> {
        let mut observed = Vec::new();
        let mut features: BTreeMap<i64, Option<i64>> = BTreeMap::new();
        for node in &draft.nodes {
            let Entity::Observation(observation) = &node.entity else { continue };
            let number = stream_of(node).map(|far| draft.id(far));
            let stream = number.and_then(|number| Some((number, streams.get(&number)?)));
            let (number, stream) = stream.ok_or_else(|| unkept(draft))?;
            let feature = match draft.one(node, "FeatureOfInterest") {
                Some(feature) => Some(feature),
                None => match features.get(&stream.thing) {
                    Some(feature) => *feature,
                    None => {
                        let made = self.feature_of(session, stream.thing, &stream.terms).await?;
                        features.insert(stream.thing, made);
                        made
                    }
                },
            };
            let time = observation.phenomenon_time.start();
            let id = self.observation_id(number, time)?;
            let row = ObservationRow::new(id, observation.clone(), feature);
            observed.push(Observed { row, terms: &stream.terms });
        }
        let first = observed
            .first()
            .map(|first| first.row.id())
            .transpose()
            .map_err(|error| unread(&error))?;
        self.append_observed(&observed).await?;
        Ok(first)
    }
}

fn unkept(draft: &Draft) -> CityError {
    CityError::Kept(format!("an observation without its stream among {}", draft.nodes.len()))
}

/// The stream that an observation is of.
fn stream_of(node: &Node) -> Option<Far> {
    node.links("Datastream").chain(node.links("MultiDatastream")).next()
}

/// The streams that the body's observations are of; of those, the ones that were there.
fn streams_of(draft: &Draft, existing: bool) -> BTreeSet<i64> {
    let observations =
        draft.nodes.iter().filter(|node| node.entity.kind() == EntityKind::Observation);
    observations
        .filter_map(stream_of)
        .filter(|far| !existing || matches!(far, Far::Existing(_)))
        .map(|far| draft.id(far))
        .collect()
}

/// Holds observations to streams that were there; the reader has held others to new ones.
fn check_results(draft: &Draft, streams: &BTreeMap<i64, Stream>) -> Result<(), CityError> {
    for node in &draft.nodes {
        let Entity::Observation(observation) = &node.entity else { continue };
        if let Some(Far::Existing(id)) = stream_of(node)
            && let Some(stream) = streams.get(&id)
        {
            stream.check(&observation.result).map_err(|error| unread(&error))?;
        }
    }
    Ok(())
}

/// Whose the new rows are: those of what they are added to; else as `properties` say, which may
/// name an `owner` and a `sharing`; else the asker's organisation's own.
fn terms(
    session: &Session,
    draft: &Draft,
    known: &BTreeMap<(EntityKind, i64), Known>,
) -> Result<Terms, CityError> {
    let above = draft.existing.iter().find_map(|(kind, id)| match kind {
        EntityKind::Thing | EntityKind::Datastream | EntityKind::MultiDatastream => {
            known.get(&(*kind, *id))
        }
        _ => None,
    });
    if let Some(above) = above {
        return Ok(above.terms.clone());
    }
    let owner = draft.said("owner").unwrap_or_else(|| session.principal.organisation.clone());
    may_add(session, &owner, "what is to be made")?;
    let sharing = draft.said("sharing").unwrap_or_else(|| SHARED[0].to_owned());
    if !SHARED.contains(&sharing.as_str()) {
        let reason = format!("properties/sharing is one of: {}", SHARED.join(", "));
        return Err(CityError::Invalid(reason));
    }
    Ok(Terms { owner, sharing })
}

fn stamp(
    session: &Session,
    contract: &Contract,
    verb: &str,
    rows: usize,
    now: DateTime<Utc>,
) -> Stamp {
    let principal = &session.principal;
    let action = format!("sensing.{verb}");
    let event = Event::new(&principal.user, &principal.organisation, &action, &contract.id);
    Stamp {
        by: principal.user.clone(),
        reason: REASON.to_owned(),
        now,
        event: Some(event.detail(json!({ "rows": rows }))),
    }
}

/// A text among a Thing's properties.
fn told(thing: &Thing, member: &str) -> Option<String> {
    thing.properties.as_ref()?.value().get(member)?.as_str().map(str::to_owned)
}

impl Rows {
    fn add(&mut self, session: &Session, draft: &Draft, node: &Node) -> Result<(), CityError> {
        let id = node.id;
        let one = |navigation: &str| {
            let missing = || CityError::Invalid(format!("`{navigation}` is missing"));
            draft.one(node, navigation).ok_or_else(missing)
        };
        match node.entity.clone() {
            Entity::Thing(thing) => {
                let (area_code, network) = (told(&thing, "area_code"), told(&thing, "network"));
                if !in_scope(session, area_code.as_deref()) {
                    let user = &session.principal.user;
                    let reason = format!("the Thing's area is not among those of {user}");
                    return Err(CityError::Refused(reason));
                }
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
                for (position, far) in (0..).zip(node.links("ObservedProperties")) {
                    let observed_property = draft.id(far);
                    self.stream_properties.push(DatastreamObservedPropertyRow {
                        datastream: id,
                        position,
                        observed_property,
                    });
                }
            }
            Entity::Observation(_) => {}
        }
        Ok(())
    }

    /// In the order in which they are written.
    fn batches(
        &self,
        city: &City,
        terms: &Terms,
    ) -> Result<Vec<(&'static str, arrow::record_batch::RecordBatch)>, CityError> {
        let sensors = Columns::of(&self.sensors)
            .integer("id", |row| row.id)
            .text("name", |row| row.name.as_str())
            .text("description", |row| row.description.as_str())
            .text("encoding_type", |row| row.encoding_type.as_str())
            .text("metadata", |row| row.metadata.as_str())
            .text_if("properties", |row| row.properties.as_deref())
            .terms(|_| terms);
        let properties = Columns::of(&self.properties)
            .integer("id", |row| row.id)
            .text("name", |row| row.name.as_str())
            .text("definition", |row| row.definition.as_str())
            .text("description", |row| row.description.as_str())
            .text_if("properties", |row| row.properties.as_deref())
            .terms(|_| terms);
        let locations = Columns::of(&self.locations)
            .integer("id", |row| row.id)
            .text("name", |row| row.name.as_str())
            .text("description", |row| row.description.as_str())
            .text("encoding_type", |row| row.encoding_type.as_str())
            .text("location", |row| row.location.as_str())
            .text_if("properties", |row| row.properties.as_deref())
            .place_if("geometry", |row| row.geometry.as_ref().map(wkb))
            .terms(|_| terms);
        let things = Columns::of(&self.things)
            .integer("id", |row| row.id)
            .text("name", |row| row.name.as_str())
            .text("description", |row| row.description.as_str())
            .text_if("properties", |row| row.properties.as_deref())
            .text_if("area_code", |row| row.area_code.as_deref())
            .text_if("network", |row| row.network.as_deref())
            .place_if("geometry", |row| self.places.get(&row.id).cloned())
            .terms(|_| terms);
        let at = Columns::of(&self.at)
            .integer("thing", |row| row.thing)
            .integer("location", |row| row.location)
            .terms(|_| terms);
        let historical = Columns::of(&self.historical)
            .integer("id", |row| row.id)
            .integer("thing", |row| row.thing)
            .instant("time", |row| row.time)
            .terms(|_| terms);
        let historical_at = Columns::of(&self.historical_at)
            .integer("historical_location", |row| row.historical_location)
            .integer("location", |row| row.location)
            .terms(|_| terms);
        let streams = Columns::of(&self.streams)
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
            .terms(|_| terms);
        let stream_properties = Columns::of(&self.stream_properties)
            .integer("datastream", |row| row.datastream)
            .integer("position", |row| i64::from(row.position))
            .integer("observed_property", |row| row.observed_property)
            .terms(|_| terms);
        let features = feature_columns(&self.features, None).terms(|_| terms);
        Ok(vec![
            (dataset(EntityKind::Sensor), sensors.batch(city.contract("sensing.sensor")?)?),
            (
                dataset(EntityKind::ObservedProperty),
                properties.batch(city.contract("sensing.observed_property")?)?,
            ),
            (LOCATION, locations.batch(city.contract(LOCATION)?)?),
            (THING, things.batch(city.contract(THING)?)?),
            (THING_LOCATION, at.batch(city.contract(THING_LOCATION)?)?),
            (HISTORICAL_LOCATION, historical.batch(city.contract(HISTORICAL_LOCATION)?)?),
            (HISTORICAL_PLACE, historical_at.batch(city.contract(HISTORICAL_PLACE)?)?),
            (DATASTREAM, streams.batch(city.contract(DATASTREAM)?)?),
            (DATASTREAM_PROPERTY, stream_properties.batch(city.contract(DATASTREAM_PROPERTY)?)?),
            (FEATURE, features.batch(city.contract(FEATURE)?)?),
        ])
    }
}

/// Features of Interest, of which the Location may be known that they were made from.
pub(super) fn feature_columns(
    features: &[FeatureOfInterestRow],
    location: Option<i64>,
) -> Columns<'_, FeatureOfInterestRow> {
    Columns::of(features)
        .integer("id", |row| row.id)
        .text("name", |row| row.name.as_str())
        .text("description", |row| row.description.as_str())
        .text("encoding_type", |row| row.encoding_type.as_str())
        .text("feature", |row| row.feature.as_str())
        .text_if("properties", |row| row.properties.as_deref())
        .integer_if("location", |_| location)
        .place_if("geometry", |row| row.geometry.as_ref().map(wkb))
}
