//! Metro lines and stations: lines between districts through the centre, one of them a ring, with
//! stations closer together in the middle; where lines meet they share a station.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Result;
use crate::num::{real, round, signed};
use crate::plan::{Plan, fill, stem};
use crate::plane::{Point, distance, toward};
use crate::rng::{Rng, Topic};
use crate::sheet::{Kind, Rows, Sheet, wkb_line, write};

/// An existing contract: the stations in the order of their line.
pub const STATION: Sheet = Sheet {
    dataset: "transit.station",
    columns: &[
        ("line", Kind::Text),
        ("seq", Kind::Integer),
        ("name", Kind::Text),
        ("geometry", Kind::Point),
    ],
};

pub const LINE: Sheet = Sheet {
    dataset: "transit.line",
    columns: &[
        ("line", Kind::Text),
        ("name_en", Kind::Text),
        ("ring", Kind::Boolean),
        ("stations", Kind::Integer),
        ("length_m", Kind::Number),
        ("opened_year", Kind::Integer),
        ("headway_peak_s", Kind::Integer),
        ("headway_off_peak_s", Kind::Integer),
        ("geometry", Kind::Line),
    ],
};

struct Station {
    name: String,
    at: Point,
}

pub fn write_all(plan: &Plan, dir: &Path) -> Result<Vec<(String, usize)>> {
    let facts = &plan.facts.city.metro;
    let mut rng = Rng::of(plan.seed, Topic::Metro, 0);
    let mut known: Vec<Station> = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let (mut stations, mut lines) = (Rows::new(&STATION), Rows::new(&LINE));
    for number in 1..=facts.lines {
        let ring = number == facts.ring_line;
        let course =
            if ring { circle(facts.ring_radius_m) } else { course(plan, number, &mut rng) };
        let mut stops: Vec<usize> = Vec::new();
        for point in stops_along(plan, &course) {
            let near = known.iter().position(|s| distance(s.at, point) < facts.interchange_m);
            let stop = near.unwrap_or_else(|| {
                let name = station_name(plan, point, &mut names);
                known.push(Station { name, at: point });
                known.len() - 1
            });
            if !stops.contains(&stop) {
                stops.push(stop);
            }
        }
        let n = number.to_string();
        let name = fill(&facts.line_name, "n", &n, &n);
        for (seq, stop) in stops.iter().enumerate() {
            stations.text(&name.zh).integer(signed(seq)).text(&known[*stop].name);
            stations.point(&plan.plane, known[*stop].at);
        }
        let mut path: Vec<Point> = stops.iter().map(|stop| known[*stop].at).collect();
        if ring {
            path.extend(path.first().copied());
        }
        let length: f64 = path.windows(2).map(|pair| distance(pair[0], pair[1])).sum();
        let years =
            real(usize::try_from(facts.opened_year_last - facts.opened_year_first).unwrap_or(0));
        let share = real(number - 1) / real(facts.lines.max(2) - 1);
        let degrees: Vec<Point> = path.iter().map(|point| plan.plane.degrees(*point)).collect();
        lines.text(&name.zh).text(&name.en).boolean_or(Some(ring)).count(stops.len());
        lines.number(length.round());
        lines.integer(i64::from(facts.opened_year_first) + signed(round(years * share)));
        lines.count(120 + 30 * rng.below(4)).count(300 + 60 * rng.below(5));
        lines.shape(&wkb_line(&degrees));
    }
    Ok(vec![write(dir, &STATION, stations)?, write(dir, &LINE, lines)?])
}

fn circle(radius: f64) -> Vec<Point> {
    const CORNERS: usize = 240;
    let corner = |nth: usize| {
        let angle = std::f64::consts::TAU * real(nth) / real(CORNERS);
        [radius * angle.cos(), radius * angle.sin()]
    };
    (0..=CORNERS).map(corner).collect()
}

/// From one district's heart by the centre to another's on the other side, both cut off where the
/// metro ends.
fn course(plan: &Plan, number: usize, rng: &mut Rng) -> Vec<Point> {
    const BY_THE_CENTRE_M: f64 = 2_600.0;
    const SIDEWAYS_M: f64 = 900.0;
    let reach_m = plan.facts.city.metro.reach_m;
    let mut hearts: Vec<Point> = plan.districts.iter().map(|district| district.heart).collect();
    let angle = |point: &Point| point[1].atan2(point[0]);
    hearts.sort_by(|a, b| angle(a).total_cmp(&angle(b)));
    let count = hearts.len();
    let from = hearts[(number * 3) % count];
    let to = hearts[(number * 3 + count / 2 + rng.below(3)) % count];
    let cut = |point: Point| {
        let far = point[0].hypot(point[1]).max(1.0);
        toward([0.0, 0.0], point, (reach_m / far).min(1.0) * ends_at(number))
    };
    let mut aside = |spread: f64| spread * rng.normal();
    let centre = [aside(BY_THE_CENTRE_M), aside(BY_THE_CENTRE_M)];
    let (from, to) = (cut(from), cut(to));
    let bent = |a: Point, b: Point, x: f64, y: f64| {
        let middle = toward(a, b, 0.5);
        [middle[0] + x, middle[1] + y]
    };
    let first = bent(from, centre, aside(SIDEWAYS_M), aside(SIDEWAYS_M));
    let second = bent(centre, to, aside(SIDEWAYS_M), aside(SIDEWAYS_M));
    vec![from, first, centre, second, to]
}

/// Some lines end before others.
fn ends_at(number: usize) -> f64 {
    0.65 + 0.35 * real(number * 7 % 10) / 9.0
}

/// Points along a course, from its beginning to its end.
fn stops_along(plan: &Plan, course: &[Point]) -> Vec<Point> {
    const STEP_M: f64 = 25.0;
    let facts = &plan.facts.city.metro;
    let mut stops = vec![course[0]];
    let mut since = 0.0;
    for pair in course.windows(2) {
        let length = distance(pair[0], pair[1]);
        let steps = round(length / STEP_M).max(1);
        for step in 1..=steps {
            since += length / real(steps);
            let point = toward(pair[0], pair[1], real(step) / real(steps));
            let out = (plan.distance_to_centre_m(point) / facts.reach_m).min(1.0);
            let gap =
                facts.spacing_centre_m + (facts.spacing_outer_m - facts.spacing_centre_m) * out;
            if since >= gap {
                stops.push(point);
                since = 0.0;
            }
        }
    }
    stops
}

/// After the community that it lies in, numbered where that has several.
fn station_name(plan: &Plan, at: Point, names: &mut BTreeMap<String, usize>) -> String {
    let nearest = plan
        .communities
        .iter()
        .min_by(|a, b| distance(a.middle, at).total_cmp(&distance(b.middle, at)))
        .expect("a city has communities");
    let place = stem(plan, &nearest.name.zh);
    let count = names.entry(place.clone()).or_insert(0);
    *count += 1;
    let place = if *count > 1 { format!("{place}{count}") } else { place };
    fill(&plan.facts.city.metro.station_name, "place", &place, &place).zh
}
