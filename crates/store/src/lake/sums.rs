//! Checksums of data files, block by block, so that a flipped bit anywhere ends in an error.
//!
//! Parquet's own page checksums are optional and leave footers and indexes uncovered. Each data
//! file `NAME` has `_crc/NAME.crc` beside it: `"SJCRCSUM" | version u16 | 0 u16 | block_bytes u32 |
//! file_bytes u64 | crc u32 per block | crc u32 of all before`, little-endian, CRC-32C. Folders
//! that begin with `_` are invisible to Delta readers. Files without sums (written by others) are
//! read unchecked.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::{LakeError, Result};
use super::io::{Io, write_durable};

const MAGIC: &[u8; 8] = b"SJCRCSUM";
const VERSION: u16 = 1;
const HEAD_BYTES: usize = 24;
/// What is read at least to check one byte.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;
pub(crate) const SUMS_DIR: &str = "_crc";

/// One checksum for each block of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    pub file_bytes: u64,
    pub blocks: Vec<u32>,
}

/// Sums bytes as they pass.
#[derive(Debug, Default)]
pub(crate) struct Summer {
    file_bytes: u64,
    blocks: Vec<u32>,
    current: u32,
    filled: usize,
}

impl Summer {
    pub fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK_BYTES - self.filled));
            self.current = crc32c::crc32c_append(self.current, now);
            self.filled += now.len();
            if self.filled == BLOCK_BYTES {
                self.close_block();
            }
            rest = later;
        }
        self.file_bytes += bytes.len() as u64;
    }

    fn close_block(&mut self) {
        self.blocks.push(self.current);
        (self.current, self.filled) = (0, 0);
    }

    pub fn finish(mut self) -> Sums {
        if self.filled > 0 {
            self.close_block();
        }
        Sums { file_bytes: self.file_bytes, blocks: self.blocks }
    }
}

pub(crate) fn path_of(file: &Path) -> PathBuf {
    let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let dir = file.parent().unwrap_or(Path::new(""));
    dir.join(SUMS_DIR).join(format!("{name}.crc"))
}

pub(crate) fn save(io: &dyn Io, file: &Path, sums: &Sums) -> Result<()> {
    let mut out = Vec::with_capacity(HEAD_BYTES + 4 * (sums.blocks.len() + 1));
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&0_u16.to_le_bytes());
    let block = u32::try_from(BLOCK_BYTES).expect("a block is small");
    out.extend_from_slice(&block.to_le_bytes());
    out.extend_from_slice(&sums.file_bytes.to_le_bytes());
    for crc in &sums.blocks {
        out.extend_from_slice(&crc.to_le_bytes());
    }
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    write_durable(io, &path_of(file), &out)
}

impl Sums {
    /// The sums of a file, or `None` if it has none.
    pub fn load(file: &Path) -> Result<Option<Self>> {
        let path = path_of(file);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|mut f| f.read_to_end(&mut bytes)) {
            Ok(_) => Self::decode(&path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LakeError::io("read", &path)(error)),
        }
    }

    fn decode(path: &Path, bytes: &[u8]) -> Result<Self> {
        let corrupt = |what: &str| LakeError::Corrupt {
            file: path.to_owned(),
            offset: 0,
            what: what.to_owned(),
        };
        let Some((body, crc)) = bytes.split_last_chunk::<4>() else {
            return Err(corrupt("the checksum file is cut off"));
        };
        if body.len() < HEAD_BYTES || !body.starts_with(MAGIC) {
            return Err(corrupt("this is no checksum file"));
        }
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return Err(corrupt("the checksum file does not match its own checksum"));
        }
        let version = u16::from_le_bytes([body[8], body[9]]);
        let block = u32::from_le_bytes([body[12], body[13], body[14], body[15]]);
        if version != VERSION || usize::try_from(block) != Ok(BLOCK_BYTES) {
            return Err(LakeError::Version {
                file: path.to_owned(),
                found: version.into(),
                known: VERSION.into(),
            });
        }
        let (length, blocks) = body[16..].split_first_chunk::<8>().expect("the head is complete");
        let file_bytes = u64::from_le_bytes(*length);
        let blocks: Vec<u32> =
            blocks.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
        if blocks.len() as u64 != file_bytes.div_ceil(BLOCK_BYTES as u64) {
            return Err(corrupt("the checksum file has the wrong number of blocks"));
        }
        Ok(Self { file_bytes, blocks })
    }

    /// Checks whole blocks that begin at `offset`, a multiple of the block size.
    pub fn check(&self, file: &Path, offset: u64, bytes: &[u8]) -> Result<()> {
        let corrupt = |offset: u64, what: &str| LakeError::Corrupt {
            file: file.to_owned(),
            offset,
            what: what.to_owned(),
        };
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64), "whole blocks are checked");
        if offset + bytes.len() as u64 > self.file_bytes {
            return Err(corrupt(self.file_bytes, "the file is longer than it was written"));
        }
        let first = usize::try_from(offset / BLOCK_BYTES as u64).expect("files fit in memory");
        for (i, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
            let at = offset + (i * BLOCK_BYTES) as u64;
            let whole = (self.file_bytes - at).min(BLOCK_BYTES as u64);
            if block.len() as u64 != whole {
                return Err(corrupt(
                    at + block.len() as u64,
                    "the file is shorter than it was written",
                ));
            }
            if crc32c::crc32c(block) != self.blocks[first + i] {
                return Err(corrupt(at, "a block does not match its checksum"));
            }
        }
        let end = offset + bytes.len() as u64;
        if bytes.is_empty() && end < self.file_bytes {
            return Err(corrupt(end, "the file is shorter than it was written"));
        }
        Ok(())
    }
}
