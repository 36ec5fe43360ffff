//! Record batches as bytes in a frame: `metadata_len u32 | IPC message | padding | buffers`.
//!
//! The schema is not repeated: a frame names it by id. A body is decoded only after its frame's
//! checksum was found good; the checks here are against a wrong schema, not against damage, and
//! against what the library would answer with a panic.

use std::collections::HashMap;

use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::RecordBatchDecoder;
use arrow::ipc::root_as_message;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatch;

/// Buffers start at a multiple of this, so that reading them back need not copy.
const ALIGN_BYTES: usize = 64;
const LEN_BYTES: usize = 4;
/// What the format asks of every buffer's place.
const BUFFER_ALIGN_BYTES: usize = 8;
/// Offsets of texts are 32-bit.
const OFFSET_BYTES: usize = 4;

pub(crate) fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let (dictionaries, data) = IpcDataGenerator::default().encode(
        batch,
        &mut DictionaryTracker::new(true),
        &IpcWriteOptions::default(),
        &mut IpcWriteContext::default(),
    )?;
    debug_assert!(dictionaries.is_empty(), "specs admit no dictionary columns");
    let body_at = (LEN_BYTES + data.ipc_message.len()).next_multiple_of(ALIGN_BYTES);
    let mut out = Vec::with_capacity(body_at + data.arrow_data.len());
    let len = u32::try_from(data.ipc_message.len())
        .map_err(|_| ArrowError::IpcError("the batch's head is too long".to_owned()))?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&data.ipc_message);
    out.resize(body_at, 0);
    out.extend_from_slice(&data.arrow_data);
    Ok(out)
}

pub(crate) fn decode(body: &Buffer, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
    let short = || ArrowError::IpcError("the frame's body is too short".to_owned());
    let len = body.first_chunk::<LEN_BYTES>().ok_or_else(short)?;
    let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| short())?;
    let message = body.get(LEN_BYTES..LEN_BYTES + len).ok_or_else(short)?;
    let body_at = (LEN_BYTES + len).next_multiple_of(ALIGN_BYTES);
    if body_at > body.len() {
        return Err(short());
    }
    let message = root_as_message(message).map_err(|error| {
        ArrowError::IpcError(format!("the frame's body is no message: {error}"))
    })?;
    let batch = message
        .header_as_record_batch()
        .ok_or_else(|| ArrowError::IpcError("the frame's body is no record batch".to_owned()))?;
    let version = message.version();
    let buffers = body.slice(body_at);
    if usize::try_from(message.bodyLength()).map_err(|_| short())? > buffers.len() {
        return Err(short());
    }
    check_layout(batch, &schema, buffers.len())?;
    RecordBatchDecoder::try_new(&buffers, batch, schema, &HashMap::new(), &version)?
        .read_record_batch()
}

/// Whether each column has its buffers, within the body and long enough for its rows: where that
/// is not so the library would panic.
fn check_layout(
    batch: arrow::ipc::RecordBatch<'_>,
    schema: &Schema,
    body_bytes: usize,
) -> Result<(), ArrowError> {
    let wrong = || ArrowError::IpcError("the frame's rows have another layout".to_owned());
    let rows = usize::try_from(batch.length()).map_err(|_| wrong())?;
    let mut lengths = Vec::new();
    for buffer in batch.buffers().into_iter().flatten() {
        let start = usize::try_from(buffer.offset()).map_err(|_| wrong())?;
        let length = usize::try_from(buffer.length()).map_err(|_| wrong())?;
        let within = start.checked_add(length).is_some_and(|end| end <= body_bytes);
        if !within || start % BUFFER_ALIGN_BYTES != 0 {
            return Err(wrong());
        }
        lengths.push(length);
    }
    let mut lengths = lengths.into_iter();
    let mut nodes = batch.nodes().into_iter().flatten();
    for field in schema.fields() {
        let node = nodes.next().ok_or_else(wrong)?;
        let nulls = usize::try_from(node.null_count()).map_err(|_| wrong())?;
        let validity_bytes = lengths.next().ok_or_else(wrong)?;
        let first_bytes = lengths.next().ok_or_else(wrong)?;
        // How many values the first buffer has at least, and the bytes of one.
        let (values, width) = match field.data_type() {
            // Offsets, one more than rows; none at all for no rows. The texts come after them.
            DataType::Utf8 | DataType::Binary => {
                lengths.next().ok_or_else(wrong)?;
                (rows.saturating_add(usize::from(rows > 0)), OFFSET_BYTES)
            }
            DataType::Boolean => (rows.div_ceil(8), 1),
            other => (rows, other.primitive_width().ok_or_else(wrong)?),
        };
        let fits = node.length() == batch.length()
            && nulls <= rows
            && (nulls == 0 || rows.div_ceil(8) <= validity_bytes)
            && first_bytes % width == 0
            && values <= first_bytes / width;
        if !fits {
            return Err(wrong());
        }
    }
    match (nodes.next(), lengths.next(), batch.compression(), batch.variadicBufferCounts()) {
        (None, None, None, None) => Ok(()),
        _ => Err(wrong()),
    }
}
