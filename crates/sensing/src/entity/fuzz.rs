//! What must hold of arbitrary bytes: as a body of every entity type and a change of what was made
//! of it, as a bulk of observations, and as a message of a producer on a topic. For the fuzz
//! targets, which have no tests of their own.

use super::data_array::{Row, create_observations};
use super::{
    Change, Entity, Item, Moment, NewEntity, ObservationId, ObservationRow, Parent, Writer, create,
    json_patch, patch, put,
};
use crate::odata::{EntityId, QueryOptions, ResourceEnd, ResourcePath, Target};
use crate::schema::{EntityKind, SENSORTHINGS_1_1};

/// What a producer's topics begin with (OGC 18-088, 14.1).
const TOPIC_ROOT: &str = "v1.1/";
/// Divides what a target is given: JSON has no such byte, and no topic need have one.
const SEPARATOR: u8 = 0x1e;

/// Arbitrary bytes through the readers: nothing may panic, and what is understood must be the same
/// after it was written. What stands behind a separator is a change of the entity before it.
pub fn fuzz(bytes: &[u8]) {
    let (body, changes) = divide(bytes);
    for kind in SENSORTHINGS_1_1.entities.iter().map(|entity| entity.kind) {
        match create(kind, body, None, Moment::MIN) {
            Ok(new) => {
                reads_back(&new.entity);
                for change in [patch, put, json_patch] {
                    changed(&new.entity, change(&new.entity, changes));
                }
            }
            Err(fault) => assert!(!fault.to_string().is_empty()),
        }
    }
    for group in create_observations(body).unwrap_or_default() {
        let read = group.rows().filter(|row| matches!(row, Row::Read(_))).count();
        assert_eq!(read, group.observations.len());
    }
}

/// Arbitrary bytes as a message: a topic, a separator, a payload. Nothing may panic, and an
/// observation that is read can be kept as a row.
pub fn fuzz_message(bytes: &[u8]) {
    let (topic, payload) = divide(bytes);
    // The protocol has topics in UTF-8 and refuses others before they come this far.
    let Ok(topic) = std::str::from_utf8(topic) else { return };
    let path = topic.strip_prefix(TOPIC_ROOT).unwrap_or(topic);
    let Ok(path) = ResourcePath::parse_plain(&SENSORTHINGS_1_1, path) else { return };
    let (Target::Collection(kind), ResourceEnd::Whole) = (path.target(), &path.end) else { return };
    let parent = match path.segments.as_slice() {
        [.., above, _] => {
            let Some(id) = above.value.id.clone() else { return };
            Some(Parent { kind: above.value.entity.kind, id })
        }
        _ => None,
    };
    match create(kind, payload, parent.as_ref(), Moment::MIN) {
        Ok(new) if kind == EntityKind::Observation => kept(new),
        Ok(new) => reads_back(&new.entity),
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}

/// What stands before the separator, and behind it.
fn divide(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == SEPARATOR) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

/// A change that is understood leaves an entity of the same type, which is read as it is written.
fn changed(before: &Entity, change: super::Result<Change>) {
    match change {
        Ok(change) => {
            assert_eq!(change.entity.kind(), before.kind());
            reads_back(&change.entity);
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}

fn reads_back(entity: &Entity) {
    let item = Item::new(EntityId::Integer(1), entity.clone());
    let written = Writer::new("http://localhost").entity(&item, &QueryOptions::default());
    let again = put(entity, written.as_bytes()).map(|change| change.entity);
    assert_eq!(again.as_ref(), Ok(entity), "written as {written}");
}

/// An observation is kept as a row under its stream and moment: its result in one form.
fn kept(new: NewEntity) {
    let Entity::Observation(observation) = new.entity else {
        unreachable!("a body is read as what it was asked to be")
    };
    let time = observation.phenomenon_time.start();
    let Some(id) = ObservationId::new(1, time, 0) else { return };
    let row = ObservationRow::new(id, observation, None);
    assert_eq!(row.phenomenon_time, time.micros());
    assert!(row.result_number.is_some() != row.result_json.is_some(), "{row:?}");
    assert!(row.phenomenon_end.is_none_or(|end| end >= row.phenomenon_time), "{row:?}");
}
