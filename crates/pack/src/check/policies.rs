//! Roles and policies: who may do what, and who sees what how.

use std::collections::BTreeMap;

use super::datasets::{expression, word};
use super::{Names, known, unique};
use crate::diagnostics::Diagnostic;
use crate::load::{Draft, Sited};
use crate::model::{
    Applies, Contract, FieldType, Mask, PERMISSIONS, Pii, Place, Policy, SharingAttribute,
};
use crate::sql::Scope;

pub(super) fn roles(draft: &Draft, names: &Names<'_>) {
    let roles = &draft.roles;
    unique(
        "role",
        roles.iter().map(|role| (role.value.id.as_str(), role.sites.place("id"))),
        names,
    );
    for role in roles {
        for (index, permission) in role.value.permissions.iter().enumerate() {
            let place = || role.sites.place(&format!("permissions.{index}"));
            known("permission", permission, PERMISSIONS, place, names);
        }
    }
    for exclusive in &draft.exclusives {
        let (roles, sites) = (&exclusive.value.roles, &exclusive.sites);
        for (index, role) in roles.iter().enumerate() {
            names.role(role, || sites.place(&format!("roles.{index}")));
            if roles[..index].contains(role) {
                let place = sites.place(&format!("roles.{index}"));
                names.fault(Diagnostic::new(place, format!("role `{role}` is named twice")));
            }
        }
        if exclusive.sound && roles.len() < 2 {
            names.fault(
                Diagnostic::new(sites.place("roles"), "one role excludes no other")
                    .expected("two roles or more")
                    .found(roles.len().to_string()),
            );
        }
    }
}

pub(super) fn check(draft: &Draft, names: &Names<'_>) {
    let policies = &draft.policies;
    unique("policy", policies.iter().map(|p| (p.value.id.as_str(), p.sites.place("id"))), names);
    let mut open_to_all: BTreeMap<&str, &str> = BTreeMap::new();
    for policy in policies {
        let (value, sites) = (&policy.value, &policy.sites);
        names.dataset(&value.dataset, || sites.place("dataset"));
        match &value.applies {
            Applies::Role(role) => names.role(role, || sites.place("applies.role")),
            Applies::Organisation(organisation) => {
                names.organisation(organisation, || sites.place("applies.organisation"));
            }
            Applies::Owner | Applies::Everyone => {}
        }
        if let Some(before) = open_to_all.get(value.dataset.as_str()) {
            names.fault(
                Diagnostic::new(sites.place("id"), format!("policy `{}` never applies", value.id))
                    .found(format!("`{before}` before it, which applies to everyone"))
                    .mend("put it first"),
            );
        }
        if value.applies == Applies::Everyone {
            open_to_all.insert(&value.dataset, &value.id);
        }
        if let Some(dataset) = names.datasets.get(value.dataset.as_str()) {
            shown(policy, dataset, names);
        }
    }
}

/// What a policy shows of its dataset.
fn shown(policy: &Sited<Policy>, dataset: &Sited<Contract>, names: &Names<'_>) {
    let Sited { value, sites, .. } = policy;
    let contract = &dataset.value;
    let fields: Vec<&str> = contract.fields.iter().map(|field| field.name.as_str()).collect();
    if let Some(filter) = &value.row_filter {
        expression(filter, dataset, Scope::Session, sites, "row_filter", names);
    }
    for (index, name) in value.hidden.iter().enumerate() {
        let place = || sites.place(&format!("hidden.{index}"));
        known("field", name, fields.iter().copied(), place, names);
        if value.masks.contains_key(name) {
            names.fault(
                Diagnostic::new(place(), format!("`{name}` is both masked and hidden"))
                    .mend("choose one"),
            );
        }
    }
    for (name, mask) in &value.masks {
        let place = || sites.place(&format!("masks.{name}"));
        known("field", name, fields.iter().copied(), place, names);
        if let Some(field) = contract.field(name).filter(|_| dataset.sound) {
            mask_fits(name, mask, field.ty, place, names);
        }
    }
    if value.applies == Applies::Everyone {
        open(value, contract, |path| sites.place(path), names);
    }
}

fn mask_fits(
    name: &str,
    mask: &Mask,
    ty: FieldType,
    place: impl FnOnce() -> Place,
    names: &Names<'_>,
) {
    let text = matches!(ty, FieldType::Text | FieldType::AreaCode | FieldType::OrganisationId);
    let (mask, fits, expected) = match mask {
        Mask::Redact => return,
        Mask::LastFour => ("last_four", text, "text"),
        Mask::Token => ("token", text, "text"),
        Mask::YearOnly => {
            let fits = matches!(ty, FieldType::Date | FieldType::Timestamp);
            ("year_only", fits, "date or timestamp")
        }
    };
    if !fits {
        names.fault(
            Diagnostic::new(place(), format!("the mask `{mask}` does not fit `{name}`"))
                .expected(expected)
                .found(word(ty))
                .mend("`redact` fits every type"),
        );
    }
}

/// What everyone sees must be shared unconditionally and tell of nobody.
fn open(value: &Policy, contract: &Contract, place: impl Fn(&str) -> Place, names: &Names<'_>) {
    if contract.sharing.attribute != SharingAttribute::Unconditional {
        names.fault(
            Diagnostic::new(
                place("applies"),
                format!("`{}` is not shared unconditionally but shown to everyone", contract.id),
            )
            .mend("name a role or an organisation, or change the sharing attribute"),
        );
    }
    for field in contract.fields.iter().filter(|field| field.pii != Pii::None) {
        if !value.masks.contains_key(&field.name) && !value.hidden.contains(&field.name) {
            names.fault(
                Diagnostic::new(
                    place("id"),
                    format!("the personal field `{}` is shown plain to everyone", field.name),
                )
                .mend("mask or hide it"),
            );
        }
    }
}
