//! People, their households and the buildings they live in, a community at a time.
//!
//! ```text
//!  community ─► who lives here (sex, age) ─► households ─► buildings ─► rows of four datasets
//! ```
//! Communities are made on several threads and written in order, so memory does not grow with the
//! city. A district's people have exactly the sexes and ages that the plan shared out to it.

mod community;
mod dates;
mod households;

use std::path::Path;

use arrow::record_batch::RecordBatch;

use crate::error::Result;
use crate::order::in_order;
use crate::people::community::Maker;
use crate::plan::Plan;
use crate::sheet::{Kind, Rows, Sheet, Table};

pub const BUILDING: Sheet = Sheet {
    dataset: "place.building",
    columns: &[
        ("id", Kind::Text),
        ("area_code", Kind::Text),
        ("kind", Kind::Text),
        ("floors", Kind::Integer),
        ("built_year", Kind::Integer),
        ("households", Kind::Integer),
        ("people", Kind::Integer),
        ("geometry", Kind::Point),
    ],
};

pub const HOUSEHOLD: Sheet = Sheet {
    dataset: "people.household",
    columns: &[
        ("id", Kind::Text),
        ("building", Kind::Text),
        ("area_code", Kind::Text),
        ("kind", Kind::Text),
        ("people", Kind::Integer),
        ("children", Kind::Integer),
        ("elders", Kind::Integer),
    ],
};

pub const RESIDENT: Sheet = Sheet {
    dataset: "people.resident",
    columns: &[
        ("identity_number", Kind::Text),
        ("name", Kind::Text),
        ("sex", Kind::Text),
        ("born_on", Kind::Date),
        ("phone", Kind::Text),
        ("address", Kind::Text),
        ("area_code", Kind::Text),
        ("household", Kind::Text),
        ("updated_at", Kind::Timestamp),
    ],
};

pub const BY_BUILDING: Sheet = Sheet {
    dataset: "people.by_building",
    columns: &[
        ("building", Kind::Text),
        ("area_code", Kind::Text),
        ("sex", Kind::Text),
        ("age_from", Kind::Integer),
        ("age_to", Kind::Integer),
        ("people", Kind::Integer),
    ],
};

/// In the order in which the tables are written.
const SHEETS: [Sheet; 4] = [BUILDING, HOUSEHOLD, RESIDENT, BY_BUILDING];

/// Rows of one community, by [`SHEETS`].
pub struct Made {
    pub batches: [RecordBatch; SHEETS.len()],
}

/// Writes all people; `told` hears how many so far.
pub fn people(
    plan: &Plan,
    dir: &Path,
    threads: usize,
    told: &dyn Fn(usize),
) -> Result<Vec<(String, usize)>> {
    let maker = Maker::new(plan);
    let mut tables =
        SHEETS.iter().map(|sheet| Table::create(dir, sheet)).collect::<Result<Vec<_>>>()?;
    let mut made_so_far = 0;
    in_order(
        plan.communities.len(),
        threads,
        |number| maker.community(number),
        |made: Made| {
            for (table, batch) in tables.iter_mut().zip(&made.batches) {
                table.write(batch)?;
            }
            made_so_far += made.batches[2].num_rows();
            told(made_so_far);
            Ok(())
        },
    )?;
    SHEETS
        .iter()
        .zip(tables)
        .map(|(sheet, table)| Ok((sheet.dataset.to_owned(), table.close()?)))
        .collect()
}

/// One batch's builders for all four.
fn rows() -> [Rows; SHEETS.len()] {
    SHEETS.map(|sheet| Rows::new(&sheet))
}
