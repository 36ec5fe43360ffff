//! Cuts lines and rings to a square around a tile, in the tile's own units.

/// A place in a tile's units; outside the tile below zero or above its extent.
pub(crate) type Unit = (i32, i32);

/// The square from `-buffer` to `extent + buffer` on both axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Square {
    pub low: i32,
    pub high: i32,
}

impl Square {
    pub fn holds(self, (x, y): Unit) -> bool {
        (self.low..=self.high).contains(&x) && (self.low..=self.high).contains(&y)
    }

    /// The stretches of a line within the square, one after another; `each` takes every stretch.
    pub fn line(self, line: &[Unit], stretch: &mut Vec<Unit>, mut each: impl FnMut(&[Unit])) {
        stretch.clear();
        for pair in line.windows(2) {
            let Some((from, to)) = self.segment(pair[0], pair[1]) else {
                continue;
            };
            if stretch.last() != Some(&from) {
                if stretch.len() > 1 {
                    each(stretch);
                }
                stretch.clear();
                stretch.push(from);
            }
            if from != to {
                stretch.push(to);
            }
        }
        if stretch.len() > 1 {
            each(stretch);
        }
    }

    /// The part of a segment within the square (Liang and Barsky 1984).
    fn segment(self, a: Unit, b: Unit) -> Option<(Unit, Unit)> {
        if self.holds(a) && self.holds(b) {
            return Some((a, b));
        }
        let (ax, ay) = (f64::from(a.0), f64::from(a.1));
        let (dx, dy) = (f64::from(b.0) - ax, f64::from(b.1) - ay);
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        let (mut enters, mut leaves) = (0.0_f64, 1.0_f64);
        for (p, q) in [(-dx, ax - low), (dx, high - ax), (-dy, ay - low), (dy, high - ay)] {
            if p == 0.0 {
                if q < 0.0 {
                    return None;
                }
            } else if p < 0.0 {
                enters = enters.max(q / p);
            } else {
                leaves = leaves.min(q / p);
            }
        }
        if enters > leaves {
            return None;
        }
        let from = if enters > 0.0 { at(a, b, enters) } else { a };
        let to = if leaves < 1.0 { at(a, b, leaves) } else { b };
        Some((self.inside(from), self.inside(to)))
    }

    fn inside(self, (x, y): Unit) -> Unit {
        (x.clamp(self.low, self.high), y.clamp(self.low, self.high))
    }

    /// A ring cut to the square, left in `ring` (Sutherland and Hodgman 1974). What lies outside
    /// runs along the square's edge, where nobody sees it.
    pub fn ring(self, ring: &mut Vec<Unit>, spare: &mut Vec<Unit>) {
        type Cut = (fn(Unit) -> i32, bool);
        const CUTS: [Cut; 4] =
            [(|u| u.0, false), (|u| u.0, true), (|u| u.1, false), (|u| u.1, true)];
        for (axis, upper) in CUTS {
            let bound = if upper { self.high } else { self.low };
            let inside = |unit: Unit| {
                if upper { axis(unit) <= bound } else { axis(unit) >= bound }
            };
            let Some(&last) = ring.last() else { return };
            spare.clear();
            let mut before = last;
            for &unit in ring.iter() {
                if inside(unit) != inside(before) {
                    let (a, b) = (f64::from(axis(before)), f64::from(axis(unit)));
                    let mut crossing = at(before, unit, (f64::from(bound) - a) / (b - a));
                    // Rounding must not leave the edge that it is on.
                    if axis((1, 0)) == 1 {
                        crossing.0 = bound
                    } else {
                        crossing.1 = bound
                    }
                    spare.push(crossing);
                }
                if inside(unit) {
                    spare.push(unit);
                }
                before = unit;
            }
            std::mem::swap(ring, spare);
        }
        ring.dedup();
        if ring.len() > 1 && ring.first() == ring.last() {
            ring.pop();
        }
    }
}

/// The place at a share of the way from `a` to `b`.
#[expect(clippy::cast_possible_truncation)]
fn at(a: Unit, b: Unit, share: f64) -> Unit {
    let between = |a: i32, b: i32| {
        let (a, b) = (f64::from(a), f64::from(b));
        (a + (b - a) * share).round() as i32
    };
    (between(a.0, b.0), between(a.1, b.1))
}

