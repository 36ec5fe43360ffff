//! What a table holds at one moment: hot and sealing rows in memory, and pinned data files.
//!
//! A [`TableState`] never changes; writers publish a new one and readers keep theirs for as long
//! as they like, so neither waits for the other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, BooleanArray, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};

use super::Producer;
use super::data::DataFile;
use super::error::{LakeError, Result};
use super::frame::Kind;
use super::spec::{INGESTED_AT, Spec, concat};

/// Tiny batches are merged until a chunk has about this many rows.
const CHUNK_ROWS: usize = 8 * 1024;

/// Rows (or keys of deleted rows) taken together, with the hidden column.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub kind: Kind,
    pub batch: RecordBatch,
    /// What the byte cap counts for it.
    pub bytes: usize,
    pub lane: u16,
    pub last_seq: u64,
    pub ingested_min: i64,
    pub ingested_max: i64,
    /// The highest number of each producer whose rows are in it.
    pub producers: BTreeMap<Arc<str>, u64>,
}

/// Notes a producer's number; never lowers it.
pub(crate) fn raise(producers: &mut BTreeMap<Arc<str>, u64>, id: &Arc<str>, seq: u64) {
    match producers.get_mut(id) {
        Some(known) => *known = seq.max(*known),
        None => {
            producers.insert(id.clone(), seq);
        }
    }
}

impl Chunk {
    /// The rows of one frame. `bytes` is for the caller to set.
    pub fn taken(
        kind: Kind,
        batch: &RecordBatch,
        lane: u16,
        seq: u64,
        ingested_at: i64,
        producer: Option<Producer>,
    ) -> Result<Self> {
        Ok(Self {
            kind,
            batch: with_ingested(batch, ingested_at)?,
            bytes: 0,
            lane,
            last_seq: seq,
            ingested_min: ingested_at,
            ingested_max: ingested_at,
            producers: producer.into_iter().map(|p| (p.id.into(), p.seq)).collect(),
        })
    }

    /// Joins two neighbours; the later one's rows stay behind the earlier one's.
    fn merge(self: &Arc<Self>, next: &Self, schema: &SchemaRef) -> Result<Self> {
        let batch = concat(schema, &[self.batch.clone(), next.batch.clone()])?;
        let mut producers = self.producers.clone();
        next.producers.iter().for_each(|(id, seq)| raise(&mut producers, id, *seq));
        Ok(Self {
            kind: self.kind,
            batch,
            bytes: self.bytes + next.bytes,
            lane: next.lane,
            last_seq: next.last_seq,
            ingested_min: self.ingested_min.min(next.ingested_min),
            ingested_max: self.ingested_max.max(next.ingested_max),
            producers,
        })
    }
}

/// Adds a chunk behind the others, merging small neighbours. Sizes fall from old to new, so a
/// row is copied a logarithmic number of times, however small the batches.
pub(crate) fn push_chunk(chunks: &mut Vec<Arc<Chunk>>, chunk: Chunk) -> Result<()> {
    let mut chunk = chunk;
    while let Some(last) = chunks.last() {
        let rows = last.batch.num_rows() + chunk.batch.num_rows();
        let mergeable = last.kind == chunk.kind
            && last.lane == chunk.lane
            && last.batch.schema_ref().fields() == chunk.batch.schema_ref().fields();
        if !mergeable || rows > CHUNK_ROWS || last.batch.num_rows() > 2 * chunk.batch.num_rows() {
            break;
        }
        let schema = chunk.batch.schema();
        chunk = last.merge(&chunk, &schema)?;
        chunks.pop();
    }
    chunks.push(Arc::new(chunk));
    Ok(())
}

/// A pinned Delta version.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cold {
    pub version: u64,
    /// Everything taken up to this moment (µs) and sealed is in this version.
    pub through: i64,
    pub files: Vec<Arc<DataFile>>,
}

/// One consistent moment of a table.
#[derive(Debug)]
pub(crate) struct TableState {
    pub spec: Arc<Spec>,
    pub hot: Vec<Arc<Chunk>>,
    /// Being written to files; older than `hot`.
    pub sealing: Vec<Arc<Chunk>>,
    pub cold: Arc<Cold>,
    /// Rises with every change of the rows.
    pub version: u64,
    overlay: OnceLock<Result<Arc<Overlay>>>,
}

impl TableState {
    pub fn new(
        spec: Arc<Spec>,
        hot: Vec<Arc<Chunk>>,
        sealing: Vec<Arc<Chunk>>,
        cold: Arc<Cold>,
        version: u64,
    ) -> Self {
        Self { spec, hot, sealing, cold, version, overlay: OnceLock::new() }
    }

    /// Chunks in memory, oldest first.
    pub fn chunks(&self) -> impl DoubleEndedIterator<Item = &Arc<Chunk>> {
        self.sealing.iter().chain(&self.hot)
    }

    /// Per lane, the last frame in memory.
    pub fn last_seqs(&self) -> HashMap<u16, u64> {
        last_seqs(self.chunks())
    }

