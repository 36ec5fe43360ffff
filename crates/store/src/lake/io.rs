//! The file layer under everything the lake writes, thin enough to be swapped for one that fails.
//!
//! The log, the data files, their checksums and the Delta log all write through [`Io`], so that
//! one fault-injecting implementation ([`super::faults`]) reaches every durable byte. It knows
//! files and folders only.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::{LakeError, Result};

/// A file open for appending.
pub trait IoFile: Send + Debug {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once the bytes and the length are on the disk.
    fn sync(&mut self) -> io::Result<()>;
    fn set_len(&mut self, len_bytes: u64) -> io::Result<()>;
}

/// What the lake asks of a file system.
pub trait Io: Send + Sync + Debug {
    /// Makes a file for appending; fails if there is one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn IoFile>>;
    /// Opens an existing file for appending or truncating.
    fn open(&self, path: &Path) -> io::Result<Box<dyn IoFile>>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives `from` the name `to`; fails if `to` exists. This is the atomic put-if-absent.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder's entries durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Paths directly under a folder, sorted; an absent folder is empty.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
}

/// The real disk.
#[derive(Debug, Default, Clone, Copy)]
pub struct DiskIo;

#[derive(Debug)]
struct DiskFile(File);

impl IoFile for DiskFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        self.0.set_len(len_bytes)
    }
}

impl Io for DiskIo {
    fn create(&self, path: &Path) -> io::Result<Box<dyn IoFile>> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Box::new(DiskFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn IoFile>> {
        Ok(Box::new(DiskFile(OpenOptions::new().append(true).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut paths = entries.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }
}

/// Makes a folder and everything above it durable as far as `root`.
pub(crate) fn make_dir(io: &dyn Io, root: &Path, dir: &Path) -> Result<()> {
    io.create_dir_all(dir).map_err(LakeError::io("make folder", dir))?;
    let mut at = dir;
    while let Some(parent) = at.parent() {
        io.sync_dir(at).map_err(LakeError::io("fsync folder", at))?;
        if at == root {
            break;
        }
        at = parent;
    }
    Ok(())
}

/// Writes a whole file so that after a crash it is there in full or not at all.
pub(crate) fn write_durable(io: &dyn Io, path: &Path, bytes: &[u8]) -> Result<()> {
    let staged = staging_name(path);
    write_synced(io, &staged, bytes)
        .and_then(|()| io.rename(&staged, path))
        .and_then(|()| io.sync_dir(path.parent().expect("a file of the lake lies in a folder")))
        .map_err(LakeError::io("write", path))
}

/// A hidden name in the same folder, so that the final rename stays within one file system.
pub(crate) fn staging_name(path: &Path) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.tmp", uuid::Uuid::now_v7().simple()))
}

pub(crate) fn write_synced(io: &dyn Io, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = io.create(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync());
    if written.is_err() {
        // Best effort: a staged file left behind is harmless, and the error matters more.
        let _ = io.remove(path);
    }
    written
}
