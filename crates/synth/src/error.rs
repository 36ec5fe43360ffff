//! What can go wrong while a city is made up.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {problem}", path.display())]
    Facts { path: PathBuf, problem: String },
    #[error("{}: cannot be written: {problem}", path.display())]
    Write { path: PathBuf, problem: String },
    #[error("{found} people: make between {min} and {max}")]
    People { found: usize, min: usize, max: usize },
    #[error("no way was found to draw {what}: another seed will do")]
    Drawing { what: String },
}

pub type Result<T> = std::result::Result<T, SynthError>;
