//! Which fields of which datasets an answer was made of, read from its logical plan.
//!
//! For each output column the fields whose *values* reached it, and how; for the answer as a whole
//! the fields that only decided which rows came, in which groups, in which order. A field may be
//! in both lists. Where a plan is not understood the walk errs on the side of naming too much:
//! a lineage that leaves a field out would be worse than one that is too careful.
//!
//! This module knows plans. It knows no policy: a governed table counts under the name by which
//! the query read it, whatever stands behind that name.

mod openlineage;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use datafusion::logical_expr::LogicalPlan;
use serde::{Deserialize, Serialize};

pub use openlineage::{Job, run_event};

/// A field of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FieldRef {
    pub dataset: String,
    pub field: String,
}

/// What became of a field's value on its way to a column; the later variants swallow the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Passed on as it is.
    Identity,
    /// Computed from, row by row.
    Transformation,
    /// Computed from many rows.
    Aggregation,
}

/// How a field bore on an answer without its value being in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Influence {
    Filter,
    Join,
    GroupBy,
    Sort,
    Window,
}

/// One field that an output column was computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    #[serde(flatten)]
    pub field: FieldRef,
    pub how: How,
}

/// One output column and what it was computed from, sorted by field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub from: Vec<Origin>,
}

/// One field that shaped the answer, and in which ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indirect {
    #[serde(flatten)]
    pub field: FieldRef,
    pub influences: BTreeSet<Influence>,
}

/// Where an answer came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// In the answer's column order.
    pub columns: Vec<Column>,
    /// Fields that filtered, joined, grouped, sorted or framed a window, sorted by field.
    pub indirect: Vec<Indirect>,
    /// Every dataset read, even one of which no field is named (`count(*)`).
    pub datasets: BTreeSet<String>,
}

impl Lineage {
    /// Every field that had any part in the answer, by dataset: what the usage log keeps.
    pub fn fields_used(&self) -> BTreeMap<String, BTreeSet<String>> {
        let direct = self.columns.iter().flat_map(|column| &column.from).map(|from| &from.field);
        let indirect = self.indirect.iter().map(|indirect| &indirect.field);
        let mut used: BTreeMap<String, BTreeSet<String>> =
            self.datasets.iter().map(|dataset| (dataset.clone(), BTreeSet::new())).collect();
        for field in direct.chain(indirect) {
            used.entry(field.dataset.clone()).or_default().insert(field.field.clone());
        }
        used
    }
}

/// The lineage of a plan's output. Best asked of the plan before optimisation, whose columns still
/// have the names that the query gave them; an optimised plan is understood as well.
pub fn of(plan: &LogicalPlan) -> Lineage {
    walk::Walk::default().lineage(plan)
}
