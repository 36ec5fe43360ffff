//! Signing in and out, and what one may do about one's own sign-in: password, second factor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use catalog::Principal;
use chrono::{DateTime, Utc};
use pack::{Pack, Text};
use registry::{Origin, RegistryError, Seat};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Http;
use super::doors::{Bilingual, DemoLogin};
use super::gate::{Seated, csrf_of, set_cookie};
use super::input::{Input, Who};
use super::problem::Problem;
use super::watch::Client;
use crate::fault::{Code, Fault};
use crate::limits::{LOGIN_FAILURE_MS, SIGN_IN_TEXT_BYTES_MAX};

const WRONG_CODE: &str = "the code is wrong or was used before";

/// What a sign-in page needs to know.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignInPage {
    pub city: CityName,
    /// Whether one can sign in with a password.
    pub password: bool,
    pub oidc: Vec<OidcDoor>,
    /// The logins of a demonstration; none in a real city.
    pub demo: Option<Vec<DemoLogin>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CityName {
    pub code: String,
    #[schema(value_type = Bilingual)]
    pub name: Text,
    pub zone: String,
}

/// An OpenID provider: one goes to `/api/oidc/{id}/start`.
#[derive(Debug, Serialize, ToSchema)]
pub struct OidcDoor {
    pub id: String,
    #[schema(value_type = Bilingual)]
    pub title: Text,
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub user: String,
    pub password: String,
    /// A code of the second factor, where the user has one.
    pub code: Option<String>,
}

/// Who I am, and what I may.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub user: String,
    #[schema(value_type = Option<Bilingual>)]
    pub title: Option<Text>,
    pub organisation: Named,
    pub roles: Vec<Titled>,
    pub permissions: Vec<String>,
    pub areas: Vec<AreaName>,
    /// Whether I have a second factor.
    pub second_factor: bool,
    /// A role of mine asks for a second factor, and all else is refused until I have one.
    pub must_enrol: bool,
    /// To be sent as `x-csrf-token` with every request that changes something. Empty for tokens.
    pub csrf: String,
    /// When the session ends, used or not. None for tokens.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Named {
    pub id: String,
    #[schema(value_type = Bilingual)]
    pub name: Text,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Titled {
    pub id: String,
    #[schema(value_type = Bilingual)]
    pub title: Text,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AreaName {
    pub code: String,
    #[schema(value_type = Bilingual)]
    pub name: Text,
    #[schema(value_type = Option<String>)]
    pub level: Option<pack::AreaLevel>,
}

/// A code of the second factor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeShown {
    pub code: String,
}

/// A new device's secret, shown this once.
#[derive(Serialize, ToSchema)]
pub struct NewSecret {
    /// Base 32, for typing.
    pub secret: String,
    /// `otpauth://…`, for a QR code.
    pub uri: String,
}

/// A change of one's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    pub old: String,
    pub new: String,
}

/// What a sign-in page needs to know.
#[utoipa::path(get, path = "/api/sign-in", tag = "session", responses((status = 200, body = SignInPage)))]
pub async fn page(State(http): State<Arc<Http>>) -> Json<SignInPage> {
    let city = &http.city.pack().city;
    Json(SignInPage {
        city: CityName {
            code: city.code.clone(),
            name: city.name.clone(),
            zone: city.zone.clone(),
        },
        password: true,
        oidc: http
            .doors
            .oidc
            .iter()
            .map(|door| OidcDoor { id: door.config.id.clone(), title: door.config.title.clone() })
            .collect(),
        demo: http.doors.demo.clone(),
    })
}

