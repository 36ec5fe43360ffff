//! OGC 18-088, clause 9 and table 23: every example and every rule of the text.

use super::{filter, options, read, refused};
use crate::odata::{
    BinaryOp, Direction, EntityId, ExprKind, Literal, ResourceEnd, ResourcePath, ResultFormat,
    SelectItem, Step, Target,
};
use crate::schema::EntityKind::{
    Datastream, FeatureOfInterest, Location, Observation, ObservedProperty, Thing,
};
use crate::schema::SENSORTHINGS_1_1;

// --- 9.2 Resource paths -----------------------------------------------------------------------

#[test]
fn a_path_leads_to_sets_entities_properties_and_links() {
    for path in [
        "Things",
        "ObservedProperties(1)",
        "Observations(1)/resultTime",
        "Observations(1)/resultTime/$value",
        "Datastreams(1)/Observations",
        "Datastreams(1)/Observations/$ref",
        "Datastreams(1)/Observations(1)",
        "Datastreams(1)/Observations(1)/resultTime",
        "Datastreams(1)/Observations(1)/FeatureOfInterest",
        "Datastreams(1)/unitOfMeasurement/name",
        "Things(1)/properties/a/b/$value",
        "Observations(1)/result%5B0%5D/x",
        "MultiDatastreams(1)/ObservedProperties",
        "Sensors('a%20b')/Datastreams(-3)/Thing/Locations",
        "HistoricalLocations(1)/Thing/$ref",
    ] {
        let (parsed, _) = read(path);
        assert_eq!(parsed.to_string(), path);
    }
}

#[test]
fn a_path_knows_what_it_ends_at() {
    let (path, _) = read("/Datastreams(1)/Observations/");
    assert_eq!(path.target(), Target::Collection(Observation));
    let (path, _) = read("Observations(1)/Datastream");
    assert_eq!(path.target(), Target::Entity(Datastream));
    let (path, _) = read("Things(1)/properties/owner");
    assert_eq!(path.target(), Target::Property);
    let ResourceEnd::Property { path, raw } = path.end else { panic!("no property") };
    assert_eq!(path.steps[1].value, Step::Key("owner".to_owned()));
    assert!(!raw);
}

#[test]
fn an_id_is_an_integer_or_a_text() {
    let id = |path: &str| read(path).0.last().id.clone().unwrap();
    assert_eq!(id("Things(7)"), EntityId::Integer(7));
    assert_eq!(id("Things('7')"), EntityId::Text("7".to_owned()));
    assert_eq!(id("Things('it''s')"), EntityId::Text("it's".to_owned()));
    assert_eq!(id("Things('a/b)')"), EntityId::Text("a/b)".to_owned()));
    assert_eq!(id("Things(%27a%2Fb%27)"), EntityId::Text("a/b".to_owned()));
    assert_eq!(id("Things('蜀+%25')/Datastreams('x')"), EntityId::Text("x".to_owned()));
}

#[test]
fn an_encoded_slash_does_not_divide() {
    let (path, _) = read("Things(1)/properties/a%2Fb/c");
    let ResourceEnd::Property { path, .. } = path.end else { panic!("no property") };
    assert_eq!(path.steps[1].value, Step::Key("a/b".to_owned()));
    assert_eq!(path.steps.len(), 3);
}

#[test]
fn a_topic_is_not_decoded() {
    let topic = ResourcePath::parse_plain(&SENSORTHINGS_1_1, "Datastreams('50%')/Observations");
    let topic = topic.unwrap();
    assert_eq!(topic.segments[0].value.id, Some(EntityId::Text("50%".to_owned())));
    assert_eq!(topic.to_string(), "Datastreams('50%25')/Observations");
}

// --- 9.3.2 $expand and $select ----------------------------------------------------------------

