//! A city's Parquet files as CSV, for peers that read nothing else.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::csv::WriterBuilder;
use arrow::record_batch::RecordBatch;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::{ParquetReadOptions, SessionConfig};

/// Writes some columns, the last of which is binary and becomes hexadecimal; how many rows.
pub fn parquet_to_csv(file: &Path, csv: &Path, columns: &[&str]) -> anyhow::Result<usize> {
    let runtime = tokio::runtime::Runtime::new()?;
    let batches = runtime.block_on(read(file, columns))?;
    let mut writer = WriterBuilder::new().with_header(true).build(File::create(csv)?);
    for batch in &batches {
        let mut shown: Vec<(&str, ArrayRef)> = Vec::new();
        for (name, array) in columns.iter().zip(batch.columns()) {
            let last = shown.len() + 1 == columns.len();
            let array = if last { Arc::new(hexadecimal(array)) } else { array.clone() };
            shown.push((name, array));
        }
        writer.write(&RecordBatch::try_from_iter_with_nullable(
            shown.into_iter().map(|(name, array)| (name, array, true)),
        )?)?;
    }
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

async fn read(file: &Path, columns: &[&str]) -> anyhow::Result<Vec<RecordBatch>> {
    let mut config = SessionConfig::new();
    config.options_mut().execution.parquet.schema_force_view_types = false;
    let context = SessionContext::new_with_config(config);
    let file = file.to_string_lossy();
    context.register_parquet("rows", file.as_ref(), ParquetReadOptions::default()).await?;
    let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let sql = format!("SELECT {} FROM rows", names.join(", "));
    Ok(context.sql(&sql).await?.collect().await?)
}

fn hexadecimal(array: &ArrayRef) -> StringArray {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = array.as_binary::<i32>();
    let hex = |bytes: &[u8]| {
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect::<String>()
    };
    (0..bytes.len()).map(|row| bytes.is_valid(row).then(|| hex(bytes.value(row)))).collect()
}
