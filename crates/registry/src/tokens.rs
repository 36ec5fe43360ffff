//! API tokens: what programs show in the place of a password.

use std::cmp::Reverse;
use std::sync::Arc;

use catalog::Principal;
use catalog::audit::Event;
use catalog::records::{micros, time};
use chrono::{DateTime, TimeDelta, Utc};
use pack::{PERMISSIONS, Pack};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde_json::json;
use store::records::WriteTxn;
use uuid::Uuid;

use crate::people::list;
use crate::records::{token, user};
use crate::secret::{self, TOKEN_PREFIX};
use crate::{Registry, RegistryError};

const LABEL_CHARS_MAX: usize = 200;
pub const TOKEN_DAYS_MAX: i64 = 2 * 366;
/// Tokens of one user that are neither revoked nor expired.
const TOKENS_OF_USER_MAX: u64 = 100;
/// Revoked and expired tokens of one user that a list shows.
const TOKENS_PAST_MAX: u64 = 100;

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
        let good = token::Entity::find()
            .filter(token::Column::UserName.eq(&row.user_name))
            .filter(token::Column::RevokedUs.is_null())
            .filter(token::Column::ExpiresUs.gt(micros(now)));
        if good.count(&*txn).await? >= TOKENS_OF_USER_MAX {
            let problem = format!("{TOKENS_OF_USER_MAX} are good already: revoke one first");
            return Err(RegistryError::Input { field: "label", problem });
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
        self.commit_people(txn).await?;
        Ok(())
    }

    /// Revokes all of a user's tokens, with what they rest on.
    pub(crate) async fn revoke_tokens(
        &self,
        txn: &WriteTxn,
        by: &str,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        let revoked = token::Entity::update_many()
            .col_expr(token::Column::RevokedUs, Expr::value(micros(now)))
            .filter(token::Column::UserName.eq(name))
            .filter(token::Column::RevokedUs.is_null())
            .exec(&**txn)
            .await?;
        if revoked.rows_affected > 0 {
            let event = Event::new(by, "", "token.revoke", name);
            let event = event.detail(json!({ "tokens": revoked.rows_affected }));
            self.audit.append(txn, event).await?;
        }
        Ok(())
    }

    pub async fn token(&self, id: Uuid) -> Result<TokenInfo, RegistryError> {
        let row = token::Entity::find_by_id(id).one(self.records.read()).await?;
        row.ok_or(RegistryError::UnknownToken(id))?.try_into()
    }

    /// A user's tokens, the newest first: all that are good, and the newest of those that were.
    pub async fn tokens(
        &self,
        user: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<TokenInfo>, RegistryError> {
        let (revoked, expires) = (token::Column::RevokedUs, token::Column::ExpiresUs);
        let good = Condition::all().add(revoked.is_null()).add(expires.gt(micros(now)));
        let mut rows = self.newest_tokens(user, good.clone(), TOKENS_OF_USER_MAX).await?;
        rows.extend(self.newest_tokens(user, good.not(), TOKENS_PAST_MAX).await?);
        rows.sort_by_key(|row| Reverse((row.created_us, row.id)));
        rows.into_iter().map(TokenInfo::try_from).collect()
    }

    async fn newest_tokens(
        &self,
        user: &str,
        which: Condition,
        limit: u64,
    ) -> Result<Vec<token::Model>, RegistryError> {
        let found = token::Entity::find()
            .filter(token::Column::UserName.eq(user))
            .filter(which)
            .order_by_desc(token::Column::CreatedUs)
            .limit(limit)
            .all(self.records.read());
        Ok(found.await?)
    }

    /// As [`Registry::principal_of_token`], remembered for a moment.
    pub async fn bearer(
        &self,
        text: &str,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<Arc<Principal>, RegistryError> {
        let (hash, versions) = (secret::token_hash(text), self.versions());
        if let Some(principal) = self.bearers.get(&hash, versions, now) {
            return Ok(principal);
        }
        let (principal, ends) = self.look_up(text, pack, now).await?;
        Ok(self.bearers.put(hash, principal, versions, now, ends))
    }

    /// The principal that a token's bearer acts as: its user, with no more than its scope.
    pub async fn principal_of_token(
        &self,
        text: &str,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<Principal, RegistryError> {
        Ok(self.look_up(text, pack, now).await?.0)
    }

    /// With the moment at which the token ends.
    async fn look_up(
        &self,
        text: &str,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<(Principal, DateTime<Utc>), RegistryError> {
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
        Ok((principal, info.expires_at))
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
