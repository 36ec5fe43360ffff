//! Observations that come one by one from many devices: read, held to their streams, and kept in
//! one frame of the log, each with an answer of its own.
//!
//! An observation that brings a Feature of Interest along, or turns anything to itself, goes the
//! way of every other body; it is rare, and slower.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use catalog::Session;
use sensing::entity::{
    Entity, Moment, NewEntity, Observation, ObservationId, ObservationRow, Parent, Target, create,
};
use sensing::odata::{EntityId, ResourceEnd, ResourcePath};
use sensing::schema::EntityKind;

use super::deed::StaDeed;
use super::known::{Numbers, Stream};
use super::observe::{Brought, Observed};
use super::{number, unread};
use crate::observations::Over;
use crate::{City, CityError};

/// One observation that a device has said.
#[derive(Debug, Clone)]
pub struct StaPublish {
    pub session: Session,
    /// The collection that it is said to: `Observations`, or those of one entity.
    pub path: ResourcePath,
    pub body: Vec<u8>,
    /// Told with it to whoever listens.
    pub origin: u64,
}

/// An observation of a stream that is there, with nothing else to be made or turned.
struct Plain {
    stream: (EntityKind, i64),
    feature: Option<i64>,
    observation: Observation,
}

impl Plain {
    fn moment(&self) -> (i64, i64) {
        (self.stream.1, self.observation.phenomenon_time.start().micros())
    }
}

/// What became of one so far.
enum Stage {
    Plain(Plain),
    /// Its row is made.
    Kept,
    /// Not so simple: by the way of every body.
    Other,
    Refused(CityError),
}

/// What of the streams and features the publishes of one principal may name.
#[derive(Default)]
struct Named {
    places: Vec<usize>,
    streams: BTreeSet<i64>,
    features: Numbers,
}

impl City {
    /// Takes observations of many askers: of each, in order, its id or why it was refused. Returns
    /// once all that were taken are on the disk.
    pub async fn sta_observe_many(
        &self,
        publishes: Vec<StaPublish>,
    ) -> Vec<Result<EntityId, CityError>> {
        let now = Moment::from_micros(chrono::Utc::now().timestamp_micros());
        let now = now.unwrap_or(Moment::MAX);
        let mut stages: Vec<Stage> =
            publishes.iter().map(|one| stage(&one.path, &one.body, now)).collect();
        let mut by_principal: HashMap<usize, Named> = HashMap::new();
        for (place, (publish, stage)) in publishes.iter().zip(&stages).enumerate() {
            let Stage::Plain(plain) = stage else { continue };
            let key = Arc::as_ptr(&publish.session.principal).addr();
            let named = by_principal.entry(key).or_default();
            named.places.push(place);
            named.streams.insert(plain.stream.1);
            let feature = plain.feature.map(|id| (EntityKind::FeatureOfInterest, id));
            named.features.extend(feature);
        }
        let mut ready: BTreeMap<usize, (ObservationRow, Arc<Stream>)> = BTreeMap::new();
        for named in by_principal.into_values() {
            self.prepare(&publishes, &mut stages, named, &mut ready).await;
        }
        let mut ids: BTreeMap<usize, Result<EntityId, CityError>> = BTreeMap::new();
        let (mut rows, mut streams) = (Vec::new(), Vec::new());
        let mut brought = Vec::with_capacity(ready.len());
        for (place, (row, stream)) in ready {
            ids.insert(place, row.id().map(EntityId::from).map_err(|error| unread(&error)));
            let publish = &publishes[place];
            brought.push(Brought { session: &publish.session, origin: publish.origin });
            rows.push(row);
            streams.push(stream);
        }
        let mut observed = Vec::with_capacity(rows.len());
        for (row, stream) in rows.into_iter().zip(&streams) {
            observed.push(Observed { row, terms: &stream.terms });
        }
        let kept = self.append_observed_of(&observed, &brought).await;
        drop((observed, brought));
        let lost = kept.err().map(|error| unkept(&error));
        let mut answers = Vec::with_capacity(publishes.len());
        for (place, (publish, stage)) in publishes.into_iter().zip(stages).enumerate() {
            answers.push(match stage {
                Stage::Refused(error) => {
                    self.note_refused(&publish.session, 1);
                    Err(error)
                }
                Stage::Other => {
                    let made = self.sta_create(&publish.session, &publish.path, &publish.body);
                    made.await.map(|made| made.id)
                }
                Stage::Plain(_) | Stage::Kept => match (&lost, ids.remove(&place)) {
                    (Some(reason), _) => Err(CityError::Busy(reason.clone())),
                    (None, Some(id)) => id,
                    (None, None) => Err(CityError::Kept("an observation without a row".into())),
                },
            });
        }
        answers
    }

