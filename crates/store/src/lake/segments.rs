//! The log's files in a lane's folder: listing, reading back after a crash, deleting.
//!
//! A segment is deleted only when every table in it has committed past it to Delta, fsynced.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::error::{LakeError, Result};
use super::frame::{self, Head, Kind};
use super::io::Io;

/// A closed segment and how far each table reaches in it.
#[derive(Debug, Clone)]
pub(crate) struct Closed {
    pub path: PathBuf,
    pub bytes: u64,
    pub last_seqs: HashMap<Arc<str>, u64>,
}

/// A frame read back from the log.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub head: Head,
    pub body: Buffer,
    /// Where it was found.
    pub file: Arc<Path>,
    pub offset: u64,
}

pub(crate) fn segment_path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}.wal"))
}

pub(crate) fn lane_dir(root: &Path, lane: u16) -> PathBuf {
    root.join("wal").join(format!("{lane:03}"))
}

/// Reads one lane's segments back in order, one segment in memory at a time.
#[derive(Debug)]
pub(crate) struct LaneReader<'a> {
    io: &'a dyn Io,
    paths: std::vec::IntoIter<PathBuf>,
    current: std::vec::IntoIter<Replayed>,
    last_seq: u64,
    pub closed: Vec<Closed>,
}

impl<'a> LaneReader<'a> {
    pub fn open(io: &'a dyn Io, dir: &Path) -> Result<Self> {
        let listed = io.list(dir).map_err(LakeError::io("list", dir))?;
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|e| e == "wal");
        let paths: Vec<PathBuf> = listed.into_iter().filter(is_segment).collect();
        Ok(Self {
            io,
            paths: paths.into_iter(),
            current: Vec::new().into_iter(),
            last_seq: 0,
            closed: Vec::new(),
        })
    }

    /// The next frame with rows, or `None` at the end of the lane.
    pub fn next(&mut self) -> Result<Option<Replayed>> {
        loop {
            if let Some(frame) = self.current.next() {
                return Ok(Some(frame));
            }
            let Some(path) = self.paths.next() else { return Ok(None) };
            let last = self.paths.as_slice().is_empty();
            self.current = self.load(&path, last)?.into_iter();
        }
    }

    fn load(&mut self, path: &Path, last: bool) -> Result<Vec<Replayed>> {
        let bytes = self.io.read(path).map_err(LakeError::io("read", path))?;
        let segment = frame::read_segment(path, &bytes, last)?;
        if segment.valid_bytes == 0 {
            // Without a byte, too: a file that stays would be damage once others come after it.
            self.cut_tail(path, 0, bytes.len())?;
            return Ok(Vec::new());
        }
        if segment.valid_bytes < bytes.len() {
            self.cut_tail(path, segment.valid_bytes, bytes.len())?;
        }
        if segment.frames.is_empty() {
            delete(self.io, path)?;
            return Ok(Vec::new());
        }
        let mut closed =
            Closed { path: path.to_owned(), bytes: bytes.len() as u64, last_seqs: HashMap::new() };
        let bytes = Buffer::from_vec(bytes);
        let file: Arc<Path> = path.into();
        let lane = segment.frames[0].0.lane;
        let mut frames = Vec::with_capacity(segment.frames.len());
        for (head, body) in segment.frames {
            if head.seq <= self.last_seq {
                return Err(LakeError::Corrupt {
                    file: path.to_owned(),
                    offset: body.start as u64,
                    what: format!("seq {} comes after {}", head.seq, self.last_seq),
                });
            }
            self.last_seq = head.seq;
            if head.kind == Kind::End {
                continue;
            }
            closed.last_seqs.insert(head.table.as_str().into(), head.seq);
            let (offset, file) = (body.start as u64, file.clone());
            let body = bytes.slice_with_length(body.start, body.len());
            frames.push(Replayed { head, body, file, offset });
        }
        if !segment.ended {
            self.mark_end(path, lane, segment.valid_bytes)?;
        }
        self.closed.push(closed);
        Ok(frames)
    }

    /// Closes what a crash left open, so that from now on any cut in it is known to be damage.
    fn mark_end(&mut self, path: &Path, lane: u16, valid_bytes: usize) -> Result<()> {
        self.last_seq += 1;
        let mark = frame::end_mark(lane, self.last_seq, valid_bytes as u64, 0);
        let write = || {
            let mut file = self.io.open(path)?;
            file.write_all(&mark)?;
            file.sync()
        };
        write().map_err(LakeError::io("close", path))
    }

    /// Drops what a crash tore, durably: the file is then whole when it is no longer the last.
    fn cut_tail(&self, path: &Path, valid_bytes: usize, found_bytes: usize) -> Result<()> {
        tracing::warn!(
            file = %path.display(),
            offset = valid_bytes,
            dropped_bytes = found_bytes - valid_bytes,
            "dropping a torn, unacknowledged tail of the log"
        );
        if valid_bytes == 0 {
            return delete(self.io, path);
        }
        let cut = || {
            let mut file = self.io.open(path)?;
            file.set_len(valid_bytes as u64)?;
            file.sync()
        };
        cut().map_err(LakeError::io("cut the torn tail of", path))
    }

    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }
}

pub(crate) fn delete(io: &dyn Io, path: &Path) -> Result<()> {
    io.remove(path).map_err(LakeError::io("delete", path))?;
    let dir = path.parent().expect("a segment lies in its lane's folder");
    io.sync_dir(dir).map_err(LakeError::io("fsync folder", dir))
}

#[cfg(test)]
mod tests {
    use super::super::io::DiskIo;
    use super::*;

    #[test]
    fn a_segment_that_a_crash_left_without_its_head_is_gone_after_the_next_start() {
        for head in [0, 1, 7] {
            let dir = tempfile::tempdir().unwrap();
            let path = segment_path(dir.path(), 168);
            std::fs::write(&path, vec![0; head]).unwrap();
            let mut reader = LaneReader::open(&DiskIo, dir.path()).unwrap();
            assert!(reader.next().unwrap().is_none());
            assert!(!path.exists(), "{head} bytes stayed");
        }
    }
}
