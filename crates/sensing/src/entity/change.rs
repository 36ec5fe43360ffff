//! Updates of an entity (OGC 18-088, 10.3): PATCH, PUT and JSON Patch over what it is at present.
//!
//! All three end in the entity as it will be, read by the same rules as a new one: an update cannot
//! make what could not have been made. Related entities are linked and never made here. An id in
//! the body is ignored, as the standard has it: an entity's id does not change.

use serde_json::{Map, Value};

use super::fault::{At, Fault, Result};
use super::fields::{Fields, ID};
use super::json::value_of;
use super::json_patch::Operation;
use super::model::Entity;
use super::property::{Property, present};
use super::read;
use crate::odata::EntityId;
use crate::schema::{EntityKind, Navigation, SENSORTHINGS_1_1};

/// Members of a stream that the service works out. A PUT that lacks them does not wipe them.
const WORKED_OUT: [&str; 3] = ["observedArea", "phenomenonTime", "resultTime"];
/// The property with members of its own in the model: a PATCH may give some of them.
const COMPLEX: &str = "unitOfMeasurement";

/// What an update comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// As it will be, whole.
    pub entity: Entity,
    /// Names of the properties that are not what they were; none where nothing changed.
    pub changed: Vec<&'static str>,
    /// To one: in place of what was linked. To many: beside it.
    pub links: Vec<Link>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    pub navigation: &'static Navigation,
    pub id: EntityId,
}

/// Changes what the body gives and nothing else.
pub fn patch(now: &Entity, body: &[u8]) -> Result<Change> {
    let mut given = object(value_of(body)?, now)?;
    let links = links(now, &mut given)?;
    let mut members = present(now);
    for (name, mut value) in given {
        if name == COMPLEX {
            value = merged(members.get(COMPLEX), value);
        }
        members.insert(name, value);
    }
    whole(now, members, links)
}

/// Puts the body in place of the entity.
pub fn put(now: &Entity, body: &[u8]) -> Result<Change> {
    let mut members = object(value_of(body)?, now)?;
    let links = links(now, &mut members)?;
    if matches!(now.kind(), EntityKind::Datastream | EntityKind::MultiDatastream) {
        let mut present = present(now);
        for name in WORKED_OUT {
            if let (None, Some(value)) = (members.get(name), present.shift_remove(name)) {
                members.insert(name.to_owned(), value);
            }
        }
    }
    whole(now, members, links)
}

/// Applies the operations of a JSON Patch (RFC 6902) one after another, or none of them.
pub fn json_patch(now: &Entity, body: &[u8]) -> Result<Change> {
    let operations = Operation::read_all(value_of(body)?)?;
    let patched = Operation::apply_all(operations, Value::Object(present(now)))?;
    let mut members = object(patched, now)?;
    let links = links(now, &mut members)?;
    whole(now, members, links)
}

fn object(value: Value, of: &Entity) -> Result<Map<String, Value>> {
    match value {
        Value::Object(members) => Ok(members),
        other => {
            let name = SENSORTHINGS_1_1.entity(of.kind()).name;
            Err(Fault::wrong_type(At::Root, format!("a {name}"), &other))
        }
    }
}

/// Members of a complex value in place of those it had.
fn merged(present: Option<&Value>, given: Value) -> Value {
    match (present, given) {
        (Some(Value::Object(present)), Value::Object(given)) => {
            let mut members = present.clone();
            members.extend(given);
            Value::Object(members)
        }
        (_, given) => given,
    }
}

/// Takes the links out of a body.
fn links(now: &Entity, members: &mut Map<String, Value>) -> Result<Vec<Link>> {
    let root = At::Root;
    let mut links = Vec::new();
    for navigation in SENSORTHINGS_1_1.entity(now.kind()).navigations {
        let Some(value) = members.shift_remove(navigation.name) else {
            continue;
        };
        let at = root.member(navigation.name);
        match (navigation.is_many(), &value) {
            (true, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    links.push(Link { navigation, id: linked(at.element(index), item)? });
                }
            }
            (true, other) => return Err(Fault::wrong_type(at, "an array of links", other)),
            (false, value) => links.push(Link { navigation, id: linked(at, value)? }),
        }
    }
    Ok(links)
}

fn linked(at: At<'_>, value: &Value) -> Result<EntityId> {
    match read::link(at, value)? {
        Some(id) => Ok(id),
        None if value.is_object() => {
            let fault = Fault::new(at, "a related entity in an update");
            let fault = fault.expected("a link: {\"@iot.id\": 1}");
            Err(fault.hint("update the related entity at its own URL"))
        }
        None => Err(Fault::wrong_type(at, "a link: {\"@iot.id\": 1}", value)),
    }
}

fn whole(now: &Entity, mut members: Map<String, Value>, links: Vec<Link>) -> Result<Change> {
    let schema = SENSORTHINGS_1_1.entity(now.kind());
    members.shift_remove(ID);
    let mut fields = Fields::new(At::Root, members);
    let entity = read::own(&mut fields, now.kind(), None)?;
    let known = schema.properties.iter().map(|property| property.name);
    fields.end(schema.name, known.chain(schema.navigation_names()))?;
    let differs = |name: &&str| text(now, name) != text(&entity, name);
    let changed = schema.properties.iter().map(|p| p.name).filter(differs).collect();
    Ok(Change { entity, changed, links })
}

fn text(entity: &Entity, name: &str) -> String {
    let mut text = String::new();
    Property::of(entity, name).push(&mut text);
    text
}
