//! The outlines of cells that belong together, as polygons with holes, with no more corners than a
//! map wants: where there are too many, cells are taken four by four.
//!
//! Each part that hangs together by its sides is walked around with its cells on the left. At a
//! corner where two of its cells meet the walk stays with the cell that it came by, so that an
//! outer ring never crosses itself.

use std::collections::BTreeMap;

/// Corners of cells, columns and rows; the last is not the first again.
pub(crate) type Ring = Vec<(usize, usize)>;

/// Parts of fewer cells are left out: splinters at the edges of discs.
const PART_CELLS_MIN: usize = 4;
/// Times that cells are taken four by four.
const COARSENINGS_MAX: u32 = 8;

/// Some of the cells of a grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mask {
    columns: usize,
    rows: usize,
    cells: Vec<bool>,
}

/// Polygons, each an outer ring and its holes, in cells of `step` of the grid's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outlines {
    pub polygons: Vec<Vec<Ring>>,
    pub step: usize,
}

impl Mask {
    pub fn empty(columns: usize, rows: usize) -> Self {
        Self { columns, rows, cells: vec![false; columns * rows] }
    }

    pub fn set(&mut self, cell: usize) {
        self.cells[cell] = true;
    }

    fn has(&self, column: usize, row: usize) -> bool {
        column < self.columns && row < self.rows && self.cells[row * self.columns + column]
    }

    /// Half as many columns and rows: a cell is where two of its four are.
    fn coarser(&self) -> Self {
        let mut coarse = Self::empty(self.columns.div_ceil(2), self.rows.div_ceil(2));
        for row in 0..coarse.rows {
            for column in 0..coarse.columns {
                let corners = [(0, 0), (1, 0), (0, 1), (1, 1)];
                let held = corners.iter().filter(|(x, y)| self.has(2 * column + x, 2 * row + y));
                coarse.cells[row * coarse.columns + column] = held.count() >= 2;
            }
        }
        coarse
    }

    /// Its outlines, with at most so many corners, or as few as coarse cells have.
    pub fn outlines(&self, corners_max: usize) -> Outlines {
        let (mut mask, mut step) = (self.clone(), 1);
        let mut polygons = mask.traced();
        for _ in 0..COARSENINGS_MAX {
            let corners: usize = polygons.iter().flatten().map(Vec::len).sum();
            if corners <= corners_max {
                break;
            }
            (mask, step) = (mask.coarser(), step * 2);
            polygons = mask.traced();
        }
        Outlines { polygons, step }
    }

    fn traced(&self) -> Vec<Vec<Ring>> {
        let mut part_of = vec![0_u32; self.cells.len()];
        let (mut polygons, mut part) = (Vec::new(), 0);
        for start in 0..self.cells.len() {
            if !self.cells[start] || part_of[start] != 0 {
                continue;
            }
            part += 1;
            let cells = self.flooded(start, part, &mut part_of);
            if cells.len() >= PART_CELLS_MIN {
                polygons.push(walked(self.sides(&cells, part, &part_of)));
            }
        }
        polygons
    }

    /// All cells that hang together with one by their sides.
    fn flooded(&self, start: usize, part: u32, part_of: &mut [u32]) -> Vec<usize> {
        let mut cells = vec![start];
        part_of[start] = part;
        let mut next = 0;
        while next < cells.len() {
            let (column, row) = (cells[next] % self.columns, cells[next] / self.columns);
            next += 1;
            for (column, row) in neighbours(column, row).into_iter().flatten() {
                let at = row * self.columns + column;
                if self.has(column, row) && part_of[at] == 0 {
                    part_of[at] = part;
                    cells.push(at);
                }
            }
        }
        cells
    }

    /// The sides of a part's cells beyond which the part ends, from corner to corner.
    fn sides(&self, cells: &[usize], part: u32, part_of: &[u32]) -> Sides {
        let mut sides = Sides::new();
        for cell in cells {
            let (column, row) = (cell % self.columns, cell / self.columns);
            let [south, east, north, west] = neighbours(column, row);
            let ends = |place: Option<(usize, usize)>| {
                place.is_none_or(|(column, row)| {
                    !self.has(column, row) || part_of[row * self.columns + column] != part
                })
            };
            let mut side =
                |from: (usize, usize), way: Way| sides.entry(from).or_default().push(way);
            if ends(south) {
                side((column, row), Way::East);
            }
            if ends(east) {
                side((column + 1, row), Way::North);
            }
            if ends(north) {
                side((column + 1, row + 1), Way::West);
            }
            if ends(west) {
                side((column, row + 1), Way::South);
            }
        }
        sides
    }
}