#[test]
fn the_examples_of_expand() {
    read("Things?$expand=Datastreams");
    let (_, nested) = read("Things?$expand=Datastreams/ObservedProperty");
    assert_eq!(nested.to_string(), "$expand=Datastreams($expand=ObservedProperty)");
    read("Datastreams(1)?$expand=Observations,ObservedProperty");
    let (_, filtered) = read("Datastreams(1)?$expand=Observations($filter=result%20eq%201)");
    let observations = &filtered.expand[0];
    assert_eq!(observations.navigation.value.name, "Observations");
    assert_eq!(observations.options.filter.as_ref().unwrap().to_string(), "result eq 1");
    read("Datastreams(1)?$select=id,Observations&$expand=Observations/FeatureOfInterest");
    read("Datastreams(1)?$expand=Observations($select=result)");
}

#[test]
fn every_option_of_an_expansion_is_read() {
    let query = "$expand=Datastreams($filter=name eq 'a;b)''c';$count=true;$orderby=name desc,id;\
                 $skip=1;$top=2;$select=name,Observations;$expand=Sensor,Observations($top=1))";
    let (_, parsed) = read(&format!("Things?{query}"));
    let options = &parsed.expand[0].options;
    assert_eq!(options.top.unwrap().value, 2);
    assert_eq!(options.skip.unwrap().value, 1);
    assert!(options.count.unwrap().value);
    assert_eq!(options.orderby.len(), 2);
    assert_eq!(options.expand[1].options.top.unwrap().value, 1);
    assert_eq!(options.filter.as_ref().unwrap().to_string(), "name eq 'a;b)''c'");
}

#[test]
fn paths_of_expansions_share_their_beginning() {
    let (_, paths) = read("Things?$expand=Datastreams/Sensor,Datastreams/ObservedProperty");
    let (_, nested) = read("Things?$expand=Datastreams($expand=Sensor,ObservedProperty)");
    assert_eq!(paths, nested);
    let (_, both) = read("Things?$expand=Datastreams($top=1),Datastreams/Sensor");
    assert_eq!(both.to_string(), "$expand=Datastreams($top=1;$expand=Sensor)");
    let (_, both) = read("Things?$expand=Datastreams/Sensor,Datastreams($top=1)");
    assert_eq!(both.to_string(), "$expand=Datastreams($top=1;$expand=Sensor)");
    let fault = refused("Things?$expand=Datastreams($top=1),Datastreams($top=2)");
    assert!(fault.what.contains("twice"), "{fault}");
}

#[test]
fn select_names_properties_members_and_navigations() {
    let (_, parsed) = read("Observations?$select=result,resultTime");
    assert_eq!(parsed.select.len(), 2);
    let (_, parsed) = read("Datastreams?$select=@iot.id,unitOfMeasurement/name,Observations,id");
    assert_eq!(parsed.to_string(), "$select=id,unitOfMeasurement/name,Observations");
    assert!(matches!(parsed.select[2].value, SelectItem::Navigation(_)));
}

// --- 9.3.3 The other options ------------------------------------------------------------------

#[test]
fn the_examples_of_orderby() {
    read("Observations?$orderby=result");
    let (_, parsed) =
        read("Observations?$expand=Datastream&$orderby=Datastream/id desc, phenomenonTime");
    assert_eq!(parsed.orderby[0].value.direction, Direction::Descending);
    assert_eq!(parsed.orderby[1].value.direction, Direction::Ascending);
    // The standard writes `Datastreams/id`, which its own model does not have.
    let fault = refused("Observations?$orderby=Datastreams/id desc");
    assert_eq!(fault.hint.as_deref(), Some("did you mean `Datastream`?"));
}

#[test]
fn orderby_takes_items_without_a_space_and_expressions() {
    let (_, parsed) = read("Observations?$orderby=phenomenonTime,result desc,Datastream/name asc");
    assert_eq!(parsed.to_string(), "$orderby=phenomenonTime,result%20desc,Datastream/name");
    read("Things?$orderby=length(name) add 1,properties/a/b desc,tolower(name)");
    read("Locations?$orderby=geo.distance(location,geography'POINT(104 30)')");
}

