//! A message to readings, as its source says: records, values, times. Pure: it knows no Datastream
//! and no storage.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use csv::{ReaderBuilder, StringRecord};
use pack::mapped::{Column, Duplicate, Find, Form, Reading, ReadingKind, Source, TimeRule};
use serde_json::Value;

use super::when;

/// A message, by MQTT or as the answer of an endpoint.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Records of one message.
const RECORDS_MAX: usize = 10_000;
/// Readings of one message.
const READINGS_MAX: usize = 100_000;
/// Characters of what a device calls itself.
const DEVICE_CHARS_MAX: usize = 256;
/// Characters of a sequence number.
const SEQUENCE_CHARS_MAX: usize = 64;
/// What was not taken of a message, told one by one; the others are counted.
pub(super) const UNREAD_TOLD_MAX: usize = 1_000;
/// Characters of a value that a refusal shows.
const SHOWN_CHARS_MAX: usize = 40;

/// Named levels of the topic that a message came by.
pub(super) type Captures<'t> = BTreeMap<&'t str, &'t str>;

/// A reading that could be read.
#[derive(Debug)]
pub(super) struct Told<'s> {
    pub rule: &'s Reading,
    pub device: String,
    /// None: when the message came.
    pub time_us: Option<i64>,
    pub value: Given,
    pub sequence: Option<String>,
    /// From 1.
    pub record: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    Number(f64),
    Value(Value),
}

/// What of a message was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    /// From 1; 0 is the message itself.
    pub record: usize,
    /// A code to count by.
    pub code: &'static str,
    pub reason: String,
}

#[derive(Debug, Default)]
pub(super) struct Message<'s> {
    pub told: Vec<Told<'s>>,
    /// The first of them.
    pub unread: Vec<Unread>,
    pub unread_count: usize,
}

/// Where values of one record are.
enum Record<'m> {
    Json { record: &'m Value, around: &'m Value },
    Line { cells: &'m StringRecord, columns: &'m HashMap<String, usize> },
}

/// Reads a message. What cannot be read is told, record by record.
pub(super) fn message<'s>(
    source: &'s Source,
    captures: &Captures<'_>,
    payload: &[u8],
    city_offset_minutes: i32,
) -> Message<'s> {
    let mut reader = Reader { source, captures, city_offset_minutes, message: Message::default() };
    if payload.len() > MESSAGE_BYTES_MAX {
        let reason = format!("a message of more than {MESSAGE_BYTES_MAX} bytes");
        reader.unread(0, "size", reason);
        return reader.message;
    }
    let payload = payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload);
    match &source.form {
        Form::Json { records } => match serde_json::from_slice::<Value>(payload) {
            Ok(whole) => {
                let found = match records {
                    Some(path) => path.all(&whole, RECORDS_MAX + 1),
                    None => vec![&whole],
                };
                if found.is_empty() {
                    let path = records.as_ref().map(ToString::to_string).unwrap_or_default();
                    reader.unread(0, "records", format!("no records at {path}"));
                }
                for (index, record) in found.into_iter().enumerate() {
                    reader.record(index + 1, &Record::Json { record, around: &whole });
                }
            }
            Err(error) => reader.unread(0, "json", format!("no JSON that can be read: {error}")),
        },
        Form::Csv { separator, header, columns } => {
            reader.lines(payload, *separator, *header, columns);
        }
    }
    reader.message
}

struct Reader<'s, 'c> {
    source: &'s Source,
    captures: &'c Captures<'c>,
    city_offset_minutes: i32,
    message: Message<'s>,
}

