//! The object store under the Delta log on a local disk: every put is fsynced, file and folder.
//!
//! `object_store`'s own local store never fsyncs, so a commit that it acknowledged could be gone
//! after a power cut. Writing goes through [`Io`]; reading and listing are left to the library.

use std::fmt;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};

use super::io::{Io, make_dir, staging_name, write_synced};

const STORE: &str = "SyncedStore";

/// A local file system whose writes are durable when they are answered.
#[derive(Debug, Clone)]
pub(crate) struct SyncedStore {
    io: Arc<dyn Io>,
    /// Folders below this one are made, and fsynced, when they are missing.
    root: PathBuf,
    inner: Arc<LocalFileSystem>,
}

impl SyncedStore {
    /// Paths are absolute, as the Delta library wants them; `root` is the lake's own folder.
    pub fn new(io: Arc<dyn Io>, root: &FsPath) -> Self {
        Self { io, root: root.to_owned(), inner: Arc::new(LocalFileSystem::new()) }
    }

    fn write(&self, location: &Path, bytes: &[u8], mode: &PutMode) -> Result<PutResult> {
        let target = self.inner.path_to_filesystem(location)?;
        let generic = |error: std::io::Error| Error::Generic { store: STORE, source: error.into() };
        let dir = target.parent().unwrap_or(&self.root).to_owned();
        if !dir.is_dir() {
            make_dir(self.io.as_ref(), &self.root, &dir)
                .map_err(|error| Error::Generic { store: STORE, source: Box::new(error) })?;
        }
        let staged = staging_name(&target);
        write_synced(self.io.as_ref(), &staged, bytes).map_err(generic)?;
        let named = match mode {
            PutMode::Overwrite => self.io.rename(&staged, &target),
            PutMode::Create => {
                let linked = self.io.link(&staged, &target);
                // The second name is all that is needed; a left-over first one is harmless.
                let _ = self.io.remove(&staged);
                linked
            }
            PutMode::Update(_) => {
                let _ = self.io.remove(&staged);
                return Err(Error::NotImplemented {
                    operation: "conditional update".to_owned(),
                    implementer: STORE.to_owned(),
                });
            }
        };
        match named {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::AlreadyExists {
                    path: location.to_string(),
                    source: error.into(),
                });
            }
            Err(error) => return Err(generic(error)),
        }
        self.io.sync_dir(&dir).map_err(generic)?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_blocking(
        &self,
        location: &Path,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<PutResult> {
        let (this, location) = (self.clone(), location.clone());
        tokio::task::spawn_blocking(move || this.write(&location, &bytes, &mode))
            .await
            .map_err(|error| Error::Generic { store: STORE, source: error.into() })?
    }
}

impl fmt::Display for SyncedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.root.display())
    }
}

fn joined(payload: &PutPayload) -> Bytes {
    let mut bytes = BytesMut::with_capacity(payload.content_length());
    payload.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.freeze()
}

#[async_trait]
impl ObjectStore for SyncedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.put_blocking(location, joined(&payload), opts.mode).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload {
            store: self.clone(),
            location: location.clone(),
            bytes: BytesMut::new(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations
            .map(move |location| {
                let location = location?;
                let target = this.inner.path_to_filesystem(&location)?;
                match this.io.remove(&target) {
                    Ok(()) => Ok(location),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        Err(Error::NotFound { path: location.to_string(), source: error.into() })
                    }
                    Err(error) => Err(Error::Generic { store: STORE, source: error.into() }),
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let bytes = self.inner.get(from).await?.bytes().await?;
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.put_blocking(to, bytes, mode).await.map(|_| ())
    }
}

/// Parts gathered in memory, then one durable put. Only checkpoints come this way.
#[derive(Debug)]
struct Upload {
    store: SyncedStore,
    location: Path,
    bytes: BytesMut,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        data.iter().for_each(|part| self.bytes.extend_from_slice(part));
        Box::pin(futures::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let bytes = std::mem::take(&mut self.bytes).freeze();
        self.store.put_blocking(&self.location, bytes, PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.bytes.clear();
        Ok(())
    }
}
