//! The street network: rings and radials around the centre, between them lattices that are as fine
//! as people live dense.
//!
//! ```text
//!   ring lines and radials at whole steps     a cell is cut in m × m, m a power of two, so that
//!   (their number doubles outwards)           neighbours meet in the coarser one's corners
//! ```
//! Nodes are named by whole numbers (ring steps, angle steps), so lines of neighbouring cells meet
//! in the same nodes and the network hangs together by construction. It is then bent a little, cut
//! at the city's border, and what the cut has severed is left out.

mod lattice;

use std::path::Path;

use crate::error::{Result, SynthError};
use crate::facts::StreetClass;
use crate::num::{index, real};
use crate::plan::Plan;
use crate::plane::{Point, distance, holds};
use crate::rng::{Rng, Topic, mix, unit};
use crate::sheet::{Kind, Rows, Sheet, Table, wkb_line};
use crate::street::lattice::{Lattice, Line, RING_STEPS};

pub const NODE: Sheet =
    Sheet { dataset: "road.node", columns: &[("id", Kind::Integer), ("geometry", Kind::Point)] };

pub const EDGE: Sheet = Sheet {
    dataset: "road.edge",
    columns: &[
        ("id", Kind::Integer),
        ("from_node", Kind::Integer),
        ("to_node", Kind::Integer),
        ("class", Kind::Text),
        ("name", Kind::Text),
        ("length_m", Kind::Number),
        ("walk_m_per_s", Kind::Number),
        ("drive_km_per_h", Kind::Number),
        ("geometry", Kind::Line),
    ],
};

const ROWS_PER_BATCH: usize = 64 * 1024;

/// The network as drawn: the places of nodes, and edges by their numbers.
#[derive(Debug)]
pub struct Network {
    pub nodes: Vec<Point>,
    pub edges: Vec<Edge>,
}

#[derive(Debug, Clone, Copy)]
pub struct Edge {
    pub from: u32,
    pub to: u32,
    /// Of the facts' classes.
    pub class: usize,
    /// Of the facts' ring roads.
    pub ring: Option<usize>,
}

pub fn draw(plan: &Plan) -> Result<Network> {
    let facts = &plan.facts.city.streets;
    let named = |id: &str| {
        facts.class.iter().position(|class| class.id == id).ok_or_else(|| SynthError::Drawing {
            what: format!("streets without a class `{id}` in city.toml"),
        })
    };
    let classes = Classes {
        primary: named("primary")?,
        secondary: named("secondary")?,
        tertiary: named("tertiary")?,
        residential: named("residential")?,
        rings: facts.ring.iter().map(|ring| named(&ring.class)).collect::<Result<_>>()?,
    };
    let lattice = Lattice::new(plan);
    let bend = Bend::new(plan.seed);
    let ring = plan.mesh.outline(&plan.city);
    let nodes: Vec<Point> =
        (0..lattice.nodes.len()).map(|node| bend.place(&lattice, node)).collect();
    let inside: Vec<bool> = nodes.iter().map(|point| holds(&ring, *point)).collect();
    let mut edges: Vec<Edge> = lattice
        .edges
        .iter()
        .filter(|(from, to, _)| inside[*from as usize] && inside[*to as usize])
        .map(|(from, to, line)| {
            let (class, ring) = classes.of(*line, &lattice);
            Edge { from: *from, to: *to, class, ring }
        })
        .collect();
    let walks: Vec<bool> = facts.class.iter().map(|class| class.walk_m_per_s.is_some()).collect();
    keep_largest(nodes, &mut edges, &walks)
}

struct Classes {
    primary: usize,
    secondary: usize,
    tertiary: usize,
    residential: usize,
    rings: Vec<usize>,
}

