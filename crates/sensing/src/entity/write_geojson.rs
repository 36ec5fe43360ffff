//! Entities as GeoJSON (RFC 7946), for viewers that know nothing of SensorThings: the result format
//! `GeoJSON` as FROST's server has it.
//!
//! A feature for each entity, also for one alone. Its properties are the entity's, made flat: a
//! member of a member has its path for a name (`properties/kind`, `Datastreams/0/name`), and links
//! are left out. Its geometry is the first that the entity or what is expanded with it has. So that
//! there is one where nobody thought of asking for it, [`with_places`] asks for it; what was only
//! asked for the geometry is not written.

use serde_json::{Map, Value};

use super::geojson;
use super::model::{Entity, Extent};
use super::write::{Answer, Expanded, Item, Page, Writer};
use crate::odata::{Expand, Path, QueryOptions, SelectItem, Span, Spanned, Step};
use crate::schema::{EntityKind, SENSORTHINGS_1_1};

/// What is no property of a feature: links, and geometries.
const LINKS: [&str; 3] = ["@iot.selfLink", "@iot.navigationLink", "@iot.nextLink"];
const PLACES: [&str; 3] = ["location", "feature", "observedArea"];

/// The options with what the geometry of each feature is made from.
pub fn with_places(kind: EntityKind, options: &QueryOptions) -> QueryOptions {
    let mut options = options.clone();
    ask_for_place(kind, &mut options);
    options
}

fn ask_for_place(kind: EntityKind, options: &mut QueryOptions) {
    match kind {
        EntityKind::Location => select_also(kind, options, &["location", "encodingType"]),
        EntityKind::FeatureOfInterest => select_also(kind, options, &["feature", "encodingType"]),
        EntityKind::Thing | EntityKind::HistoricalLocation => {
            expand_also(kind, options, "Locations");
        }
        EntityKind::Observation => expand_also(kind, options, "FeatureOfInterest"),
        EntityKind::Datastream | EntityKind::MultiDatastream => {
            select_also(kind, options, &["observedArea"]);
            expand_also(kind, options, "Thing");
        }
        EntityKind::Sensor | EntityKind::ObservedProperty => {}
    }
}

/// Where something was selected, these are as well.
fn select_also(kind: EntityKind, options: &mut QueryOptions, names: &[&str]) {
    if options.select.is_empty() {
        return;
    }
    for name in names {
        let Some(property) = SENSORTHINGS_1_1.entity(kind).property(name) else { continue };
        let steps = vec![Spanned::new(Step::Property(property), Span::default())];
        let item = Spanned::new(SelectItem::Property(Path { steps }), Span::default());
        if !options.select.contains(&item) {
            options.select.push(item);
        }
    }
}

/// The related entities are there, each with its place. Those that nobody asked for come first, so
/// that they give the geometry, and have nothing but an id beside it.
fn expand_also(kind: EntityKind, options: &mut QueryOptions, name: &str) {
    let Some(navigation) = SENSORTHINGS_1_1.entity(kind).navigation(name) else { return };
    let known = options.expand.iter_mut().find(|expand| expand.navigation.value == navigation);
    if let Some(expand) = known {
        ask_for_place(navigation.target, &mut expand.options);
        return;
    }
    let mut below = QueryOptions::default();
    if let Some(id) = SENSORTHINGS_1_1.entity(navigation.target).property("id") {
        let steps = vec![Spanned::new(Step::Property(id), Span::default())];
        below.select.push(Spanned::new(SelectItem::Property(Path { steps }), Span::default()));
    }
    ask_for_place(navigation.target, &mut below);
    let navigation = Spanned::new(navigation, Span::default());
    options.expand.insert(0, Expand { navigation, options: below });
}

