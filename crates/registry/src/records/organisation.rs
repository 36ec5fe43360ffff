//! One recording of one organisation.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "registry_organisation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub row: Uuid,
    /// The pack's id.
    pub id: String,
    pub credit_code: Option<String>,
    pub parent: Option<String>,
    pub name_zh: String,
    pub name_en: String,
    pub kind: String,
    pub area: String,
    pub valid_from_us: Option<i64>,
    pub valid_to_us: Option<i64>,
    pub recorded_from_us: i64,
    pub recorded_to_us: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
