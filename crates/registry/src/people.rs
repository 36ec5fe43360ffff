//! Users, their passwords and tokens, and the principal that comes of logging in.

use std::collections::BTreeSet;

use catalog::Principal;
use catalog::audit::Event;
use catalog::records::{micros, time};
use chrono::{DateTime, TimeDelta, Utc};
use pack::{PERMISSIONS, Pack};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, Set,
};
use serde_json::json;
use uuid::Uuid;

use crate::records::{token, user};
use crate::scram::Verifier;
use crate::secret::{self, TOKEN_PREFIX};
use crate::sync::ThingKind;
use crate::{Registry, RegistryError, Tree};

const NAME_CHARS_MAX: usize = 63;
const LABEL_CHARS_MAX: usize = 200;
const PASSWORD_CHARS_MIN: usize = 10;
const PASSWORD_BYTES_MAX: usize = 1_024;
const TOKEN_DAYS_MAX: i64 = 2 * 366;
const SCOPE_AREAS_MAX: usize = 200;

/// A user about to be made.
#[derive(Debug, Clone, Default)]
pub struct NewUser {
    pub name: String,
    pub organisation: String,
    pub roles: Vec<String>,
    /// Codes of the areas that the user works in; none: the organisation's own.
    pub areas: Vec<String>,
    pub password: Option<String>,
}

/// What can be changed about a user.
#[derive(Debug, Clone)]
pub enum Change {
    Organisation(String),
    Roles(Vec<String>),
    Areas(Vec<String>),
    Password(Option<String>),
    Active(bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    pub name: String,
    pub organisation: String,
    pub roles: Vec<String>,
    pub areas: Vec<String>,
    pub active: bool,
    pub created_at: DateTime<Utc>,
    pub has_password: bool,
}

/// A token about to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub user: String,
    /// What it is for, in its maker's words.
    pub label: String,
    /// Permissions to which the user's own are cut down; `None`: all of the user's.
    pub scope: Option<Vec<String>>,
    pub expires_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    pub id: Uuid,
    pub user: String,
    pub label: String,
    pub scope: Option<Vec<String>>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

impl Registry {
    /// The principal that a user acts as, now. Whoever calls has made sure that it is the user.
    pub async fn principal(&self, name: &str, pack: &Pack) -> Result<Principal, RegistryError> {
        let user = self.user(name).await?;
        if !user.active {
            return Err(RegistryError::Disabled(name.to_owned()));
        }
        let tree = self.tree();
        let organisation = self.organisation_of(&user, &tree).await?;
        let areas = if user.areas.is_empty() {
            tree.area_of(&organisation).map(str::to_owned).into_iter().collect()
        } else {
            user.areas
        };
        let permissions = pack
            .roles
            .iter()
            .filter(|role| user.roles.contains(&role.id))
            .flat_map(|role| role.permissions.iter().cloned());
        Ok(Principal {
            user: user.name,
            ancestors: tree.ancestors(&organisation),
            organisations: tree.subtree(&organisation),
            // An area that is gone opens nothing.
            area_prefixes: areas.iter().filter_map(|code| tree.area_prefix(code)).collect(),
            permissions: permissions.collect(),
            roles: user.roles.into_iter().collect(),
            organisation,
        })
    }

    /// The organisation that stands today for the one that the user was put in.
    async fn organisation_of(&self, user: &UserInfo, tree: &Tree) -> Result<String, RegistryError> {
        if tree.has_organisation(&user.organisation) {
            return Ok(user.organisation.clone());
        }
        let mut successors = self.successors(ThingKind::Organisation, &user.organisation).await?;
        // Of several nobody can say which: whoever manages users must.
        match (successors.pop(), successors.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(RegistryError::UnknownOrganisation(user.organisation.clone())),
        }
    }

