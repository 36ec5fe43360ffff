//! A plane cut into faces within faces, whose borders are kept once.
//!
//! A face is a ring of sides; a side is an edge seen from the left or from the right. Where a face
//! is split, the edges around it are cut, and the face on their other side has the new corners too.
//! So faces meet in the very same points: children fill their parent, and neighbours share edges,
//! exactly.
//!
//! ```text
//!        whole edge a ─────────────────── b          parts: a ── t ── b
//!        left face split at t, right face not yet    both see t
//! ```

use std::collections::HashMap;

use crate::num::index;
use crate::plane::{Point, area};
use crate::power::{Bound, Cell, Site, cells};

#[derive(Debug, Clone, Copy)]
struct Edge {
    from: u32,
    to: u32,
    /// The first of its parts and how many, where it has been cut.
    parts: Option<(u32, u32)>,
}

/// An edge as one of its two faces sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    edge: u32,
    reversed: bool,
}

/// A ring of sides, leftwards. Sides may have been cut since: [`Mesh::sides`] gives the parts.
#[derive(Debug, Clone, Default)]
pub struct Face(Vec<Side>);

#[derive(Debug, Default)]
pub struct Mesh {
    points: Vec<Point>,
    edges: Vec<Edge>,
}

/// Two borders ran too close together to tell which comes first. Other sites will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Degenerate;

/// Where a cell's corner lies, named so that each cell around it gives it the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Corner {
    /// A corner of the ring.
    Ring(usize),
    /// Where the border of two sites meets a side of the ring.
    On(usize, usize, usize),
    /// Where the cells of three sites meet.
    Inner(usize, usize, usize),
}

impl Mesh {
    /// A mesh of one face with this outline, which runs leftwards.
    pub fn new(outline: &[Point]) -> (Self, Face) {
        let count = index(outline.len());
        let edge = |from: u32| Edge { from, to: (from + 1) % count, parts: None };
        let mesh = Self { points: outline.to_vec(), edges: (0..count).map(edge).collect() };
        (mesh, Face((0..count).map(|edge| Side { edge, reversed: false }).collect()))
    }

    /// The sides of a face, down to the smallest parts.
    pub fn sides(&self, face: &Face) -> Vec<Side> {
        let mut sides = Vec::with_capacity(face.0.len() * 2);
        for side in &face.0 {
            self.push_parts(*side, &mut sides);
        }
        sides
    }

    /// Parts of parts are few deep: one level for each level of areas.
    fn push_parts(&self, side: Side, into: &mut Vec<Side>) {
        let Some((first, count)) = self.edges[side.edge as usize].parts else {
            into.push(side);
            return;
        };
        for nth in 0..count {
            let edge = first + if side.reversed { count - 1 - nth } else { nth };
            self.push_parts(Side { edge, reversed: side.reversed }, into);
        }
    }

    fn start(&self, side: Side) -> u32 {
        let edge = self.edges[side.edge as usize];
        if side.reversed { edge.to } else { edge.from }
    }

    /// Corners of a face, leftwards, the first not repeated.
    pub fn outline(&self, face: &Face) -> Vec<Point> {
        self.corners(face).into_iter().map(|corner| self.points[corner as usize]).collect()
    }

    /// The same by the numbers of points.
    pub fn corners(&self, face: &Face) -> Vec<u32> {
        self.sides(face).into_iter().map(|side| self.start(side)).collect()
    }

    pub fn area(&self, face: &Face) -> f64 {
        area(&self.outline(face))
    }

    /// Splits a convex face into its sites' cells, none of them empty.
    pub fn split(&mut self, face: &Face, sites: &[Site]) -> Result<Vec<Face>, Degenerate> {
        if sites.len() == 1 {
            return Ok(vec![face.clone()]);
        }
        let sides = self.sides(face);
        let ring: Vec<Point> =
            sides.iter().map(|side| self.points[self.start(*side) as usize]).collect();
        let cells = cells(&ring, sites);
        let mut named = Vec::with_capacity(cells.len());
        for (own, cell) in cells.iter().enumerate() {
            named.push(name_corners(own, cell, ring.len())?);
        }
        let borders = borders(&cells, &named)?;
        let pieces = pieces(&cells, &named, &ring)?;
        Ok(self.commit(&sides, &cells, &named, &borders, &pieces))
    }

