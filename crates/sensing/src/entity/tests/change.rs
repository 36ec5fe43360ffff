//! Updates held to 10.3.

use serde_json::{Value, json};

use super::super::{Change, FaultKind, json_patch, patch, put};
use super::*;
use crate::odata::EntityId;

fn patched(now: &Entity, body: Value) -> Result<Change> {
    patch(now, body.to_string().as_bytes())
}

fn operated(now: &Entity, body: Value) -> Result<Change> {
    json_patch(now, body.to_string().as_bytes())
}

fn replaced(now: &Entity, body: Value) -> Result<Change> {
    put(now, body.to_string().as_bytes())
}

#[test]
fn the_standard_s_patch_changes_what_is_given() {
    let change = patched(&thing(), json!({"description": "This thing is an oven."})).unwrap();
    assert_eq!(change.changed, ["description"]);
    assert_eq!(change.links, []);
    let (Entity::Thing(after), Entity::Thing(before)) = (&change.entity, thing()) else { panic!() };
    assert_eq!(after.description, "This thing is an oven.");
    assert_eq!((&after.name, &after.properties), (&before.name, &before.properties));
}

#[test]
fn nothing_given_changes_nothing() {
    for present in [thing(), datastream()] {
        let change = patched(&present, json!({"@iot.id": 99, "@iot.selfLink": "x"})).unwrap();
        assert_eq!(change, Change { entity: present, changed: vec![], links: vec![] });
    }
}

