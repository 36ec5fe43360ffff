//! Reads a dataset as a session sees it and packs its features.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use catalog::{Session, Sight};
use datafusion::error::DataFusionError;
use futures::TryStreamExt;
use pack::Contract;
use spatial::{BuildError, Builder, Layer, Plan, ZoomRule};

use super::{Atlas, LayerSpec};
use crate::CityError;

impl Atlas {
    /// The layer, or why there can be none of these rows.
    pub(super) async fn build(
        &self,
        session: &Session,
        contract: &Contract,
        spec: &LayerSpec,
        sight: &Sight,
    ) -> Result<Result<Layer, BuildError>, CityError> {
        let columns = columns(contract, spec, sight);
        let geometry = contract.geometry.as_deref().unwrap_or_default();
        let sql = statement(&contract.id, &columns, geometry);
        let answer = catalog::usage::query(&self.catalog, session, &sql, &[], &self.usage).await?;
        let kept: Vec<_> = answer.schema.fields().iter().take(columns.len()).cloned().collect();
        let schema: SchemaRef = Arc::new(Schema::new(kept));
        let plan = Plan {
            bytes_max: self.limits.layer_bytes_max,
            features_max: self.limits.layer_features_max,
            ..plan(contract, spec, &columns)
        };
        let mut builder = Builder::new(&schema, plan);
        let mut rows = answer.stream;
        while let Some(batch) = rows.try_next().await? {
            match off_thread(move || push(builder, &batch)).await? {
                Ok(filled) => builder = filled,
                Err(error) => return Ok(Err(error)),
            }
        }
        let layer = off_thread(move || builder.finish()).await?;
        if layer.unreadable() > 0 {
            tracing::warn!(
                dataset = contract.id,
                rows = layer.unreadable(),
                "geometries that cannot be read are not on the map"
            );
        }
        tracing::debug!(layer = spec.id, features = layer.len(), bytes = layer.bytes(), "packed");
        Ok(Ok(layer))
    }
}

fn push(mut builder: Builder, batch: &RecordBatch) -> Result<Builder, BuildError> {
    let (columns, geometry): (&[ArrayRef], &ArrayRef) = match batch.columns() {
        [columns @ .., geometry] => (columns, geometry),
        [] => return Err(BuildError::NoGeometry),
    };
    builder.push(geometry, columns)?;
    Ok(builder)
}

/// Work that keeps a processor busy, away from the threads that answer.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CityError> {
    tokio::task::spawn_blocking(work).await.map_err(broken)
}

/// A task that panicked, or that ended with the process.
pub(super) fn broken(error: tokio::task::JoinError) -> CityError {
    DataFusionError::Execution(format!("packing features failed: {error}")).into()
}

/// The key and the wanted fields, as far as they are seen, each once.
fn columns(contract: &Contract, spec: &LayerSpec, sight: &Sight) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for name in contract.key.iter().chain(&spec.fields) {
        if sight.shows(name) && !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    columns
}

/// Names of datasets and fields are plain: the pack's checks hold that.
fn statement(dataset: &str, columns: &[String], geometry: &str) -> String {
    let (schema, table) = dataset.split_once('.').unwrap_or_default();
    let columns: Vec<String> = columns
        .iter()
        .map(String::as_str)
        .chain([geometry])
        .map(|name| format!("\"{name}\""))
        .collect();
    format!("SELECT {} FROM \"{schema}\".\"{table}\"", columns.join(", "))
}

fn plan(contract: &Contract, spec: &LayerSpec, columns: &[String]) -> Plan {
    let at = |name: &String| columns.iter().position(|column| column == name);
    let rule = spec.zooms.as_ref().and_then(|zooms| {
        let from: HashMap<String, u8> =
            zooms.from.iter().map(|(class, zoom)| (class.clone(), *zoom)).collect();
        Some(ZoomRule { column: at(&zooms.field)?, from })
    });
    Plan {
        minzoom: spec.minzoom,
        as_labels: spec.as_labels,
        zooms: rule,
        required: spec.label.as_ref().and_then(at),
        rank: spec.rank.as_ref().and_then(at),
        key: contract.key.iter().filter_map(at).collect(),
        ..Plan::default()
    }
}
