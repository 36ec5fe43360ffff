//! Somebody, or some service, that may log in.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "registry_user")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub organisation: String,
    /// JSON array of role ids.
    pub roles: String,
    /// JSON array of area codes; empty: the organisation's own area.
    pub areas: String,
    pub active: bool,
    pub created_us: i64,
    /// The SCRAM verifier in PostgreSQL's notation; none: no password.
    pub verifier: Option<String>,
    /// The argon2id hash in PHC notation; none beside a verifier: set before there were such.
    pub password_hash: Option<String>,
    pub last_sign_in_us: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
