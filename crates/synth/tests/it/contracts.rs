//! The files fit the pack's contracts, and come out the same on any number of threads.

use pack::FieldType;
use synth::{Kind, SHEETS};

use crate::city::{chengdu, file, make};

#[test]
fn every_file_has_its_contract_and_every_required_field() {
    for sheet in SHEETS {
        let contract = &chengdu().datasets[sheet.dataset];
        for (name, kind) in sheet.columns {
            let field = contract.field(name).unwrap_or_else(|| panic!("{}.{name}", sheet.dataset));
            let fits = match field.ty {
                FieldType::Text | FieldType::AreaCode | FieldType::OrganisationId => {
                    *kind == Kind::Text
                }
                FieldType::Integer => *kind == Kind::Integer,
                FieldType::Number => *kind == Kind::Number,
                FieldType::Boolean => *kind == Kind::Boolean,
                FieldType::Date => *kind == Kind::Date,
                FieldType::Timestamp => *kind == Kind::Timestamp,
                FieldType::Money => *kind == Kind::Money,
                FieldType::Geometry => matches!(kind, Kind::Point | Kind::Line | Kind::Polygon),
            };
            assert!(fits, "{}.{name}: {kind:?} for {:?}", sheet.dataset, field.ty);
        }
        for field in contract.fields.iter().filter(|field| field.required) {
            let there = sheet.columns.iter().any(|(name, _)| *name == field.name);
            assert!(there, "{} lacks {}", sheet.dataset, field.name);
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_bytes_on_any_number_of_threads() {
    let (one, three, other) = (make(10_000, 3, 1), make(10_000, 3, 3), make(10_000, 4, 1));
    let bytes =
        |dir: &tempfile::TempDir, dataset| std::fs::read(file(dir.path(), dataset)).unwrap();
    for sheet in SHEETS {
        let first = bytes(&one, sheet.dataset);
        assert!(first == bytes(&three, sheet.dataset), "{} depends on threads", sheet.dataset);
        let same = first == bytes(&other, sheet.dataset);
        match sheet.dataset {
            // As many links as there are devices and gateways: of these there may be as many.
            "sensing.thing_location" | "sensing.historical_location_place" => {}
            "people.census_2020"
            | "sensing.sensor"
            | "sensing.observed_property"
            | "sensing.datastream" => assert!(same, "{} and the seed", sheet.dataset),
            other => assert!(!same, "{other} and the seed"),
        }
    }
}

#[test]
fn too_few_and_too_many_people_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for people in [0, synth::PEOPLE_MIN - 1, synth::PEOPLE_MAX + 1] {
        let options = synth::Options { people, seed: 1, threads: 1 };
        let refusal = synth::generate(chengdu(), dir.path(), options, &|_| {}).unwrap_err();
        assert!(refusal.to_string().contains(&people.to_string()), "{refusal}");
    }
}
