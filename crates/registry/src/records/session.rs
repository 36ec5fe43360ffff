//! A signed-in browser, of which only the cookie's hash is known.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "registry_session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_name: String,
    #[sea_orm(unique)]
    pub hash: String,
    /// `password`, or the id of an OpenID provider.
    pub method: String,
    /// Whether the provider asked for a second factor itself.
    pub strong: bool,
    /// Where it was opened from, for its owner to know it by.
    pub address: String,
    pub agent: String,
    pub created_us: i64,
    /// When it was last used, to the minute.
    pub seen_us: i64,
    /// When it ends, used or not.
    pub expires_us: i64,
    pub ended_us: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
