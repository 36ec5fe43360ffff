//! How each source is doing, for who answers for it. In memory: it begins anew with the process.

use std::collections::BTreeMap;
use std::sync::Mutex;

use catalog::Session;
use chrono::{DateTime, Utc};
use pack::Text;
use pack::mapped::{Arrival, Source};

use super::Mapped;
use crate::City;

/// Characters of an error that is shown.
const ERROR_CHARS_MAX: usize = 300;
/// Who may see the sources of all organisations.
const ADMINISTER: &str = "administer";

/// What a source is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourceStanding {
    /// Nothing has come yet.
    #[default]
    Waiting,
    /// The last message was taken, also where nothing was new.
    Well,
    /// The last one could not be had or read; it is tried again later and later.
    Failing,
    /// Its user may not, or is not there: nothing is asked until that is mended.
    Stopped,
}

/// A source and how it is doing.
#[derive(Debug, Clone)]
pub struct SourceState {
    pub id: String,
    pub title: Text,
    pub owner: String,
    /// `mqtt` or `poll`.
    pub way: &'static str,
    /// The topic, or scheme, host and path of the address.
    pub from: String,
    pub tally: SourceTally,
}

/// What happened since the process began.
#[derive(Debug, Clone, Default)]
pub struct SourceTally {
    pub state: SourceStanding,
    /// When a message came, or an endpoint was asked, last.
    pub last_at: Option<DateTime<Utc>>,
    /// When that went well last.
    pub last_good_at: Option<DateTime<Utc>>,
    /// When an endpoint is asked next.
    pub next_at: Option<DateTime<Utc>>,
    /// Failures in a row.
    pub failures: u32,
    /// For how long it waits after them.
    pub back_off_s: Option<u64>,
    /// Why it failed last; no part of an answer, no secret.
    pub error: Option<String>,
    pub messages: u64,
    /// Answers that said that nothing has changed.
    pub unchanged: u64,
    pub taken: u64,
    pub duplicates: u64,
    pub refused: u64,
}

/// Tallies by source.
#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<BTreeMap<String, SourceTally>>);

impl Tallies {
    pub fn note(&self, source: &str, change: impl FnOnce(&mut SourceTally)) {
        let mut tallies = self.0.lock().expect("no one panics while holding the tallies");
        change(tallies.entry(source.to_owned()).or_default());
    }

    pub fn of(&self, source: &str) -> SourceTally {
        let tallies = self.0.lock().expect("no one panics while holding the tallies");
        tallies.get(source).cloned().unwrap_or_default()
    }

    /// Notes what came of a message.
    pub fn came(&self, mapped: &Mapped, now: DateTime<Utc>) {
        self.note(&mapped.source, |tally| {
            tally.messages += 1;
            tally.taken += mapped.taken as u64;
            tally.duplicates += mapped.duplicates as u64;
            tally.refused += mapped.refused_count as u64;
            tally.last_at = Some(now);
            let is_unread = mapped.taken + mapped.duplicates == 0 && mapped.refused_count > 0;
            if is_unread {
                tally.error = mapped.refused.first().map(|refused| brief(&refused.reason));
            } else {
                tally.last_good_at = Some(now);
                tally.error = None;
            }
            tally.state = if is_unread { SourceStanding::Failing } else { SourceStanding::Well };
        });
    }
}

/// The beginning of an error.
pub(super) fn brief(error: &str) -> String {
    error.chars().take(ERROR_CHARS_MAX).collect()
}

impl City {
    /// The sources that the session's principal answers for; all of them for who administers the
    /// platform.
    pub fn source_states(&self, session: &Session) -> Vec<SourceState> {
        let principal = &session.principal;
        let is_seen = |source: &&Source| {
            principal.may(ADMINISTER) || principal.organisations.contains(&source.owner)
        };
        let sources = self.pack().sources.iter().filter(is_seen);
        let states = sources.map(|source| {
            let (way, from) = match &source.arrival {
                Arrival::Mqtt { topic } => ("mqtt", topic.to_string()),
                Arrival::Poll(poll) => ("poll", plain(&poll.url)),
            };
            SourceState {
                id: source.id.clone(),
                title: source.title.clone(),
                owner: source.owner.clone(),
                way,
                from,
                tally: self.mapping.tallies.of(&source.id),
            }
        });
        states.collect()
    }
}

/// An address without what may be a secret: what stands behind `?`.
fn plain(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    url[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_parameters() {
        assert_eq!(plain("http://a.example/x.json?key=7#y"), "http://a.example/x.json");
        assert_eq!(plain("http://a.example/x"), "http://a.example/x");
    }
}
