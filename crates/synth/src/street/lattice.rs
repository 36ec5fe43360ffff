//! The network before it is bent: nodes by whole numbers, and which of them are linked.

use crate::facts::StreetFacts;
use crate::num::{floor, index, real};
use crate::plan::Plan;
use crate::plane::centroid;
use crate::street::nodes_wanted;

/// Steps from one ring line to the next: as fine as a cell is ever cut.
pub const RING_STEPS: u32 = 64;
/// Angle steps between two main radials.
const RADIAL_STEPS: u32 = 1 << 20;
const REFINEMENTS_MAX: u32 = 6;
/// Ring lines, and so cells, are bounded whatever the facts say.
const RINGS_MAX: usize = 4_000;
/// How far out spacing has grown to that of the country.
const SPACING_GROWN_M: f64 = 45_000.0;

/// What a link runs along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    Ring(u32),
    MainRadial,
    Radial,
    /// The middle of a cell that is cut.
    Middle,
    Inner,
}

#[derive(Debug)]
pub struct Lattice {
    /// Radii of the ring lines, the centre first.
    radii: Vec<f64>,
    /// Cells around the band that begins at each ring line.
    sectors: Vec<u32>,
    full: u32,
    named: Vec<Option<usize>>,
    /// Ring step and angle step.
    pub nodes: Vec<(u32, u32)>,
    /// By node: how fine the finest cell around it is cut.
    cuts: Vec<u32>,
    pub edges: Vec<(u32, u32, Line)>,
}

/// A cell between two ring lines: band, number around, and into how many it is cut each way.
struct Cell {
    band: usize,
    sector: u32,
    cuts: u32,
}

impl Lattice {
    pub fn new(plan: &Plan) -> Self {
        let facts = &plan.facts.city.streets;
        let reach_m = plan
            .mesh
            .outline(&plan.city)
            .iter()
            .map(|point| plan.distance_to_centre_m(*point))
            .fold(0.0, f64::max);
        let (radii, named) = ring_lines(facts, reach_m);
        let full = index(facts.radials) * RADIAL_STEPS;
        let sectors = sectors(facts, &radii);
        let (nodes, cuts, edges) = (Vec::new(), Vec::new(), Vec::new());
        let mut lattice = Self { radii, sectors, full, named, nodes, cuts, edges };
        let cells = lattice.cells(plan);
        lattice.link(&cells);
        lattice
    }

    pub fn named_ring(&self, number: u32) -> Option<usize> {
        self.named[number as usize]
    }

    /// Radius and angle of a node, and how far it is to the next.
    pub fn polar(&self, node: usize) -> (f64, f64, f64) {
        let (ring, angle) = self.nodes[node];
        let band = ((ring / RING_STEPS) as usize).min(self.radii.len() - 1);
        let next = (band + 1).min(self.radii.len() - 1);
        let share = f64::from(ring % RING_STEPS) / f64::from(RING_STEPS);
        let depth = self.radii[next] - self.radii[band];
        let turn = std::f64::consts::TAU * f64::from(angle) / f64::from(self.full);
        (self.radii[band] + share * depth, turn, depth / f64::from(self.cuts[node]))
    }

    /// All cells, cut so fine that there are about as many nodes as wanted.
    fn cells(&self, plan: &Plan) -> Vec<Cell> {
        const BISECTIONS: usize = 60;
        let people = self.people_by_cell(plan);
        let cuts = |people: f64, each: f64| {
            let halvings = ((people / each).max(1.0).log2() / 2.0).round();
            1_u32 << index(floor(halvings)).min(REFINEMENTS_MAX)
        };
        let count = |each: f64| -> f64 {
            let nodes = |people: &f64| f64::from(cuts(*people, each)).powi(2);
            people.iter().flatten().map(nodes).sum()
        };
        let wanted = nodes_wanted(plan);
        // On a scale of logarithms: from everything cut to nothing cut.
        let (mut fine, mut coarse) = (0.01_f64.ln(), real(plan.people).ln());
        for _ in 0..BISECTIONS {
            let middle = f64::midpoint(fine, coarse);
            if count(middle.exp()) > wanted { fine = middle } else { coarse = middle }
        }
        let each = fine.exp();
        let mut cells = Vec::new();
        for (band, people) in people.iter().enumerate() {
            for (sector, people) in people.iter().enumerate() {
                cells.push(Cell { band, sector: index(sector), cuts: cuts(*people, each) });
            }
        }
        cells
    }

