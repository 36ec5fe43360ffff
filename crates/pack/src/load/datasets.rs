//! Reads a dataset's contract: one file, one dataset.
//!
//! Judges what a value says by itself; references and types across fields are `check`'s.

use crate::diagnostics::Diagnostic;
use crate::model::{
    Class, Contract, DatasetKind, DriftRule, Field, FieldType, Pii, QualityRule, Severity, Sharing,
    SharingAttribute, Text,
};
use crate::reader::Table;

const MINUTES_HOUR: u64 = 60;
const MINUTES_DAY: u64 = 24 * MINUTES_HOUR;

/// Longest period that a contract may name: a century.
const PERIOD_MINUTES_MAX: u64 = 100 * 366 * MINUTES_DAY;

const RETENTION_DAYS_MAX: i64 = 100 * 366;

/// Sensitivity levels: 1 open, 2 internal, 3 restricted, 4 secret.
const LEVEL_MAX: i64 = 4;

const KINDS: [(&str, DatasetKind); 3] = [
    ("stream", DatasetKind::Stream),
    ("snapshot", DatasetKind::Snapshot),
    ("register", DatasetKind::Register),
];

const TYPES: [(&str, FieldType); 10] = [
    ("text", FieldType::Text),
    ("integer", FieldType::Integer),
    ("number", FieldType::Number),
    ("boolean", FieldType::Boolean),
    ("date", FieldType::Date),
    ("timestamp", FieldType::Timestamp),
    ("money", FieldType::Money),
    ("area_code", FieldType::AreaCode),
    ("organisation_id", FieldType::OrganisationId),
    ("geometry", FieldType::Geometry),
];

const CLASSES: [(&str, Class); 3] =
    [("general", Class::General), ("important", Class::Important), ("core", Class::Core)];

const PII: [(&str, Pii); 6] = [
    ("none", Pii::None),
    ("name", Pii::Name),
    ("identity_number", Pii::IdentityNumber),
    ("phone", Pii::Phone),
    ("address", Pii::Address),
    ("sensitive", Pii::Sensitive),
];

const ATTRIBUTES: [(&str, SharingAttribute); 3] = [
    ("unconditional", SharingAttribute::Unconditional),
    ("conditional", SharingAttribute::Conditional),
    ("not_shared", SharingAttribute::NotShared),
];

const DRIFTS: [(&str, DriftRule); 2] =
    [("refuse", DriftRule::Refuse), ("evolve", DriftRule::Evolve)];

const SEVERITIES: [(&str, Severity); 2] =
    [("error", Severity::Error), ("warning", Severity::Warning)];

pub(super) fn contract(table: &Table<'_>) -> Contract {
    let retention = table.integer_if("retention_days", 1..RETENTION_DAYS_MAX + 1);
    Contract {
        id: table.text("id"),
        resource_id: table.text("resource_id"),
        title: table.label("title"),
        description: table.label("description"),
        theme: table.text("theme"),
        keywords: table.texts("keywords"),
        owner: owner(table),
        accountable: table.text("accountable"),
        source_system: table.text("source_system"),
        kind: table.choice("kind", &KINDS),
        fields: fields(table),
        key: table.texts("key"),
        time: table.text_if("time"),
        geometry: table.text_if("geometry"),
        update_period_minutes: period(table, "update_period"),
        freshness_limit_minutes: period(table, "freshness_limit"),
        sharing: sharing(table),
        open: table.flag("open"),
        published: table.text("published"),
        related: table.texts("related"),
        retention_days: retention.map(|days| u32::try_from(days).expect("bounded above")),
        drift: table.choice_if("drift", &DRIFTS).unwrap_or_default(),
        quality: quality(table),
        place: table.place("id"),
    }
}

/// One department answers for a dataset (数源部门). Naming two is the commonest way to have none.
fn owner(table: &Table<'_>) -> String {
    if table.type_of("owner") != Some("array") {
        return table.text("owner");
    }
    let owners = table.texts("owner");
    table.fault(
        Diagnostic::new(table.place("owner"), "a dataset has one owner")
            .expected("an organisation's id")
            .found(format!("{} owners: {}", owners.len(), owners.join(", ")))
            .mend("name the one that answers for the rows; others get them by sharing"),
    );
    owners.into_iter().next().unwrap_or_default()
}

