//! A body's tree as nodes with links, each kept where its dataset has the column for it.
//!
//! A link is noted on both ends: whichever end a body begins from, the row that holds the other's
//! number finds it.

use std::collections::BTreeMap;

use sensing::entity::{Entity, NewEntity, Related, Target};
use sensing::odata::EntityId;
use sensing::plan::ObservationKey;
use sensing::schema::{EntityKind, Navigation, SENSORTHINGS_1_1};

use super::known::Numbers;
use super::number;
use crate::CityError;

/// The other end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Far {
    /// The place among the nodes.
    New(usize),
    /// The number of one that is there.
    Existing(i64),
}

/// An entity to be made.
#[derive(Debug)]
pub(super) struct Node {
    pub entity: Entity,
    links: Vec<(&'static str, Far)>,
    /// Given out once all nodes are known; of an Observation none is.
    pub id: i64,
}

impl Node {
    pub fn links(&self, navigation: &str) -> impl Iterator<Item = Far> {
        let of = self.links.iter().filter(move |(name, _)| *name == navigation);
        of.map(|(_, far)| *far)
    }
}

/// Something that is there and whose own row holds the link: it turns to a new entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    Entity(EntityKind, i64),
    Observation(ObservationKey),
}

/// All entities of one body, the one that it is of first.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub nodes: Vec<Node>,
    /// What is linked to and there.
    pub existing: Numbers,
    /// What turns to new entities, each with the place of that one among the nodes.
    pub turned: Vec<(usize, Turned)>,
}

impl Draft {
    pub fn of(new: NewEntity) -> Result<Self, CityError> {
        let mut draft = Self::default();
        draft.add(new, None)?;
        Ok(draft)
    }

