//! Topics of SensorThings (OGC 18-088, 14 and 15): what may be said to, what may be listened to.
//!
//! A topic is a resource path below the version, not encoded. The same thing is known under several
//! paths; told it is under the shortest ones, to which filters are brought when they are asked for:
//! `Things(1)/Datastreams(2)/Observations` hears what is told under `Datastreams(2)/Observations`.

use sensing::odata::{EntityId, Path, QueryOptions, ResourceEnd, ResourcePath, Target};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

/// Before every path.
const VERSION: &str = "v1.1/";
/// Observations in bulk, as arrays.
const BULK: &str = "CreateObservations";

/// What a publish to a topic is.
#[derive(Debug)]
pub enum Said {
    /// One observation, to a collection.
    Observation(ResourcePath),
    /// A body of CreateObservations.
    Bulk,
    /// Nothing of SensorThings.
    Other,
}

/// Reads a topic that is published to.
pub fn said(topic: &str) -> Said {
    let Some(path) = topic.strip_prefix(VERSION) else { return Said::Other };
    if path == BULK {
        return Said::Bulk;
    }
    match ResourcePath::parse_plain(&SENSORTHINGS_1_1, path) {
        Ok(path) if path.target() == Target::Collection(EntityKind::Observation) => {
            match path.end {
                ResourceEnd::Whole => Said::Observation(path),
                _ => Said::Other,
            }
        }
        _ => Said::Other,
    }
}

/// What a filter listens to.
#[derive(Debug)]
pub struct Heard {
    /// The filter that topics meet which are told.
    pub filter: String,
    /// The topic that it is told under, where the filter is no pattern.
    pub topic: Option<String>,
    /// What was asked for, where the filter is no pattern.
    pub path: Option<ResourcePath>,
    pub select: QueryOptions,
    pub property: Option<Path>,
}

/// Reads a filter, or says why it is none of SensorThings.
pub fn heard(asked: &str) -> Result<Heard, String> {
    if asked.contains(['+', '#']) {
        let below = asked.strip_prefix(VERSION).unwrap_or_default();
        let all = asked == "#" || asked.starts_with("+/") || !below.is_empty();
        return match all && !asked.contains('?') {
            true => Ok(Heard {
                filter: asked.to_owned(),
                topic: None,
                path: None,
                select: QueryOptions::default(),
                property: None,
            }),
            false => Err("a pattern begins with v1.1/ and has no options".to_owned()),
        };
    }
    let Some(below) = asked.strip_prefix(VERSION) else {
        return Err("a topic begins with v1.1/".to_owned());
    };
    let (path, query) = below.split_once('?').unwrap_or((below, ""));
    let path = ResourcePath::parse_plain(&SENSORTHINGS_1_1, path);
    let path = path.map_err(|error| error.to_string())?;
    let select = QueryOptions::parse(&SENSORTHINGS_1_1, path.target(), query);
    let select = select.map_err(|error| error.to_string())?;
    if select != (QueryOptions { select: select.select.clone(), ..QueryOptions::default() }) {
        return Err("a subscription selects with $select and has no other option".to_owned());
    }
    let property = match &path.end {
        ResourceEnd::Whole => None,
        ResourceEnd::Property { path, raw: false } => Some(path.clone()),
        ResourceEnd::Property { .. } | ResourceEnd::References => {
            return Err("neither /$value nor /$ref is told".to_owned());
        }
    };
    let filter = shortest(&path).ok_or_else(|| {
        "listen to a set, to an entity by its id, or to what is related to one: Observations, \
         Things(1), Datastreams(1)/Observations"
            .to_owned()
    })?;
    Ok(Heard { filter, topic: Some(asked.to_owned()), path: Some(path), select, property })
}

/// The topic under which what a path ends at is told; none where it is told under none.
fn shortest(path: &ResourcePath) -> Option<String> {
    let last = path.last();
    if let Some(id) = &last.id {
        return Some(of_entity(last.entity.kind, id));
    }
    if path.end != ResourceEnd::Whole || !last.many {
        return None;
    }
    match path.segments.as_slice() {
        [_] => Some(of_set(last.entity.kind)),
        [.., above, _] => {
            let (parent, id) = (above.value.entity.kind, above.value.id.as_ref()?);
            is_told(parent, last.entity.kind).then(|| below(parent, id, last.entity.kind))
        }
        [] => None,
    }
}

