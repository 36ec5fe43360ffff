//! A body to a typed tree, for what is to be made (OGC 18-088, 10.2): an entity with all that it
//! links to and all that is to be made with it, as deep as it goes.
//!
//! Mandatory properties are those of the tables of 8.2. A relation that is mandatory is given, or
//! follows from where the entity stands: below an entity of the body or of the URL. Null stands for
//! an optional property that is not there.

use serde_json::Value;

use super::fault::{At, Fault, FaultKind, Result};
use super::fields::{Fields, ID, is_written_by_services, text};
use super::json::{Json, value_of};
use super::model::{
    Datastream, Entity, Extent, FeatureOfInterest, HistoricalLocation, Location, MultiDatastream,
    NewEntity, Observation, ObservedProperty, Outcome, Related, Sensor, Target, Thing, Unit,
};
use super::observation_type::{ObservationType, check_elements};
use super::time::{Moment, TimeObject};
use super::{DEEP_INSERT_DEPTH_MAX, ENTITIES_MAX, geojson, id};
use crate::odata::EntityId;
use crate::schema::{self, EntityKind, Navigation, SENSORTHINGS_1_1};

/// The entity whose collection is posted to: the new one is linked to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    pub kind: EntityKind,
    pub id: EntityId,
}

/// Reads the body of a POST. `now` is the phenomenon time of an observation that has none
/// (OGC 18-088, table 14: of a device without a clock).
pub fn create(
    kind: EntityKind,
    body: &[u8],
    parent: Option<&Parent>,
    now: Moment,
) -> Result<NewEntity> {
    let mut reader = Reader { now, entities: 0 };
    let implied = parent.and_then(|parent| back(kind, parent.kind));
    let mut entity = reader.entity(At::Root, kind, value_of(body)?, implied, 0)?;
    if let (Some(parent), Some(navigation)) = (parent, implied) {
        link_to_parent(&mut entity, parent, navigation)?;
    }
    Ok(entity)
}

/// Puts the link to the parent before the others, unless the body has it.
fn link_to_parent(
    entity: &mut NewEntity,
    parent: &Parent,
    navigation: &'static Navigation,
) -> Result<()> {
    let target = Target::Existing(parent.id.clone());
    let mut given = entity.related.iter().filter(|related| related.navigation == navigation);
    if given.any(|related| related.target == target) {
        return Ok(());
    }
    let another = entity.related.iter().any(|related| related.navigation == navigation);
    if another && !navigation.is_many() {
        let root = At::Root;
        let what = "a link to another entity than the one that is posted to";
        return Err(Fault::new(root.member(navigation.name), what).hint("leave it out"));
    }
    entity.related.insert(0, Related { navigation, target });
    Ok(())
}

/// The way from an entity back to one of that type.
fn back(kind: EntityKind, to: EntityKind) -> Option<&'static Navigation> {
    let entity = SENSORTHINGS_1_1.entity(kind);
    entity.navigations.iter().find(|navigation| navigation.target == to)
}

struct Reader {
    now: Moment,
    entities: usize,
}

impl Reader {
    /// Reads an entity. The implied navigation leads to the entity that it stands in.
    fn entity(
        &mut self,
        at: At<'_>,
        kind: EntityKind,
        value: Value,
        implied: Option<&'static Navigation>,
        depth: usize,
    ) -> Result<NewEntity> {
        self.entities += 1;
        if depth > DEEP_INSERT_DEPTH_MAX {
            let what = format!("entities nested more than {DEEP_INSERT_DEPTH_MAX} deep");
            return Err(Fault::new(at, what).kind(FaultKind::TooLarge));
        }
        if self.entities > ENTITIES_MAX {
            let what = format!("more than {ENTITIES_MAX} entities in one body");
            return Err(Fault::new(at, what).kind(FaultKind::TooLarge));
        }
        let schema = SENSORTHINGS_1_1.entity(kind);
        let mut fields = Fields::of(at, value, &format!("a {}", schema.name))?;
        let given_id = fields.take(ID).map(|id| id::read(at.member(ID), &id)).transpose()?;
        let entity = own(&mut fields, kind, Some(self.now))?;
        let mut related = Vec::new();
        for navigation in schema.navigations {
            let Some(value) = fields.take(navigation.name) else {
                continue;
            };
            let at = at.member(navigation.name);
            if implied == Some(navigation) && !navigation.is_many() {
                if depth == 0 && is_link(&value) {
                    // Below a URL, where the link may say the same once more.
                    related.push(self.target(at, navigation, kind, value, depth)?);
                    continue;
                }
                let fault = Fault::new(at, "the entity that this one stands in, once more");
                return Err(fault.hint("leave it out"));
            }
            self.targets(at, navigation, kind, value, depth, &mut related)?;
        }
        let known = schema.properties.iter().map(|property| property.name);
        fields.end(schema.name, known.chain(schema.navigation_names()))?;
        let new = NewEntity { given_id, entity, related };
        whole(&fields, schema, &new, implied)?;
        Ok(new)
    }

