//! Streets that hang together, a metro, and facilities that are short where they should be.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;

use crate::city::{PEOPLE, chengdu, integers, shapes, table, texts};

#[test]
fn every_node_is_reached_on_foot() {
    let edges = table("road.edge");
    let nodes = table("road.node").num_rows();
    assert!(nodes >= PEOPLE / 48, "{nodes} nodes");
    let (from, to) = (integers(&edges, "from_node"), integers(&edges, "to_node"));
    let walk = edges.column_by_name("walk_m_per_s").unwrap().as_primitive::<Float64Type>();
    let at = |node: i64| usize::try_from(node - 1).unwrap();
    let mut beside = vec![Vec::new(); nodes];
    for edge in (0..from.len()).filter(|edge| walk.is_valid(*edge)) {
        assert!(walk.value(edge) > 0.5 && walk.value(edge) < 2.0);
        beside[at(from[edge])].push(at(to[edge]));
        beside[at(to[edge])].push(at(from[edge]));
    }
    let mut reached = vec![false; nodes];
    let mut waiting = vec![0];
    while let Some(node) = waiting.pop() {
        if !std::mem::replace(&mut reached[node], true) {
            waiting.extend(&beside[node]);
        }
    }
    assert!(reached.iter().all(|reached| *reached));
    let pairs: BTreeSet<(i64, i64)> =
        from.iter().zip(&to).map(|(a, b)| (*a.min(b), *a.max(b))).collect();
    assert_eq!(pairs.len(), from.len(), "no segment twice");
}

#[test]
fn rings_and_radials_are_there_and_lengths_are_true() {
    let edges = table("road.edge");
    let classes: BTreeSet<&str> = texts(&edges, "class").into_iter().collect();
    for class in ["expressway", "trunk", "primary", "secondary"] {
        assert!(classes.contains(class), "{classes:?}");
    }
    let names = texts(&edges, "name");
    let lengths = edges.column_by_name("length_m").unwrap().as_primitive::<Float64Type>();
    let ring: f64 =
        (0..names.len()).filter(|at| names[*at] == "三环路").map(|at| lengths.value(at)).sum();
    // 51 km is published; corners of a coarse net cut a little off, bends add a little.
    assert!((45_000.0..57_000.0).contains(&ring), "{ring}");
    for (line, length) in shapes(&edges).iter().zip(lengths.values()).step_by(17) {
        let (x, y) = (line[1].0 - line[0].0, line[1].1 - line[0].1);
        let cos = f64::midpoint(line[0].1, line[1].1).to_radians().cos();
        let metres = (x * cos * 111_320.0).hypot(y * 110_860.0);
        assert!(
            (metres / length - 1.0).abs() < 0.02 || (metres - length).abs() < 1.0,
            "{metres} {length}"
        );
    }
}

#[test]
fn metro_lines_have_stations_in_order_and_interchanges() {
    let (lines, stations) = (table("transit.line"), table("transit.station"));
    assert_eq!(lines.num_rows(), 17);
    let counts: BTreeMap<&str, i64> =
        texts(&lines, "line").into_iter().zip(integers(&lines, "stations")).collect();
    let mut of_line: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut lines_at: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let names = texts(&stations, "name");
    let seqs = integers(&stations, "seq");
    for (at, line) in texts(&stations, "line").into_iter().enumerate() {
        of_line.entry(line).or_default().push(seqs[at]);
        lines_at.entry(names[at]).or_default().insert(line);
    }
    for (line, seqs) in &of_line {
        assert!(seqs.iter().copied().eq(0..counts[line]), "{line}: {seqs:?}");
        assert!(seqs.len() > 5, "{line}");
    }
    assert!((250..=500).contains(&stations.num_rows()), "{}", stations.num_rows());
    assert!(lines_at.values().filter(|lines| lines.len() > 1).count() > 10, "interchanges");
}

#[test]
fn facilities_are_enough_in_the_centre_and_short_in_new_suburbs() {
    let facilities = table("place.facility");
    let kinds = texts(&facilities, "kind");
    let people: BTreeMap<String, i64> = {
        let boundary = table("place.boundary");
        let codes: Vec<String> = texts(&boundary, "code").iter().map(|c| (*c).to_owned()).collect();
        codes.into_iter().zip(integers(&boundary, "people")).collect()
    };
    let areas = texts(&facilities, "area_code");
    let per_person = |districts: &[&str]| {
        let of = |at: &usize| districts.iter().any(|code| areas[*at].starts_with(code));
        let count = u32::try_from((0..kinds.len()).filter(of).count()).unwrap();
        let all: i64 = districts.iter().map(|code| people[&format!("{code}000000")]).sum();
        f64::from(count) / f64::from(u32::try_from(all).unwrap())
    };
    // The five districts of the old city; Xindu, Wenjiang and Pidu around it.
    let old = per_person(&["510104", "510105", "510106", "510107", "510108"]);
    let new = per_person(&["510114", "510115", "510117"]);
    assert!(old > 1.2 * new, "{old} {new}");
    let capacity = integers(&facilities, "capacity");
    assert!(capacity.iter().all(|capacity| *capacity > 0));
    let there: BTreeSet<&str> = kinds.into_iter().collect();
    let text = std::fs::read_to_string(chengdu().dir.join("synth/facilities.toml")).unwrap();
    assert_eq!(there.len(), text.matches("[[facility]]").count(), "every kind is there");
}

#[test]
fn parks_and_parcels_do_not_share_a_micro_grid() {
    let mut seen = BTreeSet::new();
    let batches = [table("place.park"), table("place.parcel")];
    for batch in &batches {
        assert!(batch.num_rows() > 0);
        for area in texts(batch, "area_code") {
            assert!(seen.insert(area), "{area} twice");
        }
    }
    assert!(table("place.venue").num_rows() > 0);
}
