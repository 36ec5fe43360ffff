//! Import mappings: that what they read and what they make exist and fit.

use std::collections::BTreeSet;

use regex::Regex;

use super::datasets::word;
use super::{Names, known, unique};
use crate::diagnostics::Diagnostic;
use crate::load::{Draft, Sited};
use crate::model::{Contract, Field, FieldType, ImportMapping, Place, Shape, ValueSource};
use crate::source::Sites;

/// How a placeholder may be written: `{column|integer}` is a number without its decimals.
const FORMS: [&str; 1] = ["integer"];

pub(super) fn check(draft: &Draft, names: &Names<'_>) {
    let imports = &draft.imports;
    unique("mapping", imports.iter().map(|m| (m.value.id.as_str(), m.sites.place("id"))), names);
    for Sited { value, sites, .. } in imports {
        names.dataset(&value.dataset, || sites.place("dataset"));
        let columns: BTreeSet<&str> = value.columns.iter().map(String::as_str).collect();
        if columns.is_empty() {
            names.fault(
                Diagnostic::new(sites.place("columns"), "the mapping names no columns")
                    .mend("name those by which its files are known"),
            );
        }
        for (index, skip) in value.skip.iter().enumerate() {
            let place = || sites.place(&format!("skip.{index}.column"));
            known("column", &skip.column, columns.iter().copied(), place, names);
        }
        if let Some(dataset) = names.datasets.get(value.dataset.as_str()) {
            let groups = groups(value, sites, names);
            let mapping = Mapping { value, sites, dataset, columns, groups, names };
            mapping.values();
            mapping.wide();
            mapping.required();
        }
    }
}

/// The named groups of a wide mapping's pattern; `None`, and noted, where it is no pattern.
fn groups(mapping: &ImportMapping, sites: &Sites, names: &Names<'_>) -> Option<BTreeSet<String>> {
    let Shape::Wide { columns, .. } = &mapping.shape else { return Some(BTreeSet::new()) };
    match Regex::new(columns) {
        Ok(pattern) => Some(pattern.capture_names().flatten().map(str::to_owned).collect()),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            names.fault(
                Diagnostic::new(sites.place("wide.columns"), "bad regular expression")
                    .found(reason)
                    .mend("write it in Rust's regex syntax, in single quotes"),
            );
            None
        }
    }
}

struct Mapping<'a> {
    value: &'a ImportMapping,
    sites: &'a Sites,
    dataset: &'a Sited<Contract>,
    columns: BTreeSet<&'a str>,
    /// `None` where they are not known.
    groups: Option<BTreeSet<String>>,
    names: &'a Names<'a>,
}

