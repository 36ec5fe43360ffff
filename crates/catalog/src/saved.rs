//! Saved queries: questions that people keep, and lend to others.
//!
//! A saved query is text. Whoever asks it asks under their own rights, so lending one lends no
//! rows. Its text is seen by whom it is lent to, literals and all: that is its author's to know.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, IntoActiveModel, ModelTrait,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::records::{Records, RecordsError, WriteTxn};
use uuid::Uuid;

use crate::Principal;
use crate::audit::{Audit, AuditError, Event};
use crate::records::saved_query::{Column, Entity, Model};
use crate::records::{micros, time};

/// Queries that one person keeps.
pub const OWN_MAX: u64 = 500;
/// Queries of others that one list holds, beside all of one's own.
const LENT_ROWS_MAX: u64 = 500;
const TITLE_CHARS_MAX: usize = 200;
const SQL_BYTES_MAX: usize = 64 << 10;
const CHART_BYTES_MAX: usize = 16 << 10;

/// Who finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shared {
    Private,
    /// Its author's organisation and those below it.
    Organisation,
    Everyone,
}

impl Shared {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Organisation => "organisation",
            Self::Everyone => "everyone",
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "organisation" => Self::Organisation,
            "everyone" => Self::Everyone,
            // What cannot be read is lent to nobody.
            _ => Self::Private,
        }
    }
}

