//! A claim that a value is wrong (异议).

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "correction")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub dataset: String,
    /// JSON object: key field → value.
    pub row_key: String,
    pub field: String,
    /// JSON values.
    pub present: String,
    pub proposed: String,
    pub reason: String,
    /// JSON array of blob ids or references.
    pub evidence: String,
    pub organisation: String,
    pub requested_by: String,
    pub requested_us: i64,
    /// See [`crate::corrections::State`].
    pub state: String,
    pub decided_by: Option<String>,
    pub decided_us: Option<i64>,
    pub answer: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