impl<'s> Reader<'s, '_> {
    fn unread(&mut self, record: usize, code: &'static str, reason: String) {
        self.message.unread_count += 1;
        if self.message.unread.len() < UNREAD_TOLD_MAX {
            self.message.unread.push(Unread { record, code, reason });
        }
    }

    fn lines(&mut self, payload: &[u8], separator: u8, header: bool, columns: &[String]) {
        let mut reader = ReaderBuilder::new();
        let mut reader =
            reader.delimiter(separator).has_headers(header).flexible(true).from_reader(payload);
        let columns: HashMap<String, usize> = if header {
            match reader.headers() {
                Ok(names) => placed(names.iter()),
                Err(error) => {
                    return self.unread(0, "csv", format!("no CSV that can be read: {error}"));
                }
            }
        } else {
            placed(columns.iter().map(String::as_str))
        };
        let mut cells = StringRecord::new();
        let mut index = 0;
        loop {
            match reader.read_record(&mut cells) {
                Ok(false) => break,
                Ok(true) => {
                    index += 1;
                    self.record(index, &Record::Line { cells: &cells, columns: &columns });
                }
                Err(error) => {
                    index += 1;
                    self.unread(index, "csv", format!("no CSV that can be read: {error}"));
                }
            }
            if index > RECORDS_MAX {
                break;
            }
        }
        if index == 0 {
            self.unread(0, "records", "no lines".to_owned());
        }
    }

    fn record(&mut self, index: usize, record: &Record<'_>) {
        if index > RECORDS_MAX {
            let reason = format!("more than {RECORDS_MAX} records: the others were not read");
            return self.unread(index, "records", reason);
        }
        let source = self.source;
        let head = match self.head(record) {
            Ok(head) => head,
            Err((code, reason)) => return self.unread(index, code, reason),
        };
        for rule in &source.readings {
            if self.message.told.len() >= READINGS_MAX {
                let reason =
                    format!("more than {READINGS_MAX} readings: the others were not taken");
                return self.unread(index, "records", reason);
            }
            let found = self.value(&rule.find, record);
            let found = found.filter(|value| !is_missing(rule, value));
            let Some(value) = found else {
                if rule.required {
                    self.unread(index, "required", format!("no value at {}", rule.find));
                }
                continue;
            };
            match given(rule, value.into_owned()) {
                Ok(value) => {
                    let Head { device, time_us, sequence } = head.clone();
                    let told = Told { rule, device, time_us, value, sequence, record: index };
                    self.message.told.push(told);
                }
                Err(reason) => self.unread(index, "type", reason),
            }
        }
    }

    /// What all readings of a record share.
    fn head(&self, record: &Record<'_>) -> Result<Head, (&'static str, String)> {
        let source = self.source;
        let device = self.text(&source.device, record, "device", DEVICE_CHARS_MAX)?;
        let time_us = match &source.time {
            TimeRule::Receipt => None,
            TimeRule::Said { find, form, offset_minutes } => {
                let value = self.value(find, record);
                let value = value.ok_or_else(|| ("time", format!("no time at {find}")))?;
                let offset = offset_minutes.unwrap_or(self.city_offset_minutes);
                let read = when::micros(form, offset, &value);
                Some(read.map_err(|reason| ("time", format!("{reason} at {find}")))?)
            }
        };
        let sequence = match &source.duplicate {
            Duplicate::Time => None,
            Duplicate::Sequence(find) => {
                Some(self.text(find, record, "sequence", SEQUENCE_CHARS_MAX)?)
            }
        };
        Ok(Head { device, time_us, sequence })
    }

    fn text(
        &self,
        find: &Find,
        record: &Record<'_>,
        what: &'static str,
        chars_max: usize,
    ) -> Result<String, (&'static str, String)> {
        let text = self.value(find, record).and_then(|value| text_of(&value));
        match text.filter(|text| !text.is_empty()) {
            None => Err((what, format!("no {what} at {find}"))),
            Some(text) if text.chars().count() > chars_max => {
                Err((what, format!("a {what} of more than {chars_max} characters at {find}")))
            }
            Some(text) => Ok(text),
        }
    }

    /// A value; none where nothing is there, also where JSON says null and a cell is empty.
    fn value<'r>(&self, find: &Find, record: &Record<'r>) -> Option<Cow<'r, Value>> {
        let text = |text: &str| Cow::Owned(Value::String(text.to_owned()));
        let found = match (find, record) {
            (Find::Fixed(fixed), _) => text(fixed),
            (Find::Topic(level), _) => text(self.captures.get(level.as_str()).copied()?),
            (Find::Path(path), Record::Json { record, .. }) => Cow::Borrowed(path.one(record)?),
            (Find::Around(path), Record::Json { around, .. }) => Cow::Borrowed(path.one(around)?),
            (Find::Column(column), Record::Line { cells, columns }) => {
                let place = match column {
                    Column::Name(name) => *columns.get(name)?,
                    Column::Number(number) => number.checked_sub(1)?,
                };
                let cell = cells.get(place)?.trim();
                if cell.is_empty() {
                    return None;
                }
                text(cell)
            }
            // A pack that loads has no paths in CSV and no columns in JSON.
            _ => return None,
        };
        (!found.is_null()).then_some(found)
    }
}

#[derive(Clone)]
struct Head {
    device: String,
    time_us: Option<i64>,
    sequence: Option<String>,
}

/// The place of each name; of two that are the same, the first's.
fn placed<'n>(names: impl Iterator<Item = &'n str>) -> HashMap<String, usize> {
    let mut places = HashMap::new();
    for (place, name) in names.enumerate() {
        places.entry(name.trim().to_owned()).or_insert(place);
    }
    places
}

/// A text, a number or a truth as a text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_missing(rule: &Reading, value: &Value) -> bool {
    !rule.missing.is_empty() && text_of(value).is_some_and(|text| rule.missing.contains(&text))
}

fn given(rule: &Reading, value: Value) -> Result<Given, String> {
    if rule.kind == ReadingKind::Value {
        return Ok(Given::Value(value));
    }
    let number = match &value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number.filter(|number: &f64| number.is_finite()) {
        Some(number) => Ok(Given::Number(number)),
        None => Err(format!("expected a number at {}, found {}", rule.find, shown(&value))),
    }
}

/// The beginning of a value, for who looks for what is wrong.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{shown}`")
}