/// Signs in: sets a cookie that stands for this user from now on.
#[utoipa::path(
    post, path = "/api/session", tag = "session", request_body = SignIn,
    responses((status = 200, body = Me), (status = 400, body = Problem), (status = 401, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem))
)]
pub async fn sign_in(
    State(http): State<Arc<Http>>,
    Client(address): Client,
    headers: HeaderMap,
    Input(given): Input<SignIn>,
) -> Result<Response, Fault> {
    let long = |text: &str| text.len() > SIGN_IN_TEXT_BYTES_MAX;
    if long(&given.user) || long(&given.password) || given.code.as_deref().is_some_and(long) {
        return Err(Fault::new(Code::Invalid, "the user, the password or the code is too long"));
    }
    let (registry, throttle) = (http.city.registry(), &http.doors.throttle);
    if let Some(wait) = throttle.wait(address, &given.user, Instant::now()) {
        return Err(throttled(wait));
    }
    let code = given.code.as_deref().filter(|code| !code.trim().is_empty());
    let proved = registry.prove(&given.user, &given.password, code, Utc::now()).await;
    // Asked again, right or wrong: of many guesses begun together only so many are answered.
    if let Some(wait) = throttle.wait(address, &given.user, Instant::now()) {
        return Err(throttled(wait));
    }
    match proved {
        Ok(()) => {}
        // The first step of two: nothing was guessed yet, and nothing is proved.
        Err(RegistryError::SecondFactor) if code.is_none() => {
            return Err(RegistryError::SecondFactor.into());
        }
        Err(error @ (RegistryError::NotAuthentic | RegistryError::SecondFactor)) => {
            let reason = match error {
                RegistryError::SecondFactor => "wrong or used code",
                _ => "wrong password",
            };
            let locked = throttle.failed(address, &given.user, Instant::now());
            let reason = if locked { format!("{reason}; locked out") } else { reason.to_owned() };
            let address = address.to_string();
            registry.note_refused_sign_in(&given.user, &address, &reason).await?;
            tokio::time::sleep(Duration::from_millis(LOGIN_FAILURE_MS)).await;
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    }
    let origin = origin(address, &headers, "password");
    let (cookie, me) = http.seat(&given.user, origin).await?;
    throttle.succeeded(address, &given.user);
    let set_cookie = set_cookie(Some(&cookie), http.doors.secure);
    Ok(([(header::SET_COOKIE, set_cookie)], Json(me)).into_response())
}

fn throttled(wait: Duration) -> Fault {
    let minutes = wait.as_secs() / 60 + 1;
    let fault = format!("too many failed sign-ins: try again in {minutes} min");
    let mut fault = Fault::new(Code::Throttled, fault);
    fault.retry_after_s = Some(wait.as_secs() + 1);
    fault
}

/// Where somebody signs in from.
pub fn origin(address: std::net::IpAddr, headers: &HeaderMap, method: &str) -> Origin {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Origin {
        address: address.to_string(),
        agent: agent.unwrap_or_default().to_owned(),
        method: method.to_owned(),
        strong: false,
    }
}

/// Who I am.
#[utoipa::path(
    get, path = "/api/session", tag = "session", security(("token" = []), ("cookie" = [])),
    responses((status = 200, body = Me), (status = 401, body = Problem))
)]
pub async fn me(
    State(http): State<Arc<Http>>,
    who: Who,
    seated: Option<axum::Extension<Seated>>,
) -> Result<Json<Me>, Fault> {
    let seated = seated.map(|axum::Extension(seated)| seated);
    http.me(&who.0, seated.as_ref().map(|seated| (&*seated.seat, seated.csrf.clone())))
        .await
        .map(Json)
}

/// Signs out.
#[utoipa::path(
    delete, path = "/api/session", tag = "session", security(("cookie" = [])),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn sign_out(
    State(http): State<Arc<Http>>,
    who: Who,
    seated: Seated,
) -> Result<Response, Fault> {
    http.city.registry().end_session(&who.0.user, seated.seat.id, Utc::now()).await?;
    let gone = set_cookie(None, http.doors.secure);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// Changes my password; ends all my other sessions.
#[utoipa::path(
    post, path = "/api/session/password", tag = "session", security(("cookie" = [])),
    request_body = NewPassword,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 429, body = Problem))
)]
pub async fn password(
    State(http): State<Arc<Http>>,
    Client(address): Client,
    who: Who,
    seated: Seated,
    Input(given): Input<NewPassword>,
) -> Result<StatusCode, Fault> {
    let (registry, user, session) = (http.city.registry(), &who.0.user, Some(seated.seat.id));
    let changed = registry.change_password(user, &given.old, &given.new, session, Utc::now());
    http.tried(address, user, changed, "the old password is wrong").await
}

/// Makes a secret for a device of mine. It counts once a code of it has been shown.
#[utoipa::path(
    post, path = "/api/session/second-factor", tag = "session", security(("cookie" = [])),
    responses((status = 200, body = NewSecret), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem))
)]
pub async fn enrol(
    State(http): State<Arc<Http>>,
    who: Who,
    _seated: Seated,
) -> Result<Json<NewSecret>, Fault> {
    let issuer = format!("Shujin {}", http.city.pack().city.name.zh);
    let made = http.city.registry().enrol_second_factor(&who.0.user, &issuer, Utc::now()).await?;
    Ok(Json(NewSecret { secret: made.secret, uri: made.uri }))
}

/// Shows a first code of my device: from now on signing in wants one.
#[utoipa::path(
    put, path = "/api/session/second-factor", tag = "session", security(("cookie" = [])),
    request_body = CodeShown,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem))
)]
pub async fn confirm(
    State(http): State<Arc<Http>>,
    Client(address): Client,
    who: Who,
    _seated: Seated,
    Input(given): Input<CodeShown>,
) -> Result<StatusCode, Fault> {
    let shown = http.city.registry().confirm_second_factor(&who.0.user, &given.code, Utc::now());
    http.tried(address, &who.0.user, shown, WRONG_CODE).await
}

