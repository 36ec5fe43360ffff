//! Users, for whoever manages them; and the roles and organisations that they can be given.
//!
//! What a manager may not do even so is the registry's to say: see docs/decisions/0010.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use pack::Text;
use registry::{Change, NewUser, UserInfo};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::doors::Bilingual;
use super::input::{Asked, Input, Named, Who};
use super::problem::Problem;
use crate::fault::{Code, Fault};
use crate::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, SEARCH_CHARS_MAX, SIGN_IN_TEXT_BYTES_MAX};

/// Roles that one user may be given; a pack has a few dozen.
const ROLES_MAX: usize = 100;

/// Which users.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsersQuery {
    /// A part of the name, the organisation's id or name, or a role's id.
    q: Option<String>,
    /// Users on the page, 50 where it is left out, 200 at most.
    limit: Option<usize>,
    /// Users before the page.
    offset: Option<usize>,
}

/// A page of users, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserList {
    pub items: Vec<User>,
    pub total: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    pub name: String,
    /// An organisation's id.
    pub organisation: String,
    pub roles: Vec<String>,
    /// Codes; none: the organisation's own area.
    pub areas: Vec<String>,
    pub active: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: DateTime<Utc>,
    pub has_password: bool,
    pub second_factor: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_sign_in_at: Option<DateTime<Utc>>,
}

impl From<UserInfo> for User {
    fn from(info: UserInfo) -> Self {
        Self {
            name: info.name,
            organisation: info.organisation,
            roles: info.roles,
            areas: info.areas,
            active: info.active,
            created_at: info.created_at,
            has_password: info.has_password,
            second_factor: info.second_factor,
            last_sign_in_at: info.last_sign_in_at,
        }
    }
}

/// A user about to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserMade {
    /// Small letters, digits, `.`, `_`, `-`, `@`.
    pub name: String,
    pub organisation: String,
    pub roles: Vec<String>,
    /// Codes; none: the organisation's own area.
    #[serde(default)]
    pub areas: Vec<String>,
    /// None: who signs in by an OpenID provider, or a program with tokens.
    pub password: Option<String>,
}

/// What is to be otherwise about a user; all of it, or nothing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChanged {
    /// Empties the areas, unless they are given too.
    pub organisation: Option<String>,
    /// One that asks for a second factor revokes the user's tokens.
    pub roles: Option<Vec<String>>,
    pub areas: Option<Vec<String>>,
    /// Ends the user's sessions and revokes their tokens.
    pub password: Option<String>,
    /// False: the user is out at once.
    pub active: Option<bool>,
    /// False: the device is lost, and another will be enrolled. Ends the user's sessions.
    pub second_factor: Option<bool>,
}

