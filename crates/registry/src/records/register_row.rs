//! One version of one row of a register.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "register_row")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub row: Uuid,
    pub dataset: String,
    /// The key's values as [`pack::keys`] joins them.
    pub row_key: String,
    /// From 1, without gaps, through deletions too.
    pub version: i64,
    /// JSON object of the contract's fields; none where this version says that the row is gone.
    pub data: Option<String>,
    /// `created`, `changed` or `deleted`.
    pub kind: String,
    pub actor: String,
    pub reason: String,
    pub from_us: i64,
    /// When the next version took over; none for the newest.
    pub to_us: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
