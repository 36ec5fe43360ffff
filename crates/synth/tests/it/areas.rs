//! Areas: as large as published, each filled by what is below it, with borders in common.

use std::collections::{BTreeMap, HashMap};

use arrow::array::AsArray;

use crate::city::{chengdu, integers, numbers, published, shapes, table, texts};

type Edge = ((u64, u64), (u64, u64));

/// Edges of a ring by the very bits of their ends.
fn edges(ring: &[(f64, f64)]) -> Vec<Edge> {
    let bits = |(x, y): (f64, f64)| (x.to_bits(), y.to_bits());
    ring.windows(2).map(|pair| (bits(pair[0]), bits(pair[1]))).collect()
}

#[test]
fn districts_have_the_published_areas() {
    /// The authalic sphere's radius of WGS-84 (m) is right to 1 in 2,000 at one latitude; the test
    /// measures independently of the plane that the city was drawn on.
    const TOLERANCE: f64 = 0.002;
    let published: HashMap<String, f64> = published("districts.csv")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].parse().unwrap()))
        .collect();
    let batch = table("place.boundary");
    let (codes, levels) = (texts(&batch, "code"), texts(&batch, "level"));
    let (areas, rings) = (numbers(&batch, "area_m2"), shapes(&batch));
    let mut seen = 0;
    for at in (0..codes.len()).filter(|at| levels[*at] == "district") {
        let wanted = published[codes[at]] * 1e6;
        assert!((areas[at] / wanted - 1.0).abs() < 1e-6, "{}: {}", codes[at], areas[at]);
        let measured = on_the_ellipsoid(&rings[at]);
        assert!((measured / wanted - 1.0).abs() < TOLERANCE, "{}: {measured}", codes[at]);
        seen += 1;
    }
    assert_eq!(seen, published.len());
}

/// Area between meridians and parallels, strip by strip, with the ellipsoid's radii of curvature.
fn on_the_ellipsoid(ring: &[(f64, f64)]) -> f64 {
    const A: f64 = 6_378_137.0;
    const E2: f64 = 0.006_694_379_990_14;
    let lat_0 = ring[0].1;
    let strip = |pair: &[(f64, f64)]| {
        let lat = f64::midpoint(pair[0].1, pair[1].1).to_radians();
        let middle = f64::midpoint(lat, lat_0.to_radians());
        let w2 = 1.0 - E2 * middle.sin().powi(2);
        let meridian = A * (1.0 - E2) / w2.powf(1.5);
        let normal = A / w2.sqrt();
        // Between the edge and the parallel of the first corner.
        let height = meridian * (lat - lat_0.to_radians());
        -(pair[1].0 - pair[0].0).to_radians() * normal * middle.cos() * height
    };
    ring.windows(2).map(strip).sum()
}

#[test]
fn children_fill_their_parents_and_neighbours_share_edges() {
    let batch = table("place.boundary");
    let (codes, parents) = (texts(&batch, "code"), texts(&batch, "parent"));
    let (areas, rings) = (numbers(&batch, "area_m2"), shapes(&batch));
    let mut children: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, parent) in parents.iter().enumerate() {
        children.entry(parent).or_default().push(at);
    }
    let mut filled = 0;
    for at in 0..codes.len() {
        let Some(below) = children.get(codes[at]) else { continue };
        let sum: f64 = below.iter().map(|child| areas[*child]).sum();
        assert!((sum / areas[at] - 1.0).abs() < 1e-9, "{}: {sum} of {}", codes[at], areas[at]);
        // What no sibling has the other way round is the parent's ring, bit by bit.
        let mut left: HashMap<Edge, usize> = HashMap::new();
        for edge in below.iter().flat_map(|child| edges(&rings[*child])) {
            assert_eq!(left.insert(edge, 1), None, "{}: an edge twice", codes[at]);
        }
        let open: Vec<Edge> =
            left.keys().copied().filter(|(from, to)| !left.contains_key(&(*to, *from))).collect();
        let own = edges(&rings[at]);
        assert_eq!(open.len(), own.len(), "{}", codes[at]);
        assert!(own.iter().all(|edge| open.contains(edge)), "{}", codes[at]);
        filled += 1;
    }
    // The city, districts, streets, communities, and each grid that is no dedicated one.
    let dedicated = batch.column_by_name("dedicated").unwrap().as_boolean().true_count();
    let grids = texts(&batch, "level").iter().filter(|level| **level == "grid").count();
    assert_eq!(filled, 1 + 20 + 261 + 3_047 + grids - dedicated);
}