    /// The latest row of each key in memory; computed once a state.
    pub fn overlay(&self) -> Result<Arc<Overlay>> {
        self.overlay
            .get_or_init(|| Overlay::build(&self.spec, self.chunks(), None).map(Arc::new))
            .clone()
    }
}

/// Per lane, the last frame in some chunks.
pub(crate) fn last_seqs<'a>(chunks: impl Iterator<Item = &'a Arc<Chunk>>) -> HashMap<u16, u64> {
    let mut last = HashMap::new();
    for chunk in chunks {
        let seq = last.entry(chunk.lane).or_insert(chunk.last_seq);
        *seq = chunk.last_seq.max(*seq);
    }
    last
}

/// The keys that rows in memory decide, and the rows that they decide on.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// Encoded keys, whether the row is there now or deleted: older rows of these are hidden.
    pub keys: Arc<HashSet<Box<[u8]>>>,
    /// Rows in the stored schema, each key once.
    pub rows: Vec<RecordBatch>,
}

impl Overlay {
    /// Walks from the newest row to the oldest; the first sight of a key wins.
    pub fn build<'a>(
        spec: &Spec,
        chunks: impl DoubleEndedIterator<Item = &'a Arc<Chunk>>,
        as_of: Option<i64>,
    ) -> Result<Self> {
        let encoder = KeyEncoder::new(spec)?;
        let mut keys: HashSet<Box<[u8]>> = HashSet::new();
        let mut rows = Vec::new();
        for chunk in chunks.rev() {
            let taken = taken_by(chunk, as_of)?;
            let Some(batch) = taken else { continue };
            let columns: Vec<usize> = match chunk.kind {
                Kind::Deletes => (0..spec.key_schema.fields().len()).collect(),
                Kind::Rows | Kind::End => spec.key(),
            };
            let encoded = encoder.encode(&batch, &columns)?;
            let mut newest = vec![false; batch.num_rows()];
            for i in (0..batch.num_rows()).rev() {
                let key = encoded.row(i);
                if !keys.contains(key.as_ref()) {
                    keys.insert(key.as_ref().into());
                    newest[i] = true;
                }
            }
            if chunk.kind == Kind::Rows && newest.contains(&true) {
                let kept = filter_record_batch(&batch, &BooleanArray::from(newest))
                    .map_err(LakeError::arrow("pick the newest rows"))?;
                rows.push(spec.widen(kept, &spec.stored)?);
            }
        }
        rows.reverse();
        Ok(Self { keys: Arc::new(keys), rows })
    }
}

/// The chunk's rows that had been taken by a moment; `None` if none had.
pub(crate) fn taken_by(chunk: &Chunk, as_of: Option<i64>) -> Result<Option<RecordBatch>> {
    let Some(as_of) = as_of else { return Ok(Some(chunk.batch.clone())) };
    if chunk.ingested_max <= as_of {
        return Ok(Some(chunk.batch.clone()));
    }
    if chunk.ingested_min > as_of {
        return Ok(None);
    }
    let ingested = ingested_of(&chunk.batch);
    let mask: BooleanArray = ingested.values().iter().map(|at| Some(*at <= as_of)).collect();
    filter_record_batch(&chunk.batch, &mask)
        .map(Some)
        .map_err(LakeError::arrow("pick the rows taken by a moment"))
}

/// The hidden column is always the last one.
pub(crate) fn ingested_of(batch: &RecordBatch) -> &TimestampMicrosecondArray {
    batch.column(batch.num_columns() - 1).as_primitive::<TimestampMicrosecondType>()
}

/// Appends the hidden column to rows, or to keys, as they came in.
pub(crate) fn with_ingested(batch: &RecordBatch, ingested_at: i64) -> Result<RecordBatch> {
    let column =
        TimestampMicrosecondArray::from_value(ingested_at, batch.num_rows()).with_timezone("UTC");
    let mut fields = batch.schema_ref().fields().to_vec();
    fields.push(Arc::new(Field::new(INGESTED_AT, column.data_type().clone(), false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(column));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(LakeError::arrow("stamp rows"))
}

/// Turns key columns into bytes that are equal exactly when the keys are.
#[derive(Debug)]
pub(crate) struct KeyEncoder {
    converter: RowConverter,
}

impl KeyEncoder {
    pub fn new(spec: &Spec) -> Result<Self> {
        let fields = spec.key_schema.fields().iter();
        let fields = fields.map(|f| SortField::new(f.data_type().clone())).collect();
        let converter = RowConverter::new(fields).map_err(LakeError::arrow("encode keys"))?;
        Ok(Self { converter })
    }

    pub fn encode(&self, batch: &RecordBatch, columns: &[usize]) -> Result<arrow::row::Rows> {
        let columns: Vec<_> = columns.iter().map(|i| batch.column(*i).clone()).collect();
        self.converter.convert_columns(&columns).map_err(LakeError::arrow("encode keys"))
    }
}
