//! One link of the audit chain. Rows are only ever added; the database refuses the rest.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entry")]
pub struct Model {
    /// From 1, without gaps.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub at_us: i64,
    pub actor: String,
    pub organisation: String,
    pub action: String,
    pub object: String,
    pub outcome: String,
    /// JSON, hashed as the text that it is.
    pub detail: String,
    /// The hash function's name.
    pub algorithm: String,
    /// The hash of the row before, in hex; empty for the first.
    pub previous: String,
    /// The hash of this row, in hex.
    pub hash: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