    pub async fn create_user(
        &self,
        by: &str,
        new: NewUser,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<UserInfo, RegistryError> {
        check_name(&new.name)?;
        let tree = self.tree();
        check_organisation(&tree, &new.organisation)?;
        check_roles(pack, &new.roles)?;
        check_areas(&tree, &new.organisation, &new.areas)?;
        let row = user::Model {
            name: new.name,
            organisation: new.organisation,
            roles: json!(new.roles).to_string(),
            areas: json!(new.areas).to_string(),
            active: true,
            created_us: micros(now),
            verifier: verifier_of(new.password).await?,
        };
        let txn = self.records.write().await?;
        if user::Entity::find_by_id(&row.name).one(&*txn).await?.is_some() {
            return Err(RegistryError::UserExists(row.name));
        }
        row.clone().into_active_model().insert(&*txn).await?;
        let info = UserInfo::try_from(row)?;
        let event = Event::new(by, "", "user.create", &info.name).detail(info.summary());
        self.audit.append(&txn, event).await?;
        txn.commit().await?;
        Ok(info)
    }

    pub async fn change_user(
        &self,
        by: &str,
        name: &str,
        change: Change,
        pack: &Pack,
    ) -> Result<UserInfo, RegistryError> {
        // Slow and without a look at the records: before the transaction begins.
        let verifier = match &change {
            Change::Password(password) => verifier_of(password.clone()).await?,
            _ => None,
        };
        let tree = self.tree();
        let txn = self.records.write().await?;
        let row = user::Entity::find_by_id(name).one(&*txn).await?;
        let row = row.ok_or_else(|| RegistryError::UnknownUser(name.to_owned()))?;
        let organisation = row.organisation.clone();
        let mut row = row.into_active_model();
        let what = match change {
            Change::Organisation(id) => {
                check_organisation(&tree, &id)?;
                row.organisation = Set(id);
                // The old areas need not lie within the new organisation's.
                row.areas = Set("[]".to_owned());
                "organisation"
            }
            Change::Roles(roles) => {
                check_roles(pack, &roles)?;
                row.roles = Set(json!(roles).to_string());
                "roles"
            }
            Change::Areas(areas) => {
                check_areas(&tree, &organisation, &areas)?;
                row.areas = Set(json!(areas).to_string());
                "areas"
            }
            Change::Password(_) => {
                row.verifier = Set(verifier);
                "password"
            }
            Change::Active(active) => {
                row.active = Set(active);
                "active"
            }
        };
        let info = UserInfo::try_from(row.update(&*txn).await?)?;
        let event = Event::new(by, "", &format!("user.{what}"), name).detail(info.summary());
        self.audit.append(&txn, event).await?;
        txn.commit().await?;
        Ok(info)
    }

    pub async fn users(&self) -> Result<Vec<UserInfo>, RegistryError> {
        let rows =
            user::Entity::find().order_by_asc(user::Column::Name).all(self.records.read()).await?;
        rows.into_iter().map(UserInfo::try_from).collect()
    }

    pub async fn user(&self, name: &str) -> Result<UserInfo, RegistryError> {
        let row = user::Entity::find_by_id(name).one(self.records.read()).await?;
        UserInfo::try_from(row.ok_or_else(|| RegistryError::UnknownUser(name.to_owned()))?)
    }

    /// For a SCRAM login: what is kept of the user's password. `None` where there is no such user,
    /// it is disabled or has no password; a face makes all three look like a wrong password, with
    /// [`crate::scram::ITERATIONS`] among what it shows.
    pub async fn verifier(&self, name: &str) -> Result<Option<Verifier>, RegistryError> {
        let row = user::Entity::find_by_id(name).one(self.records.read()).await?;
        let text = row.filter(|row| row.active).and_then(|row| row.verifier);
        let verifier = text.map(|text| {
            text.parse().map_err(|problem: &str| RegistryError::Damaged {
                id: name.to_owned(),
                problem: problem.to_owned(),
            })
        });
        verifier.transpose()
    }

    /// For faces that are given the password itself.
    pub async fn check_password(&self, name: &str, password: &str) -> Result<(), RegistryError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(RegistryError::NotAuthentic);
        }
        let verifier = self.verifier(name).await?;
        let password = password.to_owned();
        // Who is not there takes as long as who is: the time must not tell them apart.
        let fits = off_thread(move || match verifier {
            Some(verifier) => Ok(verifier.is_of(&password)),
            None => Verifier::of_password(&password).map(|_| false),
        });
        if fits.await? { Ok(()) } else { Err(RegistryError::NotAuthentic) }
    }