/// Twice a ring's area, positive where it runs clockwise on the screen.
pub(crate) fn doubled_area(ring: &[Unit]) -> i64 {
    let Some(&last) = ring.last() else { return 0 };
    let mut before = last;
    let mut sum = 0_i64;
    for &unit in ring {
        sum += i64::from(before.0) * i64::from(unit.1) - i64::from(unit.0) * i64::from(before.1);
        before = unit;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: Square = Square { low: 0, high: 100 };

    fn lines(line: &[Unit]) -> Vec<Vec<Unit>> {
        let mut found = Vec::new();
        SQUARE.line(line, &mut Vec::new(), |stretch| found.push(stretch.to_vec()));
        found
    }

    #[test]
    fn a_line_is_cut_where_it_leaves_and_comes_back() {
        assert_eq!(lines(&[(10, 10), (90, 90)]), [[(10, 10), (90, 90)]]);
        assert_eq!(lines(&[(-50, 50), (150, 50)]), [[(0, 50), (100, 50)]]);
        assert_eq!(
            lines(&[(50, 50), (150, 50), (150, 80), (50, 80)]),
            [vec![(50, 50), (100, 50)], vec![(100, 80), (50, 80)]]
        );
        assert!(lines(&[(-10, 0), (0, -10)]).is_empty(), "passes the corner outside");
        assert!(lines(&[(200, 200), (300, 0)]).is_empty());
        assert!(lines(&[(50, 50)]).is_empty());
    }

    #[test]
    fn a_ring_is_cut_and_keeps_its_sense() {
        let mut ring = vec![(-50, -50), (50, -50), (50, 50), (-50, 50)];
        assert!(doubled_area(&ring) > 0);
        SQUARE.ring(&mut ring, &mut Vec::new());
        assert_eq!(doubled_area(&ring), 2 * 50 * 50);
        assert!(ring.iter().all(|unit| SQUARE.holds(*unit)));

        let mut around = vec![(-900, -900), (900, -900), (900, 900), (-900, 900)];
        SQUARE.ring(&mut around, &mut Vec::new());
        assert_eq!(doubled_area(&around), 2 * 100 * 100);

        let mut outside = vec![(200, 200), (300, 200), (300, 300)];
        SQUARE.ring(&mut outside, &mut Vec::new());
        assert!(outside.is_empty());

        let mut counter = vec![(-50, 50), (50, 50), (50, -50), (-50, -50)];
        SQUARE.ring(&mut counter, &mut Vec::new());
        assert_eq!(doubled_area(&counter), -2 * 50 * 50);
    }

    /// Areas of many cut triangles, beside a count of cells' centres within both.
    #[test]
    fn what_is_cut_off_is_what_lies_outside() {
        let mut seed = 3_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            i32::try_from(seed >> 33).unwrap() % 300 - 100
        };
        for _ in 0..200 {
            let corners = [(random(), random()), (random(), random()), (random(), random())];
            let inside = |x: f64, y: f64| {
                let side = |a: Unit, b: Unit| {
                    (f64::from(b.0) - f64::from(a.0)) * (y - f64::from(a.1))
                        - (f64::from(b.1) - f64::from(a.1)) * (x - f64::from(a.0))
                };
                let sides = [
                    side(corners[0], corners[1]),
                    side(corners[1], corners[2]),
                    side(corners[2], corners[0]),
                ];
                sides.iter().all(|side| *side >= 0.0) || sides.iter().all(|side| *side <= 0.0)
            };
            let mut counted = 0_i64;
            for x in 0..100 {
                for y in 0..100 {
                    counted += i64::from(inside(f64::from(x) + 0.5, f64::from(y) + 0.5));
                }
            }
            let mut ring = corners.to_vec();
            SQUARE.ring(&mut ring, &mut Vec::new());
            let area = doubled_area(&ring).abs() / 2;
            assert!((area - counted).abs() <= 250, "{corners:?}: {area}, counted {counted}");
        }
    }
}
