//! Reads TOML tables key by key, noting every fault instead of stopping at the first.
//!
//! A serde derive would stop at the first wrong key of a file; a pack's author wants them all.
//! Each getter returns something usable even when it has noted a fault, so that reading goes on.
//! Knows TOML, not what a dataset or a role is.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::model::{Place, Text};
use crate::source::{Sites, SourceFile};

pub(crate) type Faults = RefCell<Diagnostics>;

/// Parses a file and hands its top table to `read`. Syntax faults are noted, all of them; a file
/// with any is not read further, because what is left of it would only mislead. Says whether it
/// was read.
pub(crate) fn read_toml(
    file: &Arc<SourceFile>,
    faults: &Faults,
    read: impl FnOnce(&Table<'_>),
) -> bool {
    let (document, errors) = DeTable::parse_recoverable(&file.text);
    for error in &errors {
        let place = file.place(error.span().map_or(0, |span| span.start));
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        faults.borrow_mut().push(Diagnostic::new(place, format!("bad TOML: {message}")));
    }
    if errors.is_empty() {
        let table = Table::new(file, document.get_ref(), 0, faults);
        read(&table);
        table.finish();
    }
    errors.is_empty()
}

pub(crate) struct Table<'a> {
    file: &'a Arc<SourceFile>,
    table: &'a DeTable<'a>,
    own: usize,
    faults: &'a Faults,
    taken: RefCell<BTreeSet<&'a str>>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Table<'a> {
    fn new(
        file: &'a Arc<SourceFile>,
        table: &'a DeTable<'a>,
        own: usize,
        faults: &'a Faults,
    ) -> Self {
        let (taken, asked) = Default::default();
        Self { file, table, own, faults, taken, asked }
    }

    pub fn fault(&self, diagnostic: Diagnostic) {
        self.faults.borrow_mut().push(diagnostic);
    }

    /// The place of the table itself.
    pub fn own_place(&self) -> Place {
        self.file.place(self.own)
    }

    /// The place of a key's value, or of the table where the key is not there.
    pub fn place(&self, key: &str) -> Place {
        self.file.place(self.table.get(key).map_or(self.own, |value| value.span().start))
    }

    /// The places of all that is in this table, for faults that are found later.
    pub fn sites(&self) -> Sites {
        let mut spans = BTreeMap::new();
        for (key, value) in self.table {
            note_spans(key.get_ref().to_string(), value, &mut spans);
        }
        Sites { file: self.file.clone(), own: self.own, spans }
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key.to_owned());
        let (known, value) = self.table.get_key_value(key)?;
        self.taken.borrow_mut().insert(known.get_ref());
        Some(value)
    }

    fn missing(&self, key: &str, expected: &str) {
        self.fault(
            Diagnostic::new(self.own_place(), format!("`{key}` is missing"))
                .expected(expected)
                .mend(format!("add `{key} = …`")),
        );
    }

    fn mistyped(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        self.fault(
            Diagnostic::new(self.file.place(value.span().start), format!("wrong type of `{key}`"))
                .expected(expected)
                .found(value.get_ref().type_str()),
        );
    }

    /// A text that must be there and not be blank.
    pub fn text(&self, key: &str) -> String {
        if !self.has(key) {
            self.get(key);
            self.missing(key, "a text");
        }
        self.text_if(key).unwrap_or_default()
    }

    pub fn text_if(&self, key: &str) -> Option<String> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) if text.trim().is_empty() => {
                self.fault(
                    Diagnostic::new(self.place(key), format!("`{key}` is blank"))
                        .expected("a text")
                        .mend("write it or leave the key out"),
                );
                None
            }
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                self.mistyped(key, value, "a text");
                None
            }
        }
    }

    /// A text that may be empty; where it is no text, that is noted.
    pub fn any_text(&self, key: &str) -> String {
        let Some(value) = self.get(key) else { return String::new() };
        value.get_ref().as_str().map(str::to_owned).unwrap_or_else(|| {
            self.mistyped(key, value, "a text");
            String::new()
        })
    }

    pub fn integer_if(&self, key: &str, range: Range<i64>) -> Option<i64> {
        let value = self.get(key)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            self.mistyped(key, value, "an integer");
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.fault(
                Diagnostic::new(self.place(key), format!("`{key}` is out of range"))
                    .expected(match range.end - 1 {
                        last if last == range.start => format!("{last}"),
                        last => format!("{} to {last}", range.start),
                    })
                    .found(integer.as_str()),
            );
        }
        number
    }

    pub fn integer(&self, key: &str, range: Range<i64>) -> i64 {
        if !self.has(key) {
            self.get(key);
            self.missing(key, "an integer");
        }
        let start = range.start;
        self.integer_if(key, range).unwrap_or(start)
    }

    /// A number, whole or not.
    pub fn number_if(&self, key: &str) -> Option<f64> {
        let value = self.get(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok(),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number: &f64| number.is_finite());
        if number.is_none() {
            self.mistyped(key, value, "a number");
        }
        number
    }

    /// False where it is not there.
    pub fn flag(&self, key: &str) -> bool {
        let Some(value) = self.get(key) else { return false };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.mistyped(key, value, "true or false");
            false
        })
    }

    /// Empty where it is not there.
    pub fn texts(&self, key: &str) -> Vec<String> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.mistyped(key, value, "a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref().as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.mistyped(key, item, "a list of texts"),
            }
        }
        texts
    }

    /// So many numbers, each in its range; whole ones may be written without a point.
    pub fn numbers<const N: usize>(&self, key: &str, range: (f64, f64)) -> Option<[f64; N]> {
        let expected = format!("a list of {N} numbers from {} to {}", range.0, range.1);
        if !self.has(key) {
            self.get(key);
            self.missing(key, &expected);
        }
        let value = self.get(key)?;
        let number = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::Integer(integer) => integer.as_str().parse::<f64>().ok(),
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let items = value.get_ref().as_array();
        let read: Option<Vec<f64>> = items.and_then(|items| items.iter().map(number).collect());
        let numbers = read
            .filter(|numbers| numbers.iter().all(|n| *n >= range.0 && *n <= range.1))
            .and_then(|numbers| <[f64; N]>::try_from(numbers).ok());
        if numbers.is_none() {
            self.mistyped(key, value, &expected);
        }
        numbers
    }

    /// A table that is passed on as it is, as JSON; empty where it is not there.
    pub fn free(&self, key: &str) -> serde_json::Map<String, serde_json::Value> {
        let Some(value) = self.get(key) else { return serde_json::Map::new() };
        match json(value.get_ref()) {
            Some(serde_json::Value::Object(object)) => object,
            _ => {
                self.mistyped(key, value, "a table of texts, numbers and lists");
                serde_json::Map::new()
            }
        }
    }

    /// One of a few words, each with its meaning.
    pub fn choice_if<T: Clone>(&self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        self.choice_named(key, key, choices)
    }

    /// As [`Self::choice_if`] where the key is a name and the fault should say what it is of.
    pub fn choice_named<T: Clone>(
        &self,
        key: &str,
        what: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let word = self.text_if(key)?;
        let found = choices.iter().find(|(name, _)| *name == word);
        if found.is_none() {
            self.fault(
                Diagnostic::new(self.place(key), format!("unknown {what} `{word}`"))
                    .suggest(&word, choices.iter().map(|(name, _)| *name)),
            );
        }
        found.map(|(_, meaning)| meaning.clone())
    }

    /// As [`Self::choice_if`]; the first choice stands in where the key is missing or wrong.
    pub fn choice<T: Clone>(&self, key: &str, choices: &[(&str, T)]) -> T {
        if !self.has(key) {
            self.get(key);
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.missing(key, &format!("one of {}", names.join(", ")));
        }
        self.choice_if(key, choices).unwrap_or_else(|| choices[0].1.clone())
    }

    /// `{ zh = "…", en = "…" }`, both there.
    pub fn label(&self, key: &str) -> Text {
        if !self.has(key) {
            self.get(key);
            self.missing(key, "{ zh = \"…\", en = \"…\" }");
        }
        self.label_if(key).unwrap_or_default()
    }

    pub fn label_if(&self, key: &str) -> Option<Text> {
        let table = self.table_if(key)?;
        let text = Text { zh: table.text("zh"), en: table.text("en") };
        table.finish();
        Some(text)
    }

    /// A table of names, each with its words; empty where it is not there.
    pub fn labels(&self, key: &str) -> BTreeMap<String, Text> {
        let Some(table) = self.table_if(key) else { return BTreeMap::new() };
        let named = table.keys().into_iter().map(|name| (name.clone(), table.label(&name)));
        let labels = named.collect();
        table.finish();
        labels
    }

    pub fn table_if(&self, key: &str) -> Option<Table<'a>> {
        let value = self.get(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.mistyped(key, value, "a table");
            return None;
        };
        Some(Table::new(self.file, table, value.span().start, self.faults))
    }

    /// A table that must be there. The empty one that stands in finds all its keys missing, so
    /// only the table itself is reported.
    pub fn table(&self, key: &str) -> Option<Table<'a>> {
        if !self.has(key) {
            self.get(key);
            self.missing(key, "a table");
        }
        self.table_if(key)
    }

    /// `[[key]]`, none where it is not there.
    pub fn tables(&self, key: &str) -> Vec<Table<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.mistyped(key, value, "a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref().as_table() {
                Some(table) => {
                    tables.push(Table::new(self.file, table, item.span().start, self.faults));
                }
                None => self.mistyped(key, item, "a list of tables"),
            }
        }
        tables
    }

    /// The keys of a table whose keys are names, not ours: units, masks, values.
    pub fn keys(&self) -> Vec<String> {
        self.table.keys().map(|key| key.get_ref().to_string()).collect()
    }

    /// The type of a key's value in TOML's words.
    pub fn type_of(&self, key: &str) -> Option<&'static str> {
        self.table.get(key).map(|value| value.get_ref().type_str())
    }

    /// Notes every key that nobody asked for.
    pub fn finish(&self) {
        let (taken, asked) = (self.taken.borrow(), self.asked.borrow());
        for key in self.table.keys().filter(|key| !taken.contains(key.get_ref().as_ref())) {
            let unused = asked.iter().map(String::as_str).filter(|name| !self.has(name));
            self.fault(
                Diagnostic::new(
                    self.file.place(key.span().start),
                    format!("unknown key `{}`", key.get_ref()),
                )
                .suggest(key.get_ref(), unused),
            );
        }
    }
}

/// `None` for what JSON does not have: dates, and numbers that are none.
fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Integer(integer) => integer.as_str().parse::<i64>().ok()?.into(),
        DeValue::Float(float) => serde_json::Number::from_f64(float.as_str().parse().ok()?)?.into(),
        DeValue::Boolean(truth) => (*truth).into(),
        DeValue::Datetime(_) => return None,
        DeValue::Array(items) => {
            items.iter().map(|item| json(item.get_ref())).collect::<Option<Vec<_>>>()?.into()
        }
        DeValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)));
            entries.collect::<Option<serde_json::Map<_, _>>>()?.into()
        }
    })
}

fn note_spans(
    path: String,
    value: &Spanned<DeValue<'_>>,
    spans: &mut BTreeMap<String, Range<usize>>,
) {
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                note_spans(format!("{path}.{}", key.get_ref()), value, spans);
            }
        }
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                note_spans(format!("{path}.{index}"), item, spans);
            }
        }
        _ => {}
    }
    spans.insert(path, value.span());
}