fn fields(table: &Table<'_>) -> Vec<Field> {
    let fields = table.tables("field");
    if fields.is_empty() {
        table.fault(
            Diagnostic::new(table.own_place(), "the dataset has no fields")
                .mend("add a `[[field]]`"),
        );
    }
    fields
        .iter()
        .map(|field| {
            let level_unwritten = if field.has("level") { LEVEL_MAX } else { 1 };
            let level = field.integer_if("level", 1..LEVEL_MAX + 1).unwrap_or(level_unwritten);
            let read = Field {
                name: field.text("name"),
                ty: field.choice("type", &TYPES),
                unit: field.text_if("unit"),
                title: field.label("title"),
                description: field.label_if("description").unwrap_or_default(),
                class: field.choice_if("class", &CLASSES),
                level: u8::try_from(level).expect("bounded above"),
                pii: field.choice_if("pii", &PII).unwrap_or_default(),
                required: field.flag("required"),
                aliases: field.texts("aliases"),
                codes: field.texts("codes"),
                labels: field.labels("labels"),
                place: field.own_place(),
            };
            field.finish();
            read
        })
        .collect()
}

fn sharing(table: &Table<'_>) -> Sharing {
    let Some(sharing) = table.table("sharing") else {
        let (legal_ground, conditions) = (Text::default(), Text::default());
        return Sharing { attribute: SharingAttribute::NotShared, legal_ground, conditions };
    };
    let read = Sharing {
        attribute: sharing.choice("attribute", &ATTRIBUTES),
        legal_ground: sharing.label_if("legal_ground").unwrap_or_default(),
        conditions: sharing.label_if("conditions").unwrap_or_default(),
    };
    sharing.finish();
    read
}

fn quality(table: &Table<'_>) -> Vec<QualityRule> {
    table
        .tables("quality")
        .iter()
        .map(|rule| {
            let read = QualityRule {
                id: rule.text("id"),
                sql: rule.text("sql"),
                severity: rule.choice_if("severity", &SEVERITIES).unwrap_or_default(),
                title: rule.label("title"),
                place: rule.own_place(),
            };
            rule.finish();
            read
        })
        .collect()
}

/// An ISO 8601 duration in minutes, a month taken as 30 days and a year as 365: periods say how
/// often to expect rows, not when.
fn period(table: &Table<'_>, key: &str) -> Option<u64> {
    let text = table.text_if(key)?;
    let minutes = parse_period(&text).filter(|minutes| (1..=PERIOD_MINUTES_MAX).contains(minutes));
    if minutes.is_none() {
        table.fault(
            Diagnostic::new(table.place(key), format!("`{key}` is not a duration"))
                .expected("an ISO 8601 duration of a minute to a century")
                .found(format!("`{text}`"))
                .mend("write `PT1H`, `P1D`, `P1M` or `P1Y`; leave it out where it is irregular"),
        );
    }
    minutes
}

fn parse_period(text: &str) -> Option<u64> {
    let (date, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (text.strip_prefix('P')?, ""),
    };
    let date_units = [
        ('Y', 365 * MINUTES_DAY),
        ('M', 30 * MINUTES_DAY),
        ('W', 7 * MINUTES_DAY),
        ('D', MINUTES_DAY),
    ];
    let date_minutes = parse_parts(date, &date_units)?;
    let time_minutes = parse_parts(time, &[('H', MINUTES_HOUR), ('M', 1)])?;
    date_minutes.checked_add(time_minutes)
}

/// `1Y6M` by the units that are left, each at most once and in order.
fn parse_parts(mut text: &str, mut units: &[(char, u64)]) -> Option<u64> {
    let mut sum = 0_u64;
    while !text.is_empty() {
        let end = text.find(|character: char| !character.is_ascii_digit())?;
        let count: u64 = text[..end].parse().ok()?;
        let letter = text[end..].chars().next()?;
        let at = units.iter().position(|(unit, _)| *unit == letter)?;
        sum = sum.checked_add(count.checked_mul(units[at].1)?)?;
        units = &units[at + 1..];
        text = &text[end + letter.len_utf8()..];
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_minutes() {
        assert_eq!(parse_period("PT1H"), Some(60));
        assert_eq!(parse_period("P1DT30M"), Some(1_470));
        assert_eq!(parse_period("P10Y"), Some(10 * 365 * 1_440));
        assert_eq!(parse_period("P1M"), Some(30 * 1_440));
        for wrong in ["1H", "PT", "P1H", "P1D1Y", "P1D1D", "Pd", "P1", "PT99999999999999999999H"] {
            assert_eq!(parse_period(wrong), None, "{wrong}");
        }
    }
}
