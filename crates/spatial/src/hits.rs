//! Finds features: by a box that their geometry meets, and by words in a name.

use memchr::memmem::Finder;

use crate::grid::{Rect, Spot};
use crate::layer::Layer;
use crate::shape::ShapeKind;

impl Layer {
    /// The features whose geometry meets the box, in the layer's order.
    pub fn within(&self, wanted: &Rect) -> Vec<u32> {
        let mut found = Vec::new();
        for band in &self.bands {
            band.index.search(&self.rects, wanted, &mut found);
        }
        found.retain(|feature| self.meets(*feature as usize, wanted));
        found
    }

    /// Whether a feature's geometry, not only its box, meets the wanted one.
    fn meets(&self, feature: usize, wanted: &Rect) -> bool {
        let rect = &self.rects[feature];
        if wanted.holds(rect) {
            return true;
        }
        let kind = self.kinds[feature];
        let parts = self.parts_of(feature);
        let touched = parts.clone().any(|part| {
            let spots = &self.spots[self.spots_of(part)];
            touches(spots, kind, wanted)
        });
        // A box that no edge touches lies wholly inside or wholly outside.
        touched
            || kind == ShapeKind::Polygon && {
                let crossings =
                    parts.map(|part| crossings(&self.spots[self.spots_of(part)], wanted.min));
                crossings.sum::<usize>() % 2 == 1
            }
    }

    /// The features with `text` in the named column, those that begin with it first, then shorter
    /// names before longer ones; letters of either case. A value that many features share is found
    /// once.
    pub fn named(&self, column: &str, text: &str, count_max: usize) -> Vec<u32> {
        let Some(column) = self.column(column) else { return Vec::new() };
        let wanted = text.to_lowercase();
        let finder = Finder::new(wanted.as_bytes());
        let mut found: Vec<(usize, u32)> = Vec::new();
        let mut lower = String::new();
        let fits = |name: &str| {
            lower.clear();
            match name.is_ascii() || name.chars().any(char::is_uppercase) {
                true => lower.extend(name.chars().flat_map(char::to_lowercase)),
                false => lower.push_str(name),
            }
            finder.find(lower.as_bytes()).is_some()
        };
        column.scan(fits, |feature| {
            let name = column.text(feature).unwrap_or_default();
            let begins = name.to_lowercase().starts_with(&wanted);
            let order = usize::from(!begins) * NAME_CHARS_MAX
                + name.chars().count().min(NAME_CHARS_MAX - 1);
            found.push((order, u32::try_from(feature).expect("features are counted in 32 bits")));
            found.len() < FOUND_MAX
        });
        found.sort_unstable_by_key(|(order, feature)| (*order, self.ranks[*feature as usize]));
        found.truncate(count_max);
        found.into_iter().map(|(_, feature)| feature).collect()
    }
}

/// Longer names are all as good as this.
const NAME_CHARS_MAX: usize = 1_000;
/// Names that a search looks at before it takes the best of them.
const FOUND_MAX: usize = 10_000;

fn touches(spots: &[Spot], kind: ShapeKind, wanted: &Rect) -> bool {
    if spots.iter().any(|spot| wanted.holds_spot(*spot)) {
        return true;
    }
    if kind == ShapeKind::Point {
        return false;
    }
    let closing = match (kind, spots) {
        (ShapeKind::Polygon, [first, .., last]) => Some((*last, *first)),
        _ => None,
    };
    let mut edges = spots.windows(2).map(|pair| (pair[0], pair[1])).chain(closing);
    edges.any(|(a, b)| edge_meets(a, b, wanted))
}

/// Whether a stretch whose ends lie outside the box passes through it.
fn edge_meets(a: Spot, b: Spot, wanted: &Rect) -> bool {
    if !Rect::of(&[a, b]).meets(wanted) {
        return false;
    }
    // It does unless all four corners lie on one side of its line.
    let side = |x: u32, y: u32| {
        let (dx, dy) = (i128::from(b.x) - i128::from(a.x), i128::from(b.y) - i128::from(a.y));
        let cross = dx * (i128::from(y) - i128::from(a.y)) - dy * (i128::from(x) - i128::from(a.x));
        cross.signum()
    };
    let sides = [
        side(wanted.min.x, wanted.min.y),
        side(wanted.max.x, wanted.min.y),
        side(wanted.max.x, wanted.max.y),
        side(wanted.min.x, wanted.max.y),
    ];
    !(sides.iter().all(|side| *side > 0) || sides.iter().all(|side| *side < 0))
}

/// How often a ring's edges cross the ray from a spot to the east.
fn crossings(ring: &[Spot], from: Spot) -> usize {
    let Some(mut before) = ring.last() else { return 0 };
    let mut count = 0;
    for spot in ring {
        if (before.y > from.y) != (spot.y > from.y) {
            let (dx, dy) =
                (f64::from(spot.x) - f64::from(before.x), f64::from(spot.y) - f64::from(before.y));
            let x = f64::from(before.x) + dx * (f64::from(from.y) - f64::from(before.y)) / dy;
            count += usize::from(x > f64::from(from.x));
        }
        before = spot;
    }
    count
}