    /// Makes rows of one principal's observations, or says of each why not.
    async fn prepare(
        &self,
        publishes: &[StaPublish],
        stages: &mut [Stage],
        named: Named,
        ready: &mut BTreeMap<usize, (ObservationRow, Arc<Stream>)>,
    ) {
        let Some(first) = named.places.first() else { return };
        let session = &publishes[*first].session;
        let found = match self.found(session, &named).await {
            Ok((streams, features)) => {
                let unsure = self.unsure_moments(named.places.iter().filter_map(|place| {
                    let Stage::Plain(plain) = &stages[*place] else { return None };
                    let is_there = streams.contains_key(&plain.stream.1);
                    is_there.then(|| plain.moment())
                }));
                let recalled = self.recall_moments(unsure).await;
                let over = match recalled {
                    Ok(()) => self.stores().over(None).await.map_err(CityError::from),
                    Err(error) => Err(error),
                };
                over.map(|over| (streams, features, over))
            }
            Err(error) => Err(error),
        };
        let (streams, features, over) = match found {
            Ok(found) => found,
            Err(error) => {
                // One error for all: each gets its words.
                for place in named.places {
                    stages[place] = Stage::Refused(repeated(&error));
                }
                return;
            }
        };
        for place in named.places {
            let stage = std::mem::replace(&mut stages[place], Stage::Other);
            let Plain { stream, feature, observation } = match stage {
                Stage::Plain(plain) => plain,
                other => {
                    stages[place] = other;
                    continue;
                }
            };
            let found = streams.get(&stream.1).filter(|found| found.kind() == stream.0);
            let made = match (found, feature) {
                (None, _) => Err(no_stream(stream.1)),
                (Some(_), Some(id)) if !features.contains(&id) => Err(CityError::Invalid(format!(
                    "there is no FeatureOfInterest {id} to link to"
                ))),
                (Some(found), _) => {
                    let made = self.row_of(session, &over, found, stream.1, feature, observation);
                    made.await.map(|row| (row, found.clone()))
                }
            };
            stages[place] = match made {
                Ok(made) => {
                    ready.insert(place, made);
                    Stage::Kept
                }
                Err(error) => Stage::Refused(error),
            };
        }
    }

    /// The streams of one principal's publishes, and the features that they name.
    async fn found(
        &self,
        session: &Session,
        named: &Named,
    ) -> Result<(BTreeMap<i64, Arc<Stream>>, BTreeSet<i64>), CityError> {
        self.may_sense(session)?;
        let streams = self.kept_streams(session, &named.streams).await?;
        let features = match named.features.is_empty() {
            true => BTreeSet::new(),
            false => {
                let known = self.sta_known(session, &named.features).await?;
                known.into_keys().map(|(_, id)| id).collect()
            }
        };
        Ok((streams, features))
    }

    async fn row_of(
        &self,
        session: &Session,
        over: &Over,
        stream: &Stream,
        id: i64,
        feature: Option<i64>,
        observation: Observation,
    ) -> Result<ObservationRow, CityError> {
        stream.check(&observation.result).map_err(|error| unread(&error))?;
        let feature = match feature {
            Some(feature) => Some(feature),
            None => self.feature_of(session, stream.thing, &stream.terms).await?,
        };
        let key = self.observation_id(over, id, observation.phenomenon_time.start())?;
        Ok(ObservationRow::new(key, observation, feature))
    }

