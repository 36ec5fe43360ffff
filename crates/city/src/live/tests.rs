//! The memory: what is noted, merged, kept in a file, and that a making beside live rows counts
//! each row once.

use std::sync::Arc;

use super::file::{Head, Marks, Reader, Writer};
use super::*;

const HOUR: i64 = 3_600_000_000;
const NOW: i64 = 500_000 * HOUR;

fn seen(datastream: i64, time_us: i64, flags: i64) -> Seen {
    Seen { datastream, time_us, ordinal: 0, result: Some(1.5), flags }
}

#[test]
fn what_is_noted_is_known() {
    let live = Live::default();
    live.note(&[seen(300, NOW, 0), seen(300, NOW - HOUR, 1), seen(-1, NOW, 64)], NOW + 5);
    let state = live.of(300).unwrap();
    assert_eq!((state.newest_us, state.first_us), (NOW, NOW - HOUR));
    assert_eq!((state.count, state.flagged, state.flags), (2, 1, 0));
    assert_eq!((state.received_us, state.result), (NOW + 5, Some(1.5)));
    let late = live.of(-1).unwrap();
    assert_eq!((late.flags, late.flagged), (64, 0), "late alone leaves nothing out");
    assert_eq!(live.of(301), None);
}

#[test]
fn a_second_observation_of_a_moment_is_the_newer_one() {
    let live = Live::default();
    let second = Seen { ordinal: 1, result: None, ..seen(1, NOW, 0) };
    live.note(&[second, seen(1, NOW, 0)], NOW);
    let state = live.of(1).unwrap();
    assert_eq!((state.ordinal, state.result, state.count), (1, None, 2));
}

#[test]
fn hours_are_those_of_a_day_and_a_wrong_clock_pushes_none_out() {
    let live = Live::default();
    let rows: Vec<Seen> = (0..48).map(|hour| seen(1, NOW - hour * HOUR, 0)).collect();
    live.note(&rows, NOW);
    live.note(&[seen(1, NOW + 900 * HOUR, 32)], NOW);
    let (came, from_us) = live.hours(1).unwrap().since(NOW);
    assert_eq!((came, from_us), (24, NOW - 23 * HOUR));
    let (came, _) = live.hours(1).unwrap().since(NOW + 20 * HOUR);
    assert_eq!(came, 4, "the others are older than a day");
    let (came, _) = live.hours(1).unwrap().since(NOW + 400 * HOUR);
    assert_eq!(came, 0);
}

#[test]
fn entries_merge_in_any_order() {
    let rows: Vec<Seen> = (0..40).map(|at| seen(1, NOW - at * HOUR / 3, at % 2)).collect();
    let of = |rows: &[Seen]| {
        let mut entry = Entry::default();
        rows.iter().for_each(|row| entry.add(row, NOW));
        entry
    };
    let whole = of(&rows);
    for cut in [0, 1, 17, 40] {
        let (one, other) = rows.split_at(cut);
        let (mut first, mut second) = (of(one), of(other));
        first.merge(&of(other));
        second.merge(&of(one));
        for merged in [first, second] {
            assert_eq!(merged.state(), whole.state(), "cut at {cut}");
            assert_eq!(merged.hours().since(NOW), whole.hours().since(NOW), "cut at {cut}");
        }
    }
}

#[test]
fn an_entry_is_small() {
    assert!(size_of::<Entry>() <= 104, "{}", size_of::<Entry>());
}

#[test]
fn a_file_is_read_as_it_was_written_and_a_cut_one_is_not() {
    let live = Live::default();
    live.note(&[seen(7, NOW, 0), seen(70_000, NOW - 1, 3), seen(-5, 4, 0)], NOW);
    let marks = Marks { corrected_us: 5, corrections: 1, features_sum: -3, ..Marks::default() };
    let head = Head { watermark_us: NOW, rows: 3, marks };
    let mut writer = Writer::new(&head);
    live.each(|stream, entry| writer.entry(stream, entry));
    let bytes = writer.finish();

    let read = Reader::of(&bytes).unwrap();
    assert_eq!(read.head, head);
    let again = Live::default();
    read.each(|stream, entry| again.merge(stream, &entry));
    for stream in [7, 70_000, -5] {
        assert_eq!(again.of(stream), live.of(stream));
        assert_eq!(again.hours(stream), live.hours(stream));
    }
    for end in [0, 31, 40, bytes.len() - 1] {
        assert!(Reader::of(&bytes[..end]).is_none(), "cut at {end}");
    }
    let mut spoilt = bytes.clone();
    spoilt[100] ^= 1;
    assert!(Reader::of(&spoilt).is_none());
    let mut later = bytes;
    later[8] = 9;
    assert!(Reader::of(&later).is_none(), "of another version");
}

#[test]
fn a_doubt_that_came_again_is_not_settled_by_the_count_before_it() {
    let live = Live::default();
    live.made.store(true, Ordering::Release);
    live.doubt([1, 2]);
    let tickets = live.tickets(&[1, 2]);
    live.doubt([2]);
    live.settle(&tickets);
    assert!(!live.is_whole());
    assert_eq!(live.doubted_for(Duration::ZERO), [2]);
    live.settle(&live.tickets(&[2]));
    assert!(live.is_whole());
}

/// The heart of it: rows are appended by many while the memory is made up again and again, from a
/// table that is only appended to. Whoever makes it up pins the table behind the gate.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_row_is_counted_twice_or_missed_while_it_is_made_up() {
    const SENDERS: i64 = 4;
    const ROWS: i64 = 500;
    let live = Arc::new(Live::default());
    let table: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let (live, table) = (Arc::clone(&live), Arc::clone(&table));
        senders.push(tokio::spawn(async move {
            for at in 0..ROWS {
                let row = seen(sender % 2, NOW + at, 0);
                let _open = live.gate.read().await;
                table.lock().unwrap().push(row);
                // Between the row's being there and its being noted anything may happen.
                tokio::task::yield_now().await;
                live.note(&[row], NOW);
            }
        }));
    }
    for _ in 0..50 {
        let pinned = {
            let _shut = live.gate.write().await;
            live.clear();
            table.lock().unwrap().clone()
        };
        for row in pinned {
            live.add(std::iter::once((row, NOW)));
            if row.time_us % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    for sender in senders {
        sender.await.unwrap();
    }
    for stream in [0, 1] {
        let count = live.of(stream).unwrap().count;
        assert_eq!(count, u64::try_from(ROWS * SENDERS / 2).unwrap());
    }
}
