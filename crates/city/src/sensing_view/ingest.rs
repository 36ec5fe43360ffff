//! How what comes in comes in: each producer's rate, lag and losses, and all of them together.

use catalog::Session;
use chrono::{DateTime, Utc};

use super::{PRODUCER, count_of};
use crate::sta::table::Table;
use crate::{City, CityError};

/// Producers that are listed, the busiest first.
const PRODUCERS_MAX: usize = 1_000;
const SECONDS_PER_MINUTE: f64 = 60.0;

/// Who sends, by which face.
#[derive(Debug, Clone)]
pub struct ProducerRow {
    pub producer: String,
    /// `http`, `mqtt` or `poll`.
    pub face: String,
    pub owner: Option<String>,
    /// Times in µs since 1970.
    pub since_us: Option<i64>,
    pub last_us: Option<i64>,
    pub rows: u64,
    pub refused: u64,
    pub flagged: u64,
    pub duplicates: u64,
    /// By the sequence that it counts; none where it counts none.
    pub lost: Option<u64>,
    pub rate_per_s: Option<f64>,
    pub lag_p50_ms: Option<f64>,
    pub lag_p99_ms: Option<f64>,
}

#[derive(Debug)]
pub struct Ingest {
    pub at: DateTime<Utc>,
    /// Of all producers that the session sees, those that are not listed included.
    pub rate_per_s: f64,
    /// Rows of the last minute.
    pub rows_minute: f64,
    /// Of those, what a rule found implausible.
    pub flagged_minute: f64,
    /// What was refused in the last minute.
    pub refused_minute: f64,
    pub producers: Vec<ProducerRow>,
}

fn producer_of(table: &Table, row: usize) -> Option<ProducerRow> {
    let lost = table.integer("lost", row).and_then(|lost| u64::try_from(lost).ok());
    Some(ProducerRow {
        producer: table.text("producer", row)?,
        face: table.text("face", row).unwrap_or_default(),
        owner: table.text("owner", row),
        since_us: table.instant("since", row),
        last_us: table.instant("last_at", row),
        rows: count_of(table, "received", row),
        refused: count_of(table, "refused", row),
        flagged: count_of(table, "flagged", row),
        duplicates: count_of(table, "duplicates", row),
        lost,
        rate_per_s: table.number("rate_per_s", row),
        lag_p50_ms: table.number("lag_p50_ms", row),
        lag_p99_ms: table.number("lag_p99_ms", row),
    })
}

impl City {
    /// How ingest goes, of the producers that the session sees.
    pub async fn ingest(&self, session: &Session) -> Result<Ingest, CityError> {
        let sql = "SELECT CAST(sum(rate_per_s) AS DOUBLE) AS rate, \
            CAST(sum(flagged_minute) AS DOUBLE) AS flagged, \
            CAST(sum(refused_minute) AS DOUBLE) AS refused FROM sensing.producer";
        let sums = self.sensed(session, &[PRODUCER], sql, &[]).await?;
        let sql = format!(
            "SELECT producer, face, owner, since, last_at, CAST(\"rows\" AS BIGINT) AS received, \
             CAST(refused AS BIGINT) AS refused, CAST(flagged AS BIGINT) AS flagged, \
             CAST(duplicates AS BIGINT) AS duplicates, CAST(lost AS BIGINT) AS lost, \
             CAST(rate_per_s AS DOUBLE) AS rate_per_s, CAST(lag_p50_ms AS DOUBLE) AS lag_p50_ms, \
             CAST(lag_p99_ms AS DOUBLE) AS lag_p99_ms FROM sensing.producer \
             ORDER BY rate_per_s DESC NULLS LAST, producer LIMIT {PRODUCERS_MAX}"
        );
        let table = self.sensed(session, &[PRODUCER], &sql, &[]).await?;
        let producers = (0..table.len()).filter_map(|row| producer_of(&table, row)).collect();
        let sum = |name: &str| sums.number(name, 0).unwrap_or(0.0);
        Ok(Ingest {
            at: Utc::now(),
            rate_per_s: sum("rate"),
            rows_minute: sum("rate") * SECONDS_PER_MINUTE,
            flagged_minute: sum("flagged"),
            refused_minute: sum("refused"),
            producers,
        })
    }
}
