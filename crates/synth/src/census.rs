//! `people.census_2020`: the residents of each district by sex and age group, at this scale.

use std::path::Path;

use crate::error::Result;
use crate::plan::Plan;
use crate::sheet::{Kind, Rows, Sheet, write};

pub const CENSUS: Sheet = Sheet {
    dataset: "people.census_2020",
    columns: &[
        ("area_code", Kind::Text),
        ("sex", Kind::Text),
        ("age_from", Kind::Integer),
        ("age_to", Kind::Integer),
        ("people", Kind::Integer),
    ],
};

pub fn write_all(plan: &Plan, dir: &Path) -> Result<(String, usize)> {
    let mut rows = Rows::new(&CENSUS);
    for district in &plan.districts {
        for (band, people) in plan.facts.bands.iter().zip(&district.by_band) {
            rows.text(&district.code).text(if band.male { "male" } else { "female" });
            rows.integer(i64::from(band.age_from)).integer_or(band.age_to.map(i64::from));
            rows.count(*people);
        }
    }
    write(dir, &CENSUS, rows)
}
