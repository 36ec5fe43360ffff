//! Registers over Chengdu's facilities, on both databases.

use std::path::Path;
use std::sync::LazyLock;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use chrono::TimeDelta;
use datafusion::prelude::SessionContext;
use pack::Pack;
use store::testing::{Bed, beds, sqlite_bed};

use super::*;

static PACK: LazyLock<Pack> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
    pack::load(&dir).unwrap_or_else(|faults| panic!("{faults}"))
});

fn contract() -> &'static Contract {
    &PACK.datasets["place.facility"]
}

fn hour(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_700_000_000_000_000).unwrap() + TimeDelta::hours(hours)
}

async fn registers(bed: &Bed) -> Registers {
    let mut all = catalog::records::migrations();
    all.extend(crate::migrations());
    bed.records.migrate(all).await.unwrap();
    Registers::open(&bed.records, &Audit::open(&bed.records))
}

/// Rows of an id and a capacity each; what else is required is made up.
fn facilities(rows: &[(&str, i64)]) -> RecordBatch {
    let schema = contract().arrow_schema();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let texts = |text: fn(&str) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| text(row.0))))
        };
        match field.name().as_str() {
            "id" => texts(|id| id),
            "kind" => texts(|_| "chs"),
            "name" => texts(|_| "社区\n\"卫生\"服务中心"),
            "area_code" => texts(|_| "510104017001"),
            "capacity" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
            "geometry" => Arc::new(BinaryArray::from_iter_values(
                rows.iter().map(|_| [1, 1, 0, 0, 0, 255, 7]),
            )),
            _ => arrow::array::new_null_array(field.data_type(), rows.len()),
        }
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

fn stamp(hours: i64, reason: &str) -> Stamp {
    Stamp { by: "lin".into(), reason: reason.into(), now: hour(hours), event: None }
}

/// Id and capacity, by id.
async fn seen(registers: &Registers, as_of: Option<DateTime<Utc>>) -> Vec<(String, i64)> {
    let table = registers.table(contract(), as_of).await.unwrap();
    let batches = SessionContext::new().read_table(table).unwrap().collect().await.unwrap();
    let mut rows = Vec::new();
    for batch in &batches {
        let ids = batch.column_by_name("id").unwrap().as_string::<i32>();
        let capacities = batch.column_by_name("capacity").unwrap().as_primitive::<Int64Type>();
        rows.extend((0..batch.num_rows()).map(|i| (ids.value(i).to_owned(), capacities.value(i))));
    }
    rows.sort();
    rows
}

fn pairs(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter().map(|(id, capacity)| ((*id).to_owned(), *capacity)).collect()
}

#[tokio::test]
async fn rows_are_put_changed_and_taken_away_and_the_past_stays() {
    for bed in beds().await {
        let registers = registers(&bed).await;
        registers
            .put(contract(), &facilities(&[("a", 1), ("b", 2)]), stamp(0, "file"))
            .await
            .unwrap();
        let version = registers.version("place.facility");
        let wider = facilities(&[("b", 3)]);
        let changed = registers.change(contract(), &wider, 1, stamp(1, "wider")).await.unwrap();
        assert_eq!(changed, Written { key: "b".into(), version: 2 });
        assert!(registers.version("place.facility") > version);
        registers.delete(contract(), "a", 1, stamp(2, "closed")).await.unwrap();
        assert_eq!(seen(&registers, None).await, pairs(&[("b", 3)]));
        assert_eq!(seen(&registers, Some(hour(0))).await, pairs(&[("a", 1), ("b", 2)]));
        assert_eq!(seen(&registers, Some(hour(1))).await, pairs(&[("a", 1), ("b", 3)]));
        assert!(seen(&registers, Some(hour(-1))).await.is_empty());
        let history = registers.history(contract(), "a").await.unwrap();
        let told: Vec<_> =
            history.iter().map(|v| (v.version, v.kind.as_str(), v.row.is_some())).collect();
        assert_eq!(told, [(2, "deleted", false), (1, "created", true)]);
        assert_eq!(history[0].reason, "closed");
        assert_eq!(registers.changed_at(contract()).await.unwrap(), Some(hour(2)));

        // A row that comes back goes on from where it ended, also after the city was closed.
        let again = Registers::open(&bed.records, &Audit::open(&bed.records));
        assert_eq!(seen(&again, None).await, pairs(&[("b", 3)]));
        let back = again.create(contract(), &facilities(&[("a", 9)]), stamp(3, "reopened")).await;
        assert_eq!(back.unwrap().version, 3);
        assert_eq!(seen(&again, None).await, pairs(&[("a", 9), ("b", 3)]));
    }
}

