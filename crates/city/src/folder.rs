//! A city's data folder: its layout, its lock, its manifest and its secret.
//!
//! ```text
//!  DIR/city.json      format version, the pack it was made from
//!      LOCK           held by the one process that owns the folder
//!      secret.key     32 random bytes: key of the masks' tokens; readable by the owner only
//!      audit.anchor   the audit's head when the city was last closed
//!      records.sqlite what people edit (unless the records live in PostgreSQL)
//!      lake/          what machines append
//!      blobs/         photos and attachments
//!      scratch/       uploads and corrections on their way in
//! ```
//!
//! Knows nothing of what the stores keep inside.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::CityError;

/// Raised when the layout changes in a way that an older program must not touch.
pub const FOLDER_FORMAT: u32 = 1;
const MANIFEST: &str = "city.json";
const LOCK: &str = "LOCK";
pub(crate) const ANCHOR: &str = "audit.anchor";
const SECRET: &str = "secret.key";
/// Length of the folder's secret.
pub const SECRET_BYTES: usize = 32;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Absolute path of the pack that the city was made from.
    pub pack: PathBuf,
    pub city: String,
}

/// An open, locked data folder. Dropping it releases the lock.
#[derive(Debug)]
pub struct Folder {
    pub dir: PathBuf,
    pub manifest: Manifest,
    _lock: File,
}

impl Folder {
    /// Whether `dir` holds a city.
    pub fn holds_city(dir: &Path) -> bool {
        dir.join(MANIFEST).is_file()
    }

    /// Reads a folder's manifest without taking its lock.
    pub fn peek(dir: &Path) -> Result<Manifest, CityError> {
        let path = dir.join(MANIFEST);
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => CityError::NoCity(dir.to_owned()),
            _ => CityError::io(&path, error),
        })?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| CityError::Manifest { path: path.clone(), why: error.to_string() })?;
        if manifest.format > FOLDER_FORMAT {
            return Err(CityError::Manifest {
                path,
                why: format!(
                    "format {} is newer than this program's {FOLDER_FORMAT}: use a newer shujin",
                    manifest.format
                ),
            });
        }
        Ok(manifest)
    }

    /// Makes `dir` a city's folder for `pack`. Refuses a folder that already holds one.
    pub fn create(dir: &Path, pack: &Path, city: &str) -> Result<Self, CityError> {
        make_private_dir(dir)?;
        let lock = lock(dir)?;
        if Self::holds_city(dir) {
            return Err(CityError::Manifest {
                path: dir.join(MANIFEST),
                why: "the folder already holds a city".to_owned(),
            });
        }
        let pack = fs::canonicalize(pack).map_err(|error| CityError::io(pack, error))?;
        let manifest = Manifest { format: FOLDER_FORMAT, pack, city: city.to_owned() };
        ensure_secret(dir)?;
        // The manifest is written last: a folder without one is not a city yet.
        Self::write_manifest(dir, &manifest)?;
        Ok(Self { dir: dir.to_owned(), manifest, _lock: lock })
    }

    /// Makes the folder a city's: the last step of making or restoring one.
    pub(crate) fn write_manifest(dir: &Path, manifest: &Manifest) -> Result<(), CityError> {
        let bytes = serde_json::to_vec_pretty(manifest)
            .expect("a manifest of plain fields always serialises");
        write_durably(&dir.join(MANIFEST), &bytes)
    }

    pub fn open(dir: &Path) -> Result<Self, CityError> {
        let manifest = Self::peek(dir)?;
        let lock = lock(dir)?;
        Ok(Self { dir: dir.to_owned(), manifest, _lock: lock })
    }

    pub fn secret(&self) -> Result<[u8; SECRET_BYTES], CityError> {
        let path = self.dir.join(SECRET);
        let bytes = fs::read(&path).map_err(|error| CityError::io(&path, error))?;
        bytes.try_into().map_err(|_| CityError::Manifest {
            path,
            why: format!("the secret must be {SECRET_BYTES} bytes: restore it from a backup"),
        })
    }

    /// The audit's head as it was written down last, outside the records.
    pub fn read_anchor(&self) -> Result<Option<String>, CityError> {
        let path = self.dir.join(ANCHOR);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CityError::io(&path, error)),
        }
    }

    pub fn write_anchor(&self, head: &str) -> Result<(), CityError> {
        write_durably(&self.dir.join(ANCHOR), head.as_bytes())
    }

    pub fn lake_dir(&self) -> PathBuf {
        self.dir.join("lake")
    }

    pub fn blobs_dir(&self) -> PathBuf {
        self.dir.join("blobs")
    }

    pub fn records_file(&self) -> PathBuf {
        self.dir.join("records.sqlite")
    }
}

