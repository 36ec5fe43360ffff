//! Facilities of the living circles: as many of each kind as its users ask for, times how well the
//! part of the city is supplied. So there is enough in the old city and too little in the new
//! suburbs, and something to plan for.

use std::path::Path;

use crate::error::Result;
use crate::facts::FacilityKind;
use crate::num::{real, round};
use crate::places::Places;
use crate::plan::{Plan, stem};
use crate::rng::{Rng, Topic};
use crate::sheet::{Kind, Rows, Sheet, write};

pub const FACILITY: Sheet = Sheet {
    dataset: "place.facility",
    columns: &[
        ("id", Kind::Text),
        ("kind", Kind::Text),
        ("name", Kind::Text),
        ("area_code", Kind::Text),
        ("owner", Kind::Text),
        ("capacity", Kind::Integer),
        ("capacity_unit", Kind::Text),
        ("age_from", Kind::Integer),
        ("age_to", Kind::Integer),
        ("opens", Kind::Text),
        ("closes", Kind::Text),
        ("days", Kind::Text),
        ("floor_m2", Kind::Integer),
        ("geometry", Kind::Point),
    ],
};

/// How well a community is supplied.
pub fn supply(plan: &Plan, community: usize) -> f64 {
    const M_PER_KM: f64 = 1_000.0;
    let away_km = plan.distance_to_centre_m(plan.communities[community].middle) / M_PER_KM;
    let steps = &plan.facts.city.supply;
    steps.iter().find(|step| away_km <= step.to_km).or(steps.last()).map_or(1.0, |s| s.factor)
}

pub fn write_all(places: &Places<'_>, dir: &Path) -> Result<(String, usize)> {
    let plan = places.plan;
    let supply: Vec<f64> = (0..plan.communities.len()).map(|at| supply(plan, at)).collect();
    let weight = |at: usize| real(plan.communities[at].people) * supply[at];
    let served: f64 = (0..plan.communities.len()).map(weight).sum();
    let mut rows = Rows::new(&FACILITY);
    for (number, kind) in plan.facts.facilities.iter().enumerate() {
        let mut rng = Rng::of(plan.seed, Topic::Facilities, number as u64);
        let total = round(served / kind.people_per_facility).max(1);
        let start = rng.unit();
        let counts = places.spread(total, weight, start);
        let mut serial = 0;
        for (community, count) in counts.into_iter().enumerate() {
            for nth in 0..count {
                serial += 1;
                facility(places, kind, (serial, nth), community, &mut rng, &mut rows);
            }
        }
    }
    write(dir, &FACILITY, rows)
}

fn facility(
    places: &Places<'_>,
    kind: &FacilityKind,
    (serial, nth): (usize, usize),
    community: usize,
    rng: &mut Rng,
    rows: &mut Rows,
) {
    let plan = places.plan;
    let (micro, point) = places.somewhere(community, rng);
    let size = rng.unit();
    let between = |range: [f64; 2]| round(range[0] + (range[1] - range[0]) * size);
    rows.format(format_args!("{}-{serial:05}", kind.id)).text(&kind.id);
    let place = stem(plan, &plan.communities[community].name.zh);
    let nth = if nth > 0 { (nth + 1).to_string() } else { String::new() };
    rows.format(format_args!("{place}{}{nth}", kind.name.zh));
    rows.text(&plan.micros[micro].code).text(&kind.owner);
    rows.count(between(kind.capacity)).text(&kind.capacity_unit);
    let age = |at: usize| kind.ages.get(at).map(|age| i64::from(*age));
    rows.integer_or(age(0)).integer_or(age(1));
    rows.text(&kind.opens).text(&kind.closes).text(&kind.days);
    rows.count(between(kind.floor_m2)).point(&plan.plane, point);
}
