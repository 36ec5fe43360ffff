//! A file layer that fails on command: how the lake's promises are tested.
//!
//! Public because the crates above test their own behaviour under a full or broken disk with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::io::{DiskIo, Io, IoFile};

/// Switches shared by a [`FaultIo`] and all files it opened.
#[derive(Debug)]
pub struct Faults {
    /// Every fsync of a file fails while set.
    pub fail_sync: AtomicBool,
    /// Every fsync of a folder fails while set.
    pub fail_sync_dir: AtomicBool,
    /// The fsync of a Delta log's folder fails while set: the commit stands, and its maker is told
    /// that it failed.
    pub fail_commit_answer: AtomicBool,
    /// Bytes that still fit on the disk; negative means no limit. A write that does not fit
    /// leaves its first half behind, as a real one may.
    pub bytes_left: AtomicI64,
    /// Truncation fails while set.
    pub fail_set_len: AtomicBool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            fail_sync: AtomicBool::new(false),
            fail_sync_dir: AtomicBool::new(false),
            fail_commit_answer: AtomicBool::new(false),
            bytes_left: AtomicI64::new(-1),
            fail_set_len: AtomicBool::new(false),
        }
    }
}

/// The real disk behind switches.
#[derive(Debug, Default, Clone)]
pub struct FaultIo {
    pub faults: Arc<Faults>,
}

#[derive(Debug)]
struct FaultFile {
    inner: Box<dyn IoFile>,
    faults: Arc<Faults>,
}

fn broken() -> io::Error {
    io::Error::other("input/output error (injected)")
}

impl IoFile for FaultFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.faults.bytes_left.load(Ordering::SeqCst);
        if left < 0 {
            return self.inner.write_all(bytes);
        }
        let wanted = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        if wanted <= left {
            self.faults.bytes_left.store(left - wanted, Ordering::SeqCst);
            return self.inner.write_all(bytes);
        }
        self.inner.write_all(&bytes[..bytes.len() / 2])?;
        Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device (injected)"))
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.faults.fail_sync.load(Ordering::SeqCst) {
            return Err(broken());
        }
        self.inner.sync()
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        if self.faults.fail_set_len.load(Ordering::SeqCst) {
            return Err(broken());
        }
        self.inner.set_len(len_bytes)
    }
}

impl FaultIo {
    fn wrap(&self, inner: Box<dyn IoFile>) -> Box<dyn IoFile> {
        Box::new(FaultFile { inner, faults: self.faults.clone() })
    }
}

impl Io for FaultIo {
    fn create(&self, path: &Path) -> io::Result<Box<dyn IoFile>> {
        DiskIo.create(path).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn IoFile>> {
        DiskIo.open(path).map(|file| self.wrap(file))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        DiskIo.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        DiskIo.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        DiskIo.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        DiskIo.remove(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        DiskIo.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let commit = path.ends_with("_delta_log");
        if self.faults.fail_sync_dir.load(Ordering::SeqCst)
            || (commit && self.faults.fail_commit_answer.load(Ordering::SeqCst))
        {
            return Err(broken());
        }
        DiskIo.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        DiskIo.list(path)
    }
}