fn lock(dir: &Path) -> Result<File, CityError> {
    let path = dir.join(LOCK);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| CityError::io(&path, error))?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(|error| CityError::io(&path, error))?;
            write!(file, "{}", std::process::id()).map_err(|error| CityError::io(&path, error))?;
            Ok(file)
        }
        Err(fs::TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // The number is a courtesy to the reader of the message; without it the message holds.
            let _ = file.read_to_string(&mut owner);
            Err(CityError::Locked { dir: dir.to_owned(), owner: owner.trim().to_owned() })
        }
        Err(fs::TryLockError::Error(error)) => Err(CityError::io(&path, error)),
    }
}

fn ensure_secret(dir: &Path) -> Result<(), CityError> {
    let path = dir.join(SECRET);
    if path.exists() {
        return Ok(());
    }
    let mut secret = [0_u8; SECRET_BYTES];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut secret))
        .map_err(|error| CityError::io(Path::new("/dev/urandom"), error))?;
    write_durably(&path, &secret)
}

/// Makes a folder, and those above it that are missing, for the city's own user alone. One that
/// is there keeps the permissions that somebody gave it.
pub fn make_private_dir(dir: &Path) -> Result<(), CityError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| CityError::io(dir, error))
}

/// Writes a small file so that after a crash it is there whole or not at all. Owner-only.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), CityError> {
    let at = |error| CityError::io(path, error);
    let temporary = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary).map_err(at)?;
    file.write_all(bytes).map_err(at)?;
    file.sync_all().map_err(at)?;
    fs::rename(&temporary, path).map_err(at)?;
    let parent = path.parent().expect("a file in the data folder has a parent");
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("city");
        let first = Folder::create(&dir, scratch.path(), "510100000000").unwrap();
        let second = Folder::open(&dir).unwrap_err().to_string();
        assert!(second.contains(&std::process::id().to_string()), "{second}");
        drop(first);
        assert_eq!(Folder::open(&dir).unwrap().manifest.city, "510100000000");
    }

    #[cfg(unix)]
    #[test]
    fn a_new_folder_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("city");
        drop(Folder::create(&dir, scratch.path(), "510100000000").unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join(SECRET))), (0o700, 0o600));
    }

    #[test]
    fn a_newer_format_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        drop(Folder::create(scratch.path(), scratch.path(), "510100000000").unwrap());
        let path = scratch.path().join(MANIFEST);
        let newer = fs::read_to_string(&path).unwrap().replace("\"format\": 1", "\"format\": 2");
        fs::write(&path, newer).unwrap();
        let refusal = Folder::open(scratch.path()).unwrap_err().to_string();
        assert!(refusal.contains("newer"), "{refusal}");
    }

    #[test]
    fn an_empty_folder_is_not_a_city() {
        let scratch = tempfile::tempdir().unwrap();
        let refusal = Folder::open(scratch.path()).unwrap_err().to_string();
        assert!(refusal.contains("no city"), "{refusal}");
    }

    #[test]
    fn each_folder_has_a_secret_of_its_own() {
        let scratch = tempfile::tempdir().unwrap();
        let (a, b) = (scratch.path().join("a"), scratch.path().join("b"));
        let a = Folder::create(&a, scratch.path(), "510100000000").unwrap().secret().unwrap();
        let b = Folder::create(&b, scratch.path(), "510100000000").unwrap().secret().unwrap();
        assert_ne!(a, b);
    }
}
