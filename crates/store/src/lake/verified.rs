//! The object store through which queries read data files: each block is checked as it is read.
//!
//! Read-only, rooted at the lake's folder, so that a query engine that holds it can reach nothing
//! else and change nothing.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use parking_lot::Mutex;

use super::error::LakeError;
use super::sums::{BLOCK_BYTES, Sums};

const STORE: &str = "VerifiedStore";
/// Files whose checksums and handles are kept open; beyond it the memory is emptied.
const OPEN_FILES_MAX: usize = 512;

/// A data file held open with its checksums.
#[derive(Debug)]
struct Opened {
    file: File,
    path: PathBuf,
    bytes: u64,
    modified: DateTime<Utc>,
    sums: Option<Sums>,
}

/// Reads data files under one folder, checking what it reads.
#[derive(Debug)]
pub(crate) struct VerifiedStore {
    root: PathBuf,
    opened: Mutex<HashMap<Path, Arc<Opened>>>,
}

impl VerifiedStore {
    pub fn new(root: &FsPath) -> Self {
        Self { root: root.to_owned(), opened: Mutex::default() }
    }

    /// Forgets a file that is about to be deleted.
    pub fn forget(&self, location: &Path) {
        self.opened.lock().remove(location);
    }

    fn open(&self, location: &Path) -> Result<Arc<Opened>> {
        if let Some(opened) = self.opened.lock().get(location) {
            return Ok(opened.clone());
        }
        let path = self.root.join(location.as_ref());
        let open = || {
            let file = File::open(&path)?;
            let metadata = file.metadata()?;
            Ok((file, metadata.len(), metadata.modified()?.into()))
        };
        let (file, bytes, modified) =
            open().map_err(|error: std::io::Error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    Error::NotFound { path: location.to_string(), source: error.into() }
                }
                _ => Error::Generic { store: STORE, source: error.into() },
            })?;
        let sums = Sums::load(&path).map_err(generic)?;
        if let Some(sums) = &sums
            && sums.file_bytes != bytes
        {
            return Err(generic(LakeError::Corrupt {
                file: path,
                offset: bytes.min(sums.file_bytes),
                what: format!("the file has {bytes} bytes, {} were written", sums.file_bytes),
            }));
        }
        let opened = Arc::new(Opened { file, path, bytes, modified, sums });
        let mut known = self.opened.lock();
        if known.len() >= OPEN_FILES_MAX {
            known.clear();
        }
        known.insert(location.clone(), opened.clone());
        Ok(opened)
    }
}

impl Opened {
    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let block = BLOCK_BYTES as u64;
        let range = range.start.min(self.bytes)..range.end.min(self.bytes);
        let (start, end) = match &self.sums {
            Some(_) => (range.start / block * block, range.end.next_multiple_of(block)),
            None => (range.start, range.end),
        };
        let end = end.min(self.bytes);
        let fits = |n: u64| usize::try_from(n).map_err(|e| generic_io(e.into()));
        let mut buffer = vec![0; fits(end - start)?];
        self.file
            .read_exact_at(&mut buffer, start)
            .map_err(|error| generic(LakeError::io("read", &self.path)(error)))?;
        if let Some(sums) = &self.sums {
            sums.check(&self.path, start, &buffer).map_err(generic)?;
        }
        let from = fits(range.start - start)?;
        let to = fits(range.end - start)?;
        Ok(Bytes::from(buffer).slice(from..to))
    }

    fn meta(&self, location: &Path) -> ObjectMeta {
        ObjectMeta {
            location: location.clone(),
            last_modified: self.modified,
            size: self.bytes,
            e_tag: None,
            version: None,
        }
    }
}

fn generic(error: LakeError) -> Error {
    Error::Generic { store: STORE, source: Box::new(error) }
}

fn generic_io(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: STORE, source: error }
}

fn read_only<T>(operation: &str) -> Result<T> {
    Err(Error::NotImplemented { operation: operation.to_owned(), implementer: STORE.to_owned() })
}

impl fmt::Display for VerifiedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}")
    }
}

#[async_trait]
impl ObjectStore for VerifiedStore {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        read_only("put")
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        read_only("put")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let opened = self.open(location)?;
        let meta = opened.meta(location);
        let range = match &options.range {
            None => 0..opened.bytes,
            Some(GetRange::Bounded(range)) => range.start..range.end.min(opened.bytes),
            Some(GetRange::Offset(offset)) => *offset..opened.bytes,
            Some(GetRange::Suffix(bytes)) => opened.bytes.saturating_sub(*bytes)..opened.bytes,
        };
        let payload = if options.head {
            Bytes::new()
        } else {
            let range = range.clone();
            tokio::task::spawn_blocking(move || opened.read(range))
                .await
                .map_err(|error| generic_io(error.into()))??
        };
        let stream = futures::stream::once(futures::future::ready(Ok(payload))).boxed();
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream),
            meta,
            range,
            attributes: Default::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let opened = self.open(location)?;
        let ranges = ranges.to_vec();
        tokio::task::spawn_blocking(move || ranges.into_iter().map(|r| opened.read(r)).collect())
            .await
            .map_err(|error| generic_io(error.into()))?
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        futures::stream::once(futures::future::ready(read_only("delete"))).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::once(futures::future::ready(read_only("list"))).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        read_only("list")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        read_only("copy")
    }
}