impl Writer<'_> {
    /// A FeatureCollection of entities that were read with [`with_places`] of these options.
    pub fn feature_collection(&self, page: &Page, options: &QueryOptions) -> String {
        let features = page.items.iter().map(|item| self.feature(item, options));
        let mut members = Map::new();
        members.insert("type".to_owned(), "FeatureCollection".into());
        if let Some(count) = page.count {
            members.insert("@iot.count".to_owned(), count.into());
        }
        members.insert("features".to_owned(), features.collect::<Vec<_>>().into());
        if let Some(link) = &page.next_link {
            members.insert("@iot.nextLink".to_owned(), link.as_str().into());
        }
        Value::Object(members).to_string()
    }

    fn feature(&self, item: &Item, options: &QueryOptions) -> Value {
        let written = self.entity(&asked_for(item, options), options);
        let mut properties = Map::new();
        if let Ok(Value::Object(members)) = serde_json::from_str(&written) {
            flatten(&mut properties, "", members);
        }
        let mut members = Map::new();
        members.insert("type".to_owned(), "Feature".into());
        members.insert("properties".to_owned(), properties.into());
        members.insert("geometry".to_owned(), place_of(item).unwrap_or_default());
        members.into()
    }
}

/// The entity without what nobody asked for. The recursion is as deep as the options.
fn asked_for(item: &Item, options: &QueryOptions) -> Item {
    let expanded = item.expanded.iter().filter_map(|expanded| {
        let navigation = expanded.navigation;
        let expand = options.expand.iter().find(|expand| expand.navigation.value == navigation)?;
        let answer = match &expanded.answer {
            Answer::One(one) => {
                Answer::One(one.as_ref().map(|one| Box::new(asked_for(one, &expand.options))))
            }
            Answer::Many(page) => Answer::Many(Page {
                count: page.count,
                items: page.items.iter().map(|item| asked_for(item, &expand.options)).collect(),
                next_link: page.next_link.clone(),
            }),
        };
        Some(Expanded { navigation, answer })
    });
    Item {
        id: item.id.clone(),
        entity: item.entity.clone(),
        absent: item.absent,
        expanded: expanded.collect(),
    }
}

/// Members of members under their paths. The recursion is as deep as the entity's JSON, which is
/// bounded where it is read.
fn flatten(flat: &mut Map<String, Value>, prefix: &str, members: Map<String, Value>) {
    for (name, value) in members {
        let is_place = PLACES.contains(&name.as_str()) && value.get("type").is_some();
        if is_place || LINKS.iter().any(|link| name.ends_with(link)) {
            continue;
        }
        let name = if name == "@iot.id" { "id" } else { name.as_str() };
        put(flat, format!("{prefix}{name}"), value);
    }
}

fn put(flat: &mut Map<String, Value>, name: String, value: Value) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            flatten(flat, &format!("{name}/"), members);
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.into_iter().enumerate() {
                put(flat, format!("{name}/{index}"), item);
            }
        }
        other => {
            flat.insert(name, other);
        }
    }
}

/// The first geometry of an entity or of what is expanded with it.
fn place_of(item: &Item) -> Option<Value> {
    let own = match &item.entity {
        Entity::Location(place) if geojson::is_geojson(&place.encoding_type) => {
            geometry_in(place.location.value())
        }
        Entity::FeatureOfInterest(feature) if geojson::is_geojson(&feature.encoding_type) => {
            geometry_in(feature.feature.value())
        }
        Entity::Datastream(stream) => area_of(&stream.extent),
        Entity::MultiDatastream(stream) => area_of(&stream.extent),
        _ => None,
    };
    own.or_else(|| {
        item.expanded.iter().find_map(|expanded| match &expanded.answer {
            Answer::One(one) => place_of(one.as_ref()?),
            Answer::Many(page) => page.items.iter().find_map(place_of),
        })
    })
}

/// A geometry, or a Feature's.
fn geometry_in(mut place: Value) -> Option<Value> {
    if place.get("type").and_then(Value::as_str) == Some("Feature") {
        place = place.get_mut("geometry")?.take();
    }
    place.get("type").is_some().then_some(place)
}

