//! Where the catalogue's rows come from: machine-made datasets from the lake, registers from the
//! registry, the platform's view of itself from all of them. The only place that knows which
//! dataset lives where.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use catalog::SqlError;
use catalog::audit::Audit;
use catalog::sharing::Sharing;
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use pack::{Contract, DatasetKind, Pack};
use registry::{Registers, Registry, RegistryError};
use store::lake::{Lake, LakeError};

use crate::census::{self, Census};
use crate::kept::Kept;
use crate::live::Live;
use crate::observations::{OBSERVATION, Over, Versions};
use crate::platform;
use crate::plausible::Plausibility;

#[derive(Debug)]
pub struct Stores {
    pub pack: Arc<Pack>,
    pub lake: Arc<Lake>,
    pub registry: Arc<Registry>,
    pub registers: Arc<Registers>,
    pub sharing: Arc<Sharing>,
    pub audit: Audit,
    pub newest: Kept<Option<DateTime<Utc>>>,
    /// Asked for the version of what is made anew each time.
    pub asked: AtomicU64,
    /// What is laid over the observations, as the registers that it is made of were.
    pub over: Mutex<Option<(Versions, Arc<Over>)>>,
    /// What is known of each Datastream, and where that is kept between runs.
    pub live: Arc<Live>,
    pub live_file: PathBuf,
    /// The rules that readings are judged by.
    pub plausible: Plausibility,
    /// The tables of the census, for a few seconds each.
    pub census: Census,
}

/// Which room a dataset's rows are in.
enum Room {
    Lake,
    /// The pack's own text: areas, organisations.
    Registry,
    Registers,
    Platform,
    Census,
}

fn room(contract: &Contract) -> Room {
    match contract.kind {
        DatasetKind::Stream | DatasetKind::Snapshot => Room::Lake,
        DatasetKind::Register if census::makes(&contract.id) => Room::Census,
        DatasetKind::Register if platform::makes(contract) => Room::Platform,
        DatasetKind::Register if Registers::keeps(contract) => Room::Registers,
        DatasetKind::Register => Room::Registry,
    }
}

impl Stores {
    /// A dataset's rows in the lake.
    pub async fn lake_table(
        &self,
        dataset: &str,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        self.lake.snapshot(dataset, as_of).await.map_err(|error| match error {
            gone @ LakeError::HistoryGone { .. } => no_past(gone.to_string()),
            other => DataFusionError::External(Box::new(other)),
        })
    }
}

/// There is nothing wrong but the moment that was asked about: the asker may read why.
pub(crate) fn no_past(reason: String) -> DataFusionError {
    DataFusionError::External(Box::new(SqlError::Invalid { reason }))
}

#[async_trait]
impl catalog::Source for Stores {
    async fn table(
        &self,
        dataset: &str,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let external = |error: RegistryError| DataFusionError::External(Box::new(error));
        let Some(contract) = self.pack.datasets.get(dataset) else {
            return Err(DataFusionError::Plan(format!("no dataset {dataset}")));
        };
        match room(contract) {
            Room::Platform => self.platform_table(contract, as_of).await,
            Room::Census => self.census_table(contract, as_of).await,
            Room::Registers => self.registers.table(contract, as_of).await.map_err(external),
            Room::Registry => self.registry.table(contract, as_of).await.map_err(external),
            Room::Lake if dataset == OBSERVATION => self.observations(as_of).await,
            Room::Lake => self.lake_table(dataset, as_of).await,
        }
    }

    fn version(&self, dataset: &str) -> u64 {
        match self.pack.datasets.get(dataset).map(room) {
            Some(Room::Platform) => self.asked.fetch_add(1, Ordering::Relaxed),
            Some(Room::Census) => self.census.version(dataset),
            Some(Room::Registers) => self.registers.version(dataset),
            Some(Room::Registry) => self.registry.version(),
            Some(Room::Lake) if dataset == OBSERVATION => self.observations_version(),
            Some(Room::Lake) | None => self.lake.version(dataset),
        }
    }
}
