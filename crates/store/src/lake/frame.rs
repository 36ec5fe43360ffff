//! The log's frames and segments as bytes: encoding, decoding, and judging damage.
//!
//! ```text
//! segment = "SJWALSEG" | version u16 | lane u16 | first_seq u64 | crc u32 | frame*
//! frame   = "SJFR" | version u8 | kind u8 | lane u16 | seq u64 | group_start u64
//!         | ingested_at i64 | schema_id u64 | producer_seq u64 | producer_len u16
//!         | table_len u16 | body_len u32 | body_crc u32 | producer | table | head_crc u32 | body
//! ```
//! All integers are little-endian, checksums are CRC-32C. The head has a checksum of its own, so
//! a damaged length is never mistaken for a frame that was cut off. `group_start` is the offset
//! below which the segment was already fsynced when the frame was written; it tells damage to
//! acknowledged bytes (fatal) from a group that a crash tore before anyone was told it was safe
//! (dropped). It knows nothing of Arrow or of tables.

use std::ops::Range;
use std::path::Path;

use super::error::{LakeError, Result};

pub(crate) const SEGMENT_MAGIC: &[u8; 8] = b"SJWALSEG";
pub(crate) const FRAME_MAGIC: &[u8; 4] = b"SJFR";
pub(crate) const SEGMENT_VERSION: u16 = 1;
pub(crate) const FRAME_VERSION: u8 = 1;
pub(crate) const SEGMENT_HEAD_BYTES: usize = 24;
const FRAME_FIXED_BYTES: usize = 60;
const CRC_BYTES: usize = 4;
/// Longest table name or producer id.
pub(crate) const NAME_BYTES_MAX: usize = 512;
/// Largest body of one frame; a larger append is refused.
pub(crate) const FRAME_BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a frame's body is. A lane writes an `End` behind a segment before it makes the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rows of the table.
    Rows,
    /// Keys of rows that are gone.
    Deletes,
    /// Nothing: the segment was closed in order, and everything before it was acknowledged.
    End,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Rows => 0,
            Self::Deletes => 1,
            Self::End => 2,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Rows,
            1 => Self::Deletes,
            2 => Self::End,
            _ => return None,
        })
    }
}

/// Everything about a frame save its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub kind: Kind,
    pub lane: u16,
    pub seq: u64,
    pub group_start: u64,
    /// Microseconds UTC.
    pub ingested_at: i64,
    pub schema_id: u64,
    pub producer: Option<(String, u64)>,
    pub table: String,
    pub body_len: u32,
    pub body_crc: u32,
}

impl Head {
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let (producer, producer_seq) = match &self.producer {
            Some((id, seq)) => (id.as_str(), *seq),
            None => ("", 0),
        };
        out.extend_from_slice(FRAME_MAGIC);
        out.push(FRAME_VERSION);
        out.push(self.kind.byte());
        out.extend_from_slice(&self.lane.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.group_start.to_le_bytes());
        out.extend_from_slice(&self.ingested_at.to_le_bytes());
        out.extend_from_slice(&self.schema_id.to_le_bytes());
        out.extend_from_slice(&producer_seq.to_le_bytes());
        out.extend_from_slice(&name_len(producer).to_le_bytes());
        out.extend_from_slice(&name_len(&self.table).to_le_bytes());
        out.extend_from_slice(&self.body_len.to_le_bytes());
        out.extend_from_slice(&self.body_crc.to_le_bytes());
        debug_assert_eq!(out.len() - start, FRAME_FIXED_BYTES);
        out.extend_from_slice(producer.as_bytes());
        out.extend_from_slice(self.table.as_bytes());
        let crc = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

fn name_len(name: &str) -> u16 {
    assert!(name.len() <= NAME_BYTES_MAX, "names are checked before they reach the log");
    u16::try_from(name.len()).expect("NAME_BYTES_MAX fits in 16 bits")
}

/// Why the bytes at an offset are not a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Good as far as it goes, but the bytes end too early.
    CutOff,
    Bad(&'static str),
    /// An intact head of a version that this program does not know.
    NewerVersion(u8),
}

/// Reads fixed-width integers; the caller has checked that they are there.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk::<N>().expect("the fixed part is complete");
        self.0 = rest;
        *head
    }
}

