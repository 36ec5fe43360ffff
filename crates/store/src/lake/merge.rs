//! Many sorted files as one sorted stream, with memory for a few batches of each.

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, coalesce_partitions::CoalescePartitionsExec};

use super::data::DataFile;
use super::error::{LakeError, Result};
use super::scan::Files;
use super::spec::Spec;

/// The rows of files that were each written in the table's order, in that order.
pub(crate) fn merged(
    spec: &Spec,
    inputs: &[Arc<DataFile>],
    files: &Files,
) -> Result<SendableRecordBatchStream> {
    plan(spec, inputs, files)
        .and_then(|plan| {
            let context = TaskContext::default();
            context.runtime_env().register_object_store(files.url().as_ref(), files.store.clone());
            plan.execute(0, Arc::new(context))
        })
        .map_err(LakeError::datafusion(spec.name(), "read files to merge"))
}

fn plan(
    spec: &Spec,
    inputs: &[Arc<DataFile>],
    files: &Files,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let order = spec.sort().into_iter().map(|i| {
        let column = Column::new(spec.stored.field(i).name(), i);
        PhysicalSortExpr::new_default(Arc::new(column)).asc().nulls_first()
    });
    let order = LexOrdering::new(order);
    let reader = DefaultParquetFileReaderFactory::new(files.store.clone());
    let source =
        ParquetSource::new(spec.stored.clone()).with_parquet_file_reader_factory(Arc::new(reader));
    let groups =
        inputs.iter().map(|file| FileGroup::new(vec![files.partitioned(spec.name(), file)]));
    let config = FileScanConfigBuilder::new(files.url(), Arc::new(source))
        .with_file_groups(groups.collect())
        .with_output_ordering(order.iter().cloned().collect())
        .build();
    let scan = DataSourceExec::from_data_source(config);
    Ok(match order {
        Some(order) => Arc::new(SortPreservingMergeExec::new(order, scan)),
        None => Arc::new(CoalescePartitionsExec::new(scan)),
    })
}
