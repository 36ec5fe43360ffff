//! Says of every spot from which zoom on it is drawn, once, when a layer is built: a tile then
//! reads one byte a spot and simplifies nothing itself.
//!
//! A spot's weight is its distance from the chord of the stretch that it splits (Douglas and
//! Peucker 1973), never more than that of the stretch's own split, so that coarser shapes are
//! subsets of finer ones.

use crate::grid::{Spot, ZOOM_MAX};
use crate::shape::ShapeKind;

/// Spots nearer to the drawn line than so many units of a tile are left out: a quarter of a pixel
/// where a tile is shown at 512 pixels.
const TOLERANCE_UNITS: f64 = 2.0;

/// A longer part is simplified in stretches of this many spots, since the work can grow with the
/// square of a stretch's length.
const STRETCH_SPOTS_MAX: usize = 8_192;

/// Appends a level for each spot of a part.
pub(crate) fn levels(kind: ShapeKind, part: &[Spot], into: &mut Vec<u8>) {
    let start = into.len();
    into.resize(start + part.len(), 0);
    let into = &mut into[start..];
    match kind {
        ShapeKind::Point => {}
        ShapeKind::Line => open(part, into),
        ShapeKind::Polygon => ring(part, into),
    }
}

/// A line keeps its ends at every zoom.
fn open(line: &[Spot], levels: &mut [u8]) {
    let mut start = 0;
    while start + 1 < line.len() {
        let end = (start + STRETCH_SPOTS_MAX).min(line.len() - 1);
        stretch(&line[start..=end], &mut levels[start..=end]);
        start = end;
    }
}

/// A ring keeps its first spot and the one farthest from it; each half is a line.
fn ring(ring: &[Spot], levels: &mut [u8]) {
    if ring.len() < 4 {
        return;
    }
    let first = ring[0];
    let far = (1..ring.len())
        .max_by(|a, b| squared(first, ring[*a]).total_cmp(&squared(first, ring[*b])))
        .expect("a ring of four has a farthest spot");
    open(&ring[..=far], &mut levels[..=far]);
    // The second half ends in the first spot, which stands at the beginning.
    let mut half: Vec<Spot> = ring[far..].to_vec();
    half.push(first);
    let mut found = vec![0; half.len()];
    open(&half, &mut found);
    levels[far..].copy_from_slice(&found[..half.len() - 1]);
}

fn squared(a: Spot, b: Spot) -> f64 {
    let (dx, dy) = (f64::from(a.x) - f64::from(b.x), f64::from(a.y) - f64::from(b.y));
    dx * dx + dy * dy
}

fn stretch(line: &[Spot], levels: &mut [u8]) {
    // Ends of a stretch and the coarsest level that what is between them may have.
    let mut open = vec![(0, line.len() - 1, 0_u8)];
    while let Some((from, to, coarsest)) = open.pop() {
        if to - from < 2 {
            continue;
        }
        let (at, distance) = farthest(line, from, to);
        let level = level_of(distance).max(coarsest);
        levels[at] = level;
        open.push((from, at, level));
        open.push((at, to, level));
    }
}

fn farthest(line: &[Spot], from: usize, to: usize) -> (usize, f64) {
    let (ax, ay) = (f64::from(line[from].x), f64::from(line[from].y));
    let (dx, dy) = (f64::from(line[to].x) - ax, f64::from(line[to].y) - ay);
    let length = dx * dx + dy * dy;
    let mut best = (from + 1, -1.0);
    for (at, spot) in line.iter().enumerate().take(to).skip(from + 1) {
        let (px, py) = (f64::from(spot.x) - ax, f64::from(spot.y) - ay);
        // The nearest place on the chord, which may be one of its ends.
        let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
        let (ex, ey) = (px - along * dx, py - along * dy);
        let distance = ex * ex + ey * ey;
        if distance > best.1 {
            best = (at, distance);
        }
    }
    (best.0, best.1.max(0.0).sqrt())
}

/// The first zoom at which this distance is as long as the tolerance. A unit of a tile at zoom z
/// is 2^(20 − z) cells.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn level_of(cells: f64) -> u8 {
    let zoom = f64::from(ZOOM_MAX) - (cells / TOLERANCE_UNITS).log2();
    // A distance of nothing has a logarithm of minus infinity: it is never drawn but kept in step.
    zoom.ceil().clamp(0.0, f64::from(ZOOM_MAX)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(places: &[(u32, u32)]) -> Vec<Spot> {
        places.iter().map(|&(x, y)| Spot { x, y }).collect()
    }

    #[test]
    fn a_bend_is_drawn_from_the_zoom_that_shows_it() {
        // The bend is 2^10 cells off the chord: two units at zoom 20 − 9 = 11.
        let line = spots(&[(0, 0), (100_000, 1 << 10), (200_000, 0)]);
        let mut found = Vec::new();
        levels(ShapeKind::Line, &line, &mut found);
        assert_eq!(found, [0, 11, 0]);
    }

    #[test]
    fn coarser_shapes_are_subsets_of_finer_ones() {
        let mut seed = 7_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from(seed >> 40).unwrap()
        };
        let line: Vec<Spot> = (0..500).map(|_| Spot { x: random(), y: random() }).collect();
        let mut found = Vec::new();
        levels(ShapeKind::Polygon, &line, &mut found);
        assert_eq!(found.len(), line.len());
        assert_eq!(found[0], 0, "the first spot always stays");
        let mut before = 0;
        for zoom in 0..=ZOOM_MAX {
            let kept = found.iter().filter(|level| **level <= zoom).count();
            assert!(kept >= before && kept >= 2, "zoom {zoom}: {kept} after {before}");
            before = kept;
        }
        assert_eq!(before, line.len());
    }

    #[test]
    fn a_long_part_is_done_in_stretches() {
        let length = u32::try_from(STRETCH_SPOTS_MAX * 3 + 5).unwrap();
        let line: Vec<Spot> = (0..length).map(|x| Spot { x: x * 3, y: x % 2 }).collect();
        let mut found = Vec::new();
        levels(ShapeKind::Line, &line, &mut found);
        assert_eq!((found[0], found[STRETCH_SPOTS_MAX], found[line.len() - 1]), (0, 0, 0));
        assert!(found.iter().filter(|level| **level < 15).count() < 10);
    }
}
