//! Endpoints asked by the clock, each in the name of its user: what came is taken, what failed is
//! tried again later and later.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use catalog::{Session, Surface};
use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use pack::mapped::{Poll, Source};
use registry::RegistryError;
use tokio::time::Instant;

use super::fetch::{self, Fetched, Fetcher, Unfetched, Validators};
use super::state::{SourceStanding, brief};
use crate::{City, CityError};

/// The longest wait after failures: an hour, or the source's own period where that is longer.
const BACK_OFF_SECONDS_MAX: u64 = 3_600;
/// Doublings of the wait.
const DOUBLINGS_MAX: u32 = 12;
/// How often it is looked whether a stopped source may go on.
const STOPPED_SECONDS: u64 = 60;
/// Sources begin within this time, so that a start does not ask all of them at one instant.
const SPREAD_MS_MAX: u64 = 500;

/// How a turn ended that did not end well.
enum Ended {
    Failed(Unfetched),
    /// Nothing was asked: its user may not.
    Stopped(String),
}

impl City {
    /// Asks all endpoints for as long as it is awaited.
    pub(crate) async fn poll_sources(&self) {
        let mut loops = Vec::new();
        for source in &self.pack().sources {
            if let Some(poll) = source.poll() {
                loops.push(self.poll_source(source, poll));
            }
        }
        join_all(loops).await;
    }

    async fn poll_source(&self, source: &Source, poll: &Poll) {
        let fetcher = match Fetcher::new(poll) {
            Ok(fetcher) => fetcher,
            Err(unfetched) => {
                tracing::error!(source = source.id, reason = unfetched.reason, "cannot be asked");
                return self.note_stopped(source, &unfetched.reason, 0);
            }
        };
        tokio::time::sleep(Duration::from_millis(SPREAD_MS_MAX).mul_f64(chance())).await;
        let mut last = Validators::default();
        let mut failures = 0_u32;
        loop {
            let started = Instant::now();
            let ended = self.poll_once(source, poll, &fetcher, &mut last).await;
            let wait_s = match ended {
                Ok(()) => {
                    failures = 0;
                    u64::from(poll.every_s)
                }
                Err(Ended::Failed(unfetched)) => {
                    failures = failures.saturating_add(1);
                    self.note_failed(source, poll, &unfetched, failures)
                }
                Err(Ended::Stopped(reason)) => {
                    let wait_s = u64::from(poll.every_s).max(STOPPED_SECONDS);
                    self.note_stopped(source, &reason, wait_s);
                    wait_s
                }
            };
            let next = Utc::now() + TimeDelta::seconds(i64::try_from(wait_s).unwrap_or(0));
            self.mapping.tallies.note(&source.id, |tally| tally.next_at = Some(next));
            tokio::time::sleep_until(started + Duration::from_secs(wait_s)).await;
        }
    }

    /// Asks once and takes what is answered.
    async fn poll_once(
        &self,
        source: &Source,
        poll: &Poll,
        fetcher: &Fetcher,
        last: &mut Validators,
    ) -> Result<(), Ended> {
        let session = self.polling_session(poll).await?;
        let headers = fetch::headers(poll, self.source_secrets()).map_err(Ended::Failed)?;
        let fetched = {
            let _place = self.mapping.places.acquire().await;
            fetcher.fetch(headers, last).await.map_err(Ended::Failed)?
        };
        let now = Utc::now();
        let Fetched::Body(body, validators) = fetched else {
            self.mapping.tallies.note(&source.id, |tally| {
                tally.unchanged += 1;
                tally.state = SourceStanding::Well;
                (tally.failures, tally.back_off_s, tally.error) = (0, None, None);
                (tally.last_at, tally.last_good_at) = (Some(now), Some(now));
            });
            return Ok(());
        };
        let none = BTreeMap::new();
        let taken = self.take_message(&session, source, &none, &body, now).await;
        let mapped = taken.map_err(|error| failed(&error))?;
        if mapped.taken + mapped.duplicates == 0 && mapped.refused_count > 0 {
            let first = mapped.refused.first().map(|refused| refused.reason.as_str());
            let reason = format!("nothing of it was taken: {}", first.unwrap_or_default());
            return Err(Ended::Failed(Unfetched { reason, again_s: None }));
        }
        // What was refused in part is to be mended here or there, and asked for again then.
        *last = if mapped.refused_count == 0 { validators } else { Validators::default() };
        self.mapping.tallies.note(&source.id, |tally| {
            (tally.failures, tally.back_off_s) = (0, None);
        });
        Ok(())
    }

