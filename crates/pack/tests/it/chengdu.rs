//! The pack of Chengdu loads without a mistake and holds what its data sources say.

use std::path::{Path, PathBuf};

use pack::{AreaLevel, DatasetKind, FieldType, Pack, Shape};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu")
}

fn load() -> Pack {
    pack::load(&dir()).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_city_is_whole() {
    let pack = load();
    let count = |level| pack.areas.iter().filter(|area| area.level == level).count();
    assert_eq!(count(AreaLevel::City), 1);
    assert_eq!(count(AreaLevel::District), 20);
    assert_eq!(count(AreaLevel::Street), 261);
    assert_eq!(count(AreaLevel::Community), 3_047);
    assert!(pack.organisations.len() >= 25 + 20);
    let governments = pack.organisations.iter().filter(|o| o.kind == "district_government").count();
    assert_eq!(governments, 20);
}

#[test]
fn the_contracts_have_the_fields_that_were_agreed() {
    let pack = load();
    let fields = |dataset: &str| -> Vec<String> {
        pack.datasets[dataset].fields.iter().map(|field| field.name.clone()).collect()
    };
    assert_eq!(fields("air.pm25"), ["site", "observed_at", "pm25"]);
    assert_eq!(fields("people.census_2020"), ["area_code", "sex", "age_from", "age_to", "people"]);
    assert_eq!(fields("transit.station"), ["line", "seq", "name", "geometry"]);
    assert_eq!(pack.datasets["air.pm25"].kind, DatasetKind::Stream);
    assert_eq!(pack.datasets["place.area"].kind, DatasetKind::Register);
    let geometry = pack.datasets["transit.station"].field("geometry").unwrap();
    assert_eq!(geometry.ty, FieldType::Geometry);
}

/// Who reads a screen reads no codes: each has a name in both languages.
#[test]
fn every_code_is_called_something() {
    let pack = load();
    let fields = pack.datasets.values().flat_map(|contract| &contract.fields);
    let coded: Vec<_> = fields.filter(|field| !field.codes.is_empty()).collect();
    assert!(coded.len() >= 21, "{}", coded.len());
    for field in coded {
        for code in &field.codes {
            let place = &field.place;
            assert!(field.labels.contains_key(code), "{}:{}: {code}", place.file, place.line);
        }
    }
    let stop = &pack.datasets["place.facility"].field("kind").unwrap().labels["bus_stop"];
    assert_eq!((stop.zh.as_str(), stop.en.as_str()), ("公交车站", "Bus stop"));
}

/// The census mapping's pattern takes the 38 columns of people by age and sex and no other of
/// the file's 153, many of which also speak of men, women and ages.
#[test]
fn the_census_pattern_takes_ages_and_sexes_only() {
    let pack = load();
    let mapping = pack.imports.iter().find(|m| m.dataset == "people.census_2020").unwrap();
    let Shape::Wide { columns, .. } = &mapping.shape else { panic!("the census is wide") };
    let pattern = regex::Regex::new(columns).unwrap();
    for taken in ["男_0岁", "女_1到4岁", "男_80到84岁", "女_85岁以上"] {
        assert!(pattern.is_match(taken), "{taken}");
    }
    for left in
        ["人口数_男", "未上过学_女", "15岁及以上文盲人口_男", "人口比重_15-49岁育龄妇女", "区县"]
    {
        assert!(!pattern.is_match(left), "{left}");
    }

    let city_data = std::env::var_os("CITY_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let Ok(census) = std::fs::read_to_string(city_data.join("chengdu_census_2020.csv")) else {
        println!("skipped the real census: no {}", city_data.display());
        return;
    };
    let header = census.lines().next().unwrap();
    assert_eq!(header.split(',').filter(|column| pattern.is_match(column)).count(), 38);
}
