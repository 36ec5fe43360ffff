//! Venues, parks and parcels. Parks and parcels each lie within a micro grid of their own, so no two
//! overlap.

use std::path::Path;

use crate::apportion::{apportion, totals};
use crate::error::Result;
use crate::facility::supply;
use crate::num::{real, round};
use crate::places::Places;
use crate::plan::{Plan, fill, stem};
use crate::plane::{Point, area, centroid, toward};
use crate::rng::{Permutation, Rng, Topic};
use crate::sheet::{Kind, Rows, Sheet, wkb_polygon, write};

pub const VENUE: Sheet = Sheet {
    dataset: "place.venue",
    columns: &[
        ("id", Kind::Text),
        ("kind", Kind::Text),
        ("name", Kind::Text),
        ("area_code", Kind::Text),
        ("owner", Kind::Text),
        ("capacity", Kind::Integer),
        ("opened_year", Kind::Integer),
        ("geometry", Kind::Point),
    ],
};

pub const PARK: Sheet = Sheet {
    dataset: "place.park",
    columns: &[
        ("id", Kind::Text),
        ("name", Kind::Text),
        ("area_code", Kind::Text),
        ("area_m2", Kind::Number),
        ("opened_year", Kind::Integer),
        ("geometry", Kind::Polygon),
    ],
};

pub const PARCEL: Sheet = Sheet {
    dataset: "place.parcel",
    columns: &[
        ("id", Kind::Text),
        ("land_use", Kind::Text),
        ("area_code", Kind::Text),
        ("area_m2", Kind::Number),
        ("built_m2", Kind::Number),
        ("plot_ratio", Kind::Number),
        ("geometry", Kind::Polygon),
    ],
};

const OPENED_FIRST: usize = 1985;
const OPENED_YEARS: usize = 39;
/// The largest part of a micro grid that a park or parcel takes, in length.
const SIDE_SHARE_MAX: f64 = 0.85;

pub fn write_all(places: &Places<'_>, dir: &Path) -> Result<Vec<(String, usize)>> {
    let plan = places.plan;
    let micros = plan.micros.len() as u64;
    let order = Permutation::new(micros, Rng::of(plan.seed, Topic::Land, 0));
    let free = |at: usize| usize::try_from(order.at(at as u64)).expect("micro grids are counted");
    let parks = plan.scaled(plan.facts.land.parks).min(plan.micros.len() / 4);
    let parcels = plan.scaled(plan.facts.land.parcels).min(plan.micros.len() / 2);
    let parks_in: Vec<usize> = (0..parks).map(free).collect();
    let parcels_in: Vec<usize> = (parks..parks + parcels).map(free).collect();
    Ok(vec![
        write(dir, &VENUE, venues(places))?,
        write(dir, &PARK, park_rows(places, &parks_in))?,
        write(dir, &PARCEL, parcel_rows(places, &parcels_in))?,
    ])
}

fn venues(places: &Places<'_>) -> Rows {
    let plan = places.plan;
    let facts = &plan.facts.land;
    let shares: Vec<f64> = facts.venue.iter().map(|kind| kind.share).collect();
    let counts = apportion(plan.scaled(facts.venues), &shares);
    let draws = totals((0..plan.communities.len()).map(|at| {
        let community = &plan.communities[at];
        real(community.people) * supply(plan, at) * if community.urban { 2.0 } else { 0.5 }
    }));
    let mut rng = Rng::of(plan.seed, Topic::Venues, 0);
    let mut rows = Rows::new(&VENUE);
    for (kind, count) in facts.venue.iter().zip(counts) {
        for nth in 0..count {
            let community = rng.pick_by(&draws);
            let (micro, point) = places.somewhere(community, &mut rng);
            let place = stem(plan, &plan.communities[community].name.zh);
            let name = fill(&facts.venue_name, "place", &place, &place);
            let name = fill(&name, "kind", &kind.name.zh, &kind.name.en);
            rows.format(format_args!("{}-{:05}", kind.id, nth + 1)).text(&kind.id).text(&name.zh);
            rows.text(&plan.micros[micro].code).text(&kind.owner);
            // Most venues are small: an even spread of the logarithm.
            let [low, high] = kind.capacity;
            rows.count(round(low * (high / low).powf(rng.unit())));
            rows.count(opened(&mut rng)).point(&plan.plane, point);
        }
    }
    rows
}

fn opened(rng: &mut Rng) -> usize {
    OPENED_FIRST + rng.below(OPENED_YEARS)
}

/// A micro grid's ring drawn together about its middle until it has the wanted area, if it can.
fn patch(ring: &[Point], wanted_m2: f64) -> Vec<Point> {
    let share = (wanted_m2 / area(ring)).sqrt().min(SIDE_SHARE_MAX);
    let middle = centroid(ring);
    ring.iter().map(|point| toward(middle, *point, share)).collect()
}

fn park_rows(places: &Places<'_>, micros: &[usize]) -> Rows {
    const MEDIAN_M2: f64 = 18_000.0;
    const SIGMA: f64 = 1.1;
    let plan = places.plan;
    let mut rows = Rows::new(&PARK);
    for (nth, micro) in micros.iter().enumerate() {
        let mut rng = Rng::of(plan.seed, Topic::Land, 1 + nth as u64);
        let ring = patch(places.ring(*micro), rng.log_normal(MEDIAN_M2, SIGMA));
        let community = &plan.communities[plan.grids[plan.micros[*micro].grid].community];
        let place = stem(plan, &community.name.zh);
        rows.format(format_args!("park-{:05}", nth + 1));
        rows.text(&fill(&plan.facts.land.park_name, "place", &place, &place).zh);
        rows.text(&plan.micros[*micro].code).number(area(&ring).round()).count(opened(&mut rng));
        rows.shape(&wkb_polygon(&degrees(plan, &ring)));
    }
    rows
}

fn parcel_rows(places: &Places<'_>, micros: &[usize]) -> Rows {
    const MEDIAN_M2: f64 = 26_000.0;
    const SIGMA: f64 = 0.8;
    /// Numbers of parks and parcels do not share chance.
    const BEYOND_PARKS: u64 = 1 << 32;
    let plan = places.plan;
    let uses = &plan.facts.land.r#use;
    let shares = totals(uses.iter().map(|r#use| r#use.share));
    let mut rows = Rows::new(&PARCEL);
    for (nth, micro) in micros.iter().enumerate() {
        let mut rng = Rng::of(plan.seed, Topic::Land, BEYOND_PARKS + nth as u64);
        let land_use = &uses[rng.pick_by(&shares)];
        let ring = patch(places.ring(*micro), rng.log_normal(MEDIAN_M2, SIGMA));
        let area_m2 = area(&ring).round();
        let ratio = land_use.built_share * rng.log_normal(2.2, 0.45);
        rows.format(format_args!("parcel-{:06}", nth + 1)).text(&land_use.id);
        rows.text(&plan.micros[*micro].code).number(area_m2).number((area_m2 * ratio).round());
        rows.number((ratio * 100.0).round() / 100.0);
        rows.shape(&wkb_polygon(&degrees(plan, &ring)));
    }
    rows
}

fn degrees(plan: &Plan, ring: &[Point]) -> Vec<Point> {
    ring.iter().map(|point| plan.plane.degrees(*point)).collect()
}
