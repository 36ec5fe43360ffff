//! The registry's migrations, in order. A released one never changes: a new one goes to the end.

#![expect(
    elided_lifetimes_in_paths,
    reason = "`MigrationTrait` leaves them out, and async_trait wants the same text"
)]

use sea_orm::DbErr;
use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm_migration::SchemaManager;
use store::records::migrations::{MigrationName, MigrationTrait, Migrations};

use super::{area, organisation, register_row, second_factor, session, succession, token, user};

/// Hand these to `Records::migrate` together with those of the other crates.
pub fn migrations() -> Migrations {
    vec![Box::new(Places), Box::new(People), Box::new(SignIn), Box::new(Registers)]
}

struct Places;

impl MigrationName for Places {
    fn name(&self) -> &str {
        "registry_0001_places"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Places {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use area::Column as Area;
        use organisation::Column as Organisation;
        use succession::Column as Succession;
        let organisations = Table::create()
            .table(organisation::Entity)
            .col(ColumnDef::new(Organisation::Row).uuid().not_null().primary_key())
            .col(ColumnDef::new(Organisation::Id).text().not_null())
            .col(ColumnDef::new(Organisation::CreditCode).text())
            .col(ColumnDef::new(Organisation::Parent).text())
            .col(ColumnDef::new(Organisation::NameZh).text().not_null())
            .col(ColumnDef::new(Organisation::NameEn).text().not_null())
            .col(ColumnDef::new(Organisation::Kind).text().not_null())
            .col(ColumnDef::new(Organisation::Area).text().not_null())
            .col(ColumnDef::new(Organisation::ValidFromUs).big_integer())
            .col(ColumnDef::new(Organisation::ValidToUs).big_integer())
            .col(ColumnDef::new(Organisation::RecordedFromUs).big_integer().not_null())
            .col(ColumnDef::new(Organisation::RecordedToUs).big_integer())
            .to_owned();
        manager.create_table(organisations).await?;
        let areas = Table::create()
            .table(area::Entity)
            .col(ColumnDef::new(Area::Row).uuid().not_null().primary_key())
            .col(ColumnDef::new(Area::Code).text().not_null())
            .col(ColumnDef::new(Area::Level).text().not_null())
            .col(ColumnDef::new(Area::Parent).text())
            .col(ColumnDef::new(Area::NameZh).text().not_null())
            .col(ColumnDef::new(Area::NameEn).text().not_null())
            .col(ColumnDef::new(Area::Geometry).blob())
            .col(ColumnDef::new(Area::ValidFromUs).big_integer())
            .col(ColumnDef::new(Area::ValidToUs).big_integer())
            .col(ColumnDef::new(Area::RecordedFromUs).big_integer().not_null())
            .col(ColumnDef::new(Area::RecordedToUs).big_integer())
            .to_owned();
        manager.create_table(areas).await?;
        let successions = Table::create()
            .table(succession::Entity)
            .col(ColumnDef::new(Succession::Row).uuid().not_null().primary_key())
            .col(ColumnDef::new(Succession::Kind).text().not_null())
            .col(ColumnDef::new(Succession::Predecessor).text().not_null())
            .col(ColumnDef::new(Succession::Successor).text().not_null())
            .col(ColumnDef::new(Succession::ValidFromUs).big_integer().not_null())
            .col(ColumnDef::new(Succession::RecordedFromUs).big_integer().not_null())
            .to_owned();
        manager.create_table(successions).await
    }
}

struct People;

impl MigrationName for People {
    fn name(&self) -> &str {
        "registry_0002_people"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for People {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use token::Column as Token;
        use user::Column as User;
        let users = Table::create()
            .table(user::Entity)
            .col(ColumnDef::new(User::Name).string().not_null().primary_key())
            .col(ColumnDef::new(User::Organisation).text().not_null())
            .col(ColumnDef::new(User::Roles).text().not_null())
            .col(ColumnDef::new(User::Areas).text().not_null())
            .col(ColumnDef::new(User::Active).boolean().not_null())
            .col(ColumnDef::new(User::CreatedUs).big_integer().not_null())
            .col(ColumnDef::new(User::Verifier).text())
            .to_owned();
        manager.create_table(users).await?;
        let tokens = Table::create()
            .table(token::Entity)
            .col(ColumnDef::new(Token::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Token::UserName).string().not_null())
            .col(ColumnDef::new(Token::Label).text().not_null())
            .col(ColumnDef::new(Token::Hash).string().not_null().unique_key())
            .col(ColumnDef::new(Token::Scope).text())
            .col(ColumnDef::new(Token::CreatedUs).big_integer().not_null())
            .col(ColumnDef::new(Token::ExpiresUs).big_integer().not_null())
            .col(ColumnDef::new(Token::RevokedUs).big_integer())
            .foreign_key(
                sea_orm::sea_query::ForeignKey::create()
                    .name("registry_token_of_user")
                    .from(token::Entity, Token::UserName)
                    .to(user::Entity, User::Name),
            )
            .to_owned();
        manager.create_table(tokens).await?;
        let by_user = Index::create()
            .name("registry_token_by_user")
            .table(token::Entity)
            .col(Token::UserName)
            .to_owned();
        manager.create_index(by_user).await
    }
}

struct SignIn;

impl MigrationName for SignIn {
    fn name(&self) -> &str {
        "registry_0003_sign_in"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SignIn {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use second_factor::Column as Factor;
        use session::Column as Session;
        // SQLite adds one column at a time.
        for mut column in [
            ColumnDef::new(user::Column::PasswordHash).text().to_owned(),
            ColumnDef::new(user::Column::LastSignInUs).big_integer().to_owned(),
        ] {
            let users = Table::alter().table(user::Entity).add_column(&mut column).to_owned();
            manager.alter_table(users).await?;
        }
        let of_user = |name: &str| {
            let mut key = sea_orm::sea_query::ForeignKey::create();
            key.name(name).to(user::Entity, user::Column::Name);
            key
        };
        let factors = Table::create()
            .table(second_factor::Entity)
            .col(ColumnDef::new(Factor::UserName).string().not_null().primary_key())
            .col(ColumnDef::new(Factor::Sealed).text().not_null())
            .col(ColumnDef::new(Factor::CreatedUs).big_integer().not_null())
            .col(ColumnDef::new(Factor::ConfirmedUs).big_integer())
            .col(ColumnDef::new(Factor::LastStep).big_integer().not_null())
            .foreign_key(
                of_user("registry_second_factor_of_user")
                    .from(second_factor::Entity, Factor::UserName),
            )
            .to_owned();
        manager.create_table(factors).await?;
        let sessions = Table::create()
            .table(session::Entity)
            .col(ColumnDef::new(Session::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Session::UserName).string().not_null())
            .col(ColumnDef::new(Session::Hash).string().not_null().unique_key())
            .col(ColumnDef::new(Session::Method).text().not_null())
            .col(ColumnDef::new(Session::Strong).boolean().not_null())
            .col(ColumnDef::new(Session::Address).text().not_null())
            .col(ColumnDef::new(Session::Agent).text().not_null())
            .col(ColumnDef::new(Session::CreatedUs).big_integer().not_null())
            .col(ColumnDef::new(Session::SeenUs).big_integer().not_null())
            .col(ColumnDef::new(Session::ExpiresUs).big_integer().not_null())
            .col(ColumnDef::new(Session::EndedUs).big_integer())
            .foreign_key(
                of_user("registry_session_of_user").from(session::Entity, Session::UserName),
            )
            .to_owned();
        manager.create_table(sessions).await?;
        let by_user = Index::create()
            .name("registry_session_by_user")
            .table(session::Entity)
            .col(Session::UserName)
            .to_owned();
        manager.create_index(by_user).await
    }
}

struct Registers;

impl MigrationName for Registers {
    fn name(&self) -> &str {
        "registry_0004_registers"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Registers {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use register_row::Column as Row;
        let rows = Table::create()
            .table(register_row::Entity)
            .col(ColumnDef::new(Row::Row).uuid().not_null().primary_key())
            .col(ColumnDef::new(Row::Dataset).string().not_null())
            .col(ColumnDef::new(Row::RowKey).string().not_null())
            .col(ColumnDef::new(Row::Version).big_integer().not_null())
            .col(ColumnDef::new(Row::Data).text())
            .col(ColumnDef::new(Row::Kind).text().not_null())
            .col(ColumnDef::new(Row::Actor).text().not_null())
            .col(ColumnDef::new(Row::Reason).text().not_null())
            .col(ColumnDef::new(Row::FromUs).big_integer().not_null())
            .col(ColumnDef::new(Row::ToUs).big_integer())
            .to_owned();
        manager.create_table(rows).await?;
        let one_a_version = Index::create()
            .name("register_row_one_a_version")
            .table(register_row::Entity)
            .col(Row::Dataset)
            .col(Row::RowKey)
            .col(Row::Version)
            .unique()
            .to_owned();
        manager.create_index(one_a_version).await?;
        let newest = Index::create()
            .name("register_row_newest")
            .table(register_row::Entity)
            .col(Row::Dataset)
            .col(Row::ToUs)
            .to_owned();
        manager.create_index(newest).await
    }
}
