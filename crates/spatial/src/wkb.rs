//! Reads well-known binary onto the grid: OGC, ISO (Z and M as thousands) and PostGIS's extended
//! flags; either byte order. Heights and measures are passed over. A collection keeps the parts of
//! its highest dimension.

use crate::grid::{Spot, project};
use crate::shape::{Shape, ShapeKind};

/// Collections inside collections, at most.
const DEPTH_MAX: u8 = 8;
/// Spots of one feature.
pub(crate) const FEATURE_SPOTS_MAX: usize = 4 << 20;

const FLAG_Z: u32 = 0x8000_0000;
const FLAG_M: u32 = 0x4000_0000;
const FLAG_SRID: u32 = 0x2000_0000;

/// Reads `wkb` into `shape`, which is emptied first. False where it is no geometry; then what is
/// in `shape` means nothing.
pub(crate) fn read(wkb: &[u8], shape: &mut Shape) -> bool {
    shape.clear();
    let mut reader = Reader { rest: wkb, little: true };
    reader.geometry(shape, 0).is_some() && reader.rest.is_empty()
}

struct Reader<'a> {
    rest: &'a [u8],
    little: bool,
}

impl Reader<'_> {
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

    /// A count of things that take at least `bytes_min` each: it cannot promise more than there is.
    fn count(&mut self, bytes_min: usize) -> Option<usize> {
        let count = usize::try_from(self.u32()?).ok()?;
        (count <= self.rest.len() / bytes_min).then_some(count)
    }

    fn geometry(&mut self, shape: &mut Shape, depth: u8) -> Option<()> {
        self.little = match self.take::<1>()?[0] {
            0 => false,
            1 => true,
            _ => return None,
        };
        let code = self.u32()?;
        if code & FLAG_SRID != 0 {
            self.u32()?;
        }
        let base = code & 0x0fff_ffff;
        let (iso, kind) = (base / 1_000, base % 1_000);
        let z = code & FLAG_Z != 0 || iso == 1 || iso == 3;
        let m = code & FLAG_M != 0 || iso == 2 || iso == 3;
        let further = usize::from(z) + usize::from(m);
        match kind {
            1 => self.point(shape, further),
            2 => self.line(shape, further),
            3 => self.polygon(shape, further),
            4..=7 if depth < DEPTH_MAX => {
                // The smallest member has a byte for its order and four for its type.
                for _ in 0..self.count(5)? {
                    self.geometry(shape, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn spot(&mut self, further: usize) -> Option<Option<Spot>> {
        let (lon, lat) = (self.f64()?, self.f64()?);
        for _ in 0..further {
            self.f64()?;
        }
        // An empty point is written as two NaNs.
        if lon.is_nan() && lat.is_nan() {
            return Some(None);
        }
        (lon.is_finite() && lat.is_finite()).then(|| Some(project(lon, lat)))
    }

    fn point(&mut self, shape: &mut Shape, further: usize) -> Option<()> {
        let Some(spot) = self.spot(further)? else { return Some(()) };
        if !admits(shape, ShapeKind::Point) {
            return Some(());
        }
        shape.spots.push(spot);
        // All points of a feature are one part.
        shape.parts.clear();
        shape.end_part_of_points();
        Some(())
    }

    fn spots(&mut self, shape: &mut Shape, further: usize, keep: bool) -> Option<()> {
        for _ in 0..self.count(16 + 8 * further)? {
            let spot = self.spot(further)??;
            let start = shape.parts.last().map_or(0, |part| part.end as usize);
            // Spots that fall together on the grid are one.
            if keep && (shape.spots.len() == start || shape.spots.last() != Some(&spot)) {
                shape.spots.push(spot);
            }
        }
        (shape.spots.len() <= FEATURE_SPOTS_MAX).then_some(())
    }

    fn line(&mut self, shape: &mut Shape, further: usize) -> Option<()> {
        let keep = admits(shape, ShapeKind::Line);
        self.spots(shape, further, keep)?;
        if keep {
            let start = shape.parts.last().map_or(0, |part| part.end as usize);
            if shape.spots.len() < start + 2 {
                shape.spots.truncate(start);
            }
            shape.end_part(ShapeKind::Line, false);
        }
        Some(())
    }

    fn polygon(&mut self, shape: &mut Shape, further: usize) -> Option<()> {
        let keep = admits(shape, ShapeKind::Polygon);
        let mut outer = false;
        for ring in 0..self.count(4)? {
            let parts = shape.parts.len();
            // Without its outer ring a polygon has no holes either.
            let keep = keep && (ring == 0 || outer);
            self.spots(shape, further, keep)?;
            if keep {
                shape.end_part(ShapeKind::Polygon, ring > 0);
            }
            if ring == 0 {
                outer = shape.parts.len() > parts;
            }
        }
        Some(())
    }
}

/// Whether parts of this kind are kept. What has a higher dimension than all before drives those
/// out.
fn admits(shape: &mut Shape, kind: ShapeKind) -> bool {
    if shape.is_empty() || kind > shape.kind {
        shape.clear();
        shape.kind = kind;
    }
    kind == shape.kind
}

impl Shape {
    fn end_part_of_points(&mut self) {
        self.end_part(ShapeKind::Point, false);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Well-known binary of a polygon, little-endian.
    pub(crate) fn polygon(rings: &[&[(f64, f64)]]) -> Vec<u8> {
        let mut bytes = vec![1, 3, 0, 0, 0];
        bytes.extend(u32::try_from(rings.len()).unwrap().to_le_bytes());
        for ring in rings {
            coordinates(&mut bytes, ring);
        }
        bytes
    }

    pub(crate) fn line(spots: &[(f64, f64)]) -> Vec<u8> {
        let mut bytes = vec![1, 2, 0, 0, 0];
        coordinates(&mut bytes, spots);
        bytes
    }

    pub(crate) fn point(lon: f64, lat: f64) -> Vec<u8> {
        let mut bytes = vec![1, 1, 0, 0, 0];
        bytes.extend(lon.to_le_bytes());
        bytes.extend(lat.to_le_bytes());
        bytes
    }

    fn coordinates(bytes: &mut Vec<u8>, spots: &[(f64, f64)]) {
        bytes.extend(u32::try_from(spots.len()).unwrap().to_le_bytes());
        for (lon, lat) in spots {
            bytes.extend(lon.to_le_bytes());
            bytes.extend(lat.to_le_bytes());
        }
    }

    fn read_one(wkb: &[u8]) -> Option<Shape> {
        let mut shape = Shape::default();
        read(wkb, &mut shape).then_some(shape)
    }

    pub(crate) const SQUARE: &[(f64, f64)] =
        &[(104.0, 30.0), (104.1, 30.0), (104.1, 30.1), (104.0, 30.1), (104.0, 30.0)];
    const HOLE: &[(f64, f64)] =
        &[(104.04, 30.04), (104.06, 30.04), (104.06, 30.06), (104.04, 30.06), (104.04, 30.04)];

    #[test]
    fn rings_are_opened_and_turned_as_tiles_want_them() {
        for turned in [false, true] {
            let mut outer = SQUARE.to_vec();
            let mut hole = HOLE.to_vec();
            if turned {
                outer.reverse();
                hole.reverse();
            }
            let shape = read_one(&polygon(&[&outer, &hole])).unwrap();
            assert_eq!((shape.kind, shape.parts.len()), (ShapeKind::Polygon, 2));
            assert_eq!((shape.part(0).len(), shape.part(1).len()), (4, 4));
            assert!(crate::shape::doubled_area(shape.part(0)) > 0, "outer rings run clockwise");
            assert!(crate::shape::doubled_area(shape.part(1)) < 0, "holes run against them");
            let whole = read_one(&polygon(&[SQUARE])).unwrap().area();
            assert!(shape.area() < whole && shape.area() > whole * 9 / 10);
        }
    }

    #[test]
    fn heights_measures_and_byte_orders_are_understood() {
        let plain = read_one(&point(104.0, 30.0)).unwrap().spots;
        let mut big = vec![0, 0, 0, 0, 1];
        big.extend(104.0_f64.to_be_bytes());
        big.extend(30.0_f64.to_be_bytes());
        assert_eq!(read_one(&big).unwrap().spots, plain);
        for code in [1_001_u32, 2_001, FLAG_Z | 1, FLAG_M | 1] {
            let mut high = vec![1];
            high.extend(code.to_le_bytes());
            for value in [104.0_f64, 30.0, 500.0] {
                high.extend(value.to_le_bytes());
            }
            assert_eq!(read_one(&high).unwrap().spots, plain, "{code}");
        }
        let mut reference = vec![1];
        reference.extend((FLAG_SRID | 1).to_le_bytes());
        reference.extend(4_326_u32.to_le_bytes());
        reference.extend(104.0_f64.to_le_bytes());
        reference.extend(30.0_f64.to_le_bytes());
        assert_eq!(read_one(&reference).unwrap().spots, plain);
    }

    #[test]
    fn a_collection_keeps_what_has_the_highest_dimension() {
        let mut bytes = vec![1, 7, 0, 0, 0, 3, 0, 0, 0];
        bytes.extend(point(104.0, 30.0));
        bytes.extend(polygon(&[SQUARE]));
        bytes.extend(line(&[(104.0, 30.0), (104.2, 30.2)]));
        let shape = read_one(&bytes).unwrap();
        assert_eq!((shape.kind, shape.parts.len()), (ShapeKind::Polygon, 1));
    }

    #[test]
    fn many_points_are_one_part() {
        let mut bytes = vec![1, 4, 0, 0, 0, 2, 0, 0, 0];
        bytes.extend(point(104.0, 30.0));
        bytes.extend(point(104.1, 30.0));
        let shape = read_one(&bytes).unwrap();
        assert_eq!((shape.parts.len(), shape.spots.len()), (1, 2));
    }

    #[test]
    fn what_is_no_geometry_is_refused_and_never_panics() {
        let good = polygon(&[SQUARE, HOLE]);
        for length in 0..good.len() {
            assert!(read_one(&good[..length]).is_none(), "{length} bytes");
        }
        let mut shape = Shape::default();
        for at in 0..good.len() {
            for flip in [1_u8, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                read(&bad, &mut shape);
            }
        }
        assert!(read_one(&point(f64::INFINITY, 30.0)).is_none());
        assert!(read_one(&point(f64::NAN, f64::NAN)).unwrap().is_empty());
        let mut deep = Vec::new();
        for _ in 0..100 {
            deep.extend([1, 7, 0, 0, 0, 1, 0, 0, 0]);
        }
        deep.extend(point(104.0, 30.0));
        assert!(read_one(&deep).is_none());
    }
}
