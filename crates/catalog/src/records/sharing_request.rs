//! What an organisation asks to see of another's dataset.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sharing_request")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub dataset: String,
    /// JSON array of field names.
    pub fields: String,
    /// Boolean SQL over the dataset's fields; none: all rows.
    pub rows: Option<String>,
    pub purpose: String,
    pub legal_ground: String,
    /// Until when access is wanted.
    pub until_us: i64,
    pub organisation: String,
    pub requested_by: String,
    pub requested_us: i64,
    /// See [`crate::sharing::State`].
    pub state: String,
    pub decided_by: Option<String>,
    pub decided_us: Option<i64>,
    pub reason: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