/// Users of the part of the city that is the asker's.
#[utoipa::path(
    get, path = "/api/users", tag = "administration", security(("token" = []), ("cookie" = [])),
    params(UsersQuery),
    responses((status = 200, body = UserList), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn list(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<UsersQuery>,
) -> Result<Json<UserList>, Fault> {
    let wanted = asked.q.unwrap_or_default().trim().to_lowercase();
    if wanted.chars().count() > SEARCH_CHARS_MAX {
        let reason = format!("a search has {SEARCH_CHARS_MAX} characters at most");
        return Err(Fault::new(Code::Invalid, reason));
    }
    let organisations = &http.city.pack().organisations;
    let fits = |user: &UserInfo| {
        let named = organisations.iter().find(|found| found.id == user.organisation);
        let names = named.map(|found| [found.name.zh.clone(), found.name.en.to_lowercase()]);
        user.name.contains(&wanted)
            || user.organisation.contains(&wanted)
            || user.roles.iter().any(|role| role.contains(&wanted))
            || names.iter().flatten().any(|name| name.contains(&wanted))
    };
    let own = |user: &UserInfo| who.0.organisations.contains(&user.organisation);
    let users = http.city.registry().users().await?;
    let users: Vec<UserInfo> = users.into_iter().filter(|user| own(user) && fits(user)).collect();
    let limit = asked.limit.unwrap_or(PAGE_ITEMS_DEFAULT).min(PAGE_ITEMS_MAX);
    let page = users.iter().skip(asked.offset.unwrap_or(0)).take(limit);
    Ok(Json(UserList { items: page.cloned().map(User::from).collect(), total: users.len() }))
}

/// Makes a user.
#[utoipa::path(
    post, path = "/api/users", tag = "administration", security(("token" = []), ("cookie" = [])),
    request_body = UserMade,
    responses((status = 201, body = User), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn create(
    State(http): State<Arc<Http>>,
    who: Who,
    Input(made): Input<UserMade>,
) -> Result<(StatusCode, Json<User>), Fault> {
    bounded(&made.roles, made.password.as_deref())?;
    let new = NewUser {
        name: made.name,
        organisation: made.organisation,
        roles: made.roles,
        areas: made.areas,
        password: made.password,
    };
    let (registry, pack) = (http.city.registry(), http.city.pack());
    let info = registry.create_user_as(&who.0, new, pack, Utc::now()).await?;
    Ok((StatusCode::CREATED, Json(info.into())))
}

/// Changes a user.
#[utoipa::path(
    patch, path = "/api/users/{name}", tag = "administration", security(("token" = []), ("cookie" = [])),
    params(("name" = String, Path)), request_body = UserChanged,
    responses((status = 200, body = User), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn change(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(name): Named<String>,
    Input(changed): Input<UserChanged>,
) -> Result<Json<User>, Fault> {
    bounded(changed.roles.as_deref().unwrap_or_default(), changed.password.as_deref())?;
    if changed.second_factor == Some(true) {
        let reason = "a second factor is enrolled by its owner";
        return Err(Fault::new(Code::Invalid, reason).hint("send false to remove one"));
    }
    let changes = [
        changed.organisation.map(Change::Organisation),
        changed.roles.map(Change::Roles),
        changed.areas.map(Change::Areas),
        changed.password.map(|password| Change::Password(Some(password))),
        changed.active.map(Change::Active),
        changed.second_factor.map(|_| Change::NoSecondFactor),
    ];
    let changes: Vec<Change> = changes.into_iter().flatten().collect();
    if changes.is_empty() {
        return Err(Fault::new(Code::Invalid, "nothing is to be changed"));
    }
    let (registry, pack) = (http.city.registry(), http.city.pack());
    Ok(Json(registry.change_user_as(&who.0, &name, changes, pack).await?.into()))
}

fn bounded(roles: &[String], password: Option<&str>) -> Result<(), Fault> {
    if roles.len() > ROLES_MAX {
        return Err(Fault::new(Code::Invalid, format!("a user has {ROLES_MAX} roles at most")));
    }
    if password.is_some_and(|password| password.len() > SIGN_IN_TEXT_BYTES_MAX) {
        return Err(Fault::new(Code::Invalid, "the password is too long"));
    }
    Ok(())
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleList {
    pub items: Vec<Role>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Role {
    pub id: String,
    #[schema(value_type = Bilingual)]
    pub title: Text,
    pub permissions: Vec<String>,
    /// Holders sign in with a second factor.
    pub second_factor: bool,
    /// Roles that nobody holds beside this one.
    pub excludes: Vec<String>,
}

/// The roles of this city.
#[utoipa::path(
    get, path = "/api/roles", tag = "administration", security(("token" = []), ("cookie" = [])),
    responses((status = 200, body = RoleList), (status = 401, body = Problem))
)]
pub async fn roles(State(http): State<Arc<Http>>, _who: Who) -> Json<RoleList> {
    let role = |role: &pack::Role| Role {
        id: role.id.clone(),
        title: role.title.clone(),
        permissions: role.permissions.clone(),
        second_factor: role.second_factor,
        excludes: role.excludes.iter().cloned().collect(),
    };
    Json(RoleList { items: http.city.pack().roles.iter().map(role).collect() })
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrganisationList {
    pub items: Vec<Organisation>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Organisation {
    pub id: String,
    #[schema(value_type = Bilingual)]
    pub name: Text,
    pub kind: String,
    pub parent: Option<String>,
    /// Code of the area that it answers for.
    pub area: String,
}

/// The organisations of this city.
#[utoipa::path(
    get, path = "/api/organisations", tag = "administration", security(("token" = []), ("cookie" = [])),
    responses((status = 200, body = OrganisationList), (status = 401, body = Problem))
)]
pub async fn organisations(State(http): State<Arc<Http>>, _who: Who) -> Json<OrganisationList> {
    let organisation = |found: &pack::Organisation| Organisation {
        id: found.id.clone(),
        name: found.name.clone(),
        kind: found.kind.clone(),
        parent: found.parent.clone(),
        area: found.area.clone(),
    };
    let items = http.city.pack().organisations.iter().map(organisation).collect();
    Json(OrganisationList { items })
}