/// Decodes the frame at `at`: its head and where its body lies.
pub(crate) fn decode(bytes: &[u8], at: usize) -> Result<(Head, Range<usize>), Fault> {
    let rest = &bytes[at..];
    let probe = rest.len().min(FRAME_MAGIC.len());
    if rest[..probe] != FRAME_MAGIC[..probe] {
        return Err(Fault::Bad("no frame begins here"));
    }
    if rest.len() < FRAME_FIXED_BYTES {
        return Err(Fault::CutOff);
    }
    let mut fields = Fields(&rest[FRAME_MAGIC.len()..]);
    let [version] = fields.take();
    let [kind] = fields.take();
    let lane = u16::from_le_bytes(fields.take());
    let seq = u64::from_le_bytes(fields.take());
    let group_start = u64::from_le_bytes(fields.take());
    let ingested_at = i64::from_le_bytes(fields.take());
    let schema_id = u64::from_le_bytes(fields.take());
    let producer_seq = u64::from_le_bytes(fields.take());
    let producer_len = usize::from(u16::from_le_bytes(fields.take()));
    let table_len = usize::from(u16::from_le_bytes(fields.take()));
    let body_len = u32::from_le_bytes(fields.take());
    let body_crc = u32::from_le_bytes(fields.take());
    if producer_len > NAME_BYTES_MAX || table_len > NAME_BYTES_MAX {
        return Err(Fault::Bad("the frame's head is damaged"));
    }
    let crc_at = FRAME_FIXED_BYTES + producer_len + table_len;
    let Some(crc) = rest.get(crc_at..crc_at + CRC_BYTES) else { return Err(Fault::CutOff) };
    if crc != crc32c::crc32c(&rest[..crc_at]).to_le_bytes() {
        return Err(Fault::Bad("the frame's head does not match its checksum"));
    }
    if version != FRAME_VERSION {
        return Err(Fault::NewerVersion(version));
    }
    let name = |range: Range<usize>| {
        std::str::from_utf8(&rest[range])
            .map(str::to_owned)
            .map_err(|_| Fault::Bad("a name in the frame is not UTF-8"))
    };
    let producer_id = name(FRAME_FIXED_BYTES..FRAME_FIXED_BYTES + producer_len)?;
    let table = name(FRAME_FIXED_BYTES + producer_len..crc_at)?;
    let kind = Kind::from_byte(kind).ok_or(Fault::Bad("the frame is of an unknown kind"))?;
    let body_at = crc_at + CRC_BYTES;
    let body_bytes = usize::try_from(body_len).map_err(|_| Fault::Bad("the body is too long"))?;
    let Some(body) = rest.get(body_at..body_at + body_bytes) else { return Err(Fault::CutOff) };
    if crc32c::crc32c(body) != body_crc {
        return Err(Fault::Bad("the frame's rows do not match their checksum"));
    }
    let producer = (!producer_id.is_empty()).then_some((producer_id, producer_seq));
    let head = Head {
        kind,
        lane,
        seq,
        group_start,
        ingested_at,
        schema_id,
        producer,
        table,
        body_len,
        body_crc,
    };
    Ok((head, at + body_at..at + body_at + body_bytes))
}

pub(crate) fn encode_segment_head(lane: u16, first_seq: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEGMENT_HEAD_BYTES);
    out.extend_from_slice(SEGMENT_MAGIC);
    out.extend_from_slice(&SEGMENT_VERSION.to_le_bytes());
    out.extend_from_slice(&lane.to_le_bytes());
    out.extend_from_slice(&first_seq.to_le_bytes());
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    debug_assert_eq!(out.len(), SEGMENT_HEAD_BYTES);
    out
}

