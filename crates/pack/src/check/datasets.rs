//! Contracts: what they refer to, and whether their parts agree.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{Names, known, plain_name, unique};
use crate::diagnostics::Diagnostic;
use crate::load::{Draft, Sited};
use crate::model::{Class, Contract, DatasetKind, Field, FieldType, Pii, Place, SharingAttribute};
use crate::source::Sites;
use crate::sql::{self, Scope};

/// SQL schemas that belong to the database or, `system`, to the platform itself.
const SCHEMAS_TAKEN: [&str; 5] =
    ["information_schema", "pg_catalog", "public", "datafusion", "system"];

/// Personal facts are internal at least: level 1 is for what anybody may see.
const PII_LEVEL_MIN: u8 = 2;

pub(super) fn check(draft: &Draft, names: &Names<'_>) {
    let datasets = &draft.datasets;
    unique("dataset", datasets.iter().map(|d| (d.value.id.as_str(), d.sites.place("id"))), names);
    unique(
        "resource identifier",
        datasets.iter().map(|d| (d.value.resource_id.as_str(), d.sites.place("resource_id"))),
        names,
    );
    let governed: BTreeSet<&str> =
        draft.policies.iter().map(|policy| policy.value.dataset.as_str()).collect();
    for dataset in datasets {
        head(dataset, names);
        fields(dataset, names);
        columns(dataset, names);
        sharing(dataset, names);
        quality(dataset, names);
        let Contract { id, .. } = &dataset.value;
        if !id.is_empty() && !draft.unread.policies && !governed.contains(id.as_str()) {
            names.fault(
                Diagnostic::new(dataset.sites.place("id"), format!("`{id}` has no policy"))
                    .mend("without one nobody can read it: write one in policies/"),
            );
        }
    }
}

fn head(Sited { value, sites, .. }: &Sited<Contract>, names: &Names<'_>) {
    let note = |key: &str, fault: fn(Place) -> Diagnostic| {
        names.fault(fault(sites.place(key)));
    };
    let parts: Vec<&str> = value.id.split('.').collect();
    let plain = parts.len() == 2 && parts.iter().all(|part| plain_name(part));
    if !plain && !value.id.is_empty() {
        note("id", |place| {
            Diagnostic::new(place, "bad dataset id")
                .expected("`domain.name` in small letters, digits and `_`")
        });
    } else if SCHEMAS_TAKEN.contains(&parts[0]) {
        note("id", |place| {
            Diagnostic::new(place, "the dataset's domain is taken by the platform")
                .mend("choose another first part")
        });
    }
    names.organisation(&value.owner, || sites.place("owner"));
    for (index, related) in value.related.iter().enumerate() {
        names.dataset(related, || sites.place(&format!("related.{index}")));
    }
    if !value.published.is_empty() && value.published.parse::<NaiveDate>().is_err() {
        note("published", |place| {
            Diagnostic::new(place, "`published` is not a date").expected("`YYYY-MM-DD`")
        });
    }
    if let (Some(period), Some(limit)) =
        (value.update_period_minutes, value.freshness_limit_minutes)
        && limit < period
    {
        note("freshness_limit", |place| {
            Diagnostic::new(place, "the freshness limit is shorter than the update period")
                .mend("rows would be stale before the next are due: lengthen it")
        });
    }
}

fn fields(Sited { value, sites, sound }: &Sited<Contract>, names: &Names<'_>) {
    let site = |index: usize, key: &str| sites.place(&format!("field.{index}.{key}"));
    unique(
        "field",
        value.fields.iter().enumerate().map(|(i, f)| (f.name.as_str(), site(i, "name"))),
        names,
    );
    for (index, field) in value.fields.iter().enumerate() {
        if !field.name.is_empty() && !plain_name(&field.name) {
            names.fault(
                Diagnostic::new(site(index, "name"), format!("bad field name `{}`", field.name))
                    .expected("small letters, digits and `_`")
                    .mend("put other names among its aliases"),
            );
        }
        if let Some(unit) = &field.unit {
            names.unit(unit, || site(index, "unit"));
            if *sound && !matches!(field.ty, FieldType::Integer | FieldType::Number) {
                names.fault(
                    Diagnostic::new(site(index, "unit"), format!("`{}` has a unit", field.name))
                        .expected("an integer or a number to measure")
                        .found(word(field.ty))
                        .mend("remove the unit or change the type"),
                );
            }
        }
        if *sound && !field.codes.is_empty() && field.ty != FieldType::Text {
            names.fault(
                Diagnostic::new(site(index, "codes"), format!("`{}` is coded", field.name))
                    .expected("text")
                    .found(word(field.ty)),
            );
        }
        if *sound {
            labels(field, |key| site(index, key), names);
        }
        personal(field, || site(index, "pii"), names);
    }
    aliases(value, sites, names);
}