fn area_of(extent: &Extent) -> Option<Value> {
    let mut text = String::new();
    geojson::push(&mut text, extent.observed_area.as_ref()?);
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::json::Json;
    use super::super::model::{Location, Thing};
    use super::*;
    use crate::odata::{EntityId, Target};

    fn options(kind: EntityKind, raw: &str) -> QueryOptions {
        QueryOptions::parse(&SENSORTHINGS_1_1, Target::Collection(kind), raw).unwrap()
    }

    fn location(id: i64, place: &Value) -> Item {
        let entity = Entity::Location(Location {
            name: format!("place {id}"),
            description: String::new(),
            encoding_type: "application/geo+json".to_owned(),
            location: Json::of(place),
            properties: None,
        });
        Item::new(EntityId::Integer(id), entity)
    }

    fn thing(places: Vec<Item>) -> Item {
        let properties = Some(Json::of(&json!({"kind": "air", "at": {"floor": 3}, "tags": [1]})));
        let entity = Entity::Thing(Thing {
            name: "station".to_owned(),
            description: "d".to_owned(),
            properties,
        });
        let navigation = SENSORTHINGS_1_1.entity(EntityKind::Thing).navigation("Locations");
        let answer = Answer::Many(Page { items: places, ..Page::default() });
        let expanded = vec![Expanded { navigation: navigation.unwrap(), answer }];
        Item { expanded, ..Item::new(EntityId::Integer(7), entity) }
    }

    fn written(item: Item, options: &QueryOptions) -> Value {
        let page = Page { count: Some(1), items: vec![item], next_link: None };
        let text = Writer::new("http://city").feature_collection(&page, options);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_thing_is_where_its_location_is() {
        let point = json!({"type": "Point", "coordinates": [104.06, 30.67]});
        let item = thing(vec![location(3, &point)]);
        let plain = written(item.clone(), &QueryOptions::default());
        assert_eq!(plain["@iot.count"], 1);
        let expected = json!({
            "type": "Feature",
            "properties": {
                "id": 7,
                "name": "station",
                "description": "d",
                "properties/kind": "air",
                "properties/at/floor": 3,
                "properties/tags": [1],
            },
            "geometry": point,
        });
        assert_eq!(plain["features"], json!([expected]));
        let asked = options(EntityKind::Thing, "$select=name&$expand=Locations($select=id,name)");
        let expanded = written(item, &asked);
        assert_eq!(
            expanded["features"][0]["properties"],
            json!({"name": "station", "Locations/0/id": 3, "Locations/0/name": "place 3"})
        );
    }

    #[test]
    fn a_feature_s_geometry_is_taken_out_and_what_is_no_place_is_null() {
        let point = json!({"type": "Point", "coordinates": [1, 2]});
        let feature = json!({"type": "Feature", "geometry": point, "properties": {"a": 1}});
        let found = written(location(1, &feature), &QueryOptions::default());
        assert_eq!(found["features"][0]["geometry"], point);
        let nowhere = written(thing(Vec::new()), &QueryOptions::default());
        assert_eq!(nowhere["features"][0]["geometry"], Value::Null);
    }

    #[test]
    fn places_are_asked_for_once_and_in_front() {
        let own = |kind, raw: &str| with_places(kind, &options(kind, raw)).to_string();
        let thing = "Locations($select=id,location,encodingType)";
        assert_eq!(own(EntityKind::Thing, ""), format!("$expand={thing}"));
        assert_eq!(own(EntityKind::Location, "$select=name"), "$select=name,location,encodingType");
        assert_eq!(own(EntityKind::Location, "$top=3"), "$top=3");
        assert_eq!(
            own(EntityKind::Thing, "$expand=Datastreams,Locations($select=name)"),
            "$expand=Datastreams,Locations($select=name,location,encodingType)"
        );
        assert_eq!(
            own(EntityKind::Datastream, ""),
            format!("$expand=Thing($select=id;$expand={thing})")
        );
        let feature = "FeatureOfInterest($select=id,feature,encodingType)";
        assert_eq!(
            own(EntityKind::Observation, "$expand=Datastream"),
            format!("$expand={feature},Datastream")
        );
    }
}
