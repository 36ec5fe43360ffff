//! GeoJSON (RFC 7946) as geometries: checked for its shape and for the bounds of WGS-84.
//!
//! A geometry is kept in two dimensions; the text it came in as is kept beside it where a table
//! has a column for it. Whether rings cross is not looked at.

use std::fmt::Write;

use geo_types::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon,
    Point, Polygon,
};
use serde_json::{Map, Value};

use super::fault::{At, Fault, Result, quote};
use super::json::push_number;

const LONGITUDE_MAX: f64 = 180.0;
const LATITUDE_MAX: f64 = 90.0;
/// A ring comes back to where it began: a triangle has four.
const RING_POSITIONS_MIN: usize = 4;

const GEOMETRIES: [&str; 7] = [
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
    "Polygon",
    "MultiPolygon",
    "GeometryCollection",
];

/// Is this the encoding that is understood here? The older name is the one of SensorThings 1.0.
pub fn is_geojson(encoding_type: &str) -> bool {
    matches!(encoding_type, "application/geo+json" | "application/vnd.geo+json")
}

/// The geometry of a GeoJSON geometry or Feature.
pub fn location(at: At<'_>, value: &Value) -> Result<Geometry<f64>> {
    let object = object(at, value)?;
    if object.get("type").and_then(Value::as_str) != Some("Feature") {
        return geometry(at, value);
    }
    reference_system(at, object)?;
    match object.get("geometry") {
        Some(value @ Value::Object(_)) => geometry(at.member("geometry"), value),
        other => {
            let found = other.unwrap_or(&Value::Null);
            Err(Fault::wrong_type(at.member("geometry"), "a GeoJSON geometry", found))
        }
    }
}

/// A GeoJSON geometry.
pub fn geometry(at: At<'_>, value: &Value) -> Result<Geometry<f64>> {
    let object = object(at, value)?;
    reference_system(at, object)?;
    let kind = match object.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        other => {
            let found = other.unwrap_or(&Value::Null);
            return Err(Fault::wrong_type(at.member("type"), "a type of GeoJSON", found));
        }
    };
    if kind == "GeometryCollection" {
        return collection(at, object);
    }
    if !GEOMETRIES.contains(&kind) {
        let fault = Fault::new(at.member("type"), "no type of geometry").found(quote(kind));
        return Err(fault.expected("a geometry or a Feature").suggest(kind, GEOMETRIES));
    }
    let at = at.member("coordinates");
    let Some(coordinates) = object.get("coordinates") else {
        return Err(Fault::new(at, format!("a {kind} without coordinates")));
    };
    Ok(match kind {
        "Point" => Geometry::Point(Point(position(at, coordinates)?)),
        "MultiPoint" => Geometry::MultiPoint(MultiPoint(each(at, coordinates, |at, value| {
            position(at, value).map(Point)
        })?)),
        "LineString" => Geometry::LineString(line(at, coordinates, 2)?),
        "MultiLineString" => {
            let lines = each(at, coordinates, |at, value| line(at, value, 2))?;
            Geometry::MultiLineString(MultiLineString(lines))
        }
        "Polygon" => Geometry::Polygon(polygon(at, coordinates)?),
        _ => Geometry::MultiPolygon(MultiPolygon(each(at, coordinates, polygon)?)),
    })
}

fn collection(at: At<'_>, object: &Map<String, Value>) -> Result<Geometry<f64>> {
    let members = object.get("geometries").unwrap_or(&Value::Null);
    let geometries = each(at.member("geometries"), members, geometry)?;
    Ok(Geometry::GeometryCollection(GeometryCollection(geometries)))
}

fn object<'v>(at: At<'_>, value: &'v Value) -> Result<&'v Map<String, Value>> {
    value.as_object().ok_or_else(|| Fault::wrong_type(at, "a GeoJSON object", value))
}

/// The GeoJSON of 2008 could name a reference system; that of today is always WGS-84.
fn reference_system(at: At<'_>, object: &Map<String, Value>) -> Result<()> {
    let Some(system) = object.get("crs").filter(|system| !system.is_null()) else {
        return Ok(());
    };
    let name = system.pointer("/properties/name").and_then(Value::as_str).unwrap_or_default();
    if ["CRS84", "4326"].iter().any(|wgs84| name.ends_with(wgs84)) {
        return Ok(());
    }
    let fault = Fault::new(at.member("crs"), "a reference system other than WGS-84");
    Err(fault.found(quote(name)).hint("convert the coordinates and leave `crs` out"))
}

