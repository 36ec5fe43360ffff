//! The chain under every kind of tampering, and the audit on both databases.

use proptest::prelude::*;
use sea_orm::{IntoActiveModel, ModelTrait};
use serde_json::json;
use store::records::append_only_lifted;
use store::testing::{Bed, beds};

use super::chain::{Checker, link};
use super::*;
use crate::records::audit_entry::Model as Row;
use crate::records::migrations;

fn event(number: usize) -> Event {
    Event::new("li.lei", "ecology_environment", "query", &format!("air.pm25/{number}"))
        .detail(json!({ "rows": number, "sql": "SELECT '成都'" }))
}

fn chain_of(events: &[Event]) -> (Vec<Row>, Head) {
    let mut head = Head { count: 0, hash: String::new() };
    let mut rows = Vec::new();
    for event in events {
        let row = link(&Sha256, &head, event);
        head = Head { count: row.seq, hash: row.hash.clone() };
        rows.push(row);
    }
    (rows, head)
}

fn judge(rows: &[Row], head: &Head, anchor: Option<&Head>) -> Vec<Fault> {
    let mut checker = Checker::new(&[Arc::new(Sha256)], head.clone(), anchor.cloned());
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| row.seq);
    rows.into_iter().for_each(|row| checker.row(row));
    checker.finish(head).faults
}

fn ten() -> (Vec<Row>, Head) {
    chain_of(&(1..=10).map(event).collect::<Vec<_>>())
}

/// Puts hashes right from `at` on, as a forger would who knows the encoding.
fn rehash(rows: &mut [Row], at: usize) {
    let mut previous = rows[at].previous.clone();
    for row in &mut rows[at..] {
        row.previous = previous;
        row.hash = String::new();
        let hash = super::chain::tests_digest(row);
        row.hash = hash;
        previous = row.hash.clone();
    }
}

#[test]
fn a_sound_chain_has_no_faults_and_its_encoding_never_changes() {
    let (rows, head) = ten();
    assert_eq!(judge(&rows, &head, Some(&head)), []);
    let mut fixed = event(1);
    fixed.at = crate::records::time(1_700_000_000_000_000);
    let (rows, _) = chain_of(&[fixed]);
    // Computed outside this program, from the module's description of the bytes.
    assert_eq!(rows[0].hash, "8d952f3a474a6dbbcdbb70d6e9e4707b4fce5cf62f14224136d5554cdddc8280");
}

#[test]
fn each_kind_of_tampering_is_named() {
    let (sound, head) = ten();

    let mut rows = sound.clone();
    rows[3].actor = "han.meimei".to_owned();
    assert_eq!(judge(&rows, &head, None), [Fault::Changed { seq: 4 }]);

    let mut rows = sound.clone();
    rows.drain(4..6);
    assert_eq!(judge(&rows, &head, None), [Fault::Dropped { first: 5, last: 6 }]);

    let rows = &sound[..7];
    assert_eq!(judge(rows, &head, None), [Fault::TailDropped { first: 8, last: 10 }]);
    assert_eq!(judge(&[], &head, None), [Fault::TailDropped { first: 1, last: 10 }]);

    // The tail cut off and the head put back to match: only an anchor shows it.
    let shorter = Head { count: 7, hash: rows[6].hash.clone() };
    assert_eq!(judge(rows, &shorter, None), []);
    assert_eq!(
        judge(rows, &shorter, Some(&head)),
        [Fault::ShorterThanAnchor { anchored: 10, found: 7 }]
    );

    let mut rows = sound.clone();
    (rows[2].seq, rows[8].seq) = (9, 3);
    assert_eq!(judge(&rows, &head, None), [Fault::Swapped { one: 3, other: 9 }]);

    let mut rows = sound.clone();
    let actor = std::mem::take(&mut rows[2].object);
    rows[2].object = std::mem::replace(&mut rows[8].object, actor);
    // The details and times still stand in their own rows: neither fits the other's place.
    assert_eq!(judge(&rows, &head, None), [Fault::Changed { seq: 3 }, Fault::Changed { seq: 9 }]);

    let mut rows = sound.clone();
    rows[5].outcome = "denied".to_owned();
    rehash(&mut rows[..6], 5);
    assert_eq!(judge(&rows, &head, None), [Fault::Unjoined { before: 6, after: 7 }]);

    // The chain rewritten to its end: the head differs …
    rehash(&mut rows, 5);
    assert_eq!(judge(&rows, &head, None), [Fault::HeadDiffers { seq: 10 }]);
    // … or, the head rewritten as well, only the anchor.
    let forged = Head { count: 10, hash: rows[9].hash.clone() };
    assert_eq!(judge(&rows, &forged, None), []);
    assert_eq!(judge(&rows, &forged, Some(&head)), [Fault::AnchorDiffers { seq: 10 }]);

    let surplus = Head { count: 9, hash: sound[8].hash.clone() };
    assert_eq!(judge(&sound, &surplus, None)[0].seq(), 10);

    let mut rows = sound.clone();
    rows[0].algorithm = "SM3".to_owned();
    assert_eq!(judge(&rows, &head, None), [Fault::UnknownHash { seq: 1, name: "SM3".to_owned() }]);
}

