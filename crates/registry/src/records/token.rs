//! An API token, of which only the hash is known.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "registry_token")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_name: String,
    pub label: String,
    #[sea_orm(unique)]
    pub hash: String,
    /// JSON array of permissions, to which the user's own are cut down; none: all of the user's.
    pub scope: Option<String>,
    pub created_us: i64,
    pub expires_us: i64,
    pub revoked_us: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