    fn targets(
        &mut self,
        at: At<'_>,
        navigation: &'static Navigation,
        of: EntityKind,
        value: Value,
        depth: usize,
        related: &mut Vec<Related>,
    ) -> Result<()> {
        match (navigation.is_many(), value) {
            (true, Value::Array(items)) => {
                for (index, item) in items.into_iter().enumerate() {
                    related.push(self.target(at.element(index), navigation, of, item, depth)?);
                }
                Ok(())
            }
            (true, other) => {
                let expected = format!("an array of {}", navigation.name);
                Err(Fault::wrong_type(at, expected, &other))
            }
            (false, value) => {
                related.push(self.target(at, navigation, of, value, depth)?);
                Ok(())
            }
        }
    }

    fn target(
        &mut self,
        at: At<'_>,
        navigation: &'static Navigation,
        of: EntityKind,
        value: Value,
        depth: usize,
    ) -> Result<Related> {
        if let Some(id) = link(at, &value)? {
            return Ok(Related { navigation, target: Target::Existing(id) });
        }
        let implied = back(navigation.target, of);
        let new = self.entity(at, navigation.target, value, implied, depth + 1)?;
        Ok(Related { navigation, target: Target::New(Box::new(new)) })
    }
}

/// `{"@iot.id": …}` and nothing else that says anything.
fn is_link(value: &Value) -> bool {
    let Value::Object(members) = value else {
        return false;
    };
    let says_nothing = |name: &String| name == ID || is_written_by_services(name);
    members.contains_key(ID) && members.keys().all(says_nothing)
}

/// The id that a link names; none for an entity.
pub(super) fn link(at: At<'_>, value: &Value) -> Result<Option<EntityId>> {
    match value.get(ID) {
        Some(id) if is_link(value) => id::read(at.member(ID), id).map(Some),
        _ => Ok(None),
    }
}

/// What an entity needs beside its own properties: mandatory relations, and lengths and results
/// that agree.
fn whole(
    fields: &Fields<'_>,
    schema: &schema::Entity,
    new: &NewEntity,
    implied: Option<&'static Navigation>,
) -> Result<()> {
    let has = |name: &str| {
        implied.is_some_and(|implied| implied.name == name) || new.related(name).next().is_some()
    };
    let need = |name: &str| {
        if has(name) {
            return Ok(());
        }
        let fault = fields.missing(name);
        Err(fault.hint(format!("give `{name}`, or a link to it: {{\"@iot.id\": 1}}")))
    };
    match schema.kind {
        EntityKind::HistoricalLocation => ["Thing", "Locations"].into_iter().try_for_each(need)?,
        EntityKind::Datastream => {
            ["Thing", "Sensor", "ObservedProperty"].into_iter().try_for_each(need)?;
        }
        EntityKind::MultiDatastream => {
            ["Thing", "Sensor", "ObservedProperties"].into_iter().try_for_each(need)?;
        }
        EntityKind::Observation => match (has("Datastream"), has("MultiDatastream")) {
            (true, true) => {
                let what = "an observation of a Datastream and of a MultiDatastream";
                return Err(Fault::new(fields.at, what).hint("it is of one of them"));
            }
            (false, false) => need("Datastream")?,
            _ => {}
        },
        _ => {}
    }
    streams(fields.at, new, implied)
}

