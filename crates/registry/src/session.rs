//! Sessions: a browser that has signed in, known by its cookie.
//!
//! The cookie is 256 random bits, of which only the hash is kept. A session ends by itself when it
//! is not used for a while or has lasted a day's work, and at once when its user signs out, gets
//! another password, loses the second factor or is disabled.

use std::sync::Arc;

use catalog::Principal;
use catalog::audit::{Event, Outcome};
use catalog::records::{micros, time};
use chrono::{DateTime, TimeDelta, Utc};
use pack::Pack;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, Set,
};
use serde_json::json;
use store::records::WriteTxn;
use uuid::Uuid;

use crate::kept::KEPT_SECONDS_MAX;
use crate::records::{session, user};
use crate::{Registry, RegistryError, secret};

/// A session that nothing was asked in for so long has ended.
pub const SESSION_IDLE_MINUTES_MAX: i64 = 60;
/// A session ends after this, used or not: a long day at work.
pub const SESSION_HOURS_MAX: i64 = 12;
/// Sessions that a user may have open; the oldest gives way.
const SESSIONS_OF_USER_MAX: usize = 20;
/// How long an ended session is kept for its owner to look at.
const SESSION_KEPT_DAYS: i64 = 30;
const AGENT_CHARS_MAX: usize = 200;

/// Where somebody signs in from, as far as it can be known.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    pub address: String,
    /// What the browser says it is.
    pub agent: String,
    /// `password`, or the id of an OpenID provider.
    pub method: String,
    /// Whether the provider has asked for a second factor itself.
    pub strong: bool,
}

/// A session as its owner may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    pub id: Uuid,
    pub user: String,
    pub method: String,
    pub address: String,
    pub agent: String,
    pub created_at: DateTime<Utc>,
    /// To the minute.
    pub seen_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Who sits at a browser, now.
#[derive(Debug)]
pub struct Seat {
    pub id: Uuid,
    pub principal: Arc<Principal>,
    pub expires_at: DateTime<Utc>,
    /// Whether its user has a second factor.
    pub second_factor: bool,
    /// A role asks for a second factor and its holder has none: nothing but getting one is allowed.
    pub must_enrol: bool,
}

