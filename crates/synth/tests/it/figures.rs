//! Marginals: people by district, sex and age, households, enterprises; and codes that are valid.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};

use crate::city::{PEOPLE, days, integers, published, table, texts};

/// The census's own total of Chengdu's residents.
const CENSUS_PEOPLE: f64 = 20_937_757.0;

fn scale() -> f64 {
    f64::from(u32::try_from(PEOPLE).unwrap()) / CENSUS_PEOPLE
}

#[test]
fn residents_have_the_published_sexes_and_ages() {
    let batch = table("people.resident");
    assert_eq!(batch.num_rows(), PEOPLE);
    let mut counts: BTreeMap<(String, &str, i32), f64> = BTreeMap::new();
    let (codes, sexes) = (texts(&batch, "area_code"), texts(&batch, "sex"));
    let census_day = NaiveDate::from_ymd_opt(2020, 11, 1).unwrap();
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap().num_days_from_ce();
    for ((code, sex), born) in codes.iter().zip(sexes).zip(days(&batch, "born_on")) {
        let born = NaiveDate::from_num_days_from_ce_opt(born + epoch).unwrap();
        let age = i32::try_from(census_day.years_since(born).unwrap()).unwrap();
        let from = match age {
            0 => 0,
            1..=4 => 1,
            85.. => 85,
            age => age / 5 * 5,
        };
        *counts.entry((format!("{}000000", &code[..6]), sex, from)).or_default() += 1.0;
    }
    let mut by_district: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let rows = published("population.csv");
    assert_eq!(rows.len(), 20 * 38);
    for row in rows {
        let exact = row[4].parse::<f64>().unwrap() * scale();
        let key = (row[0].clone(), row[1].as_str(), row[2].parse::<i32>().unwrap());
        let found = counts.get(&key).copied().unwrap_or(0.0);
        // A district is rounded, then its groups.
        assert!((found - exact).abs() <= 1.1, "{key:?}: {found}, published {exact}");
        let sums = by_district.entry(row[0].clone()).or_default();
        *sums = (sums.0 + found, sums.1 + exact);
    }
    for (district, (found, exact)) in by_district {
        assert!((found - exact).abs() <= 1.0, "{district}: {found}, published {exact}");
    }
}

#[test]
fn buildings_households_and_people_tell_the_same() {
    let residents = table("people.resident");
    let households = table("people.household");
    let buildings = table("place.building");
    let mut members: BTreeMap<&str, i64> = BTreeMap::new();
    for household in texts(&residents, "household") {
        *members.entry(household).or_default() += 1;
    }
    let mut in_building: BTreeMap<&str, i64> = BTreeMap::new();
    let counted = integers(&households, "people");
    let in_buildings = texts(&households, "building");
    for (at, id) in texts(&households, "id").into_iter().enumerate() {
        assert_eq!(members.get(id), Some(&counted[at]), "{id}");
        *in_building.entry(in_buildings[at]).or_default() += counted[at];
    }
    let by_age = table("people.by_building");
    let mut aged: BTreeMap<&str, i64> = BTreeMap::new();
    let groups = integers(&by_age, "people");
    for (at, building) in texts(&by_age, "building").into_iter().enumerate() {
        *aged.entry(building).or_default() += groups[at];
    }
    let people = integers(&buildings, "people");
    let ids = texts(&buildings, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "buildings are apart");
    for (at, id) in ids.into_iter().enumerate() {
        assert_eq!(in_building.get(id), Some(&people[at]), "{id}");
        assert_eq!(aged.get(id), Some(&people[at]), "{id}");
    }
    // Households of the census, and of one among them.
    let rows = published("districts.csv");
    let sum =
        |column: usize| rows.iter().map(|row| row[column].parse::<f64>().unwrap()).sum::<f64>();
    let kinds = texts(&households, "kind");
    let family = kinds.iter().filter(|kind| **kind == "family").count();
    let single =
        kinds.iter().zip(&counted).filter(|(kind, n)| **kind == "family" && **n == 1).count();
    let near = |found: usize, exact: f64, share: f64| {
        let found = f64::from(u32::try_from(found).unwrap());
        assert!((found / exact - 1.0).abs() < share, "{found}, published {exact}");
    };
    near(family, sum(6) * scale(), 0.01);
    near(single, sum(8) * scale(), 0.05);
}

#[test]
fn identity_numbers_are_valid_and_apart() {
    let batch = table("people.resident");
    let numbers = texts(&batch, "identity_number");
    assert!(numbers.iter().all(|number| pack::codes::valid_identity_number(number)));
    assert!(numbers.iter().all(|number| number.starts_with("99")), "nobody's number is real");
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
    for (number, sex) in numbers.iter().zip(texts(&batch, "sex")) {
        assert_eq!(number.as_bytes()[16] % 2 == 1, sex == "male");
    }
}

