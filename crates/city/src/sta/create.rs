//! POST: a new entity with all that comes with it.
//!
//! The rows of all registers are one transaction. Observations come last, into the lake; where they
//! cannot be kept, the rows are taken back.

use std::collections::{BTreeMap, BTreeSet};

use catalog::Session;
use sensing::entity::{
    Entity, HistoricalLocationPlaceRow, HistoricalLocationRow, Moment, ObservationId,
    ObservationRow, Parent, ThingLocationRow, create, wkb,
};
use sensing::odata::{EntityId, QueryOptions, ResourceEnd, ResourcePath, Target};
use sensing::plan::{Extras, ObservationKey, Request, plan};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

use super::columns::Terms;
use super::correct::Relink;
use super::deed::StaDeed;
use super::draft::{Draft, Far, Node, Turned};
use super::known::{Known, Stream, may_add};
use super::observe::Observed;
use super::rows::Rows;
use super::sheet::Sheet;
use super::{HISTORICAL_LOCATION, dataset, unplanned, unread};
use crate::{City, CityError};

const SHARED: [&str; 2] = ["own", "open"];

/// An entity that was made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaCreated {
    pub kind: EntityKind,
    pub id: EntityId,
}

/// Entities that are there, by type and number.
type Knowns = BTreeMap<(EntityKind, i64), Known>;

impl City {
    /// Makes the entity of a body in the collection that the path ends at.
    pub async fn sta_create(
        &self,
        session: &Session,
        path: &ResourcePath,
        body: &[u8],
    ) -> Result<StaCreated, CityError> {
        let deed = StaDeed::of(session);
        let made = self.sta_create_in(&deed, path, body).await;
        self.whole(&deed, made).await
    }

    /// The same as a part of a deed, which whoever began it takes back where it fails.
    pub async fn sta_create_in(
        &self,
        deed: &StaDeed,
        path: &ResourcePath,
        body: &[u8],
    ) -> Result<StaCreated, CityError> {
        let made = self.create_in(deed, path, body).await;
        if made.is_err() && path.target() == Target::Collection(EntityKind::Observation) {
            self.note_refused(&deed.session, 1);
        }
        made
    }

    async fn create_in(
        &self,
        deed: &StaDeed,
        path: &ResourcePath,
        body: &[u8],
    ) -> Result<StaCreated, CityError> {
        let session = &deed.session;
        self.may_sense(session)?;
        let (Target::Collection(kind), ResourceEnd::Whole) = (path.target(), &path.end) else {
            let reason = "entities are made in a collection: POST to it".to_owned();
            return Err(CityError::Invalid(reason));
        };
        if kind == EntityKind::Observation
            && let Some(id) = self.observe_plainly(deed, path, body).await?
        {
            return Ok(StaCreated { kind, id: id.into() });
        }
        let parent = self.parent(session, path).await?;
        let moment = Moment::from_micros(deed.now.timestamp_micros()).unwrap_or(Moment::MAX);
        let new = create(kind, body, parent.as_ref(), moment).map_err(|error| unread(&error))?;
        let mut draft = Draft::of(new)?;
        let mut linked = draft.existing.clone();
        linked.extend(draft.turned.iter().filter_map(|(_, turned)| match turned {
            Turned::Entity(kind, id) => Some((*kind, *id)),
            Turned::Observation(_) => None,
        }));
        let known = self.sta_linked(session, &linked).await?;
        let terms = terms(session, &draft, &known)?;
        let mut streams = self.sta_streams(session, &streams_of(&draft, true)).await?;
        check_results(&draft, &streams)?;
        self.give_numbers(&mut draft).await?;

        let mut sheet = Sheet::of(self);
        self.lay_out(deed, &mut sheet, &draft, &known, &terms).await?;
        sheet.write(deed, "create").await?;
        self.relink_all(deed, &draft).await?;
        if streams_of(&draft, false).len() > streams.len() {
            streams = self.sta_streams(session, &streams_of(&draft, false)).await?;
        }
        let observed = self.observe(deed, &draft, &streams).await?;
        let id: EntityId = match kind {
            EntityKind::Observation => observed.ok_or_else(|| unkept(&draft))?.into(),
            _ => EntityId::Integer(draft.nodes[0].id),
        };
        Ok(StaCreated { kind, id })
    }

    /// The entity whose collection is posted to, where it is one's.
    async fn parent(
        &self,
        session: &Session,
        path: &ResourcePath,
    ) -> Result<Option<Parent>, CityError> {
        let [.., above, _] = path.segments.as_slice() else { return Ok(None) };
        let Some(id) = above.value.id.clone() else {
            let reason = "post below an entity with its id, such as Things(1)/Datastreams";
            return Err(CityError::Invalid(reason.to_owned()));
        };
        let context = self.sta_context("");
        let options = QueryOptions::default();
        let request = Request { path, options: &options, extras: Extras::default() };
        let parents = plan(&request, &context).map_err(|error| unplanned(&error))?.parents;
        self.sta_way(session, parents.as_ref()).await?;
        Ok(Some(Parent { kind: above.value.entity.kind, id }))
    }

