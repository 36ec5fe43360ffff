//! One tile of a board, asked as its reader.
//!
//! A tile is governed SQL like any other: what its reader may not see is not in it, and what it
//! was made from is told by the plan that ran, not by who wrote it. Readers who see the same share
//! answers (`answers.rs`); each reading is in the usage log all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use catalog::lineage::How;
use catalog::page::told;
use catalog::statistics::Freshness;
use catalog::usage::{Outcome, UsageEntry};
use catalog::{Session, SqlError};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use pack::sql::in_area;
use pack::{Text, Tile};
use uuid::Uuid;

use crate::answers::Answered;
use crate::{City, CityError};

/// A tile that takes longer says so instead: a board is looked at, not waited for.
const TILE_SECONDS_MAX: u64 = 10;
/// Rows that a tile shows; a longer answer is cut, and says so.
pub const TILE_ROWS_MAX: usize = 1_000;

/// What a tile answered.
#[derive(Debug)]
pub struct TileAnswer {
    /// What was asked, area and all: it can be asked again as it stands.
    pub sql: String,
    pub answered: Arc<Answered>,
    pub sources: Vec<SourceOf>,
}

/// A dataset that an answer was made from.
#[derive(Debug, Clone)]
pub struct SourceOf {
    pub dataset: String,
    pub title: Text,
    /// The newest moment of its rows; to the hour for who does not see all of them.
    pub last_at: Option<DateTime<Utc>>,
    pub freshness: Freshness,
    /// Whether its contract promises how new it is.
    pub promised: bool,
}

/// The session that a tile is asked in. Its words are the pack's, so that an auditor and a
/// security officer may ask it, who may ask nothing of their own. What comes back is governed as
/// ever, by who looks.
fn asking(session: &Session) -> Result<Session, CityError> {
    const ASK: &str = "query";
    const LENT_TO: [&str; 2] = ["audit", "manage_users"];
    if session.principal.may(ASK) {
        return Ok(session.clone());
    }
    if !LENT_TO.iter().any(|held| session.principal.may(held)) {
        let reason = format!("{} lacks the permission `{ASK}`", session.principal.user);
        return Err(CityError::Refused(reason));
    }
    let mut principal = session.principal.as_ref().clone();
    principal.permissions.insert(ASK.to_owned());
    Ok(Session { principal: Arc::new(principal), ..session.clone() })
}

impl City {
    /// Asks a tile about the area whose codes begin with `prefix`; empty: everywhere.
    pub async fn tile(
        &self,
        session: &Session,
        tile: &Tile,
        prefix: &str,
    ) -> Result<TileAnswer, CityError> {
        let sql = in_area(&tile.sql, prefix).ok_or_else(|| {
            CityError::Invalid("an area is asked for by the digits of its code".to_owned())
        })?;
        let session = asking(session)?;
        let time_max = Duration::from_secs(TILE_SECONDS_MAX);
        let started = Instant::now();
        let asked = tokio::time::timeout(time_max, self.answered(&session, &sql)).await;
        let (answered, kept) = asked.unwrap_or_else(|_| {
            Err(CityError::Sql(SqlError::Limit {
                what: catalog::sql::LimitKind::Time,
                reason: format!("the tile took longer than {TILE_SECONDS_MAX} s"),
            }))
        })?;
        if kept {
            self.note_reading(&session, &sql, &answered, started);
        }
        let mut sources = Vec::new();
        for dataset in &answered.datasets {
            sources.extend(self.source_of(&session, dataset).await?);
        }
        Ok(TileAnswer { sql, answered, sources })
    }

    /// A kept answer is used by whoever reads it.
    fn note_reading(&self, session: &Session, sql: &str, answered: &Answered, started: Instant) {
        let mut entry = UsageEntry::begin(Uuid::now_v7(), session, sql, Utc::now());
        entry.used = answered.used.clone();
        entry.rows = answered.rows.iter().map(|batch| batch.num_rows() as u64).sum();
        entry.bytes = answered.bytes() as u64;
        entry.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        entry.outcome = Outcome::Answered;
        self.usage_sink().record(entry);
    }

    /// Asks a question of the pack, and keeps as many rows as a tile shows.
    pub(crate) async fn ask(&self, session: &Session, sql: &str) -> Result<Answered, CityError> {
        let mut answer = self.query(session, sql, &[]).await?;
        let mut rows: Vec<RecordBatch> = Vec::new();
        let (mut count, mut cut) = (0, false);
        while let Some(batch) = answer.stream.try_next().await? {
            let room = TILE_ROWS_MAX - count;
            if batch.num_rows() > room {
                rows.push(batch.slice(0, room));
                cut = true;
                break;
            }
            count += batch.num_rows();
            rows.push(batch);
        }
        let lineage = answer.lineage;
        let field = |column: &catalog::lineage::Column| match column.from.as_slice() {
            [origin] if origin.how == How::Identity => {
                self.pack().datasets.get(&origin.field.dataset)?.field(&origin.field.field).cloned()
            }
            _ => None,
        };
        let fields = lineage.columns.iter().map(field).collect();
        let used = lineage.fields_used();
        let (schema, datasets) = (answer.schema, lineage.datasets);
        Ok(Answered { schema, rows, cut, fields, datasets, used })
    }

    /// What a dataset is called and how new it is; none for what is no dataset of the pack.
    async fn source_of(
        &self,
        session: &Session,
        dataset: &str,
    ) -> Result<Option<SourceOf>, CityError> {
        let Some(contract) = self.pack().datasets.get(dataset) else { return Ok(None) };
        // A number is not withheld because nobody knows how old it is.
        let newest = self.stores().newest_known(contract).await;
        let whole = self.catalog().sees_whole(session, contract).await?;
        Ok(Some(SourceOf {
            dataset: dataset.to_owned(),
            title: contract.title.clone(),
            last_at: newest.map(|newest| told(newest, whole)),
            freshness: Freshness::of(newest, contract.freshness_limit_minutes, Utc::now()),
            promised: contract.freshness_limit_minutes.is_some(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use catalog::{Principal, Surface};

    use super::*;

    fn session(permissions: &[&str]) -> Session {
        let permissions = permissions.iter().map(|held| (*held).to_owned()).collect();
        let principal = Principal { user: "lin".into(), permissions, ..Principal::default() };
        Session {
            principal: Arc::new(principal),
            as_of: None,
            scenario: None,
            surface: Surface::Http,
        }
    }

    #[test]
    fn a_tile_may_be_asked_by_who_may_ask_nothing_else() {
        let auditor = session(&["read_catalogue", "audit"]);
        let asked = asking(&auditor).unwrap();
        assert!(asked.principal.may("query") && !auditor.principal.may("query"));
        assert_eq!(asked.principal.user, "lin");
        assert!(asking(&session(&["read_catalogue"])).is_err());
    }
}
