//! Geometries as well-known binary: the form in which tables keep them.

use geo_types::{Coord, Geometry, LineString, Polygon};

const LITTLE_ENDIAN: u8 = 1;
const POINT: u32 = 1;
const LINE: u32 = 2;
const POLYGON: u32 = 3;
const MULTI_POINT: u32 = 4;
const MULTI_LINE: u32 = 5;
const MULTI_POLYGON: u32 = 6;
const COLLECTION: u32 = 7;

/// A geometry as WKB, little-endian, in two dimensions.
pub fn wkb(geometry: &Geometry<f64>) -> Vec<u8> {
    let mut out = Vec::new();
    push(&mut out, geometry);
    out
}

fn push(out: &mut Vec<u8>, geometry: &Geometry<f64>) {
    match geometry {
        Geometry::Point(point) => {
            head(out, POINT);
            position(out, point.0);
        }
        Geometry::Line(line) => push_line(out, &LineString::from(*line)),
        Geometry::LineString(line) => push_line(out, line),
        Geometry::Polygon(polygon) => push_polygon(out, polygon),
        Geometry::Rect(rectangle) => push_polygon(out, &rectangle.to_polygon()),
        Geometry::Triangle(triangle) => push_polygon(out, &triangle.to_polygon()),
        Geometry::MultiPoint(points) => {
            head(out, MULTI_POINT);
            count(out, points.0.len());
            for point in &points.0 {
                head(out, POINT);
                position(out, point.0);
            }
        }
        Geometry::MultiLineString(lines) => {
            head(out, MULTI_LINE);
            count(out, lines.0.len());
            lines.0.iter().for_each(|line| push_line(out, line));
        }
        Geometry::MultiPolygon(polygons) => {
            head(out, MULTI_POLYGON);
            count(out, polygons.0.len());
            polygons.0.iter().for_each(|polygon| push_polygon(out, polygon));
        }
        Geometry::GeometryCollection(parts) => {
            head(out, COLLECTION);
            count(out, parts.0.len());
            parts.0.iter().for_each(|part| push(out, part));
        }
    }
}

fn push_line(out: &mut Vec<u8>, line: &LineString<f64>) {
    head(out, LINE);
    positions(out, line);
}

fn push_polygon(out: &mut Vec<u8>, polygon: &Polygon<f64>) {
    head(out, POLYGON);
    count(out, 1 + polygon.interiors().len());
    positions(out, polygon.exterior());
    polygon.interiors().iter().for_each(|ring| positions(out, ring));
}

fn positions(out: &mut Vec<u8>, line: &LineString<f64>) {
    count(out, line.0.len());
    line.0.iter().for_each(|coordinates| position(out, *coordinates));
}

fn position(out: &mut Vec<u8>, Coord { x, y }: Coord<f64>) {
    out.extend(x.to_le_bytes());
    out.extend(y.to_le_bytes());
}

fn head(out: &mut Vec<u8>, kind: u32) {
    out.push(LITTLE_ENDIAN);
    out.extend(kind.to_le_bytes());
}

fn count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("a body holds fewer than 2^32 positions");
    out.extend(count.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use geo_types::{Point, polygon};

    use super::*;

    #[test]
    fn a_point_is_its_head_and_two_numbers() {
        let bytes = wkb(&Geometry::Point(Point::new(104.06, 30.67)));
        assert_eq!(bytes.len(), 21);
        assert_eq!(bytes[..5], [1, 1, 0, 0, 0]);
        assert_eq!(bytes[5..13], 104.06_f64.to_le_bytes());
    }

    #[test]
    fn rings_are_counted() {
        let square = polygon![(x: 0.0, y: 0.0), (x: 1.0, y: 0.0), (x: 1.0, y: 1.0)];
        let bytes = wkb(&Geometry::Polygon(square));
        assert_eq!(bytes[5..9], 1_u32.to_le_bytes());
        assert_eq!(bytes[9..13], 4_u32.to_le_bytes(), "it comes back to where it began");
        assert_eq!(bytes.len(), 13 + 4 * 16);
    }
}