    /// Makes a token. Its text is in the answer and nowhere else.
    pub async fn create_token(
        &self,
        by: &str,
        new: NewToken,
        now: DateTime<Utc>,
    ) -> Result<(TokenInfo, String), RegistryError> {
        check_token(&new, now)?;
        let text = secret::new_token()?;
        let row = token::Model {
            id: Uuid::now_v7(),
            user_name: new.user,
            label: new.label,
            hash: secret::token_hash(&text),
            scope: new.scope.map(|scope| json!(scope).to_string()),
            created_us: micros(now),
            expires_us: micros(new.expires_at),
            revoked_us: None,
        };
        let txn = self.records.write().await?;
        if user::Entity::find_by_id(&row.user_name).one(&*txn).await?.is_none() {
            return Err(RegistryError::UnknownUser(row.user_name));
        }
        row.clone().into_active_model().insert(&*txn).await?;
        let info = TokenInfo::try_from(row)?;
        let event = Event::new(by, "", "token.create", &info.user).detail(json!({
            "token": info.id, "label": info.label, "scope": info.scope,
            "expires": info.expires_at.to_rfc3339(),
        }));
        self.audit.append(&txn, event).await?;
        txn.commit().await?;
        Ok((info, text))
    }

    pub async fn revoke_token(
        &self,
        by: &str,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        let txn = self.records.write().await?;
        let row = token::Entity::find_by_id(id).one(&*txn).await?;
        let row = row.ok_or(RegistryError::UnknownToken(id))?;
        if row.revoked_us.is_some() {
            return Ok(());
        }
        let event = Event::new(by, "", "token.revoke", &row.user_name);
        let mut row = row.into_active_model();
        row.revoked_us = Set(Some(micros(now)));
        row.update(&*txn).await?;
        self.audit.append(&txn, event.detail(json!({ "token": id }))).await?;
        Ok(txn.commit().await?)
    }

    pub async fn tokens(&self, user: &str) -> Result<Vec<TokenInfo>, RegistryError> {
        let rows = token::Entity::find()
            .filter(token::Column::UserName.eq(user))
            .order_by_asc(token::Column::CreatedUs)
            .all(self.records.read())
            .await?;
        rows.into_iter().map(TokenInfo::try_from).collect()
    }

    /// The principal that a token's bearer acts as: its user, with no more than its scope.
    pub async fn principal_of_token(
        &self,
        text: &str,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<Principal, RegistryError> {
        if !text.starts_with(TOKEN_PREFIX) {
            return Err(RegistryError::NotAuthentic);
        }
        let row = token::Entity::find()
            .filter(token::Column::Hash.eq(secret::token_hash(text)))
            .one(self.records.read())
            .await?;
        let row = row.ok_or(RegistryError::NotAuthentic)?;
        if row.revoked_us.is_some() || row.expires_us <= micros(now) {
            return Err(RegistryError::NotAuthentic);
        }
        let info = TokenInfo::try_from(row)?;
        let mut principal = match self.principal(&info.user, pack).await {
            Err(RegistryError::Disabled(_)) => return Err(RegistryError::NotAuthentic),
            principal => principal?,
        };
        if let Some(scope) = info.scope {
            principal.permissions.retain(|permission| scope.contains(permission));
        }
        Ok(principal)
    }
}

impl UserInfo {
    /// For the audit.
    fn summary(&self) -> serde_json::Value {
        json!({
            "organisation": self.organisation, "roles": self.roles, "areas": self.areas,
            "active": self.active, "has_password": self.has_password,
        })
    }
}

impl TryFrom<user::Model> for UserInfo {
    type Error = RegistryError;

    fn try_from(row: user::Model) -> Result<Self, RegistryError> {
        Ok(Self {
            roles: list(&row.name, &row.roles)?,
            areas: list(&row.name, &row.areas)?,
            name: row.name,
            organisation: row.organisation,
            active: row.active,
            created_at: time(row.created_us),
            has_password: row.verifier.is_some(),
        })
    }
}

impl TryFrom<token::Model> for TokenInfo {
    type Error = RegistryError;