impl Classes {
    fn of(&self, line: Line, lattice: &Lattice) -> (usize, Option<usize>) {
        match line {
            Line::Ring(number) => match lattice.named_ring(number) {
                Some(named) => (self.rings[named], Some(named)),
                None => (self.secondary, None),
            },
            Line::MainRadial => (self.primary, None),
            Line::Radial => (self.secondary, None),
            Line::Middle => (self.tertiary, None),
            Line::Inner => (self.residential, None),
        }
    }
}

/// Bends the plane gently, so that rings are not compass-drawn, and pushes small nodes about.
struct Bend {
    phases: [f64; 4],
    key: u64,
}

impl Bend {
    const SWING_M: f64 = 240.0;
    const WAVE_M: f64 = 6_500.0;
    const JITTER_SHARE: f64 = 0.18;

    fn new(seed: u64) -> Self {
        let mut rng = Rng::of(seed, Topic::Streets, 0);
        let mut phase = || rng.between(0.0, std::f64::consts::TAU);
        Self { phases: [phase(), phase(), phase(), phase()], key: rng.next() }
    }

    fn place(&self, lattice: &Lattice, number: usize) -> Point {
        let (radius, angle, room_m) = lattice.polar(number);
        let node = lattice.nodes[number];
        let [mut x, mut y] = [radius * angle.cos(), radius * angle.sin()];
        // Crossings of rings and radials stay on their lines; what lies between moves a little.
        if !node.0.is_multiple_of(RING_STEPS) {
            let bits = mix(self.key ^ (u64::from(node.0) << 32) ^ u64::from(node.1));
            x += (unit(bits) - 0.5) * 2.0 * Self::JITTER_SHARE * room_m;
            y += (unit(mix(bits)) - 0.5) * 2.0 * Self::JITTER_SHARE * room_m;
        }
        let [a, b, c, d] = self.phases;
        let swing = |at: f64, phase: f64, phase_2: f64| {
            Self::SWING_M
                * ((at / Self::WAVE_M + phase).sin() + 0.4 * (at / 2_900.0 + phase_2).sin())
        };
        [x + swing(y, a, b), y + swing(x, c, d)]
    }
}

/// Drops what is not reached on foot from the largest part, and numbers the nodes anew.
fn keep_largest(nodes: Vec<Point>, edges: &mut Vec<Edge>, walks: &[bool]) -> Result<Network> {
    let mut parts = Parts::new(nodes.len());
    for edge in edges.iter().filter(|edge| walks[edge.class]) {
        parts.join(edge.from, edge.to);
    }
    let largest = parts.largest();
    let mut numbers = vec![u32::MAX; nodes.len()];
    let mut kept = Vec::new();
    for (node, point) in nodes.iter().enumerate() {
        if parts.root(index(node)) == largest {
            numbers[node] = index(kept.len());
            kept.push(*point);
        }
    }
    if kept.len() < 2 {
        return Err(SynthError::Drawing { what: "a street network".to_owned() });
    }
    edges.retain_mut(|edge| {
        (edge.from, edge.to) = (numbers[edge.from as usize], numbers[edge.to as usize]);
        edge.from != u32::MAX && edge.to != u32::MAX
    });
    Ok(Network { nodes: kept, edges: std::mem::take(edges) })
}

/// Disjoint sets with path halving.
#[derive(Debug)]
pub struct Parts(Vec<u32>);

impl Parts {
    pub fn new(count: usize) -> Self {
        Self((0..index(count)).collect())
    }

    pub fn root(&mut self, node: u32) -> u32 {
        let mut at = node as usize;
        while self.0[at] as usize != at {
            self.0[at] = self.0[self.0[at] as usize];
            at = self.0[at] as usize;
        }
        index(at)
    }

    pub fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
    }

    fn largest(&mut self) -> u32 {
        let mut sizes = vec![0_usize; self.0.len()];
        for node in 0..index(self.0.len()) {
            sizes[self.root(node) as usize] += 1;
        }
        let best = (0..sizes.len()).max_by_key(|at| (sizes[*at], usize::MAX - at));
        index(best.unwrap_or(0))
    }
}

