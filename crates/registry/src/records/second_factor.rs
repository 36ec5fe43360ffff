//! A user's second factor: a secret that its owner's device has too.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "registry_second_factor")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_name: String,
    /// The secret, sealed for this user.
    pub sealed: String,
    pub created_us: i64,
    /// None: a code of the new device has not been shown yet, and it counts for nothing.
    pub confirmed_us: Option<i64>,
    /// The newest time step of which a code was taken: none is taken twice.
    pub last_step: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
