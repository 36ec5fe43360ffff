//! A moment of a table as DataFusion sees it: rows in memory and pinned Parquet files, as one.
//!
//! ```text
//! UnionExec
//! ├─ memory: hot and sealing rows
//! ├─ files                                       (nothing in memory touches them)
//! ├─ ShadowExec ─ files                          (upsert: keys decided in memory are hidden)
//! └─ Projection ─ Filter _ingested_at ≤ t ─ files (append, as of a time within the file)
//! ```
//! Files are DataFusion's own Parquet scan, so that files, row groups and pages are pruned by
//! statistics. Filters are inexact: pruning never decides alone. It knows no session and no policy.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, Result, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
use datafusion::physical_expr::utils::conjunction_opt;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::data::DataFile;
use super::error::LakeError;
use super::footers::FooterReaders;
use super::hot::{TableState, taken_by};
use super::shadow::ShadowExec;
use super::stats::FileStats;
use super::verified::VerifiedStore;

/// Bytes read from a file's end at first: footer and page indexes of a full file fit.
const FOOTER_BYTES_HINT: usize = 512 * 1024;

/// The lake's data files, as query plans reach them.
#[derive(Debug)]
pub(crate) struct Files {
    pub store: Arc<VerifiedStore>,
    url: ObjectStoreUrl,
}

impl Files {
    pub fn new(root: &std::path::Path) -> Self {
        let name = uuid::Uuid::new_v4().simple();
        let url = ObjectStoreUrl::parse(format!("lake://{name}"))
            .expect("a scheme and a host are an object store's url");
        Self { store: Arc::new(VerifiedStore::new(root)), url }
    }

    pub fn location(table: &str, file: &str) -> Path {
        Path::from_iter(["tables", table, file])
    }

    pub fn url(&self) -> ObjectStoreUrl {
        self.url.clone()
    }

    /// A whole file with its statistics, as a scan wants it.
    pub fn partitioned(&self, table: &str, file: &DataFile) -> PartitionedFile {
        let meta = ObjectMeta {
            location: Self::location(table, &file.path),
            last_modified: DateTime::from_timestamp_millis(file.modified_ms).unwrap_or_default(),
            size: file.bytes,
            e_tag: None,
            version: None,
        };
        PartitionedFile::new_from_meta(meta).with_statistics(Arc::new(statistics(&file.stats)))
    }
}

/// One moment of one table.
#[derive(Debug)]
pub(crate) struct LakeTable {
    state: Arc<TableState>,
    as_of: Option<i64>,
    files: Arc<Files>,
    /// Whether rows show when they were taken.
    stamped: bool,
}

/// What a query wants of the files.
struct Wanted<'a> {
    session: &'a dyn Session,
    projection: Vec<usize>,
    predicate: Option<Arc<dyn PhysicalExpr>>,
    limit: Option<usize>,
}

impl LakeTable {
    pub fn new(state: Arc<TableState>, as_of: Option<i64>, files: Arc<Files>) -> Self {
        Self { state, as_of, files, stamped: false }
    }

    /// With the hidden column as the last one.
    pub fn stamped(self) -> Self {
        Self { stamped: true, ..self }
    }

    fn stored(&self) -> &SchemaRef {
        &self.state.spec.stored
    }

    /// Rows in memory, and the files split by what stands between them and the answer.
    fn parts(&self) -> Result<Parts, LakeError> {
        let files = self.state.cold.files.iter().cloned();
        if self.state.spec.is_upsert() {
            let overlay = match self.as_of {
                None => self.state.overlay()?,
                // Only the latest version is asked with a time: later rows in memory are hidden.
                Some(at) => Arc::new(super::hot::Overlay::build(
                    &self.state.spec,
                    self.state.chunks(),
                    Some(at),
                )?),
            };
            let memory = overlay.rows.clone();
            let (plain, between) = match overlay.keys.is_empty() {
                true => (files.collect(), Between::Nothing),
                false => (Vec::new(), Between::Shadow(overlay.keys.clone())),
            };
            let rest = match &between {
                Between::Nothing => Vec::new(),
                _ => self.state.cold.files.clone(),
            };
            return Ok(Parts { memory, plain, rest, between });
        }
        let mut memory = Vec::new();
        for chunk in self.state.chunks() {
            let batch = taken_by(chunk, self.as_of)?;
            memory.extend(batch.filter(|b| b.num_rows() > 0));
        }
        let Some(at) = self.as_of else {
            let plain = files.collect();
            return Ok(Parts { memory, plain, rest: Vec::new(), between: Between::Nothing });
        };
        let (mut plain, mut rest) = (Vec::new(), Vec::new());
        for file in files {
            let (first, last) = file.ingested(&self.state.spec);
            if last <= at {
                plain.push(file);
            } else if first <= at {
                rest.push(file);
            }
        }
        Ok(Parts { memory, plain, rest, between: Between::TakenBy(at) })
    }