/// A segment's sound frames.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    pub frames: Vec<(Head, Range<usize>)>,
    /// Bytes that are sound; what follows is a torn tail to be cut off.
    pub valid_bytes: usize,
    /// Whether an end mark closes it.
    pub ended: bool,
}

/// Reads a whole segment. Only in the lane's last one may a torn tail be dropped.
pub(crate) fn read_segment(file: &Path, bytes: &[u8], last: bool) -> Result<Segment> {
    let corrupt = |offset: usize, what: &str| LakeError::Corrupt {
        file: file.to_owned(),
        offset: offset as u64,
        what: what.to_owned(),
    };
    if bytes.len() < SEGMENT_HEAD_BYTES {
        // A crash while the segment was being made: nothing in it was ever acknowledged.
        if last {
            return Ok(Segment::default());
        }
        return Err(corrupt(0, "the segment's head is cut off"));
    }
    let (head, crc) = bytes[..SEGMENT_HEAD_BYTES].split_at(SEGMENT_HEAD_BYTES - CRC_BYTES);
    if crc32c::crc32c(head).to_le_bytes() != *crc || !head.starts_with(SEGMENT_MAGIC) {
        // A crash may leave the head as zeros; with frames behind it, it is damage.
        if last && later_frame(bytes, 0).is_none() {
            return Ok(Segment::default());
        }
        return Err(corrupt(0, "the segment's head does not match its checksum"));
    }
    let version = u16::from_le_bytes([head[8], head[9]]);
    if version != SEGMENT_VERSION {
        return Err(LakeError::Version {
            file: file.to_owned(),
            found: version.into(),
            known: SEGMENT_VERSION.into(),
        });
    }
    let mut segment = Segment { valid_bytes: SEGMENT_HEAD_BYTES, ..Segment::default() };
    while segment.valid_bytes < bytes.len() {
        let at = segment.valid_bytes;
        let fault = match decode(bytes, at) {
            Ok((head, body)) => {
                segment.valid_bytes = body.end;
                segment.ended = head.kind == Kind::End;
                segment.frames.push((head, body));
                continue;
            }
            Err(fault) => fault,
        };
        if let Fault::NewerVersion(found) = fault {
            return Err(LakeError::Version {
                file: file.to_owned(),
                found: found.into(),
                known: FRAME_VERSION.into(),
            });
        }
        // Damage after the end mark, or below an offset that a later frame knows to have been
        // fsynced, cannot come from a crash.
        let was_durable = segment.ended
            || later_frame(bytes, at).is_some_and(|head| head.group_start > at as u64);
        if last && !was_durable {
            return Ok(segment);
        }
        return Err(match fault {
            Fault::CutOff => corrupt(at, "the frame is cut off"),
            Fault::Bad(what) => corrupt(at, what),
            Fault::NewerVersion(_) => unreachable!("answered above"),
        });
    }
    if !last && !segment.ended {
        return Err(corrupt(segment.valid_bytes, "the segment ends without its end mark"));
    }
    Ok(segment)
}

/// Of the sound frames after `at`, the one that knows most: with the highest `group_start`.
fn later_frame(bytes: &[u8], at: usize) -> Option<Head> {
    let mut best: Option<Head> = None;
    let mut from = at + 1;
    while let Some(found) = bytes.get(from..).and_then(|rest| find(rest, FRAME_MAGIC)) {
        from += found;
        if let Ok((head, body)) = decode(bytes, from) {
            from = body.end;
            if best.as_ref().is_none_or(|b| b.group_start < head.group_start) {
                best = Some(head);
            }
        } else {
            from += 1;
        }
    }
    best
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The mark behind a complete segment.
pub(crate) fn end_mark(lane: u16, seq: u64, durable_bytes: u64, ingested_at: i64) -> Vec<u8> {
    let head = Head {
        kind: Kind::End,
        lane,
        seq,
        group_start: durable_bytes,
        ingested_at,
        schema_id: 0,
        producer: None,
        table: String::new(),
        body_len: 0,
        body_crc: 0,
    };
    let mut bytes = Vec::new();
    head.encode(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests;
