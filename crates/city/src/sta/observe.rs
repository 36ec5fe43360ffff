//! Observations into the lake, one by one and in bulk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::Arc;

use catalog::Session;
use chrono::Utc;
use sensing::entity::{Group, Moment, ObservationId, ObservationRow, Row, create_observations};
use sensing::odata::EntityId;
use sensing::plan::ObservationKey;
use sensing::schema::EntityKind;

use super::columns::{Columns, Terms};
use super::known::{Numbers, Stream};
use super::{OBSERVATION, number, unread};
use crate::live::producers::{Face, Took};
use crate::live::{LEAVES_OUT, Noted};
use crate::observations::Over;
use crate::plausible::Judged;
use crate::{City, CityError};

/// Observations of one frame of the log: well below what a frame may have in bytes, unless each
/// of them carries JSON.
pub(super) const FRAME_ROWS_MAX: usize = 50_000;
/// And of the JSON that they carry.
const FRAME_JSON_BYTES_MAX: usize = 8 << 20;

/// Characters of the name that a sender gives a count of numbers.
const PRODUCER_CHARS_MAX: usize = 64;

/// Who brought an observation, and by which connection where a face tells its clients apart.
#[derive(Clone, Copy)]
pub(super) struct Brought<'s> {
    pub session: &'s Session,
    pub origin: u64,
}

/// An observation to be kept.
pub(super) struct Observed<'t> {
    pub row: ObservationRow,
    pub terms: &'t Terms,
}

/// An observation with what was found of it.
struct Flagged<'o, 't> {
    observed: &'o Observed<'t>,
    flags: i64,
}

impl<'t> Deref for Flagged<'_, 't> {
    type Target = Observed<'t>;

    fn deref(&self) -> &Self::Target {
        self.observed
    }
}

impl Observed<'_> {
    fn reading(&self) -> Judged {
        Judged {
            datastream: self.row.datastream,
            time_us: self.row.phenomenon_time,
            result: self.row.result_number,
        }
    }
}

impl<'o, 't> Flagged<'o, 't> {
    fn of(observed: &'o Observed<'t>, found: i64) -> Self {
        Self { observed, flags: observed.row.flags | found }
    }

    /// Of the JSON that it carries.
    fn bytes(&self) -> usize {
        let row = &self.row;
        let texts = [&row.result_json, &row.result_quality, &row.parameters];
        texts.into_iter().flatten().map(String::len).sum()
    }

    fn seen(&self) -> Noted {
        Noted {
            datastream: self.row.datastream,
            time_us: self.row.phenomenon_time,
            ordinal: self.row.ordinal,
            result: self.row.result_number,
            flags: self.flags,
        }
    }
}

impl City {
    /// Takes a body of CreateObservations: of each row, in order, the id of the observation that
    /// was made, or none where it was refused. Returns once all of them are on the disk.
    pub async fn sta_create_observations(
        &self,
        session: &Session,
        body: &[u8],
    ) -> Result<Vec<Option<EntityId>>, CityError> {
        self.may_sense(session)?;
        let mut groups = create_observations(body).map_err(|error| unread(&error))?;
        let wanted: BTreeSet<i64> = groups.iter().filter_map(number_of).collect();
        let streams = self.sta_streams(session, &wanted).await?;
        let features = self.known_features(session, &groups).await?;
        let unsure = {
            let known =
                groups.iter().filter_map(|group| Some((stream_of(group, &streams)?.0, group)));
            self.unsure_moments(known.flat_map(|(id, group)| {
                group.observations.phenomenon_time.iter().map(move |time| (id, time.micros()))
            }))
        };
        self.recall_moments(unsure).await?;
        let over = self.stores().over(None).await?;
        let mut made: BTreeMap<i64, Option<i64>> = BTreeMap::new();
        let (mut observed, mut ids) = (Vec::new(), Vec::new());
        for group in &mut groups {
            let Some((id, stream)) = stream_of(group, &streams) else {
                ids.extend((0..group.rows).map(|_| None));
                continue;
            };
            stream.hold(group);
            let usual = match made.get(&stream.thing) {
                Some(feature) => *feature,
                None => {
                    let feature = self.feature_of(session, stream.thing, &stream.terms).await?;
                    made.insert(stream.thing, feature);
                    feature
                }
            };
            for row in group.rows() {
                let Row::Read(place) = row else {
                    ids.push(None);
                    continue;
                };
                let given = group.observations.feature.get(place).and_then(Option::as_ref);
                let feature = match given {
                    None => usual,
                    Some(given) => match number(given).filter(|id| features.contains(id)) {
                        Some(feature) => Some(feature),
                        None => {
                            ids.push(None);
                            continue;
                        }
                    },
                };
                let time = group.observations.phenomenon_time[place];
                let key = self.observation_id(&over, id, time)?;
                let observation = group.observations.observation(place);
                let row = ObservationRow::new(key, observation, feature);
                observed.push(Observed { row, terms: &stream.terms });
                ids.push(Some(key.into()));
            }
        }
        self.append_observed(session, &observed).await?;
        self.note_refused(session, ids.iter().filter(|id| id.is_none()).count());
        Ok(ids)
    }

