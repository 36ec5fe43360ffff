//! The streams that observations are for, kept in memory: a device says one value after the other,
//! and each has to be held to its stream without a question in SQL.
//!
//! What is kept is believed while the register is as it was; after a change of the register, while
//! the stream's own row is. Whose a stream is and whether the asker sees it is decided by the same
//! row filter as in a question, once for each principal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use catalog::Session;
use sensing::schema::EntityKind;
use tokio::sync::Mutex as AsyncMutex;

use super::known::{Stream, stream_of_row};
use super::sights::StaSight;
use super::table::Table;
use super::{DATASTREAM, THING_LOCATION};
use crate::{City, CityError};

/// Streams that are kept. All are read again when there are more.
const STREAMS_MAX: usize = 1 << 20;
/// Principals of which a stream remembers whether they see it.
const SEEN_MAX: usize = 8;

#[derive(Debug)]
struct Kept {
    /// The register's version when the row was last looked at, and the row's own.
    looked_at: AtomicU64,
    version: i64,
    stream: Arc<Stream>,
    /// By the number of a sight, whether it has the row.
    seen: Mutex<Vec<(u64, bool)>>,
}

/// Where Things stand, as of a version of the register: the newest Location of each.
type Places = (u64, Arc<HashMap<i64, i64>>);

#[derive(Debug, Default)]
pub(super) struct KeptStreams {
    streams: Mutex<HashMap<i64, Arc<Kept>>>,
    places: Mutex<Option<Places>>,
    /// Held while they are read, so that of many who ask at once one reads them.
    placing: AsyncMutex<()>,
}

impl City {
    /// The streams of these numbers that are the asker's own. Others are left out.
    pub(super) async fn kept_streams(
        &self,
        session: &Session,
        wanted: &BTreeSet<i64>,
    ) -> Result<BTreeMap<i64, Arc<Stream>>, CityError> {
        let sight = self.sta_sight(session, DATASTREAM).await?;
        let mut found = BTreeMap::new();
        for id in wanted {
            let Some((kept, row)) = self.kept_stream(*id).await? else { continue };
            if !session.principal.organisations.contains(&kept.stream.terms.owner) {
                continue;
            }
            if self.is_seen(&kept, row, *id, &sight).await? {
                found.insert(*id, kept.stream.clone());
            }
        }
        Ok(found)
    }

    /// Whether a stream is a Datastream or a MultiDatastream; none where there is none.
    pub(super) async fn kind_of_stream(&self, id: i64) -> Result<Option<EntityKind>, CityError> {
        Ok(self.kept_stream(id).await?.map(|(kept, _)| kept.stream.kind()))
    }

    /// A stream as it stands, with its row where that had to be read.
    async fn kept_stream(
        &self,
        id: i64,
    ) -> Result<Option<(Arc<Kept>, Option<RecordBatch>)>, CityError> {
        let streams = &self.sta.streams.streams;
        // Before the row is read: what changes meanwhile makes it old at once.
        let now = self.registers().version(DATASTREAM);
        let known = {
            let streams = streams.lock().expect("no one panics while holding the streams");
            streams.get(&id).cloned()
        };
        if let Some(kept) = &known
            && kept.looked_at.load(Ordering::Acquire) == now
        {
            return Ok(known.map(|kept| (kept, None)));
        }
        let (contract, key) = (self.contract(DATASTREAM)?, id.to_string());
        if let Some(kept) = &known {
            // The version is found at once, the row is searched for.
            let versions = self.registers().versions(contract, std::slice::from_ref(&key)).await?;
            if versions.get(&key) == Some(&kept.version) {
                kept.looked_at.store(now, Ordering::Release);
                return Ok(known.map(|kept| (kept, None)));
            }
        }
        let Some((version, row)) = self.registers().row(contract, &key).await? else {
            streams.lock().expect("no one panics while holding the streams").remove(&id);
            return Ok(None);
        };
        let table = Table::of(&row.schema(), std::slice::from_ref(&row))?;
        let Some((_, stream)) = stream_of_row(&table, 0)? else { return Ok(None) };
        let kept = Arc::new(Kept {
            looked_at: AtomicU64::new(now),
            version,
            stream: Arc::new(stream),
            seen: Mutex::default(),
        });
        let mut streams = streams.lock().expect("no one panics while holding the streams");
        if streams.len() >= STREAMS_MAX {
            streams.clear();
        }
        streams.insert(id, kept.clone());
        Ok(Some((kept, Some(row))))
    }

    async fn is_seen(
        &self,
        kept: &Kept,
        row: Option<RecordBatch>,
        id: i64,
        sight: &StaSight,
    ) -> Result<bool, CityError> {
        if !sight.moves() {
            let seen = kept.seen.lock().expect("no one panics while holding what is seen");
            if let Some((_, is)) = seen.iter().find(|(number, _)| *number == sight.number) {
                return Ok(*is);
            }
        }
        let row = match row {
            Some(row) => row,
            None => {
                let contract = self.contract(DATASTREAM)?;
                let found = self.registers().row(contract, &id.to_string()).await?;
                let Some((_, row)) = found else { return Ok(false) };
                row
            }
        };
        let is = sight.sees(&row)?.iter().next().flatten() == Some(true);
        let mut seen = kept.seen.lock().expect("no one panics while holding what is seen");
        if seen.len() >= SEEN_MAX {
            seen.clear();
        }
        seen.push((sight.number, is));
        Ok(is)
    }

    /// The Location that a Thing stands at, of several the one with the highest number. All are
    /// read again after one has moved.
    pub(super) async fn place_of_thing(&self, thing: i64) -> Result<Option<i64>, CityError> {
        if let Some(places) = self.kept_places() {
            return Ok(places.get(&thing).copied());
        }
        let _one = self.sta.streams.placing.lock().await;
        if let Some(places) = self.kept_places() {
            return Ok(places.get(&thing).copied());
        }
        // Before the rows are read: what changes meanwhile makes them old at once.
        let now = self.registers().version(THING_LOCATION);
        let rows = self.registers().rows(self.contract(THING_LOCATION)?, None).await?;
        let mut places: HashMap<i64, i64> = HashMap::new();
        for rows in &rows {
            let column = |name: &str| {
                rows.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>())
            };
            let (Some(things), Some(locations)) = (column("thing"), column("location")) else {
                return Err(CityError::Kept("a Thing's place without its columns".to_owned()));
            };
            for (thing, location) in things.iter().zip(locations).filter_map(both) {
                let newest = places.entry(thing).or_insert(location);
                *newest = location.max(*newest);
            }
        }
        let place = places.get(&thing).copied();
        let mut kept =
            self.sta.streams.places.lock().expect("no one panics while holding the places");
        *kept = Some((now, Arc::new(places)));
        Ok(place)
    }
}

impl City {
    /// Where Things stand, where that is known as it is now.
    fn kept_places(&self) -> Option<Arc<HashMap<i64, i64>>> {
        let now = self.registers().version(THING_LOCATION);
        let places =
            self.sta.streams.places.lock().expect("no one panics while holding the places");
        places.as_ref().filter(|(at, _)| *at == now).map(|(_, places)| places.clone())
    }
}

fn both((one, other): (Option<i64>, Option<i64>)) -> Option<(i64, i64)> {
    Some((one?, other?))
}
