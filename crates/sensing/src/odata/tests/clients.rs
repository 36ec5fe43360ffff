//! What real clients send, letter by letter.

use super::{read, refused};
use crate::odata::Direction;

/// The SensorThings provider of QGIS: counting, types of geometry, the map's extent, paging.
#[test]
fn qgis() {
    read(
        "Locations?$top=0&$count=true&$filter=location/type eq 'Point' or \
         location/geometry/type eq 'Point'",
    );
    read(
        "FeaturesOfInterest?$top=0&$count=true&$filter=feature/type%20eq%20'Polygon'%20or%20\
         feature/geometry/type%20eq%20'Polygon'",
    );
    read("MultiDatastreams?$filter=observedArea/type eq 'Polygon'&$top=0&$count=true");
    read(
        "Locations?$top=200&$count=false&$filter=(location/type eq 'Point' or \
         location/geometry/type eq 'Point') and (geo.intersects(location, \
         geography'Polygon ((104.0 30.5, 104.2 30.5, 104.2 30.7, 104.0 30.7, 104.0 30.5))'))",
    );
    read(
        "Things?$top=200&$count=false&$expand=Locations($orderby=id desc;$top=3;\
         $expand=HistoricalLocations($top=101))",
    );
    read(
        "Locations?$expand=Things($expand=Datastreams($filter=startswith(name,'PM');\
         $expand=Observations($orderby=phenomenonTime desc;$top=10)))",
    );
}

/// Zoomed out, the window of a map shows more than the world.
#[test]
fn qgis_zoomed_out() {
    read(
        "Locations?$filter=geo.intersects(location, geography'Polygon ((-271.3 -135, 271.3 -135, \
         271.3 135, -271.3 135, -271.3 -135))')",
    );
}

/// `frost-sta-client` writes URLs with `furl`, which makes a space a plus, and sorts by `DESC`.
#[test]
fn frost_sta_client() {
    let (_, parsed) = read(
        "Observations?$filter=phenomenonTime+gt+2020-01-01T00:00:00Z+and+result+lt+10\
         &$orderby=phenomenonTime+DESC&$count=true&$top=100&$skip=200",
    );
    assert_eq!(parsed.orderby[0].value.direction, Direction::Descending);
    assert_eq!(
        parsed.filter.as_ref().unwrap().to_string(),
        "phenomenonTime gt 2020-01-01T00:00:00Z and result lt 10"
    );
    read("Things?%24filter=name+eq+%27Thing+1%27&%24expand=Locations%2CDatastreams%2FSensor");
    read("Datastreams('6e6e6b4c-8d3f-11ec-a8a3-0242ac120002')/Observations?$orderby=id+ASC");
    read("Datastreams?$filter=properties%2Fkind+eq+%27air%27+AND+NOT+STARTSWITH(name%2C%27x%27)");
}

/// A plus that was left as it is, in an offset, stays one.
#[test]
fn times_with_an_offset_survive() {
    let (_, parsed) = read(
        "Observations?$orderby=phenomenonTime&$filter=((phenomenonTime ge \
         2018-05-04T00:22:54.738+02:00) and (2018-05-05T09:58:53.338+02:00 le \
         2018-05-05T09:58:53.338%2B02:00))&$top=200",
    );
    assert_eq!(
        parsed.to_string(),
        "$filter=phenomenonTime%20ge%202018-05-04T00:22:54.738%2B02:00%20and%20\
         2018-05-05T09:58:53.338%2B02:00%20le%202018-05-05T09:58:53.338%2B02:00\
         &$orderby=phenomenonTime&$top=200"
    );
}

/// The provider of pygeoapi: newest first, whole entities.
#[test]
fn pygeoapi() {
    read("Datastreams?$expand=Observations($orderby=phenomenonTime desc;$top=1),Thing,Sensor");
    read("Things('urn:x:1')?$expand=Locations,Datastreams");
    read(
        "Observations?$filter=FeatureOfInterest/id eq 'x' and phenomenonTime ge \
         2019-01-01T00:00:00Z and phenomenonTime le 2019-02-01T00:00:00Z&$skip=0&$top=10",
    );
}

/// A next link keeps its parent path and every option, and reads as what it was made of.
#[test]
fn a_next_link_is_the_request_with_another_page() {
    let (path, mut query) = read(
        "Datastreams('a&b')/Observations?$filter=parameters/note eq 'A%26B %2B 100%25 #1'\
         &$count=true&$top=2&$expand=FeatureOfInterest($select=name)\
         &$select=result,FeatureOfInterest",
    );
    query.skip = query.top;
    let link = format!("{path}?{query}");
    assert_eq!(
        link,
        "Datastreams('a%26b')/Observations?$filter=parameters/note%20eq%20'A%26B%20%2B%20100%25%20\
         %231'&$count=true&$skip=2&$top=2&$select=result,FeatureOfInterest\
         &$expand=FeatureOfInterest($select=name)"
    );
    assert_eq!(read(&link), (path, query));
}

/// Mistakes that are made with other servers or other versions get told.
#[test]
fn habits_of_other_languages() {
    for (request, hint) in [
        ("Observations?$filter=phenomenonTime gt '2020-01-01T00:00:00Z'", "without quotes"),
        ("Observations?$filter=phenomenonTime gt datetime'2020-01-01T00:00:00'", "without quotes"),
        ("Observations?$filter=resultTime gt 2020-01-01T00:00:00", "offset"),
        ("Things?$filter=id in (1,2)", "id eq 1 or id eq 2"),
        ("Things?$filter=Datastreams/any(d: d/name eq 'a')", "holds for any"),
        ("Things?$filter=Datastream/name eq 'a'", "did you mean `Datastreams`?"),
        ("Things/$count", "$count=true"),
        ("Things?filter=1&$fliter=name eq 'a'", "did you mean `$filter`?"),
        ("Thing(1)", "did you mean `Things`?"),
        ("Things(1)/Datastreams(2)/Obsevations", "did you mean `Observations`?"),
        ("Things(abc)", "Things('a')"),
        ("Locations?$filter=st_within(location,geography'POINT(30.5 104.1)')", "swapped"),
        ("Things?$expand=Datastreams($top=1)/Sensor", "$expand="),
    ] {
        let fault = refused(request);
        assert!(fault.to_string().contains(hint), "{request}\n{fault}");
    }
}