#[test]
fn a_property_is_replaced_whole_and_a_unit_by_its_members() {
    let change = patched(&thing(), json!({"properties": {"c": 3}})).unwrap();
    let Entity::Thing(after) = change.entity else { panic!() };
    assert_eq!(after.properties.unwrap().as_str(), r#"{"c":3}"#);
    let change = patched(&datastream(), json!({"unitOfMeasurement": {"symbol": "K"}})).unwrap();
    assert_eq!(change.changed, ["unitOfMeasurement"]);
    let Entity::Datastream(after) = change.entity else { panic!() };
    assert_eq!(after.unit_of_measurement.symbol.as_deref(), Some("K"));
    assert_eq!(after.unit_of_measurement.name.as_deref(), Some("degree"));
}

#[test]
fn null_takes_an_optional_property_away_and_no_mandatory_one() {
    let change = patched(&thing(), json!({"properties": null})).unwrap();
    assert_eq!(change.changed, ["properties"]);
    let Entity::Thing(after) = change.entity else { panic!() };
    assert_eq!(after.properties, None);
    refused(patched(&thing(), json!({"name": null})), "/name", "a text, found null");
}

#[test]
fn an_inline_entity_in_an_update_is_refused_and_a_link_is_not() {
    let inline = json!({"name": "x", "description": "y"});
    refused(patched(&datastream(), json!({"Thing": inline})), "/Thing", "a related entity");
    let whole = json!({"@iot.id": 4, "name": "x"});
    refused(patched(&datastream(), json!({"Thing": whole})), "/Thing", "a related entity");
    let inside = json!({"Locations": [{"@iot.id": 1}, inline]});
    refused(patched(&thing(), inside.clone()), "/Locations/1", "a related entity");
    refused(replaced(&thing(), inside), "/Locations/1", "a related entity");

    let change = patched(&datastream(), json!({"Thing": {"@iot.id": 4}})).unwrap();
    assert_eq!((change.changed.len(), change.links.len()), (0, 1));
    assert_eq!(change.links[0].navigation.name, "Thing");
    assert_eq!(change.links[0].id, EntityId::Integer(4));
    let links = patched(&thing(), json!({"Locations": [{"@iot.id": 1}, {"@iot.id": 2}]}));
    assert_eq!(links.unwrap().links.len(), 2);
    refused(patched(&datastream(), json!({"Thing": null})), "/Thing", "a link");
}

#[test]
fn an_update_cannot_make_what_could_not_be_made() {
    let unknown = patched(&thing(), json!({"nmae": "x"}));
    refused(unknown, "/nmae", "did you mean `name`?");
    let point = json!({"name": "n", "description": "d", "encodingType": "x", "location": "y"});
    let place = read(EntityKind::Location, &point.to_string()).unwrap().entity;
    let geojson = patched(&place, json!({"encodingType": "application/geo+json"}));
    refused(geojson, "/location", "a GeoJSON object");
    refused(patched(&datastream(), json!({"observationType": "OM_X"})), "/observationType", "type");
}

#[test]
fn a_put_is_whole() {
    let change = replaced(&thing(), json!({"name": "oven", "description": "cold"})).unwrap();
    assert_eq!(change.changed, ["description", "properties"]);
    refused(replaced(&thing(), json!({"name": "oven"})), "", "`description` is missing");
    let reading = r#"{"result":1,"phenomenonTime":"2020-01-01T00:00:00Z"}"#;
    let reading = entity(EntityKind::Observation, reading);
    refused(replaced(&reading, json!({"result": 2})), "", "`phenomenonTime` is missing");
}

#[test]
fn a_put_does_not_wipe_what_the_service_works_out() {
    let unit = json!({"name": null, "symbol": null, "definition": null});
    let body = json!({"name": "t", "description": "d", "observationType": MEASUREMENT,
                      "unitOfMeasurement": unit});
    let change = replaced(&datastream(), body).unwrap();
    assert_eq!(change.changed, ["unitOfMeasurement"]);
    let Entity::Datastream(after) = change.entity else { panic!() };
    assert!(after.extent.phenomenon_time.is_some());
}

#[test]
fn a_json_patch_is_applied_to_what_there_is() {
    let change = operated(
        &thing(),
        json!([
            {"op": "test", "path": "/name", "value": "oven"},
            {"op": "replace", "path": "/name", "value": "stove"},
            {"op": "add", "path": "/properties/a/-", "value": {"deep": true}},
            {"op": "move", "from": "/properties/b", "path": "/properties/c"},
            {"op": "copy", "from": "/name", "path": "/description"},
            {"op": "add", "path": "/Locations", "value": [{"@iot.id": 3}]},
        ]),
    )
    .unwrap();
    let Entity::Thing(after) = &change.entity else { panic!() };
    assert_eq!((after.name.as_str(), after.description.as_str()), ("stove", "stove"));
    let properties = after.properties.as_ref().unwrap().as_str();
    assert_eq!(properties, r#"{"a":[2,{"deep":true}],"c":1}"#);
    assert_eq!(change.changed, ["name", "description", "properties"]);
    assert_eq!(change.links[0].id, EntityId::Integer(3));
}

#[test]
fn a_json_patch_fails_as_a_whole() {
    let failed = operated(
        &thing(),
        json!([
            {"op": "replace", "path": "/name", "value": "stove"},
            {"op": "test", "path": "/description", "value": "cold"},
        ]),
    );
    let fault = failed.unwrap_err();
    assert_eq!((fault.kind, fault.pointer.as_str()), (FaultKind::Conflict, "/1"));
    let id = operated(&thing(), json!([{"op": "replace", "path": "/@iot.id", "value": 2}]));
    assert_eq!(id.unwrap_err().kind, FaultKind::Conflict);
    refused(
        operated(&thing(), json!([{"op": "remove", "path": "/name"}])),
        "",
        "`name` is missing",
    );
    refused(operated(&thing(), json!([{"op": "remove", "path": ""}])), "", "`name` is missing");
    let text = json!([{"op": "add", "path": "", "value": "x"}]);
    refused(operated(&thing(), text), "", "expected a Thing");
    let inline = json!([{"op": "add", "path": "/Locations", "value": [{"name": "x"}]}]);
    refused(operated(&thing(), inline), "/Locations/0", "a related entity");
}
