//! What ingest keeps in memory, put to use: the keys of newest observations, how many a Datastream
//! has, and since when.
//!
//! Memory tells where rows are and never what they say: rows are asked for through the session like
//! any other, by their keys. A row that does not come — it is hidden from the asker, or was
//! corrected meanwhile — is looked for as if nothing were remembered. A number of rows is told only
//! to whoever sees them all. As of a moment, under a scenario, and while memory is not whole,
//! nothing is remembered.

use std::collections::{BTreeSet, HashMap};

use catalog::Session;
use sensing::entity::{Entity, Extent, Item, Moment, Period};
use sensing::odata::{
    BinaryOp, Direction, Expr, ExprKind, Literal, OrderBy, Path, QueryOptions, ResourcePath, Span,
    Spanned, Step,
};
use sensing::plan::{Child, Flagged, IMPLAUSIBLE_FLAGS, ObservationKey, Plan, Request};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

use super::{OBSERVATION, number};
use crate::live::StreamState;
use crate::{City, CityError};

/// Keys that one statement asks for.
pub(super) const KEYS_AT_ONCE: usize = 1_000;
/// How many times the rows that are wanted a narrowed stretch would hold, were they spread evenly.
const STRETCH_MARGIN: u64 = 4;
/// A Datastream with fewer times the rows that are wanted is read as it is.
const NARROWED_FROM: u64 = 16;

/// What is remembered of the newest observations of some Datastreams.
#[derive(Debug, Default)]
pub(super) struct Newest {
    /// Where they are.
    pub keys: Vec<ObservationKey>,
    /// Datastreams that have more than the newest.
    pub more: BTreeSet<i64>,
    /// Those of which memory does not tell it.
    pub unknown: Vec<i64>,
}

impl City {
    /// What is remembered now of the present, where there is something to go by.
    fn remembers(&self, session: &Session) -> bool {
        session.as_of.is_none() && session.scenario.is_none() && self.live().is_whole()
    }

    /// The newest observation of each Datastream, where an expansion asks for no more than that.
    pub(super) fn newest(
        &self,
        session: &Session,
        child: &Child<'_>,
        streams: &[i64],
    ) -> Option<Newest> {
        if !child.is_newest() || !self.remembers(session) {
            return None;
        }
        let states = streams.iter().map(|stream| (*stream, self.live().of(*stream)));
        Some(newest_of(states, child.flagged()))
    }

    /// How many observations each Datastream has, where an expansion asks for all of them and the
    /// session sees all there are.
    pub(super) async fn remembered_counts(
        &self,
        session: &Session,
        child: &Child<'_>,
        streams: &[i64],
    ) -> Result<Option<HashMap<i64, u64>>, CityError> {
        if !child.counts_streams() || !self.sees_all_rows(session).await? {
            return Ok(None);
        }
        let count = |stream: &i64| Some((*stream, self.live().of(*stream)?.count));
        Ok(Some(streams.iter().filter_map(count).collect()))
    }

    /// How many there are at a request's path, where these are all observations of a Datastream and
    /// the session sees all there are.
    pub(super) async fn remembered_count(
        &self,
        session: &Session,
        request: &Request<'_>,
    ) -> Result<Option<u64>, CityError> {
        let plain = request.options.filter.is_none()
            && request.extras.flagged.unwrap_or(Flagged::Include) == Flagged::Include;
        let Some(stream) = stream_of(request.path).filter(|_| plain) else { return Ok(None) };
        if !self.sees_all_rows(session).await? {
            return Ok(None);
        }
        Ok(Some(self.live().of(stream).map_or(0, |state| state.count)))
    }

    async fn sees_all_rows(&self, session: &Session) -> Result<bool, CityError> {
        if !self.remembers(session) {
            return Ok(false);
        }
        let contract = self.contract(OBSERVATION)?;
        Ok(self.catalog().sees_whole(session, contract).await?)
    }

