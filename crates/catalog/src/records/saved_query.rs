//! A question that somebody keeps.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "saved_query")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub title: String,
    pub sql: String,
    /// JSON object: how the screens draw it.
    pub chart: Option<String>,
    /// `private`, `organisation` or `everyone`.
    pub shared: String,
    pub owner: String,
    pub organisation: String,
    pub created_us: i64,
    pub changed_us: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