/// Labels are of codes. A field with some has one for each code: a list of which every other word
/// is a code reads worse than one of codes.
fn labels(field: &Field, site: impl Fn(&str) -> Place, names: &Names<'_>) {
    let Field { name, codes, labels, .. } = field;
    if labels.is_empty() {
        return;
    }
    if codes.is_empty() {
        names.fault(
            Diagnostic::new(site("labels"), format!("`{name}` has labels and no codes"))
                .mend("list the values that are allowed: add `codes = [\"…\"]`"),
        );
        return;
    }
    for code in labels.keys() {
        let place = || site(&format!("labels.{code}"));
        known("code", code, codes.iter().map(String::as_str), place, names);
    }
    for (at, code) in codes.iter().enumerate().filter(|(_, code)| !labels.contains_key(*code)) {
        let place = site(&format!("codes.{at}"));
        let words = format!("`{code} = {{ zh = \"…\", en = \"…\" }}`");
        names.fault(
            Diagnostic::new(place, format!("the code `{code}` has no label"))
                .mend(format!("add {words} to the labels, or label none")),
        );
    }
}

fn personal(field: &Field, place: impl Fn() -> Place, names: &Names<'_>) {
    if field.pii == Pii::None {
        return;
    }
    if field.class.is_none() {
        names.fault(
            Diagnostic::new(place(), format!("the personal field `{}` has no class", field.name))
                .expected("class general, important or core (GB/T 43697)")
                .mend("add `class = …`: nobody outside the owner may read it without"),
        );
    } else if field.level < PII_LEVEL_MIN {
        names.fault(
            Diagnostic::new(place(), format!("the personal field `{}` is level 1", field.name))
                .expected(format!("level {PII_LEVEL_MIN} at least"))
                .mend("level 1 is for what anybody may see"),
        );
    }
}

/// A file's column must lead to one field, so names and aliases are one set.
fn aliases(value: &Contract, sites: &Sites, names: &Names<'_>) {
    let mut taken: BTreeMap<String, &str> =
        value.fields.iter().map(|field| (field.name.to_lowercase(), field.name.as_str())).collect();
    for (index, field) in value.fields.iter().enumerate() {
        for (at, alias) in field.aliases.iter().enumerate() {
            match taken.insert(alias.trim().to_lowercase(), &field.name) {
                Some(other) if other != field.name => names.fault(
                    Diagnostic::new(
                        sites.place(&format!("field.{index}.aliases.{at}")),
                        format!("alias `{alias}` of `{}` is `{other}`'s too", field.name),
                    )
                    .mend("a file's column must lead to one field: remove one"),
                ),
                _ => {}
            }
        }
    }
}