    /// By band and sector.
    fn people_by_cell(&self, plan: &Plan) -> Vec<Vec<f64>> {
        let bands = self.radii.len() - 1;
        let mut people: Vec<Vec<f64>> =
            (0..bands).map(|band| vec![0.0; self.sectors[band] as usize]).collect();
        let mut add = |face, count: f64| {
            let [x, y] = centroid(&plan.mesh.outline(face));
            let radius = x.hypot(y);
            let band = self.radii.partition_point(|r| *r <= radius).clamp(1, bands) - 1;
            let turn = y.atan2(x).rem_euclid(std::f64::consts::TAU) / std::f64::consts::TAU;
            let sectors = people[band].len();
            people[band][floor(turn * real(sectors)).min(sectors - 1)] += count;
        };
        for micro in &plan.micros {
            let community = &plan.communities[plan.grids[micro.grid].community];
            let each = real(community.people) / real(community.households.max(1));
            add(&micro.face, real(micro.households) * each);
        }
        for grid in &plan.grids {
            add(&grid.face, real(grid.dedicated_people));
        }
        people
    }

    fn link(&mut self, cells: &[Cell]) {
        let (nodes, cuts) = self.name_nodes(cells);
        let mut by_angle: Vec<(u32, u32)> = nodes.iter().map(|(r, a)| (*a, *r)).collect();
        by_angle.sort_unstable();
        let number =
            |node: (u32, u32)| index(nodes.binary_search(&node).expect("lines run between nodes"));
        let mut edges = Vec::new();
        for cell in cells {
            let (rings, angles) = self.lines(cell);
            let ends = (angles[0], angles[angles.len() - 1]);
            for (nth, ring) in rings.iter().enumerate().filter(|(_, ring)| **ring > 0) {
                let on: Vec<(u32, u32)> = along(&nodes, *ring, ends, self.full);
                let line = self.across(cell, nth, *ring);
                edges.extend(on.windows(2).map(|pair| (number(pair[0]), number(pair[1]), line)));
            }
            for (nth, angle) in angles.iter().enumerate() {
                let turned = angle % self.full;
                let mut on: Vec<(u32, u32)> =
                    along(&by_angle, turned, (rings[0], rings[rings.len() - 1]), u32::MAX)
                        .into_iter()
                        .map(|(angle, ring)| (ring, angle))
                        .collect();
                if rings[0] == 0 && on.first() != Some(&(0, 0)) {
                    on.insert(0, (0, 0));
                }
                let line = self.outward(cell, nth, turned);
                edges.extend(on.windows(2).map(|pair| (number(pair[0]), number(pair[1]), line)));
            }
        }
        // A line between two cells was walked from both.
        for edge in &mut edges {
            (edge.0, edge.1) = (edge.0.min(edge.1), edge.0.max(edge.1));
        }
        edges.sort_unstable();
        edges.dedup_by_key(|edge| (edge.0, edge.1));
        (self.nodes, self.cuts, self.edges) = (nodes, cuts, edges);
    }

    /// All nodes in order, each once, with how fine its finest cell is cut.
    fn name_nodes(&self, cells: &[Cell]) -> (Vec<(u32, u32)>, Vec<u32>) {
        let mut nodes: Vec<(u32, u32, std::cmp::Reverse<u32>)> = Vec::new();
        for cell in cells {
            let (rings, angles) = self.lines(cell);
            let cuts = std::cmp::Reverse(cell.cuts);
            for ring in &rings {
                // The centre is one node, however many angles it is seen from.
                let turned = |angle: &u32| if *ring == 0 { 0 } else { angle % self.full };
                nodes.extend(angles.iter().map(|angle| (*ring, turned(angle), cuts)));
            }
        }
        nodes.sort_unstable();
        nodes.dedup_by_key(|node| (node.0, node.1));
        nodes.into_iter().map(|(ring, angle, cuts)| ((ring, angle), cuts.0)).unzip()
    }

