//! What can go wrong with a city, in words that say what to do.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum CityError {
    #[error(
        "no city in {0}: make one with `shujin demo --data {0}` or `shujin import --data {0} …`"
    )]
    NoCity(PathBuf),
    #[error(
        "{dir} is in use by process {owner}: stop it first, or go through it with --server URL \
         (import, sql and backup can)"
    )]
    Locked { dir: PathBuf, owner: String },
    #[error("{path}: {why}")]
    Manifest { path: PathBuf, why: String },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the pack has mistakes:\n{0}")]
    Pack(String),
    #[error("no dataset {0} in the pack{1}")]
    UnknownDataset(String, String),
    /// Nothing of the kind, or nothing that the asker may know of.
    #[error("{0}")]
    NotFound(String),
    #[error("refused: {0}")]
    Refused(String),
    /// Somebody else has changed it since.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    Busy(String),
    /// It has a meaning, and is not done here.
    #[error("{0}")]
    Unsupported(String),
    #[error("a kept row is no entity: {0}")]
    Kept(String),
    #[error(transparent)]
    Lake(#[from] store::lake::LakeError),
    #[error(transparent)]
    Records(#[from] store::records::RecordsError),
    #[error(transparent)]
    Registry(#[from] registry::RegistryError),
    #[error(transparent)]
    Intake(#[from] intake::IntakeError),
    #[error(transparent)]
    Audit(#[from] catalog::audit::AuditError),
    #[error(transparent)]
    Sharing(#[from] catalog::sharing::SharingError),
    #[error(transparent)]
    Quality(#[from] catalog::quality::QualityError),
    #[error(transparent)]
    Blobs(#[from] store::blobs::BlobError),
    #[error(transparent)]
    Catalog(#[from] catalog::sql::OpenError),
    #[error(transparent)]
    Sql(#[from] catalog::SqlError),
    #[error(transparent)]
    Data(#[from] datafusion::error::DataFusionError),
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

impl CityError {
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}