#[test]
fn top_skip_and_count() {
    read("Things?$top=5");
    read("Observations?$top=5&$orderby=phenomenonTime%20desc");
    let (_, parsed) = read("Observations?$skip=2&$top=2&$orderby=resultTime");
    assert_eq!(parsed.to_string(), "$orderby=resultTime&$skip=2&$top=2");
    let (_, parsed) = read("Things?$count=true&$top=0");
    assert!(parsed.count.unwrap().value);
    // 9.3.3.4: 400 where it is neither.
    for value in ["yes", "1", "True", "'true'"] {
        refused(&format!("Things?$count={value}"));
    }
    for value in ["-1", "1.5", "x", "99999999999999999999"] {
        refused(&format!("Things?$top={value}"));
        refused(&format!("Things?$skip={value}"));
    }
}

#[test]
fn result_formats() {
    let (_, parsed) = read("Datastreams(1)/Observations?$resultFormat=dataArray");
    assert_eq!(parsed.result_format.unwrap().value, ResultFormat::DataArray);
    let (_, parsed) = read("Locations?$resultFormat=GeoJSON");
    assert_eq!(parsed.result_format.unwrap().value, ResultFormat::GeoJson);
    refused("Things?$resultFormat=dataArray");
    refused("Things?$resultFormat=csv");
}

// --- 9.3.3.5 $filter --------------------------------------------------------------------------

#[test]
fn the_examples_of_filter() {
    read("Observations?$filter=result lt 10.00");
    read("Observations?$filter=Datastream/id eq '1'");
    read("Things?$filter=geo.distance(Locations/location,geography'POINT(-122 43)') gt 1");
    read(
        "Things?$expand=Datastreams/Observations/FeatureOfInterest&$filter=Datastreams/Observations\
         /FeatureOfInterest/id eq 'FOI_1' and Datastreams/Observations/resultTime ge \
         2010-06-01T00:00:00Z and Datastreams/Observations/resultTime le 2010-07-01T00:00:00Z",
    );
}

/// Table 22.
#[test]
fn the_built_in_filter_operators() {
    for text in
        ["unitOfMeasurement/name eq 'degree Celsius'", "unitOfMeasurement/name ne 'degree Celsius'"]
    {
        assert_eq!(filter(Datastream, text), text);
    }
    for text in [
        "result gt 20.0",
        "result ge 20.0",
        "result lt 100",
        "result le 100",
        "result le 3.5 and FeatureOfInterest/id eq '1'",
        "result gt 20 or result le 3.5",
        "result add 5 gt 10",
        "result sub 5 gt 10",
        "result mul 2 gt 2000",
        "result div 2 gt 4",
        "result mod 2 eq 0",
    ] {
        assert_eq!(filter(Observation, text), text);
    }
    assert_eq!(filter(Observation, "(result sub 5) gt 10"), "result sub 5 gt 10");
    assert_eq!(
        filter(Thing, "not startswith(description,'test')"),
        "not startswith(description,'test')"
    );
}

