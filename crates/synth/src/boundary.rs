//! `place.boundary`: every area with its outline, from the city down to micro grids.

use std::path::Path;

use pack::{Pack, Text};

use crate::error::Result;
use crate::mesh::Face;
use crate::num::signed;
use crate::plan::Plan;
use crate::plane::area;
use crate::sheet::{Kind, Rows, Sheet, wkb_polygon, write};

pub const BOUNDARY: Sheet = Sheet {
    dataset: "place.boundary",
    columns: &[
        ("code", Kind::Text),
        ("level", Kind::Text),
        ("parent", Kind::Text),
        ("name", Kind::Text),
        ("name_en", Kind::Text),
        ("dedicated", Kind::Boolean),
        ("area_m2", Kind::Number),
        ("people", Kind::Integer),
        ("households", Kind::Integer),
        ("geometry", Kind::Polygon),
    ],
};

struct Row<'a> {
    code: &'a str,
    level: &'a str,
    parent: Option<&'a str>,
    name: &'a Text,
    dedicated: bool,
    /// None where people are known to buildings alone.
    people: Option<usize>,
    households: usize,
    face: &'a Face,
}

pub fn boundaries(plan: &Plan, pack: &Pack, dir: &Path) -> Result<(String, usize)> {
    let mut rows = Rows::new(&BOUNDARY);
    let mut push = |row: Row<'_>| {
        let ring = plan.mesh.outline(row.face);
        let degrees: Vec<_> = ring.iter().map(|point| plan.plane.degrees(*point)).collect();
        rows.text(row.code).text(row.level).text_or(row.parent).text(&row.name.zh);
        rows.text(if row.name.en.is_empty() { &row.name.zh } else { &row.name.en });
        rows.boolean_or(Some(row.dedicated)).number(area(&ring));
        rows.integer_or(row.people.map(signed)).count(row.households);
        rows.shape(&wkb_polygon(&degrees));
    };
    let city = pack.city.code.as_str();
    let row = |code, level, parent, name, face| Row {
        code,
        level,
        parent,
        name,
        dedicated: false,
        people: None,
        households: 0,
        face,
    };
    let households: usize = plan.districts.iter().map(|district| district.households).sum();
    let whole = row(city, "city", None, &pack.city.name, &plan.city);
    push(Row { people: Some(plan.people), households, ..whole });
    for d in &plan.districts {
        let whole = row(&d.code, "district", Some(city), &d.name, &d.face);
        push(Row { people: Some(d.people), households: d.households, ..whole });
    }
    let mut streets = vec![(0, 0); plan.streets.len()];
    for community in &plan.communities {
        streets[community.street].0 += community.people;
        streets[community.street].1 += community.households;
    }
    for (s, (people, households)) in plan.streets.iter().zip(streets) {
        let parent = plan.districts[s.district].code.as_str();
        let whole = row(&s.code, "street", Some(parent), &s.name, &s.face);
        push(Row { people: Some(people), households, ..whole });
    }
    for c in &plan.communities {
        let parent = plan.streets[c.street].code.as_str();
        let whole = row(&c.code, "community", Some(parent), &c.name, &c.face);
        push(Row { people: Some(c.people), households: c.households, ..whole });
    }
    for g in &plan.grids {
        let parent = plan.communities[g.community].code.as_str();
        let whole = row(&g.code, "grid", Some(parent), &g.name, &g.face);
        let dedicated = g.dedicated_people > 0;
        let people = dedicated.then_some(g.dedicated_people);
        push(Row { dedicated, people, households: g.households, ..whole });
    }
    for m in &plan.micros {
        let parent = plan.grids[m.grid].code.as_str();
        let whole = row(&m.code, "micro_grid", Some(parent), &m.name, &m.face);
        push(Row { households: m.households, ..whole });
    }
    write(dir, &BOUNDARY, rows)
}