    /// Enters points and edges of a split that is known to be sound.
    fn commit(
        &mut self,
        sides: &[Side],
        cells: &[Cell],
        named: &[Vec<Corner>],
        borders: &[(usize, usize)],
        pieces: &[Vec<(Corner, Corner)>],
    ) -> Vec<Face> {
        let mut points: HashMap<Corner, u32> =
            sides.iter().enumerate().map(|(at, s)| (Corner::Ring(at), self.start(*s))).collect();
        for (cell, corners) in cells.iter().zip(named) {
            for ((point, _), corner) in cell.iter().zip(corners) {
                points.entry(*corner).or_insert_with(|| {
                    self.points.push(*point);
                    index(self.points.len() - 1)
                });
            }
        }
        let mut ring_sides: HashMap<(Corner, usize), Side> = HashMap::new();
        for (number, (side, pieces)) in sides.iter().zip(pieces).enumerate() {
            self.cut(*side, pieces, &points);
            let mut parts = Vec::with_capacity(pieces.len());
            self.push_parts(*side, &mut parts);
            for (piece, part) in pieces.iter().zip(parts) {
                ring_sides.insert((piece.0, number), part);
            }
        }
        let mut inner: HashMap<(usize, usize), u32> = HashMap::new();
        for (own, at) in borders {
            let Bound::Site(other) = cells[*own][*at].1 else { continue };
            let corners = &named[*own];
            let (from, to) = (corners[*at], corners[(*at + 1) % corners.len()]);
            inner.insert((*own, other), index(self.edges.len()));
            self.edges.push(Edge { from: points[&from], to: points[&to], parts: None });
        }
        let face = |own: usize| {
            let side = |(at, (_, bound)): (usize, &(Point, Bound))| match bound {
                Bound::Ring(side) => ring_sides[&(named[own][at], *side)],
                Bound::Site(other) if own < *other => {
                    Side { edge: inner[&(own, *other)], reversed: false }
                }
                Bound::Site(other) => Side { edge: inner[&(*other, own)], reversed: true },
            };
            Face(cells[own].iter().enumerate().map(side).collect())
        };
        (0..cells.len()).map(face).collect()
    }

    /// Cuts a side's edge into pieces, if there is more than one.
    fn cut(&mut self, side: Side, pieces: &[(Corner, Corner)], points: &HashMap<Corner, u32>) {
        if pieces.len() < 2 {
            return;
        }
        let parts = (index(self.edges.len()), index(pieces.len()));
        let mut new: Vec<Edge> = pieces
            .iter()
            .map(|(from, to)| Edge { from: points[from], to: points[to], parts: None })
            .collect();
        if side.reversed {
            new.reverse();
            for edge in &mut new {
                std::mem::swap(&mut edge.from, &mut edge.to);
            }
        }
        self.edges.extend(new);
        self.edges[side.edge as usize].parts = Some(parts);
    }
}

/// Names each corner of a cell after the bounds that meet there.
fn name_corners(own: usize, cell: &Cell, ring: usize) -> Result<Vec<Corner>, Degenerate> {
    if cell.len() < 3 {
        return Err(Degenerate);
    }
    let corner = |at: usize| {
        let before = cell[(at + cell.len() - 1) % cell.len()].1;
        match (before, cell[at].1) {
            (Bound::Ring(a), Bound::Ring(b)) if (a + 1) % ring == b => Ok(Corner::Ring(b)),
            (Bound::Ring(_), Bound::Ring(_)) => Err(Degenerate),
            (Bound::Ring(side), Bound::Site(other)) | (Bound::Site(other), Bound::Ring(side)) => {
                Ok(Corner::On(side, own.min(other), own.max(other)))
            }
            (Bound::Site(a), Bound::Site(b)) => {
                let mut sites = [own, a, b];
                sites.sort_unstable();
                Ok(Corner::Inner(sites[0], sites[1], sites[2]))
            }
        }
    };
    (0..cell.len()).map(corner).collect()
}

/// Each border between two cells once, as the lower cell and the corner where it begins. Both cells
/// must agree on where it runs.
fn borders(cells: &[Cell], named: &[Vec<Corner>]) -> Result<Vec<(usize, usize)>, Degenerate> {
    let mut seen: HashMap<(usize, usize), (Corner, Corner)> = HashMap::new();
    let mut lower = Vec::new();
    for (own, cell) in cells.iter().enumerate() {
        for (at, (_, bound)) in cell.iter().enumerate() {
            let Bound::Site(other) = *bound else { continue };
            let (from, to) = (named[own][at], named[own][(at + 1) % cell.len()]);
            if own < other {
                lower.push((own, at));
                if seen.insert((own, other), (from, to)).is_some() {
                    return Err(Degenerate);
                }
            } else if seen.remove(&(other, own)) != Some((to, from)) {
                return Err(Degenerate);
            }
        }
    }
    if seen.is_empty() { Ok(lower) } else { Err(Degenerate) }
}

