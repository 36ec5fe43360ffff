//! Why a whole file is refused. A single bad row is never an error: it is a [`crate::BadRow`].

use std::path::PathBuf;

use crate::drift::Drift;

#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("cannot read {path}: {source}; check that the file is there and may be read")]
    Read { path: PathBuf, source: std::io::Error },
    #[error(
        "cannot tell the format of {path}: name it .csv, .parquet, .geojson, .jsonl or .xlsx, with .gz behind the text ones, or say the format"
    )]
    Format { path: PathBuf },
    #[error("unknown encoding `{0}`: use utf-8, gb18030, utf-16le or utf-16be")]
    Encoding(String),
    #[error("{path} holds no rows and no header: check that it is the right file")]
    Empty { path: PathBuf },
    #[error("{found} columns, of which at most {max} are read: split the file")]
    TooManyColumns { found: usize, max: usize },
    #[error("no mapping `{id}` for dataset {dataset}: known are {known}")]
    NoSuchMapping { id: String, dataset: String, known: String },
    #[error("mapping `{mapping}`: {problem}")]
    Mapping { mapping: String, problem: String },
    #[error(
        "columns {columns} of the file are all called `{field}`: rename all but one, or write a mapping"
    )]
    Ambiguous { field: String, columns: String },
    #[error("the file does not fit the contract of {dataset}: {drift}")]
    Drift { dataset: String, drift: Drift },
    #[error(
        "at least {count} bad rows from line {line} on, more than {max} in one chunk: the file is not what the contract of {dataset} expects; the first one: {first}"
    )]
    TooManyBadRows { dataset: String, count: usize, line: u64, max: usize, first: String },
    #[error("{path} changed while it was read: import it again when nothing writes to it any more")]
    Changed { path: PathBuf },
    #[error(
        "the file's coordinates are in {found}, which is not converted here: bring it to WGS-84, CGCS2000, GCJ-02 or BD-09"
    )]
    Crs { found: String },
    #[error("cannot read the file as {format}: {problem}")]
    Content { format: &'static str, problem: String },
    #[error("the thread that read the file stopped: {0}")]
    Stopped(&'static str),
}
