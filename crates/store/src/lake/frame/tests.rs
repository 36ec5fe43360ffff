//! The log's format: round trips, torn tails at every byte, a flipped bit at every bit.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn head(seq: u64, group_start: u64, body: &[u8]) -> Head {
    Head {
        kind: Kind::Rows,
        lane: 3,
        seq,
        group_start,
        ingested_at: 1_763_856_000_000_000 + i64::try_from(seq).unwrap(),
        schema_id: 0x0123_4567_89ab_cdef,
        producer: seq.is_multiple_of(2).then(|| ("import/abc".to_owned(), seq * 10)),
        table: "air.pm25".to_owned(),
        body_len: u32::try_from(body.len()).unwrap(),
        body_crc: crc32c::crc32c(body),
    }
}

/// A segment of groups of frames; returns it with where each frame begins.
fn segment(groups: &[&[&[u8]]], ended: bool) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = encode_segment_head(3, 1);
    let mut starts = Vec::new();
    let mut seq = 0;
    for group in groups {
        let group_start = bytes.len() as u64;
        for body in *group {
            seq += 1;
            starts.push(bytes.len());
            head(seq, group_start, body).encode(&mut bytes);
            bytes.extend_from_slice(body);
        }
    }
    if ended {
        let durable = bytes.len() as u64;
        bytes.extend(end_mark(3, seq + 1, durable, 0));
    }
    (bytes, starts)
}

fn sample(ended: bool) -> (Vec<u8>, Vec<usize>) {
    segment(&[&[b"first", b"second frame"], &[b"third"], &[b"fourth", b""]], ended)
}

fn read(bytes: &[u8], last: bool) -> Result<Segment> {
    read_segment(Path::new("/lake/wal/003/1.wal"), bytes, last)
}

#[test]
fn a_segment_reads_back_as_it_was_written() {
    let (bytes, starts) = sample(true);
    let segment = read(&bytes, false).unwrap();
    assert!(segment.ended);
    assert_eq!(segment.valid_bytes, bytes.len());
    let bodies: Vec<&[u8]> = segment.frames.iter().map(|(_, b)| &bytes[b.clone()]).collect();
    assert_eq!(bodies[..5], [&b"first"[..], b"second frame", b"third", b"fourth", b""]);
    assert_eq!(segment.frames[2].0, head(3, starts[2] as u64, b"third"));
}

#[test]
fn a_tail_torn_at_any_byte_is_dropped_and_nothing_before_it() {
    let (bytes, starts) = sample(false);
    for cut in 0..bytes.len() {
        let torn = &bytes[..cut];
        let segment = read(torn, true).unwrap();
        let whole = starts.iter().skip(1).chain([&bytes.len()]).filter(|end| **end <= cut).count();
        assert_eq!(segment.frames.len(), whole, "cut at {cut}");
        assert!(segment.valid_bytes <= cut);
        // In any other segment of the lane, the same cut is damage, even between two frames.
        let error = read(torn, false).unwrap_err();
        assert!(matches!(error, LakeError::Corrupt { .. }), "cut at {cut}: {error}");
    }
}

#[test]
fn a_tail_of_zeros_or_rubbish_is_dropped() {
    let (bytes, _) = sample(false);
    for tail in
        [&[0_u8; 4096][..], b"SJFR", b"SJFRSJFRSJFRSJFR rubbish that is long enough to look"]
    {
        let mut torn = bytes.clone();
        torn.extend_from_slice(tail);
        let segment = read(&torn, true).unwrap();
        assert_eq!((segment.frames.len(), segment.valid_bytes), (5, bytes.len()));
    }
}

#[test]
fn a_flipped_bit_is_fatal_unless_it_lies_in_the_last_unacknowledged_group() {
    let (bytes, starts) = sample(false);
    let last_group = starts[3];
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match read(&flipped, true) {
            Err(LakeError::Corrupt { file, offset, .. }) => {
                assert!(file.ends_with("1.wal"));
                assert!(offset <= (bit / 8) as u64, "the error points at or before the damage");
            }
            Err(error) => panic!("bit {bit}: {error}"),
            Ok(segment) => {
                assert!(bit / 8 >= last_group, "bit {bit} was acknowledged and is gone");
                assert!(segment.frames.len() >= 3);
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_a_closed_segment_is_always_fatal() {
    let (bytes, _) = sample(true);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&flipped, false).is_err(), "bit {bit}");
        // As the last one, only the mark itself may be lost.
        if let Ok(segment) = read(&flipped, true) {
            assert_eq!(segment.frames.len(), 5, "bit {bit}");
        }
    }
}

#[test]
fn a_newer_version_is_named_and_not_guessed_at() {
    let (mut bytes, starts) = sample(false);
    bytes[SEGMENT_MAGIC.len()] = 2;
    let crc = crc32c::crc32c(&bytes[..SEGMENT_HEAD_BYTES - 4]);
    bytes[SEGMENT_HEAD_BYTES - 4..SEGMENT_HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(read(&bytes, true), Err(LakeError::Version { found: 2, known: 1, .. })));

    let (mut bytes, _) = sample(false);
    let at = starts[4];
    bytes[at + FRAME_MAGIC.len()] = 9;
    let crc_at = bytes.len() - CRC_BYTES;
    let crc = crc32c::crc32c(&bytes[at..crc_at]);
    bytes[crc_at..].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(read(&bytes, true), Err(LakeError::Version { found: 9, known: 1, .. })));
}

fn any_head() -> impl Strategy<Value = (Head, Vec<u8>)> {
    let names = ("[a-z0-9/:._-]{1,40}", "[a-z][a-z0-9._-]{0,40}");
    let numbers = (any::<u16>(), any::<u64>(), any::<u64>(), any::<i64>(), any::<u64>());
    let body = prop::collection::vec(any::<u8>(), 0..300);
    (names, numbers, prop::option::of(any::<u64>()), any::<bool>(), body).prop_map(
        |(
            (producer, table),
            (lane, seq, group_start, ingested_at, schema_id),
            number,
            rows,
            body,
        )| {
            let head = Head {
                kind: if rows { Kind::Rows } else { Kind::Deletes },
                lane,
                seq,
                group_start,
                ingested_at,
                schema_id,
                producer: number.map(|n| (producer, n)),
                table,
                body_len: u32::try_from(body.len()).unwrap(),
                body_crc: crc32c::crc32c(&body),
            };
            (head, body)
        },
    )
}

proptest! {
    #[test]
    fn any_frame_decodes_to_itself((head, body) in any_head(), before in 0_usize..50) {
        let mut bytes = vec![7; before];
        head.encode(&mut bytes);
        bytes.extend_from_slice(&body);
        let (decoded, range) = decode(&bytes, before).unwrap();
        prop_assert_eq!(decoded, head);
        prop_assert_eq!(&bytes[range], &body[..]);
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0_usize..40) {
        let (good, _) = sample(false);
        let mut mixed = good;
        let at = at.min(mixed.len());
        mixed.splice(at..at, bytes.iter().copied());
        let _ = read(&mixed, true);
        let _ = read(&bytes, false);
        let _ = decode(&bytes, 0);
    }
}
