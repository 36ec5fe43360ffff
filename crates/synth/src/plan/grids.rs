//! Draws grids below communities by the 3+1 rule: a community, general grids of 300 to 500
//! households, micro grids of 30 to 100, and dedicated grids for people of no family household.
//!
//! A city made small has communities of fewer households than a grid should have; such a community
//! has one grid, and such a grid one micro grid.

use crate::apportion::apportion;
use crate::error::Result;
use crate::num::{real, round};
use crate::plan::areas::split_around;
use crate::plan::{Grid, Micro, Plan, fill};

/// Digits that a grid adds to its community's code, and a micro grid to its grid's.
const GRID_DIGITS: usize = 3;
const MICRO_DIGITS: usize = 2;
const EVEN: f64 = f64::INFINITY;

pub fn draw(plan: &mut Plan) -> Result<()> {
    for community in 0..plan.communities.len() {
        general(plan, community)?;
    }
    for grid in 0..plan.grids.len() {
        micro(plan, grid)?;
    }
    Ok(())
}

/// As many parts as bring each nearest to the norm, one at least.
fn parts(households: usize, norm: usize) -> usize {
    round(real(households) / real(norm)).max(1)
}

fn general(plan: &mut Plan, number: usize) -> Result<()> {
    let rule = plan.facts.city.grids.clone();
    let community = &plan.communities[number];
    let collective = community.collective_people();
    let general = parts(community.households, rule.general_households);
    let dedicated = match collective < rule.dedicated_people_min {
        true => 0,
        false => parts(collective, rule.dedicated_people),
    };
    let households = apportion(community.households, &vec![1.0; general]);
    let people = apportion(collective, &vec![1.0; dedicated]);
    let (face, middle, code) = (community.face.clone(), community.middle, community.code.clone());
    let named = (plan.seed, number as u64 + (3 << 32));
    let faces = split_around(&mut plan.mesh, &face, middle, general + dedicated, named, EVEN)?;
    let first = plan.grids.len();
    for (nth, face) in faces.into_iter().enumerate() {
        let (name, n) = match nth < general {
            true => (&rule.general_name, (nth + 1).to_string()),
            false => (&rule.dedicated_name, (nth + 1 - general).to_string()),
        };
        plan.grids.push(Grid {
            code: format!("{code}{:0GRID_DIGITS$}", nth + 1),
            name: fill(name, "n", &n, &n),
            community: number,
            face,
            households: households.get(nth).copied().unwrap_or(0),
            dedicated_people: nth.checked_sub(general).map_or(0, |nth| people[nth]),
            micros: 0..0,
        });
    }
    plan.communities[number].grids = first..plan.grids.len();
    Ok(())
}

fn micro(plan: &mut Plan, number: usize) -> Result<()> {
    let rule = plan.facts.city.grids.clone();
    let grid = &plan.grids[number];
    if grid.dedicated_people > 0 {
        return Ok(());
    }
    let count = parts(grid.households, rule.micro_households);
    let households = apportion(grid.households, &vec![1.0; count]);
    let (face, code) = (grid.face.clone(), grid.code.clone());
    let middle = crate::plane::centroid(&plan.mesh.outline(&face));
    let named = (plan.seed, number as u64 + (4 << 32));
    let faces = split_around(&mut plan.mesh, &face, middle, count, named, EVEN)?;
    let first = plan.micros.len();
    for ((nth, face), households) in faces.into_iter().enumerate().zip(households) {
        let n = (nth + 1).to_string();
        plan.micros.push(Micro {
            code: format!("{code}{:0MICRO_DIGITS$}", nth + 1),
            name: fill(&rule.micro_name, "n", &n, &n),
            grid: number,
            face,
            households,
        });
    }
    plan.grids[number].micros = first..plan.micros.len();
    Ok(())
}
