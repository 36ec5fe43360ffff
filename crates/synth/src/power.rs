//! Power diagrams in a convex ring: who is nearest to a point, each site counting with a weight.
//!
//! With equal weights that is Voronoi's diagram. Weights can be found that give each cell a wanted
//! area: the areas are the gradient of a concave function of the weights (Aurenhammer, Hoffmann,
//! Aronov 1998), which Newton's method with damping climbs (Kitagawa, Mérigot, Thibert 2019).

use crate::num::real;
use crate::plane::{Point, area, centroid, distance};

#[derive(Debug, Clone, Copy)]
pub struct Site {
    pub at: Point,
    /// Square metres.
    pub weight: f64,
}

/// What bounds a cell between one corner and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A side of the ring, by its number.
    Ring(usize),
    /// The border with another site's cell.
    Site(usize),
}

/// A convex ring of corners, each with what bounds the cell from it to the next.
pub type Cell = Vec<(Point, Bound)>;

/// Each site's cell. A site that is outweighed everywhere has an empty one.
pub fn cells(ring: &[Point], sites: &[Site]) -> Vec<Cell> {
    let whole: Cell =
        ring.iter().enumerate().map(|(side, point)| (*point, Bound::Ring(side))).collect();
    let cell = |own: usize| {
        let mut cell = whole.clone();
        for other in (0..sites.len()).filter(|other| *other != own) {
            clip(&mut cell, sites[own], sites[other], other);
        }
        cell
    };
    (0..sites.len()).map(cell).collect()
}

/// Keeps what is nearer to `own` than to the other. The difference of the two power distances is
/// linear in the point, so where it vanishes follows from its values at two corners.
fn clip(cell: &mut Cell, own: Site, other: Site, number: usize) {
    let normal = [2.0 * (other.at[0] - own.at[0]), 2.0 * (other.at[1] - own.at[1])];
    let squared = |p: Point| p[0] * p[0] + p[1] * p[1];
    let constant = squared(own.at) - squared(other.at) - own.weight + other.weight;
    let excess = |p: Point| normal[0] * p[0] + normal[1] * p[1] + constant;
    let values: Vec<f64> = cell.iter().map(|(point, _)| excess(*point)).collect();
    if values.iter().all(|value| *value <= 0.0) {
        return;
    }
    let mut kept = Cell::with_capacity(cell.len() + 2);
    for (at, (point, bound)) in cell.iter().enumerate() {
        let next = (at + 1) % cell.len();
        let (here, there) = (values[at], values[next]);
        if here <= 0.0 {
            kept.push((*point, *bound));
        }
        if (here <= 0.0) == (there <= 0.0) {
            continue;
        }
        let crossing = crate::plane::toward(*point, cell[next].0, here / (here - there));
        kept.push((crossing, if here <= 0.0 { Bound::Site(number) } else { *bound }));
    }
    *cell = kept;
}

fn corners(cell: &Cell) -> Vec<Point> {
    cell.iter().map(|(point, _)| *point).collect()
}

fn areas(cells: &[Cell]) -> Vec<f64> {
    cells.iter().map(|cell| area(&corners(cell))).collect()
}

/// Moves each site to the middle of its cell, so that cells become rounder (Lloyd 1982).
pub fn relax(ring: &[Point], sites: &mut [Site]) {
    let cells = cells(ring, sites);
    for (site, cell) in sites.iter_mut().zip(&cells).filter(|(_, cell)| cell.len() > 2) {
        site.at = centroid(&corners(cell));
    }
}

const NEWTON_STEPS_MAX: usize = 200;
const HALVINGS_MAX: usize = 40;
/// Of the mean wanted area.
const AREA_TOLERANCE: f64 = 1e-9;

