//! Where the catalogue's rows come from: machine-made datasets from the lake, registers from the
//! registry. The only place that knows which dataset lives where.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use pack::{DatasetKind, Pack};
use registry::Registry;
use store::lake::Lake;

#[derive(Debug)]
pub struct Stores {
    pub pack: Arc<Pack>,
    pub lake: Arc<Lake>,
    pub registry: Arc<Registry>,
}

#[async_trait]
impl catalog::Source for Stores {
    async fn table(
        &self,
        dataset: &str,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let contract = self.pack.datasets.get(dataset);
        match contract.map(|contract| (contract.kind, contract)) {
            Some((DatasetKind::Register, contract)) => self
                .registry
                .table(contract, as_of)
                .await
                .map_err(|error| DataFusionError::External(Box::new(error))),
            Some((DatasetKind::Stream | DatasetKind::Snapshot, _)) => self
                .lake
                .snapshot(dataset, as_of)
                .await
                .map_err(|error| DataFusionError::External(Box::new(error))),
            None => Err(DataFusionError::Plan(format!("no dataset {dataset}"))),
        }
    }

    fn version(&self, dataset: &str) -> u64 {
        match self.pack.datasets.get(dataset).map(|contract| contract.kind) {
            Some(DatasetKind::Register) => self.registry.version(),
            _ => self.lake.version(dataset),
        }
    }
}