    /// The features that the groups name, of those that the session sees.
    async fn known_features(
        &self,
        session: &Session,
        groups: &[Group],
    ) -> Result<BTreeSet<i64>, CityError> {
        let named = groups.iter().flat_map(|group| group.observations.feature.iter().flatten());
        let wanted: Numbers =
            named.filter_map(number).map(|id| (EntityKind::FeatureOfInterest, id)).collect();
        let known = self.sta_known(session, &wanted).await?;
        Ok(known.into_keys().map(|(_, id)| id).collect())
    }

    /// The id of a new observation, after its moment was looked at ([`Self::unsure_moments`]): one
    /// that nobody had, and none that was corrected or taken away: that one's fate would be the new
    /// one's.
    pub(super) fn observation_id(
        &self,
        over: &Over,
        stream: i64,
        time: Moment,
    ) -> Result<ObservationId, CityError> {
        let mut moments = self.sta.moments.lock().expect("no one panics while holding the moments");
        // As many times as there are corrections of this moment, and once more.
        loop {
            let (time_us, ordinal) = (time.micros(), moments.ordinal((stream, time.micros())));
            let key = ObservationKey { datastream: stream, time_us, ordinal: i64::from(ordinal) };
            if !over.is_corrected(key) {
                let none = || CityError::Invalid(format!("{stream} is no number of a stream"));
                return ObservationId::new(stream, time, ordinal).ok_or_else(none);
            }
        }
    }

