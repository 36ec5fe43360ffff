//! What makes two imports the same: the file's bytes and all that decides how they are read.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use pack::{Contract, ImportMapping};
use sha2::{Digest, Sha256};

use crate::error::IntakeError;
use crate::options::Options;

/// Raise it with every change after which a file gives other chunks than before.
pub const INTAKE_VERSION: u32 = 2;

const READ_BYTES: usize = 1024 * 1024;

pub struct Fingerprint {
    path: PathBuf,
    before: Option<Metadata>,
    thread: Option<JoinHandle<std::io::Result<String>>>,
    known: Option<String>,
}

impl Fingerprint {
    /// Starts to hash in a thread of its own. `before` is what the file was before anybody opened
    /// it: what is read and what is hashed are then the same.
    pub fn start(
        path: &Path,
        before: Metadata,
        contract: &Contract,
        mapping: Option<&ImportMapping>,
        options: &Options,
    ) -> Self {
        let terms = terms(contract, mapping, options);
        let file = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("intake-hash".to_owned())
            .spawn(move || hash(&file, &terms))
            .expect("the system starts a thread");
        Self { path: path.to_owned(), before: Some(before), thread: Some(thread), known: None }
    }

    pub fn get(&mut self) -> Result<String, IntakeError> {
        if let Some(thread) = self.thread.take() {
            let hash = thread.join().map_err(|_| IntakeError::Stopped("hashing panicked"))?;
            let read = |source| IntakeError::Read { path: self.path.clone(), source };
            self.known = Some(hash.map_err(read)?);
        }
        self.known.clone().ok_or(IntakeError::Stopped("hashing failed before"))
    }

    /// The rows came from what was hashed only if nobody has written to the file since.
    pub fn check_unchanged(&self) -> Result<(), IntakeError> {
        let now = std::fs::metadata(&self.path).ok();
        let mark =
            |data: &Option<Metadata>| data.as_ref().map(|data| (data.len(), data.modified().ok()));
        if mark(&self.before) == mark(&now) {
            Ok(())
        } else {
            Err(IntakeError::Changed { path: self.path.clone() })
        }
    }
}

/// All that decides how the bytes are read, as text; where the mapping stands is not part of it.
fn terms(contract: &Contract, mapping: Option<&ImportMapping>, options: &Options) -> String {
    let mapping = mapping.cloned().map(|mut mapping| {
        mapping.place = pack::Place::default();
        mapping
    });
    // The number of threads changes nothing.
    let options = Options { threads: None, ..options.clone() };
    format!("intake {INTAKE_VERSION}\n{}\n{mapping:?}\n{options:?}\n", contract.id)
}

fn hash(path: &Path, terms: &str) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    hasher.update((terms.len() as u64).to_le_bytes());
    hasher.update(terms);
    let mut file = File::open(path)?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
