//! GeoJSON (RFC 7946) to geometries and back, for SQL: what is none is null there, so nothing is
//! said here of what is wrong with it.
//!
//! Two dimensions: heights are read past. Names of reference systems, which the GeoJSON of 2008
//! had, are not looked at. Whether rings cross is not either.

use std::borrow::Cow;
use std::fmt::{self, Write};

use geo::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon,
    Point, Polygon,
};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Collections inside collections: as many as files may have.
const DEPTH_MAX: usize = 16;
/// Positions of a line, and of a ring, which comes back to where it began.
const LINE_POSITIONS_MIN: usize = 2;
const RING_POSITIONS_MIN: usize = 4;
/// Numbers from here to there are written without an exponent.
const PLAIN_MIN: f64 = 1e-6;
const PLAIN_MAX: f64 = 1e15;

/// Of a geometry or a Feature that has one; of any other text null.
pub(super) fn read(text: &str) -> Option<Geometry> {
    let object = Object::read(text)?;
    match &*object.kind {
        "Feature" => Object::read(object.geometry?.get())?.geometry(0),
        _ => object.geometry(0),
    }
}

/// The members of a GeoJSON object that say where it is, in whatever order they come.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    coordinates: Option<&'a RawValue>,
    #[serde(borrow)]
    geometry: Option<&'a RawValue>,
    #[serde(borrow)]
    geometries: Option<Vec<&'a RawValue>>,
}

impl<'a> Object<'a> {
    fn read(text: &'a str) -> Option<Self> {
        // An array of the members' values would be read as well.
        let object = text.trim_start().starts_with('{');
        if object { serde_json::from_str(text).ok() } else { None }
    }

    fn geometry(self, depth: usize) -> Option<Geometry> {
        Some(match &*self.kind {
            "Point" => Geometry::Point(Point(self.coordinates::<Position>()?.0)),
            "MultiPoint" => {
                let positions = self.coordinates::<Vec<Position>>()?;
                let points = positions.into_iter().map(|position| Point(position.0));
                Geometry::MultiPoint(MultiPoint(points.collect()))
            }
            "LineString" => Geometry::LineString(line(self.coordinates()?)?),
            "MultiLineString" => {
                let lines = self.coordinates::<Vec<_>>()?.into_iter().map(line);
                Geometry::MultiLineString(MultiLineString(lines.collect::<Option<_>>()?))
            }
            "Polygon" => Geometry::Polygon(polygon(self.coordinates()?)?),
            "MultiPolygon" => {
                let polygons = self.coordinates::<Vec<_>>()?.into_iter().map(polygon);
                Geometry::MultiPolygon(MultiPolygon(polygons.collect::<Option<_>>()?))
            }
            "GeometryCollection" if depth < DEPTH_MAX => {
                let members = self.geometries?.into_iter();
                let members = members.map(|text| Object::read(text.get())?.geometry(depth + 1));
                let members = members.collect::<Option<Vec<_>>>()?;
                Geometry::GeometryCollection(GeometryCollection(members))
            }
            _ => return None,
        })
    }

    fn coordinates<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.coordinates?.get()).ok()
    }
}

fn line(positions: Vec<Position>) -> Option<LineString> {
    let enough = positions.len() >= LINE_POSITIONS_MIN;
    enough.then(|| LineString(positions.into_iter().map(|position| position.0).collect()))
}

fn polygon(rings: Vec<Vec<Position>>) -> Option<Polygon> {
    let mut rings = rings.into_iter().map(|positions| {
        let ring = line(positions)?;
        (ring.0.len() >= RING_POSITIONS_MIN && ring.is_closed()).then_some(ring)
    });
    let exterior = rings.next()??;
    Some(Polygon::new(exterior, rings.collect::<Option<_>>()?))
}

/// Longitude, latitude and perhaps more.
struct Position(Coord);

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Numbers)
    }
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Position;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a position: [longitude, latitude]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Position, A::Error> {
        let mut number = || numbers.next_element::<f64>();
        let (Some(x), Some(y)) = (number()?, number()?) else {
            return Err(A::Error::custom("fewer than two numbers"));
        };
        while number()?.is_some() {}
        Ok(Position(Coord { x, y }))
    }
}

/// The geometry as GeoJSON.
pub(super) fn written(geometry: &Geometry) -> String {
    let mut out = String::new();
    push(&mut out, geometry);
    out
}

