//! One row that a scenario puts into a dataset, or takes out of it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "scenario_change")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub scenario: String,
    pub dataset: String,
    /// JSON array of the key's values, in the contract's order: one change a row.
    pub row_key: String,
    /// `put` or `remove`.
    pub op: String,
    /// JSON object: the whole row, or its key alone.
    pub row: String,
    pub changed_by: String,
    pub changed_us: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
