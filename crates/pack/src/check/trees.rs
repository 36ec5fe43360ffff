//! The two trees that everything hangs on: areas and organisations.

use std::collections::{BTreeMap, BTreeSet};

use super::{Names, plain_name, unique};
use crate::codes::{AREA_CODE_DIGITS, area_prefix, credit_code_check, valid_credit_code};
use crate::diagnostics::Diagnostic;
use crate::load::Draft;
use crate::model::{Area, AreaLevel};

/// How many leading digits an official code of this level has; grids append theirs to a
/// community's twelve.
fn prefix_digits(level: AreaLevel) -> Option<usize> {
    match level {
        AreaLevel::City => Some(4),
        AreaLevel::District => Some(6),
        AreaLevel::Street => Some(9),
        AreaLevel::Community => Some(12),
        AreaLevel::Grid | AreaLevel::MicroGrid => None,
    }
}

pub(super) fn areas(draft: &Draft, names: &Names<'_>) {
    unique("area", draft.areas.iter().map(|area| (area.code.as_str(), area.place.clone())), names);
    let by_code: BTreeMap<&str, &Area> =
        draft.areas.iter().map(|area| (area.code.as_str(), area)).collect();

    for area in &draft.areas {
        code_fits_level(area, names);
        match &area.parent {
            Some(parent) => match by_code.get(parent.as_str()) {
                Some(parent) => below(area, parent, names),
                None if draft.unread.areas => {}
                None => names.fault(
                    Diagnostic::new(
                        area.place.clone(),
                        format!("the parent `{parent}` of area `{}` does not exist", area.code),
                    )
                    .mend("add the parent or correct its code"),
                ),
            },
            None if area.level != AreaLevel::City => names.fault(
                Diagnostic::new(area.place.clone(), format!("area `{}` has no parent", area.code))
                    .expected("the code of the area above it"),
            ),
            None => {}
        }
    }

    let parents = draft.areas.iter().map(|a| (a.code.as_str(), a.parent.as_deref()));
    for code in cycles(parents) {
        names.fault(
            Diagnostic::new(by_code[code].place.clone(), format!("area `{code}` is above itself"))
                .mend("break the circle: one of its parents is wrong"),
        );
    }

    if let Some(city) = draft.city.as_ref().filter(|_| !draft.unread.areas) {
        let code = city.value.code.as_str();
        if by_code.get(code).is_none_or(|area| area.level != AreaLevel::City) {
            names.fault(
                Diagnostic::new(city.sites.place("code"), "the city is not among the areas")
                    .expected(format!("an area `{code}` of level city in areas.csv")),
            );
        }
    }
}

fn code_fits_level(area: &Area, names: &Names<'_>) {
    let code = area.code.as_str();
    let fault = |expected: String| {
        let problem = format!("bad code `{code}` of a {}", level_word(area.level));
        names.fault(Diagnostic::new(area.place.clone(), problem).expected(expected).found(
            match code.bytes().all(|byte| byte.is_ascii_digit()) {
                true => format!("{} digits, `{}` before the zeros", code.len(), area_prefix(code)),
                false => "characters that are no digits".to_owned(),
            },
        ));
    };
    let digits_only = code.bytes().all(|byte| byte.is_ascii_digit());
    match prefix_digits(area.level) {
        None if !digits_only || code.len() <= AREA_CODE_DIGITS => {
            fault(format!("more than {AREA_CODE_DIGITS} digits"));
        }
        Some(digits)
            if !digits_only
                || code.len() != AREA_CODE_DIGITS
                || area_prefix(code).len() != digits =>
        {
            fault(format!("{AREA_CODE_DIGITS} digits, zeros after the first {digits}"));
        }
        _ => {}
    }
}