    /// Ring steps and angle steps of a cell's lines; the last angle may be a full turn.
    fn lines(&self, cell: &Cell) -> (Vec<u32>, Vec<u32>) {
        // Around the centre there are wedges, which are not cut.
        let cuts = if cell.band == 0 { 1 } else { cell.cuts };
        let first = index(cell.band) * RING_STEPS;
        let width = self.full / self.sectors[cell.band];
        let rings = (0..=cuts).map(|nth| first + nth * (RING_STEPS / cuts));
        let angles = (0..=cuts).map(|nth| cell.sector * width + nth * (width / cuts));
        (rings.collect(), angles.collect())
    }

    fn across(&self, cell: &Cell, nth: usize, ring: u32) -> Line {
        match ring.is_multiple_of(RING_STEPS) {
            true => Line::Ring(ring / RING_STEPS),
            false => inner(cell, nth),
        }
    }

    fn outward(&self, cell: &Cell, nth: usize, angle: u32) -> Line {
        let width = self.full / self.sectors[cell.band];
        match angle {
            _ if angle.is_multiple_of(RADIAL_STEPS) => Line::MainRadial,
            _ if angle.is_multiple_of(width) => Line::Radial,
            _ => inner(cell, nth),
        }
    }
}

fn inner(cell: &Cell, nth: usize) -> Line {
    let middle = cell.cuts > 2 && nth * 2 == cell.cuts as usize;
    if middle { Line::Middle } else { Line::Inner }
}

/// Of pairs in order, those with this first number and a second one within the ends; where the
/// second end is a full turn, the line comes round to nought.
fn along(sorted: &[(u32, u32)], first: u32, ends: (u32, u32), full: u32) -> Vec<(u32, u32)> {
    let from = sorted.partition_point(|pair| *pair < (first, ends.0));
    let to = sorted.partition_point(|pair| *pair <= (first, ends.1));
    let mut on = sorted[from..to].to_vec();
    if ends.1 == full {
        on.push((first, 0));
    }
    on
}

fn spacing(facts: &StreetFacts, radius_m: f64) -> f64 {
    let share = (radius_m / SPACING_GROWN_M).min(1.0);
    facts.local_spacing_m + (facts.outer_spacing_m - facts.local_spacing_m) * share
}

/// Radii of ring lines to just beyond the reach: the named ones, and evenly between them.
fn ring_lines(facts: &StreetFacts, reach_m: f64) -> (Vec<f64>, Vec<Option<usize>>) {
    let mut stops: Vec<(f64, Option<usize>)> =
        facts.ring.iter().enumerate().map(|(nth, ring)| (ring.radius_m, Some(nth))).collect();
    stops.sort_by(|a, b| a.0.total_cmp(&b.0));
    let last = stops.last().map_or(0.0, |stop| stop.0);
    stops.push((reach_m.max(last) + facts.outer_spacing_m, None));
    let (mut radii, mut named) = (vec![0.0], vec![None]);
    for (radius, name) in stops {
        let from = radii[radii.len() - 1];
        let steps = ((radius - from) / spacing(facts, f64::midpoint(from, radius))).round();
        let steps = floor(steps).clamp(1, RINGS_MAX);
        for step in 1..=steps {
            radii.push(from + (radius - from) * real(step) / real(steps));
            named.push(name.filter(|_| step == steps));
        }
    }
    (radii, named)
}

/// Cells around each band: doubled where they would grow too wide, once at a time.
fn sectors(facts: &StreetFacts, radii: &[f64]) -> Vec<u32> {
    let mut sectors = Vec::with_capacity(radii.len());
    let mut now = index(facts.radials);
    let most = now * (RADIAL_STEPS >> REFINEMENTS_MAX);
    for (band, radius) in radii.iter().enumerate() {
        let width = std::f64::consts::TAU * radius / f64::from(now);
        if band > 0 && width > 1.5 * spacing(facts, *radius) && now * 2 <= most {
            now *= 2;
        }
        sectors.push(now);
    }
    sectors
}