/// South, east, north, west; none beyond the first column and row.
fn neighbours(column: usize, row: usize) -> [Option<(usize, usize)>; 4] {
    [
        row.checked_sub(1).map(|row| (column, row)),
        Some((column + 1, row)),
        Some((column, row + 1)),
        column.checked_sub(1).map(|column| (column, row)),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    East,
    North,
    West,
    South,
}

impl Way {
    fn left(self) -> Self {
        match self {
            Self::East => Self::North,
            Self::North => Self::West,
            Self::West => Self::South,
            Self::South => Self::East,
        }
    }

    fn right(self) -> Self {
        self.left().left().left()
    }

    fn step(self, (column, row): (usize, usize)) -> (usize, usize) {
        match self {
            Self::East => (column + 1, row),
            Self::North => (column, row + 1),
            Self::West => (column - 1, row),
            Self::South => (column, row - 1),
        }
    }
}

/// Which ways sides go from a corner: one, or two where cells meet at it only.
type Sides = BTreeMap<(usize, usize), Vec<Way>>;

/// The rings of a part. The first begins at its westernmost corner and so is the outer one.
fn walked(mut sides: Sides) -> Vec<Ring> {
    let mut rings = Vec::new();
    while let Some((&start, ways)) = sides.first_key_value() {
        let Some(&first) = ways.first() else {
            sides.remove(&start);
            continue;
        };
        let (mut at, mut way) = (start, first);
        let mut ring = vec![start];
        leave(&mut sides, at, way);
        at = way.step(at);
        while at != start {
            let ways = sides.get(&at).map(Vec::as_slice).unwrap_or_default();
            let turns = [way.left(), way, way.right()];
            // A side that comes to a corner is followed by one that leaves it.
            let Some(next) = turns.into_iter().find(|turn| ways.contains(turn)) else { break };
            if next != way {
                ring.push(at);
            }
            leave(&mut sides, at, next);
            way = next;
            at = way.step(at);
        }
        rings.push(ring);
    }
    rings
}

fn leave(sides: &mut Sides, at: (usize, usize), way: Way) {
    if let Some(ways) = sides.get_mut(&at) {
        ways.retain(|held| *held != way);
        if ways.is_empty() {
            sides.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows from north to south, as they are drawn.
    fn mask(rows: &[&str]) -> Mask {
        let mut mask = Mask::empty(rows[0].len(), rows.len());
        for (row, text) in rows.iter().rev().enumerate() {
            for (column, cell) in text.bytes().enumerate() {
                if cell == b'#' {
                    mask.set(row * rows[0].len() + column);
                }
            }
        }
        mask
    }

    /// Twice the area, negative where it is walked around clockwise.
    fn doubled(ring: &Ring) -> i64 {
        let number = |value: usize| i64::try_from(value).unwrap();
        let next = ring.iter().cycle().skip(1);
        ring.iter()
            .zip(next)
            .map(|(a, b)| number(a.0) * number(b.1) - number(b.0) * number(a.1))
            .sum()
    }

    #[test]
    fn a_rectangle_has_four_corners() {
        let found = mask(&["....", ".##.", ".##."]).outlines(100);
        assert_eq!(found.polygons, [vec![vec![(1, 0), (3, 0), (3, 2), (1, 2)]]]);
        assert_eq!(found.step, 1);
    }

    #[test]
    fn a_hole_goes_the_other_way_around() {
        let found = mask(&["####", "#..#", "####"]).outlines(100);
        let [polygon] = &found.polygons[..] else { panic!("{found:?}") };
        let areas: Vec<i64> = polygon.iter().map(doubled).collect();
        assert_eq!(areas, [24, -4]);
    }

    #[test]
    fn cells_that_touch_at_a_corner_only_are_two_parts() {
        let found = mask(&["##..", "##..", "..##", "..##"]).outlines(100);
        assert_eq!(found.polygons.len(), 2);
        assert!(found.polygons.iter().all(|polygon| polygon.len() == 1 && polygon[0].len() == 4));
    }

    #[test]
    fn a_part_whose_cells_also_touch_at_a_corner_is_walked_around_whole() {
        // The two cells in the middle touch at a corner, and hang together around the outside.
        let found = mask(&["#####", "##.##", "#.###", "#####"]).outlines(100);
        let [polygon] = &found.polygons[..] else { panic!("{found:?}") };
        assert_eq!(polygon.iter().map(doubled).sum::<i64>(), 2 * 18);
        assert_eq!(doubled(&polygon[0]), 40);
    }

    #[test]
    fn splinters_are_left_out_and_corners_bounded() {
        assert_eq!(mask(&["#.#", "...", "##."]).outlines(100).polygons, Vec::<Vec<Ring>>::new());
        let comb: Vec<String> = (0..32)
            .map(|row| if row % 2 == 0 { "#".repeat(32) } else { "#.".repeat(16) })
            .collect();
        let comb: Vec<&str> = comb.iter().map(String::as_str).collect();
        let found = mask(&comb).outlines(40);
        let corners: usize = found.polygons.iter().flatten().map(Vec::len).sum();
        assert!(found.step > 1 && corners <= 40, "{found:?}");
    }
}
