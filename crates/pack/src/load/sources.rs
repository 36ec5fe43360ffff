//! Reads a source of devices that speak something else: one file, one source.
//!
//! Judges what a value says by itself; organisations, units that do not fit and topics that two
//! sources take are `check`'s.

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDateTime, Utc};

use super::UTC_OFFSET_MINUTES_MAX;
use crate::diagnostics::Diagnostic;
use crate::mapped::{
    Arrival, ClockRule, Column, Duplicate, Find, Form, Header, HeaderText, JsonPath, Outside, Poll,
    Reading, ReadingKind, Source, StreamBy, TimeForm, TimeRule, TopicPattern,
};
use crate::reader::Table;

/// An endpoint is asked at most once in this time.
const EVERY_SECONDS_MIN: i64 = 1;
/// And at least once in this: a day.
const EVERY_SECONDS_MAX: i64 = 86_400;
const TIMEOUT_SECONDS_DEFAULT: u32 = 10;
const TIMEOUT_SECONDS_MAX: i64 = 120;
/// A clock that nothing is said of may be so far ahead.
const AHEAD_SECONDS_DEFAULT: i64 = 300;
/// Ten years, in either direction.
const CLOCK_SECONDS_MAX: i64 = 315_576_000;
/// Columns of a line.
const COLUMNS_MAX: i64 = 4_096;

const FORMATS: [(&str, bool); 2] = [("json", true), ("csv", false)];
const OUTSIDES: [(&str, Outside); 2] = [("refuse", Outside::Refuse), ("flag", Outside::Flag)];
const KINDS: [(&str, ReadingKind); 2] =
    [("number", ReadingKind::Number), ("value", ReadingKind::Value)];
const AROUND: [(&str, bool); 2] = [("record", false), ("message", true)];

pub(super) fn source(table: &Table<'_>) -> Source {
    let is_json = table.choice("format", &FORMATS);
    let readings = table.tables("reading");
    if readings.is_empty() {
        table.fault(
            Diagnostic::new(table.own_place(), "the source has no readings")
                .mend("add a `[[reading]]`"),
        );
    }
    Source {
        id: table.text("id"),
        title: table.label("title"),
        owner: table.text("owner"),
        arrival: arrival(table),
        form: form(table, is_json),
        device: found(table, "device"),
        time: time(table),
        clock: clock(table),
        duplicate: duplicate(table),
        readings: readings.iter().map(reading).collect(),
        place: table.own_place(),
    }
}

/// `[mqtt]` or `[poll]`, one of them.
fn arrival(table: &Table<'_>) -> Arrival {
    let nowhere = || Poll {
        url: String::new(),
        user: String::new(),
        every_s: 60,
        timeout_s: TIMEOUT_SECONDS_DEFAULT,
        headers: Vec::new(),
        link_local: false,
    };
    let (mqtt, polled) = (table.table_if("mqtt"), table.table_if("poll"));
    if mqtt.is_some() == polled.is_some() {
        table.fault(
            Diagnostic::new(table.own_place(), "readings come in one way")
                .expected("one of `[mqtt]` and `[poll]`"),
        );
    }
    if let Some(mqtt) = mqtt {
        let text = mqtt.text("topic");
        let topic = (!text.is_empty()).then(|| TopicPattern::parse(&text));
        mqtt.finish();
        match topic {
            Some(Ok(topic)) => return Arrival::Mqtt { topic },
            Some(Err(fault)) => {
                mqtt.fault(
                    Diagnostic::new(mqtt.place("topic"), format!("bad topic: {fault}"))
                        .found(format!("`{text}`")),
                );
            }
            None => {}
        }
    }
    Arrival::Poll(polled.map_or_else(nowhere, |polled| poll(&polled)))
}

fn poll(table: &Table<'_>) -> Poll {
    let seconds = |number: i64| u32::try_from(number).expect("seconds are bounded above");
    let timeout = table.integer_if("timeout_s", 1..TIMEOUT_SECONDS_MAX + 1);
    let every_s = seconds(table.integer("every_s", EVERY_SECONDS_MIN..EVERY_SECONDS_MAX + 1));
    let read = Poll {
        url: table.text("url"),
        user: table.text("user"),
        every_s,
        timeout_s: timeout.map_or(TIMEOUT_SECONDS_DEFAULT.min(every_s), seconds),
        headers: headers(table),
        link_local: table.flag("link_local"),
    };
    table.finish();
    read
}

