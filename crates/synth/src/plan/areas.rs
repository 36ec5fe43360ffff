//! Draws districts, streets and communities.

use pack::{Area, AreaLevel, Pack};

use crate::error::{Result, SynthError};
use crate::facts::{Degrees, DistrictFacts, Facts, Settlement};
use crate::mesh::{Face, Mesh};
use crate::num::real;
use crate::plan::{Community, District, Plan, Street};
use crate::plane::{Plane, Point, area, centroid, distance, holds, hull, inside};
use crate::power::{Site, relax, weigh};
use crate::rng::{Rng, Topic};

const M2_PER_KM2: f64 = 1_000_000.0;
/// New sites are tried this often before a face is given up.
const TRIES_MAX: u64 = 24;
/// How much rounder than plain chance the cells are made.
const RELAX_ROUNDS: usize = 2;

pub fn draw(pack: &Pack, facts: Facts, people: usize, seed: u64) -> Result<Plan> {
    let centre = facts.city.centre;
    let plane = Plane::new(centre.lon, centre.lat);
    let place = |at: Degrees| plane.place(at.lon, at.lat);
    let middles: Vec<Point> = facts.districts.iter().map(|d| place(d.middle)).collect();
    let seats: Vec<Point> = facts.districts.iter().map(|d| place(d.seat)).collect();
    let ring = outline(&facts.districts, &middles);
    let (mut mesh, city) = Mesh::new(&ring);
    let faces = district_faces(&mut mesh, &city, &facts.districts, &middles, seed)?;
    let mut plan = Plan {
        seed,
        people,
        plane,
        mesh,
        city,
        districts: Vec::new(),
        streets: Vec::new(),
        communities: Vec::new(),
        grids: Vec::new(),
        micros: Vec::new(),
        facts,
    };
    let districts = level(pack, AreaLevel::District);
    for ((area, face), seat) in districts.into_iter().zip(faces).zip(seats) {
        let ring = plan.mesh.outline(&face);
        let heart = if holds(&ring, seat) { seat } else { centroid(&ring) };
        plan.districts.push(District {
            code: area.code.clone(),
            name: area.name.clone(),
            face,
            heart,
            people: 0,
            by_band: Vec::new(),
            households: 0,
            household_people: 0,
            communities: 0..0,
        });
    }
    streets(pack, &mut plan)?;
    communities(pack, &mut plan)?;
    Ok(plan)
}

fn level(pack: &Pack, level: AreaLevel) -> Vec<&Area> {
    pack.areas.iter().filter(|area| area.level == level).collect()
}

fn below<'a>(pack: &'a Pack, level: AreaLevel, parent: &str) -> Vec<&'a Area> {
    let own = |area: &&Area| area.level == level && area.parent.as_deref() == Some(parent);
    pack.areas.iter().filter(own).collect()
}

/// A convex outline with the districts' area in all: the hull of a disc around each middle, the discs
/// as large as it takes.
fn outline(districts: &[DistrictFacts], middles: &[Point]) -> Vec<Point> {
    const DISC_CORNERS: usize = 12;
    const BISECTIONS: usize = 80;
    let wanted: f64 = districts.iter().map(|d| d.area_km2 * M2_PER_KM2).sum();
    let at = |factor: f64| {
        let mut points = Vec::new();
        for (district, middle) in districts.iter().zip(middles) {
            let radius = factor * (district.area_km2 * M2_PER_KM2 / std::f64::consts::PI).sqrt();
            points.extend((0..DISC_CORNERS).map(|corner| {
                let angle = std::f64::consts::TAU * real(corner) / real(DISC_CORNERS);
                [middle[0] + radius * angle.cos(), middle[1] + radius * angle.sin()]
            }));
        }
        hull(&points)
    };
    let (mut low, mut high) = (1e-3, 1e3);
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        if area(&at(middle)) < wanted { low = middle } else { high = middle }
    }
    at(high)
}

fn district_faces(
    mesh: &mut Mesh,
    city: &Face,
    facts: &[DistrictFacts],
    middles: &[Point],
    seed: u64,
) -> Result<Vec<Face>> {
    /// Sites are jittered so that no two stand in one place and tries differ.
    const JITTER_M: f64 = 30.0;
    let ring = mesh.outline(city);
    let drawn: f64 = area(&ring);
    let published: f64 = facts.iter().map(|district| district.area_km2).sum();
    let wanted: Vec<f64> = facts.iter().map(|d| d.area_km2 / published * drawn).collect();
    for attempt in 0..TRIES_MAX {
        let mut rng = Rng::of(seed, Topic::Sites, attempt);
        let mut jitter = || JITTER_M * rng.normal();
        let site = |at: &Point| Site { at: [at[0] + jitter(), at[1] + jitter()], weight: 0.0 };
        let mut sites: Vec<Site> = middles.iter().map(site).collect();
        if weigh(&ring, &mut sites, &wanted)
            && let Ok(faces) = mesh.split(city, &sites)
        {
            return Ok(faces);
        }
    }
    Err(SynthError::Drawing { what: "districts of the published areas".to_owned() })
}