/// The fields that the contract gives a part to play.
fn columns(Sited { value, sites, sound }: &Sited<Contract>, names: &Names<'_>) {
    let field_names = || value.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>();
    let field = |name: &str, path: &str| {
        known("field", name, field_names(), || sites.place(path), names);
        value.field(name)
    };
    for (index, name) in value.key.iter().enumerate() {
        let path = format!("key.{index}");
        let Some(found) = field(name, &path) else { continue };
        if !found.required {
            names.fault(
                Diagnostic::new(sites.place(&path), format!("the key field `{name}` may be null"))
                    .expected("a required field")
                    .mend("add `required = true` to it"),
            );
        }
        if found.ty == FieldType::Geometry {
            names.fault(
                Diagnostic::new(
                    sites.place(&path),
                    format!("the key field `{name}` is a geometry"),
                )
                .mend("geometries do not tell rows apart: choose another"),
            );
        }
    }
    if value.key.is_empty() && value.kind != DatasetKind::Stream {
        names.fault(
            Diagnostic::new(sites.place("kind"), "the dataset has no key")
                .mend("its rows are replaced one by one: add `key = [\"…\"]`"),
        );
    }
    let typed = |part: &str, name: &Option<String>, wanted: &[FieldType]| {
        let Some(name) = name else { return };
        let found = field(name, part).filter(|found| *sound && !wanted.contains(&found.ty));
        let Some(found) = found else { return };
        names.fault(
            Diagnostic::new(sites.place(part), format!("`{name}` cannot be the {part} field"))
                .expected(wanted.iter().map(|ty| word(*ty)).collect::<Vec<_>>().join(" or "))
                .found(word(found.ty)),
        );
    };
    typed("time", &value.time, &[FieldType::Timestamp, FieldType::Date]);
    typed("geometry", &value.geometry, &[FieldType::Geometry]);
    if value.retention_days.is_some() && value.time.is_none() {
        names.fault(
            Diagnostic::new(sites.place("retention_days"), "retention without a time field")
                .mend("rows without a time have no age: add `time = \"…\"`"),
        );
    }
    if value.kind == DatasetKind::Stream && value.time.is_none() {
        names.fault(
            Diagnostic::new(sites.place("kind"), "a stream without a time field")
                .mend("add `time = \"…\"`"),
        );
    }
}

fn sharing(Sited { value, sites, .. }: &Sited<Contract>, names: &Names<'_>) {
    let sharing = &value.sharing;
    let unconditional = sharing.attribute == SharingAttribute::Unconditional;
    if !unconditional && sharing.legal_ground.zh.is_empty() {
        names.fault(
            Diagnostic::new(sites.place("sharing.attribute"), "no legal ground for the attribute")
                .expected("the law or rule that limits sharing")
                .mend("add `legal_ground = { zh = \"…\", en = \"…\" }` or share it"),
        );
    }
    if value.open && !unconditional {
        names.fault(
            Diagnostic::new(sites.place("open"), "open to the public but not to departments")
                .expected("attribute = \"unconditional\""),
        );
    }
    let core = value.fields.iter().find(|field| field.class == Some(Class::Core));
    if let Some(core) = core.filter(|_| unconditional) {
        names.fault(
            Diagnostic::new(
                sites.place("sharing.attribute"),
                format!("core data (`{}`) shared unconditionally", core.name),
            )
            .mend("make it conditional or not shared"),
        );
    }
}

fn quality(dataset: &Sited<Contract>, names: &Names<'_>) {
    let Sited { value, sites, .. } = dataset;
    unique(
        "quality rule",
        value
            .quality
            .iter()
            .enumerate()
            .map(|(i, rule)| (rule.id.as_str(), sites.place(&format!("quality.{i}.id")))),
        names,
    );
    for (index, rule) in value.quality.iter().enumerate() {
        let path = format!("quality.{index}.sql");
        expression(&rule.sql, dataset, Scope::Row, sites, &path, names);
    }
}

/// Plans an expression over a dataset's rows and notes what is wrong with it, where it stands.
/// Where the dataset's own fields are in doubt, so would be every fault found here.
pub(super) fn expression(
    text: &str,
    Sited { value: contract, sound, .. }: &Sited<Contract>,
    scope: Scope,
    sites: &Sites,
    path: &str,
    names: &Names<'_>,
) {
    let fields: BTreeSet<&str> = contract.fields.iter().map(|field| field.name.as_str()).collect();
    if text.is_empty() || !sound || fields.len() < contract.fields.len() {
        return;
    }
    for fault in sql::faults(&contract.arrow_schema(), text, scope).err().unwrap_or_default() {
        let place = sites.sql_place(path, text, fault.position);
        let mut diagnostic = Diagnostic::new(place, fault.problem);
        diagnostic.expected = fault.expected;
        diagnostic.found = fault.found;
        diagnostic.mend = fault.mend;
        names.fault(diagnostic);
    }
}

/// A field's type in the words of contracts.
pub(super) fn word(ty: FieldType) -> &'static str {
    match ty {
        FieldType::Text => "text",
        FieldType::Integer => "integer",
        FieldType::Number => "number",
        FieldType::Boolean => "boolean",
        FieldType::Date => "date",
        FieldType::Timestamp => "timestamp",
        FieldType::Money => "money",
        FieldType::AreaCode => "area_code",
        FieldType::OrganisationId => "organisation_id",
        FieldType::Geometry => "geometry",
    }
}
