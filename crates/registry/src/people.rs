//! Users, and the principal that comes of signing in.

use std::collections::BTreeSet;

use catalog::Principal;
use catalog::audit::Event;
use catalog::records::{micros, time};
use chrono::{DateTime, Utc};
use pack::Pack;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};
use serde_json::json;

use crate::proof::Keys;
use crate::records::{second_factor, user};
use crate::sync::ThingKind;
use crate::{Registry, RegistryError, Tree, duties};

const NAME_CHARS_MAX: usize = 63;
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
    /// The device is lost: its owner enrols another.
    NoSecondFactor,
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
    /// Whether signing in wants a code beside the password.
    pub second_factor: bool,
    pub last_sign_in_at: Option<DateTime<Utc>>,
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
        let mut roles: BTreeSet<String> = user.roles.into_iter().collect();
        // Refused when roles are given; a pack that has changed since closes them all the same.
        let held = roles.clone();
        roles.retain(|id| {
            let role = pack.roles.iter().find(|role| role.id == *id);
            role.is_none_or(|role| role.excludes.is_disjoint(&held))
        });
        let permissions = pack
            .roles
            .iter()
            .filter(|role| roles.contains(&role.id))
            .flat_map(|role| role.permissions.iter().cloned());
        Ok(Principal {
            user: user.name,
            ancestors: tree.ancestors(&organisation),
            organisations: tree.subtree(&organisation),
            // An area that is gone opens nothing.
            area_prefixes: areas.iter().filter_map(|code| tree.area_prefix(code)).collect(),
            permissions: permissions.collect(),
            roles,
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

    /// Makes a user. `by` is somebody whom nobody needs to ask: the folder's owner at the command
    /// line. Others go through [`Registry::create_user_as`].
    pub async fn create_user(
        &self,
        by: &str,
        new: NewUser,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<UserInfo, RegistryError> {
        self.add_user(by, None, new, pack, now).await
    }

    /// Makes a user as somebody who manages users: within their part of the city.
    pub async fn create_user_as(
        &self,
        manager: &Principal,
        new: NewUser,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<UserInfo, RegistryError> {
        self.add_user(&manager.user, Some(manager), new, pack, now).await
    }

    async fn add_user(
        &self,
        by: &str,
        manager: Option<&Principal>,
        new: NewUser,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<UserInfo, RegistryError> {
        check_name(&new.name)?;
        let tree = self.tree();
        check_organisation(&tree, &new.organisation)?;
        check_roles(pack, &new.roles)?;
        check_areas(&tree, &new.organisation, &new.areas)?;
        let keys = self.keys_of(new.password).await?;
        let row = user::Model {
            name: new.name,
            organisation: new.organisation,
            roles: json!(new.roles).to_string(),
            areas: json!(new.areas).to_string(),
            active: true,
            created_us: micros(now),
            verifier: keys.verifier,
            password_hash: keys.hash,
            last_sign_in_us: None,
        };
        let info = UserInfo::try_from(row.clone())?;
        if let Some(manager) = manager {
            duties::check(manager, &tree, pack, None, &info)?;
        }
        let txn = self.records.write().await?;
        if user::Entity::find_by_id(&row.name).one(&*txn).await?.is_some() {
            return Err(RegistryError::UserExists(row.name));
        }
        row.into_active_model().insert(&*txn).await?;
        let event = Event::new(by, "", "user.create", &info.name).detail(info.summary());
        self.audit.append(&txn, event).await?;
        self.commit_people(txn).await?;
        Ok(info)
    }

    /// Changes a user, for the folder's owner.
    pub async fn change_user(
        &self,
        by: &str,
        name: &str,
        change: Change,
        pack: &Pack,
    ) -> Result<UserInfo, RegistryError> {
        self.alter_user(by, None, name, vec![change], pack).await
    }

    /// Makes all of these changes or none, as somebody who manages users.
    pub async fn change_user_as(
        &self,
        manager: &Principal,
        name: &str,
        changes: Vec<Change>,
        pack: &Pack,
    ) -> Result<UserInfo, RegistryError> {
        self.alter_user(&manager.user, Some(manager), name, changes, pack).await
    }

    async fn alter_user(
        &self,
        by: &str,
        manager: Option<&Principal>,
        name: &str,
        changes: Vec<Change>,
        pack: &Pack,
    ) -> Result<UserInfo, RegistryError> {
        // Slow and without a look at the records: before the transaction begins.
        let password = changes.iter().rev().find_map(|change| match change {
            Change::Password(password) => Some(password.clone()),
            _ => None,
        });
        let keys = self.keys_of(password.flatten()).await?;
        let tree = self.tree();
        let txn = self.records.write().await?;
        let row = user::Entity::find_by_id(name).one(&*txn).await?;
        let mut row = row.ok_or_else(|| RegistryError::UnknownUser(name.to_owned()))?;
        let before = UserInfo::try_from(row.clone())?;
        let mut done = Vec::with_capacity(changes.len());
        for change in changes {
            let now = Utc::now();
            match &change {
                Change::Password(_) => {
                    self.end_sessions(&txn, name, None, now).await?;
                    self.revoke_tokens(&txn, by, name, now).await?;
                }
                Change::Active(false) => self.end_sessions(&txn, name, None, now).await?,
                Change::NoSecondFactor => {
                    self.drop_second_factor(&txn, by, name).await?;
                    self.end_sessions(&txn, name, None, now).await?;
                }
                // Tokens carry what their owner may. Those of before were made with no second
                // factor shown, and must not come to carry what is given for one.
                Change::Roles(roles) if self.wants_second_factor(&gained(&before, roles), pack) => {
                    self.revoke_tokens(&txn, by, name, now).await?;
                }
                _ => {}
            }
            done.push(apply(&mut row, change, &keys, &tree, pack)?);
        }
        let mut info = UserInfo::try_from(row.clone())?;
        if let Some(manager) = manager {
            duties::check(manager, &tree, pack, Some(&before), &info)?;
        }
        row.into_active_model().reset_all().update(&*txn).await?;
        for what in done {
            let event = Event::new(by, "", &format!("user.{what}"), name).detail(info.summary());
            self.audit.append(&txn, event).await?;
        }
        self.commit_people(txn).await?;
        info.second_factor = self.has_second_factor(name).await?;
        Ok(info)
    }

    pub async fn users(&self) -> Result<Vec<UserInfo>, RegistryError> {
        let rows =
            user::Entity::find().order_by_asc(user::Column::Name).all(self.records.read()).await?;
        let factors = second_factor::Entity::find()
            .filter(second_factor::Column::ConfirmedUs.is_not_null())
            .all(self.records.read())
            .await?;
        let with: BTreeSet<String> = factors.into_iter().map(|row| row.user_name).collect();
        let info = |row: user::Model| -> Result<UserInfo, RegistryError> {
            let mut info = UserInfo::try_from(row)?;
            info.second_factor = with.contains(&info.name);
            Ok(info)
        };
        rows.into_iter().map(info).collect()
    }

    pub async fn user(&self, name: &str) -> Result<UserInfo, RegistryError> {
        let row = user::Entity::find_by_id(name).one(self.records.read()).await?;
        let row = row.ok_or_else(|| RegistryError::UnknownUser(name.to_owned()))?;
        let mut info = UserInfo::try_from(row)?;
        info.second_factor = self.has_second_factor(name).await?;
        Ok(info)
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
            second_factor: false,
            last_sign_in_at: row.last_sign_in_us.map(time),
        })
    }
}

pub(crate) fn list(id: &str, json: &str) -> Result<Vec<String>, RegistryError> {
    serde_json::from_str(json)
        .map_err(|cause| RegistryError::Damaged { id: id.to_owned(), problem: cause.to_string() })
}

/// The roles that a user did not have before.
fn gained(before: &UserInfo, roles: &[String]) -> Vec<String> {
    roles.iter().filter(|role| !before.roles.contains(role)).cloned().collect()
}

/// Makes one change; says which it was.
fn apply(
    row: &mut user::Model,
    change: Change,
    keys: &Keys,
    tree: &Tree,
    pack: &Pack,
) -> Result<&'static str, RegistryError> {
    match change {
        Change::Organisation(id) => {
            check_organisation(tree, &id)?;
            row.organisation = id;
            // The old areas need not lie within the new organisation's.
            row.areas = "[]".to_owned();
            Ok("organisation")
        }
        Change::Roles(roles) => {
            check_roles(pack, &roles)?;
            row.roles = json!(roles).to_string();
            Ok("roles")
        }
        Change::Areas(areas) => {
            check_areas(tree, &row.organisation, &areas)?;
            row.areas = json!(areas).to_string();
            Ok("areas")
        }
        Change::Password(_) => {
            row.verifier.clone_from(&keys.verifier);
            row.password_hash.clone_from(&keys.hash);
            Ok("password")
        }
        Change::Active(active) => {
            row.active = active;
            Ok("active")
        }
        Change::NoSecondFactor => Ok("no_second_factor"),
    }
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
        return match pack.excluded(roles) {
            None => Ok(()),
            Some((one, other)) => Err(RegistryError::Input {
                field: "roles",
                problem: format!(
                    "nobody is `{one}` and `{other}` at once: give them to two people"
                ),
            }),
        };
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
