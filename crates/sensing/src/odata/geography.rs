//! `geography'…'`: well-known text to a geometry in WGS-84, longitude before latitude.
//!
//! The text is read by the `wkt` crate. It goes down into collections by recursion and stops at the
//! first closing parenthesis, so depth, alphabet and end are looked at before it is called.

use geo_types::{Coord, Geometry};
use wkt::Wkt;

/// Parentheses inside parentheses: a collection of a collection of polygons has five.
const PARENTHESES_DEPTH_MAX: usize = 8;
const LONGITUDE_DEGREES_MAX: f64 = 180.0;
const LATITUDE_DEGREES_MAX: f64 = 90.0;
/// How far an area may reach beyond the world: a map that is zoomed out asks for all it shows.
const AREA_DEGREES_MAX: f64 = 1_000.0;
/// A closed ring has three corners and the first of them again.
const RING_POSITIONS_MIN: usize = 4;
/// OData writes the reference system in front; ours is this one.
const WGS84_PREFIX: &str = "SRID=4326;";

/// What is wrong with a text, and how to mend it.
pub(super) type NoGeometry = (String, Option<String>);

pub(super) fn parse(text: &str) -> Result<Geometry<f64>, NoGeometry> {
    let plain = |what: &str| (what.to_owned(), None);
    let text = text.trim();
    let text = match text.get(..5) {
        Some(start) if start.eq_ignore_ascii_case("SRID=") => text
            .get(..WGS84_PREFIX.len())
            .filter(|prefix| prefix.eq_ignore_ascii_case(WGS84_PREFIX))
            .map(|prefix| &text[prefix.len()..])
            .ok_or_else(|| plain("geometries are in WGS-84, SRID 4326"))?,
        _ => text,
    };
    check_outline(text)?;
    let parsed: Wkt<f64> = text.parse().map_err(|reason: &str| {
        let hint = "write `POINT(104.06 30.57)`: longitude, space, latitude";
        (format!("no well-known text ({})", reason.to_lowercase()), Some(hint.to_owned()))
    })?;
    let geometry = Geometry::try_from(parsed).map_err(|_| plain("an empty geometry"))?;
    check(&geometry)?;
    Ok(geometry)
}

/// Alphabet, depth of the parentheses, and nothing after the last of them.
fn check_outline(text: &str) -> Result<(), NoGeometry> {
    let mut depth = 0_usize;
    let mut closed = false;
    for c in text.chars() {
        let known = c.is_ascii_alphanumeric()
            || matches!(c, ' ' | '\t' | '\n' | '\r' | ',' | '.' | '+' | '-' | '(' | ')');
        if !known {
            return Err((format!("`{c}` has no place in well-known text"), None));
        }
        if closed && !c.is_ascii_whitespace() {
            return Err(("something stands after the geometry".to_owned(), None));
        }
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Err(("a `)` too many".to_owned(), None)),
            ')' => {
                depth -= 1;
                closed = depth == 0;
            }
            _ => {}
        }
        if depth > PARENTHESES_DEPTH_MAX {
            return Err((format!("nested more than {PARENTHESES_DEPTH_MAX} deep"), None));
        }
    }
    if closed { Ok(()) } else { Err(("the geometry has no end".to_owned(), None)) }
}

fn check(geometry: &Geometry<f64>) -> Result<(), NoGeometry> {
    match geometry {
        Geometry::Point(point) => check_position(point.0),
        Geometry::MultiPoint(points) => points.iter().try_for_each(|p| check_position(p.0)),
        Geometry::LineString(line) => check_line(&line.0),
        Geometry::MultiLineString(lines) => lines.iter().try_for_each(|line| check_line(&line.0)),
        Geometry::Polygon(polygon) => check_area(polygon),
        Geometry::MultiPolygon(polygons) => polygons.iter().try_for_each(check_area),
        // No deeper than the parentheses were.
        Geometry::GeometryCollection(parts) => parts.iter().try_for_each(check),
        Geometry::Line(_) | Geometry::Rect(_) | Geometry::Triangle(_) => {
            Err(("no geometry of well-known text".to_owned(), None))
        }
    }?;
    if is_empty(geometry) { Err(("an empty geometry".to_owned(), None)) } else { Ok(()) }
}

fn is_empty(geometry: &Geometry<f64>) -> bool {
    match geometry {
        Geometry::MultiPoint(points) => points.0.is_empty(),
        Geometry::MultiLineString(lines) => lines.0.is_empty(),
        Geometry::MultiPolygon(polygons) => polygons.0.is_empty(),
        Geometry::GeometryCollection(parts) => parts.0.is_empty(),
        _ => false,
    }
}

fn check_position(Coord { x, y }: Coord<f64>) -> Result<(), NoGeometry> {
    let within = |lon: f64, lat: f64| {
        lon.abs() <= LONGITUDE_DEGREES_MAX && lat.abs() <= LATITUDE_DEGREES_MAX
    };
    if within(x, y) {
        return Ok(());
    }
    let what = format!("longitude must be within ±180 and latitude within ±90, found {x} {y}");
    Err((what, swapped(within(y, x))))
}