#[derive(Debug, Clone)]
enum Tamper {
    Text { row: usize, column: usize, with: String },
    Number { row: usize, column: usize, by: i64 },
    Drop { row: usize },
    SwapRows { one: usize, other: usize },
    SwapContent { one: usize, other: usize },
    Insert { after: usize },
}

fn tamper() -> impl Strategy<Value = Tamper> {
    let row = 0..64_usize;
    prop_oneof![
        (row.clone(), 0..9_usize, ".{0,8}").prop_map(|(row, column, with)| Tamper::Text {
            row,
            column,
            with
        }),
        (row.clone(), 0..2_usize, any::<i64>()).prop_map(|(row, column, by)| Tamper::Number {
            row,
            column,
            by
        }),
        row.clone().prop_map(|row| Tamper::Drop { row }),
        (row.clone(), row.clone()).prop_map(|(one, other)| Tamper::SwapRows { one, other }),
        (row.clone(), row.clone()).prop_map(|(one, other)| Tamper::SwapContent { one, other }),
        row.prop_map(|after| Tamper::Insert { after }),
    ]
}

fn text_column(row: &mut Row, column: usize) -> &mut String {
    match column {
        0 => &mut row.actor,
        1 => &mut row.organisation,
        2 => &mut row.action,
        3 => &mut row.object,
        4 => &mut row.outcome,
        5 => &mut row.detail,
        6 => &mut row.algorithm,
        7 => &mut row.previous,
        _ => &mut row.hash,
    }
}

/// Does it; returns the numbers of the rows that it touched, or none where nothing changed.
fn apply(tamper: &Tamper, rows: &mut Vec<Row>) -> Vec<i64> {
    let len = rows.len();
    match tamper {
        Tamper::Text { row, column, with } => {
            let row = &mut rows[row % len];
            let column = text_column(row, *column);
            if column == with {
                return vec![];
            }
            column.clone_from(with);
            vec![row.seq]
        }
        Tamper::Number { row, column, by } => {
            let at = row % len;
            let old = rows[at].seq;
            let new = old.wrapping_add(*by);
            if *by == 0 || (*column == 1 && rows.iter().any(|row| row.seq == new)) {
                return vec![];
            }
            if *column == 0 {
                rows[at].at_us = rows[at].at_us.wrapping_add(*by);
                return vec![old];
            }
            rows[at].seq = new;
            vec![old, new]
        }
        Tamper::Drop { row } => vec![rows.remove(row % len).seq],
        Tamper::SwapRows { one, other } | Tamper::SwapContent { one, other } => {
            let (one, other) = (one % len, other % len);
            if one == other {
                return vec![];
            }
            let (a, b) = (rows[one].seq, rows[other].seq);
            rows.swap(one, other);
            (rows[one].seq, rows[other].seq) = (a, b);
            if matches!(tamper, Tamper::SwapContent { .. }) {
                let links = (rows[one].previous.clone(), rows[one].hash.clone());
                rows[one].previous = rows[other].previous.clone();
                rows[one].hash = rows[other].hash.clone();
                (rows[other].previous, rows[other].hash) = links;
            }
            vec![a, b]
        }
        Tamper::Insert { after } => {
            let at = after % len;
            let mut forged = rows[at].clone();
            forged.actor.push_str(" (forged)");
            rows[at + 1..].iter_mut().for_each(|row| row.seq += 1);
            forged.seq += 1;
            let seq = forged.seq;
            rows.insert(at + 1, forged);
            vec![seq]
        }
    }
}

