//! Reads organisations, roles and policies.
//!
//! Judges nothing that needs a second definition.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::Diagnostic;
use crate::model::{Applies, Exclusive, Mask, Organisation, Policy, Role};
use crate::reader::Table;

const MASKS: [(&str, Mask); 4] = [
    ("redact", Mask::Redact),
    ("last_four", Mask::LastFour),
    ("year_only", Mask::YearOnly),
    ("token", Mask::Token),
];

const MIN_CELL_MAX: i64 = 1_000;

pub(super) fn organisation(table: &Table<'_>) -> Organisation {
    Organisation {
        id: table.text("id"),
        credit_code: table.text_if("credit_code"),
        parent: table.text_if("parent"),
        name: table.label("name"),
        kind: table.text("kind"),
        area: table.text("area"),
        place: table.own_place(),
    }
}

pub(super) fn role(table: &Table<'_>) -> Role {
    Role {
        id: table.text("id"),
        title: table.label("title"),
        permissions: table.texts("permissions"),
        second_factor: table.flag("second_factor"),
        excludes: BTreeSet::new(),
        place: table.own_place(),
    }
}

pub(super) fn exclusive(table: &Table<'_>) -> Exclusive {
    Exclusive { roles: table.texts("roles"), place: table.own_place() }
}

/// Tells each role which others its holder may not have.
pub(super) fn exclude(roles: &mut [Role], exclusives: &[Exclusive]) {
    for role in roles {
        let together = exclusives.iter().filter(|group| group.roles.contains(&role.id));
        let others = together.flat_map(|group| &group.roles).filter(|other| **other != role.id);
        role.excludes = others.cloned().collect();
    }
}

pub(super) fn policy(table: &Table<'_>) -> Policy {
    let min_cell = table.integer_if("min_cell", 2..MIN_CELL_MAX + 1);
    Policy {
        id: table.text("id"),
        dataset: table.text("dataset"),
        applies: applies(table),
        row_filter: table.text_if("row_filter"),
        masks: masks(table),
        hidden: table.texts("hidden"),
        min_cell: min_cell.map(|rows| u32::try_from(rows).expect("bounded above")),
        place: table.own_place(),
    }
}

/// `"owner"`, `"everyone"`, `{ role = "…" }` or `{ organisation = "…" }`.
fn applies(table: &Table<'_>) -> Applies {
    if table.type_of("applies") != Some("table") {
        let whole = [("owner", Applies::Owner), ("everyone", Applies::Everyone)];
        return table.choice("applies", &whole);
    }
    let Some(scope) = table.table_if("applies") else { return Applies::Owner };
    let applies = match (scope.text_if("role"), scope.text_if("organisation")) {
        (Some(role), None) => Applies::Role(role),
        (None, Some(organisation)) => Applies::Organisation(organisation),
        _ => {
            table.fault(
                Diagnostic::new(table.place("applies"), "`applies` names not one holder")
                    .expected("either a role or an organisation")
                    .mend("write a policy for each"),
            );
            Applies::Owner
        }
    };
    scope.finish();
    applies
}

fn masks(table: &Table<'_>) -> BTreeMap<String, Mask> {
    let Some(masks) = table.table_if("masks") else { return BTreeMap::new() };
    let mut read = BTreeMap::new();
    for field in masks.keys() {
        if let Some(mask) = masks.choice_named(&field, "mask", &MASKS) {
            read.insert(field, mask);
        }
    }
    masks.finish();
    read
}
