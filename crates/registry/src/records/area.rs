//! One recording of one area.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "registry_area")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub row: Uuid,
    pub code: String,
    pub level: String,
    pub parent: Option<String>,
    pub name_zh: String,
    pub name_en: String,
    /// WKB in WGS-84.
    pub geometry: Option<Vec<u8>>,
    pub valid_from_us: Option<i64>,
    pub valid_to_us: Option<i64>,
    pub recorded_from_us: i64,
    pub recorded_to_us: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