/// `headers = { Accept = "…", Authorization = { secret = "file", prefix = "Bearer " } }`.
fn headers(table: &Table<'_>) -> Vec<Header> {
    let Some(headers) = table.table_if("headers") else { return Vec::new() };
    let mut read = Vec::new();
    for name in headers.keys() {
        let value = if headers.type_of(&name) == Some("string") {
            HeaderText::Plain(headers.text(&name))
        } else {
            let Some(secret) = headers.table_if(&name) else { continue };
            let prefix = secret.any_text("prefix");
            let value = HeaderText::Secret { file: secret.text("secret"), prefix };
            secret.finish();
            value
        };
        read.push(Header { name, value });
    }
    headers.finish();
    read
}

fn form(table: &Table<'_>, is_json: bool) -> Form {
    if is_json {
        return Form::Json { records: path_if(table, "records") };
    }
    let Some(csv) = table.table_if("csv") else {
        return Form::Csv { separator: b',', header: true, columns: Vec::new() };
    };
    let separator = csv.text_if("separator").unwrap_or_else(|| ",".to_owned());
    let bytes = separator.as_bytes();
    if bytes.len() != 1 || matches!(bytes[0], b'"' | b'\n' | b'\r') {
        csv.fault(
            Diagnostic::new(csv.place("separator"), "bad separator")
                .expected("one character, such as `,` `;` or `\\t`")
                .found(format!("`{separator}`")),
        );
    }
    let columns = csv.texts("columns");
    let header = if csv.has("header") { csv.flag("header") } else { columns.is_empty() };
    if header && !columns.is_empty() {
        csv.fault(
            Diagnostic::new(csv.place("columns"), "columns are named twice")
                .mend("leave out `columns`, or write `header = false`"),
        );
    }
    csv.finish();
    let separator = bytes.first().copied().unwrap_or(b',');
    Form::Csv { separator, header, columns }
}

/// A value that has to be found somewhere; the empty one stands in where that is not said.
fn found(table: &Table<'_>, key: &str) -> Find {
    let stand_in = || Find::Fixed(String::new());
    let Some(find) = table.table(key) else { return stand_in() };
    let read = find_in(&find);
    find.finish();
    read.unwrap_or_else(stand_in)
}

/// `path` (and `of`), `column`, `topic` or `fixed`.
fn find_in(table: &Table<'_>) -> Option<Find> {
    if table.has("path") {
        let around = table.choice_if("of", &AROUND).unwrap_or(false);
        let path = single_path(table, "path")?;
        return Some(if around { Find::Around(path) } else { Find::Path(path) });
    }
    if table.has("column") {
        if table.type_of("column") == Some("integer") {
            let number = table.integer_if("column", 1..COLUMNS_MAX + 1)?;
            let number = usize::try_from(number).expect("columns are bounded above");
            return Some(Find::Column(Column::Number(number)));
        }
        return table.text_if("column").map(|name| Find::Column(Column::Name(name)));
    }
    if table.has("topic") {
        return table.text_if("topic").map(Find::Topic);
    }
    if table.has("fixed") {
        return table.text_if("fixed").map(Find::Fixed);
    }
    table.fault(
        Diagnostic::new(table.own_place(), "it is not said where the value is")
            .expected("one of path, column, topic, fixed"),
    );
    None
}

fn path_if(table: &Table<'_>, key: &str) -> Option<JsonPath> {
    let text = table.text_if(key)?;
    match JsonPath::parse(&text) {
        Ok(path) => Some(path),
        Err(fault) => {
            table.fault(
                Diagnostic::new(table.place(key), format!("bad path: {fault}"))
                    .found(format!("`{text}`")),
            );
            None
        }
    }
}

fn single_path(table: &Table<'_>, key: &str) -> Option<JsonPath> {
    let path = path_if(table, key)?;
    if !path.is_single() {
        table.fault(
            Diagnostic::new(table.place(key), "the path leads to many values")
                .found(format!("`{path}`"))
                .mend("say what is repeated in `records`, and go on from there"),
        );
        return None;
    }
    Some(path)
}

