//! One's tokens and sessions, and those of others for whoever manages users: listed, made, ended.
//!
//! A token is made by somebody who has signed in, for themselves: a token makes no further tokens,
//! or one that leaked would never end.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use pack::access::{Action, Thing};
use registry::tokens::TOKEN_DAYS_MAX;
use registry::{NewToken, SessionInfo, TokenInfo};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Http;
use super::access::ask;
use super::gate::Seated;
use super::input::{Asked, Input, Named, Who};
use super::problem::Problem;
use crate::fault::{Code, Fault};

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhoseQuery {
    /// A user's name; one's own where it is left out.
    user: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TokenList {
    pub items: Vec<Token>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Token {
    #[schema(value_type = String)]
    pub id: Uuid,
    pub user: String,
    /// What it is for.
    pub label: String,
    /// Permissions to which its user's are cut down; none: all of them.
    pub scope: Option<Vec<String>>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: DateTime<Utc>,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: DateTime<Utc>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<DateTime<Utc>>,
}

impl From<TokenInfo> for Token {
    fn from(info: TokenInfo) -> Self {
        Self {
            id: info.id,
            user: info.user,
            label: info.label,
            scope: info.scope,
            created_at: info.created_at,
            expires_at: info.expires_at,
            revoked_at: info.revoked_at,
        }
    }
}

/// A token about to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenMade {
    /// What it is for.
    pub label: String,
    /// Some of one's permissions; all where it is left out.
    pub scope: Option<Vec<String>>,
    /// How long it is good for.
    pub days: u32,
}

/// A new token: the only time that its text is seen.
#[derive(Serialize, ToSchema)]
pub struct TokenShown {
    #[serde(flatten)]
    pub about: Token,
    pub token: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SessionList {
    pub items: Vec<OpenSession>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OpenSession {
    #[schema(value_type = String)]
    pub id: Uuid,
    pub user: String,
    /// `password`, or an OpenID provider's id.
    pub method: String,
    pub address: String,
    /// What the browser says it is.
    pub agent: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: DateTime<Utc>,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: DateTime<Utc>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Tokens: mine, or those of a user that I manage.
#[utoipa::path(
    get, path = "/api/tokens", tag = "administration", security(("token" = []), ("cookie" = [])),
    params(WhoseQuery),
    responses((status = 200, body = TokenList), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn tokens(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<WhoseQuery>,
) -> Result<Json<TokenList>, Fault> {
    let user = whose(&http, &who, asked.user, Action::TokensManage).await?;
    let items = http.city.registry().tokens(&user, Utc::now()).await?;
    Ok(Json(TokenList { items: items.into_iter().map(Token::from).collect() }))
}

/// Makes a token for me.
#[utoipa::path(
    post, path = "/api/tokens", tag = "administration", security(("cookie" = [])),
    request_body = TokenMade,
    responses((status = 201, body = TokenShown), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn make_token(
    State(http): State<Arc<Http>>,
    who: Who,
    _seated: Seated,
    Input(made): Input<TokenMade>,
) -> Result<(StatusCode, Json<TokenShown>), Fault> {
    let days = i64::from(made.days);
    if !(1..=TOKEN_DAYS_MAX).contains(&days) {
        let reason = format!("a token is good for 1 to {TOKEN_DAYS_MAX} days");
        return Err(Fault::new(Code::Invalid, reason));
    }
    let now = Utc::now();
    let new = NewToken {
        user: who.0.user.clone(),
        label: made.label,
        scope: made.scope,
        expires_at: now + TimeDelta::days(days),
    };
    let (info, token) = http.city.registry().create_token(&who.0.user, new, now).await?;
    Ok((StatusCode::CREATED, Json(TokenShown { about: info.into(), token })))
}

/// Revokes a token of mine, or of a user that I manage.
#[utoipa::path(
    delete, path = "/api/tokens/{id}", tag = "administration", security(("token" = []), ("cookie" = [])),
    params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn revoke_token(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<Uuid>,
) -> Result<StatusCode, Fault> {
    let registry = http.city.registry();
    // Another's token is not told from none.
    let unknown = || Fault::new(Code::NotFound, format!("there is no token {id}"));
    whole(&http, &who).await?;
    let token = registry.token(id).await?;
    let within = reach(&http, &who, &token.user, Action::TokensManage).await?;
    within.then_some(()).ok_or_else(unknown)?;
    registry.revoke_token(&who.0.user, id, Utc::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Open sessions: mine, or those of a user that I manage.
#[utoipa::path(
    get, path = "/api/sessions", tag = "administration", security(("token" = []), ("cookie" = [])),
    params(WhoseQuery),
    responses((status = 200, body = SessionList), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn sessions(
    State(http): State<Arc<Http>>,
    who: Who,
    seated: Option<axum::Extension<Seated>>,
    Asked(asked): Asked<WhoseQuery>,
) -> Result<Json<SessionList>, Fault> {
    let user = whose(&http, &who, asked.user, Action::SessionsManage).await?;
    let mine = seated.map(|axum::Extension(seated)| seated.seat.id);
    let open = |info: SessionInfo| OpenSession {
        current: Some(info.id) == mine,
        id: info.id,
        user: info.user,
        method: info.method,
        address: info.address,
        agent: info.agent,
        created_at: info.created_at,
        seen_at: info.seen_at,
        expires_at: info.expires_at,
    };
    let items = http.city.registry().sessions(&user, Utc::now()).await?;
    Ok(Json(SessionList { items: items.into_iter().map(open).collect() }))
}

/// Ends a session of mine, or of a user that I manage.
#[utoipa::path(
    delete, path = "/api/sessions/{id}", tag = "administration", security(("token" = []), ("cookie" = [])),
    params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn end_session(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<Uuid>,
) -> Result<StatusCode, Fault> {
    let registry = http.city.registry();
    let unknown = || Fault::new(Code::NotFound, format!("there is no session {id}"));
    whole(&http, &who).await?;
    let session = registry.session(id).await?;
    let within = reach(&http, &who, &session.user, Action::SessionsManage).await?;
    within.then_some(()).ok_or_else(unknown)?;
    registry.end_session(&who.0.user, id, Utc::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose things are asked about, where the asker may know.
async fn whose(
    http: &Http,
    who: &Who,
    asked: Option<String>,
    action: Action,
) -> Result<String, Fault> {
    let Some(user) = asked.filter(|user| *user != who.0.user) else {
        return Ok(who.0.user.clone());
    };
    ask(http, who, action, Thing::Platform)?;
    match reach(http, who, &user, action).await? {
        true => Ok(user),
        false => Err(Fault::new(Code::NotFound, "there is no such user in your organisation")),
    }
}

/// Whether a user's credentials are one's own, or the rules let one manage those of others and the
/// user is within what one manages.
async fn reach(http: &Http, who: &Who, user: &str, action: Action) -> Result<bool, Fault> {
    if who.0.user == user {
        return Ok(true);
    }
    if ask(http, who, action, Thing::Platform).is_err() {
        return Ok(false);
    }
    Ok(http.city.registry().may_manage(&who.0, user, http.city.pack()).await?)
}

/// Refuses a token that was given for less than its owner may: what leaked from a dashboard must
/// not put its owner out.
async fn whole(http: &Http, who: &Who) -> Result<(), Fault> {
    let owner = http.city.registry().principal(&who.0.user, http.city.pack()).await?;
    if who.0.permissions.is_superset(&owner.permissions) {
        return Ok(());
    }
    let fault = Fault::new(Code::Refused, "this token was made for less than ending credentials");
    Err(fault.hint("sign in, or use a token that has all of your rights"))
}
