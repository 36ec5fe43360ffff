//! Reads a pack's folder into typed definitions, each with the places of its parts.
//!
//! ```text
//!  pack.toml            the city, its units
//!  areas.csv            city, districts, streets, communities
//!  organisations.toml   who datasets can belong to
//!  roles.toml           what people may do
//!  access.cedar         who may take which action
//!  datasets/*.toml      a contract each
//!  policies/*.toml      who sees which rows and fields
//!  imports/*.toml       how files become rows
//!  map.toml             what the map shows, in packs that have one
//!  sensing.toml         what sensors are held to and cover, in packs that have one
//!  boards/*.toml        what people look at first
//!  sources/*.toml       how messages of devices become observations
//! ```
//!
//! Reading judges what one value can be judged by; what needs two definitions is `check`'s.

mod access;
mod areas;
mod boards;
mod datasets;
mod imports;
mod map;
mod rules;
mod sensing;
mod sources;

use std::path::Path;
use std::sync::Arc;

use crate::access::Rules;
use crate::check;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::map::MapPlan;
use crate::mapped::Source;
use crate::model::{
    Area, Board, City, Contract, Exclusive, ImportMapping, Organisation, Pack, Place, Policy, Role,
    Text,
};
use crate::reader::{Faults, Table, read_toml};
use crate::sensing::SensingPlan;
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
    /// Every part of it could be read. Where one could not, something stands in for it, and what
    /// does not agree with the stand-in is not the author's mistake.
    pub sound: bool,
}

/// Kinds of definitions of which a file could not be read. A name that is not there may be there.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pub units: bool,
    pub areas: bool,
    pub organisations: bool,
    pub roles: bool,
    pub datasets: bool,
    pub policies: bool,
}

/// Access rules as they were read.
#[derive(Debug)]
pub(crate) struct DraftRules {
    pub rules: Rules,
    pub file: Arc<SourceFile>,
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
    pub exclusives: Vec<Sited<Exclusive>>,
    pub policies: Vec<Sited<Policy>>,
    pub imports: Vec<Sited<ImportMapping>>,
    pub map: Option<Sited<MapPlan>>,
    pub sensing: Option<Sited<SensingPlan>>,
    pub boards: Vec<Sited<Board>>,
    pub sources: Vec<Sited<Source>>,
    pub access: Option<DraftRules>,
    pub unread: Unread,
}

/// Loads and checks a pack. An error lists every mistake found in one run, in order of place.
pub fn load(dir: &Path) -> Result<Pack, Diagnostics> {
    let faults = Faults::default();
    let draft = read(dir, &faults);
    check::check(&draft, &faults);
    let mut faults = faults.into_inner();
    faults.sort();
    let mut roles = values(draft.roles);
    rules::exclude(&mut roles, &values(draft.exclusives));
    match draft.city {
        Some(city) if faults.is_empty() => Ok(Pack {
            dir: dir.to_owned(),
            city: city.value,
            units: draft.units.into_iter().collect(),
            areas: draft.areas,
            organisations: values(draft.organisations),
            datasets: values(draft.datasets).into_iter().map(|c| (c.id.clone(), c)).collect(),
            roles,
            policies: values(draft.policies),
            imports: values(draft.imports),
            map: draft.map.map(|map| map.value),
            sensing: draft.sensing.map(|sensing| sensing.value).unwrap_or_default(),
            boards: values(draft.boards).into_iter().map(|b| (b.id.clone(), b)).collect(),
            sources: values(draft.sources),
            access: draft.access.map(|access| access.rules).unwrap_or_default(),
        }),
        _ => Err(faults),
    }
}

fn values<T>(sited: Vec<Sited<T>>) -> Vec<T> {
    sited.into_iter().map(|sited| sited.value).collect()
}

