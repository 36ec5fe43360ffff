//! Every limit of this crate in one place, each with its unit last.
//!
//! A file is data from a stranger: nothing here may grow with what the file claims. A limit that
//! is met either spoils one row, which goes to quarantine, or refuses the file with a reason.

/// Bytes of text in a block, and so about the size of a chunk before parsing. Big enough that a
/// chunk is worth a disk write, small enough that its columns stay in the processor's cache.
pub const BLOCK_BYTES: usize = 4 * 1024 * 1024;
/// The same for files that are turned from wide to long, whose rows multiply.
pub const BLOCK_WIDE_BYTES: usize = 512 * 1024;
/// A longer record is a bad row. Must be smaller than a block.
pub const RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A longer object of a JSON array refuses the file: where the next one begins cannot be told.
/// Parsed, it takes ten times as much, in every thread.
pub const JSON_OBJECT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A longer text cell is a bad row; geometries may be as long as a record.
pub const FIELD_BYTES_MAX: usize = 1024 * 1024;
/// Columns of a file.
pub const COLUMNS_MAX: usize = 4096;
/// Bad rows in one chunk. More than these means that the file is not what it is taken for.
pub const BAD_ROWS_PER_CHUNK_MAX: usize = 65_536;
/// Raw text kept of a bad row.
pub const RAW_BYTES_MAX: usize = 4096;
/// What of a cell is shown in a message.
pub const FOUND_CHARS_MAX: usize = 60;
/// Bytes looked at to tell encoding and separator.
pub const SAMPLE_BYTES: usize = 256 * 1024;
/// Records looked at to tell the separator and whether a column has changed its type.
pub const SAMPLE_RECORDS: usize = 1000;
/// Rows of a chunk where the format has rows of its own (Parquet, Excel).
pub const BLOCK_ROWS: usize = 65_536;
/// Bytes of Parquet rows in memory upon which a chunk ends: a file of a few kilobytes may repeat one
/// long text for ever.
pub const PARQUET_BLOCK_BYTES: usize = 32 * 1024 * 1024;
/// Parts in which such a chunk is decoded …
pub const PARQUET_PARTS: usize = 16;
/// … and bytes of one of them.
pub const PARQUET_PART_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Cells of a block: with many columns a block has fewer rows.
pub const CELLS_PER_BLOCK_MAX: usize = 8 * 1024 * 1024;
/// Filled cells of a sheet, which are all in memory.
pub const EXCEL_CELLS_MAX: usize = 8 * 1024 * 1024;
/// Bytes of text in these cells.
pub const EXCEL_CELLS_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Excel is read whole, so the file is limited …
pub const EXCEL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// … and what it unpacks to: all of its parts …
pub const EXCEL_UNPACKED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// … the texts that its sheets share …
pub const EXCEL_TEXTS_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// … any part that is no sheet, of which memory takes many times the length …
pub const EXCEL_PART_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// … and their number.
pub const EXCEL_PARTS_MAX: usize = 10_000;
/// Blocks that wait between two threads.
pub const BLOCKS_IN_FLIGHT: usize = 2;
/// Threads that parse.
pub const THREADS_MAX: usize = 64;
/// Threads that parse unless the caller says more: storing is slower than these.
pub const THREADS_DEFAULT_MAX: usize = 8;
/// Nesting of a geometry collection.
pub const GEOMETRY_DEPTH_MAX: usize = 16;

/// Rows of a block of so many columns, in formats that have rows of their own.
pub fn rows_per_block(columns: usize) -> usize {
    (CELLS_PER_BLOCK_MAX / columns.max(1)).min(BLOCK_ROWS)
}