fn swapped(likely: bool) -> Option<String> {
    likely.then(|| "longitude comes first: they look swapped".to_owned())
}

fn check_line(positions: &[Coord<f64>]) -> Result<(), NoGeometry> {
    if positions.len() < 2 {
        return Err(("a line of fewer than two positions".to_owned(), None));
    }
    positions.iter().copied().try_for_each(check_position)
}

/// An area may reach beyond the world, as the window of a map does when it is zoomed out; one that
/// lies beyond it altogether is a mistake, mostly that of latitude before longitude.
fn check_area(polygon: &geo_types::Polygon<f64>) -> Result<(), NoGeometry> {
    let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
    for ring in rings {
        if ring.0.len() < RING_POSITIONS_MIN {
            return Err(("a ring of fewer than three corners".to_owned(), None));
        }
        // Not a number is within nothing.
        let near = |degrees: f64| degrees.abs() <= AREA_DEGREES_MAX;
        if let Some(far) = ring.0.iter().find(|c| !near(c.x) || !near(c.y)) {
            return Err((format!("degrees as large as {} {}", far.x, far.y), None));
        }
    }
    let exterior = &polygon.exterior().0;
    let least = |of: fn(&Coord<f64>) -> f64| exterior.iter().map(of).fold(f64::MAX, f64::min);
    let most = |of: fn(&Coord<f64>) -> f64| exterior.iter().map(of).fold(f64::MIN, f64::max);
    let (x_min, x_max) = (least(|c| c.x), most(|c| c.x));
    let (y_min, y_max) = (least(|c| c.y), most(|c| c.y));
    let touches = |min: f64, max: f64, bound: f64| min <= bound && max >= -bound;
    if touches(x_min, x_max, LONGITUDE_DEGREES_MAX) && touches(y_min, y_max, LATITUDE_DEGREES_MAX) {
        return Ok(());
    }
    let what = format!("an area that lies beyond ±180 and ±90 degrees, from {x_min} {y_min}");
    let turned =
        touches(y_min, y_max, LONGITUDE_DEGREES_MAX) && touches(x_min, x_max, LATITUDE_DEGREES_MAX);
    Err((what, swapped(turned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_geometry_is_read() {
        for text in [
            "POINT (30 10) ",
            "point(104.06 30.57)",
            "SRID=4326;POINT(1 2)",
            "LINESTRING (30 10, 10 30, 40 40)",
            "POLYGON ((30 10, 10 20, 20 40, 40 40, 30 10))",
            "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 2 1, 2 2, 1 1))",
            "MULTIPOINT (1 2, 3 4)",
            "MULTIPOINT ((1 2), (3 4))",
            "MULTILINESTRING ((1 2, 3 4), (5 6, 7 8))",
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((2 2, 3 2, 3 3, 2 2)))",
            "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (1 2, 3 4))",
            "Polygon ((-270 -135, 270 -135, 270 135, -270 135, -270 -135))",
        ] {
            let geometry = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
            let printed = wkt::ToWkt::wkt_string(&geometry);
            assert_eq!(parse(&printed), Ok(geometry), "{printed}");
        }
    }

    #[test]
    fn what_is_no_place_on_earth_is_refused() {
        let deep = "GEOMETRYCOLLECTION(".repeat(10_000);
        for (text, what) in [
            ("POINT(-122, 43)", "no well-known text"),
            ("POINT(181 0)", "within ±180"),
            ("POINT(1 2) POINT(3 4)", "after the geometry"),
            ("POINT EMPTY", "no end"),
            ("POINT(1 2", "no end"),
            ("POINT 1 2)", "`)` too many"),
            ("POINT(nan 2)", "no well-known text"),
            ("POINT(-inf 2)", "within ±180"),
            ("POINT(-nan 2)", "within ±180"),
            ("POLYGON((-nan 2, 3 4, 5 6, -nan 2))", "as large as"),
            ("LINESTRING(1 2)", "fewer than two"),
            ("POLYGON((1 2, 3 4))", "fewer than three"),
            ("POLYGON((1e9 2, 3 4, 5 6, 1e9 2))", "as large as"),
            ("SRID=3857;POINT(1 2)", "WGS-84"),
            ("POINT(1 2)\0", "has no place"),
            (deep.as_str(), "more than 8 deep"),
            ("", "no end"),
        ] {
            let (found, _) = parse(text).unwrap_err();
            assert!(found.contains(what), "{text:.40}: {found}");
        }
        let (_, hint) = parse("POINT(30.57 104.06)").unwrap_err();
        assert!(hint.unwrap().contains("swapped"));
        let (_, hint) = parse("POLYGON((30 104, 31 104, 31 105, 30 104))").unwrap_err();
        assert!(hint.unwrap().contains("swapped"));
    }
}