    /// One observation, where it is of a stream that is there and brings nothing along; none where
    /// it has to go the way of every body. A part of a deed.
    pub(super) async fn observe_plainly(
        &self,
        deed: &StaDeed,
        path: &ResourcePath,
        body: &[u8],
    ) -> Result<Option<ObservationId>, CityError> {
        let session = &deed.session;
        let now = Moment::from_micros(deed.now.timestamp_micros()).unwrap_or(Moment::MAX);
        let Stage::Plain(plain) = stage(path, body, now) else { return Ok(None) };
        // Whatever is refused is refused in the words of every body.
        if plain.feature.is_some() {
            return Ok(None);
        }
        let (kind, id) = plain.stream;
        let streams = self.kept_streams(session, &BTreeSet::from([id])).await?;
        let Some(stream) = streams.get(&id).filter(|stream| stream.kind() == kind) else {
            return Ok(None);
        };
        let unsure = self.unsure_moments([plain.moment()]);
        self.recall_moments(unsure).await?;
        let over = self.stores().over(None).await?;
        let row = self.row_of(session, &over, stream, id, None, plain.observation).await?;
        let first = row.id().map_err(|error| unread(&error))?;
        self.observe_in(deed, &[Observed { row, terms: &stream.terms }]).await?;
        Ok(Some(first))
    }
}

fn stage(path: &ResourcePath, body: &[u8], now: Moment) -> Stage {
    let Some(parent) = parent(path) else { return Stage::Other };
    match create(EntityKind::Observation, body, parent.as_ref(), now) {
        Ok(new) => plain(new).map_or(Stage::Other, Stage::Plain),
        Err(error) => Stage::Refused(unread(&error)),
    }
}

/// The entity that is said to, where it is one by its number or none; none where the path is
/// another.
fn parent(path: &ResourcePath) -> Option<Option<Parent>> {
    let is_observations = path.end == ResourceEnd::Whole
        && path.last().entity.kind == EntityKind::Observation
        && path.last().id.is_none();
    match path.segments.as_slice() {
        [_] if is_observations => Some(None),
        [above, _] if is_observations => {
            let id = EntityId::Integer(number(above.value.id.as_ref()?)?);
            Some(Some(Parent { kind: above.value.entity.kind, id }))
        }
        _ => None,
    }
}

/// The observation, where all that it is linked to is there: a stream, and at most a feature.
fn plain(new: NewEntity) -> Option<Plain> {
    let (mut stream, mut feature) = (None, None);
    for related in &new.related {
        let Target::Existing(id) = &related.target else { return None };
        let id = number(id)?;
        match related.navigation.target {
            kind @ (EntityKind::Datastream | EntityKind::MultiDatastream) => {
                stream = Some((kind, id));
            }
            EntityKind::FeatureOfInterest => feature = Some(id),
            _ => return None,
        }
    }
    let Entity::Observation(observation) = new.entity else { return None };
    Some(Plain { stream: stream?, feature, observation })
}

fn no_stream(id: i64) -> CityError {
    CityError::Refused(format!("there is no Datastream {id} that you may add to"))
}

/// The lake's words, of which every sender gets the same.
fn unkept(error: &CityError) -> String {
    tracing::error!(%error, "observations could not be kept");
    "the observations could not be kept: send them again".to_owned()
}

/// The same error once more, as far as senders tell errors apart.
fn repeated(error: &CityError) -> CityError {
    match error {
        CityError::Refused(reason) => CityError::Refused(reason.clone()),
        CityError::Invalid(reason) => CityError::Invalid(reason.clone()),
        CityError::TooLarge(reason) => CityError::TooLarge(reason.clone()),
        other => {
            tracing::error!(error = %other, "observations could not be looked at");
            CityError::Busy("the observations could not be taken: send them again".to_owned())
        }
    }
}