/// Table 23, as it stands there but for spaces and for what its own model does not have.
#[test]
fn the_built_in_query_functions() {
    for text in [
        "substringof('Sensor Things',description)",
        "endswith(description,'Things')",
        "startswith(description,'Sensor')",
        "length(description) eq 13",
        "indexof(description,'Sensor') eq 1",
        "substring(description,1) eq 'ensor Things'",
        "substring(description,2,4) eq 'nsor'",
        "tolower(description) eq 'sensor things'",
        "toupper(description) eq 'SENSOR THINGS'",
        "trim(description) eq 'Sensor Things'",
        "concat(concat(unitOfMeasurement/symbol,', '),unitOfMeasurement/name) eq 'degree, Celsius'",
        "contains(description,'Things')",
    ] {
        assert_eq!(filter(Datastream, text), text);
    }
    for text in [
        "year(resultTime) eq 2015",
        "month(resultTime) eq 12",
        "day(resultTime) eq 8",
        "hour(resultTime) eq 1",
        "minute(resultTime) eq 0",
        "second(resultTime) eq 0",
        "fractionalseconds(resultTime) eq 0",
        "date(resultTime) ne date(validTime)",
        "time(resultTime) le validTime",
        "totaloffsetminutes(resultTime) eq 60",
        "resultTime ge now()",
        "resultTime eq mindatetime()",
        "resultTime eq maxdatetime()",
        "round(result) eq 32",
        "floor(result) eq 32",
        "ceiling(result) eq 33",
    ] {
        assert_eq!(filter(Observation, text), text);
    }
    for text in [
        "geo.distance(location,geography'POINT(30 10)') lt 1",
        "geo.length(geography'LINESTRING(30 10,10 30,40 40)') gt 1",
        "geo.intersects(location,geography'POLYGON((30 10,10 20,20 40,40 40,30 10))')",
        "st_equals(location,geography'POINT(30 10)')",
        "st_disjoint(location,geography'POLYGON((30 10,10 20,20 40,40 40,30 10))')",
        "st_touches(location,geography'LINESTRING(30 10,10 30,40 40)')",
        "st_within(location,geography'POLYGON((30 10,10 20,20 40,40 40,30 10))')",
        "st_overlaps(location,geography'POLYGON((30 10,10 20,20 40,40 40,30 10))')",
        "st_crosses(location,geography'LINESTRING(30 10,10 30,40 40)')",
        "st_intersects(location,geography'LINESTRING(30 10,10 30,40 40)')",
        "st_contains(location,geography'POINT(30 10)')",
        "st_relate(location,geography'POINT(30 10)','T********')",
    ] {
        assert_eq!(filter(Location, text), text);
    }
    // With the standard's own spaces.
    filter(Location, "geo.distance(location, geography'POINT (30 10) ') gt 1");
    filter(FeatureOfInterest, "st_within(feature, geography'POLYGON ((0 0, 1 0, 1 1, 0 0))')");
}

/// FROST's functions on intervals.
#[test]
fn relations_of_times() {
    for name in ["before", "after", "meets", "during", "overlaps", "starts", "finishes"] {
        let text = format!("{name}(phenomenonTime,2020-01-01T00:00:00Z/2020-01-02T00:00:00Z)");
        assert_eq!(filter(Observation, &text), text);
    }
}

#[test]
fn every_function_has_a_name_of_its_own() {
    use crate::odata::Function;
    for function in Function::ALL {
        assert_eq!(Function::named(function.name()), Some(*function));
        let signature = function.signature();
        assert!(signature.optional <= signature.parameters.len());
    }
    assert_eq!(Function::ALL.len(), 46);
}

#[test]
fn operators_bind_as_in_odata() {
    for (text, meant) in [
        (
            "result eq 1 or result eq 2 and result eq 3",
            "result eq 1 or (result eq 2 and result eq 3)",
        ),
        ("not result eq 1 and result eq 2", "(not (result eq 1)) and result eq 2"),
        ("result add 2 mul 3 eq 7", "(result add (2 mul 3)) eq 7"),
        ("result sub 2 sub 3 eq 7", "((result sub 2) sub 3) eq 7"),
        ("result gt 2 eq true", "(result gt 2) eq true"),
        ("true eq result gt 2", "true eq (result gt 2)"),
        ("-result add 2 eq 7", "((-result) add 2) eq 7"),
        ("- -result eq 7", "(-(-result)) eq 7"),
        ("not not true", "not (not true)"),
    ] {
        assert_eq!(filter(Observation, text), filter(Observation, meant), "{text}");
    }
    assert_ne!(
        filter(Observation, "result sub (2 sub 3) eq 7"),
        filter(Observation, "result sub 2 sub 3 eq 7")
    );
}

