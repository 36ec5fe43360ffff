//! Observations into the lake, one by one and in bulk, and the Feature of Interest of one that
//! names none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use catalog::Session;
use datafusion::common::ScalarValue;
use sensing::entity::{
    Entity, FeatureOfInterest, FeatureOfInterestRow, Group, Moment, ObservationId, ObservationRow,
    Row, create_observations,
};
use sensing::odata::EntityId;
use sensing::plan::ObservationKey;
use sensing::schema::EntityKind;

use super::columns::{Columns, Terms};
use super::deed::StaDeed;
use super::known::{Numbers, Stream};
use super::rows::{batch, feature_columns};
use super::sheet::Sheet;
use super::table::Table;
use super::{FEATURE, FEATURES_MAX, LOCATION, OBSERVATION, number, unread};
use crate::observations::Over;
use crate::{City, CityError};

/// Observations of one frame of the log: well below what a frame may have in bytes, unless each
/// of them carries JSON.
const FRAME_ROWS_MAX: usize = 50_000;

/// The Features of Interest that were made from Locations, by Location and owner.
#[derive(Debug, Default)]
pub(super) struct Features {
    of: HashMap<(i64, String), i64>,
    /// Those of before the start are here.
    loaded: bool,
}

/// An observation to be kept.
pub(super) struct Observed<'t> {
    pub row: ObservationRow,
    pub terms: &'t Terms,
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
        self.append_observed(&observed).await?;
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

    /// The id of a new observation: the first of its stream and moment, as far as is remembered,
    /// and none that was corrected or taken away: that one's fate would be the new one's.
    pub(super) fn observation_id(
        &self,
        over: &Over,
        stream: i64,
        time: Moment,
    ) -> Result<ObservationId, CityError> {
        let mut moments = self.sta.moments.lock().expect("no one panics while holding the moments");
        // As many times as there are corrections of this moment, and once more.
        loop {
            let (time_us, ordinal) = (time.micros(), moments.ordinal(stream, time.micros()));
            let key = ObservationKey { datastream: stream, time_us, ordinal: i64::from(ordinal) };
            if !over.is_corrected(key) {
                let none = || CityError::Invalid(format!("{stream} is no number of a stream"));
                return ObservationId::new(stream, time, ordinal).ok_or_else(none);
            }
        }
    }

    /// Returns once all are on the disk and visible.
    pub(super) async fn append_observed(&self, observed: &[Observed<'_>]) -> Result<(), CityError> {
        self.append_observed_of(observed, &[]).await
    }

    /// The same, with where each came from, for who listens; nothing where from nowhere special.
    pub(super) async fn append_observed_of(
        &self,
        observed: &[Observed<'_>],
        mut origins: &[u64],
    ) -> Result<(), CityError> {
        let contract = self.contract(OBSERVATION)?;
        for rows in observed.chunks(FRAME_ROWS_MAX) {
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
                .integer("flags", |observed| observed.row.flags)
                .terms(|observed| observed.terms)
                .batch(contract)?;
            // Each frame is durable before the next: an error leaves the ones before it in.
            self.lake().append(OBSERVATION, batch.clone(), None).await?;
            self.tell_of_rows(OBSERVATION, rows.len() as u64);
            let (of_these, rest) = origins.split_at(rows.len().min(origins.len()));
            self.sta.feed.tell(OBSERVATION, &batch, of_these);
            origins = rest;
        }
        Ok(())
    }

    /// The Feature of Interest of an observation that names none: made from where its Thing is,
    /// once for each Location and owner. None where the Thing is nowhere.
    pub(super) async fn feature_of(
        &self,
        session: &Session,
        thing: i64,
        terms: &Terms,
    ) -> Result<Option<i64>, CityError> {
        let Some(location) = self.place_of_thing(thing).await? else { return Ok(None) };
        let mut features = self.sta.features.lock().await;
        if !features.loaded {
            self.load_features(&mut features).await?;
        }
        let place = (location, terms.owner.clone());
        if let Some(feature) = features.of.get(&place) {
            let key = feature.to_string();
            let contract = self.contract(FEATURE)?;
            if !self.registers().versions(contract, &[key]).await?.is_empty() {
                return Ok(Some(*feature));
            }
        }
        // Two departments may have Things at one Location: each sees a feature of its own.
        let sql = format!(
            "SELECT id FROM {FEATURE} WHERE location = {location} AND owner = $1 \
             ORDER BY id LIMIT 1"
        );
        let owner = ScalarValue::Utf8(Some(terms.owner.clone()));
        let known = self.sta_rows(session, &sql, &[owner]).await?.integer("id", 0);
        let feature = match known {
            Some(feature) => Some(feature),
            None => self.make_feature(session, location, terms).await?,
        };
        if features.of.len() >= FEATURES_MAX {
            features.of.clear();
        }
        features.of.extend(feature.map(|feature| (place, feature)));
        Ok(feature)
    }

    /// Finds all that were made before at once: after a start every device says something soon.
    async fn load_features(&self, features: &mut Features) -> Result<(), CityError> {
        for rows in self.registers().rows(self.contract(FEATURE)?, None).await? {
            let table = Table::of(&rows.schema(), std::slice::from_ref(&rows))?;
            for row in 0..table.len() {
                let (Some(id), Some(location), Some(owner)) = (
                    table.integer("id", row),
                    table.integer("location", row),
                    table.text("owner", row),
                ) else {
                    continue;
                };
                if features.of.len() < FEATURES_MAX {
                    let first = features.of.entry((location, owner)).or_insert(id);
                    *first = id.min(*first);
                }
            }
        }
        features.loaded = true;
        Ok(())
    }

    /// Makes a Feature of Interest of a Location. None where there is none to be seen.
    async fn make_feature(
        &self,
        session: &Session,
        location: i64,
        terms: &Terms,
    ) -> Result<Option<i64>, CityError> {
        let sql = format!(
            "SELECT id, name, description, encoding_type, location, properties FROM {LOCATION} \
             WHERE id = {location}"
        );
        let table = self.sta_rows(session, &sql, &[]).await?;
        if table.len() == 0 {
            return Ok(None);
        }
        let Entity::Location(place) = table.item(EntityKind::Location, 0)?.entity else {
            return Ok(None);
        };
        let id = self.sta_numbers(FEATURE, 1).await?.start;
        let feature = FeatureOfInterest {
            name: place.name,
            description: place.description,
            encoding_type: place.encoding_type,
            feature: place.location,
            properties: place.properties,
        };
        let rows = [FeatureOfInterestRow::new(id, feature)];
        let row = batch(self, FEATURE, feature_columns(&rows, Some(location)), terms)?;
        let mut sheet = Sheet::of(self);
        sheet.add(FEATURE, row);
        // Others may use it from now on, so it stays whatever becomes of the observation.
        sheet.write(&StaDeed::of(session), "create").await?;
        Ok(Some(id))
    }
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
