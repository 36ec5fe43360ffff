//! Judges what needs two definitions: references, trees, types across fields, expressions.
//!
//! Each verb notes every fault it finds and stops at none. Knows no files beyond the places that
//! definitions carry.

pub(crate) mod access;
mod boards;
mod datasets;
mod imports;
mod map;
mod policies;
mod sensing;
mod sources;
mod trees;

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::Diagnostic;
use crate::load::{Draft, Sited};
use crate::model::{Contract, Place};
use crate::reader::Faults;

/// The names that definitions may refer to, and where faults go.
pub(crate) struct Names<'a> {
    draft: &'a Draft,
    pub units: BTreeSet<&'a str>,
    pub areas: BTreeSet<&'a str>,
    pub organisations: BTreeSet<&'a str>,
    pub roles: BTreeSet<&'a str>,
    /// The first of each id, where two have one.
    pub datasets: BTreeMap<&'a str, &'a Sited<Contract>>,
    faults: &'a Faults,
}

impl Names<'_> {
    fn fault(&self, diagnostic: Diagnostic) {
        self.faults.borrow_mut().push(diagnostic);
    }

    /// Notes an organisation that is not there.
    fn organisation(&self, id: &str, place: impl FnOnce() -> Place) {
        if !self.draft.unread.organisations {
            known("organisation", id, self.organisations.iter().copied(), place, self);
        }
    }

    fn role(&self, id: &str, place: impl FnOnce() -> Place) {
        if !self.draft.unread.roles {
            known("role", id, self.roles.iter().copied(), place, self);
        }
    }

    fn unit(&self, code: &str, place: impl FnOnce() -> Place) {
        if !self.draft.unread.units {
            known("unit", code, self.units.iter().copied(), place, self);
        }
    }

    fn dataset(&self, id: &str, place: impl FnOnce() -> Place) {
        if !self.draft.unread.datasets {
            known("dataset", id, self.datasets.keys().copied(), place, self);
        }
    }

    /// Codes are not misspelt names: the nearest one is another place, so none is suggested.
    fn area(&self, code: &str, place: impl FnOnce() -> Place) {
        if !self.draft.unread.areas && !code.is_empty() && !self.areas.contains(code) {
            self.fault(
                Diagnostic::new(place(), format!("unknown area `{code}`"))
                    .mend("correct the code or add the area to areas.csv"),
            );
        }
    }
}

pub(crate) fn check(draft: &Draft, faults: &Faults) {
    let mut datasets = BTreeMap::new();
    for dataset in &draft.datasets {
        datasets.entry(dataset.value.id.as_str()).or_insert(dataset);
    }
    let names = Names {
        draft,
        units: draft.units.iter().map(|(code, _)| code.as_str()).collect(),
        areas: draft.areas.iter().map(|area| area.code.as_str()).collect(),
        organisations: draft.organisations.iter().map(|o| o.value.id.as_str()).collect(),
        roles: draft.roles.iter().map(|role| role.value.id.as_str()).collect(),
        datasets,
        faults,
    };
    trees::areas(draft, &names);
    trees::organisations(draft, &names);
    datasets::check(draft, &names);
    policies::roles(draft, &names);
    policies::check(draft, &names);
    imports::check(draft, &names);
    map::check(draft, &names);
    sensing::check(draft, &names);
    boards::check(draft, &names);
    sources::check(draft, &names);
    access::check(draft, &names);
}

/// Notes each name that was given before, pointing at the second and naming the first.
fn unique<'a>(what: &str, named: impl IntoIterator<Item = (&'a str, Place)>, names: &Names<'_>) {
    let mut first: BTreeMap<&str, Place> = BTreeMap::new();
    for (name, place) in named.into_iter().filter(|(name, _)| !name.is_empty()) {
        match first.get(name) {
            None => {
                first.insert(name, place);
            }
            Some(Place { file, line, .. }) => names.fault(
                Diagnostic::new(place, format!("duplicate {what} `{name}`"))
                    .mend(format!("it is already at {file}:{line}: rename or remove one")),
            ),
        }
    }
}

/// Notes a reference to something that is not there.
fn known<'a>(
    what: &str,
    name: &str,
    among: impl IntoIterator<Item = &'a str> + Clone,
    place: impl FnOnce() -> Place,
    names: &Names<'_>,
) {
    if !name.is_empty() && !among.clone().into_iter().any(|known| known == name) {
        names.fault(
            Diagnostic::new(place(), format!("unknown {what} `{name}`")).suggest(name, among),
        );
    }
}

/// Names that are written in SQL without quotes: `air`, `observed_at`.
fn plain_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