#[tokio::test]
async fn who_did_not_see_the_newest_version_is_refused() {
    let bed = sqlite_bed().await;
    let registers = registers(&bed).await;
    registers.create(contract(), &facilities(&[("a", 1)]), stamp(0, "new")).await.unwrap();
    let twice = registers.create(contract(), &facilities(&[("a", 1)]), stamp(1, "new")).await;
    assert!(matches!(twice, Err(RegistryError::RowExists { .. })), "{twice:?}");
    registers.change(contract(), &facilities(&[("a", 2)]), 1, stamp(1, "first")).await.unwrap();
    let late = registers.change(contract(), &facilities(&[("a", 3)]), 1, stamp(2, "second")).await;
    assert!(matches!(late, Err(RegistryError::Stale { newest: 2, .. })), "{late:?}");
    let late = registers.delete(contract(), "a", 1, stamp(2, "second")).await;
    assert!(matches!(late, Err(RegistryError::Stale { .. })), "{late:?}");
    let none = registers.delete(contract(), "b", 1, stamp(2, "x")).await;
    assert!(matches!(none, Err(RegistryError::UnknownRow(_))), "{none:?}");
    assert_eq!(seen(&registers, None).await, pairs(&[("a", 2)]));
}

#[tokio::test]
async fn rows_that_were_changed_since_are_named_and_none_is_put() {
    for bed in beds().await {
        let registers = registers(&bed).await;
        let first = facilities(&[("a", 1), ("b", 1), ("c", 1)]);
        registers.put(contract(), &first, stamp(0, "file")).await.unwrap();
        let since = registers.changed_at(contract()).await.unwrap().unwrap();
        let edited = facilities(&[("b", 7)]);
        registers.change(contract(), &edited, 1, stamp(1, "edit")).await.unwrap();
        registers.delete(contract(), "c", 1, stamp(1, "closed")).await.unwrap();
        registers.create(contract(), &facilities(&[("d", 7)]), stamp(1, "new")).await.unwrap();

        let rows = facilities(&[("a", 2), ("b", 2), ("c", 2), ("d", 2), ("e", 2)]);
        // What memory knows and what the records say are the same.
        let again = Registers::open(&bed.records, &Audit::open(&bed.records));
        for registers in [&registers, &again] {
            let put = registers.put_since(contract(), &rows, since, stamp(2, "file")).await;
            let Err(RegistryError::Newer(newer)) = put else { panic!("{}: {put:?}", bed.name) };
            let named: Vec<_> = newer.iter().map(|row| (row.place, row.key.as_str())).collect();
            assert_eq!(named, [(1, "b"), (2, "c"), (3, "d")], "{}", bed.name);
        }
        assert_eq!(seen(&registers, None).await, pairs(&[("a", 1), ("b", 7), ("d", 7)]));
        let others = facilities(&[("a", 2), ("e", 2)]);
        registers.put_since(contract(), &others, since, stamp(2, "file")).await.unwrap();
        let now = pairs(&[("a", 2), ("b", 7), ("d", 7), ("e", 2)]);
        assert_eq!(seen(&registers, None).await, now, "{}", bed.name);
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_ends_no_version_before_it_began() {
    let bed = sqlite_bed().await;
    let registers = registers(&bed).await;
    registers.create(contract(), &facilities(&[("a", 1)]), stamp(5, "new")).await.unwrap();
    registers.change(contract(), &facilities(&[("a", 2)]), 1, stamp(1, "late")).await.unwrap();
    let history = registers.history(contract(), "a").await.unwrap();
    assert!(history[0].at > history[1].at);
}

#[tokio::test]
async fn who_hangs_up_leaves_memory_as_the_records_are() {
    let bed = sqlite_bed().await;
    let registers = registers(&bed).await;
    registers.create(contract(), &facilities(&[("a", 1)]), stamp(0, "new")).await.unwrap();
    let mut version = 1;
    for wait_ms in 0_u32..12 {
        let row = facilities(&[("a", 100 + i64::from(wait_ms))]);
        let change = registers.change(contract(), &row, version, stamp(1, "edit"));
        let hang_up = tokio::time::sleep(std::time::Duration::from_millis(u64::from(wait_ms)));
        tokio::select! {
            changed = change => {
                changed.unwrap();
            }
            () = hang_up => {}
        }
        // What was begun before the client went is through when the turn is free.
        drop(registers.register("place.facility").turn().await);
        let again = Registers::open(&bed.records, &Audit::open(&bed.records));
        let held = registers.row(contract(), "a").await.unwrap();
        assert_eq!(held, again.row(contract(), "a").await.unwrap(), "after {wait_ms} ms");
        version = held.unwrap().0;
    }
    let last = facilities(&[("a", 7)]);
    registers.change(contract(), &last, version, stamp(2, "whole")).await.unwrap();
    assert_eq!(seen(&registers, None).await, pairs(&[("a", 7)]));
}

/// As [`contract`], under another name: a second register.
fn second() -> &'static Contract {
    static SECOND: LazyLock<Contract> =
        LazyLock::new(|| Contract { id: "place.second".into(), ..contract().clone() });
    &SECOND
}

fn changes<'a>(
    of: &'a Contract,
    rows: &[(&str, i64)],
    removes: &[&str],
    seen: &[(&str, Option<i64>)],
) -> Changes<'a> {
    Changes {
        contract: of,
        rows: facilities(rows),
        removes: removes.iter().map(|key| (*key).to_owned()).collect(),
        seen: seen.iter().map(|(key, version)| ((*key).to_owned(), *version)).collect(),
        fresh: Vec::new(),
        event: None,
    }
}