fn names(fault: &Fault, seq: i64) -> bool {
    match fault {
        Fault::Swapped { one, other } => seq == *one || seq == *other,
        Fault::Dropped { first, last } | Fault::TailDropped { first, last } => {
            (*first..=*last).contains(&seq)
        }
        Fault::Unjoined { before, after } => seq == *before || seq == *after,
        fault => fault.seq() == seq,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_single_tampering_is_found_and_named(
        texts in prop::collection::vec((".{0,12}", any::<i64>()), 1..20),
        tamper in tamper(),
    ) {
        let events: Vec<Event> = texts
            .iter()
            .map(|(text, number)| {
                let mut event = event(0).detail(json!({ text: number }));
                event.actor.clone_from(text);
                event
            })
            .collect();
        let (mut rows, head) = chain_of(&events);
        prop_assert_eq!(judge(&rows, &head, Some(&head)), vec![]);
        let touched = apply(&tamper, &mut rows);
        let faults = judge(&rows, &head, None);
        prop_assert_eq!(faults.is_empty(), touched.is_empty(), "{:?}: {:?}", tamper, faults);
        for seq in touched {
            prop_assert!(
                faults.iter().any(|fault| names(fault, seq)),
                "{:?} touched row {}, found {:?}", tamper, seq, faults
            );
        }
    }
}

async fn filled(bed: &Bed) -> Audit {
    bed.records.migrate(migrations()).await.unwrap();
    let audit = Audit::open(&bed.records);
    let txn = bed.records.write().await.unwrap();
    for number in 1..=5 {
        let seq = audit.append(&txn, event(number)).await.unwrap();
        assert_eq!(seq, i64::try_from(number).unwrap());
    }
    txn.commit().await.unwrap();
    audit
}

async fn row(bed: &Bed, seq: i64) -> Row {
    audit_entry::Entity::find_by_id(seq).one(bed.records.read()).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_database_refuses_changes_and_verify_finds_those_that_got_past_it() {
    for bed in beds().await {
        let audit = filled(&bed).await;
        let anchor = audit.head().await.unwrap();
        assert!(audit.verify(Some(&anchor)).await.unwrap().is_sound(), "{}", bed.name);

        let txn = bed.records.write().await.unwrap();
        let mut changed = row(&bed, 3).await.into_active_model();
        changed.actor = Set("nobody".to_owned());
        assert!(changed.clone().update(&*txn).await.is_err(), "{}", bed.name);
        txn.rollback().await.unwrap();

        let txn = bed.records.write().await.unwrap();
        append_only_lifted(&*txn, "audit_entry").await.unwrap();
        changed.update(&*txn).await.unwrap();
        txn.commit().await.unwrap();
        let report = audit.verify(None).await.unwrap();
        assert_eq!(report.faults, [Fault::Changed { seq: 3 }], "{}", bed.name);

        let txn = bed.records.write().await.unwrap();
        row(&bed, 5).await.delete(&*txn).await.unwrap();
        row(&bed, 3).await.delete(&*txn).await.unwrap();
        txn.commit().await.unwrap();
        let report = audit.verify(Some(&anchor)).await.unwrap();
        assert_eq!(
            report.faults,
            [
                Fault::Dropped { first: 3, last: 3 },
                Fault::ShorterThanAnchor { anchored: 5, found: 4 },
                Fault::TailDropped { first: 5, last: 5 },
            ],
            "{}",
            bed.name
        );
    }
}

#[tokio::test]
async fn an_event_stands_or_falls_with_its_transaction() {
    for bed in beds().await {
        let audit = filled(&bed).await;
        let txn = bed.records.write().await.unwrap();
        audit.append(&txn, event(6)).await.unwrap();
        txn.rollback().await.unwrap();
        assert_eq!(audit.head().await.unwrap().count, 5, "{}", bed.name);
        assert_eq!(audit.record(event(7)).await.unwrap(), 6, "{}", bed.name);
        let newest = audit.newest(1).await.unwrap();
        assert_eq!(newest[0].object, "air.pm25/7", "{}", bed.name);
        assert!(audit.verify(None).await.unwrap().is_sound(), "{}", bed.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_submitters_and_transactions_make_one_sound_chain() {
    const SUBMITTERS: usize = 50;
    const EVENTS: usize = 20;
    for bed in beds().await {
        let audit = filled(&bed).await;
        let tasks: Vec<_> = (0..SUBMITTERS)
            .map(|submitter| {
                let (audit, records) = (audit.clone(), bed.records.clone());
                tokio::spawn(async move {
                    let mut seqs = Vec::new();
                    for number in 0..EVENTS {
                        if submitter == 0 {
                            let txn = records.write().await.unwrap();
                            seqs.push(audit.append(&txn, event(number)).await.unwrap());
                            txn.commit().await.unwrap();
                        } else {
                            seqs.push(audit.record(event(number)).await.unwrap());
                        }
                    }
                    seqs
                })
            })
            .collect();
        let mut seqs = Vec::new();
        for task in tasks {
            seqs.extend(task.await.unwrap());
        }
        seqs.sort_unstable();
        let last = i64::try_from(5 + SUBMITTERS * EVENTS).unwrap();
        assert_eq!(seqs, (6..=last).collect::<Vec<_>>(), "{}", bed.name);
        let report = audit.verify(None).await.unwrap();
        assert!(report.is_sound(), "{}: {:?}", bed.name, report.faults);
        assert_eq!(report.rows, u64::try_from(last).unwrap(), "{}", bed.name);
        assert_eq!(audit.page(last - 1, 10).await.unwrap().len(), 1, "{}", bed.name);
    }
}

#[tokio::test]
async fn flush_waits_for_events_whose_tickets_were_dropped() {
    for bed in beds().await {
        let audit = filled(&bed).await;
        for number in 0..100 {
            drop(audit.submit(event(number)).await.unwrap());
        }
        audit.flush().await.unwrap();
        assert_eq!(audit.head().await.unwrap().count, 105);
    }
}

/// Not SM3: any other function will do to show that a chain may go over to one.
#[derive(Debug)]
struct Sha512;

impl ChainHash for Sha512 {
    fn name(&self) -> &'static str {
        "SHA-512"
    }

    fn hash(&self, bytes: &[u8]) -> Vec<u8> {
        use sha2::Digest;
        sha2::Sha512::digest(bytes).to_vec()
    }
}

#[tokio::test]
async fn what_a_database_cannot_hold_or_should_not_keep_is_cut() {
    for bed in beds().await {
        let audit = filled(&bed).await;
        // Committed in one transaction: one text that PostgreSQL refuses would take both down.
        let odd = Event::new("li\0lei", "", "que\0ry", "air\0").detail(json!({ "sql": "\0" }));
        let (odd, plain) =
            (audit.submit(odd).await.unwrap(), audit.submit(event(6)).await.unwrap());
        odd.committed().await.unwrap();
        plain.committed().await.unwrap();
        let long = "搜".repeat(100_000);
        Events::failed(&audit, uuid::Uuid::now_v7(), "li.lei", &long, &long);
        audit.flush().await.unwrap();
        let newest = audit.newest(1).await.unwrap();
        assert_eq!(newest[0].outcome, "failed", "{}", bed.name);
        assert!(newest[0].detail.len() < 30_000, "{}", bed.name);
        assert!(audit.verify(None).await.unwrap().is_sound(), "{}", bed.name);
    }
}

#[tokio::test]
async fn a_chain_may_go_over_to_another_hash() {
    for bed in beds().await {
        let old = filled(&bed).await;
        let new = Audit::with_hashes(&bed.records, vec![Arc::new(Sha512), Arc::new(Sha256)]);
        new.record(event(6)).await.unwrap();
        assert!(new.verify(None).await.unwrap().is_sound());
        assert_eq!(row(&bed, 6).await.algorithm, "SHA-512");
        let report = old.verify(None).await.unwrap();
        assert_eq!(report.faults, [Fault::UnknownHash { seq: 6, name: "SHA-512".to_owned() }]);
    }
}

#[test]
fn an_anchor_survives_being_written_down() {
    let (_, head) = ten();
    assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
    assert_eq!("0:\n".parse::<Head>().unwrap().count, 0);
    for bad in ["", "12", "x:ab", "-1:ab", "0:ab", "3:", "3:xyz"] {
        assert!(bad.parse::<Head>().is_err(), "{bad}");
    }
}