    fn add(
        &mut self,
        new: NewEntity,
        back: Option<(&'static str, Far)>,
    ) -> Result<usize, CityError> {
        let (place, kind) = (self.nodes.len(), new.entity.kind());
        let links = back.into_iter().collect();
        self.nodes.push(Node { entity: new.entity, links, id: 0 });
        for Related { navigation, target } in new.related {
            let far = match target {
                Target::Existing(id) if is_kept_with(kind, navigation.name) => {
                    let id = number(&id).ok_or_else(|| unknown(navigation, &id))?;
                    self.existing.insert((navigation.target, id));
                    Far::Existing(id)
                }
                Target::Existing(id) => {
                    self.turned.push((place, turned(kind, navigation, &id)?));
                    continue;
                }
                Target::New(below) => {
                    let back =
                        back_to(below.entity.kind(), kind).map(|name| (name, Far::New(place)));
                    Far::New(self.add(*below, back)?)
                }
            };
            self.nodes[place].links.push((navigation.name, far));
        }
        Ok(place)
    }

    /// Nodes of each type.
    pub fn count(&self, kind: EntityKind) -> usize {
        self.nodes.iter().filter(|node| node.entity.kind() == kind).count()
    }

    pub fn id(&self, far: Far) -> i64 {
        match far {
            Far::New(place) => self.nodes[place].id,
            Far::Existing(id) => id,
        }
    }

    /// The number of the one entity that a node holds.
    pub fn one(&self, node: &Node, navigation: &str) -> Option<i64> {
        node.links(navigation).next().map(|far| self.id(far))
    }

    /// What the body says of itself beside the standard: members of `properties`, the first
    /// entity's first.
    pub fn said(&self, member: &str) -> Option<String> {
        self.nodes.iter().find_map(|node| said(&node.entity, member))
    }

    /// The newest of the body's HistoricalLocations of each Thing: when, and where it says.
    pub fn told_places(&self) -> BTreeMap<i64, (i64, Vec<Far>)> {
        let mut told: BTreeMap<i64, (i64, Vec<Far>)> = BTreeMap::new();
        for node in &self.nodes {
            let Entity::HistoricalLocation(historical) = &node.entity else { continue };
            let Some(thing) = self.one(node, "Thing") else { continue };
            let time = historical.time.micros();
            if told.get(&thing).is_none_or(|(newest, _)| time > *newest) {
                told.insert(thing, (time, node.links("Locations").collect()));
            }
        }
        told
    }

    /// The Locations that Things come to, by Thing.
    pub fn places(&self) -> BTreeMap<i64, Vec<Far>> {
        let mut places: BTreeMap<i64, Vec<Far>> = BTreeMap::new();
        let mut put = |thing: i64, location: Far| {
            let of_thing = places.entry(thing).or_default();
            if !of_thing.contains(&location) {
                of_thing.push(location);
            }
        };
        for (place, node) in self.nodes.iter().enumerate() {
            match node.entity.kind() {
                EntityKind::Thing => {
                    node.links("Locations").for_each(|location| put(node.id, location));
                }
                EntityKind::Location => {
                    node.links("Things").for_each(|thing| put(self.id(thing), Far::New(place)));
                }
                _ => {}
            }
        }
        places
    }
}

/// A text among an entity's properties.
pub(super) fn said(entity: &Entity, member: &str) -> Option<String> {
    let properties = match entity {
        Entity::Thing(thing) => thing.properties.as_ref(),
        Entity::Location(location) => location.properties.as_ref(),
        Entity::Sensor(sensor) => sensor.properties.as_ref(),
        Entity::ObservedProperty(property) => property.properties.as_ref(),
        Entity::Datastream(stream) => stream.properties.as_ref(),
        Entity::MultiDatastream(stream) => stream.properties.as_ref(),
        Entity::FeatureOfInterest(feature) => feature.properties.as_ref(),
        Entity::HistoricalLocation(_) | Entity::Observation(_) => None,
    };
    properties?.value().get(member)?.as_str().map(str::to_owned)
}

/// An existing entity that is linked to, by its type and number, or an observation by its key.
pub(super) fn turned(
    kind: EntityKind,
    navigation: &Navigation,
    id: &EntityId,
) -> Result<Turned, CityError> {
    let unknown = || unknown(navigation, id);
    match (kind, navigation.target) {
        (_, EntityKind::Observation) => match id {
            EntityId::Text(text) => text.parse().map(Turned::Observation).map_err(|_| unknown()),
            EntityId::Integer(_) => Err(unknown()),
        },
        (EntityKind::ObservedProperty, EntityKind::MultiDatastream) => {
            let reason = "a MultiDatastream has as many ObservedProperties as data types: change \
                          all of them at the MultiDatastream";
            Err(CityError::Invalid(reason.to_owned()))
        }
        (_, target) => Ok(Turned::Entity(target, number(id).ok_or_else(unknown)?)),
    }
}

fn unknown(navigation: &Navigation, id: &EntityId) -> CityError {
    CityError::Invalid(format!("there is no {} {id} to link to", navigation.name))
}

/// The way from an entity of a type back to one of another.
fn back_to(from: EntityKind, to: EntityKind) -> Option<&'static str> {
    let navigations = SENSORTHINGS_1_1.entity(from).navigations;
    navigations.iter().find(|navigation| navigation.target == to).map(|navigation| navigation.name)
}

/// Is the link kept in the entity's own row or beside both? Else the far row holds it.
fn is_kept_with(kind: EntityKind, navigation: &str) -> bool {
    matches!(
        (kind, navigation),
        (EntityKind::Thing, "Locations")
            | (EntityKind::Location, "Things" | "HistoricalLocations")
            | (EntityKind::HistoricalLocation, "Thing" | "Locations")
            | (EntityKind::Datastream, "Thing" | "Sensor" | "ObservedProperty")
            | (EntityKind::MultiDatastream, "Thing" | "Sensor" | "ObservedProperties")
            | (EntityKind::Observation, "Datastream" | "MultiDatastream" | "FeatureOfInterest")
    )
}

#[cfg(test)]
mod tests {
    use sensing::entity::{Moment, create};

    use super::*;

    fn draft(kind: EntityKind, body: &str) -> Result<Draft, CityError> {
        let now = Moment::from_micros(0).unwrap();
        Draft::of(create(kind, body.as_bytes(), None, now).unwrap())
    }