#[tokio::test]
async fn registers_that_are_written_together_are_written_all_or_none() {
    for bed in beds().await {
        let registers = registers(&bed).await;
        let first = vec![
            changes(second(), &[("x", 1), ("y", 2)], &[], &[("x", None)]),
            changes(contract(), &[("a", 1)], &[], &[]),
        ];
        registers.write_together(first, stamp(0, "made")).await.unwrap();
        let next = |seen: i64| {
            vec![
                changes(contract(), &[("a", 5)], &[], &[("a", Some(1))]),
                changes(second(), &[("z", 3)], &["x"], &[("x", Some(seen)), ("z", None)]),
            ]
        };
        let late = registers.write_together(next(7), stamp(1, "late")).await;
        assert!(matches!(late, Err(RegistryError::Stale { newest: 1, .. })), "{late:?}");
        assert_eq!(seen(&registers, None).await, pairs(&[("a", 1)]), "{}", bed.name);

        let written = registers.write_together(next(1), stamp(2, "both")).await.unwrap();
        let version = |key: &str, version| Written { key: key.into(), version };
        assert_eq!(written["place.second"], [version("z", 1), version("x", 2)]);
        let again = Registers::open(&bed.records, &Audit::open(&bed.records));
        for registers in [&registers, &again] {
            assert_eq!(seen(registers, None).await, pairs(&[("a", 5)]), "{}", bed.name);
            assert_eq!(registers.gone(second(), None).await.unwrap(), ["x"]);
            assert!(registers.gone(second(), Some(hour(1))).await.unwrap().is_empty());
            assert_eq!(registers.gone(second(), Some(hour(3))).await.unwrap(), ["x"]);
            let of_two = |rows: &RecordBatch| -> BooleanArray {
                let capacity = rows.column_by_name("capacity").unwrap();
                capacity.as_primitive::<Int64Type>().iter().map(|n| Some(n == Some(2))).collect()
            };
            let found = registers.find(second(), of_two).await.unwrap();
            assert_eq!((found.keys, found.versions), (vec!["y".to_owned()], vec![1]));
            assert_eq!(found.rows.num_rows(), 1);
        }

        let mut taken = changes(second(), &[("x", 9)], &[], &[]);
        taken.fresh = vec!["x".to_owned()];
        let taken = registers.write_together(vec![taken], stamp(3, "again")).await;
        assert!(matches!(taken, Err(RegistryError::Newer(_))), "{taken:?}");
        let twice = vec![changes(second(), &[], &[], &[]), changes(second(), &[], &[], &[])];
        let twice = registers.write_together(twice, stamp(3, "twice")).await;
        assert!(matches!(twice, Err(RegistryError::Input { .. })), "{twice:?}");
    }
}

