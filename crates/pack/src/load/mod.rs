//! Reads a pack's folder into typed definitions, each with the places of its parts.
//!
//! ```text
//!  pack.toml            the city, its units
//!  areas.csv            city, districts, streets, communities
//!  organisations.toml   who datasets can belong to
//!  roles.toml           what people may do
//!  datasets/*.toml      a contract each
//!  policies/*.toml      who sees which rows and fields
//!  imports/*.toml       how files become rows
//! ```
//!
//! Reading judges what one value can be judged by; what needs two definitions is `check`'s.

mod areas;
mod datasets;
mod imports;
mod rules;

use std::path::Path;
use std::sync::Arc;

use crate::check;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::model::{
    Area, City, Contract, ImportMapping, Organisation, Pack, Place, Policy, Role, Text,
};
use crate::reader::{Faults, Table, read_toml};
use crate::source::{Sites, SourceFile};

/// Version of the pack format, written in `pack.toml`.
const FORMAT: i64 = 1;

/// A folder of a pack may hold at most this many files.
const FOLDER_FILES_MAX: usize = 2_000;

const UTC_OFFSET_MINUTES_MAX: i64 = 14 * 60;

/// A definition with the places of its parts.
#[derive(Debug)]
pub(crate) struct Sited<T> {
    pub value: T,
    pub sites: Sites,
}

/// All that was read, before it is known to hold together.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub city: Option<Sited<City>>,
    pub units: Vec<(String, Text)>,
    pub areas: Vec<Area>,
    pub organisations: Vec<Sited<Organisation>>,
    pub datasets: Vec<Sited<Contract>>,
    pub roles: Vec<Sited<Role>>,
    pub policies: Vec<Sited<Policy>>,
    pub imports: Vec<Sited<ImportMapping>>,
}

/// Loads and checks a pack. An error lists every mistake found in one run, in order of place.
pub fn load(dir: &Path) -> Result<Pack, Diagnostics> {
    let faults = Faults::default();
    let draft = read(dir, &faults);
    check::check(&draft, &faults);
    let mut faults = faults.into_inner();
    faults.sort();
    match draft.city {
        Some(city) if faults.is_empty() => Ok(Pack {
            dir: dir.to_owned(),
            city: city.value,
            units: draft.units.into_iter().collect(),
            areas: draft.areas,
            organisations: values(draft.organisations),
            datasets: values(draft.datasets).into_iter().map(|c| (c.id.clone(), c)).collect(),
            roles: values(draft.roles),
            policies: values(draft.policies),
            imports: values(draft.imports),
        }),
        _ => Err(faults),
    }
}

fn values<T>(sited: Vec<Sited<T>>) -> Vec<T> {
    sited.into_iter().map(|sited| sited.value).collect()
}

fn read(dir: &Path, faults: &Faults) -> Draft {
    let mut draft = Draft::default();
    if let Some(file) = open(dir, "pack.toml", faults) {
        read_toml(&file, faults, |table| read_city(table, &mut draft));
    }
    if let Some(file) = open(dir, "areas.csv", faults) {
        draft.areas = areas::read(&file, faults);
    }
    if let Some(file) = open(dir, "organisations.toml", faults) {
        read_toml(&file, faults, |table| {
            each(table, "organisation", &mut draft.organisations, rules::organisation);
        });
    }
    if let Some(file) = open(dir, "roles.toml", faults) {
        read_toml(&file, faults, |table| each(table, "role", &mut draft.roles, rules::role));
    }
    for file in folder(dir, "datasets", faults) {
        read_toml(&file, faults, |table| {
            draft.datasets.push(Sited { value: datasets::contract(table), sites: table.sites() });
        });
    }
    for file in folder(dir, "policies", faults) {
        read_toml(&file, faults, |table| each(table, "policy", &mut draft.policies, rules::policy));
    }
    for file in folder(dir, "imports", faults) {
        read_toml(&file, faults, |table| {
            each(table, "mapping", &mut draft.imports, imports::mapping);
        });
    }
    draft
}

fn each<T>(table: &Table<'_>, key: &str, into: &mut Vec<Sited<T>>, read: impl Fn(&Table<'_>) -> T) {
    for item in table.tables(key) {
        into.push(Sited { value: read(&item), sites: item.sites() });
        item.finish();
    }
}

fn open(dir: &Path, name: &str, faults: &Faults) -> Option<Arc<SourceFile>> {
    SourceFile::read(dir, name).map_err(|fault| faults.borrow_mut().push(fault)).ok()
}

/// The folder's TOML files by name; none where there is no such folder.
fn folder(dir: &Path, name: &str, faults: &Faults) -> Vec<Arc<SourceFile>> {
    let Ok(entries) = std::fs::read_dir(dir.join(name)) else { return Vec::new() };
    let mut files: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|file| file.ends_with(".toml") && !file.starts_with('.'))
        .map(|file| format!("{name}/{file}"))
        .collect();
    files.sort();
    if files.len() > FOLDER_FILES_MAX {
        let place = Place { file: name.into(), line: 1, column: 1 };
        faults.borrow_mut().push(
            Diagnostic::new(place, "too many files in the folder")
                .expected(format!("at most {FOLDER_FILES_MAX}"))
                .found(files.len().to_string()),
        );
        files.clear();
    }
    files.iter().filter_map(|file| open(dir, file, faults)).collect()
}

fn read_city(table: &Table<'_>, draft: &mut Draft) {
    table.integer("format", FORMAT..FORMAT + 1);
    if let Some(units) = table.table_if("units") {
        for code in units.keys() {
            draft.units.push((code.clone(), units.label(&code)));
        }
        units.finish();
    }
    let Some(city) = table.table("city") else { return };
    let offset =
        city.integer("utc_offset_minutes", -UTC_OFFSET_MINUTES_MAX..UTC_OFFSET_MINUTES_MAX + 1);
    let value = City {
        code: city.text("code"),
        name: city.label("name"),
        zone: city.text("zone"),
        utc_offset_minutes: i32::try_from(offset).expect("offsets are bounded above"),
        operator: city.text("operator"),
        place: city.own_place(),
    };
    city.finish();
    draft.city = Some(Sited { value, sites: city.sites() });
}