    /// Returns once all are on the disk and visible.
    pub(super) async fn append_observed(
        &self,
        session: &Session,
        observed: &[Observed<'_>],
    ) -> Result<(), CityError> {
        self.append_observed_of(observed, &[Brought { session, origin: 0 }]).await
    }

    /// The same of many senders: who brought each, or who brought all of them.
    pub(super) async fn append_observed_of(
        &self,
        observed: &[Observed<'_>],
        brought: &[Brought<'_>],
    ) -> Result<(), CityError> {
        let contract = self.contract(OBSERVATION)?;
        let now_us = Utc::now().timestamp_micros();
        let readings: Vec<Judged> = observed.iter().map(Observed::reading).collect();
        let verdict = self.stores().judge(&readings, now_us).await?;
        let observed = observed.iter().zip(&verdict.flags);
        let observed: Vec<Flagged<'_, '_>> =
            observed.map(|(observed, found)| Flagged::of(observed, *found)).collect();
        let mut at = 0;
        for rows in frames(&observed) {
            let batch = Columns::of(rows)
                .integer("datastream", |observed| observed.row.datastream)
                .instant("phenomenon_time", |observed| observed.row.phenomenon_time)
                .integer("ordinal", |observed| i64::from(observed.row.ordinal))
                .instant_if("phenomenon_end", |observed| observed.row.phenomenon_end)
                .instant_if("result_time", |observed| observed.row.result_time)
                .number_if("result_number", |observed| observed.row.result_number)
                .text_if("result_json", |observed| observed.row.result_json.as_deref())
                .text_if("result_quality", |observed| observed.row.result_quality.as_deref())
                .instant_if("valid_start", |observed| observed.row.valid_start)
                .instant_if("valid_end", |observed| observed.row.valid_end)
                .text_if("parameters", |observed| observed.row.parameters.as_deref())
                .integer_if("feature_of_interest", |observed| observed.row.feature_of_interest)
                .integer("flags", |observed| observed.flags)
                .terms(|observed| observed.terms)
                .batch(contract)?;
            // Each frame is durable before the next: an error leaves the ones before it in.
            let seen = rows.iter().map(Flagged::seen).collect();
            self.stores().append_observations(batch.clone(), seen).await?;
            let by = match brought {
                [all] => vec![*all; rows.len()],
                each => each.iter().skip(at).take(rows.len()).copied().collect(),
            };
            at += rows.len();
            self.note_taken(&by, rows, now_us);
            self.tell_who_watches(OBSERVATION, rows.len() as u64);
            let origins: Vec<u64> = by.iter().map(|brought| brought.origin).collect();
            self.sta.feed.tell(OBSERVATION, &batch, &origins);
        }
        self.stores().plausible.remember(&verdict);
        Ok(())
    }

    /// Notes of each sender what it brought.
    fn note_taken(&self, by: &[Brought<'_>], rows: &[Flagged<'_, '_>], now_us: i64) {
        let mut senders: HashMap<(usize, Face), (&Session, Took)> = HashMap::new();
        for (brought, row) in by.iter().zip(rows) {
            let principal = Arc::as_ptr(&brought.session.principal).addr();
            let key = (principal, Face::of(brought.session));
            let (_, took) =
                senders.entry(key).or_insert_with(|| (brought.session, Took::default()));
            took.rows += 1;
            took.flagged += u64::from(row.flags & LEAVES_OUT != 0);
            took.duplicates += u64::from(row.row.ordinal > 0);
            took.lags_us.push(now_us.saturating_sub(end_of(&row.row)));
            took.numbers.extend(number_given(&row.row));
        }
        for ((_, face), (session, took)) in senders {
            let principal = &session.principal;
            self.live().producers().took(&principal.user, &principal.organisation, face, &took);
        }
    }

    /// Notes of a sender what was not taken.
    pub(super) fn note_refused(&self, session: &Session, refused: usize) {
        if refused > 0 {
            let took = Took { refused: refused as u64, ..Took::default() };
            let principal = &session.principal;
            let face = Face::of(session);
            self.live().producers().took(&principal.user, &principal.organisation, face, &took);
        }
    }
}

/// Rows as frames of the log. What one sender's rows carry must not make the frame of all others
/// too large.
fn frames<'f, 'o, 't>(rows: &'f [Flagged<'o, 't>]) -> Vec<&'f [Flagged<'o, 't>]> {
    let (mut frames, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (at, row) in rows.iter().enumerate() {
        let more = row.bytes();
        let full = at - from >= FRAME_ROWS_MAX || bytes + more > FRAME_JSON_BYTES_MAX;
        if full && at > from {
            frames.push(&rows[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += more;
    }
    if from < rows.len() {
        frames.push(&rows[from..]);
    }
    frames
}

/// When what was observed was over.
fn end_of(row: &ObservationRow) -> i64 {
    row.phenomenon_end.unwrap_or(row.phenomenon_time)
}

/// The number that a sender has given an observation, and the count that it is of: the sender's,
/// or that of the device that `parameters` name as `producer`.
fn number_given(row: &ObservationRow) -> Option<(String, u64)> {
    let parameters = row.parameters.as_deref().filter(|text| text.contains("\"sequence\""))?;
    let parameters: serde_json::Value = serde_json::from_str(parameters).ok()?;
    let number = parameters.get("sequence")?.as_u64()?;
    let producer = parameters.get("producer").and_then(serde_json::Value::as_str);
    let producer: String = producer.unwrap_or_default().chars().take(PRODUCER_CHARS_MAX).collect();
    Some((producer, number))
}

/// The number of a group's stream, where it names one.
fn number_of(group: &Group) -> Option<i64> {
    group.stream.as_ref().and_then(|stream| number(&stream.id))
}

/// The stream of a group, where it is there and of the type that the group says.
fn stream_of<'s>(group: &Group, streams: &'s BTreeMap<i64, Stream>) -> Option<(i64, &'s Stream)> {
    let (id, said) = (number_of(group)?, group.stream.as_ref()?);
    let stream = streams.get(&id)?;
    (stream.kind() == said.kind).then_some((id, stream))
}
