//! Writes well-known binary as the geometry of GeoJSON (RFC 7946), each place turned on the way
//! into whatever coordinates are wanted. Heights and measures are left out.

use std::fmt::Write;

/// Collections inside collections, at most.
const DEPTH_MAX: u8 = 8;

const NAMES: [&str; 7] = [
    "Point",
    "LineString",
    "Polygon",
    "MultiPoint",
    "MultiLineString",
    "MultiPolygon",
    "GeometryCollection",
];

/// Appends the geometry. False where it is none; then what was appended means nothing.
pub fn geojson(wkb: &[u8], turn: &dyn Fn(f64, f64) -> (f64, f64), into: &mut String) -> bool {
    let mut writer = Writer { rest: wkb, little: true, turn, into };
    writer.geometry(0).is_some() && writer.rest.is_empty()
}

struct Writer<'a> {
    rest: &'a [u8],
    little: bool,
    turn: &'a dyn Fn(f64, f64) -> (f64, f64),
    into: &'a mut String,
}

/// The kind of a geometry and how many numbers a place has beside its two.
struct Head {
    kind: usize,
    further: usize,
}

impl Writer<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take::<4>()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn f64(&mut self) -> Option<f64> {
        let bytes = self.take::<8>()?;
        Some(if self.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
    }

    fn head(&mut self) -> Option<Head> {
        self.little = match self.take::<1>()?[0] {
            0 => false,
            1 => true,
            _ => return None,
        };
        let code = self.u32()?;
        if code & 0x2000_0000 != 0 {
            self.u32()?;
        }
        let base = code & 0x0fff_ffff;
        let (iso, kind) = (base / 1_000, usize::try_from(base % 1_000).ok()?);
        let z = code & 0x8000_0000 != 0 || iso == 1 || iso == 3;
        let m = code & 0x4000_0000 != 0 || iso == 2 || iso == 3;
        Some(Head { kind, further: usize::from(z) + usize::from(m) })
    }

    fn geometry(&mut self, depth: u8) -> Option<()> {
        let head = self.head()?;
        let name = NAMES.get(head.kind.checked_sub(1)?)?;
        let inside = if head.kind == 7 { "geometries" } else { "coordinates" };
        write!(self.into, "{{\"type\":\"{name}\",\"{inside}\":").ok()?;
        match head.kind {
            7 if depth < DEPTH_MAX => self.list(5, |writer| writer.geometry(depth + 1))?,
            7 => return None,
            4..=6 => self.list(5, |writer| {
                let member = writer.head()?;
                (member.kind == head.kind - 3).then_some(())?;
                writer.coordinates(&member)
            })?,
            _ => self.coordinates(&head)?,
        }
        self.into.push('}');
        Some(())
    }

    /// A count, and so many things of at least `bytes_min` each.
    fn list(
        &mut self,
        bytes_min: usize,
        mut each: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        let count = usize::try_from(self.u32()?).ok()?;
        (count <= self.rest.len() / bytes_min).then_some(())?;
        self.into.push('[');
        for index in 0..count {
            if index > 0 {
                self.into.push(',');
            }
            each(self)?;
        }
        self.into.push(']');
        Some(())
    }

    fn coordinates(&mut self, head: &Head) -> Option<()> {
        let bytes = 16 + 8 * head.further;
        match head.kind {
            1 => self.place(head, true),
            2 => self.list(bytes, |writer| writer.place(head, false)),
            _ => self.list(4, |writer| writer.list(bytes, |writer| writer.place(head, false))),
        }
    }

    fn place(&mut self, head: &Head, may_be_empty: bool) -> Option<()> {
        let (lon, lat) = (self.f64()?, self.f64()?);
        for _ in 0..head.further {
            self.f64()?;
        }
        if may_be_empty && lon.is_nan() && lat.is_nan() {
            self.into.push_str("[]");
            return Some(());
        }
        let (first, second) = (self.turn)(lon, lat);
        (first.is_finite() && second.is_finite()).then_some(())?;
        write!(self.into, "[{first},{second}]").ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wkb::tests::{SQUARE, line, point, polygon};

    fn written(wkb: &[u8]) -> Option<String> {
        let mut text = String::new();
        geojson(wkb, &|lon, lat| (lon, lat), &mut text).then_some(text)
    }

    #[test]
    fn each_kind_is_written() {
        assert_eq!(
            written(&point(104.5, 30.0)).unwrap(),
            r#"{"type":"Point","coordinates":[104.5,30]}"#
        );
        assert_eq!(
            written(&line(&[(104.0, 30.0), (105.0, 31.0)])).unwrap(),
            r#"{"type":"LineString","coordinates":[[104,30],[105,31]]}"#
        );
        assert_eq!(
            written(&polygon(&[SQUARE])).unwrap(),
            r#"{"type":"Polygon","coordinates":[[[104,30],[104.1,30],[104.1,30.1],[104,30.1],[104,30]]]}"#
        );
        let mut many = vec![1, 4, 0, 0, 0, 2, 0, 0, 0];
        many.extend(point(1.0, 2.0));
        many.extend(point(3.0, 4.0));
        assert_eq!(written(&many).unwrap(), r#"{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}"#);
        let mut collection = vec![1, 7, 0, 0, 0, 1, 0, 0, 0];
        collection.extend(point(1.0, 2.0));
        assert_eq!(
            written(&collection).unwrap(),
            r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]}]}"#
        );
    }

    #[test]
    fn places_are_turned() {
        let mut text = String::new();
        assert!(geojson(&point(104.0, 30.0), &|lon, lat| (lat, lon), &mut text));
        assert_eq!(text, r#"{"type":"Point","coordinates":[30,104]}"#);
    }

    #[test]
    fn what_is_no_geometry_is_refused() {
        let good = polygon(&[SQUARE]);
        for length in 0..good.len() {
            assert!(written(&good[..length]).is_none(), "{length} bytes");
        }
        assert!(written(&point(f64::INFINITY, 1.0)).is_none());
    }
}
