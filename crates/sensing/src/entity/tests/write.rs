//! Answers: their members in order, what was selected and expanded, links, pages.

use serde_json::{Value, json};

use super::super::{
    Answer, ArrayGroup, Expanded, Item, Moment, ObservationId, Page, Target, Writer,
};
use super::*;
use crate::odata::{EntityId, QueryOptions, ResourceEnd, ResourcePath, Target as Asked};
use crate::schema::{Navigation, SENSORTHINGS_1_1};

const ROOT: &str = "http://example.org/v1.1";

fn options(kind: EntityKind, query: &str) -> QueryOptions {
    QueryOptions::parse(&SENSORTHINGS_1_1, Asked::Collection(kind), query).unwrap()
}

fn navigation(of: EntityKind, name: &str) -> &'static Navigation {
    SENSORTHINGS_1_1.entity(of).navigation(name).unwrap()
}

fn id(id: i64) -> EntityId {
    EntityId::Integer(id)
}

fn written(item: &Item, query: &str) -> String {
    Writer::new(ROOT).entity(item, &options(item.entity.kind(), query))
}

fn reading(body: &str) -> Item {
    let entity = entity(EntityKind::Observation, body);
    let Entity::Observation(observation) = &entity else { panic!() };
    let place = ObservationId::new(5, observation.phenomenon_time.start(), 0).unwrap();
    let absent = Some(EntityKind::MultiDatastream);
    Item { absent, ..Item::new(place.into(), entity) }
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|cause| panic!("{text}: {cause}"))
}

#[test]
fn an_entity_has_its_members_in_order() {
    let expected = concat!(
        r#"{"@iot.selfLink":"http://example.org/v1.1/Things(1)","@iot.id":1,"#,
        r#""name":"oven","description":"hot","properties":{"b":1,"a":[2]},"#,
        r#""Locations@iot.navigationLink":"http://example.org/v1.1/Things(1)/Locations","#,
        r#""HistoricalLocations@iot.navigationLink":"#,
        r#""http://example.org/v1.1/Things(1)/HistoricalLocations","#,
        r#""Datastreams@iot.navigationLink":"http://example.org/v1.1/Things(1)/Datastreams","#,
        r#""MultiDatastreams@iot.navigationLink":"#,
        r#""http://example.org/v1.1/Things(1)/MultiDatastreams"}"#,
    );
    assert_eq!(written(&Item::new(id(1), thing()), ""), expected);
}

