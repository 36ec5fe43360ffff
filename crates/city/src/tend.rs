//! What goes on by the clock while a city is served, whether or not anybody asks: the ends of
//! grants are booked.

use std::time::Duration;

use chrono::Utc;
use tokio::time::{Interval, MissedTickBehavior};

use crate::City;

/// Within this time of a grant's end its state, the audit and who watches say so.
const GRANTS_EVERY: Duration = Duration::from_secs(15);

impl City {
    /// Goes on for as long as it is awaited. Dropped, it leaves nothing half done.
    pub async fn tend(&self) {
        self.book_ended_grants().await;
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
}

/// The first turn comes at once, and none is made up for.
fn every(period: Duration) -> Interval {
    let mut turns = tokio::time::interval(period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}