    fn try_from(row: token::Model) -> Result<Self, RegistryError> {
        let scope = row.scope.map(|scope| list(&row.id.to_string(), &scope)).transpose()?;
        Ok(Self {
            id: row.id,
            user: row.user_name,
            label: row.label,
            scope,
            created_at: time(row.created_us),
            expires_at: time(row.expires_us),
            revoked_at: row.revoked_us.map(time),
        })
    }
}

fn list(id: &str, json: &str) -> Result<Vec<String>, RegistryError> {
    serde_json::from_str(json)
        .map_err(|cause| RegistryError::Damaged { id: id.to_owned(), problem: cause.to_string() })
}

fn check_name(name: &str) -> Result<(), RegistryError> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-@".contains(c);
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts_well && name.len() <= NAME_CHARS_MAX && name.chars().all(good) {
        return Ok(());
    }
    let problem = format!(
        "expected up to {NAME_CHARS_MAX} of a-z, 0-9, `.`, `_`, `-`, `@`, beginning with a letter \
         or digit"
    );
    Err(RegistryError::Input { field: "name", problem })
}

fn check_organisation(tree: &Tree, id: &str) -> Result<(), RegistryError> {
    if tree.has_organisation(id) {
        return Ok(());
    }
    Err(RegistryError::UnknownOrganisation(id.to_owned()))
}

fn check_roles(pack: &Pack, roles: &[String]) -> Result<(), RegistryError> {
    let there_are: BTreeSet<&str> = pack.roles.iter().map(|role| role.id.as_str()).collect();
    let Some(unknown) = roles.iter().find(|role| !there_are.contains(role.as_str())) else {
        return Ok(());
    };
    let there_are = there_are.into_iter().collect::<Vec<_>>().join(", ");
    let problem = format!("there is no role `{unknown}`, expected some of: {there_are}");
    Err(RegistryError::Input { field: "roles", problem })
}

/// A user works within the area that the organisation answers for.
fn check_areas(tree: &Tree, organisation: &str, areas: &[String]) -> Result<(), RegistryError> {
    let input = |problem| Err(RegistryError::Input { field: "areas", problem });
    if areas.len() > SCOPE_AREAS_MAX {
        return input(format!("expected up to {SCOPE_AREAS_MAX}: name the areas above them"));
    }
    for code in areas {
        if !tree.has_area(code) {
            return Err(RegistryError::UnknownArea(code.clone()));
        }
        let own = tree.area_of(organisation).unwrap_or_default();
        if !tree.areas_above(code).iter().any(|above| above == own) {
            return input(format!("{code} lies outside {own}, for which {organisation} answers"));
        }
    }
    Ok(())
}

fn check_token(new: &NewToken, now: DateTime<Utc>) -> Result<(), RegistryError> {
    let input = |field, problem| Err(RegistryError::Input { field, problem });
    let chars = new.label.trim().chars().count();
    if chars == 0 || chars > LABEL_CHARS_MAX {
        return input("label", format!("expected 1 to {LABEL_CHARS_MAX} characters"));
    }
    if new.expires_at <= now || new.expires_at > now + TimeDelta::days(TOKEN_DAYS_MAX) {
        return input("expires_at", format!("expected a time in the next {TOKEN_DAYS_MAX} days"));
    }
    let scope = new.scope.as_deref().unwrap_or_default();
    match scope.iter().find(|permission| !PERMISSIONS.contains(&permission.as_str())) {
        Some(unknown) => {
            let there_are = PERMISSIONS.join(", ");
            let problem = format!("there is no `{unknown}`, expected some of: {there_are}");
            input("scope", problem)
        }
        None => Ok(()),
    }
}

async fn verifier_of(password: Option<String>) -> Result<Option<String>, RegistryError> {
    let Some(password) = password else { return Ok(None) };
    let too_short = password.chars().count() < PASSWORD_CHARS_MIN;
    if too_short || password.len() > PASSWORD_BYTES_MAX {
        let problem = format!("expected {PASSWORD_CHARS_MIN} characters or more");
        return Err(RegistryError::Input { field: "password", problem });
    }
    let verifier = off_thread(move || Verifier::of_password(&password)).await?;
    Ok(Some(verifier.to_string()))
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|join| {
        // Nobody cancels these tasks, so a failed join is a panic of the work: pass it on.
        std::panic::resume_unwind(join.into_panic())
    })
}