    async fn give_numbers(&self, draft: &mut Draft) -> Result<(), CityError> {
        // Datastreams and MultiDatastreams are counted together.
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        for entity in SENSORTHINGS_1_1.entities {
            let count = draft.count(entity.kind);
            if entity.kind != EntityKind::Observation && count > 0 {
                *counts.entry(dataset(entity.kind)).or_default() += count;
            }
        }
        for (name, count) in counts {
            let mut numbers = self.sta_numbers(name, count).await?;
            for node in &mut draft.nodes {
                let kind = node.entity.kind();
                if kind != EntityKind::Observation && dataset(kind) == name {
                    node.id = numbers.next().unwrap_or_default();
                }
            }
        }
        Ok(())
    }

    /// Puts the rows of a body on a sheet, and what becomes of rows that are there.
    async fn lay_out(
        &self,
        deed: &StaDeed,
        sheet: &mut Sheet<'_>,
        draft: &Draft,
        known: &Knowns,
        terms: &Terms,
    ) -> Result<(), CityError> {
        let mut rows = Rows::default();
        for node in &draft.nodes {
            rows.add(&deed.session, draft, node)?;
        }
        let made: BTreeSet<i64> = rows.things.iter().map(|thing| thing.id).collect();
        let of_thing =
            |thing: i64| known.get(&(EntityKind::Thing, thing)).map_or(terms, |known| &known.terms);
        let numbered = |locations: &[Far]| -> BTreeSet<i64> {
            locations.iter().map(|far| draft.id(*far)).collect()
        };
        let mut stand = draft.places();
        let now_us = deed.now.timestamp_micros();
        for (thing, locations) in &stand {
            let locations = numbered(locations);
            if made.contains(thing) {
                self.note_new(&mut rows, *thing, &locations, now_us).await?;
            } else {
                self.note(sheet, *thing, &locations, now_us, of_thing(*thing)).await?;
            }
        }
        for (thing, (time, locations)) in draft.told_places() {
            let comes_now = stand.contains_key(&thing).then_some(now_us);
            let newest = match made.contains(&thing) {
                true => comes_now,
                false => comes_now.max(self.newest_note(&deed.session, thing).await?),
            };
            if newest.is_none_or(|newest| time > newest) {
                stand.insert(thing, locations);
            }
        }
        for (thing, locations) in &stand {
            let place = locations.iter().find_map(|far| place_of(*far, draft, known, &rows));
            let locations = numbered(locations);
            if made.contains(thing) {
                let at = |location: &i64| ThingLocationRow { thing: *thing, location: *location };
                rows.at.extend(locations.iter().map(at));
                rows.places.extend(place.map(|place| (*thing, place)));
            } else {
                self.stand(sheet, *thing, &locations, place, of_thing(*thing)).await?;
            }
        }
        for (name, batch) in rows.batches(self, terms)? {
            sheet.add(name, batch);
        }
        for (place, turned) in &draft.turned {
            if let Turned::Entity(kind, id) = turned {
                let node = &draft.nodes[*place];
                let near = (node.entity.kind(), node.id);
                self.belong(sheet, near, terms, (*kind, *id)).await?;
            }
        }
        Ok(())
    }

    /// Notes where a new Thing is from the beginning.
    async fn note_new(
        &self,
        rows: &mut Rows,
        thing: i64,
        locations: &BTreeSet<i64>,
        time: i64,
    ) -> Result<(), CityError> {
        let id = self.sta_numbers(HISTORICAL_LOCATION, 1).await?.start;
        rows.historical.push(HistoricalLocationRow { id, thing, time });
        rows.historical_at.extend(locations.iter().map(|location| HistoricalLocationPlaceRow {
            historical_location: id,
            location: *location,
        }));
        Ok(())
    }

    /// When a Thing is known to have come to other Locations last.
    async fn newest_note(&self, session: &Session, thing: i64) -> Result<Option<i64>, CityError> {
        let sql = format!(
            "SELECT max(h.time) AS newest FROM {HISTORICAL_LOCATION} AS h WHERE h.thing = {thing}"
        );
        Ok(self.sta_rows(session, &sql, &[]).await?.instant("newest", 0))
    }

    /// Has observations that are there belong to what was made.
    async fn relink_all(&self, deed: &StaDeed, draft: &Draft) -> Result<(), CityError> {
        for (place, turned) in &draft.turned {
            let Turned::Observation(key) = turned else { continue };
            let node = &draft.nodes[*place];
            let to = match node.entity.kind() {
                EntityKind::FeatureOfInterest => Relink::Feature(node.id),
                _ => Relink::Stream(node.id),
            };
            self.relink(deed, *key, to).await?;
        }
        Ok(())
    }

