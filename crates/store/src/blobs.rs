//! Blobs: photos and attachments, each a file named by the SHA-256 of its content.
//!
//! ```text
//!  blobs/
//!    version          the layout's number
//!    incoming/        being written; swept at every start
//!    ab/abcd…ef       64 hex digits
//! ```
//!
//! A blob is acknowledged after its bytes and its name are on the disk; the same content given
//! twice is kept once; what is read is checked against its name. Files never change once named,
//! so a backup may copy or hard-link them while the city runs. The content's kind is told by its
//! own first bytes, never by what the sender calls it.

mod kind;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use kind::{HEAD_BYTES, Kind};

/// The layout on disk that this code reads and writes.
const LAYOUT_VERSION: &str = "1\n";
const COPY_BUFFER_BYTES: usize = 256 * 1024;
const ID_DIGITS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("the file is empty; send one with content")]
    Empty,
    #[error("the file is none of the kinds that are taken ({}); convert it first", Kind::list())]
    UnknownKind,
    #[error("the {kind} file is larger than {bytes_max} bytes; make it smaller", kind = .kind.media_type())]
    TooLarge { kind: Kind, bytes_max: u64 },
    #[error("there is no blob {0}")]
    Absent(BlobId),
    #[error("blob {id} is damaged: its content now hashes to {found}; restore it from a backup")]
    Damaged { id: BlobId, found: BlobId },
    #[error("`{0}` is not a blob id: expected 64 hexadecimal digits")]
    BadId(String),
    #[error("{folder} holds blobs in layout {found}, this program knows 1; run a newer one")]
    Layout { folder: PathBuf, found: String },
    #[error("cannot {verb} {path}: {cause}")]
    Io { verb: &'static str, path: PathBuf, cause: std::io::Error },
    #[error("the file could not be received: {0}")]
    Receive(std::io::Error),
}

/// The SHA-256 of a blob's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId([u8; 32]);

impl std::fmt::Display for BlobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for BlobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobId({self})")
    }
}

impl FromStr for BlobId {
    type Err = BlobError;

    /// Takes exactly 64 hex digits, so that no text from outside can ever name another path.
    fn from_str(text: &str) -> Result<Self, BlobError> {
        let bad = || BlobError::BadId(text.chars().take(ID_DIGITS + 1).collect());
        if text.len() != ID_DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(id))
    }
}

/// What is known of a stored blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    pub id: BlobId,
    pub kind: Kind,
    pub bytes: u64,
}

