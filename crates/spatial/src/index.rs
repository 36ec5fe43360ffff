//! A packed R-tree over boxes that are already in order: sixteen neighbours to a node, nodes of
//! one level one after another, no pointers. The leaves are the boxes themselves.

use std::ops::Range;

use crate::grid::{Rect, Spot};

/// Boxes in a node.
const NODE: usize = 16;

/// The upper levels of the tree over a range of boxes.
#[derive(Debug, Default)]
pub(crate) struct Index {
    range: Range<usize>,
    /// From the level above the leaves to the root.
    levels: Vec<Vec<Rect>>,
}

impl Index {
    /// Over `boxes[range]`, which lie near one another where their places in the list are near.
    pub fn new(boxes: &[Rect], range: Range<usize>) -> Self {
        let union = |boxes: &[Rect]| -> Vec<Rect> {
            let join = |node: &[Rect]| node.iter().fold(Rect::EMPTY, |sum, rect| sum.and(*rect));
            boxes.chunks(NODE).map(join).collect()
        };
        let mut levels = Vec::new();
        let mut level = union(&boxes[range.clone()]);
        while !level.is_empty() {
            let above = if level.len() > 1 { union(&level) } else { Vec::new() };
            levels.push(level);
            level = above;
        }
        Self { range, levels }
    }

    pub fn bytes(&self) -> usize {
        self.levels.iter().map(|level| level.len() * size_of::<Rect>()).sum()
    }

    /// Appends the places of all boxes that meet `wanted`, in order.
    pub fn search(&self, boxes: &[Rect], wanted: &Rect, found: &mut Vec<u32>) {
        if let Some(top) = self.levels.len().checked_sub(1) {
            self.node(boxes, wanted, top, 0, found);
        }
    }

    /// The recursion is as deep as the tree: eight levels hold four billion boxes.
    fn node(&self, boxes: &[Rect], wanted: &Rect, level: usize, at: usize, found: &mut Vec<u32>) {
        let rect = &self.levels[level][at];
        if !rect.meets(wanted) {
            return;
        }
        if level > 0 {
            let below = &self.levels[level - 1];
            for child in at * NODE..((at + 1) * NODE).min(below.len()) {
                self.node(boxes, wanted, level - 1, child, found);
            }
            return;
        }
        let start = self.range.start + at * NODE;
        let end = (start + NODE).min(self.range.end);
        let all = wanted.holds(rect);
        for (place, rect) in boxes.iter().enumerate().take(end).skip(start) {
            if all || rect.meets(wanted) {
                found.push(u32::try_from(place).expect("features are counted in 32 bits"));
            }
        }
    }
}

/// The place of a spot along Hilbert's curve through `around`, at 2¹⁶ × 2¹⁶ cells.
pub(crate) fn hilbert(spot: Spot, around: &Rect) -> u32 {
    let scaled = |value: u32, min: u32, max: u32| {
        let width = u64::from(max.saturating_sub(min)).max(1);
        let share = u64::from(value.saturating_sub(min)) * 0xffff / width;
        u32::try_from(share.min(0xffff)).expect("at most sixteen bits")
    };
    let mut x = scaled(spot.x, around.min.x, around.max.x);
    let mut y = scaled(spot.y, around.min.y, around.max.y);
    let mut along = 0_u32;
    let mut side = 1_u32 << 15;
    while side > 0 {
        let (right, down) = (u32::from(x & side > 0), u32::from(y & side > 0));
        along = along.wrapping_add(side.wrapping_mul(side).wrapping_mul((3 * right) ^ down));
        if down == 0 {
            if right == 1 {
                x = 0xffff - x;
                y = 0xffff - y;
            }
            std::mem::swap(&mut x, &mut y);
        }
        side >>= 1;
    }
    along
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_a_look_at_every_box_finds() {
        let mut seed = 11_u64;
        let mut random = move |below: u32| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from(seed >> 33).unwrap() % below
        };
        let around = Rect { min: Spot { x: 0, y: 0 }, max: Spot { x: 1 << 20, y: 1 << 20 } };
        for count in [0_usize, 1, 15, 16, 17, 300, 5_000] {
            let mut boxes: Vec<Rect> = (0..count)
                .map(|_| {
                    let (x, y) = (random(1 << 20), random(1 << 20));
                    let max = Spot { x: x + random(3_000), y: y + random(3_000) };
                    Rect { min: Spot { x, y }, max }
                })
                .collect();
            boxes.sort_by_key(|rect| hilbert(rect.min, &around));
            // The tree stands over a part of a longer list.
            let stranger =
                Rect { min: Spot { x: 0, y: 0 }, max: Spot { x: u32::MAX, y: u32::MAX } };
            boxes.insert(0, stranger);
            boxes.push(stranger);
            let index = Index::new(&boxes, 1..count + 1);
            for _ in 0..50 {
                let (x, y) = (random(1 << 20), random(1 << 20));
                let max = Spot { x: x + random(200_000), y: y + random(200_000) };
                let wanted = Rect { min: Spot { x, y }, max };
                let mut found = Vec::new();
                index.search(&boxes, &wanted, &mut found);
                let slow: Vec<u32> = (1..=count)
                    .filter(|at| boxes[*at].meets(&wanted))
                    .map(|at| u32::try_from(at).unwrap())
                    .collect();
                assert_eq!(found, slow, "{count} boxes");
            }
        }
    }

    #[test]
    fn neighbours_on_the_curve_are_neighbours_on_the_ground() {
        let around = Rect { min: Spot { x: 0, y: 0 }, max: Spot { x: 0xffff, y: 0xffff } };
        let mut places: Vec<(u32, u32, u32)> = Vec::new();
        for x in 0..64 {
            for y in 0..64 {
                let spot = Spot { x: x * 1_024, y: y * 1_024 };
                places.push((hilbert(spot, &around), x, y));
            }
        }
        places.sort_unstable();
        for pair in places.windows(2) {
            let apart = pair[0].1.abs_diff(pair[1].1) + pair[0].2.abs_diff(pair[1].2);
            assert_eq!(apart, 1, "{pair:?}");
        }
    }
}