fn time(table: &Table<'_>) -> TimeRule {
    let Some(time) = table.table_if("time") else { return TimeRule::Receipt };
    let find = find_in(&time);
    let text = time.text("format");
    let form = time_form(&time, &text);
    let offset = -UTC_OFFSET_MINUTES_MAX..UTC_OFFSET_MINUTES_MAX + 1;
    let offset = time.integer_if("utc_offset_minutes", offset);
    time.finish();
    match find {
        Some(find) => TimeRule::Said {
            find,
            form,
            offset_minutes: offset
                .map(|minutes| i32::try_from(minutes).expect("offsets are bounded above")),
        },
        None => TimeRule::Receipt,
    }
}

fn time_form(table: &Table<'_>, text: &str) -> TimeForm {
    match text {
        "" | "rfc3339" => return TimeForm::Rfc3339,
        "epoch_s" => return TimeForm::EpochSeconds,
        "epoch_ms" => return TimeForm::EpochMillis,
        "epoch_us" => return TimeForm::EpochMicros,
        _ => {}
    }
    let has_offset = ["%z", "%:z", "%::z", "%#z", "%+"].iter().any(|part| text.contains(part));
    if !says_when(text, has_offset) {
        table.fault(
            Diagnostic::new(table.place("format"), "bad format of a time")
                .expected("epoch_s, epoch_ms, epoch_us, rfc3339 or one such as `%Y-%m-%d %H:%M:%S`")
                .found(format!("`{text}`")),
        );
    }
    TimeForm::Pattern { pattern: text.to_owned(), has_offset }
}

/// Whether a time that is written in this way can be read again: it has a day and a time of day.
fn says_when(pattern: &str, has_offset: bool) -> bool {
    if StrftimeItems::new(pattern).any(|item| item == Item::Error) {
        return false;
    }
    let sample = DateTime::<Utc>::UNIX_EPOCH.fixed_offset().format(pattern).to_string();
    match has_offset {
        true => DateTime::parse_from_str(&sample, pattern).is_ok(),
        false => NaiveDateTime::parse_from_str(&sample, pattern).is_ok(),
    }
}

fn clock(table: &Table<'_>) -> ClockRule {
    let usual =
        ClockRule { ahead_s: AHEAD_SECONDS_DEFAULT, behind_s: None, outside: Outside::Refuse };
    let Some(clock) = table.table_if("clock") else { return usual };
    let bounds = 0..CLOCK_SECONDS_MAX + 1;
    let read = ClockRule {
        ahead_s: clock.integer_if("ahead_s", bounds.clone()).unwrap_or(AHEAD_SECONDS_DEFAULT),
        behind_s: clock.integer_if("behind_s", bounds),
        outside: clock.choice_if("outside", &OUTSIDES).unwrap_or(Outside::Refuse),
    };
    clock.finish();
    read
}

/// `duplicate = "time"`, or `duplicate = { sequence = { path = "$.seq" } }`.
fn duplicate(table: &Table<'_>) -> Duplicate {
    if table.type_of("duplicate") != Some("table") {
        table.choice_if("duplicate", &[("time", ())]);
        return Duplicate::Time;
    }
    let Some(duplicate) = table.table_if("duplicate") else { return Duplicate::Time };
    let find = found(&duplicate, "sequence");
    duplicate.finish();
    Duplicate::Sequence(find)
}

fn reading(table: &Table<'_>) -> Reading {
    let find = find_in(table).unwrap_or_else(|| Find::Fixed(String::new()));
    let (key, id) = (table.text_if("key"), table.integer_if("datastream", 1..i64::MAX));
    if key.is_some() == id.is_some() {
        table.fault(
            Diagnostic::new(table.own_place(), "a reading is of one Datastream")
                .expected("one of `key` and `datastream`"),
        );
    }
    let read = Reading {
        find,
        stream: match id {
            Some(id) => StreamBy::Id(id),
            None => StreamBy::Key(key.unwrap_or_default()),
        },
        unit: table.text_if("unit"),
        to: table.text_if("to"),
        kind: table.choice_if("kind", &KINDS).unwrap_or(ReadingKind::Number),
        missing: table.texts("missing"),
        required: table.flag("required"),
        place: table.own_place(),
    };
    table.finish();
    read
}