fn push(out: &mut String, geometry: &Geometry) {
    match geometry {
        Geometry::Point(point) => with(out, "Point", |out| push_position(out, point.0)),
        Geometry::MultiPoint(points) => with(out, "MultiPoint", |out| {
            push_each(out, &points.0, |out, point| push_position(out, point.0));
        }),
        Geometry::LineString(line) => with(out, "LineString", |out| push_line(out, line)),
        Geometry::MultiLineString(lines) => {
            with(out, "MultiLineString", |out| push_each(out, &lines.0, push_line));
        }
        Geometry::Polygon(polygon) => with(out, "Polygon", |out| push_polygon(out, polygon)),
        Geometry::MultiPolygon(polygons) => {
            with(out, "MultiPolygon", |out| push_each(out, &polygons.0, push_polygon));
        }
        // What there is beside GeoJSON's types are polygons and lines of a special form.
        Geometry::Rect(rect) => push(out, &Geometry::Polygon(rect.to_polygon())),
        Geometry::Triangle(triangle) => push(out, &Geometry::Polygon(triangle.to_polygon())),
        Geometry::Line(line) => push(out, &Geometry::LineString(LineString::from(*line))),
        Geometry::GeometryCollection(members) => {
            out.push_str(r#"{"type":"GeometryCollection","geometries":"#);
            push_each(out, &members.0, push);
            out.push('}');
        }
    }
}

fn with(out: &mut String, kind: &str, coordinates: impl FnOnce(&mut String)) {
    out.push_str(r#"{"type":""#);
    out.push_str(kind);
    out.push_str(r#"","coordinates":"#);
    coordinates(out);
    out.push('}');
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

fn push_line(out: &mut String, line: &LineString) {
    push_each(out, &line.0, |out, position| push_position(out, *position));
}

/// No ring at all is an empty polygon.
fn push_polygon(out: &mut String, polygon: &Polygon) {
    out.push('[');
    if !polygon.exterior().0.is_empty() {
        push_line(out, polygon.exterior());
    }
    for ring in polygon.interiors() {
        out.push(',');
        push_line(out, ring);
    }
    out.push(']');
}

fn push_position(out: &mut String, position: Coord) {
    out.push('[');
    push_number(out, position.x);
    out.push(',');
    push_number(out, position.y);
    out.push(']');
}

/// The shortest digits that are read as the same number.
fn push_number(out: &mut String, number: f64) {
    debug_assert!(number.is_finite(), "JSON has no other numbers");
    let plain = number == 0.0 || (PLAIN_MIN..PLAIN_MAX).contains(&number.abs());
    let written = if plain { write!(out, "{number}") } else { write!(out, "{number:?}") };
    written.expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_geometry_reads_back() {
        for text in [
            r#"{"type":"Point","coordinates":[104.0657,30.6574]}"#,
            r#"{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}"#,
            r#"{"type":"MultiPoint","coordinates":[]}"#,
            r#"{"type":"LineString","coordinates":[[1,2],[3,-4.5]]}"#,
            r#"{"type":"MultiLineString","coordinates":[[[1,2],[3,4]],[[5,6],[7,8]]]}"#,
            concat!(
                r#"{"type":"Polygon","coordinates":"#,
                r#"[[[0,0],[9,0],[9,9],[0,0]],[[1,1],[2,1],[2,2],[1,1]]]}"#,
            ),
            r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[9,0],[9,9],[0,0]]]]}"#,
            concat!(
                r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":"#,
                r#"[0.1,1e-7]},{"type":"GeometryCollection","geometries":[]}]}"#,
            ),
        ] {
            assert_eq!(written(&read(text).unwrap()), text);
        }
    }

    #[test]
    fn numbers_are_read_to_the_last_bit() {
        let text = r#"{"type":"Point","coordinates":[0.13002232910494965,1e20]}"#;
        assert_eq!(written(&read(text).unwrap()), text);
    }

    #[test]
    fn features_and_heights() {
        let point = Some(Geometry::Point(Point::new(10.0, 20.0)));
        for text in [
            r#"{"coordinates":[10,20],"type":"Point"}"#,
            r#"{"type":"Point","coordinates":[10,20,300],"bbox":[1,2,3,4]}"#,
            r#"{"geometry":{"type":"Point","coordinates":[10,20]},"type":"Feature"}"#,
            " {\"type\":\"Po\\u0069nt\",\"coordinates\":[1e1,20.0]} ",
        ] {
            assert_eq!(read(text), point, "{text}");
        }
    }

    #[test]
    fn what_is_no_geometry_is_null() {
        let deep = |depth: usize| {
            let inside = r#"{"type":"GeometryCollection","geometries":["#.repeat(depth);
            format!(r#"{inside}{{"type":"Point","coordinates":[1,2]}}{}"#, "]}".repeat(depth))
        };
        assert!(read(&deep(DEPTH_MAX)).is_some());
        let too_deep = deep(DEPTH_MAX + 1);
        for text in [
            "",
            "POINT(1 2)",
            "[1,2]",
            r#"["Point",[1,2],null,null]"#,
            "null",
            "{}",
            r#"{"type":"Point"}"#,
            r#"{"type":"point","coordinates":[1,2]}"#,
            r#"{"type":"Point","coordinates":[1]}"#,
            r#"{"type":"Point","coordinates":[]}"#,
            r#"{"type":"Point","coordinates":["1",2]}"#,
            r#"{"type":"Point","coordinates":[1,1e999]}"#,
            r#"{"type":"Point","coordinates":[1,2]}x"#,
            r#"{"type":"LineString","coordinates":[[1,2]]}"#,
            r#"{"type":"Polygon","coordinates":[]}"#,
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}"#,
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0]]]}"#,
            r#"{"type":"Feature","geometry":null}"#,
            r#"{"type":"Feature","geometry":{"type":"Feature","geometry":null}}"#,
            r#"{"type":"FeatureCollection","features":[]}"#,
            too_deep.as_str(),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
