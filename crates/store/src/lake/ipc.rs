//! Record batches as bytes in a frame: `metadata_len u32 | IPC message | padding | buffers`.
//!
//! The schema is not repeated: a frame names it by id. A body is decoded only after its frame's
//! checksum was found good; the checks here are against a wrong schema, not against damage.

use std::collections::HashMap;

use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::RecordBatchDecoder;
use arrow::ipc::root_as_message;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatch;

/// Buffers start at a multiple of this, so that reading them back need not copy.
const ALIGN_BYTES: usize = 64;
const LEN_BYTES: usize = 4;

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
    // The library would panic on buffers that are not all there.
    if usize::try_from(message.bodyLength()).map_err(|_| short())? > buffers.len() {
        return Err(short());
    }
    RecordBatchDecoder::try_new(&buffers, batch, schema, &HashMap::new(), &version)?
        .read_record_batch()
}
