//! Entry for a fuzzer of the log: arbitrary bytes as a segment, as damage to a sound one, and as
//! the rows of a frame. Nothing may panic, and what must hold of the log holds of any of them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;

use super::frame::{Head, Kind, Segment, encode_segment_head, end_mark, read_segment};
use super::{Result, ipc};

const LANE: u16 = 3;
/// Frames of the sound segment, so that a run is short.
const FRAMES_MAX: usize = 12;
/// Damage that a CRC-32 sees for certain: a burst no longer than itself. Longer bytes could be a
/// forgery, against which a checksum is no help.
const BURST_BYTES_MAX: usize = 4;

/// Reads arbitrary bytes in each place of the log's reader that meets bytes from a disk.
pub fn fuzz_log(bytes: &[u8]) {
    for last in [true, false] {
        judge(bytes, last);
    }
    damage(&mut Script(bytes));
    rows(bytes);
    rows(&body(&mut Script(bytes)));
}

fn read(bytes: &[u8], last: bool) -> Result<Segment> {
    read_segment(Path::new("3/1.wal"), bytes, last)
}

/// Whatever the bytes are: what is read lies in order within them, and reads the same once the
/// rest is cut off, as an opening after a crash does.
fn judge(bytes: &[u8], last: bool) {
    let Ok(segment) = read(bytes, last) else { return };
    assert!(segment.valid_bytes <= bytes.len());
    let mut end = 0;
    for (head, body) in &segment.frames {
        assert!(end <= body.start && body.start <= body.end && body.end <= segment.valid_bytes);
        assert_eq!(body.len(), usize::try_from(head.body_len).expect("a length"));
        end = body.end;
    }
    let again = read(&bytes[..segment.valid_bytes], last).expect("the sound part is sound");
    assert_eq!(again.frames, segment.frames);
}

/// Instructions out of the fuzzer's bytes; zeros when they are used up.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        self.split(1).first().copied().unwrap_or(0)
    }

    fn up_to(&mut self, max: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % (max + 1)
    }

    fn split(&mut self, bytes: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        head
    }
}

/// A sound segment and its frames.
struct Sound {
    bytes: Vec<u8>,
    frames: Vec<Placed>,
}

struct Placed {
    place: Range<usize>,
    /// Up to where the frame knows the segment to have been fsynced.
    durable: usize,
}

fn sound(script: &mut Script<'_>) -> Sound {
    let mut bytes = encode_segment_head(LANE, 1);
    let mut frames = Vec::new();
    let mut durable = bytes.len();
    for seq in 1..=script.up_to(FRAMES_MAX) as u64 {
        let kind = script.byte();
        let length = usize::from(script.byte());
        let body = script.split(length);
        let start = bytes.len();
        // Every other frame or so begins a group: all before it has been fsynced.
        if kind & 1 == 0 {
            durable = start;
        }
        let head = Head {
            kind: if kind & 2 == 0 { Kind::Rows } else { Kind::Deletes },
            lane: LANE,
            seq,
            group_start: durable as u64,
            ingested_at: i64::from(kind),
            schema_id: 7,
            producer: (kind & 4 == 0).then(|| ("import/f".to_owned(), seq)),
            table: "air.pm25".to_owned(),
            body_len: u32::try_from(body.len()).expect("it is short"),
            body_crc: crc32c::crc32c(body),
        };
        head.encode(&mut bytes);
        bytes.extend_from_slice(body);
        frames.push(Placed { place: start..bytes.len(), durable });
    }
    Sound { bytes, frames }
}

/// A sound segment that was torn, or that a disk has changed: what was acknowledged is read, or
/// the opening fails; a closed segment fails on any change.
fn damage(script: &mut Script<'_>) {
    let Sound { bytes, frames } = sound(script);
    let whole = read(&bytes, true).expect("it is sound");
    assert_eq!(whole.frames.len(), frames.len());

    let cut = script.up_to(bytes.len());
    let torn = read(&bytes[..cut], true).expect("a torn tail is what a crash leaves");
    let kept = frames.iter().filter(|frame| frame.place.end <= cut).count();
    assert_eq!(torn.frames, whole.frames[..kept], "torn at {cut}");

    let at = script.up_to(bytes.len() - 1);
    let over = script.split(BURST_BYTES_MAX.min(bytes.len() - at));
    let mut changed = bytes.clone();
    changed[at..at + over.len()].copy_from_slice(over);
    if changed == bytes {
        return;
    }
    judge(&changed, false);
    if let Ok(found) = read(&changed, true) {
        let kept = found.frames.len();
        assert_eq!(found.frames, whole.frames[..kept], "changed at {at}");
        let sound = |frame: &&Placed| frame.place.end <= at || frame.place.start >= at + over.len();
        let durable = frames.iter().filter(sound).map(|frame| frame.durable).max().unwrap_or(0);
        let acknowledged = frames.iter().filter(|frame| frame.place.end <= durable).count();
        assert!(kept >= acknowledged, "changed at {at}: {kept} of {acknowledged} frames are left");
    }
    let closing = end_mark(LANE, frames.len() as u64 + 1, bytes.len() as u64, 0);
    let closed = [bytes, closing.clone()].concat();
    assert!(read(&closed, false).expect("it is closed").ended);
    assert!(read(&[changed, closing].concat(), false).is_err(), "a closed segment was changed");
}

/// Bytes that pass for the rows of a frame: an error or rows that survive the way back.
fn rows(bytes: &[u8]) {
    let Ok(batch) = ipc::decode(&Buffer::from(bytes), schema()) else { return };
    let again = ipc::encode(&batch).expect("what was read can be written");
    let again = ipc::decode(&Buffer::from(again), schema()).expect("what was written can be read");
    assert_eq!(again.num_rows(), batch.num_rows());
}

/// Sound rows of which some bytes are others.
fn body(script: &mut Script<'_>) -> Vec<u8> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("草堂寺"), None, Some("")])),
        Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]).with_timezone("UTC")),
        Arc::new(Float64Array::from(vec![Some(1.5), None, Some(f64::NAN)])),
        Arc::new(BooleanArray::from(vec![None, Some(true), Some(false)])),
        Arc::new(BinaryArray::from_opt_vec(vec![Some(b"wkb"), None, Some(b"")])),
    ];
    let batch = RecordBatch::try_new(schema(), columns).expect("the columns fit");
    let mut body = ipc::encode(&batch).expect("rows are written");
    while !script.0.is_empty() {
        let at = script.up_to(body.len() - 1);
        body[at] = script.byte();
    }
    body
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let field = |name: &str, ty| Field::new(name, ty, true);
    Arc::new(Schema::new(vec![
        field("site", DataType::Utf8),
        field("observed_at", time),
        field("value", DataType::Float64),
        field("good", DataType::Boolean),
        field("place", DataType::Binary),
    ]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_keep_the_promises(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            fuzz_log(&bytes);
        }
    }

    #[test]
    fn a_body_changed_at_any_byte_is_rows_or_an_error() {
        let body = body(&mut Script(&[]));
        for at in 0..body.len() {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut changed = body.clone();
                changed[at] = value;
                rows(&changed);
            }
        }
    }
}