/// Holds new observations to the new stream that they are of.
fn streams(at: At<'_>, new: &NewEntity, implied: Option<&'static Navigation>) -> Result<()> {
    if let Entity::MultiDatastream(stream) = &new.entity {
        let properties = new.related("ObservedProperties").count();
        // Below an ObservedProperty, that one is the first of them.
        let above = usize::from(implied.is_some_and(|i| i.name == "ObservedProperties"));
        if properties + above != stream.data_types.len() {
            let at = at.member("ObservedProperties");
            let fault = Fault::new(at, "as many observed properties as data types are needed");
            let expected = stream.data_types.len().to_string();
            return Err(fault.expected(expected).found((properties + above).to_string()));
        }
    }
    let observations_at = at.member("Observations");
    for (index, target) in new.related("Observations").enumerate() {
        if let Target::New(observation) = target {
            result_of(observations_at.element(index), &observation.entity, &new.entity)?;
        }
    }
    for name in ["Datastream", "MultiDatastream"] {
        for target in new.related(name) {
            if let Target::New(stream) = target {
                result_of(at, &new.entity, &stream.entity)?;
            }
        }
    }
    Ok(())
}

fn result_of(at: At<'_>, observation: &Entity, stream: &Entity) -> Result<()> {
    let Entity::Observation(observation) = observation else {
        return Ok(());
    };
    let at = at.member("result");
    match stream {
        Entity::Datastream(stream) => stream.observation_type.check(at, &observation.result),
        Entity::MultiDatastream(stream) => {
            check_elements(at, &stream.data_types, &observation.result)
        }
        _ => Ok(()),
    }
}

/// The properties that an entity has of its own. Without a `now`, an observation has to have its
/// phenomenon time.
pub(super) fn own(
    fields: &mut Fields<'_>,
    kind: EntityKind,
    now: Option<Moment>,
) -> Result<Entity> {
    Ok(match kind {
        EntityKind::Thing => Entity::Thing(Thing {
            name: fields.text("name")?,
            description: fields.text("description")?,
            properties: fields.optional_object("properties")?,
        }),
        EntityKind::Location => {
            let (name, description) = (fields.text("name")?, fields.text("description")?);
            let (encoding_type, location) = encoded(fields, "location")?;
            let properties = fields.optional_object("properties")?;
            Entity::Location(Location { name, description, encoding_type, location, properties })
        }
        EntityKind::FeatureOfInterest => {
            let (name, description) = (fields.text("name")?, fields.text("description")?);
            let (encoding_type, feature) = encoded(fields, "feature")?;
            let properties = fields.optional_object("properties")?;
            let feature =
                FeatureOfInterest { name, description, encoding_type, feature, properties };
            Entity::FeatureOfInterest(feature)
        }
        EntityKind::HistoricalLocation => {
            Entity::HistoricalLocation(HistoricalLocation { time: fields.moment("time")? })
        }
        EntityKind::Datastream => Entity::Datastream(datastream(fields)?),
        EntityKind::MultiDatastream => Entity::MultiDatastream(multi_datastream(fields)?),
        EntityKind::Sensor => Entity::Sensor(Sensor {
            name: fields.text("name")?,
            description: fields.text("description")?,
            encoding_type: fields.text("encodingType")?,
            metadata: Json::of(&fields.value("metadata")?),
            properties: fields.optional_object("properties")?,
        }),
        EntityKind::ObservedProperty => Entity::ObservedProperty(ObservedProperty {
            name: fields.text("name")?,
            definition: fields.text("definition")?,
            description: fields.text("description")?,
            properties: fields.optional_object("properties")?,
        }),
        EntityKind::Observation => Entity::Observation(observation(fields, now)?),
    })
}

/// An encoding and what is written in it.
fn encoded(fields: &mut Fields<'_>, name: &str) -> Result<(String, Json)> {
    let encoding_type = fields.text("encodingType")?;
    let value = fields.value(name)?;
    if geojson::is_geojson(&encoding_type) {
        geojson::location(fields.at.member(name), &value)?;
    }
    Ok((encoding_type, Json::of(&value)))
}

