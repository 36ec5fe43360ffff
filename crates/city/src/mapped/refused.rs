//! What could not be taken of a source's messages, kept in the quarantine: reason, source and the
//! message's beginning, for who mends the device or the mapping. Bounded: a device that sends
//! garbage all day is counted all day, and kept a few times.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use pack::mapped::Source;
use sha2::{Digest, Sha256};

use super::MappedRefusal;
use crate::observations::OBSERVATION;
use crate::quarantine::{self, OPEN, QUARANTINE, Rejected};
use crate::{City, CityError};

/// Refusals of one message that are kept.
const OF_MESSAGE_MAX: usize = 20;
/// And of one source in an hour.
const OF_SOURCE_MAX: usize = 200;
const HOUR: Duration = Duration::from_secs(3_600);
/// Characters of a message that are kept.
const RAW_CHARS_MAX: usize = 1_000;
/// Bytes of a message that this is looked for in.
const RAW_BYTES_MAX: usize = RAW_CHARS_MAX * 4;
/// What a kept message is called: it is no row of a contract, and cannot be repaired into one.
const COLUMNS: &str = r#"["message"]"#;

/// What was kept of each source in its present hour.
#[derive(Debug, Default)]
pub(super) struct KeptRefusals(Mutex<HashMap<String, Hour>>);

#[derive(Debug)]
struct Hour {
    since: Instant,
    ids: HashSet<String>,
}

impl KeptRefusals {
    /// Those of these ids that are to be kept.
    fn admit(&self, source: &str, ids: Vec<String>) -> Vec<String> {
        let mut hours = self.0.lock().expect("no one panics while holding the refusals");
        let fresh = || Hour { since: Instant::now(), ids: HashSet::new() };
        let hour = hours.entry(source.to_owned()).or_insert_with(fresh);
        if hour.since.elapsed() > HOUR {
            *hour = fresh();
        }
        let mut admitted = Vec::new();
        for id in ids {
            if hour.ids.len() >= OF_SOURCE_MAX {
                break;
            }
            if hour.ids.insert(id.clone()) {
                admitted.push(id);
            }
        }
        admitted
    }
}

impl City {
    /// Keeps what was refused of a message.
    pub(super) async fn keep_refused(
        &self,
        source: &Source,
        user: &str,
        payload: &[u8],
        refused: &[MappedRefusal],
        now: DateTime<Utc>,
    ) -> Result<(), CityError> {
        let rows: BTreeMap<String, &MappedRefusal> = refused
            .iter()
            .take(OF_MESSAGE_MAX)
            .enumerate()
            .map(|(nth, refused)| {
                let message = fingerprint(payload, &refused.reason);
                (format!("source:{}:{message}:{nth}", source.id), refused)
            })
            .collect();
        let admitted = self.mapping.refusals.admit(&source.id, rows.keys().cloned().collect());
        if admitted.is_empty() {
            return Ok(());
        }
        let raw = beginning(payload);
        let kept: Vec<Rejected> = admitted
            .into_iter()
            .filter_map(|id| {
                let refused = rows.get(&id)?;
                Some(Rejected {
                    id,
                    dataset: OBSERVATION.to_owned(),
                    owner: source.owner.clone(),
                    file: format!("source:{}", source.id),
                    line: i64::try_from(refused.record).unwrap_or(i64::MAX),
                    field: None,
                    reason: refused.code.to_owned(),
                    message: refused.reason.clone(),
                    raw: raw.clone(),
                    columns: COLUMNS.to_owned(),
                    mapping: None,
                    crs: "wgs84".to_owned(),
                    state: OPEN.to_owned(),
                    remark: None,
                    by: user.to_owned(),
                    at: now,
                })
            })
            .collect();
        self.append_waiting(QUARANTINE, quarantine::to_batch(&kept)?, None).await?;
        Ok(())
    }
}

/// Enough of a hash to tell messages apart, and what is wrong with them.
fn fingerprint(payload: &[u8], reason: &str) -> String {
    const BYTES: usize = 8;
    let mut text = String::with_capacity(2 * BYTES);
    let hash = Sha256::new().chain_update(payload).chain_update(reason).finalize();
    for byte in hash.iter().take(BYTES) {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn beginning(payload: &[u8]) -> String {
    let start = &payload[..payload.len().min(RAW_BYTES_MAX)];
    String::from_utf8_lossy(start).chars().take(RAW_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_kept_a_few_times() {
        let kept = KeptRefusals::default();
        let ids = |from: usize, to: usize| (from..to).map(|id| id.to_string()).collect::<Vec<_>>();
        assert_eq!(kept.admit("a", ids(0, 3)).len(), 3);
        assert_eq!(kept.admit("a", ids(0, 3)).len(), 0, "the same again");
        assert_eq!(kept.admit("a", ids(3, 1_000)).len(), OF_SOURCE_MAX - 3);
        assert_eq!(kept.admit("b", ids(0, 3)).len(), 3, "each source has its own");
    }

    #[test]
    fn only_the_beginning_is_kept() {
        assert_eq!(beginning("锦".repeat(5_000).as_bytes()).chars().count(), RAW_CHARS_MAX);
        assert_eq!(beginning(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        assert_eq!(fingerprint(b"a", "b").len(), 16);
    }
}
