//! `sensing.toml`: plausible readings, key areas, and how far sensors reach.

use std::ops::Range;

use crate::diagnostics::Diagnostic;
use crate::reader::Table;
use crate::sensing::{ClockBounds, KeyArea, OtherUnit, Plausible, SensingPlan, SensorRange};

/// Ten years: what is later is not late but history.
const SECONDS: Range<i64> = 1..10 * 366 * 86_400;
const READINGS: Range<i64> = 2..1_000_001;
const METRES: (f64, f64) = (1.0, 1_000_000.0);

pub(super) fn plan(table: &Table<'_>) -> SensingPlan {
    let mut plan = SensingPlan::default();
    if let Some(clock) = table.table_if("clock") {
        plan.clock = bounds(&clock);
        clock.finish();
    }
    for area in table.tables("key_area") {
        plan.key_areas.push(KeyArea {
            id: area.text("id"),
            title: area.label("title"),
            areas: area.texts("areas"),
            place: area.own_place(),
        });
        area.finish();
    }
    for range in table.tables("range") {
        plan.ranges.push(SensorRange {
            kind: range.text("kind"),
            metres: metres(&range),
            place: range.own_place(),
        });
        range.finish();
    }
    for rule in table.tables("plausible") {
        plan.plausible.push(plausible(&rule));
        rule.finish();
    }
    plan
}

fn metres(table: &Table<'_>) -> f64 {
    let metres = table.number_if("metres");
    match metres.filter(|metres| (METRES.0..=METRES.1).contains(metres)) {
        Some(metres) => metres,
        None => {
            let bad = match metres {
                Some(_) => "is out of range",
                None => "is missing or no number",
            };
            table.fault(
                Diagnostic::new(table.place("metres"), format!("`metres` {bad}"))
                    .expected(format!("{} to {}", METRES.0, METRES.1)),
            );
            METRES.0
        }
    }
}

fn bounds(table: &Table<'_>) -> ClockBounds {
    ClockBounds {
        ahead_s: whole(table, "ahead_s", SECONDS),
        late_s: whole(table, "late_s", SECONDS),
    }
}

fn whole(table: &Table<'_>, key: &str, range: Range<i64>) -> Option<u32> {
    table.integer_if(key, range).and_then(|number| u32::try_from(number).ok())
}

fn positive(table: &Table<'_>, key: &str) -> Option<f64> {
    let number = table.number_if(key)?;
    if number > 0.0 {
        return Some(number);
    }
    table.fault(
        Diagnostic::new(table.place(key), format!("`{key}` is out of range"))
            .expected("more than 0")
            .found(number.to_string()),
    );
    None
}

fn plausible(table: &Table<'_>) -> Plausible {
    Plausible {
        id: table.text("id"),
        properties: table.texts("properties"),
        kinds: table.texts("kinds"),
        unit: table.text_if("unit"),
        spellings: table.texts("spellings"),
        min: table.number_if("min"),
        max: table.number_if("max"),
        usual: match table.has("usual") {
            true => table.numbers("usual", (f64::MIN, f64::MAX)),
            false => None,
        },
        also: table.tables("also").iter().map(other_unit).collect(),
        rate_per_h: positive(table, "rate_per_h"),
        stuck_readings: whole(table, "stuck_readings", READINGS),
        stuck_s: whole(table, "stuck_s", SECONDS),
        spike: positive(table, "spike"),
        clock: bounds(table),
        source: table.label_if("source"),
        place: table.own_place(),
    }
}

fn other_unit(table: &Table<'_>) -> OtherUnit {
    let unit = OtherUnit {
        unit: table.text("unit"),
        spellings: table.texts("spellings"),
        factor: positive(table, "factor").unwrap_or(1.0),
        offset: table.number_if("offset").unwrap_or(0.0),
    };
    table.finish();
    unit
}