#[test]
fn enterprises_are_as_many_as_published_and_where_people_work() {
    let batch = table("market.enterprise_profile");
    let exact = 3_890_000.0 * scale();
    let count = f64::from(u32::try_from(batch.num_rows()).unwrap());
    assert!((count - exact).abs() <= 1.0, "{count}, published {exact}");
    let codes = texts(&batch, "credit_code");
    assert!(codes.iter().all(|code| pack::codes::valid_credit_code(code)));
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
    let register = table("market.enterprise");
    assert_eq!(texts(&register, "credit_code"), codes);
    // Firms of a section are to each other as its workers are, district by district.
    let (areas, sections) = (texts(&batch, "area_code"), texts(&batch, "section"));
    let software = |district: &str| {
        let of = |at: &usize| areas[*at].starts_with(district) && sections[*at] == "I";
        (0..areas.len()).filter(of).count()
    };
    let employed: BTreeMap<(String, String), f64> = published("employment.csv")
        .into_iter()
        .map(|row| ((row[0][..6].to_owned(), row[1].clone()), row[2].parse().unwrap()))
        .collect();
    let ratio = |district: &str| {
        let firms = f64::from(u32::try_from(software(district)).unwrap());
        firms / employed[&(district.to_owned(), "I".to_owned())]
    };
    assert!((ratio("510107") / ratio("510116") - 1.0).abs() < 0.05);
}

#[test]
fn firms_are_heavy_tailed_and_their_figures_hang_together() {
    let batch = table("market.enterprise_profile");
    let staff = integers(&batch, "staff");
    let mut sorted = staff.clone();
    sorted.sort_unstable();
    let all: i64 = sorted.iter().sum();
    let top: i64 = sorted[sorted.len() - sorted.len() / 100..].iter().sum();
    assert!(top * 5 > all, "one in a hundred has a fifth of all staff: {top} of {all}");
    let (technical, research) =
        (integers(&batch, "technical_staff"), integers(&batch, "research_staff"));
    let patents = integers(&batch, "invention_patents");
    for at in 0..staff.len() {
        assert!(research[at] <= technical[at] && technical[at] <= staff[at]);
    }
    let high_tech = batch.column_by_name("high_tech").unwrap();
    let high_tech = arrow::array::AsArray::as_boolean(high_tech.as_ref());
    let mean = |of: &dyn Fn(usize) -> bool| {
        let at: Vec<usize> = (0..staff.len()).filter(|at| of(*at)).collect();
        let sum: i64 = at.iter().map(|at| patents[*at]).sum();
        f64::from(i32::try_from(sum).unwrap()) / f64::from(u32::try_from(at.len()).unwrap())
    };
    let (of_them, others) = (mean(&|at| high_tech.value(at)), mean(&|at| !high_tech.value(at)));
    assert!(of_them > 5.0 * others, "{of_them} {others}");
    let titles: BTreeSet<&str> = texts(&batch, "title").into_iter().collect();
    assert!(titles.contains("specialised") && titles.contains("none"), "{titles:?}");
}

#[test]
fn firms_have_about_the_workers_of_the_census() {
    // The long form asked a tenth of all; section S is the state and its like, no firms.
    let workers: f64 = published("employment.csv")
        .into_iter()
        .filter(|row| row[1] != "S")
        .map(|row| 10.0 * row[2].parse::<f64>().unwrap())
        .sum();
    let staff: i64 = integers(&table("market.enterprise_profile"), "staff").iter().sum();
    let share = f64::from(u32::try_from(staff).unwrap()) / (workers * scale());
    assert!((0.8..1.2).contains(&share), "{share}");
}

#[test]
fn revenue_follows_staff_and_its_own_past() {
    let batch = table("market.enterprise_profile");
    let staff = integers(&batch, "staff");
    let money = |column: &str| -> Vec<f64> {
        let cents = batch.column_by_name(column).unwrap();
        let cents =
            arrow::array::AsArray::as_primitive::<arrow::datatypes::Decimal128Type>(cents.as_ref());
        cents.values().iter().map(|cents| i64::try_from(*cents).unwrap() as f64 / 100.0).collect()
    };
    let (revenue, before, debt) = (money("revenue"), money("revenue_before"), money("debt"));
    let of = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| {
        let both = (0..staff.len()).map(|at| (a(at), b(at))).filter(|(a, b)| *a > 0.0 && *b > 0.0);
        correlation(&both.map(|(a, b)| (a.ln(), b.ln())).collect::<Vec<_>>())
    };
    let people = |at: usize| f64::from(i32::try_from(staff[at]).unwrap());
    assert!(of(&people, &|at| revenue[at]) > 0.6);
    assert!(of(&|at| before[at], &|at| revenue[at]) > 0.8);
    assert!(of(&|at| debt[at], &|at| revenue[at]) > 0.5);
}

fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let count = f64::from(u32::try_from(pairs.len()).unwrap());
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|pair| pair.0), mean(&|pair| pair.1));
    let both = mean(&|pair| (pair.0 - x) * (pair.1 - y));
    both / (mean(&|pair| (pair.0 - x).powi(2)) * mean(&|pair| (pair.1 - y).powi(2))).sqrt()
}