#[tokio::test]
async fn memory_in_doubt_is_read_anew() {
    let bed = sqlite_bed().await;
    let registers = registers(&bed).await;
    registers.create(contract(), &facilities(&[("a", 1)]), stamp(0, "new")).await.unwrap();
    let before = registers.version("place.facility");
    let register = registers.register("place.facility");
    drop(write::Doubt::about(&register));
    assert!(register.held.read().is_none());
    assert!(registers.version("place.facility") > before);
    assert_eq!(seen(&registers, None).await, pairs(&[("a", 1)]));
    write::Doubt::about(&register).settle();
    assert!(register.held.read().is_some());
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    let bed = sqlite_bed().await;
    let first = registers(&bed).await;
    let row = facilities(&[("a~b 1", i64::MAX)]);
    let written = first.create(contract(), &row, stamp(0, "new")).await.unwrap();
    assert_eq!(written.key, "a%7Eb%201");
    let again = Registers::open(&bed.records, &Audit::open(&bed.records));
    let (version, found) = again.row(contract(), &written.key).await.unwrap().unwrap();
    assert_eq!((version, &found), (1, &row));
    assert!(again.row(contract(), "a").await.unwrap().is_none());
}

/// Every type that a contract may have, through JSON and back.
#[tokio::test]
async fn every_type_survives_the_records() {
    use arrow::array::{BooleanArray, Date32Array, Float64Array, TimestampMicrosecondArray};
    let bed = sqlite_bed().await;
    let mut contract = contract().clone();
    let model = contract.fields[0].clone();
    let types = [
        ("id", pack::FieldType::Text),
        ("number", pack::FieldType::Number),
        ("flag", pack::FieldType::Boolean),
        ("day", pack::FieldType::Date),
        ("moment", pack::FieldType::Timestamp),
        ("cents", pack::FieldType::Money),
    ];
    contract.fields =
        types.map(|(name, ty)| pack::Field { name: name.into(), ty, ..model.clone() }).to_vec();
    let moments = TimestampMicrosecondArray::from(vec![-1, 1_700_000_000_123_456]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["蜀", "\u{1}\\"])),
        Arc::new(Float64Array::from(vec![0.1 + 0.2, -1.5e-300])),
        Arc::new(BooleanArray::from(vec![true, false])),
        Arc::new(Date32Array::from(vec![-1, 20_000])),
        Arc::new(moments.with_timezone("UTC")),
        Arc::new(Int64Array::from(vec![i64::MIN, 9_007_199_254_740_993])),
    ];
    let rows = RecordBatch::try_new(contract.arrow_schema(), columns).unwrap();
    assert_eq!(
        rows.column(4).data_type(),
        &DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()),)
    );
    let first = registers(&bed).await;
    first.put(&contract, &rows, stamp(0, "file")).await.unwrap();
    let again = Registers::open(&bed.records, &Audit::open(&bed.records));
    let keys = key_of(&contract, &rows).unwrap();
    for (at, key) in keys.iter().enumerate() {
        let (_, found) = again.row(&contract, key).await.unwrap().unwrap();
        assert_eq!(found, rows.slice(at, 1));
    }
}

#[tokio::test]
async fn many_rows_are_kept_in_chunks_through_changes() {
    let bed = sqlite_bed().await;
    let registers = registers(&bed).await;
    let ids: Vec<String> = (0..20_000).map(|n| format!("f{n:05}")).collect();
    let rows: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    registers.put(contract(), &facilities(&rows), stamp(0, "file")).await.unwrap();
    let changed: Vec<(&str, i64)> = ids.iter().step_by(3).map(|id| (id.as_str(), 2)).collect();
    registers.put(contract(), &facilities(&changed), stamp(1, "file")).await.unwrap();
    registers.delete(contract(), "f00001", 1, stamp(2, "closed")).await.unwrap();
    let held = seen(&registers, None).await;
    let again = Registers::open(&bed.records, &Audit::open(&bed.records));
    assert_eq!(held, seen(&again, None).await, "memory is what the records say");
    assert_eq!(held.len(), 19_999);
    assert_eq!(held.iter().filter(|row| row.1 == 2).count(), changed.len());
}

#[tokio::test]
async fn numbers_that_came_with_a_file_are_given_to_nobody() {
    for bed in beds().await {
        let mut all = catalog::records::migrations();
        all.extend(crate::migrations());
        all.extend(catalog::records::later_migrations());
        bed.records.migrate(all).await.unwrap();
        let registers = Registers::open(&bed.records, &Audit::open(&bed.records));
        assert_eq!(registers.reserve("x", 10).await.unwrap(), 1);
        registers.pass("x", 7).await.unwrap();
        assert_eq!(registers.reserve("x", 1).await.unwrap(), 11, "fewer change nothing");
        registers.pass("x", 500).await.unwrap();
        assert_eq!(registers.reserve("x", 1).await.unwrap(), 501);
        registers.pass("y", 3).await.unwrap();
        assert_eq!(registers.reserve("y", 1).await.unwrap(), 4);
    }
}
