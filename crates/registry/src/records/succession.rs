//! Who took over from whom. A merger is several rows to one successor, a split one to several.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "registry_succession")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub row: Uuid,
    /// `organisation` or `area`.
    pub kind: String,
    pub predecessor: String,
    pub successor: String,
    pub valid_from_us: i64,
    pub recorded_from_us: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
