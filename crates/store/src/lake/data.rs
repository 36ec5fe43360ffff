//! Data files: sorted Parquet with page indexes, statistics, and a checksum for every block.
//!
//! A [`DataFile`] is an entry of a Delta version's file list with its statistics typed. Writing
//! goes through [`Io`], fsynced before anybody names the file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use datafusion::common::ScalarValue;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::error::{LakeError, Result};
use super::io::{Io, IoFile};
use super::spec::Spec;
use super::stats::{self, ColumnRange, FileStats};
use super::sums::{self, Sums};

/// A row group is what one thread decodes at a time.
const ROW_GROUP_ROWS_MAX: usize = 128 * 1024;
/// A page is the least that a point read decodes.
const PAGE_ROWS_MAX: usize = 4 * 1024;
/// Rows handed to the column writers at a time; bounds how exactly the page limit is kept.
const WRITE_BATCH_ROWS: usize = 1024;
/// Rows decoded at a time when a file is rewritten.
const READ_BATCH_ROWS: usize = 8 * 1024;
/// Longest minimum or maximum kept for text.
const STATISTICS_BYTES_MAX: usize = 64;
/// Bytes gathered before a write to the disk.
const WRITE_BUFFER_BYTES: usize = 1024 * 1024;

/// One Parquet file of a table, as a Delta version lists it.
#[derive(Debug, Clone)]
pub(crate) struct DataFile {
    /// Relative to the table's folder.
    pub path: String,
    pub bytes: u64,
    pub modified_ms: i64,
    pub stats: FileStats,
}

impl DataFile {
    pub fn rows(&self) -> u64 {
        self.stats.rows
    }

    /// Range of a stored column, if its statistics are there.
    pub fn range(&self, column: usize) -> Option<&ColumnRange> {
        self.stats.columns.get(column).and_then(|c| c.range.as_ref())
    }

    /// The moments between which the file's rows were taken.
    pub fn ingested(&self, spec: &Spec) -> (i64, i64) {
        let at = |value: &ScalarValue| match value {
            ScalarValue::TimestampMicrosecond(Some(at), _) => Some(*at),
            _ => None,
        };
        let range = self.range(spec.ingested_index());
        (
            range.and_then(|r| at(&r.min)).unwrap_or(i64::MIN),
            range.and_then(|r| at(&r.max)).unwrap_or(i64::MAX),
        )
    }
}

/// How hard a file is compressed: quickly when sealing, well when compacting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    Seal,
    Compact,
}

/// Writes one data file, in row groups, to a new name.
pub(crate) struct DataFileWriter {
    io: Arc<dyn Io>,
    dir: PathBuf,
    name: String,
    spec: Arc<Spec>,
    writer: ArrowWriter<SummingFile>,
    rows: u64,
    finished: bool,
}

impl std::fmt::Debug for DataFileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataFileWriter").field("name", &self.name).finish_non_exhaustive()
    }
}

impl DataFileWriter {
    pub fn create(io: Arc<dyn Io>, dir: &Path, spec: Arc<Spec>, effort: Effort) -> Result<Self> {
        let name = format!("part-{}.parquet", uuid::Uuid::now_v7());
        let path = dir.join(&name);
        let file = io.create(&path).map_err(LakeError::io("make", &path))?;
        let properties = properties(&spec, effort);
        let file = SummingFile { file, sums: sums::Summer::default(), buffer: Vec::new() };
        let writer = ArrowWriter::try_new(file, spec.stored.clone(), Some(properties))
            .map_err(LakeError::parquet(&path))?;
        Ok(Self { io, dir: dir.to_owned(), name, spec, writer, rows: 0, finished: false })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(LakeError::parquet(&self.dir.join(&self.name)))
    }

    pub fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Writes the footer and fsyncs the file, its checksums and their folders.
    pub fn finish(mut self) -> Result<DataFile> {
        let path = self.dir.join(&self.name);
        let metadata = self.writer.finish().map_err(LakeError::parquet(&path))?;
        let file = self.writer.inner_mut();
        file.write_out().and_then(|()| file.file.sync()).map_err(LakeError::io("write", &path))?;
        let sums = std::mem::take(&mut file.sums).finish();
        let bytes = sums.file_bytes;
        sums::save(self.io.as_ref(), &path, &sums)?;
        self.io.sync_dir(&self.dir).map_err(LakeError::io("fsync folder", &self.dir))?;
        let stats = file_stats(&self.spec, &metadata, &path)?;
        assert_eq!(stats.rows, self.rows, "a data file holds the rows that were given to it");
        let modified_ms = chrono::Utc::now().timestamp_millis();
        self.finished = true;
        Ok(DataFile { path: self.name.clone(), bytes, modified_ms, stats })
    }
}

impl Drop for DataFileWriter {
    /// A file that could not be finished gives its room back at once: each retry on a full disk
    /// would leave another. What cannot be deleted now, vacuum finds.
    fn drop(&mut self) {
        if !self.finished {
            let path = self.dir.join(&self.name);
            let _ = self.io.remove(&path);
            let _ = self.io.remove(&sums::path_of(&path));
        }
    }
}

/// Writes whole batches to one file.
pub(crate) fn write_file(
    io: Arc<dyn Io>,
    dir: &Path,
    spec: Arc<Spec>,
    effort: Effort,
    batches: &[RecordBatch],
) -> Result<DataFile> {
    let mut writer = DataFileWriter::create(io, dir, spec, effort)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()
}