    /// The session of the source's user, where that one is there and may bring something in.
    async fn polling_session(&self, poll: &Poll) -> Result<Session, Ended> {
        let session = match self.session(&poll.user, Surface::Engine).await {
            Ok(session) => session,
            Err(CityError::Registry(
                error @ (RegistryError::Disabled(_)
                | RegistryError::UnknownUser(_)
                | RegistryError::UnknownOrganisation(_)),
            )) => return Err(Ended::Stopped(error.to_string())),
            Err(error) => return Err(failed(&error)),
        };
        match self.may_map(&session) {
            Ok(()) => Ok(session),
            Err(error) => Err(Ended::Stopped(error.to_string())),
        }
    }

    /// Notes a failure; for how many seconds it is waited.
    fn note_failed(
        &self,
        source: &Source,
        poll: &Poll,
        unfetched: &Unfetched,
        failures: u32,
    ) -> u64 {
        let wait_s = back_off(poll.every_s, failures, chance(), unfetched.again_s);
        let reason = brief(&unfetched.reason);
        tracing::warn!(source = source.id, failures, wait_s, reason, "a source was not read");
        let now = Utc::now();
        self.mapping.tallies.note(&source.id, |tally| {
            tally.state = SourceStanding::Failing;
            (tally.failures, tally.back_off_s) = (failures, Some(wait_s));
            (tally.last_at, tally.error) = (Some(now), Some(reason));
        });
        wait_s
    }

    fn note_stopped(&self, source: &Source, reason: &str, wait_s: u64) {
        let reason = brief(reason);
        self.mapping.tallies.note(&source.id, |tally| {
            if tally.state != SourceStanding::Stopped {
                tracing::warn!(source = source.id, reason, "a source has stopped");
            }
            tally.state = SourceStanding::Stopped;
            tally.back_off_s = (wait_s > 0).then_some(wait_s);
            tally.error = Some(reason);
        });
    }
}

fn failed(error: &CityError) -> Ended {
    Ended::Failed(Unfetched { reason: error.to_string(), again_s: None })
}

/// Seconds to wait after so many failures: the period, doubled each time up to a bound, of which
/// half is chance, so that what failed together is not tried again together. What the endpoint
/// asks for counts where it is longer.
fn back_off(every_s: u32, failures: u32, chance: f64, again_s: Option<u64>) -> u64 {
    let every_s = u64::from(every_s);
    let longest_s = BACK_OFF_SECONDS_MAX.max(every_s);
    let doubled_s = every_s.saturating_mul(1 << failures.min(DOUBLINGS_MAX)).min(longest_s);
    let wait = Duration::from_secs(doubled_s).mul_f64(0.5 + chance / 2.0).as_secs();
    wait.max(every_s).max(again_s.unwrap_or(0).min(longest_s))
}

/// A number from 0 to 1 that nobody can foretell.
fn chance() -> f64 {
    let drawn = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(drawn >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        let longest: Vec<u64> = (1..=8).map(|failures| back_off(60, failures, 1.0, None)).collect();
        assert_eq!(longest, [120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
        let shortest: Vec<u64> =
            (1..=3).map(|failures| back_off(60, failures, 0.0, None)).collect();
        assert_eq!(shortest, [60, 120, 240]);
        assert_eq!(back_off(86_400, 5, 0.0, None), 86_400, "no sooner than its own period");
        assert_eq!(back_off(60, u32::MAX, 1.0, None), 3_600);
    }

    #[test]
    fn what_the_endpoint_asks_for_counts_up_to_the_bound() {
        assert_eq!(back_off(60, 1, 0.0, Some(300)), 300);
        assert_eq!(back_off(60, 1, 0.0, Some(86_400)), 3_600);
        assert_eq!(back_off(60, 1, 1.0, Some(5)), 120);
    }

    #[test]
    fn chance_is_a_share() {
        assert!((0..100).map(|_| chance()).all(|chance| (0.0..=1.0).contains(&chance)));
    }
}
