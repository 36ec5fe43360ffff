//! Observations that no SensorThings body brings: those of devices that speak something else. Held
//! to the same: the stream is one that the session sees and its principal acts for, results are of
//! the stream's type, a Feature of Interest is where the Thing is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use catalog::Session;
use datafusion::common::ScalarValue;
use sensing::entity::{Json, Moment, Observation, ObservationRow, Outcome, TimeObject};
use serde_json::json;

use super::known::Stream;
use super::observe::Observed;
use super::{DATASTREAM, FEATURE, LOCATION, THING_LOCATION};
use crate::{City, CityError};

/// Streams that are held, of all users together: then all are looked up again.
const STREAMS_HELD_MAX: usize = 1 << 18;
/// For so long a stream is held whatever changes.
const HELD: Duration = Duration::from_secs(1);

/// A stream that the session's principal may add to, and what its observations are about.
#[derive(Debug)]
pub(crate) struct OwnStream {
    stream: Stream,
    feature: Option<i64>,
    /// What decided it, as that was.
    version: u64,
    since: Instant,
}

impl OwnStream {
    /// Refuses a result that the stream's type does not allow.
    pub fn check(&self, result: &Outcome) -> Result<(), String> {
        self.stream.check(result).map_err(|fault| fault.to_string())
    }
}

/// Streams by user and number.
#[derive(Debug, Default)]
pub(crate) struct HeldStreams {
    held: Mutex<HashMap<(String, i64), Arc<OwnStream>>>,
}

/// An observation to be kept.
#[derive(Debug)]
pub(crate) struct Meant {
    pub stream: i64,
    pub time: Moment,
    pub result: Outcome,
    /// Its number among those that the device sent.
    pub sequence: Option<String>,
    pub flags: i64,
    /// The first ordinal of its moment that may be free.
    pub ordinal_min: u32,
}

/// A reading as it is kept.
#[derive(Debug)]
pub(crate) struct KeptReading {
    pub stream: i64,
    pub time_us: i64,
    pub ordinal: u32,
    pub result: Option<Outcome>,
    pub parameters: Option<String>,
}

impl City {
    /// Whether the session's principal may bring in anything at all.
    pub(crate) fn may_map(&self, session: &Session) -> Result<(), CityError> {
        self.may_sense(session)
    }

    /// The streams of these numbers that are the asker's own. Others are left out.
    pub(crate) async fn own_streams(
        &self,
        session: &Session,
        held: &HeldStreams,
        wanted: &BTreeSet<i64>,
    ) -> Result<BTreeMap<i64, Arc<OwnStream>>, CityError> {
        let user = &session.principal.user;
        let version = self.streams_version();
        let mut own = BTreeMap::new();
        let mut missing = BTreeSet::new();
        {
            let held = held.held.lock().expect("no one panics while holding the streams");
            for stream in wanted {
                match held.get(&(user.clone(), *stream)) {
                    Some(known) if known.version == version || known.since.elapsed() < HELD => {
                        own.insert(*stream, known.clone());
                    }
                    _ => {
                        missing.insert(*stream);
                    }
                }
            }
        }
        let there = self.features_there(&own).await?;
        own.retain(|stream, known| {
            let stands = known.feature.is_none_or(|feature| there.contains(&feature));
            // What is of a feature that is gone would be gone with it.
            if !stands {
                missing.insert(*stream);
            }
            let acts = session.principal.organisations.contains(&known.stream.terms.owner);
            stands && acts
        });
        if missing.is_empty() {
            return Ok(own);
        }
        let mut features: BTreeMap<i64, Option<i64>> = BTreeMap::new();
        for (number, stream) in self.sta_streams(session, &missing).await? {
            let feature = match features.get(&stream.thing) {
                Some(feature) => *feature,
                None => {
                    let made = self.feature_of(session, stream.thing, &stream.terms).await?;
                    features.insert(stream.thing, made);
                    made
                }
            };
            let since = Instant::now();
            let known = Arc::new(OwnStream { stream, feature, version, since });
            own.insert(number, known.clone());
            let mut held = held.held.lock().expect("no one panics while holding the streams");
            if held.len() >= STREAMS_HELD_MAX {
                held.clear();
            }
            held.insert((user.clone(), number), known);
        }
        Ok(own)
    }

