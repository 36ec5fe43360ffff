//! Geometry as people's programs read it: WKB to GeoJSON (RFC 7946).
//!
//! Coordinates are WGS-84 already and are rounded to seven decimals, a centimetre.

use serde_json::{Value, json};

/// Collections nest no deeper.
const DEPTH_MAX: usize = 4;
const DECIMALS: f64 = 1e7;

/// The geometry; none where the bytes are no two-dimensional WKB.
pub fn of_wkb(wkb: &[u8]) -> Option<Value> {
    let mut reader = Reader { bytes: wkb, little: true };
    let geometry = reader.geometry(0)?;
    reader.bytes.is_empty().then_some(geometry)
}

struct Reader<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*head)
    }

    fn count(&mut self) -> Option<u32> {
        let bytes = self.take()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn number(&mut self) -> Option<f64> {
        let bytes = self.take()?;
        let number =
            if self.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) };
        Some((number * DECIMALS).round() / DECIMALS)
    }

    fn pair(&mut self) -> Option<Value> {
        Some(json!([self.number()?, self.number()?]))
    }

    /// So many parts; a count that lies ends where the bytes do.
    fn many(&mut self, part: impl Fn(&mut Self) -> Option<Value>) -> Option<Value> {
        let count = self.count()?;
        let parts: Option<Vec<Value>> = (0..count).map(|_| part(self)).collect();
        Some(Value::Array(parts?))
    }

    fn rings(&mut self) -> Option<Value> {
        self.many(|reader| reader.many(Self::pair))
    }

    fn head(&mut self) -> Option<u32> {
        self.little = match self.take::<1>()? {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        self.count()
    }

    fn within(&mut self, kind: u32, read: impl Fn(&mut Self) -> Option<Value>) -> Option<Value> {
        self.many(|reader| (reader.head()? == kind).then(|| read(reader))?)
    }

    fn geometry(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        let (name, coordinates) = match self.head()? {
            1 => ("Point", self.pair()?),
            2 => ("LineString", self.many(Self::pair)?),
            3 => ("Polygon", self.rings()?),
            4 => ("MultiPoint", self.within(1, Self::pair)?),
            5 => ("MultiLineString", self.within(2, |reader| reader.many(Self::pair))?),
            6 => ("MultiPolygon", self.within(3, Self::rings)?),
            7 => {
                let parts = self.many(|reader| reader.geometry(depth + 1))?;
                return Some(json!({ "type": "GeometryCollection", "geometries": parts }));
            }
            _ => return None,
        };
        Some(json!({ "type": name, "coordinates": coordinates }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wkb(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn points_and_polygons_are_read() {
        let pair = [104.065_f64.to_le_bytes(), 30.657_f64.to_le_bytes()].concat();
        let point = wkb(&[&[1, 1, 0, 0, 0], &pair]);
        let expected = json!({ "type": "Point", "coordinates": [104.065, 30.657] });
        assert_eq!(of_wkb(&point), Some(expected));
        let ring = wkb(&[&[1, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0], &pair, &pair]);
        let expected = json!([[[104.065, 30.657], [104.065, 30.657]]]);
        assert_eq!(of_wkb(&ring).unwrap()["coordinates"], expected);
        let multi = wkb(&[&[1, 6, 0, 0, 0, 1, 0, 0, 0], &ring]);
        assert_eq!(of_wkb(&multi).unwrap()["type"], "MultiPolygon");
        let big = wkb(&[&[0, 0, 0, 0, 1], &104_f64.to_be_bytes(), &30_f64.to_be_bytes()]);
        assert_eq!(of_wkb(&big).unwrap()["coordinates"], json!([104.0, 30.0]));
    }

    #[test]
    fn what_is_cut_or_lies_is_none() {
        assert_eq!(of_wkb(&[]), None);
        assert_eq!(of_wkb(&[1, 2, 0, 0, 0, 255, 255, 255, 255]), None);
        assert_eq!(of_wkb(&[9, 1, 0, 0, 0]), None);
        let deep: Vec<u8> = [1, 7, 0, 0, 0, 1, 0, 0, 0].repeat(40);
        assert_eq!(of_wkb(&deep), None);
    }
}