fn read(dir: &Path, faults: &Faults) -> Draft {
    let mut draft = Draft::default();
    draft.unread.units = !file(dir, "pack.toml", faults, |table| read_city(table, &mut draft));
    match open(dir, "areas.csv", faults).and_then(|file| areas::read(&file, faults)) {
        Some(areas) => draft.areas = areas,
        None => draft.unread.areas = true,
    }
    draft.access = open(dir, "access.cedar", faults).and_then(|file| access::read(&file, faults));
    let Draft {
        organisations,
        roles,
        exclusives,
        datasets,
        policies,
        imports,
        map: drawn,
        sensing: sensed,
        boards,
        sources,
        unread,
        ..
    } = &mut draft;
    unread.organisations = !file(dir, "organisations.toml", faults, |table| {
        each(table, "organisation", organisations, faults, rules::organisation);
    });
    unread.roles = !file(dir, "roles.toml", faults, |table| {
        each(table, "role", roles, faults, rules::role);
        each(table, "exclusive", exclusives, faults, rules::exclusive);
    });
    unread.datasets = !folder(dir, "datasets", faults, |table| {
        one(table, datasets, faults, datasets::contract);
    });
    unread.policies = !folder(dir, "policies", faults, |table| {
        each(table, "policy", policies, faults, rules::policy);
    });
    folder(dir, "imports", faults, |table| {
        each(table, "mapping", imports, faults, imports::mapping);
    });
    if dir.join("map.toml").exists() {
        file(dir, "map.toml", faults, |table| {
            let before = faults.borrow().count();
            let value = map::plan(table);
            let sound = faults.borrow().count() == before;
            *drawn = Some(Sited { value, sites: table.sites(), sound });
        });
    }
    if dir.join("sensing.toml").exists() {
        file(dir, "sensing.toml", faults, |table| {
            let before = faults.borrow().count();
            let value = sensing::plan(table);
            let sound = faults.borrow().count() == before;
            *sensed = Some(Sited { value, sites: table.sites(), sound });
        });
    }
    folder(dir, "boards", faults, |table| {
        one(table, boards, faults, boards::board);
    });
    folder(dir, "sources", faults, |table| {
        one(table, sources, faults, sources::source);
    });
    draft
}

/// Reads each table of a list as one definition.
fn each<T>(
    table: &Table<'_>,
    key: &str,
    into: &mut Vec<Sited<T>>,
    faults: &Faults,
    read: impl Fn(&Table<'_>) -> T,
) {
    for item in table.tables(key) {
        one(&item, into, faults, &read);
        item.finish();
    }
}

/// Reads a table as one definition.
fn one<T>(
    table: &Table<'_>,
    into: &mut Vec<Sited<T>>,
    faults: &Faults,
    read: impl Fn(&Table<'_>) -> T,
) {
    let before = faults.borrow().count();
    let value = read(table);
    let sound = faults.borrow().count() == before;
    into.push(Sited { value, sites: table.sites(), sound });
}

/// Reads one file that every pack has; says whether it could.
fn file(dir: &Path, name: &str, faults: &Faults, read: impl FnOnce(&Table<'_>)) -> bool {
    open(dir, name, faults).is_some_and(|file| read_toml(&file, faults, read))
}

fn open(dir: &Path, name: &str, faults: &Faults) -> Option<Arc<SourceFile>> {
    SourceFile::read(dir, name).map_err(|fault| faults.borrow_mut().push(fault)).ok()
}

/// Reads the folder's TOML files by name, none where there is no such folder; says whether it
/// could read all of them. A file that cannot be listed is a fault: left out, a policy would give
/// way to the next one.
fn folder(dir: &Path, name: &str, faults: &Faults, mut read: impl FnMut(&Table<'_>)) -> bool {
    let place = || Place { file: name.into(), line: 1, column: 1 };
    let note = |fault: Diagnostic| faults.borrow_mut().push(fault);
    let unlisted = |error: std::io::Error| {
        note(Diagnostic::new(place(), format!("cannot list the folder: {error}")));
    };
    let entries = match std::fs::read_dir(dir.join(name)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return true,
        Err(error) => {
            unlisted(error);
            return false;
        }
    };
    let mut files = Vec::new();
    let mut whole = true;
    for entry in entries {
        let file = match entry {
            Ok(entry) => entry.file_name(),
            Err(error) => {
                unlisted(error);
                whole = false;
                continue;
            }
        };
        match file.into_string() {
            Ok(file) if file.ends_with(".toml") && !file.starts_with('.') => {
                files.push(format!("{name}/{file}"));
            }
            Ok(_) => {}
            Err(odd) => {
                note(
                    Diagnostic::new(place(), "a file's name is not UTF-8")
                        .found(odd.to_string_lossy().into_owned())
                        .mend("rename it"),
                );
                whole = false;
            }
        }
    }
    files.sort();
    if files.len() > FOLDER_FILES_MAX {
        note(
            Diagnostic::new(place(), "too many files in the folder")
                .expected(format!("at most {FOLDER_FILES_MAX}"))
                .found(files.len().to_string()),
        );
        return false;
    }
    for name in &files {
        whole &= file(dir, name, faults, &mut read);
    }
    whole
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
    draft.city = Some(Sited { value, sites: city.sites(), sound: true });
}