fn datastream(fields: &mut Fields<'_>) -> Result<Datastream> {
    let at = fields.at;
    let unit = fields.value("unitOfMeasurement")?;
    let uri = fields.text("observationType")?;
    Ok(Datastream {
        name: fields.text("name")?,
        description: fields.text("description")?,
        unit_of_measurement: read_unit(at.member("unitOfMeasurement"), unit)?,
        observation_type: ObservationType::read(at.member("observationType"), &uri)?,
        extent: extent(fields)?,
        properties: fields.optional_object("properties")?,
    })
}

fn multi_datastream(fields: &mut Fields<'_>) -> Result<MultiDatastream> {
    let at = fields.at;
    let uri = fields.text("observationType")?;
    let kind_at = at.member("observationType");
    if ObservationType::read(kind_at, &uri)? != ObservationType::Complex {
        let fault = Fault::new(kind_at, "a type that a MultiDatastream cannot have");
        return Err(fault.expected(ObservationType::Complex.uri()).found(uri));
    }
    let types_at = at.member("multiObservationDataTypes");
    let types = fields.array("multiObservationDataTypes")?;
    let data_types = read_data_types(types_at, types)?;
    let units_at = at.member("unitOfMeasurements");
    let units = fields.array("unitOfMeasurements")?;
    if units.len() != data_types.len() {
        let fault = Fault::new(units_at, "as many units as data types are needed");
        let expected = data_types.len().to_string();
        return Err(fault.expected(expected).found(units.len().to_string()));
    }
    Ok(MultiDatastream {
        name: fields.text("name")?,
        description: fields.text("description")?,
        units_of_measurement: read_units(units_at, units)?,
        data_types,
        extent: extent(fields)?,
        properties: fields.optional_object("properties")?,
    })
}

/// At least one.
pub(super) fn read_data_types(at: At<'_>, types: Vec<Value>) -> Result<Vec<ObservationType>> {
    if types.is_empty() {
        return Err(Fault::new(at, "a MultiDatastream without a data type"));
    }
    let read = |(index, uri)| {
        let at = at.element(index);
        text(at, uri).and_then(|uri| ObservationType::read(at, &uri))
    };
    types.into_iter().enumerate().map(read).collect()
}

pub(super) fn read_units(at: At<'_>, units: Vec<Value>) -> Result<Vec<Unit>> {
    let read = |(index, unit)| read_unit(at.element(index), unit);
    units.into_iter().enumerate().map(read).collect()
}

/// Name, symbol and definition have to be there and may be null.
pub(super) fn read_unit(at: At<'_>, value: Value) -> Result<Unit> {
    let mut fields = Fields::of(at, value, "a unit: an object with name, symbol, definition")?;
    let unit = Unit {
        name: fields.nullable_text("name")?,
        symbol: fields.nullable_text("symbol")?,
        definition: fields.nullable_text("definition")?,
    };
    fields.end("a unit of measurement", ["name", "symbol", "definition"])?;
    Ok(unit)
}

fn extent(fields: &mut Fields<'_>) -> Result<Extent> {
    let area = fields.take("observedArea").filter(|area| !area.is_null());
    let at = fields.at.member("observedArea");
    Ok(Extent {
        observed_area: area.map(|area| geojson::geometry(at, &area)).transpose()?,
        phenomenon_time: fields.optional_period("phenomenonTime")?,
        result_time: fields.optional_period("resultTime")?,
    })
}

fn observation(fields: &mut Fields<'_>, now: Option<Moment>) -> Result<Observation> {
    let phenomenon_time = match (fields.optional_time("phenomenonTime")?, now) {
        (Some(time), _) => time,
        (None, Some(now)) => TimeObject::Moment(now),
        (None, None) => return Err(fields.missing("phenomenonTime")),
    };
    Ok(Observation {
        phenomenon_time,
        result: Outcome::of(&fields.any("result")?),
        result_time: fields.optional_moment("resultTime")?,
        result_quality: fields.optional_any("resultQuality"),
        valid_time: fields.optional_period("validTime")?,
        parameters: fields.optional_members("parameters")?,
    })
}