#[test]
fn a_result_time_that_is_not_there_is_null() {
    let item = reading(r#"{"result":5.0,"phenomenonTime":"2020-01-01T08:00:00.5+08:00"}"#);
    let text = written(&item, "");
    assert_eq!(
        text,
        concat!(
            r#"{"@iot.selfLink":"http://example.org/v1.1/Observations('5-1577836800500000-0')","#,
            r#""@iot.id":"5-1577836800500000-0","phenomenonTime":"2020-01-01T00:00:00.500Z","#,
            r#""result":5,"resultTime":null,"#,
            r#""Datastream@iot.navigationLink":"#,
            r#""http://example.org/v1.1/Observations('5-1577836800500000-0')/Datastream","#,
            r#""FeatureOfInterest@iot.navigationLink":"#,
            r#""http://example.org/v1.1/Observations('5-1577836800500000-0')/FeatureOfInterest"}"#,
        )
    );
}

#[test]
fn what_was_selected_is_written_and_nothing_else() {
    let item = Item::new(id(1), thing());
    assert_eq!(written(&item, "$select=name"), r#"{"name":"oven"}"#);
    assert_eq!(written(&item, "$select=name,id"), r#"{"@iot.id":1,"name":"oven"}"#);
    assert_eq!(written(&item, "$select=properties/b"), r#"{"properties":{"b":1}}"#);
    assert_eq!(
        written(&item, "$select=Datastreams"),
        r#"{"Datastreams@iot.navigationLink":"http://example.org/v1.1/Things(1)/Datastreams"}"#
    );
    let none = reading(r#"{"result":1,"phenomenonTime":"2020-01-01T00:00:00Z"}"#);
    assert_eq!(written(&none, "$select=validTime"), r#"{"validTime":null}"#);
}

#[test]
fn an_expansion_stands_where_its_link_would() {
    let streams = Page {
        count: Some(7),
        items: vec![Item {
            expanded: vec![Expanded {
                navigation: navigation(EntityKind::Datastream, "Sensor"),
                answer: Answer::One(None),
            }],
            ..Item::new(id(2), datastream())
        }],
        next_link: Some(format!("{ROOT}/Things(1)/Datastreams?$top=1&$skip=1")),
    };
    let item = Item {
        expanded: vec![Expanded {
            navigation: navigation(EntityKind::Thing, "Datastreams"),
            answer: Answer::Many(streams),
        }],
        ..Item::new(id(1), thing())
    };
    let query = "$select=name&$expand=Datastreams($select=name;$expand=Sensor;$top=1;$count=true)";
    let expected = concat!(
        r#"{"name":"oven","Datastreams@iot.count":7,"Datastreams":[{"name":"t","Sensor":null}],"#,
        r#""Datastreams@iot.nextLink":"#,
        r#""http://example.org/v1.1/Things(1)/Datastreams?$top=1&$skip=1"}"#,
    );
    assert_eq!(written(&item, query), expected);
    let whole = value(&written(&item, "$expand=Datastreams"));
    assert_eq!(whole.get("Datastreams@iot.navigationLink"), None);
    assert!(whole.get("Locations@iot.navigationLink").is_some());
    let both = value(&written(&item, "$select=Datastreams&$expand=Datastreams"));
    assert!(both.get("Datastreams@iot.navigationLink").is_some());
}

#[test]
fn a_page_has_its_count_before_and_its_next_link_behind() {
    let writer = Writer::new("http://example.org/v1.1/");
    let mut page = Page { items: vec![Item::new(id(1), thing())], ..Page::default() };
    let select = options(EntityKind::Thing, "$select=id");
    assert_eq!(
        writer.collection(EntityKind::Thing, &page, &select),
        r#"{"value":[{"@iot.id":1}]}"#
    );
    page.count = Some(84);
    page.next_link = Some("http://example.org/v1.1/Locations(3)/Things?$skip=\"1\"".to_owned());
    assert_eq!(
        writer.collection(EntityKind::Thing, &page, &select),
        concat!(
            r#"{"@iot.count":84,"value":[{"@iot.id":1}],"#,
            r#""@iot.nextLink":"http://example.org/v1.1/Locations(3)/Things?$skip=\"1\""}"#
        )
    );
    let link = r#"{"@iot.selfLink":"http://example.org/v1.1/Things(1)"}"#;
    assert_eq!(writer.reference(&page.items[0]), link);
    assert!(writer.references(&page).contains(&format!("\"value\":[{link}]")));
    let none = writer.collection(EntityKind::Thing, &Page::default(), &select);
    assert_eq!(none, r#"{"value":[]}"#);
}

#[test]
fn a_property_is_answered_alone_and_raw() {
    let check = |item: &Item, path: &str, property: Option<&str>, raw: Option<&str>| {
        let set = SENSORTHINGS_1_1.entity(item.entity.kind()).set;
        let path = ResourcePath::parse(&SENSORTHINGS_1_1, &format!("{set}(1)/{path}")).unwrap();
        let ResourceEnd::Property { path, .. } = path.end else { panic!() };
        let writer = Writer::new(ROOT);
        assert_eq!(writer.property(item, &path).as_deref(), property);
        assert_eq!(writer.raw_value(item, &path).as_deref(), raw);
    };
    let item = Item::new(id(1), thing());
    check(&item, "name", Some(r#"{"name":"oven"}"#), Some("oven"));
    check(&item, "id", Some(r#"{"@iot.id":1}"#), Some("1"));
    check(
        &item,
        "properties",
        Some(r#"{"properties":{"b":1,"a":[2]}}"#),
        Some(r#"{"b":1,"a":[2]}"#),
    );
    check(&item, "properties/b", Some(r#"{"b":1}"#), Some("1"));
    check(&item, "properties/a[0]", Some(r#"{"a":2}"#), Some("2"));
    check(&item, "properties/none", None, None);
    let text = reading(r#"{"result":"a \"b\"","phenomenonTime":"2020-01-01T00:00:00Z"}"#);
    check(&text, "result", Some(r#"{"result":"a \"b\""}"#), Some(r#"a "b""#));
    check(&text, "resultTime", None, None);
    let time = "2020-01-01T00:00:00Z";
    check(&text, "phenomenonTime", Some(&format!(r#"{{"phenomenonTime":"{time}"}}"#)), Some(time));
}

#[test]
fn the_root_holds_the_entity_sets_and_nothing_else() {
    let endpoints: &[&str] = &["mqtt://example.org:1883"];
    let text =
        Writer::new(ROOT).root_document(&["http://a", "http://b"], &[("http://m", endpoints)]);
    let root = value(&text);
    let sets = root["value"].as_array().unwrap();
    assert_eq!(sets.len(), 9);
    for set in sets {
        let name = set["name"].as_str().unwrap();
        assert!(SENSORTHINGS_1_1.entity_set(name).is_some());
        assert_eq!(set["url"], format!("{ROOT}/{name}"));
        assert_eq!(set.as_object().unwrap().len(), 2);
    }
    assert_eq!(root["serverSettings"]["conformance"], json!(["http://a", "http://b"]));
    assert_eq!(root["serverSettings"]["http://m"]["endpoints"], json!(endpoints));
    assert_eq!(root.as_object().unwrap().len(), 2);
}

#[test]
fn a_data_array_groups_by_stream() {
    let items = [
        reading(r#"{"result":20,"phenomenonTime":"2005-08-05T12:21:13Z"}"#),
        reading(r#"{"result":"a","phenomenonTime":"2005-08-05T12:22:08Z","parameters":{"n":1}}"#),
    ];
    let stream = id(5);
    let group = |items| ArrayGroup { kind: EntityKind::Datastream, id: &stream, items };
    let writer = Writer::new(ROOT);
    let all = options(EntityKind::Observation, "");
    let text = writer.data_array(&[group(&items)], Some(2), Some("http://next"), &all);
    assert_eq!(
        text,
        concat!(
            r#"{"@iot.count":2,"value":[{"Datastream@iot.navigationLink":"#,
            r#""http://example.org/v1.1/Datastreams(5)","#,
            r#""components":["id","phenomenonTime","resultTime","result","parameters"],"#,
            r#""dataArray@iot.count":2,"dataArray":["#,
            r#"["5-1123244473000000-0","2005-08-05T12:21:13Z",null,20,null],"#,
            r#"["5-1123244528000000-0","2005-08-05T12:22:08Z",null,"a",{"n":1}]]}],"#,
            r#""@iot.nextLink":"http://next"}"#,
        )
    );
    let select = options(EntityKind::Observation, "$select=result,phenomenonTime");
    let text = writer.data_array(&[group(&items[..1])], None, None, &select);
    let value = value(&text);
    assert_eq!(value["value"][0]["components"], json!(["result", "phenomenonTime"]));
    assert_eq!(value["value"][0]["dataArray"], json!([[20, "2005-08-05T12:21:13Z"]]));
}

#[test]
fn a_root_cannot_break_out_of_its_text() {
    let writer = Writer::new("http://evil\",\"x\":\"/v1.1");
    let item = Item::new(EntityId::Text("a\"b\\".to_owned()), thing());
    let root = "http://evil%22,%22x%22:%22/v1.1";
    let text = value(&writer.entity(&item, &QueryOptions::default()));
    assert_eq!(text["@iot.selfLink"], format!("{root}/Things('a%22b%5C')"));
    assert_eq!(text["@iot.id"], "a\"b\\");
    assert_eq!(value(&writer.root_document(&[], &[]))["value"][0]["url"], format!("{root}/Things"));
}

#[test]
fn created_rows_are_answered_in_order() {
    let place = ObservationId::new(5, Moment::from_micros(7).unwrap(), 1).unwrap();
    let text = Writer::new(ROOT).created([Some(place.into()), None]);
    assert_eq!(text, r#"["http://example.org/v1.1/Observations('5-7-1')","error"]"#);
}

#[test]
fn what_is_written_of_the_standard_s_oven_is_what_was_read() {
    let oven = read(EntityKind::Thing, OVEN).unwrap();
    let Some(Target::New(stream)) = oven.related("Datastreams").next() else { panic!() };
    let written = value(&written(&Item::new(id(2), stream.entity.clone()), ""));
    let given = &value(OVEN)["Datastreams"][0];
    for name in ["name", "description", "unitOfMeasurement", "observationType", "observedArea"] {
        assert_eq!(written[name], given[name], "{name}");
    }
    assert_eq!(written["phenomenonTime"], "2009-01-11T16:22:25Z/2011-08-21T08:32:10Z");
}