/// The pieces of each side of the ring in order. They must join from corner to corner.
fn pieces(
    cells: &[Cell],
    named: &[Vec<Corner>],
    ring: &[Point],
) -> Result<Vec<Vec<(Corner, Corner)>>, Degenerate> {
    let mut pieces: Vec<Vec<(f64, Corner, Corner)>> = vec![Vec::new(); ring.len()];
    for (own, cell) in cells.iter().enumerate() {
        for (at, (point, bound)) in cell.iter().enumerate() {
            let Bound::Ring(side) = *bound else { continue };
            let along = crate::plane::distance(*point, ring[side]);
            pieces[side].push((along, named[own][at], named[own][(at + 1) % cell.len()]));
        }
    }
    let joined = |(side, mut pieces): (usize, Vec<(f64, Corner, Corner)>)| {
        pieces.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut at = Corner::Ring(side);
        for (_, from, to) in &pieces {
            if *from != at {
                return Err(Degenerate);
            }
            at = *to;
        }
        let pieces = pieces.into_iter().map(|(_, from, to)| (from, to)).collect();
        if at == Corner::Ring((side + 1) % ring.len()) { Ok(pieces) } else { Err(Degenerate) }
    };
    pieces.into_iter().enumerate().map(joined).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, Topic};

    const SQUARE: [Point; 4] = [[0.0, 0.0], [1_000.0, 0.0], [1_000.0, 1_000.0], [0.0, 1_000.0]];

    fn split(mesh: &mut Mesh, face: &Face, count: usize, thing: u64) -> Vec<Face> {
        let ring = mesh.outline(face);
        let mut rng = Rng::of(7, Topic::Sites, thing);
        let site = |rng: &mut Rng| Site { at: crate::plane::inside(&ring, rng), weight: 0.0 };
        let sites: Vec<Site> = (0..count).map(|_| site(&mut rng)).collect();
        mesh.split(face, &sites).expect("chance does not put four cells in one corner")
    }

    /// Edges of faces, each with the number of faces on its left and on its right.
    fn uses(mesh: &Mesh, faces: &[Face]) -> HashMap<(u32, u32), usize> {
        let mut uses = HashMap::new();
        for face in faces {
            let corners = mesh.corners(face);
            for at in 0..corners.len() {
                *uses.entry((corners[at], corners[(at + 1) % corners.len()])).or_default() += 1;
            }
        }
        uses
    }

    #[test]
    fn faces_of_two_levels_share_every_edge() {
        let (mut mesh, whole) = Mesh::new(&SQUARE);
        let parents = split(&mut mesh, &whole, 9, 0);
        let children: Vec<Vec<Face>> =
            parents.iter().zip(1..).map(|(face, nth)| split(&mut mesh, face, 7, nth)).collect();
        let leaves: Vec<Face> = children.iter().flatten().cloned().collect();
        for faces in [&parents, &leaves] {
            let uses = uses(&mesh, faces);
            let open = uses.keys().filter(|(from, to)| !uses.contains_key(&(*to, *from))).count();
            assert!(uses.values().all(|count| *count == 1));
            assert_eq!(open, mesh.corners(&whole).len(), "only the outline has one face");
        }
        for (parent, children) in parents.iter().zip(&children) {
            let sum: f64 = children.iter().map(|face| mesh.area(face)).sum();
            assert!((sum - mesh.area(parent)).abs() < 1e-6);
        }
    }

    #[test]
    fn four_cells_in_one_corner_are_refused() {
        let (mut mesh, whole) = Mesh::new(&SQUARE);
        let at = |x, y| Site { at: [x, y], weight: 0.0 };
        let four = [at(250.0, 250.0), at(750.0, 250.0), at(750.0, 750.0), at(250.0, 750.0)];
        let before = mesh.edges.len();
        assert_eq!(mesh.split(&whole, &four).err(), Some(Degenerate));
        assert_eq!(mesh.edges.len(), before, "a refused split leaves nothing behind");
    }
}
