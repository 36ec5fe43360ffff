//! The real files again, by the contracts and mappings of `packs/chengdu`.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use intake::{BadRow, Options};
use pack::Pack;

use crate::common::{drain, real};

/// All rows of a real file, and the mapping that read it; `None`: the file is not here.
fn import(dataset: &str, name: &str) -> Option<(RecordBatch, Vec<BadRow>, Option<String>)> {
    let path = real(name)?;
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packs/chengdu");
    let pack: Pack = pack::load(dir.as_ref()).unwrap_or_else(|faults| panic!("{faults}"));
    let options =
        Options { utc_offset_minutes: pack.city.utc_offset_minutes, ..Options::default() };
    let intake = intake::open(&path, &pack.datasets[dataset], &pack.imports, &options).unwrap();
    let mapping = intake.mapping().map(str::to_owned);
    let (rows, bad) = drain(intake).unwrap();
    Some((rows, bad, mapping))
}

fn texts(rows: &RecordBatch, column: &str) -> BTreeSet<String> {
    let column = rows.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().flatten().map(str::to_owned).collect()
}

#[test]
fn air_quality() {
    let Some((rows, bad, mapping)) = import("air.pm25", "chengdu_pm25_2010_2015.csv.gz") else {
        return;
    };
    assert_eq!((rows.num_rows(), bad.len(), mapping.as_deref()), (77_914, 0, Some("uci_pm25")));
    assert_eq!(texts(&rows, "site"), ["US Post", "沙河铺", "草堂寺"].map(str::to_owned).into());
}

#[test]
fn census() {
    let Some((rows, bad, _)) = import("people.census_2020", "chengdu_census_2020.csv") else {
        return;
    };
    assert_eq!((rows.num_rows(), bad.len()), (20 * 38, 0));
    let people = rows.column_by_name("people").unwrap().as_primitive::<Int64Type>();
    let ages = rows.column_by_name("age_from").unwrap().as_primitive::<Int64Type>();
    let total: i64 = people.values().iter().sum();
    assert_eq!(total, 20_937_757);
    let mut by_age = BTreeMap::new();
    for (age, people) in ages.values().iter().zip(people.values()) {
        *by_age.entry(*age).or_insert(0) += people;
    }
    // Published with the census: 13.62 % are 65 and over.
    let old: i64 = by_age.range(65..).map(|(_, people)| people).sum();
    assert_eq!((old * 10_000 + total / 2) / total, 1362);
}

#[test]
fn streets() {
    let Some((rows, bad, mapping)) = import("place.area", "chengdu_streets.csv") else { return };
    assert_eq!((rows.num_rows(), bad.len(), mapping.as_deref()), (261, 0, Some("streets")));
    assert_eq!(texts(&rows, "level"), ["street".to_owned()].into());
    assert!(texts(&rows, "code").contains("510104017000"));
}

#[test]
fn metro() {
    let Some((rows, bad, mapping)) = import("transit.station", "chengdu_metro_stations.csv") else {
        return;
    };
    assert_eq!((rows.num_rows(), bad.len(), mapping.as_deref()), (424, 0, Some("metro_stations")));
    assert_eq!(texts(&rows, "line").len(), 17);
    assert_eq!(texts(&rows, "name").len(), 353);
}