#[test]
fn codes_and_names_are_the_packs() {
    let batch = table("place.boundary");
    let (codes, names) = (texts(&batch, "code"), texts(&batch, "name"));
    let here: HashMap<&str, &str> = codes.iter().copied().zip(names).collect();
    for area in &chengdu().areas {
        assert_eq!(here.get(area.code.as_str()), Some(&area.name.zh.as_str()));
    }
    assert_eq!(here.len(), codes.len(), "codes are apart");
    for (code, parent) in codes.iter().zip(texts(&batch, "parent")) {
        assert!(pack::codes::valid_area_code(code));
        assert!(parent.is_empty() || code.starts_with(pack::codes::area_prefix(parent)), "{code}");
    }
}

#[test]
fn grids_follow_the_rule() {
    // Large enough that communities of the town have several grids.
    let plan = synth::Plan::new(chengdu(), 1_000_000, 1).unwrap();
    let (mut norm, mut larger) = (0, 0);
    for grid in plan.grids.iter().filter(|grid| grid.dedicated_people == 0) {
        let siblings = plan.communities[grid.community].households;
        if siblings >= 600 {
            assert!((300..=500).contains(&grid.households), "{}: {}", grid.code, grid.households);
            larger += 1;
        }
        for micro in &plan.micros[grid.micros.clone()] {
            if grid.households >= 60 {
                assert!((30..=100).contains(&micro.households), "{}", micro.code);
                norm += 1;
            }
        }
    }
    assert!(norm > 1_000 && larger > 10, "{norm} {larger}");
    assert!(plan.grids.iter().any(|grid| grid.dedicated_people > 0), "some are dedicated");
    let households: usize = plan.micros.iter().map(|micro| micro.households).sum();
    let of_districts: usize = plan.districts.iter().map(|district| district.households).sum();
    assert_eq!(households, of_districts);
}

#[test]
fn people_and_households_add_up_through_the_levels() {
    // A city so small that some communities have nobody, too.
    let small = crate::city::make(synth::PEOPLE_MIN, 2, 2);
    let small_batch = crate::city::read(small.path(), "place.boundary");
    let batch = table("place.boundary");
    for (people, batch) in [(crate::city::PEOPLE, batch), (synth::PEOPLE_MIN, small_batch)] {
        let levels = texts(&batch, "level");
        let of = |level: &str, column: &str| -> i64 {
            let counts = integers(&batch, column);
            (0..levels.len()).filter(|at| levels[*at] == level).map(|at| counts[at]).sum()
        };
        let all = i64::try_from(people).unwrap();
        for level in ["city", "district", "street", "community"] {
            assert_eq!(of(level, "people"), all, "{level}");
        }
        let households = of("city", "households");
        for level in ["district", "street", "community", "grid", "micro_grid"] {
            assert_eq!(of(level, "households"), households, "{level}");
        }
    }
}

#[test]
fn seats_lie_in_their_districts_or_near() {
    /// Outlines are drawn round estimated middles, so a seat by a border may fall beside it.
    const BESIDE_M: f64 = 5_000.0;
    let batch = table("place.boundary");
    let (codes, rings) = (texts(&batch, "code"), shapes(&batch));
    let mut inside = 0;
    for row in published("districts.csv") {
        let seat = (row[2].parse::<f64>().unwrap(), row[3].parse::<f64>().unwrap());
        let at = codes.iter().position(|code| *code == row[0]).unwrap();
        let away = beside_m(&rings[at], seat);
        assert!(away < BESIDE_M, "{}: {away} m", row[0]);
        inside += usize::from(away <= 0.0);
    }
    assert!(inside >= 16, "{inside} of 20");
}

/// How far a point lies out of a convex ring, which runs leftwards; not above nought inside.
fn beside_m(ring: &[(f64, f64)], (lon, lat): (f64, f64)) -> f64 {
    let metres = |(x, y): (f64, f64)| {
        ((x - lon) * 111_320.0 * lat.to_radians().cos(), (y - lat) * 110_860.0)
    };
    let beside = |pair: &[(f64, f64)]| {
        let ((ax, ay), (bx, by)) = (metres(pair[0]), metres(pair[1]));
        (ay * (bx - ax) - ax * (by - ay)) / (bx - ax).hypot(by - ay)
    };
    ring.windows(2).map(beside).fold(f64::MIN, f64::max)
}