/// A folder of blobs.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// Opens the folder, making it if absent, and sweeps what an interrupted program left.
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        let blobs = Self { folder: folder.to_owned() };
        let incoming = blobs.incoming();
        if let Err(cause) = fs::remove_dir_all(&incoming)
            && cause.kind() != ErrorKind::NotFound
        {
            return Err(io("sweep", &incoming)(cause));
        }
        fs::create_dir_all(&incoming).map_err(io("make", &incoming))?;
        blobs.settle_layout()?;
        sync_folder(folder)?;
        Ok(blobs)
    }

    /// Stores what `content` gives. Blocks: call it where blocking is allowed, or use
    /// [`Blobs::put`].
    pub fn put_from(&self, content: impl Read) -> Result<Blob, BlobError> {
        let incoming = self.incoming().join(uuid::Uuid::now_v7().simple().to_string());
        let result = self.receive(content, &incoming);
        if result.is_err() {
            // The sweep at the next start takes what cannot be removed now.
            let _ = fs::remove_file(&incoming);
        }
        result
    }

    /// Stores bytes that are already in memory.
    pub async fn put(&self, content: Bytes) -> Result<Blob, BlobError> {
        let blobs = self.clone();
        unblock(move || blobs.put_from(content.as_ref())).await
    }

    /// The whole content, checked against its name.
    pub async fn get(&self, id: BlobId) -> Result<(Blob, Bytes), BlobError> {
        let blobs = self.clone();
        unblock(move || blobs.read(id)).await
    }

    /// Reads and checks one blob. Blocks.
    pub fn read(&self, id: BlobId) -> Result<(Blob, Bytes), BlobError> {
        let path = self.path(id);
        let content = fs::read(&path).map_err(|cause| match cause.kind() {
            ErrorKind::NotFound => BlobError::Absent(id),
            _ => io("read", &path)(cause),
        })?;
        let found = BlobId(Sha256::digest(&content).into());
        if found != id {
            return Err(BlobError::Damaged { id, found });
        }
        let kind = Kind::sniff(&content).ok_or(BlobError::UnknownKind)?;
        let bytes = content.len() as u64;
        Ok((Blob { id, kind, bytes }, content.into()))
    }

    pub fn contains(&self, id: BlobId) -> bool {
        self.path(id).is_file()
    }

    /// The file that holds a blob, for backups.
    pub fn path(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        self.folder.join(&name[..2]).join(&name)
    }

    /// Every blob there is, in order of id.
    pub fn list(&self) -> Result<Vec<BlobId>, BlobError> {
        let mut ids = Vec::new();
        for shelf in children(&self.folder)? {
            if shelf.file_name().is_none_or(|name| name.len() != 2) {
                continue;
            }
            for file in children(&shelf)? {
                let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                ids.push(name.parse()?);
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Reads every blob; returns those that are damaged. For a backup's check.
    pub fn verify(&self) -> Result<Vec<BlobId>, BlobError> {
        let mut damaged = Vec::new();
        for id in self.list()? {
            if hash_file(&self.path(id))? != id {
                damaged.push(id);
            }
        }
        Ok(damaged)
    }

    fn incoming(&self) -> PathBuf {
        self.folder.join("incoming")
    }

    fn settle_layout(&self) -> Result<(), BlobError> {
        let path = self.folder.join("version");
        match fs::read_to_string(&path) {
            Ok(found) if found == LAYOUT_VERSION => Ok(()),
            // Made, and never filled: the program died in between.
            Ok(found) if found.is_empty() => Self::write_layout(&path),
            Ok(found) => Err(BlobError::Layout {
                folder: self.folder.clone(),
                found: found.trim().to_owned(),
            }),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Self::write_layout(&path),
            Err(cause) => Err(io("read", &path)(cause)),
        }
    }

    fn write_layout(path: &Path) -> Result<(), BlobError> {
        let mut file = File::create(path).map_err(io("make", path))?;
        file.write_all(LAYOUT_VERSION.as_bytes()).map_err(io("write", path))?;
        file.sync_all().map_err(io("sync", path))
    }

    fn receive(&self, mut content: impl Read, incoming: &Path) -> Result<Blob, BlobError> {
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        let head = fill(&mut content, &mut buffer)?;
        if head == 0 {
            return Err(BlobError::Empty);
        }
        let kind = Kind::sniff(&buffer[..head]).ok_or(BlobError::UnknownKind)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(incoming)
            .map_err(io("make", incoming))?;
        let mut hash = Sha256::new();
        let mut bytes = 0_u64;
        let mut filled = head;
        while filled > 0 {
            bytes += filled as u64;
            if bytes > kind.bytes_max() {
                return Err(BlobError::TooLarge { kind, bytes_max: kind.bytes_max() });
            }
            hash.update(&buffer[..filled]);
            file.write_all(&buffer[..filled]).map_err(io("write", incoming))?;
            filled = fill(&mut content, &mut buffer)?;
        }
        file.sync_all().map_err(io("sync", incoming))?;
        let blob = Blob { id: BlobId(hash.finalize().into()), kind, bytes };
        self.shelve(blob, incoming)?;
        Ok(blob)
    }

    /// Gives the finished file its name. Where the name is taken the old file stays, unless its
    /// content no longer fits its name: then the good copy takes its place.
    fn shelve(&self, blob: Blob, incoming: &Path) -> Result<(), BlobError> {
        let path = self.path(blob.id);
        let shelf = path.parent().expect("a blob's path has a shelf");
        fs::create_dir_all(shelf).map_err(io("make", shelf))?;
        if path.exists() && hash_file(&path)? == blob.id {
            fs::remove_file(incoming).map_err(io("remove", incoming))?;
        } else {
            fs::rename(incoming, &path).map_err(io("name", &path))?;
        }
        // Also when the file was there: the program that put it may have died before this point.
        sync_folder(shelf)?;
        sync_folder(&self.folder)
    }
}

/// A video is not read into memory for this.
fn hash_file(path: &Path) -> Result<BlobId, BlobError> {
    let mut file = File::open(path).map_err(io("open", path))?;
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    let mut hash = Sha256::new();
    loop {
        let filled = fill(&mut file, &mut buffer)?;
        if filled == 0 {
            return Ok(BlobId(hash.finalize().into()));
        }
        hash.update(&buffer[..filled]);
    }
}

/// Reads until the buffer is full or the content ends.
fn fill(content: &mut impl Read, buffer: &mut [u8]) -> Result<usize, BlobError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => return Err(BlobError::Receive(cause)),
        }
    }
    Ok(filled)
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, BlobError> {
    let entries = fs::read_dir(folder).map_err(io("list", folder))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(io("list", folder))).collect()
}

fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync", folder))
}

fn io<'a>(verb: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> BlobError + use<'a> {
    move |cause| BlobError::Io { verb, path: path.to_owned(), cause }
}

async fn unblock<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|join| {
        // Nobody cancels these tasks, so a failed join is a panic of the work: pass it on.
        std::panic::resume_unwind(join.into_panic())
    })
}

#[cfg(test)]
mod tests;