/// Splits a face among as many sites as wanted, thicker around `heart`; the cells come back in the
/// order of their distance from it.
pub fn split_around(
    mesh: &mut Mesh,
    face: &Face,
    heart: Point,
    count: usize,
    (seed, number): (u64, u64),
    falls_by_radii: f64,
) -> Result<Vec<Face>> {
    let ring = mesh.outline(face);
    let reach_m = falls_by_radii * (area(&ring) / std::f64::consts::PI).sqrt();
    for attempt in 0..TRIES_MAX {
        let mut rng = Rng::of(seed, Topic::Sites, (number << 8) | (attempt + 1));
        let mut sites: Vec<Site> = (0..count)
            .map(|_| Site { at: thicker(&ring, heart, reach_m, &mut rng), weight: 0.0 })
            .collect();
        for _ in 0..RELAX_ROUNDS {
            relax(&ring, &mut sites);
        }
        sites.sort_by(|a, b| distance(a.at, heart).total_cmp(&distance(b.at, heart)));
        if let Ok(faces) = mesh.split(face, &sites) {
            return Ok(faces);
        }
    }
    Err(SynthError::Drawing { what: format!("{count} areas inside another") })
}

/// A point of the ring, likelier near the heart. An infinite reach is an even spread.
fn thicker(ring: &[Point], heart: Point, reach_m: f64, rng: &mut Rng) -> Point {
    const DRAWS_MAX: usize = 32;
    const LIKELIHOOD_MIN: f64 = 0.05;
    let mut point = inside(ring, rng);
    for _ in 0..DRAWS_MAX {
        let likelihood = (-distance(point, heart) / reach_m).exp().max(LIKELIHOOD_MIN);
        if rng.chance(likelihood) {
            break;
        }
        point = inside(ring, rng);
    }
    point
}

fn ends_with_one(name: &str, suffixes: &[String]) -> bool {
    suffixes.iter().any(|suffix| name.ends_with(suffix.as_str()))
}

/// Streets of the town nearest to the seat, then the country's towns.
fn streets(pack: &Pack, plan: &mut Plan) -> Result<()> {
    let Settlement { town_suffixes, density_falls_by_radii, .. } =
        plan.facts.city.settlement.clone();
    for number in 0..plan.districts.len() {
        let district = &plan.districts[number];
        let (face, heart) = (district.face.clone(), district.heart);
        let mut areas = below(pack, AreaLevel::Street, &district.code);
        areas.sort_by_key(|area| ends_with_one(&area.name.zh, &town_suffixes));
        let named = (plan.seed, number as u64 + (1 << 32));
        let faces = split_around(
            &mut plan.mesh,
            &face,
            heart,
            areas.len().max(1),
            named,
            density_falls_by_radii,
        )?;
        for (area, face) in areas.into_iter().zip(faces) {
            let urban = !ends_with_one(&area.name.zh, &town_suffixes);
            let middle = centroid(&plan.mesh.outline(&face));
            let (code, name) = (area.code.clone(), area.name.clone());
            plan.streets.push(Street { code, name, district: number, urban, face, heart: middle });
        }
    }
    Ok(())
}

/// Urban communities around the street's middle, villages around them.
fn communities(pack: &Pack, plan: &mut Plan) -> Result<()> {
    let Settlement { village_suffixes, density_falls_by_radii, .. } =
        plan.facts.city.settlement.clone();
    for number in 0..plan.streets.len() {
        let street = &plan.streets[number];
        let (face, heart, district) = (street.face.clone(), street.heart, street.district);
        let mut areas = below(pack, AreaLevel::Community, &street.code);
        areas.sort_by_key(|area| ends_with_one(&area.name.zh, &village_suffixes));
        let named = (plan.seed, number as u64 + (2 << 32));
        let count = areas.len().max(1);
        let faces =
            split_around(&mut plan.mesh, &face, heart, count, named, density_falls_by_radii)?;
        let first = plan.communities.len();
        for (area, face) in areas.into_iter().zip(faces) {
            let ring = plan.mesh.outline(&face);
            plan.communities.push(Community {
                code: area.code.clone(),
                name: area.name.clone(),
                street: number,
                district,
                urban: !ends_with_one(&area.name.zh, &village_suffixes),
                middle: centroid(&ring),
                area_m2: crate::plane::area(&ring),
                face,
                people: 0,
                first_person: 0,
                households: 0,
                household_people: 0,
                grids: 0..0,
            });
        }
        let own = &mut plan.districts[district].communities;
        let begin = if (*own).is_empty() { first } else { own.start };
        *own = begin..plan.communities.len();
    }
    Ok(())
}