    /// Changes whenever other streams may be somebody's own, or their Things stand elsewhere. Each
    /// part only grows, so the sum moves when one does.
    fn streams_version(&self) -> u64 {
        let registers = [DATASTREAM, THING_LOCATION, LOCATION];
        let rows: u64 = registers.iter().map(|id| self.registers().version(id)).sum();
        rows + self.registry().version() + self.sharing().policy_epoch()
    }

    /// The features of these streams that are still there.
    async fn features_there(
        &self,
        own: &BTreeMap<i64, Arc<OwnStream>>,
    ) -> Result<BTreeSet<i64>, CityError> {
        let features: BTreeSet<i64> = own.values().filter_map(|known| known.feature).collect();
        if features.is_empty() {
            return Ok(features);
        }
        let keys: Vec<String> = features.iter().map(i64::to_string).collect();
        let contract = self.contract(FEATURE)?;
        let there = self.registers().versions(contract, &keys).await?;
        Ok(there.keys().filter_map(|key| key.parse().ok()).collect())
    }

    /// Kept readings that a statement answers.
    pub(crate) async fn kept_readings(
        &self,
        session: &Session,
        sql: &str,
        parameters: &[ScalarValue],
    ) -> Result<Vec<KeptReading>, CityError> {
        let table = self.sta_rows(session, sql, parameters).await?;
        let rows = (0..table.len()).filter_map(|row| {
            let json = || Some(Outcome::Other(Json::parse(&table.text("result_json", row)?).ok()?));
            Some(KeptReading {
                stream: table.integer("datastream", row)?,
                time_us: table.instant("phenomenon_time", row)?,
                ordinal: u32::try_from(table.integer("ordinal", row)?).ok()?,
                result: table.number("result_number", row).map(Outcome::Number).or_else(json),
                parameters: table.text("parameters", row),
            })
        });
        Ok(rows.collect())
    }

    /// The newest moment of each stream that a statement answers.
    pub(crate) async fn newest_readings(
        &self,
        session: &Session,
        sql: &str,
    ) -> Result<HashMap<i64, i64>, CityError> {
        let table = self.sta_rows(session, sql, &[]).await?;
        let rows = (0..table.len()).filter_map(|row| {
            Some((table.integer("datastream", row)?, table.instant("newest", row)?))
        });
        Ok(rows.collect())
    }

    /// Appends observations of these streams, which are the asker's own. Returns once all are on
    /// the disk and visible.
    pub(crate) async fn keep_mapped(
        &self,
        session: &Session,
        streams: &BTreeMap<i64, Arc<OwnStream>>,
        meant: Vec<Meant>,
    ) -> Result<(), CityError> {
        let moments = meant.iter().map(|meant| (meant.stream, meant.time.micros()));
        let unsure = self.unsure_moments(moments);
        self.recall_moments(unsure).await?;
        let over = self.stores().over(None).await?;
        let mut observed = Vec::with_capacity(meant.len());
        for Meant { stream, time, result, sequence, flags, ordinal_min } in meant {
            let own = streams.get(&stream);
            let own = own.ok_or_else(|| CityError::Kept(format!("no stream {stream}")))?;
            if ordinal_min > 0 {
                let moments = self.sta.moments.lock();
                let mut moments = moments.expect("no one panics while holding the moments");
                moments.begin((stream, time.micros()), ordinal_min);
            }
            let id = self.observation_id(&over, stream, time)?;
            let parameters = sequence.map(|sequence| Json::of(&json!({ "sequence": sequence })));
            let observation = Observation {
                phenomenon_time: TimeObject::Moment(time),
                result,
                result_time: None,
                result_quality: None,
                valid_time: None,
                parameters,
            };
            let mut row = ObservationRow::new(id, observation, own.feature);
            row.flags |= flags;
            observed.push(Observed { row, terms: &own.stream.terms });
        }
        self.append_observed(session, &observed).await
    }
}

/// What a kept observation's parameters say of its number.
pub(crate) fn sequence_in(parameters: &str) -> Option<String> {
    let parameters = Json::parse(parameters).ok()?;
    Some(parameters.value().get("sequence")?.as_str()?.to_owned())
}