    const STATION: &str = r#"{
        "name": "t", "description": "d", "properties": { "sharing": "open" },
        "Locations": [{
            "name": "l", "description": "d", "encodingType": "application/geo+json",
            "location": { "type": "Point", "coordinates": [104.06, 30.67] }
        }],
        "Datastreams": [{
            "name": "s", "description": "d",
            "observationType": "x:any",
            "unitOfMeasurement": { "name": null, "symbol": null, "definition": null },
            "Sensor": { "@iot.id": 7 },
            "ObservedProperty": { "name": "p", "definition": "x:p", "description": "d" },
            "Observations": [{ "result": 1 }]
        }]
    }"#;

    #[test]
    fn links_are_noted_on_both_ends() {
        let mut draft = draft(EntityKind::Thing, STATION).unwrap();
        for (id, node) in (1..).zip(&mut draft.nodes) {
            node.id = id;
        }
        let of = |kind: EntityKind| draft.nodes.iter().find(|node| node.entity.kind() == kind);
        let stream = of(EntityKind::Datastream).unwrap();
        assert_eq!(draft.one(stream, "Thing"), Some(1), "the Thing came first");
        assert_eq!(draft.one(stream, "Sensor"), Some(7));
        let property = of(EntityKind::ObservedProperty).unwrap();
        assert_eq!(draft.one(stream, "ObservedProperty"), Some(property.id));
        let observation = of(EntityKind::Observation).unwrap();
        assert_eq!(draft.one(observation, "Datastream"), Some(stream.id));
        assert_eq!(draft.existing, Numbers::from([(EntityKind::Sensor, 7)]));
        assert_eq!(draft.said("sharing").as_deref(), Some("open"));
        let places = draft.places();
        let location = of(EntityKind::Location).unwrap().id;
        let found: Vec<i64> = places[&1].iter().map(|far| draft.id(*far)).collect();
        assert_eq!((places.len(), found), (1, vec![location]), "once, though noted on both ends");
    }

    #[test]
    fn what_is_there_and_holds_the_link_turns_to_the_new_one() {
        let sensor = r#"{
            "name": "s", "description": "d", "encodingType": "x", "metadata": "m",
            "Datastreams": [{ "@iot.id": 5 }]
        }"#;
        let turning = draft(EntityKind::Sensor, sensor).unwrap();
        assert_eq!(turning.turned, [(0, Turned::Entity(EntityKind::Datastream, 5))]);
        assert!(turning.existing.is_empty());
        let property = r#"{
            "name": "p", "definition": "x:p", "description": "d",
            "MultiDatastreams": [{ "@iot.id": 5 }]
        }"#;
        let refused = draft(EntityKind::ObservedProperty, property);
        assert!(matches!(refused, Err(CityError::Invalid(_))), "{refused:?}");
        let feature = r#"{
            "name": "f", "description": "d", "encodingType": "application/geo+json",
            "feature": { "type": "Point", "coordinates": [104.06, 30.67] },
            "Observations": [{ "@iot.id": "5-10-0" }]
        }"#;
        let turning = draft(EntityKind::FeatureOfInterest, feature).unwrap();
        let key = "5-10-0".parse().unwrap();
        assert_eq!(turning.turned, [(0, Turned::Observation(key))]);
    }

    #[test]
    fn the_newest_of_told_places_counts() {
        let thing = r#"{
            "name": "t", "description": "d",
            "HistoricalLocations": [
                { "time": "2026-01-02T00:00:00Z", "Locations": [{ "@iot.id": 2 }] },
                { "time": "2026-01-01T00:00:00Z", "Locations": [{ "@iot.id": 1 }] }
            ]
        }"#;
        let mut draft = draft(EntityKind::Thing, thing).unwrap();
        for (id, node) in (1..).zip(&mut draft.nodes) {
            node.id = id;
        }
        assert!(draft.places().is_empty());
        let told = draft.told_places();
        assert_eq!(told.len(), 1);
        assert_eq!(told[&1].1, [Far::Existing(2)]);
    }
}