/// Removes my second factor, where no role of mine asks for one.
#[utoipa::path(
    delete, path = "/api/session/second-factor", tag = "session", security(("cookie" = [])),
    request_body = CodeShown,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem))
)]
pub async fn remove(
    State(http): State<Arc<Http>>,
    Client(address): Client,
    who: Who,
    _seated: Seated,
    Input(given): Input<CodeShown>,
) -> Result<StatusCode, Fault> {
    let (registry, pack) = (http.city.registry(), http.city.pack());
    let shown = registry.remove_second_factor(&who.0.user, &given.code, pack, Utc::now());
    http.tried(address, &who.0.user, shown, WRONG_CODE).await
}

impl Http {
    /// Opens a session for somebody who has proved to be this user; answers its cookie.
    pub(super) async fn seat(&self, user: &str, origin: Origin) -> Result<(String, Me), Fault> {
        let (registry, pack, now) = (self.city.registry(), self.city.pack(), Utc::now());
        let (_, cookie) = registry.open_session(user, origin, now).await?;
        let seat = registry.seat(&cookie, pack, now).await?;
        let me = self.me(&seat.principal, Some((&*seat, csrf_of(&cookie)))).await?;
        Ok((cookie, me))
    }

    /// Whether somebody has to get a second factor before anything else.
    pub(super) fn owes_second_factor(&self, seat: &Seat) -> bool {
        seat.must_enrol && self.doors.demo.is_none()
    }

    async fn me(&self, who: &Principal, seat: Option<(&Seat, String)>) -> Result<Me, Fault> {
        let (registry, pack) = (self.city.registry(), self.city.pack());
        let user = registry.user(&who.user).await?;
        let organisation = pack.organisations.iter().find(|found| found.id == who.organisation);
        let roles = pack.roles.iter().filter(|role| who.roles.contains(&role.id));
        let areas = match user.areas.is_empty() {
            false => user.areas,
            true => {
                registry.tree().area_of(&who.organisation).map(str::to_owned).into_iter().collect()
            }
        };
        let must_enrol = seat.as_ref().is_some_and(|(seat, _)| self.owes_second_factor(seat));
        let demo = self.doors.demo.iter().flatten().find(|login| login.user == who.user);
        let expires_at = seat.as_ref().map(|(seat, _)| seat.expires_at);
        Ok(Me {
            user: who.user.clone(),
            title: demo.map(|login| login.title.clone()),
            organisation: Named {
                id: who.organisation.clone(),
                name: organisation.map(|found| found.name.clone()).unwrap_or_default(),
            },
            roles: roles
                .map(|role| Titled { id: role.id.clone(), title: role.title.clone() })
                .collect(),
            permissions: match must_enrol {
                true => Vec::new(),
                false => who.permissions.iter().cloned().collect(),
            },
            areas: areas.iter().map(|code| area_name(pack, code)).collect(),
            second_factor: user.second_factor,
            must_enrol,
            csrf: seat.map(|(_, csrf)| csrf).unwrap_or_default(),
            expires_at,
        })
    }

    /// Tries a password or a code and does at once what it is for. Wrong codes count together with
    /// wrong passwords: there are only a million codes. Counted before it is tried, as what is done
    /// cannot be taken back when many were tried together.
    async fn tried(
        &self,
        address: std::net::IpAddr,
        user: &str,
        trial: impl Future<Output = Result<(), RegistryError>>,
        wrong: &str,
    ) -> Result<StatusCode, Fault> {
        let throttle = &self.doors.throttle;
        throttle.begin(address, user, Instant::now()).map_err(throttled)?;
        match trial.await {
            Err(RegistryError::NotAuthentic | RegistryError::SecondFactor) => {
                tokio::time::sleep(Duration::from_millis(LOGIN_FAILURE_MS)).await;
                Err(Fault::new(Code::Invalid, wrong))
            }
            done => {
                throttle.forgive(address, user);
                Ok(done.map(|()| StatusCode::NO_CONTENT)?)
            }
        }
    }
}

fn area_name(pack: &Pack, code: &str) -> AreaName {
    match pack.areas.iter().find(|area| area.code == code) {
        Some(area) => {
            AreaName { code: code.to_owned(), name: area.name.clone(), level: Some(area.level) }
        }
        None => AreaName {
            code: code.to_owned(),
            name: Text { zh: code.to_owned(), en: code.to_owned() },
            level: None,
        },
    }
}
