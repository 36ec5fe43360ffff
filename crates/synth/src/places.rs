//! Where in a community a thing stands: some micro grid, some point in it.

use std::ops::Range;

use crate::num::real;
use crate::plan::Plan;
use crate::plane::{Point, centroid, inside, toward};
use crate::rng::Rng;

/// Things keep off the border by this share of the way to the middle.
const INSET_SHARE: f64 = 0.05;

#[derive(Debug)]
pub struct Places<'a> {
    pub plan: &'a Plan,
    /// By micro grid.
    rings: Vec<Vec<Point>>,
    /// Micro grids by community.
    micros: Vec<Range<usize>>,
}

impl<'a> Places<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        let rings = plan.micros.iter().map(|micro| plan.mesh.outline(&micro.face)).collect();
        let mut micros = vec![0..0; plan.communities.len()];
        for (number, micro) in plan.micros.iter().enumerate() {
            let own: &mut Range<usize> = &mut micros[plan.grids[micro.grid].community];
            let first = if (*own).is_empty() { number } else { own.start };
            *own = first..number + 1;
        }
        Self { plan, rings, micros }
    }

    pub fn ring(&self, micro: usize) -> &[Point] {
        &self.rings[micro]
    }

    /// A micro grid of a community, each as likely, and a point in it.
    pub fn somewhere(&self, community: usize, rng: &mut Rng) -> (usize, Point) {
        let micros = &self.micros[community];
        let micro = micros.start + rng.below(micros.len());
        (micro, self.point(micro, rng))
    }

    pub fn point(&self, micro: usize, rng: &mut Rng) -> Point {
        let ring = &self.rings[micro];
        toward(inside(ring, rng), centroid(ring), INSET_SHARE)
    }

    /// Shares things out to communities by weights as evenly as whole numbers allow: every
    /// community's running share is right to within one.
    pub fn spread(&self, total: usize, weight: impl Fn(usize) -> f64, start: f64) -> Vec<usize> {
        let weights: Vec<f64> = (0..self.plan.communities.len()).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let mut given = 0;
        let mut running = 0.0;
        let mut counts = Vec::with_capacity(weights.len());
        for weight in weights {
            running += weight / sum.max(f64::MIN_POSITIVE);
            let due = crate::num::floor(running * real(total) + start).min(total);
            counts.push(due - given.min(due));
            given = given.max(due);
        }
        counts
    }
}