    /// The options of a request for a Datastream's newest observations with the time before them
    /// left out. Where the answer is short of rows, the options as they were say the rest.
    pub(super) fn narrowed(
        &self,
        session: &Session,
        request: &Request<'_>,
        plan: &Plan<'_>,
    ) -> Option<QueryOptions> {
        let options = request.options;
        let plain = options.filter.is_none() && request.extras.after.is_none();
        if !plain || !is_newest_first(options) || !self.remembers(session) {
            return None;
        }
        let state = self.live().of(stream_of(request.path)?)?;
        let skip = options.skip.map_or(0, |skip| skip.value);
        let since = since_of(&state, skip.checked_add(plan.top)?.checked_add(1)?)?;
        let filter = Some(from(since)?);
        Some(QueryOptions { filter, ..options.clone() })
    }

    /// Says of a Datastream what its observations cover, where its row does not. Who sees the
    /// Datastream is told, as of its other properties.
    pub(super) fn cover(&self, session: &Session, items: &mut [Item]) {
        if !self.remembers(session) {
            return;
        }
        for item in items {
            let Some(stream) = number(&item.id) else { continue };
            let extent = match &mut item.entity {
                Entity::Datastream(stream) => &mut stream.extent,
                Entity::MultiDatastream(stream) => &mut stream.extent,
                _ => return,
            };
            if extent.phenomenon_time.is_none()
                && let Some(state) = self.live().of(stream).filter(|state| state.count > 0)
            {
                cover(extent, &state);
            }
        }
    }
}

fn cover(extent: &mut Extent, state: &StreamState) {
    let first = Moment::from_micros(state.first_us);
    let newest = Moment::from_micros(state.newest_us);
    extent.phenomenon_time = first.zip(newest).and_then(|(first, last)| Period::new(first, last));
}

/// Of what is remembered of Datastreams, the newest observation that is wanted.
fn newest_of(states: impl Iterator<Item = (i64, Option<StreamState>)>, flagged: Flagged) -> Newest {
    let mut newest = Newest::default();
    for (stream, state) in states {
        // Of none that is remembered there is none.
        let Some(state) = state.filter(|state| state.count > 0) else { continue };
        let implausible = state.flags & IMPLAUSIBLE_FLAGS != 0;
        let is_wanted = match flagged {
            Flagged::Include => true,
            Flagged::Exclude => !implausible,
            Flagged::Only => implausible,
        };
        if !is_wanted {
            newest.unknown.push(stream);
            continue;
        }
        newest.keys.push(ObservationKey {
            datastream: stream,
            time_us: state.newest_us,
            ordinal: i64::from(state.ordinal),
        });
        if state.count > 1 {
            newest.more.insert(stream);
        }
    }
    newest
}

/// The Datastream whose observations a path leads to.
fn stream_of(path: &ResourcePath) -> Option<i64> {
    let [stream, observations] = path.segments.as_slice() else { return None };
    let of_stream =
        matches!(stream.value.entity.kind, EntityKind::Datastream | EntityKind::MultiDatastream);
    let observed = observations.value.entity.kind == EntityKind::Observation
        && observations.value.id.is_none();
    stream.value.id.as_ref().filter(|_| of_stream && observed).and_then(number)
}

fn is_newest_first(options: &QueryOptions) -> bool {
    let [order] = options.orderby.as_slice() else { return false };
    let OrderBy { key, direction } = &order.value;
    let ExprKind::Path(path) = &key.value else { return false };
    let by_time = matches!(path.steps.as_slice(), [only]
        if matches!(&only.value, Step::Property(property) if property.name == "phenomenonTime"));
    by_time && *direction == Direction::Descending
}

/// Since when a Datastream has so many observations, by its usual pace. `None` where it has too few
/// for that to be worth the while.
fn since_of(state: &StreamState, rows: u64) -> Option<i64> {
    if state.count < rows.checked_mul(NARROWED_FROM)? {
        return None;
    }
    let whole = i128::from(state.newest_us) - i128::from(state.first_us);
    let stretch = whole * i128::from(rows.checked_mul(STRETCH_MARGIN)?) / i128::from(state.count);
    i64::try_from(i128::from(state.newest_us) - stretch).ok()
}

