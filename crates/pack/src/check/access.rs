//! Access rules: every name in them is there, every rule can hold.

use std::collections::BTreeSet;

use cedar_policy::{EntityUid, Policy, PolicyId, ValidationError, ValidationMode, Validator};

use super::{Names, known};
use crate::access::{self, Action, CLASSES, PLATFORM, SHARING};
use crate::diagnostics::Diagnostic;
use crate::load::{Draft, DraftRules};
use crate::model::PERMISSIONS;
use crate::source::SourceFile;

/// Validates the rules against the schema that the pack's roles and organisations make. Where
/// those could not be read, their names may be there.
pub(super) fn check(draft: &Draft, names: &Names<'_>) {
    let Some(DraftRules { rules, file }) = &draft.access else { return };
    if draft.unread.roles || draft.unread.organisations {
        return;
    }
    let schema = access::schema(names.roles.iter().copied(), names.organisations.iter().copied());
    let result = Validator::new(schema).validate(rules.policies(), ValidationMode::Strict);
    for error in result.validation_errors() {
        // Said below, in the words that every wrong name of a pack is told in.
        use ValidationError::{InvalidEnumEntity, UnrecognizedActionId};
        if matches!(error, InvalidEnumEntity(_) | UnrecognizedActionId(_)) {
            continue;
        }
        names.fault(fault(file, error, error.policy_id(), rules.policies()));
    }
    for warning in result.validation_warnings() {
        names.fault(fault(file, warning, warning.policy_id(), rules.policies()));
    }
    for rule in rules.policies().policies() {
        named(rule, file, names);
    }
}

/// What the validator says, without the number that it gives the rule, at the place that it means.
fn fault(
    file: &SourceFile,
    told: &(impl miette::Diagnostic + std::fmt::Display),
    policy: &PolicyId,
    policies: &cedar_policy::PolicySet,
) -> Diagnostic {
    let rule = policies.policy(policy);
    let text = told.to_string();
    let prefix = format!("for policy `{policy}`");
    let problem = text
        .strip_prefix(&prefix)
        .map_or(text.as_str(), |rest| rest.trim_start_matches([',', ':', ' ']));
    let place = start(told).or_else(|| rule.and_then(|rule| found(file, rule)));
    let fault = Diagnostic::new(file.place(place.unwrap_or(0)), problem);
    match told.help() {
        Some(help) => fault.mend(help.to_string()),
        None => fault,
    }
}

/// The offset that a diagnostic of Cedar points at.
pub(crate) fn start(told: &impl miette::Diagnostic) -> Option<usize> {
    told.labels()?.next().map(|label| label.offset())
}

/// Where a rule stands in its file.
fn found(file: &SourceFile, rule: &Policy) -> Option<usize> {
    file.text.find(&rule.to_string())
}

/// Looks up what a rule names.
fn named(rule: &Policy, file: &SourceFile, names: &Names<'_>) {
    let named: BTreeSet<EntityUid> = rule.entity_literals().into_iter().collect();
    for uid in &named {
        let (kind, id): (_, &str) = (uid.type_name().basename(), uid.id().as_ref());
        let place = || {
            let own = found(file, rule).unwrap_or(0);
            let written = file.text[own..].find(&uid.to_string());
            file.place(written.map_or(own, |at| own + at))
        };
        match kind {
            "Role" => names.role(id, place),
            "Organisation" => names.organisation(id, place),
            "Dataset" => names.dataset(id, place),
            "Permission" => known("permission", id, PERMISSIONS, place, names),
            "Class" => known("class", id, CLASSES, place, names),
            "Sharing" => known("sharing attribute", id, SHARING, place, names),
            "Platform" => known("platform", id, [PLATFORM], place, names),
            "Action" => known("action", id, Action::ALL.iter().map(|a| a.name()), place, names),
            // Users come and go.
            _ => {}
        }
    }
}
