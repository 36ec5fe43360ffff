//! Where a polygon's name is written: a place inside it, in the widest stretch of a few lines
//! across its largest ring.

use crate::grid::Spot;
use crate::shape::{Shape, ShapeKind, doubled_area};

/// Shares of the height at which a line is drawn across, in sixteenths: the middle first.
const ACROSS: [u64; 5] = [8, 6, 10, 4, 12];

/// Turns a shape into the one spot where it is named.
pub(crate) fn to_label(shape: &mut Shape) {
    if shape.kind == ShapeKind::Point || shape.is_empty() {
        return;
    }
    let spot = match shape.kind {
        ShapeKind::Polygon => inside(shape),
        _ => None,
    };
    let spot = spot.unwrap_or_else(|| middle(&shape.spots));
    shape.clear();
    shape.spots.push(spot);
    shape.end_part(ShapeKind::Point, false);
}

/// The middle of a line's middle stretch.
fn middle(line: &[Spot]) -> Spot {
    let at = line.len() / 2;
    let (a, b) = (line[at.saturating_sub(1)], line[at]);
    Spot { x: a.x.midpoint(b.x), y: a.y.midpoint(b.y) }
}

fn inside(shape: &Shape) -> Option<Spot> {
    let outer: Vec<usize> = (0..shape.parts.len()).filter(|at| !shape.parts[*at].hole).collect();
    let largest = *outer.iter().max_by_key(|at| doubled_area(shape.part(**at)))?;
    let holes = (largest + 1..shape.parts.len()).take_while(|at| shape.parts[*at].hole);
    let rings: Vec<&[Spot]> =
        std::iter::once(largest).chain(holes).map(|at| shape.part(at)).collect();
    let low = rings[0].iter().map(|spot| spot.y).min()?;
    let high = rings[0].iter().map(|spot| spot.y).max()?;
    let mut best: Option<(f64, Spot)> = None;
    let mut crossings = Vec::new();
    for share in ACROSS {
        let height = u64::from(high - low) * share / 16;
        let y = low + u32::try_from(height).expect("a share of a height fits where it does");
        across(&rings, y, &mut crossings);
        for pair in crossings.chunks_exact(2) {
            let width = pair[1] - pair[0];
            // The middle line wins unless another is clearly wider.
            if best.is_none_or(|(widest, _)| width > widest * 1.25) {
                best = Some((width, Spot { x: cell(f64::midpoint(pair[0], pair[1])), y }));
            }
        }
    }
    best.map(|(_, spot)| spot)
}

/// Where a line at `y` crosses the rings, from west to east.
fn across(rings: &[&[Spot]], y: u32, crossings: &mut Vec<f64>) {
    crossings.clear();
    let level = f64::from(y) + 0.5;
    for ring in rings {
        let Some(mut before) = ring.last() else { continue };
        for spot in *ring {
            let (a, b) = (f64::from(before.y), f64::from(spot.y));
            if (a <= level) != (b <= level) {
                let (ax, bx) = (f64::from(before.x), f64::from(spot.x));
                crossings.push(ax + (bx - ax) * (level - a) / (b - a));
            }
            before = spot;
        }
    }
    crossings.sort_by(f64::total_cmp);
}

/// A conversion that saturates, of a place between two cells.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn cell(x: f64) -> u32 {
    x as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wkb;

    #[test]
    fn a_horseshoe_is_named_on_its_iron() {
        // Open to the north: its centre of mass lies outside.
        let horseshoe = [
            (104.0, 30.0),
            (104.3, 30.0),
            (104.3, 30.3),
            (104.28, 30.3),
            (104.28, 30.02),
            (104.02, 30.02),
            (104.02, 30.3),
            (104.0, 30.3),
            (104.0, 30.0),
        ];
        let mut shape = Shape::default();
        assert!(wkb::read(&wkb::tests::polygon(&[&horseshoe]), &mut shape));
        to_label(&mut shape);
        assert_eq!((shape.kind, shape.spots.len()), (ShapeKind::Point, 1));
        let (lon, lat) = crate::grid::unproject(shape.spots[0]);
        let on_the_left = (104.0..104.02).contains(&lon);
        let on_the_right = (104.28..104.3).contains(&lon);
        assert!((on_the_left || on_the_right) && (30.0..30.3).contains(&lat), "{lon} {lat}");
    }

    #[test]
    fn a_name_is_not_written_in_a_hole() {
        let outer = [(0.0, 0.0), (3.0, 0.0), (3.0, 1.0), (0.0, 1.0), (0.0, 0.0)];
        let hole = [(1.0, 0.1), (2.0, 0.1), (2.0, 0.9), (1.0, 0.9), (1.0, 0.1)];
        let mut shape = Shape::default();
        assert!(wkb::read(&wkb::tests::polygon(&[&outer, &hole]), &mut shape));
        to_label(&mut shape);
        let (lon, _) = crate::grid::unproject(shape.spots[0]);
        assert!(!(1.0..2.0).contains(&lon), "{lon}");
    }
}