    fn memory_plan(
        &self,
        batches: Vec<arrow::record_batch::RecordBatch>,
        projection: &[usize],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = Some(projection.to_vec());
        let source = MemorySourceConfig::try_new(&[batches], self.stored().clone(), projection)?;
        Ok(DataSourceExec::from_data_source(source.with_show_sizes(false)))
    }

    /// A Parquet scan of the files that statistics do not rule out; `None` if they all are.
    fn file_plan(
        &self,
        files: &[Arc<DataFile>],
        projection: &[usize],
        wanted: &Wanted<'_>,
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let files = self.prune(files, wanted)?;
        if files.is_empty() {
            return Ok(None);
        }
        let runtime = wanted.session.runtime_env();
        runtime.register_object_store(self.files.url.as_ref(), self.files.store.clone());
        let cache = runtime.cache_manager.get_file_metadata_cache();
        let reader = CachedParquetFileReaderFactory::new(self.files.store.clone(), cache);
        let reader = FooterReaders(reader);
        let mut source = ParquetSource::new(self.stored().clone())
            .with_parquet_file_reader_factory(Arc::new(reader))
            .with_metadata_size_hint(FOOTER_BYTES_HINT)
            // Decided here and not by the session: a predicate evaluated inside the scan could
            // be seen to fail or to be slow on rows that a policy above it hides.
            .with_pushdown_filters(false);
        if let Some(predicate) = &wanted.predicate {
            source = source.with_predicate(predicate.clone());
        }
        let target = wanted.session.config().target_partitions().max(1);
        let statistics = total_statistics(self.stored(), &files);
        let group = files
            .iter()
            .map(|f| self.files.partitioned(self.state.spec.name(), f))
            .collect::<Vec<_>>();
        let groups = FileGroup::new(group).split_files(target);
        let config = FileScanConfigBuilder::new(self.files.url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(projection.to_vec()))?
            .with_limit(limit)
            .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }

    /// Leaves out files whose statistics contradict the predicate.
    fn prune(&self, files: &[Arc<DataFile>], wanted: &Wanted<'_>) -> Result<Vec<Arc<DataFile>>> {
        let Some(predicate) = &wanted.predicate else { return Ok(files.to_vec()) };
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(self.stored().clone())
            .try_build(predicate.clone())?;
        if predicate.always_true() {
            return Ok(files.to_vec());
        }
        let known = files.iter().map(|f| Arc::new(statistics(&f.stats))).collect();
        let keep = predicate.prune(&PrunableStatistics::new(known, self.stored().clone()))?;
        Ok(files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(f, _)| f.clone()).collect())
    }

    fn rest_plan(
        &self,
        parts: &Parts,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let asked = wanted.projection.len();
        match &parts.between {
            Between::Nothing => Ok(None),
            Between::TakenBy(at) => {
                let mut columns = wanted.projection.clone();
                columns.push(self.state.spec.ingested_index());
                let Some(scan) = self.file_plan(&parts.rest, &columns, wanted, None)? else {
                    return Ok(None);
                };
                let schema = scan.schema();
                let at = ScalarValue::TimestampMicrosecond(Some(*at), Some("UTC".into()));
                let column = Arc::new(Column::new(schema.field(asked).name(), asked));
                let taken = BinaryExpr::new(column, Operator::LtEq, lit(at));
                let filter = FilterExec::try_new(Arc::new(taken), scan)?;
                let columns = (0..asked).map(|i| {
                    let name = schema.field(i).name();
                    (Arc::new(Column::new(name, i)) as Arc<dyn PhysicalExpr>, name.clone())
                });
                Ok(Some(Arc::new(ProjectionExec::try_new(columns, Arc::new(filter))?)))
            }
            Between::Shadow(keys) => {
                let mut columns = wanted.projection.clone();
                let mut key = Vec::new();
                for column in self.state.spec.key() {
                    match columns.iter().position(|c| *c == column) {
                        Some(at) => key.push(at),
                        None => {
                            key.push(columns.len());
                            columns.push(column);
                        }
                    }
                }
                let Some(scan) = self.file_plan(&parts.rest, &columns, wanted, None)? else {
                    return Ok(None);
                };
                let spec = self.state.spec.clone();
                Ok(Some(Arc::new(ShadowExec::try_new(scan, spec, keys.clone(), key, asked)?)))
            }
        }
    }
}