    /// Appends the body's observations; the id of the first.
    async fn observe(
        &self,
        deed: &StaDeed,
        draft: &Draft,
        streams: &BTreeMap<i64, Stream>,
    ) -> Result<Option<ObservationId>, CityError> {
        let over = self.stores().over(None).await?;
        let mut observed = Vec::new();
        let mut features: BTreeMap<i64, Option<i64>> = BTreeMap::new();
        for node in &draft.nodes {
            let Entity::Observation(observation) = &node.entity else { continue };
            let number = stream_of(node).map(|far| draft.id(far));
            let stream = number.and_then(|number| Some((number, streams.get(&number)?)));
            let (number, stream) = stream.ok_or_else(|| unkept(draft))?;
            let feature = match draft.one(node, "FeatureOfInterest") {
                Some(feature) => Some(feature),
                None => match features.get(&stream.thing) {
                    Some(feature) => *feature,
                    None => {
                        let (session, thing) = (&deed.session, stream.thing);
                        let made = self.feature_of(session, thing, &stream.terms).await?;
                        features.insert(thing, made);
                        made
                    }
                },
            };
            let time = observation.phenomenon_time.start();
            let unsure = self.unsure_moments([(number, time.micros())]);
            self.recall_moments(unsure).await?;
            let id = self.observation_id(&over, number, time)?;
            let row = ObservationRow::new(id, observation.clone(), feature);
            observed.push(Observed { row, terms: &stream.terms });
        }
        let first = observed
            .first()
            .map(|first| first.row.id())
            .transpose()
            .map_err(|error| unread(&error))?;
        self.observe_in(deed, &observed).await?;
        Ok(first)
    }

    /// Appends observations as a part of a deed.
    pub(super) async fn observe_in(
        &self,
        deed: &StaDeed,
        observed: &[Observed<'_>],
    ) -> Result<(), CityError> {
        // Noted before: of those that fail, some may be in.
        let noted = observed.iter().map(|observed| {
            let row = &observed.row;
            let key = ObservationKey {
                datastream: row.datastream,
                time_us: row.phenomenon_time,
                ordinal: i64::from(row.ordinal),
            };
            (key, observed.terms.clone())
        });
        deed.note_observed(noted.collect());
        let kept = self.append_observed(&deed.session, observed).await;
        if let Err(CityError::Lake(error)) = &kept
            && error.is_back_pressure()
            && observed.len() == 1
        {
            // The lake took nothing, so there is nothing to strike: while it is full nobody writes
            // a correction for each that is refused.
            deed.observed_none();
        }
        kept
    }
}

/// Where a Location is, which is there or among the new rows.
fn place_of(far: Far, draft: &Draft, known: &Knowns, rows: &Rows) -> Option<Vec<u8>> {
    match far {
        Far::Existing(id) => known.get(&(EntityKind::Location, id))?.geometry.clone(),
        Far::New(_) => {
            let id = draft.id(far);
            let row = rows.locations.iter().find(|location| location.id == id)?;
            row.geometry.as_ref().map(wkb)
        }
    }
}

fn unkept(draft: &Draft) -> CityError {
    CityError::Kept(format!("an observation without its stream among {}", draft.nodes.len()))
}

/// The stream that an observation is of.
fn stream_of(node: &Node) -> Option<Far> {
    node.links("Datastream").chain(node.links("MultiDatastream")).next()
}

/// The streams that the body's observations are of; of those, the ones that were there.
fn streams_of(draft: &Draft, existing: bool) -> BTreeSet<i64> {
    let observations =
        draft.nodes.iter().filter(|node| node.entity.kind() == EntityKind::Observation);
    observations
        .filter_map(stream_of)
        .filter(|far| !existing || matches!(far, Far::Existing(_)))
        .map(|far| draft.id(far))
        .collect()
}

/// Holds observations to streams that were there; the reader has held others to new ones.
fn check_results(draft: &Draft, streams: &BTreeMap<i64, Stream>) -> Result<(), CityError> {
    for node in &draft.nodes {
        let Entity::Observation(observation) = &node.entity else { continue };
        if let Some(Far::Existing(id)) = stream_of(node)
            && let Some(stream) = streams.get(&id)
        {
            stream.check(&observation.result).map_err(|error| unread(&error))?;
        }
    }
    Ok(())
}

/// Whose the new rows are: those of what they are added to; else as `properties` say, which may
/// name an `owner` and a `sharing`; else the asker's organisation's own.
fn terms(session: &Session, draft: &Draft, known: &Knowns) -> Result<Terms, CityError> {
    let above = draft.existing.iter().find_map(|(kind, id)| match kind {
        EntityKind::Thing | EntityKind::Datastream | EntityKind::MultiDatastream => {
            known.get(&(*kind, *id))
        }
        _ => None,
    });
    if let Some(above) = above {
        return Ok(above.terms.clone());
    }
    let owner = draft.said("owner").unwrap_or_else(|| session.principal.organisation.clone());
    may_add(session, &owner, "what is to be made")?;
    let sharing = draft.said("sharing").unwrap_or_else(|| SHARED[0].to_owned());
    may_share(&sharing)?;
    Ok(Terms { owner, sharing })
}

/// Whether this is a way to share.
pub(super) fn may_share(sharing: &str) -> Result<(), CityError> {
    if SHARED.contains(&sharing) {
        return Ok(());
    }
    let reason = format!("properties/sharing is one of: {}", SHARED.join(", "));
    Err(CityError::Invalid(reason))
}