fn each<T>(
    at: At<'_>,
    value: &Value,
    read: impl Fn(At<'_>, &Value) -> Result<T>,
) -> Result<Vec<T>> {
    let Value::Array(items) = value else {
        return Err(Fault::wrong_type(at, "an array", value));
    };
    items.iter().enumerate().map(|(index, item)| read(at.element(index), item)).collect()
}

fn line(at: At<'_>, value: &Value, positions_min: usize) -> Result<LineString<f64>> {
    let positions = each(at, value, position)?;
    if positions.len() < positions_min {
        let fault = Fault::new(at, "too few positions");
        let expected = format!("at least {positions_min}");
        return Err(fault.expected(expected).found(positions.len().to_string()));
    }
    Ok(LineString(positions))
}

fn polygon(at: At<'_>, value: &Value) -> Result<Polygon<f64>> {
    let mut rings = each(at, value, |at, value| {
        let ring = line(at, value, RING_POSITIONS_MIN)?;
        if ring.0.first() != ring.0.last() {
            let fault = Fault::new(at, "a ring that is not closed");
            return Err(fault.hint("repeat its first position at its end"));
        }
        Ok(ring)
    })?
    .into_iter();
    let Some(exterior) = rings.next() else {
        return Err(Fault::new(at, "a polygon without a ring"));
    };
    Ok(Polygon::new(exterior, rings.collect()))
}

/// Longitude, latitude and perhaps a height.
fn position(at: At<'_>, value: &Value) -> Result<Coord<f64>> {
    let expected = "a position: [longitude, latitude]";
    let items = value.as_array().filter(|items| (2..=3).contains(&items.len()));
    let Some(items) = items else {
        return Err(Fault::wrong_type(at, expected, value));
    };
    let number = |index: usize| {
        let item = &items[index];
        item.as_f64().ok_or_else(|| Fault::wrong_type(at.element(index), "a number", item))
    };
    let (x, y) = (number(0)?, number(1)?);
    if items.len() == 3 {
        number(2)?;
    }
    let outside = |index, what: &str, bound: f64| {
        let fault = Fault::new(at.element(index), format!("a {what} outside of WGS-84"));
        fault.expected(format!("-{bound} to {bound}")).found(items[index].to_string())
    };
    if x.abs() > LONGITUDE_MAX {
        return Err(outside(0, "longitude", LONGITUDE_MAX));
    }
    if y.abs() > LATITUDE_MAX {
        let fault = outside(1, "latitude", LATITUDE_MAX);
        let swapped = y.abs() <= LONGITUDE_MAX && x.abs() <= LATITUDE_MAX;
        return Err(if swapped { fault.hint("longitude stands first") } else { fault });
    }
    Ok(Coord { x, y })
}

/// Appends a geometry as GeoJSON.
pub fn push(out: &mut String, geometry: &Geometry<f64>) {
    let mut with = |kind: &str, coordinates: &dyn Fn(&mut String)| {
        write!(out, "{{\"type\":\"{kind}\",\"coordinates\":").expect("a String takes everything");
        coordinates(out);
        out.push('}');
    };
    match geometry {
        Geometry::Point(point) => with("Point", &|out| push_position(out, point.0)),
        Geometry::MultiPoint(points) => with("MultiPoint", &|out| {
            push_each(out, &points.0, |out, point| push_position(out, point.0));
        }),
        Geometry::LineString(line) => with("LineString", &|out| push_line(out, line)),
        Geometry::MultiLineString(lines) => {
            with("MultiLineString", &|out| push_each(out, &lines.0, push_line));
        }
        Geometry::Polygon(polygon) => with("Polygon", &|out| push_polygon(out, polygon)),
        Geometry::MultiPolygon(polygons) => {
            with("MultiPolygon", &|out| push_each(out, &polygons.0, push_polygon));
        }
        // What `geo` has beside GeoJSON's types are polygons and lines of a special form.
        Geometry::Rect(rect) => push(out, &Geometry::Polygon(rect.to_polygon())),
        Geometry::Triangle(triangle) => push(out, &Geometry::Polygon(triangle.to_polygon())),
        Geometry::Line(line) => push(out, &Geometry::LineString((*line).into())),
        Geometry::GeometryCollection(members) => {
            out.push_str("{\"type\":\"GeometryCollection\",\"geometries\":");
            push_each(out, &members.0, push);
            out.push('}');
        }
    }
}

fn push_each<T>(out: &mut String, items: &[T], push: impl Fn(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

fn push_position(out: &mut String, position: Coord<f64>) {
    out.push('[');
    push_number(out, position.x);
    out.push(',');
    push_number(out, position.y);
    out.push(']');
}

fn push_line(out: &mut String, line: &LineString<f64>) {
    push_each(out, &line.0, |out, position| push_position(out, *position));
}

fn push_polygon(out: &mut String, polygon: &Polygon<f64>) {
    out.push('[');
    push_line(out, polygon.exterior());
    for ring in polygon.interiors() {
        out.push(',');
        push_line(out, ring);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::super::json::value_of;
    use super::*;

    fn read(text: &str) -> Result<Geometry<f64>> {
        location(At::Root, &value_of(text.as_bytes()).unwrap())
    }

    #[test]
    fn every_geometry_reads_back() {
        for text in [
            r#"{"type":"Point","coordinates":[104.06,30.67]}"#,
            r#"{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}"#,
            r#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#,
            r#"{"type":"MultiLineString","coordinates":[[[1,2],[3,4]],[[5,6],[7,8]]]}"#,
            concat!(
                r#"{"type":"Polygon","coordinates":"#,
                r#"[[[0,0],[9,0],[9,9],[0,0]],[[1,1],[2,1],[2,2],[1,1]]]}"#,
            ),
            r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[9,0],[9,9],[0,0]]]]}"#,
            r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]}]}"#,
        ] {
            let mut out = String::new();
            push(&mut out, &read(text).unwrap());
            assert_eq!(out, text);
        }
    }

    #[test]
    fn the_standard_s_feature_without_properties_is_one() {
        // OGC 18-088, 10.2: a Feature with nothing but its geometry.
        let text = r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[10,10,300]}}"#;
        assert_eq!(read(text).unwrap(), Geometry::Point(Point::new(10.0, 10.0)));
    }

    #[test]
    fn what_is_no_place_is_told_with_its_pointer() {
        for (text, pointer, says) in [
            (r#"[1,2]"#, "", "a GeoJSON object"),
            (r#"{"type":"point","coordinates":[1,2]}"#, "/type", "did you mean `Point`?"),
            (r#"{"coordinates":[1,2]}"#, "/type", "null"),
            (r#"{"type":"Point"}"#, "/coordinates", "without coordinates"),
            (r#"{"type":"Point","coordinates":[1]}"#, "/coordinates", "a position"),
            (r#"{"type":"Point","coordinates":["1",2]}"#, "/coordinates/0", "a number"),
            (r#"{"type":"Point","coordinates":[181,2]}"#, "/coordinates/0", "-180 to 180"),
            (r#"{"type":"Point","coordinates":[30.6,104]}"#, "/coordinates/1", "longitude stands"),
            (r#"{"type":"LineString","coordinates":[[1,2]]}"#, "/coordinates", "at least 2"),
            (r#"{"type":"Polygon","coordinates":[]}"#, "/coordinates", "without a ring"),
            (
                r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}"#,
                "/coordinates/0",
                "not closed",
            ),
            (r#"{"type":"Feature","geometry":null}"#, "/geometry", "found null"),
            (r#"{"type":"FeatureCollection","features":[]}"#, "/type", "a geometry or a Feature"),
            (
                r#"{"type":"Point","coordinates":[1,2],"crs":{"properties":{"name":"EPSG:4490"}}}"#,
                "/crs",
                "EPSG:4490",
            ),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!(fault.pointer, pointer, "{text}: {fault}");
            assert!(fault.to_string().contains(says), "{text}: {fault}");
        }
    }
}