/// `phenomenonTime ge …`.
fn from(since_us: i64) -> Option<Expr> {
    let here = Span::default();
    let property = SENSORTHINGS_1_1.entity(EntityKind::Observation).property("phenomenonTime")?;
    let steps = vec![Spanned::new(Step::Property(property), here)];
    let since = chrono::DateTime::from_timestamp_micros(since_us)?.fixed_offset();
    let kind = ExprKind::Binary {
        op: BinaryOp::Ge,
        left: Box::new(Spanned::new(ExprKind::Path(Path { steps }), here)),
        right: Box::new(Spanned::new(ExprKind::Literal(Literal::Instant(since)), here)),
    };
    Some(Spanned::new(kind, here))
}

#[cfg(test)]
mod tests {
    use sensing::odata::Target;

    use super::*;

    const MINUTE_US: i64 = 60_000_000;

    fn state(count: u64, flags: i64) -> StreamState {
        let last = i64::try_from(count).unwrap() - 1;
        StreamState {
            newest_us: last * MINUTE_US,
            ordinal: 0,
            result: Some(1.0),
            flags,
            received_us: 0,
            first_us: 0,
            count,
            flagged: 0,
        }
    }

    fn of(states: Vec<(i64, Option<StreamState>)>, flagged: Flagged) -> Newest {
        newest_of(states.into_iter(), flagged)
    }

    #[test]
    fn keys_are_those_of_what_is_wanted() {
        let states = || vec![(1, Some(state(3, 0))), (2, None), (3, Some(state(1, 2)))];
        let streams =
            |newest: &Newest| newest.keys.iter().map(|key| key.datastream).collect::<Vec<_>>();
        let all = of(states(), Flagged::Include);
        assert_eq!((streams(&all), all.unknown.len()), (vec![1, 3], 0));
        assert_eq!(all.keys[0].time_us, 2 * MINUTE_US);
        assert_eq!(all.more, BTreeSet::from([1]), "of one observation there is no next");
        let plausible = of(states(), Flagged::Exclude);
        assert_eq!((streams(&plausible), plausible.unknown), (vec![1], vec![3]));
        let only = of(states(), Flagged::Only);
        assert_eq!((streams(&only), only.unknown), (vec![3], vec![1]));
        let late = of(vec![(4, Some(state(1, 64)))], Flagged::Exclude);
        assert_eq!(streams(&late), [4], "late is not implausible");
    }

    #[test]
    fn a_stretch_holds_more_than_is_wanted() {
        let minutes = state(525_600, 0);
        let since = since_of(&minutes, 101).unwrap();
        let held = (minutes.newest_us - since) / MINUTE_US;
        assert!((400..420).contains(&held), "{held}");
        assert_eq!(since_of(&state(1_000, 0), 101), None);
        assert_eq!(since_of(&minutes, u64::MAX), None);
    }

    #[test]
    fn the_newest_of_a_datastream_are_known_by_path_and_order() {
        let path = |text| ResourcePath::parse(&SENSORTHINGS_1_1, text).unwrap();
        assert_eq!(stream_of(&path("Datastreams(5)/Observations")), Some(5));
        assert_eq!(stream_of(&path("MultiDatastreams('5')/Observations")), Some(5));
        assert_eq!(stream_of(&path("Observations")), None);
        assert_eq!(stream_of(&path("FeaturesOfInterest(5)/Observations")), None);
        let target = Target::Collection(EntityKind::Observation);
        let newest =
            |raw| is_newest_first(&QueryOptions::parse(&SENSORTHINGS_1_1, target, raw).unwrap());
        assert!(newest("$orderby=phenomenonTime desc"));
        assert!(!newest("$orderby=phenomenonTime") && !newest("$top=1"));
        assert!(!newest("$orderby=phenomenonTime desc,id"));
        assert_eq!(from(0).unwrap().value.to_string(), "phenomenonTime ge 1970-01-01T00:00:00Z");
    }
}