impl Mapping<'_> {
    fn fault(&self, diagnostic: Diagnostic) {
        self.names.fault(diagnostic);
    }

    fn fields(&self) -> Vec<&str> {
        self.dataset.value.fields.iter().map(|field| field.name.as_str()).collect()
    }

    fn values(&self) {
        for (name, source) in &self.value.values {
            let path = format!("values.{name}");
            known("field", name, self.fields(), || self.sites.place(&path), self.names);
            let ty = self.dataset.value.field(name).map(|field| field.ty);
            match source {
                ValueSource::Column(column) => self.column(column, &format!("{path}.column")),
                ValueSource::Template(template) => {
                    self.template(template, &format!("{path}.template"));
                }
                ValueSource::Lookup { template, .. } => {
                    self.template(template, &format!("{path}.lookup"));
                    if let Some(field) = self.dataset.value.field(name) {
                        self.lookup_codes(field, source, &path);
                    }
                }
                ValueSource::LocalTime(template) => {
                    self.template(template, &format!("{path}.local_time"));
                    self.makes(name, ty, FieldType::Timestamp, "a local time", &path);
                }
                ValueSource::Point { lon, lat } => {
                    self.column(lon, &format!("{path}.lon"));
                    self.column(lat, &format!("{path}.lat"));
                    self.makes(name, ty, FieldType::Geometry, "a point", &path);
                }
            }
        }
    }

    fn makes(&self, name: &str, ty: Option<FieldType>, wanted: FieldType, what: &str, path: &str) {
        if let Some(ty) = ty.filter(|ty| self.dataset.sound && *ty != wanted) {
            self.fault(
                Diagnostic::new(self.sites.place(path), format!("`{name}` cannot take {what}"))
                    .expected(word(wanted))
                    .found(word(ty)),
            );
        }
    }

    /// Values of a coded field that no row could have.
    fn lookup_codes(&self, field: &Field, source: &ValueSource, path: &str) {
        let ValueSource::Lookup { table, .. } = source else { return };
        for (key, code) in table {
            if !field.codes.is_empty() && !code.is_empty() && !field.codes.contains(code) {
                let place = || self.sites.place(&format!("{path}.table.{key}"));
                known("code", code, field.codes.iter().map(String::as_str), place, self.names);
            }
        }
    }

    fn column(&self, column: &str, path: &str) {
        known(
            "column",
            column,
            self.columns.iter().copied(),
            || self.sites.place(path),
            self.names,
        );
    }

    fn template(&self, template: &str, path: &str) {
        match placeholders(template) {
            None => self.fault(
                Diagnostic::new(self.sites.place(path), "a brace without its other")
                    .found(format!("`{template}`"))
                    .mend("write `{column}` or `{group}`"),
            ),
            Some(placeholders) => {
                let Some(groups) = &self.groups else { return };
                let known_names =
                    || self.columns.iter().copied().chain(groups.iter().map(String::as_str));
                for placeholder in placeholders {
                    let (name, form) = placeholder.split_once('|').unwrap_or((placeholder, ""));
                    if !form.is_empty() && !FORMS.contains(&form) {
                        self.fault(
                            Diagnostic::new(
                                self.sites.place(path),
                                format!("unknown form `{form}` of `{name}`"),
                            )
                            .suggest(form, FORMS),
                        );
                    }
                    if !known_names().any(|known| known == name) {
                        self.fault(
                            Diagnostic::new(
                                self.sites.place(path),
                                format!("unknown column or group `{name}`"),
                            )
                            .suggest(name, known_names()),
                        );
                    }
                }
            }
        }
    }

    fn wide(&self) {
        let Shape::Wide { value, .. } = &self.value.shape else { return };
        let place = || self.sites.place("wide.value");
        known("field", value, self.fields(), place, self.names);
        if self.value.values.contains_key(value) {
            self.fault(
                Diagnostic::new(place(), format!("`{value}` is made twice"))
                    .mend("it takes the cell: remove it from the values"),
            );
        }
        if self.dataset.value.field(value).is_some_and(|field| field.ty == FieldType::Geometry) {
            self.fault(
                Diagnostic::new(place(), format!("`{value}` cannot take a cell")).found("geometry"),
            );
        }
    }

    /// Every required field must come from somewhere.
    fn required(&self) {
        let cell = match &self.value.shape {
            Shape::Wide { value, .. } => Some(value),
            Shape::Rows => None,
        };
        for field in self.dataset.value.fields.iter().filter(|field| field.required) {
            let made = self.value.values.contains_key(&field.name) || cell == Some(&field.name);
            if !made {
                let place: Place = self.sites.place("id");
                self.fault(
                    Diagnostic::new(
                        place,
                        format!("the required field `{}` is not made", field.name),
                    )
                    .mend(format!("add `{}` to the mapping's values", field.name)),
                );
            }
        }
    }
}

/// The names in braces; `None` where a brace has no other.
fn placeholders(template: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        if rest.as_bytes()[at] == b'}' {
            return None;
        }
        let after = &rest[at + 1..];
        let end = after.find(['{', '}'])?;
        if after.as_bytes()[end] == b'{' {
            return None;
        }
        names.push(&after[..end]);
        rest = &after[end + 1..];
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_taken_apart() {
        assert_eq!(placeholders("{year}-{month}"), Some(vec!["year", "month"]));
        assert_eq!(placeholders("plain"), Some(vec![]));
        assert_eq!(placeholders("{a"), None);
        assert_eq!(placeholders("a}"), None);
        assert_eq!(placeholders("{a{b}}"), None);
    }
}
