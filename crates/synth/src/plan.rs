//! The plan of a city: its areas from the city down to micro grids, with their places in the plane
//! and how many people and households live in each. All later rooms read it.
//!
//! ```text
//!  city (1) → districts → streets → communities → general grids → micro grids
//!                                                └→ dedicated grids
//! ```
//! Districts have the published areas (weighted diagram), what is below them is Voronoi's. Figures
//! are shared out downwards, so that parts add up to their whole.

mod areas;
mod grids;
mod population;

use pack::{Pack, Text};

use crate::error::{Result, SynthError};
use crate::facts::Facts;
use crate::mesh::{Face, Mesh};
use crate::plane::{Plane, Point};

/// The fewest and the most people of a city that can be made.
pub const PEOPLE_MIN: usize = 10_000;
pub const PEOPLE_MAX: usize = 25_000_000;

#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    pub people: usize,
    pub facts: Facts,
    pub plane: Plane,
    pub mesh: Mesh,
    pub city: Face,
    pub districts: Vec<District>,
    pub streets: Vec<Street>,
    pub communities: Vec<Community>,
    pub grids: Vec<Grid>,
    pub micros: Vec<Micro>,
}

#[derive(Debug)]
pub struct District {
    pub code: String,
    pub name: Text,
    pub face: Face,
    /// Where its people gather: the seat, if it fell inside.
    pub heart: Point,
    pub people: usize,
    /// By the facts' bands.
    pub by_band: Vec<usize>,
    pub households: usize,
    pub household_people: usize,
    /// Of the plan's communities.
    pub communities: std::ops::Range<usize>,
}

#[derive(Debug)]
pub struct Street {
    pub code: String,
    pub name: Text,
    pub district: usize,
    /// A street of a town, not a country township.
    pub urban: bool,
    pub face: Face,
    pub heart: Point,
}

#[derive(Debug)]
pub struct Community {
    pub code: String,
    pub name: Text,
    pub street: usize,
    pub district: usize,
    pub urban: bool,
    pub face: Face,
    pub middle: Point,
    pub area_m2: f64,
    pub people: usize,
    /// Of its district's people in their shuffled order, where its own begin.
    pub first_person: usize,
    pub households: usize,
    pub household_people: usize,
    pub grids: std::ops::Range<usize>,
}

impl Community {
    pub fn collective_people(&self) -> usize {
        self.people - self.household_people
    }
}

#[derive(Debug)]
pub struct Grid {
    pub code: String,
    pub name: Text,
    pub community: usize,
    pub face: Face,
    pub households: usize,
    /// Those of no family household; more than none in dedicated grids alone.
    pub dedicated_people: usize,
    /// None in a dedicated grid.
    pub micros: std::ops::Range<usize>,
}

#[derive(Debug)]
pub struct Micro {
    pub code: String,
    pub name: Text,
    pub grid: usize,
    pub face: Face,
    pub households: usize,
}

impl Plan {
    pub fn new(pack: &Pack, people: usize, seed: u64) -> Result<Self> {
        if !(PEOPLE_MIN..=PEOPLE_MAX).contains(&people) {
            return Err(SynthError::People { found: people, min: PEOPLE_MIN, max: PEOPLE_MAX });
        }
        let facts = Facts::read(pack)?;
        let mut plan = areas::draw(pack, facts, people, seed)?;
        population::share_out(&mut plan);
        grids::draw(&mut plan)?;
        Ok(plan)
    }

    /// People here for each person of the published figures.
    pub fn scale(&self) -> f64 {
        crate::num::real(self.people) / crate::num::real(self.facts.people_all())
    }

    /// How many there are at this scale of what there are `full` of at full scale, one at least.
    pub fn scaled(&self, full: usize) -> usize {
        crate::num::round(crate::num::real(full) * self.scale()).max(1)
    }

    pub fn distance_to_centre_m(&self, point: Point) -> f64 {
        point[0].hypot(point[1])
    }
}

/// `{n}` and the like in a text of the facts.
pub fn fill(text: &Text, key: &str, zh: &str, en: &str) -> Text {
    let key = format!("{{{key}}}");
    Text { zh: text.zh.replace(&key, zh), en: text.en.replace(&key, en) }
}

/// What an area is called without the word for what it is.
pub fn stem(plan: &Plan, name: &str) -> String {
    let suffixes = &plan.facts.city.settlement.name_suffixes;
    let cut = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix.as_str()));
    cut.filter(|stem| !stem.is_empty()).unwrap_or(name).to_owned()
}
