//! Numbers of entities that came with their rows: a file's are nobody else's from then on.

use arrow::array::AsArray;
use arrow::compute::max;
use arrow::datatypes::Int64Type;
use pack::Contract;
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

use super::dataset;
use crate::{City, CityError};

impl City {
    /// Has no new entity be given a number up to `last`: a file that is to come has them.
    pub async fn sta_pass_numbers(&self, last: i64) -> Result<(), CityError> {
        for name in numbered() {
            self.pass_numbers(name, last).await?;
        }
        Ok(())
    }

    /// The same for a dataset whose rows came from a file, up to the last of its numbers.
    pub(crate) async fn pass_numbers_of(&self, contract: &Contract) -> Result<(), CityError> {
        let Some(name) = numbered().find(|name| **name == contract.id) else { return Ok(()) };
        let rows = self.registers().rows(contract, None).await?;
        let last = rows
            .iter()
            .filter_map(|rows| max(rows.column_by_name("id")?.as_primitive_opt::<Int64Type>()?));
        match last.max() {
            Some(last) => self.pass_numbers(name, last).await,
            None => Ok(()),
        }
    }

    async fn pass_numbers(&self, name: &'static str, last: i64) -> Result<(), CityError> {
        let mut left = self.sta.numbers.lock().await;
        self.registers().pass(name, last).await?;
        if let Some(range) = left.get_mut(name) {
            range.start = range.start.max(last.saturating_add(1)).min(range.end);
        }
        Ok(())
    }
}

/// The datasets whose rows have numbers that are given out here.
fn numbered() -> impl Iterator<Item = &'static str> {
    let kinds = SENSORTHINGS_1_1.entities.iter().map(|entity| entity.kind);
    kinds.filter(|kind| *kind != EntityKind::Observation).map(dataset)
}
