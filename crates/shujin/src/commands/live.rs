//! The demonstration's sensors: while it is served their readings come in as those of a city's
//! devices would, moment by moment, as observations of their Datastreams.
//!
//! ```text
//!  a year of a few ─► who is gone, three days ago ─► the last hour ─► from now on
//! ```
//!
//! What came in before is known by its moment and not told twice, and what came due while the
//! demonstration was stopped is made up for, an hour of it.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::time::Duration;

use anyhow::Result;
use catalog::Surface;
use chrono::{DateTime, TimeDelta, Utc};
use city::{City, OPERATOR, StaFeed, StaReading};
use synth::{NUMBERS_MAX, Reading, Stream, StreamOptions, Tellers};
use tokio::task::spawn_blocking;

/// Which city's sensors are played.
#[derive(Debug, Clone, Copy)]
pub struct Sensors {
    pub people: usize,
    pub seed: u64,
}

/// So much of the past is there when a demonstration begins.
const PAST_MINUTES: i64 = 60;
/// And of a few Datastreams, for charts.
const HISTORY_DAYS: i64 = 365;
/// Their history goes on where so much of it is missing.
const HISTORY_GAP_HOURS: i64 = 24;
/// Who is gone told its last readings so long ago, for a day.
const GONE_DAYS: i64 = 3;
const GONE_HOURS: u32 = 24;
/// A stream is as long as this, then another begins.
const STREAM_HOURS: u32 = 24 * 7;
/// How soon after its moment a reading comes in, at most.
const EVERY: Duration = Duration::from_secs(5);
/// Readings that are appended at once, and the rest of their last moment: one frame of the log,
/// so that of a moment all is in or nothing.
const AT_ONCE_READINGS: usize = 8_192;
/// Larger cities have more readings than a demonstration should spend its machine on.
const PEOPLE_MAX: usize = 1_000_000;

/// Plays until the task is ended; what goes wrong ends it with a word and harms nothing else.
pub async fn play(city: &City, sensors: Sensors) {
    if sensors.people > PEOPLE_MAX {
        return;
    }
    if let Err(error) = feed(city, sensors).await {
        eprintln!("the sensors' readings have ended: {error:#}");
    }
}

async fn feed(city: &City, sensors: Sensors) -> Result<()> {
    let feed = StaFeed::of(city.session(OPERATOR, Surface::Engine).await?);
    let mut player = Player { city, sensors, feed };
    let begin = Utc::now() - TimeDelta::minutes(PAST_MINUTES);
    player.recall(begin).await?;
    player.recall_gone(begin).await?;
    let newest = player.newest(1, NUMBERS_MAX, begin).await?;
    let mut from = newest.map_or(begin, |newest| newest + TimeDelta::seconds(1));
    loop {
        let stream = player.stream(from, STREAM_HOURS).await?.with_batteries();
        player.tell(stream, &BTreeMap::new()).await?;
        from += TimeDelta::hours(i64::from(STREAM_HOURS));
    }
}

struct Player<'a> {
    city: &'a City,
    sensors: Sensors,
    feed: StaFeed,
}

impl Player<'_> {
    async fn stream(&self, from: DateTime<Utc>, hours: u32) -> Result<Stream> {
        let (pack, Sensors { people, seed }) = (self.city.pack().clone(), self.sensors);
        let options = StreamOptions { people, seed, from, hours: f64::from(hours) };
        Ok(spawn_blocking(move || Stream::new(&pack, options)).await??)
    }

    /// A year of a few Datastreams until a moment, or what is missing of it.
    async fn recall(&mut self, until: DateTime<Utc>) -> Result<()> {
        let since = until - TimeDelta::days(HISTORY_DAYS);
        let few = self.stream(since, 0).await?.told_by(Tellers::Few).datastreams();
        let mut known = BTreeMap::new();
        for datastream in few {
            let newest = self.newest(datastream, datastream, since).await?;
            known.insert(datastream, newest.unwrap_or(since));
        }
        let Some(from) = known.values().min().copied() else { return Ok(()) };
        let missing_hours = (until - from).num_hours();
        if missing_hours < HISTORY_GAP_HOURS {
            return Ok(());
        }
        let hours = u32::try_from(missing_hours)?;
        let stream = self.stream(from, hours).await?.told_by(Tellers::Few);
        self.tell(stream, &known).await
    }

    /// What those told who are gone by now.
    async fn recall_gone(&mut self, until: DateTime<Utc>) -> Result<()> {
        let from = until - TimeDelta::days(GONE_DAYS);
        let stream = self.stream(from, GONE_HOURS).await?.told_by(Tellers::Gone).with_batteries();
        let Some(first) = stream.datastreams().first().copied() else { return Ok(()) };
        if self.newest(first, first, DateTime::UNIX_EPOCH).await?.is_some() {
            return Ok(());
        }
        self.tell(stream, &BTreeMap::new()).await
    }

    async fn newest(
        &self,
        first: i64,
        last: i64,
        since: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>> {
        Ok(self.city.sta_newest(&self.feed, first..=last, since).await?)
    }

    /// Appends a stream's readings as they come due, to its end. `known`: moments up to which
    /// readings of a Datastream are there.
    async fn tell(&mut self, stream: Stream, known: &BTreeMap<i64, DateTime<Utc>>) -> Result<()> {
        let mut stream = stream.peekable();
        loop {
            let (rest, readings) = spawn_blocking(move || due(stream, Utc::now())).await?;
            stream = rest;
            if readings.is_empty() {
                if stream.peek().is_none() {
                    return Ok(());
                }
                tokio::time::sleep(EVERY).await;
                continue;
            }
            let is_new = |reading: &&Reading| {
                known.get(&reading.datastream).is_none_or(|known| reading.observed_at > *known)
            };
            let readings: Vec<StaReading> = readings.iter().filter(is_new).map(told).collect();
            self.city.sta_append(&mut self.feed, &readings).await?;
        }
    }
}

fn told(reading: &Reading) -> StaReading {
    StaReading {
        datastream: reading.datastream,
        feature: Some(reading.feature),
        time: reading.observed_at,
        result: reading.value,
    }
}

/// Takes readings up to a moment off a stream, all of a moment or none.
fn due(mut stream: Peekable<Stream>, until: DateTime<Utc>) -> (Peekable<Stream>, Vec<Reading>) {
    let mut readings: Vec<Reading> = Vec::new();
    while let Some(reading) = stream.next_if(|next| {
        let goes_on = |last: &Reading| last.observed_at == next.observed_at;
        let has_room = readings.len() < AT_ONCE_READINGS || readings.last().is_some_and(goes_on);
        next.observed_at <= until && has_room
    }) {
        readings.push(reading);
    }
    (stream, readings)
}
