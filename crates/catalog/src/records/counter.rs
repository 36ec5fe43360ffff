//! Named counters that only grow, such as the policy epoch.

use sea_orm::entity::prelude::*;

/// Grows with every change of who may see what.
pub const POLICY_EPOCH: &str = "policy_epoch";

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "catalog_counter")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub value: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