fn below(area: &Area, parent: &Area, names: &Names<'_>) {
    if area.level <= parent.level {
        names.fault(
            Diagnostic::new(
                area.place.clone(),
                format!("area `{}` is not below its parent `{}`", area.code, parent.code),
            )
            .expected(format!("a level below {}", level_word(parent.level)))
            .found(level_word(area.level)),
        );
    } else if !area.code.starts_with(area_prefix(&parent.code)) {
        names.fault(
            Diagnostic::new(
                area.place.clone(),
                format!("area `{}` does not carry its parent's code", area.code),
            )
            .expected(format!("a code that begins with {}", area_prefix(&parent.code)))
            .mend("correct the code or the parent"),
        );
    }
}

fn level_word(level: AreaLevel) -> &'static str {
    match level {
        AreaLevel::City => "city",
        AreaLevel::District => "district",
        AreaLevel::Street => "street",
        AreaLevel::Community => "community",
        AreaLevel::Grid => "grid",
        AreaLevel::MicroGrid => "micro_grid",
    }
}

pub(super) fn organisations(draft: &Draft, names: &Names<'_>) {
    let organisations = &draft.organisations;
    unique(
        "organisation",
        organisations.iter().map(|o| (o.value.id.as_str(), o.sites.place("id"))),
        names,
    );
    for organisation in organisations {
        let (value, sites) = (&organisation.value, &organisation.sites);
        if !value.id.is_empty() && !plain_name(&value.id) {
            names.fault(
                Diagnostic::new(sites.place("id"), format!("bad organisation id `{}`", value.id))
                    .expected("small letters, digits and `_`"),
            );
        }
        names.area(&value.area, || sites.place("area"));
        if let Some(parent) = &value.parent {
            names.organisation(parent, || sites.place("parent"));
        }
        if let Some(code) = value.credit_code.as_deref().filter(|code| !valid_credit_code(code)) {
            let fault =
                Diagnostic::new(sites.place("credit_code"), format!("bad credit code `{code}`"));
            names.fault(match (code.chars().count(), credit_code_check(code)) {
                (18, Some(check)) => fault
                    .expected(format!("check character `{check}` (GB 32100)"))
                    .found(format!("`{}`", code.chars().next_back().unwrap_or_default())),
                (18, None) => fault
                    .expected("digits and capitals without I, O, S, V, Z (GB 32100)")
                    .mend("look for a letter that was misread"),
                (count, _) => {
                    fault.expected("18 characters (GB 32100)").found(format!("{count} characters"))
                }
            });
        }
    }
    if let Some(city) = &draft.city {
        names.organisation(&city.value.operator, || city.sites.place("operator"));
    }
    let parents = organisations.iter().map(|o| (o.value.id.as_str(), o.value.parent.as_deref()));
    for id in cycles(parents) {
        let at = organisations.iter().find(|o| o.value.id == id);
        let place = at.map(|o| o.sites.place("parent")).unwrap_or_default();
        names.fault(
            Diagnostic::new(place, format!("organisation `{id}` is above itself"))
                .mend("break the circle: one of its parents is wrong"),
        );
    }
}

/// One name of each circle among parents, the first in order.
fn cycles<'a>(parents: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Vec<&'a str> {
    let parents: BTreeMap<&str, Option<&str>> = parents.collect();
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for &start in parents.keys() {
        let mut path: Vec<&str> = Vec::new();
        let mut at = Some(start);
        // Each step settles one more name, so the walk is bounded by their number.
        while let Some(name) = at.filter(|name| !settled.contains(name)) {
            if let Some(begin) = path.iter().position(|&seen| seen == name) {
                found.extend(path[begin..].iter().min().copied());
                break;
            }
            path.push(name);
            at = parents.get(name).copied().flatten();
        }
        settled.extend(path);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_circle_is_named_once() {
        let tree = [("a", None), ("b", Some("a")), ("c", Some("b")), ("d", Some("nowhere"))];
        assert!(cycles(tree.into_iter()).is_empty());
        let circles = [
            ("a", Some("c")),
            ("b", Some("a")),
            ("c", Some("b")),
            ("d", Some("a")),
            ("e", Some("e")),
        ];
        assert_eq!(cycles(circles.into_iter()), ["a", "e"]);
    }
}
