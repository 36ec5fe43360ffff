//! What the owner grants in answer to a request: one grant a request.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sharing_grant")]
pub struct Model {
    /// The request's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub dataset: String,
    /// To whom.
    pub organisation: String,
    /// JSON array of field names.
    pub fields: String,
    pub row_filter: Option<String>,
    /// JSON object: field → mask.
    pub masks: String,
    pub granted_by: String,
    pub granted_us: i64,
    pub expires_us: i64,
    /// When it was revoked, withdrawn or found expired.
    pub ended_us: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