#[test]
fn a_chain_is_wide_and_not_deep() {
    let ids: Vec<String> = (0..500).map(|id| format!("id eq {id}")).collect();
    let printed = filter(Thing, &ids.join(" or "));
    assert_eq!(printed, ids.join(" or "));
    assert_eq!(filter(Thing, "(id eq 1 or id eq 2) or id eq 3"), "id eq 1 or id eq 2 or id eq 3");
}

#[test]
fn literals_keep_their_type() {
    let (_, parsed) = read("Observations?$filter=result eq 10.00 or result eq 10 or result eq 1e5");
    let ExprKind::Or(operands) = parsed.filter.unwrap().value else { panic!("no `or`") };
    let literal = |index: usize| match &operands[index].value {
        ExprKind::Binary { op: BinaryOp::Eq, right, .. } => match &right.value {
            ExprKind::Literal(literal) => literal.clone(),
            other => panic!("no literal: {other:?}"),
        },
        other => panic!("no comparison: {other:?}"),
    };
    assert_eq!(literal(0), Literal::Double(10.0));
    assert_eq!(literal(1), Literal::Integer(10));
    assert_eq!(literal(2), Literal::Double(1e5));
}

#[test]
fn times_are_literals_without_quotes() {
    for text in [
        "phenomenonTime ge 2018-05-04T00:22:54.738+02:00",
        "phenomenonTime lt 2020-01-01T00:00:00Z/2020-01-02T00:00:00Z",
        "date(resultTime) eq 2020-02-29",
        "time(resultTime) lt 12:30:00",
        "resultTime gt now() sub duration'P1D'",
        "resultTime sub phenomenonTime gt duration'PT5M'",
        "result eq null",
        "result eq true",
        "resultTime ge 2020-01-01T00:00:00.000001-03:30",
    ] {
        if text.contains("sub phenomenonTime") {
            // An interval has no distance to an instant.
            super::no_filter(Observation, text);
        } else {
            assert_eq!(filter(Observation, text), text);
        }
    }
    assert_eq!(
        filter(Observation, "resultTime ge 2020-01-01T00:00z"),
        "resultTime ge 2020-01-01T00:00:00Z"
    );
}

#[test]
fn paths_go_through_navigations_and_into_json() {
    for text in [
        "Datastream/Thing/Locations/name eq 'a'",
        "Datastream/id eq 1",
        "parameters/a/b-c/d:e eq 1",
        "parameters/'a b'/'it''s' eq 1",
        "result[0] gt 1",
        "result/x[2][3]/y gt 1",
        "result sub Datastream/Thing/properties/threshold gt 0",
        "FeatureOfInterest/properties/not/and/eq eq 'x'",
        "Datastream/properties/3d eq true",
    ] {
        assert_eq!(filter(Observation, text), text);
    }
    assert_eq!(filter(Thing, "@iot.id eq 5"), "id eq 5");
    assert_eq!(filter(Thing, "Datastreams/@iot.id eq 5"), "Datastreams/id eq 5");
}

/// The standard has ids of both kinds, and its examples quote them all.
#[test]
fn an_id_is_compared_with_numbers_and_texts() {
    filter(Thing, "id eq 1 or id eq 'a' or id eq properties/parent");
    filter(Thing, "startswith(id,'park-')");
    filter(ObservedProperty, "id ne null");
}

#[test]
fn options_that_are_not_ours_are_left_alone() {
    let parsed = options(Target::Collection(Thing), "token=abc&x=%zz&&=&$top=1&@p=1").unwrap();
    assert_eq!(parsed.to_string(), "$top=1");
    assert!(options(Target::Property, "f=json").unwrap().is_empty());
}

// --- $apply -----------------------------------------------------------------------------------

