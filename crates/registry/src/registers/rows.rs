//! Rows as the records keep them — a JSON object each — and as Arrow.
//!
//! Geometry is hexadecimal WKB, times are RFC 3339 in UTC, numbers are written so that they read
//! back as the same bits.

use arrow::array::RecordBatch;
use arrow::json::ReaderBuilder;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow::util::display::array_value_to_string;
use pack::Contract;

use crate::RegistryError;

/// Rows of one Arrow batch: what an edit has to copy, and what a scan gets at once.
pub(super) const CHUNK_ROWS_MAX: usize = 8_192;

pub(super) fn damaged(contract: &Contract, problem: &str) -> RegistryError {
    RegistryError::Damaged { id: contract.id.clone(), problem: problem.to_owned() }
}

/// Each row's key as [`pack::keys`] joins it.
pub fn key_of(contract: &Contract, rows: &RecordBatch) -> Result<Vec<String>, RegistryError> {
    let wrong = |problem: String| RegistryError::Input { field: "key", problem };
    let columns: Vec<_> = contract
        .key
        .iter()
        .map(|name| rows.column_by_name(name).ok_or_else(|| wrong(format!("no field `{name}`"))))
        .collect::<Result<_, _>>()?;
    (0..rows.num_rows())
        .map(|row| {
            let values: Vec<String> = columns
                .iter()
                .map(|column| array_value_to_string(column, row))
                .collect::<Result<_, _>>()
                .map_err(|cause| wrong(cause.to_string()))?;
            let key = pack::keys::join(&values);
            if key.len() > super::KEY_BYTES_MAX {
                let most = super::KEY_BYTES_MAX;
                return Err(wrong(format!("{} bytes, at most {most} allowed", key.len())));
            }
            Ok(key)
        })
        .collect()
}

/// A JSON object for each row, without the fields that are empty.
pub(super) fn written(
    contract: &Contract,
    rows: &RecordBatch,
) -> Result<Vec<String>, RegistryError> {
    let mut writer = WriterBuilder::new().build::<_, LineDelimited>(Vec::new());
    let done = writer.write(rows).and_then(|()| writer.finish());
    done.map_err(|cause| damaged(contract, &cause.to_string()))?;
    let text = String::from_utf8(writer.into_inner()).expect("JSON is UTF-8");
    // Line breaks within values are escaped.
    Ok(text.lines().map(str::to_owned).collect())
}

/// Rows in the contract's schema, [`CHUNK_ROWS_MAX`] a batch. A field that the contract has
/// gained since they were written is empty; one that it has lost is left out.
pub(super) fn read<'a>(
    contract: &Contract,
    rows: impl Iterator<Item = &'a str>,
) -> Result<Vec<RecordBatch>, RegistryError> {
    let failed = |cause: arrow::error::ArrowError| RegistryError::Contract {
        dataset: contract.id.clone(),
        asked: "fields that its rows do not have so".to_owned(),
        hint: format!("fill them before the contract asks for them ({cause})"),
    };
    let schema = contract.arrow_schema();
    let mut decoder = ReaderBuilder::new(schema)
        .with_batch_size(CHUNK_ROWS_MAX)
        .build_decoder()
        .map_err(failed)?;
    let mut batches = Vec::new();
    let mut in_batch = 0;
    for row in rows {
        for bytes in [row.as_bytes(), b"\n"] {
            decoder.decode(bytes).map_err(failed)?;
        }
        in_batch += 1;
        if in_batch == CHUNK_ROWS_MAX {
            batches.extend(decoder.flush().map_err(failed)?);
            in_batch = 0;
        }
    }
    batches.extend(decoder.flush().map_err(failed)?);
    Ok(batches)
}
