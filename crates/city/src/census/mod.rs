//! The census of devices as datasets: which there are, which report, which are silent; and who
//! sends.
//!
//! ```text
//!  sensing.thing, .datastream ─► facts (parsed once a chunk) ─┐
//!  live: newest, counts, hours ───────────────────────────────┴─► tables, kept for some seconds
//! ```
//!
//! Made on demand like the platform's own datasets, and ungoverned like every source. A pack that
//! has their contracts shows them; one that has not loses nothing.

mod device;
mod facts;
mod producer;
mod state;
mod stream;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::error::ArrowError;
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use pack::Contract;
use pack::platform::{DATASTREAM_STATE, DEVICE_STATE, PRODUCER};
use registry::RegistryError;
use tokio::sync::Mutex as AsyncMutex;

use crate::observations::DATASTREAM;
use crate::source::{Stores, no_past};
use facts::Facts;

pub(crate) use facts::stream_facts;

const THING: &str = "sensing.thing";
const OBSERVED_PROPERTY: &str = "sensing.observed_property";

/// A table is made at most so often, however many look at it.
const STATE_KEPT_S: u64 = 5;
/// And takes at most one part in so many of the time.
const BUILD_SHARE: u32 = 10;

/// Whether a dataset is one that is made here.
pub(crate) fn makes(dataset: &str) -> bool {
    [DATASTREAM_STATE, DEVICE_STATE, PRODUCER].contains(&dataset)
}

/// The tables as they were made last, and what of the registers was read for them.
#[derive(Debug, Default)]
pub(crate) struct Census {
    held: Mutex<BTreeMap<String, Held>>,
    /// One is made at a time.
    making: AsyncMutex<()>,
    facts: Facts,
}

#[derive(Debug, Clone)]
struct Held {
    table: Arc<MemTable>,
    generation: u64,
    until: Instant,
}

impl Census {
    /// Changes whenever a table is made anew.
    pub fn version(&self, dataset: &str) -> u64 {
        let held = self.held.lock().expect("no one panics while holding the tables");
        match held.get(dataset) {
            Some(held) if Instant::now() < held.until => held.generation,
            Some(held) => held.generation + 1,
            None => 1,
        }
    }

    fn fresh(&self, dataset: &str) -> Option<Arc<MemTable>> {
        let held = self.held.lock().expect("no one panics while holding the tables");
        let held = held.get(dataset).filter(|held| Instant::now() < held.until)?;
        Some(Arc::clone(&held.table))
    }

    fn keep(&self, dataset: &str, table: &Arc<MemTable>, took: Duration) {
        let kept = Duration::from_secs(STATE_KEPT_S).max(took * BUILD_SHARE);
        let mut all = self.held.lock().expect("no one panics while holding the tables");
        let generation = all.get(dataset).map_or(0, |held| held.generation) + 1;
        let held = Held { table: Arc::clone(table), generation, until: Instant::now() + kept };
        all.insert(dataset.to_owned(), held);
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl Stores {
    /// One of the census's datasets as it stands, or stood some seconds ago.
    pub(crate) async fn census_table(
        &self,
        contract: &Contract,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        if as_of.is_some() {
            let reason = format!("{} keeps no past: ask about now", contract.id);
            return Err(no_past(reason));
        }
        if let Some(table) = self.census.fresh(&contract.id) {
            return Ok(table);
        }
        let _one = self.census.making.lock().await;
        if let Some(table) = self.census.fresh(&contract.id) {
            return Ok(table);
        }
        self.await_live().await.map_err(|error| no_past(error.to_string()))?;
        let started = Instant::now();
        let rows = self.census_rows(contract).await?;
        let table = Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?);
        self.census.keep(&contract.id, &table, started.elapsed());
        Ok(table)
    }

    async fn census_rows(&self, contract: &Contract) -> Result<RecordBatch, DataFusionError> {
        let contract = contract.clone();
        if contract.id == PRODUCER {
            return Ok(producer::rows(&contract, &self.live.producers().states())?);
        }
        let sensors = state::Sensors {
            things: self.register_rows_of(THING).await?,
            streams: self.register_rows_of(DATASTREAM).await?,
            properties: self.register_rows_of(OBSERVED_PROPERTY).await?,
            live: Arc::clone(&self.live),
            now_us: Utc::now().timestamp_micros(),
            utc_offset_minutes: self.pack.city.utc_offset_minutes,
        };
        let facts = self.census.facts.clone();
        // A pass over a million rows is no work for a thread that answers requests.
        let made = tokio::task::spawn_blocking(move || {
            let things = facts.things(&sensors.things);
            let streams = facts.streams(&sensors.streams);
            match contract.id == DEVICE_STATE {
                true => device::rows(&contract, &sensors, &things, &streams),
                false => stream::rows(&contract, &sensors, &things, &streams),
            }
        });
        Ok(made.await.map_err(external)??)
    }

    async fn register_rows_of(&self, dataset: &str) -> Result<Vec<RecordBatch>, DataFusionError> {
        match self.pack.datasets.get(dataset) {
            Some(contract) => {
                let rows: Result<_, RegistryError> = self.registers.rows(contract, None).await;
                rows.map_err(external)
            }
            None => Ok(Vec::new()),
        }
    }
}

/// Columns by name as rows of the contract: what it has not is left out, what is not made is
/// empty.
fn batch(
    contract: &Contract,
    rows: usize,
    mut columns: HashMap<&'static str, ArrayRef>,
) -> Result<RecordBatch, ArrowError> {
    let schema = contract.arrow_schema();
    let of_contract = schema.fields().iter().map(|field| {
        let made = columns.remove(field.name().as_str());
        made.unwrap_or_else(|| new_null_array(field.data_type(), rows))
    });
    let of_contract: Vec<ArrayRef> = of_contract.collect();
    RecordBatch::try_new(schema, of_contract)
}
