//! What goes on by the clock while a city is served, whether or not anybody asks: the ends of
//! grants are booked, quality runs that were put off are made up for, and endpoints of devices are asked.

use std::time::Duration;

use chrono::Utc;
use tokio::time::{Interval, MissedTickBehavior};

use crate::City;
use crate::live::Rounds;

/// Within this time of a grant's end its state, the audit and who watches say so.
const GRANTS_EVERY: Duration = Duration::from_secs(15);
/// How often it is looked for quality runs whose time has come.
const CHECKS_EVERY: Duration = Duration::from_secs(15);
/// How often the memory of Datastreams is looked after.
const LIVE_EVERY: Duration = Duration::from_secs(2);

impl City {
    /// Goes on for as long as it is awaited. Dropped, it leaves nothing half done.
    pub async fn tend(&self) {
        // Side by side: a run over many rows must not hold up the end of a grant.
        tokio::join!(
            self.book_ended_grants(),
            self.make_up_for_checks(),
            self.poll_sources(),
            self.look_after_live()
        );
    }

    /// A grant gives no access from its end on by itself; this is for who looks at its state.
    async fn book_ended_grants(&self) {
        let mut turns = every(GRANTS_EVERY);
        loop {
            turns.tick().await;
            match self.sharing().expire_due(Utc::now()).await {
                Ok(0) => {}
                Ok(ended) => tracing::info!(ended, "grants have ended"),
                Err(error) => tracing::error!(%error, "the end of a grant was not booked"),
            }
        }
    }

    async fn look_after_live(&self) {
        let mut turns = every(LIVE_EVERY);
        let mut rounds = Rounds::default();
        loop {
            turns.tick().await;
            if let Err(error) = self.tend_live(&mut rounds).await {
                tracing::error!(%error, "the memory of datastreams could not be made up");
            }
        }
    }

    async fn make_up_for_checks(&self) {
        let mut turns = every(CHECKS_EVERY);
        loop {
            turns.tick().await;
            if let Err(error) = self.check_what_is_due(Utc::now()).await {
                tracing::error!(%error, "it is not known which rules are to be checked");
            }
        }
    }
}

/// The first turn comes at once, and none is made up for.
fn every(period: Duration) -> Interval {
    let mut turns = tokio::time::interval(period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}