/// What a query says.
#[derive(Debug, Clone)]
pub struct Draft {
    pub title: String,
    pub sql: String,
    pub chart: Option<Map<String, Value>>,
    pub shared: Shared,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SavedQuery {
    pub id: Uuid,
    pub title: String,
    pub sql: String,
    pub chart: Option<Map<String, Value>>,
    pub shared: Shared,
    pub owner: String,
    pub organisation: String,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// None, or none that the principal may know of.
    #[error("there is no saved query {0}")]
    Unknown(Uuid),
    #[error("only {owner} changes this query; save one of your own")]
    NotYours { owner: String },
    #[error("{field}: {problem}")]
    Bad { field: &'static str, problem: String },
    #[error("you keep {OWN_MAX} queries already; delete some")]
    TooMany,
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error("the records failed: {0}")]
    Database(#[from] sea_orm::DbErr),
}

/// The saved queries of one city.
#[derive(Debug, Clone)]
pub struct SavedQueries {
    records: Records,
    audit: Audit,
}

impl SavedQueries {
    pub fn open(records: &Records, audit: &Audit) -> Self {
        Self { records: records.clone(), audit: audit.clone() }
    }

    /// One's own and those that one is lent, by title. However much others lend, one's own are
    /// all there.
    pub async fn list(&self, principal: &Principal) -> Result<Vec<SavedQuery>, SavedError> {
        let user = principal.user.as_str();
        let mut rows = self.some(Condition::all().add(Column::Owner.eq(user)), OWN_MAX).await?;
        let lent = Condition::all().add(lent_to(principal)).add(Column::Owner.ne(user));
        rows.extend(self.some(lent, LENT_ROWS_MAX).await?);
        rows.sort_by(|one, other| (&one.title, one.id).cmp(&(&other.title, other.id)));
        Ok(rows.into_iter().map(SavedQuery::from).collect())
    }

    /// The first so many by title.
    async fn some(&self, which: Condition, count_max: u64) -> Result<Vec<Model>, SavedError> {
        let rows = Entity::find()
            .filter(which)
            .order_by_asc(Column::Title)
            .order_by_asc(Column::Id)
            .limit(count_max)
            .all(self.records.read())
            .await?;
        Ok(rows)
    }

    pub async fn save(
        &self,
        principal: &Principal,
        draft: Draft,
        now: DateTime<Utc>,
    ) -> Result<SavedQuery, SavedError> {
        check(&draft)?;
        let row = Model {
            id: Uuid::now_v7(),
            title: draft.title,
            sql: draft.sql,
            chart: draft.chart.map(|chart| Value::Object(chart).to_string()),
            shared: draft.shared.as_str().to_owned(),
            owner: principal.user.clone(),
            organisation: principal.organisation.clone(),
            created_us: micros(now),
            changed_us: micros(now),
        };
        let txn = self.records.write().await?;
        let mine = Entity::find().filter(Column::Owner.eq(principal.user.as_str()));
        if mine.count(&*txn).await? >= OWN_MAX {
            return Err(SavedError::TooMany);
        }
        row.clone().into_active_model().insert(&*txn).await?;
        self.audited(&txn, principal, "query.save", &row).await?;
        txn.commit().await?;
        Ok(row.into())
    }

    pub async fn change(
        &self,
        principal: &Principal,
        id: Uuid,
        draft: Draft,
        now: DateTime<Utc>,
    ) -> Result<SavedQuery, SavedError> {
        check(&draft)?;
        let txn = self.records.write().await?;
        let row = own(&txn, principal, id).await?;
        let row = Model {
            title: draft.title,
            sql: draft.sql,
            chart: draft.chart.map(|chart| Value::Object(chart).to_string()),
            shared: draft.shared.as_str().to_owned(),
            changed_us: micros(now),
            ..row
        };
        row.clone().into_active_model().reset_all().update(&*txn).await?;
        self.audited(&txn, principal, "query.change", &row).await?;
        txn.commit().await?;
        Ok(row.into())
    }

    pub async fn delete(&self, principal: &Principal, id: Uuid) -> Result<(), SavedError> {
        let txn = self.records.write().await?;
        let row = own(&txn, principal, id).await?;
        self.audited(&txn, principal, "query.delete", &row).await?;
        row.delete(&*txn).await?;
        txn.commit().await?;
        Ok(())
    }

    async fn audited(
        &self,
        txn: &WriteTxn,
        principal: &Principal,
        action: &str,
        row: &Model,
    ) -> Result<(), SavedError> {
        let object = row.id.to_string();
        let event = Event::new(&principal.user, &principal.organisation, action, &object);
        let detail = json!({ "title": row.title, "shared": row.shared });
        self.audit.append(txn, event.detail(detail)).await?;
        Ok(())
    }
}

/// One's own and those that one is lent.
fn found_by(principal: &Principal) -> Condition {
    Condition::any().add(Column::Owner.eq(principal.user.as_str())).add(lent_to(principal))
}

/// One's organisation's and those above it, everyone's.
fn lent_to(principal: &Principal) -> Condition {
    let above = principal.ancestors.iter().chain([&principal.organisation]);
    let above = above.filter(|id| !id.is_empty()).map(String::as_str);
    Condition::any().add(Column::Shared.eq(Shared::Everyone.as_str())).add(
        Condition::all()
            .add(Column::Shared.eq(Shared::Organisation.as_str()))
            .add(Column::Organisation.is_in(above)),
    )
}

async fn own(txn: &WriteTxn, principal: &Principal, id: Uuid) -> Result<Model, SavedError> {
    let row = Entity::find_by_id(id).filter(found_by(principal)).one(&**txn).await?;
    let row = row.ok_or(SavedError::Unknown(id))?;
    if row.owner != principal.user {
        return Err(SavedError::NotYours { owner: row.owner });
    }
    Ok(row)
}

fn check(draft: &Draft) -> Result<(), SavedError> {
    let bad = |field, problem| Err(SavedError::Bad { field, problem });
    let chars = draft.title.trim().chars().count();
    if chars == 0 || chars > TITLE_CHARS_MAX {
        return bad("title", format!("expected 1 to {TITLE_CHARS_MAX} characters, found {chars}"));
    }
    if draft.sql.trim().is_empty() || draft.sql.len() > SQL_BYTES_MAX {
        return bad("sql", format!("expected a statement of up to {SQL_BYTES_MAX} bytes"));
    }
    let chart = draft.chart.as_ref().map(|chart| Value::Object(chart.clone()).to_string());
    if chart.is_some_and(|chart| chart.len() > CHART_BYTES_MAX) {
        return bad("chart", format!("expected up to {CHART_BYTES_MAX} bytes"));
    }
    Ok(())
}

impl From<Model> for SavedQuery {
    fn from(row: Model) -> Self {
        let chart = row.chart.as_deref().and_then(|chart| serde_json::from_str(chart).ok());
        Self {
            id: row.id,
            title: row.title,
            sql: row.sql,
            chart,
            shared: Shared::of(&row.shared),
            owner: row.owner,
            organisation: row.organisation,
            created_at: time(row.created_us),
            changed_at: time(row.changed_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use store::testing::beds;

    use super::*;

    fn principal(user: &str, organisation: &str, above: &[&str]) -> Principal {
        Principal {
            user: user.into(),
            organisation: organisation.into(),
            ancestors: above.iter().map(|id| (*id).to_owned()).collect(),
            ..Principal::default()
        }
    }

    fn draft(title: &str, shared: Shared) -> Draft {
        Draft { title: title.into(), sql: "select 1".into(), chart: None, shared }
    }

    fn titles(found: Vec<SavedQuery>) -> Vec<String> {
        found.into_iter().map(|query| query.title).collect()
    }

    #[tokio::test]
    async fn a_query_is_found_by_whom_it_is_lent_to_and_changed_by_its_author() {
        for bed in beds().await {
            let mut all = crate::records::migrations();
            all.extend(crate::records::later_migrations());
            bed.records.migrate(all).await.unwrap();
            let saved = SavedQueries::open(&bed.records, &Audit::open(&bed.records));
            let lin = principal("lin", "water", &["water", "city"]);
            let below = principal("mei", "water_east", &["water_east", "water", "city"]);
            let other = principal("bo", "tax", &["tax", "city"]);
            let now = Utc::now();
            for shared in [Shared::Private, Shared::Organisation, Shared::Everyone] {
                saved.save(&lin, draft(shared.as_str(), shared), now).await.unwrap();
            }
            assert_eq!(saved.list(&lin).await.unwrap().len(), 3);
            let lent = titles(saved.list(&below).await.unwrap());
            assert_eq!(lent, ["everyone", "organisation"]);
            let all = saved.list(&other).await.unwrap();
            assert_eq!(titles(all.clone()), ["everyone"]);

            let id = all[0].id;
            let refused = saved.change(&other, id, draft("mine", Shared::Everyone), now).await;
            assert!(matches!(refused, Err(SavedError::NotYours { .. })), "{refused:?}");
            assert!(saved.delete(&other, id).await.is_err());
            let mut with_chart = draft("renamed", Shared::Private);
            with_chart.chart = json!({ "kind": "bar" }).as_object().cloned();
            let changed = saved.change(&lin, id, with_chart.clone(), now).await.unwrap();
            assert_eq!((changed.title.as_str(), &changed.chart), ("renamed", &with_chart.chart));
            assert!(saved.list(&other).await.unwrap().is_empty());
            let unknown = saved.delete(&other, id).await;
            assert!(matches!(unknown, Err(SavedError::Unknown(_))), "{unknown:?}");
            saved.delete(&lin, id).await.unwrap();
            assert_eq!(saved.list(&lin).await.unwrap().len(), 2);
        }
    }

    #[tokio::test]
    async fn what_others_lend_pushes_nothing_of_one_s_own_off_the_list() {
        for bed in beds().await {
            let mut all = crate::records::migrations();
            all.extend(crate::records::later_migrations());
            bed.records.migrate(all).await.unwrap();
            let saved = SavedQueries::open(&bed.records, &Audit::open(&bed.records));
            let row = |number: u64, title: String| Model {
                id: Uuid::now_v7(),
                title,
                sql: "select 1".into(),
                chart: None,
                shared: Shared::Everyone.as_str().into(),
                owner: format!("stranger {}", number % 7),
                organisation: "tax".into(),
                created_us: 1,
                changed_us: 1,
            };
            let txn = bed.records.write().await.unwrap();
            for number in 0..=LENT_ROWS_MAX {
                let lent = row(number, format!("a {number:04}")).into_active_model();
                lent.insert(&*txn).await.unwrap();
            }
            txn.commit().await.unwrap();
            let lin = principal("lin", "water", &["water", "city"]);
            saved.save(&lin, draft("z", Shared::Everyone), Utc::now()).await.unwrap();
            let found = titles(saved.list(&lin).await.unwrap());
            assert_eq!(found.len() as u64, LENT_ROWS_MAX + 1, "{}", bed.name);
            assert_eq!(found.last().unwrap(), "z", "{}", bed.name);
        }
    }

    #[test]
    fn a_query_has_a_title_and_a_text_of_some_length() {
        assert!(check(&draft(" ", Shared::Private)).is_err());
        let mut long = draft("x", Shared::Private);
        long.sql = "x".repeat(SQL_BYTES_MAX + 1);
        assert!(check(&long).is_err());
    }
}
