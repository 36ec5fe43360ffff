//! A geometry on the grid, as it is read and before it is packed: parts over one list of spots.

use crate::grid::{Rect, Spot};

/// What a feature's parts are; the numbers are the vector tile specification's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum ShapeKind {
    #[default]
    Point = 1,
    Line = 2,
    Polygon = 3,
}

/// One run of spots: points together, one line, or one ring without its closing spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// The end of its spots; they begin where the part before ends.
    pub end: u32,
    /// A ring that cuts a hole into the ring before it that is none.
    pub hole: bool,
}

/// A feature's geometry. Used again for each row, so that reading allocates nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub kind: ShapeKind,
    pub parts: Vec<Part>,
    pub spots: Vec<Spot>,
}

impl Shape {
    pub fn clear(&mut self) {
        self.kind = ShapeKind::Point;
        self.parts.clear();
        self.spots.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    pub fn part(&self, index: usize) -> &[Spot] {
        let start = index.checked_sub(1).map_or(0, |before| self.parts[before].end as usize);
        &self.spots[start..self.parts[index].end as usize]
    }

    /// Ends a part with the spots added since the last one. A closed ring loses its last spot and
    /// is turned the way that tiles want it: outer rings clockwise on the screen, holes against.
    pub fn end_part(&mut self, kind: ShapeKind, hole: bool) {
        let start = self.parts.last().map_or(0, |part| part.end as usize);
        if kind == ShapeKind::Polygon {
            if self.spots.len() > start + 1 && self.spots[start] == self.spots[self.spots.len() - 1]
            {
                self.spots.pop();
            }
            let area = doubled_area(&self.spots[start..]);
            if area == 0 {
                self.spots.truncate(start);
            } else if (area < 0) != hole {
                self.spots[start..].reverse();
            }
        }
        if self.spots.len() > start {
            let end = u32::try_from(self.spots.len()).expect("a geometry's spots are bounded");
            self.parts.push(Part { end, hole });
        }
    }

    pub fn rect(&self) -> Rect {
        Rect::of(&self.spots)
    }

    /// Area of the outer rings less that of the holes, in cells.
    pub fn area(&self) -> u128 {
        let mut doubled: i128 = 0;
        for index in 0..self.parts.len() {
            // Holes are turned the other way, so that they count against.
            doubled += doubled_area(self.part(index));
        }
        doubled.max(0).unsigned_abs() / 2
    }
}

/// Twice a ring's area, positive where it runs clockwise on the screen (y grows to the south): the
/// surveyor's formula.
pub(crate) fn doubled_area(ring: &[Spot]) -> i128 {
    let Some(last) = ring.last() else { return 0 };
    let mut before = last;
    let mut sum: i128 = 0;
    for spot in ring {
        let cross =
            i128::from(before.x) * i128::from(spot.y) - i128::from(spot.x) * i128::from(before.y);
        sum += cross;
        before = spot;
    }
    sum
}
