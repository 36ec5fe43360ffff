//! Judges what needs two definitions: references, trees, types across fields, expressions.
//!
//! Each verb notes every fault it finds and stops at none. Knows no files beyond the places that
//! definitions carry.

mod datasets;
mod imports;
mod policies;
mod trees;

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::Diagnostic;
use crate::load::Draft;
use crate::model::{Contract, Place};
use crate::reader::Faults;

/// The names that definitions may refer to, and where faults go.
pub(crate) struct Names<'a> {
    pub units: BTreeSet<&'a str>,
    pub areas: BTreeSet<&'a str>,
    pub organisations: BTreeSet<&'a str>,
    pub roles: BTreeSet<&'a str>,
    pub datasets: BTreeMap<&'a str, &'a Contract>,
    faults: &'a Faults,
}

impl Names<'_> {
    fn fault(&self, diagnostic: Diagnostic) {
        self.faults.borrow_mut().push(diagnostic);
    }
}

pub(crate) fn check(draft: &Draft, faults: &Faults) {
    let names = Names {
        units: draft.units.iter().map(|(code, _)| code.as_str()).collect(),
        areas: draft.areas.iter().map(|area| area.code.as_str()).collect(),
        organisations: draft.organisations.iter().map(|o| o.value.id.as_str()).collect(),
        roles: draft.roles.iter().map(|role| role.value.id.as_str()).collect(),
        datasets: draft.datasets.iter().map(|d| (d.value.id.as_str(), &d.value)).collect(),
        faults,
    };
    trees::areas(draft, &names);
    trees::organisations(draft, &names);
    datasets::check(draft, &names);
    policies::roles(draft, &names);
    policies::check(draft, &names);
    imports::check(draft, &names);
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
) -> bool {
    let found = name.is_empty() || among.clone().into_iter().any(|known| known == name);
    if !found {
        names.fault(
            Diagnostic::new(place(), format!("unknown {what} `{name}`")).suggest(name, among),
        );
    }
    found
}

/// Names that are written in SQL without quotes: `air`, `observed_at`.
fn plain_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