impl Registry {
    /// Opens a session for a user who has proved to be one. The cookie's text is in the answer and
    /// nowhere else.
    pub async fn open_session(
        &self,
        name: &str,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Result<(SessionInfo, String), RegistryError> {
        let cookie = secret::new_cookie()?;
        let row = session::Model {
            id: Uuid::now_v7(),
            user_name: name.to_owned(),
            hash: secret::token_hash(&cookie),
            method: origin.method,
            strong: origin.strong,
            address: origin.address,
            agent: origin.agent.chars().take(AGENT_CHARS_MAX).collect(),
            created_us: micros(now),
            seen_us: micros(now),
            expires_us: micros(now + TimeDelta::hours(SESSION_HOURS_MAX)),
            ended_us: None,
        };
        let txn = self.records.write().await?;
        let user = user::Entity::find_by_id(name).one(&*txn).await?;
        let user = user.filter(|user| user.active).ok_or(RegistryError::NotAuthentic)?;
        let mut user = user.into_active_model();
        user.last_sign_in_us = Set(Some(micros(now)));
        user.update(&*txn).await?;
        self.tidy_sessions(&txn, name, now).await?;
        row.clone().into_active_model().insert(&*txn).await?;
        let event = Event::new(name, "", "sign_in", name).detail(json!({
            "session": row.id, "method": row.method, "address": row.address, "agent": row.agent,
        }));
        self.audit.append(&txn, event).await?;
        txn.commit().await?;
        Ok((SessionInfo::from(row), cookie))
    }

    /// Who sits behind a cookie, and is at work. An ended, unknown or disabled one is
    /// [`RegistryError::NotAuthentic`].
    pub async fn seat(
        &self,
        cookie: &str,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<Arc<Seat>, RegistryError> {
        let hash = secret::token_hash(cookie);
        let versions = self.versions();
        if let Some(seat) = self.seats.get(&hash, versions, now) {
            return Ok(seat);
        }
        let (row, seat) = self.look_for(&hash, pack, now).await?;
        let ends = seat.expires_at.min(now + TimeDelta::minutes(SESSION_IDLE_MINUTES_MAX));
        if time(row.seen_us) + TimeDelta::seconds(KEPT_SECONDS_MAX) <= now {
            self.note_seen(row.id, now).await?;
        }
        Ok(self.seats.put(hash, seat, versions, now, ends))
    }

    /// As [`Registry::seat`], where nobody may be sitting there: what a page asks by itself does
    /// not make its session last.
    pub async fn empty_seat(
        &self,
        cookie: &str,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<Arc<Seat>, RegistryError> {
        let hash = secret::token_hash(cookie);
        match self.seats.get(&hash, self.versions(), now) {
            Some(seat) => Ok(seat),
            // Not kept: a use that is found there would not be noted.
            None => Ok(Arc::new(self.look_for(&hash, pack, now).await?.1)),
        }
    }

    async fn look_for(
        &self,
        hash: &str,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<(session::Model, Seat), RegistryError> {
        let found = session::Entity::find().filter(session::Column::Hash.eq(hash));
        let row = found.one(self.records.read()).await?;
        let row = row.filter(|row| is_open(row, now)).ok_or(RegistryError::NotAuthentic)?;
        let user = self.user(&row.user_name).await?;
        let principal = match self.principal(&row.user_name, pack).await {
            Err(RegistryError::Disabled(_) | RegistryError::UnknownOrganisation(_)) => {
                return Err(RegistryError::NotAuthentic);
            }
            principal => principal?,
        };
        let seat = Seat {
            id: row.id,
            principal: Arc::new(principal),
            expires_at: time(row.expires_us),
            second_factor: user.second_factor,
            must_enrol: !row.strong
                && !user.second_factor
                && self.wants_second_factor(&user.roles, pack),
        };
        Ok((row, seat))
    }

    /// A user's open sessions, the newest first.
    pub async fn sessions(
        &self,
        user: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<SessionInfo>, RegistryError> {
        let rows = session::Entity::find()
            .filter(session::Column::UserName.eq(user))
            .filter(session::Column::EndedUs.is_null())
            .order_by_desc(session::Column::CreatedUs)
            .all(self.records.read())
            .await?;
        let open = rows.into_iter().filter(|row| is_open(row, now));
        Ok(open.map(SessionInfo::from).collect())
    }

    /// One session, open or not.
    pub async fn session(&self, id: Uuid) -> Result<SessionInfo, RegistryError> {
        let row = session::Entity::find_by_id(id).one(self.records.read()).await?;
        Ok(row.ok_or(RegistryError::UnknownSession(id))?.into())
    }

    /// Ends a session: its owner signs out, or somebody who manages users ends it.
    pub async fn end_session(
        &self,
        by: &str,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        let txn = self.records.write().await?;
        let row = session::Entity::find_by_id(id).one(&*txn).await?;
        let row = row.ok_or(RegistryError::UnknownSession(id))?;
        if row.ended_us.is_some() {
            return Ok(());
        }
        let event = Event::new(by, "", "sign_out", &row.user_name);
        let mut row = row.into_active_model();
        row.ended_us = Set(Some(micros(now)));
        row.update(&*txn).await?;
        self.audit.append(&txn, event.detail(json!({ "session": id }))).await?;
        self.commit_people(txn).await?;
        Ok(())
    }

    /// Ends all of a user's sessions but one.
    pub(crate) async fn end_sessions(
        &self,
        txn: &WriteTxn,
        name: &str,
        but: Option<Uuid>,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        let mut ending = session::Entity::update_many()
            .col_expr(session::Column::EndedUs, Expr::value(micros(now)))
            .filter(session::Column::UserName.eq(name))
            .filter(session::Column::EndedUs.is_null());
        if let Some(kept) = but {
            ending = ending.filter(session::Column::Id.ne(kept));
        }
        ending.exec(&**txn).await?;
        Ok(())
    }

    /// Notes that somebody could not sign in. A name that nobody has may be a password typed in
    /// the wrong field, and is not written down.
    pub async fn note_refused_sign_in(
        &self,
        name: &str,
        address: &str,
        reason: &str,
    ) -> Result<(), RegistryError> {
        let known = user::Entity::find_by_id(name).one(self.records.read()).await?.is_some();
        let name = if known { name } else { "(unknown)" };
        let detail = json!({ "address": address, "reason": reason });
        let event = Event::new(name, "", "sign_in", name).outcome(Outcome::Denied).detail(detail);
        self.audit.record(event).await?;
        Ok(())
    }

    /// Old sessions go, and the oldest open one where there are too many.
    async fn tidy_sessions(
        &self,
        txn: &WriteTxn,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        let old = micros(now - TimeDelta::days(SESSION_KEPT_DAYS));
        session::Entity::delete_many()
            .filter(session::Column::ExpiresUs.lt(old))
            .exec(&**txn)
            .await?;
        let open = session::Entity::find()
            .filter(session::Column::UserName.eq(name))
            .filter(session::Column::EndedUs.is_null())
            .order_by_desc(session::Column::CreatedUs)
            .all(&**txn)
            .await?;
        for row in open.into_iter().skip(SESSIONS_OF_USER_MAX - 1) {
            let mut row = row.into_active_model();
            row.ended_us = Set(Some(micros(now)));
            row.update(&**txn).await?;
        }
        Ok(())
    }

    async fn note_seen(&self, id: Uuid, now: DateTime<Utc>) -> Result<(), RegistryError> {
        let txn = self.records.write().await?;
        session::Entity::update_many()
            .col_expr(session::Column::SeenUs, Expr::value(micros(now)))
            .filter(session::Column::Id.eq(id))
            .exec(&*txn)
            .await?;
        Ok(txn.commit().await?)
    }
}

fn is_open(row: &session::Model, now: DateTime<Utc>) -> bool {
    let idle_since = now - TimeDelta::minutes(SESSION_IDLE_MINUTES_MAX);
    row.ended_us.is_none() && row.expires_us > micros(now) && row.seen_us > micros(idle_since)
}

impl From<session::Model> for SessionInfo {
    fn from(row: session::Model) -> Self {
        Self {
            id: row.id,
            user: row.user_name,
            method: row.method,
            address: row.address,
            agent: row.agent,
            created_at: time(row.created_us),
            seen_at: time(row.seen_us),
            expires_at: time(row.expires_us),
        }
    }
}