pub fn write(plan: &Plan, network: &Network, dir: &Path) -> Result<Vec<(String, usize)>> {
    let mut table = Table::create(dir, &NODE)?;
    for (batch, points) in network.nodes.chunks(ROWS_PER_BATCH).enumerate() {
        let mut rows = Rows::new(&NODE);
        for (nth, point) in points.iter().enumerate() {
            rows.count(batch * ROWS_PER_BATCH + nth + 1).point(&plan.plane, *point);
        }
        table.write(&rows.finish())?;
    }
    let nodes = (NODE.dataset.to_owned(), table.close()?);
    let mut table = Table::create(dir, &EDGE)?;
    let facts = &plan.facts.city.streets;
    for (batch, edges) in network.edges.chunks(ROWS_PER_BATCH).enumerate() {
        let mut rows = Rows::new(&EDGE);
        for (nth, edge) in edges.iter().enumerate() {
            let class: &StreetClass = &facts.class[edge.class];
            let ends = [network.nodes[edge.from as usize], network.nodes[edge.to as usize]];
            rows.count(batch * ROWS_PER_BATCH + nth + 1);
            rows.integer(i64::from(edge.from) + 1).integer(i64::from(edge.to) + 1);
            rows.text(&class.id).text_or(edge.ring.map(|ring| facts.ring[ring].name.zh.as_str()));
            rows.number((distance(ends[0], ends[1]) * 10.0).round() / 10.0);
            rows.number_or(class.walk_m_per_s).number(class.drive_km_per_h);
            rows.shape(&wkb_line(&ends.map(|end| plan.plane.degrees(end))));
        }
        table.write(&rows.finish())?;
    }
    Ok(vec![nodes, (EDGE.dataset.to_owned(), table.close()?)])
}

/// How many nodes a city of so many people should have, and has at least for its rings to show.
pub fn nodes_wanted(plan: &Plan) -> f64 {
    const NODES_MIN: f64 = 4_000.0;
    (real(plan.people) / real(plan.facts.city.streets.people_per_node)).max(NODES_MIN)
}

#[cfg(test)]
mod tests {
    use super::{Parts, draw};
    use crate::plan::Plan;

    #[test]
    fn a_city_of_full_scale_has_a_network_of_full_scale() {
        const NODES_MIN: usize = 400_000;
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
        let pack = pack::load(&dir).expect("the pack has no mistakes");
        let published = crate::facts::Facts::read(&pack).unwrap().people_all();
        let plan = Plan::new(&pack, published, 1).unwrap();
        let network = draw(&plan).unwrap();
        assert!(network.nodes.len() >= NODES_MIN, "{} nodes", network.nodes.len());
        let mut parts = Parts::new(network.nodes.len());
        for edge in &network.edges {
            parts.join(edge.from, edge.to);
        }
        let root = parts.root(0);
        assert!((0..network.nodes.len()).all(|node| parts.root(super::index(node)) == root));
        // The 3+1 rule where a community is large enough to follow it.
        let general = plan.grids.iter().filter(|grid| grid.dedicated_people == 0);
        let (mut kept, mut all) = (0, 0);
        for grid in general {
            all += 1;
            kept += usize::from((300..=500).contains(&grid.households));
        }
        assert!(kept * 100 >= all * 95, "{kept} of {all} general grids");
        let kept = plan.micros.iter().filter(|m| (30..=100).contains(&m.households)).count();
        assert!(kept * 1_000 >= plan.micros.len() * 998, "{kept} of {}", plan.micros.len());
    }

    #[test]
    fn the_largest_part_is_found() {
        let mut parts = Parts::new(6);
        parts.join(4, 5);
        parts.join(1, 3);
        parts.join(3, 2);
        let largest = parts.largest();
        let members: Vec<u32> = (0..6).filter(|node| parts.root(*node) == largest).collect();
        assert_eq!(members, [1, 2, 3]);
    }
}
