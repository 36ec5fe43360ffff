//! Chengdu's published files. Skipped where they are not at hand.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use intake::Options;
use pack::{Crs, FieldType, Shape, ValueSource};

use crate::common::{
    column, contract, field, lookup, mapping, read, real, required, skip, template,
};

fn cell(batch: &RecordBatch, name: &str, row: usize) -> String {
    let options = FormatOptions::default();
    let array = batch.column_by_name(name).unwrap();
    ArrayFormatter::try_new(array, &options).unwrap().value(row).to_string()
}

#[test]
fn air_quality_comes_out_long_and_in_utc() {
    let Some(path) = real("chengdu_pm25_2010_2015.csv.gz") else { return };
    let contract = contract(
        "air.pm25",
        vec![
            required("site", FieldType::Text),
            required("observed_at", FieldType::Timestamp),
            required("pm25", FieldType::Number),
        ],
    );
    let sites = [("Caotangsi", "草堂寺"), ("Shahepu", "沙河铺"), ("US Post", "美国领事馆")];
    let wide = Shape::Wide { columns: "^PM_(?P<site>.+)$".to_owned(), value: "pm25".to_owned() };
    let time = ValueSource::LocalTime("{year}-{month}-{day} {hour}:00".to_owned());
    let mapping =
        mapping("air.pm25", wide, &[("site", lookup("{site}", &sites)), ("observed_at", time)]);
    let (rows, bad) = read(&path, &contract, &[mapping], &Options::default()).unwrap();
    assert_eq!(bad, []);
    assert_eq!(rows.num_rows(), 77_914);
    // The first reading that is there: 2012-05-14 14:00 local time, at the third site alone.
    assert_eq!(cell(&rows, "site", 0), "美国领事馆");
    assert_eq!(cell(&rows, "observed_at", 0), "2012-05-14T06:00:00Z");
    assert_eq!(cell(&rows, "pm25", 0), "46.0");
    let readings = rows.column(2).as_primitive::<Float64Type>();
    let sum: f64 = readings.values().iter().sum();
    assert!((sum - 6_161_422.0).abs() < 1e-6, "{sum}");
}

#[test]
fn the_census_comes_out_by_age_and_sex() {
    let Some(path) = real("chengdu_census_2020.csv") else { return };
    let contract = contract(
        "people.census_2020",
        vec![
            required("area_code", FieldType::AreaCode),
            required("sex", FieldType::Text),
            required("age_from", FieldType::Integer),
            field("age_to", FieldType::Integer),
            required("people", FieldType::Integer),
        ],
    );
    let pattern = r"^(?P<sex>男|女)_(?P<from>\d+)(到(?P<to>\d+))?岁";
    let wide = Shape::Wide { columns: pattern.to_owned(), value: "people".to_owned() };
    let mut mapping = mapping(
        "people.census_2020",
        wide,
        &[
            ("area_code", template("{区划代码|integer}000000")),
            ("sex", lookup("{sex}", &[("男", "male"), ("女", "female")])),
            ("age_from", template("{from}")),
            ("age_to", template("{to}")),
        ],
    );
    mapping.skip = vec![skip("区县", &["成都市"])];
    let (rows, bad) = read(&path, &contract, &[mapping], &Options::default()).unwrap();
    assert_eq!(bad, []);
    assert_eq!(rows.num_rows(), 20 * 38);
    let people = rows.column(4).as_primitive::<Int64Type>();
    assert_eq!(people.values().iter().sum::<i64>(), 20_937_757);
    assert_eq!(cell(&rows, "area_code", 0), "510104000000");
    assert_eq!(cell(&rows, "sex", 0), "male");
    // 女_1到4岁 of 锦江区.
    assert_eq!(cell(&rows, "age_from", 3), "1");
    assert_eq!(cell(&rows, "age_to", 3), "4");
    assert_eq!(people.value(3), 17_230);
}

#[test]
fn a_file_without_header_is_read_by_its_mapping() {
    let Some(path) = real("chengdu_streets.csv") else { return };
    let contract = contract(
        "place.street",
        vec![
            required("code", FieldType::AreaCode),
            required("name", FieldType::Text),
            required("parent", FieldType::AreaCode),
        ],
    );
    let mut mapping = mapping(
        "place.street",
        Shape::Rows,
        &[
            ("code", template("{street}000")),
            ("name", column("name")),
            ("parent", template("{district}000000")),
        ],
    );
    mapping.headerless = true;
    mapping.columns =
        ["street", "name", "district", "province", "city"].map(str::to_owned).to_vec();
    let (rows, bad) = read(&path, &contract, &[mapping], &Options::default()).unwrap();
    assert_eq!(bad, []);
    assert_eq!(rows.num_rows(), 261);
    assert_eq!(cell(&rows, "code", 0), "510104017000");
    assert_eq!(cell(&rows, "name", 0), "锦官驿街道");
    assert_eq!(cell(&rows, "parent", 0), "510104000000");
}

#[test]
fn metro_stations_come_out_in_wgs84() {
    let Some(path) = real("chengdu_metro_stations.csv") else { return };
    let contract = contract(
        "transit.station",
        vec![
            required("line", FieldType::Text),
            required("seq", FieldType::Integer),
            required("name", FieldType::Text),
            required("geometry", FieldType::Geometry),
        ],
    );
    let point = ValueSource::Point { lon: "lon".to_owned(), lat: "lat".to_owned() };
    let mut mapping = mapping("transit.station", Shape::Rows, &[("geometry", point)]);
    mapping.crs = Some(Crs::Gcj02);
    let (rows, bad) = read(&path, &contract, &[mapping], &Options::default()).unwrap();
    assert_eq!(bad, []);
    // 353 stations, of which transfer stations are on several lines.
    assert_eq!(rows.num_rows(), 424);
    let wkb = rows.column(3).as_binary::<i32>().value(0);
    assert_eq!(wkb.len(), 21);
    let x = f64::from_le_bytes(wkb[5..13].try_into().unwrap());
    let y = f64::from_le_bytes(wkb[13..21].try_into().unwrap());
    // 韦家碾 is at 104.086848 E, 30.717629 N in GCJ-02; in Chengdu the shift is some 270 m
    // to the east and south-east.
    let shift_m = ((104.086_848 - x) * 95_700.0).hypot((30.717_629 - y) * 110_900.0);
    assert!((200.0..500.0).contains(&shift_m), "{x} {y}: {shift_m} m");
}