/// What a moment is made of.
struct Parts {
    memory: Vec<arrow::record_batch::RecordBatch>,
    plain: Vec<Arc<DataFile>>,
    rest: Vec<Arc<DataFile>>,
    between: Between,
}

/// What stands between `rest` and the answer.
enum Between {
    Nothing,
    TakenBy(i64),
    Shadow(Arc<std::collections::HashSet<Box<[u8]>>>),
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        match self.stamped {
            true => self.stored().clone(),
            false => self.state.spec.table.schema.clone(),
        }
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let external = |error: LakeError| DataFusionError::External(Box::new(error));
        let columns = self.schema().fields().len();
        let projection = projection.cloned().unwrap_or_else(|| (0..columns).collect());
        let stored = DFSchema::try_from(self.stored().as_ref().clone())?;
        let predicates = filters
            .iter()
            .map(|filter| session.create_physical_expr(filter.clone(), &stored))
            .collect::<Result<Vec<_>>>()?;
        let wanted = Wanted { session, projection, predicate: conjunction_opt(predicates), limit };
        let mut parts = self.parts().map_err(external)?;
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !parts.memory.is_empty() {
            let memory = std::mem::take(&mut parts.memory);
            inputs.push(self.memory_plan(memory, &wanted.projection)?);
        }
        let limit = if wanted.predicate.is_none() { wanted.limit } else { None };
        inputs.extend(self.file_plan(&parts.plain, &wanted.projection, &wanted, limit)?);
        inputs.extend(self.rest_plan(&parts, &wanted)?);
        if inputs.is_empty() {
            let schema = self.schema().project(&wanted.projection)?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema))));
        }
        UnionExec::try_new(inputs)
    }
}

/// A file's statistics as DataFusion has them. Ranges of text may be wider than the data, all
/// others come from what was written.
fn statistics(stats: &FileStats) -> Statistics {
    let column = |column: &super::stats::ColumnStats| {
        let mut known = ColumnStatistics::new_unknown();
        if let Some(range) = &column.range {
            known.min_value = Precision::Inexact(range.min.clone());
            known.max_value = Precision::Inexact(range.max.clone());
        }
        if let Some(nulls) = column.nulls.and_then(|n| usize::try_from(n).ok()) {
            known.null_count = Precision::Exact(nulls);
        }
        known
    };
    Statistics {
        num_rows: usize::try_from(stats.rows).map_or(Precision::Absent, Precision::Exact),
        total_byte_size: Precision::Absent,
        column_statistics: stats.columns.iter().map(column).collect(),
    }
}

fn total_statistics(stored: &SchemaRef, files: &[Arc<DataFile>]) -> Statistics {
    let rows: u64 = files.iter().map(|f| f.rows()).sum();
    let bytes: u64 = files.iter().map(|f| f.bytes).sum();
    let mut total = Statistics::new_unknown(stored);
    total.num_rows = usize::try_from(rows).map_or(Precision::Absent, Precision::Inexact);
    total.total_byte_size = usize::try_from(bytes).map_or(Precision::Absent, Precision::Inexact);
    total
}
