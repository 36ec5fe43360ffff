//! Who stands behind a token or a cookie, remembered for a moment: a map asks for a hundred tiles
//! at once, and each would read the records three times.
//!
//! What is remembered holds only while nothing about users, organisations or areas has changed;
//! whoever is disabled is out with the next request.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

/// How long a bearer is believed without another look. Also how exactly a session's last use is
/// known.
pub(crate) const KEPT_SECONDS_MAX: i64 = 60;
/// Bearers remembered at once; with more, all are forgotten.
const KEPT_MAX: usize = 10_000;

/// Counters that move when anything about users, or organisations and areas, has changed.
pub(crate) type Versions = (u64, u64);

#[derive(Debug)]
pub(crate) struct Kept<T> {
    by_hash: Mutex<HashMap<String, Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    value: Arc<T>,
    versions: Versions,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { by_hash: Mutex::default() }
    }
}

impl<T> Kept<T> {
    pub(crate) fn get(&self, hash: &str, versions: Versions, now: DateTime<Utc>) -> Option<Arc<T>> {
        let by_hash = self.by_hash.lock();
        let entry = by_hash.get(hash)?;
        let holds = entry.versions == versions && (entry.from..entry.until).contains(&now);
        holds.then(|| entry.value.clone())
    }

    /// `versions` as they were before the records were read: a change since then is not missed.
    pub(crate) fn put(
        &self,
        hash: String,
        value: T,
        versions: Versions,
        now: DateTime<Utc>,
        ends: DateTime<Utc>,
    ) -> Arc<T> {
        let value = Arc::new(value);
        let until = ends.min(now + TimeDelta::seconds(KEPT_SECONDS_MAX));
        let mut by_hash = self.by_hash.lock();
        if by_hash.len() >= KEPT_MAX && !by_hash.contains_key(&hash) {
            by_hash.clear();
        }
        by_hash.insert(hash, Entry { value: value.clone(), versions, from: now, until });
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_holds_for_a_moment_and_through_no_change() {
        let kept = Kept::default();
        let now = Utc::now();
        let later = |seconds| now + TimeDelta::seconds(seconds);
        kept.put("a".to_owned(), 7, (1, 1), now, later(9_999));
        assert_eq!(kept.get("a", (1, 1), later(KEPT_SECONDS_MAX - 1)).as_deref(), Some(&7));
        assert_eq!(kept.get("a", (1, 1), later(KEPT_SECONDS_MAX)), None);
        assert_eq!(kept.get("a", (2, 1), now), None, "a user changed");
        assert_eq!(kept.get("a", (1, 2), now), None, "an organisation changed");
        assert_eq!(kept.get("b", (1, 1), now), None);
        kept.put("a".to_owned(), 8, (1, 1), now, later(5));
        assert_eq!(kept.get("a", (1, 1), later(5)), None, "it ended before the moment did");
        for number in 0..=KEPT_MAX {
            kept.put(number.to_string(), 0, (1, 1), now, later(9));
        }
        assert!(kept.by_hash.lock().len() <= KEPT_MAX);
    }
}