/// Whether entities of a type are told below their parents of another.
fn is_told(parent: EntityKind, kind: EntityKind) -> bool {
    use EntityKind as K;
    matches!(
        (parent, kind),
        (K::Datastream | K::MultiDatastream | K::FeatureOfInterest, K::Observation)
            | (K::Thing | K::Sensor, K::Datastream | K::MultiDatastream)
            | (K::ObservedProperty, K::Datastream)
            | (K::Thing, K::HistoricalLocation)
    )
}

pub fn of_set(kind: EntityKind) -> String {
    format!("{VERSION}{}", SENSORTHINGS_1_1.entity(kind).set)
}

pub fn of_entity(kind: EntityKind, id: &EntityId) -> String {
    format!("{VERSION}{}({id})", SENSORTHINGS_1_1.entity(kind).set)
}

/// The collection of a type below a parent. The navigations that are told have their sets' names.
pub fn below(parent: EntityKind, id: &EntityId, kind: EntityKind) -> String {
    let (parent, set) = (SENSORTHINGS_1_1.entity(parent).set, SENSORTHINGS_1_1.entity(kind).set);
    format!("{VERSION}{parent}({id})/{set}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(asked: &str) -> Option<String> {
        heard(asked).ok().map(|heard| heard.filter)
    }

    #[test]
    fn filters_are_brought_to_the_topics_that_are_told() {
        for (asked, told) in [
            ("v1.1/Observations", "v1.1/Observations"),
            ("v1.1/Things(1)", "v1.1/Things(1)"),
            ("v1.1/Things(1)/name", "v1.1/Things(1)"),
            ("v1.1/Datastreams(2)/Observations", "v1.1/Datastreams(2)/Observations"),
            ("v1.1/Things(1)/Datastreams(2)/Observations", "v1.1/Datastreams(2)/Observations"),
            ("v1.1/Observations?$select=result", "v1.1/Observations"),
            (
                "v1.1/Datastreams(2)/Observations?$select=result,phenomenonTime",
                "v1.1/Datastreams(2)/Observations",
            ),
            ("v1.1/Things(1)/Datastreams", "v1.1/Things(1)/Datastreams"),
            ("v1.1/#", "v1.1/#"),
            ("#", "#"),
        ] {
            assert_eq!(filter(asked).as_deref(), Some(told), "{asked}");
        }
        for none in [
            "v1.0/Things",
            "v1.1/Nothings",
            "v1.1/Datastreams(1)/Thing",
            "v1.1/Things(1)/$ref",
            "v1.1/Things?$top=1",
            "v1.1/Things?$select=nothing",
            "v1.1/+/Observations?$select=result",
            "other/#",
        ] {
            assert_eq!(filter(none), None, "{none}");
        }
    }

    #[test]
    fn observations_are_said_to_their_collections() {
        for topic in [
            "v1.1/Observations",
            "v1.1/Datastreams(1)/Observations",
            "v1.1/MultiDatastreams(1)/Observations",
            "v1.1/FeaturesOfInterest(1)/Observations",
        ] {
            assert!(matches!(said(topic), Said::Observation(_)), "{topic}");
        }
        assert!(matches!(said("v1.1/CreateObservations"), Said::Bulk));
        for other in
            ["Observations", "v1.1/Things", "v1.1/Observations('1-2-0')", "v1.1/Observations/$ref"]
        {
            assert!(matches!(said(other), Said::Other), "{other}");
        }
    }

    #[test]
    fn what_is_told_has_the_name_that_filters_are_brought_to() {
        let id = EntityId::Integer(2);
        let told = below(EntityKind::Datastream, &id, EntityKind::Observation);
        assert_eq!(told, "v1.1/Datastreams(2)/Observations");
        assert_eq!(of_entity(EntityKind::Thing, &EntityId::Integer(1)), "v1.1/Things(1)");
        let id = EntityId::Text("2-5-0".to_owned());
        let told = of_entity(EntityKind::Observation, &id);
        assert_eq!(filter("v1.1/Observations('2-5-0')"), Some(told));
    }
}