fn properties(spec: &Spec, effort: Effort) -> WriterProperties {
    let compression = match effort {
        Effort::Seal => Compression::SNAPPY,
        Effort::Compact => Compression::ZSTD(ZstdLevel::default()),
    };
    let sorting = spec
        .sort()
        .into_iter()
        .filter_map(|i| i32::try_from(i).ok())
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true });
    let sorting: Vec<_> = sorting.collect();
    let mut builder = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_write_batch_size(WRITE_BATCH_ROWS)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES_MAX))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES_MAX))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
        .set_created_by("shujin lake".to_owned());
    for field in spec.stored.fields() {
        if *field.data_type() == DataType::Binary {
            // The order of encoded geometries means nothing, and they rarely repeat.
            let column = ColumnPath::from(field.name().as_str());
            builder = builder
                .set_column_statistics_enabled(column.clone(), EnabledStatistics::None)
                .set_column_dictionary_enabled(column, false);
        }
    }
    builder.build()
}

/// Gathers what the Parquet footer says of each column over all row groups.
fn file_stats(spec: &Spec, metadata: &ParquetMetaData, path: &Path) -> Result<FileStats> {
    let parquet_schema = metadata.file_metadata().schema_descr();
    let groups = metadata.row_groups();
    let rows = groups.iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0)).sum();
    let mut columns = Vec::with_capacity(spec.stored.fields().len());
    for field in spec.stored.fields() {
        if !stats::has_order(field.data_type()) {
            columns.push(stats::ColumnStats::default());
            continue;
        }
        let read = || {
            let converter =
                StatisticsConverter::try_new(field.name(), &spec.stored, parquet_schema)?;
            let mins = converter.row_group_mins(groups)?;
            let maxes = converter.row_group_maxes(groups)?;
            let nulls = converter.row_group_null_counts(groups)?;
            Ok((mins, maxes, nulls))
        };
        let (mins, maxes, nulls) = read().map_err(LakeError::parquet(path))?;
        columns.push(stats::ColumnStats {
            range: stats::span(&mins, &maxes),
            nulls: (nulls.null_count() == 0).then(|| nulls.values().iter().sum()),
        });
    }
    Ok(FileStats { rows, columns })
}

/// A file that is summed block by block as it is written.
struct SummingFile {
    file: Box<dyn IoFile>,
    sums: sums::Summer,
    buffer: Vec<u8>,
}

impl SummingFile {
    fn write_out(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.sums.update(&self.buffer);
        self.buffer.clear();
        Ok(())
    }
}

impl Write for SummingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_BUFFER_BYTES {
            self.write_out()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Deletes a data file and its checksums; used for files that no version names.
pub(crate) fn delete(io: &dyn Io, dir: &Path, name: &str) -> Result<()> {
    let path = dir.join(name);
    let sums_path = sums::path_of(&path);
    // The checksums go last: a data file without them would be read unchecked.
    io.remove(&path).map_err(LakeError::io("delete", &path))?;
    match io.remove(&sums_path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LakeError::io("delete", &sums_path)(error))
        }
        _ => Ok(()),
    }
}

/// Which rows of a batch stay.
pub(crate) type Keep<'a> = &'a dyn Fn(&RecordBatch) -> Result<BooleanArray>;

/// Writes a file anew with the rows that stay: `None` if all do, an empty list if none does. Only
/// a few batches are in memory at a time, besides the file's own bytes.
pub(crate) fn rewrite_file(
    io: &Arc<dyn Io>,
    dir: &Path,
    spec: &Arc<Spec>,
    file: &DataFile,
    keep: Keep<'_>,
) -> Result<Option<Vec<DataFile>>> {
    let path = dir.join(&file.path);
    let bytes = io.read(&path).map_err(LakeError::io("read", &path))?;
    if let Some(sums) = Sums::load(&path)? {
        sums.check(&path, 0, &bytes)?;
    }
    let bytes = Bytes::from(bytes);
    let mut any_goes = false;
    for batch in batches(&path, bytes.clone(), spec)? {
        any_goes |= keep(&batch?)?.false_count() > 0;
        if any_goes {
            break;
        }
    }
    if !any_goes {
        return Ok(None);
    }
    let mut writer: Option<DataFileWriter> = None;
    for batch in batches(&path, bytes, spec)? {
        let batch = batch?;
        let rest = filter_record_batch(&batch, &keep(&batch)?);
        let rest = rest.map_err(LakeError::arrow("drop rows"))?;
        if rest.num_rows() == 0 {
            continue;
        }
        if writer.is_none() {
            let created = DataFileWriter::create(io.clone(), dir, spec.clone(), Effort::Compact);
            writer = Some(created?);
        }
        writer.as_mut().expect("it was just made").write(&rest)?;
    }
    Ok(Some(writer.map(DataFileWriter::finish).transpose()?.into_iter().collect()))
}

/// A file's rows in the stored schema; columns that it lacks are null.
fn batches(
    path: &Path,
    bytes: Bytes,
    spec: &Spec,
) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
    let stored = spec.stored.clone();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.with_batch_size(READ_BATCH_ROWS).build())
        .map_err(LakeError::parquet(path))?;
    Ok(reader.map(move |batch| {
        let batch = batch.map_err(LakeError::arrow("read a data file"))?;
        align(&stored, &batch)
    }))
}

/// Puts a file's columns in the stored order, by name.
fn align(stored: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = stored.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
        Some(column) => arrow::compute::cast(column, field.data_type())
            .map_err(LakeError::arrow("bring a column to its type")),
        None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
    });
    RecordBatch::try_new(stored.clone(), columns.collect::<Result<Vec<_>>>()?)
        .map_err(LakeError::arrow("read a data file"))
}