/// Sets the weights so that the cells have the wanted areas, which add up to the ring's. Sites must
/// be apart and inside the ring. Says whether it came there.
pub fn weigh(ring: &[Point], sites: &mut [Site], wanted: &[f64]) -> bool {
    let tolerance = AREA_TOLERANCE * wanted.iter().sum::<f64>() / real(wanted.len());
    let smallest = wanted.iter().copied().fold(f64::INFINITY, f64::min);
    let mut diagram = cells(ring, sites);
    let mut now = areas(&diagram);
    let floor = now.iter().copied().fold(smallest, f64::min) / 2.0;
    let miss = |areas: &[f64]| -> f64 {
        areas.iter().zip(wanted).map(|(area, wanted)| (area - wanted).powi(2)).sum::<f64>().sqrt()
    };
    for _ in 0..NEWTON_STEPS_MAX {
        if miss(&now) <= tolerance {
            return true;
        }
        let Some(step) = newton_step(&diagram, sites, &now, wanted) else { return false };
        let before: Vec<f64> = sites.iter().map(|site| site.weight).collect();
        let mut share = 1.0;
        let better = (0..HALVINGS_MAX).any(|_| {
            for (at, site) in sites.iter_mut().enumerate() {
                site.weight = before[at] + share * step[at];
            }
            diagram = cells(ring, sites);
            let then = areas(&diagram);
            let good = then.iter().all(|area| *area >= floor)
                && miss(&then) <= (1.0 - share / 2.0) * miss(&now) + tolerance / 2.0;
            if good {
                now = then;
            }
            share /= 2.0;
            good
        });
        if !better {
            return false;
        }
    }
    miss(&now) <= tolerance
}

/// How the weights should change. A border of length `l` between sites `d` apart moves area at the
/// rate `l / 2d` from one to the other; the last site's weight stays, for only differences count.
fn newton_step(diagram: &[Cell], sites: &[Site], now: &[f64], wanted: &[f64]) -> Option<Vec<f64>> {
    let size = sites.len() - 1;
    let mut rows = vec![vec![0.0; size + 1]; size];
    for (own, cell) in diagram.iter().enumerate().take(size) {
        for (at, (point, bound)) in cell.iter().enumerate() {
            let Bound::Site(other) = *bound else { continue };
            let length = distance(*point, cell[(at + 1) % cell.len()].0);
            let rate = length / (2.0 * distance(sites[own].at, sites[other].at));
            rows[own][own] += rate;
            if other < size {
                rows[own][other] -= rate;
            }
        }
        rows[own][size] = wanted[own] - now[own];
    }
    let mut step = solve(rows)?;
    step.push(0.0);
    Some(step)
}

/// Gaussian elimination with partial pivoting; each row ends with its right side.
fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    const PIVOT_MIN: f64 = 1e-14;
    let size = rows.len();
    for column in 0..size {
        let pivot = (column..size)
            .max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, pivot);
        if rows[column][column].abs() < PIVOT_MIN {
            return None;
        }
        let top = rows[column].clone();
        for row in rows.iter_mut().skip(column + 1) {
            let factor = row[column] / top[column];
            for (value, above) in row.iter_mut().zip(&top).skip(column) {
                *value -= factor * above;
            }
        }
    }
    let mut answer = vec![0.0; size];
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|column| rows[row][column] * answer[column]).sum();
        answer[row] = (rows[row][size] - known) / rows[row][row];
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, Topic};

    const SQUARE: [Point; 4] = [[0.0, 0.0], [1_000.0, 0.0], [1_000.0, 1_000.0], [0.0, 1_000.0]];

    fn sites(count: usize) -> Vec<Site> {
        let mut rng = Rng::of(5, Topic::Sites, 0);
        let at = |rng: &mut Rng| [rng.between(0.0, 1_000.0), rng.between(0.0, 1_000.0)];
        (0..count).map(|_| Site { at: at(&mut rng), weight: 0.0 }).collect()
    }

    #[test]
    fn cells_fill_the_ring_and_hold_their_sites() {
        let sites = sites(30);
        let cells = cells(&SQUARE, &sites);
        assert!((areas(&cells).iter().sum::<f64>() - 1e6).abs() < 1e-3);
        for (cell, site) in cells.iter().zip(&sites) {
            assert!(crate::plane::holds(&corners(cell), site.at));
        }
    }

    #[test]
    fn weights_give_the_wanted_areas() {
        let mut sites = sites(12);
        let shares: Vec<f64> = (1..=12).map(|part| 1e6 * real(part * part) / 650.0).collect();
        assert!(weigh(&SQUARE, &mut sites, &shares));
        for (area, wanted) in areas(&cells(&SQUARE, &sites)).iter().zip(&shares) {
            assert!((area / wanted - 1.0).abs() < 1e-6, "{area} {wanted}");
        }
    }
}
