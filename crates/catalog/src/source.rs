//! Where rows come from, as the catalogue sees it: `city` wires the stores in behind this trait.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;

/// Raw, ungoverned tables by dataset id. Only the catalogue may hold one.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug {
    /// The dataset's rows as they stand (or stood at `as_of`), in the contract's Arrow schema.
    /// The provider is a consistent snapshot: resolve it anew for each query.
    async fn table(
        &self,
        dataset: &str,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError>;

    /// Changes whenever the dataset's rows may have changed; for caches.
    fn version(&self, dataset: &str) -> u64;
}
