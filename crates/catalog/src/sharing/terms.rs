//! What may be asked for and what may be granted: the checks, apart from who and when.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use pack::{Contract, SharingAttribute};

use super::{Ask, Grant, Request, SharingError, Terms};
use crate::session::Principal;

/// Access is asked for anew after three years at the latest.
const TERM_DAYS_MAX: i64 = 3 * 366;
const TEXT_CHARS_MAX: usize = 2_000;

pub(super) fn check_ask(
    contract: &Contract,
    ask: &Ask,
    principal: &Principal,
    now: DateTime<Utc>,
) -> Result<(), SharingError> {
    if contract.sharing.attribute == SharingAttribute::NotShared {
        return Err(SharingError::NotShared {
            dataset: contract.id.clone(),
            ground: contract.sharing.legal_ground.zh.clone(),
        });
    }
    if principal.organisations.contains(&contract.owner) {
        return Err(SharingError::OwnDataset(contract.id.clone()));
    }
    // What nobody classified has no name outside its owner.
    let contract = &nameable(contract);
    check_fields(contract, &ask.fields)?;
    check_text("purpose", &ask.purpose)?;
    check_text("legal_ground", &ask.legal_ground)?;
    if let Some(rows) = &ask.rows {
        check_predicate(contract, "rows", rows)?;
    }
    if ask.until <= now || ask.until > now + TimeDelta::days(TERM_DAYS_MAX) {
        return Err(SharingError::Terms {
            field: "until",
            problem: format!("expected a time within the next {TERM_DAYS_MAX} days"),
        });
    }
    Ok(())
}

/// The grant that the terms make of the request: narrower or the same, never wider.
pub(super) fn settle(
    contract: &Contract,
    request: &Request,
    terms: Terms,
    granted_by: &str,
    now: DateTime<Utc>,
) -> Result<Grant, SharingError> {
    let fields = terms.fields.unwrap_or_else(|| request.fields.clone());
    check_fields(contract, &fields)?;
    if let Some(extra) = fields.iter().find(|field| !request.fields.contains(field)) {
        return wrong("fields", format!("`{extra}` was not asked for"));
    }
    if let Some(masked) = terms.masks.keys().find(|masked| !fields.contains(masked)) {
        return wrong("masks", format!("`{masked}` is masked but not granted"));
    }
    if let Some(filter) = &terms.row_filter {
        check_predicate(contract, "row_filter", filter)?;
    }
    let row_filter = both(request.rows.as_deref(), terms.row_filter.as_deref());
    if let Some(filter) = &row_filter {
        // Each fits by itself; together they may be longer than a filter can be.
        check_predicate(contract, "row_filter", filter)?;
    }
    let expires_at = terms.expires_at.unwrap_or(request.until);
    if expires_at <= now || expires_at > request.until {
        let until = request.until.to_rfc3339();
        return wrong("expires_at", format!("expected a time after now and up to {until}"));
    }
    Ok(Grant {
        id: request.id,
        dataset: request.dataset.clone(),
        organisation: request.organisation.clone(),
        fields,
        row_filter,
        masks: terms.masks,
        granted_by: granted_by.to_owned(),
        granted_at: now,
        expires_at,
    })
}

/// The contract as those see it who ask: a field without a class is not there.
fn nameable(contract: &Contract) -> Contract {
    let mut contract = contract.clone();
    contract.fields.retain(|field| field.class.is_some());
    contract
}

/// The rows that both filters let through. Each was planned as one whole expression, and each ends
/// with a new line, so that a trailing comment cannot swallow the bracket that closes it.
fn both(asked: Option<&str>, granted: Option<&str>) -> Option<String> {
    match (asked, granted) {
        (Some(asked), Some(granted)) => Some(format!("({asked}\n) AND ({granted}\n)")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

pub(super) fn check_reason(reason: &str) -> Result<(), SharingError> {
    check_text("reason", reason)
}

fn check_fields(contract: &Contract, fields: &[String]) -> Result<(), SharingError> {
    if fields.is_empty() {
        return wrong("fields", "expected at least one field".to_owned());
    }
    let mut seen = BTreeSet::new();
    for name in fields {
        let Some(field) = contract.field(name) else {
            return wrong("fields", format!("`{}` has no field `{name}`", contract.id));
        };
        if field.class.is_none() {
            let problem = format!("`{name}` is unclassified: its owner must classify it first");
            return wrong("fields", problem);
        }
        if !seen.insert(name) {
            return wrong("fields", format!("`{name}` is named twice"));
        }
    }
    Ok(())
}

fn check_text(field: &'static str, text: &str) -> Result<(), SharingError> {
    let chars = text.trim().chars().count();
    if chars == 0 || chars > TEXT_CHARS_MAX {
        return wrong(field, format!("expected 1 to {TEXT_CHARS_MAX} characters, found {chars}"));
    }
    Ok(())
}

fn check_predicate(
    contract: &Contract,
    field: &'static str,
    sql: &str,
) -> Result<(), SharingError> {
    match pack::sql::plan_predicate(contract, sql, pack::sql::Scope::Session) {
        Ok(_) => Ok(()),
        Err(fault) => wrong(field, fault.to_string()),
    }
}

fn wrong<T>(field: &'static str, problem: String) -> Result<T, SharingError> {
    Err(SharingError::Terms { field, problem })
}