#[test]
fn rows_are_grouped_by_windows_and_counted_together() {
    let (_, parsed) = read(
        "Datastreams(1)/Observations?$apply=filter(phenomenonTime ge 2020-01-01T00:00:00Z)/\
         groupby((window(phenomenonTime,'PT1H')),aggregate(result with average as mean,\
         result with max as most,$count as n))&$orderby=window desc&$filter=n gt 3&$top=24",
    );
    let apply = &parsed.apply.as_ref().unwrap().value;
    assert_eq!(apply.aggregates.len(), 3);
    assert_eq!(
        apply.to_string(),
        "filter(phenomenonTime ge 2020-01-01T00:00:00Z)/groupby((window(phenomenonTime,\
         duration'PT1H')),aggregate(result with average as mean,result with max as most,\
         $count as n))"
    );
}

#[test]
fn other_ways_to_aggregate() {
    for apply in [
        "aggregate($count as n)",
        "groupby((Datastream/id))",
        "groupby((Datastream/id,Datastream/Thing/properties/district),\
         aggregate(result with average as mean))",
        "groupby((window(resultTime,duration'P1M','%2B08:00') as month),\
         aggregate(result with countdistinct as kinds,result with last as newest))",
        "filter(result gt 1)/filter(result lt 5)/aggregate(result with sum as total)",
    ] {
        read(&format!("Observations?$apply={apply}"));
    }
    let (_, parsed) = read("Observations?$apply=groupby((Datastream/id))&$orderby=Datastream/id");
    assert_eq!(parsed.orderby.len(), 1);
    let (_, joined) = read(
        "Observations?$apply=filter(result gt 1 and result lt 9)/filter(result ne 5)/\
         aggregate($count as n)",
    );
    let filter = joined.apply.unwrap().value.filter.unwrap();
    assert_eq!(filter.to_string(), "result gt 1 and result lt 9 and result ne 5");
}

#[test]
fn what_cannot_be_aggregated_is_refused() {
    for (apply, what) in [
        ("filter(result gt 1)", "a filter alone"),
        ("groupby((result),aggregate(result with mean as m))", "no such method"),
        ("aggregate(result with average as result)", "the name of a property"),
        ("aggregate(result with average as a,result with max as a)", "the same name"),
        ("aggregate(result with average)", "no name"),
        ("aggregate(result)", "no method"),
        ("aggregate(Datastream/name with average as a)", "no average of a text"),
        ("aggregate($sum as n)", "no such aggregate"),
        ("groupby((Datastream/id,Datastream/id))", "twice"),
        ("groupby(result)", "parentheses of their own"),
        ("groupby((window(phenomenonTime,'P1M1D')))", "no length of a window"),
        ("groupby((window(phenomenonTime,'PT0S')))", "no length of a window"),
        ("groupby((window(phenomenonTime,'1 hour')))", "no duration"),
        ("groupby((window(phenomenonTime,'PT1H','Chengdu')))", "no offset from UTC"),
        ("groupby((window(result,'PT1H')))", "needs a time"),
        ("groupby((FeatureOfInterest/feature))", "no groups by a geometry"),
        ("groupby((result))/filter(result gt 1)", "cannot read on"),
        ("concat(result)", "no such transformation"),
        ("aggregate(result with average as not)", "a word of the language"),
        ("groupby((window(phenomenonTime,'PT1H')),aggregate($count as window))", "same name"),
    ] {
        let fault = refused(&format!("Observations?$apply={apply}"));
        assert!(fault.to_string().contains(what), "{apply}\n{fault}");
    }
    let fault = refused("Things?$apply=groupby((Datastreams/Observations/result))");
    assert!(fault.to_string().contains("leads to many"), "{fault}");
    let fault = refused("Observations?$apply=aggregate($count as n)&$filter=result gt 1");
    assert!(fault.to_string().contains("$apply=filter"), "{fault}");
    refused("Observations?$apply=aggregate($count as n)&$select=result");
    refused("Observations?$apply=aggregate($count as n)&$resultFormat=dataArray");
}
