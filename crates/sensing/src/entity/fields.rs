//! The properties of one JSON object, taken out one by one with their types checked.
//!
//! What is left when all are taken is unknown, and refused: a misspelt property would be lost
//! without a word. Links and counts that a service writes are left aside, so that what was read
//! from it can be sent back.

use serde_json::{Map, Value};

use super::fault::{At, Fault, Result, quote};
use super::json::Json;
use super::time::{Moment, Period, TimeObject, moment_at, period_at, time_object_at};

pub(super) const ID: &str = "@iot.id";
/// Control information that only a service writes.
const WRITTEN_BY_SERVICES: [&str; 5] =
    ["@iot.selfLink", "@iot.navigationLink", "@iot.associationLink", "@iot.nextLink", "@iot.count"];

pub(super) struct Fields<'a> {
    pub at: At<'a>,
    members: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub fn new(at: At<'a>, members: Map<String, Value>) -> Self {
        Self { at, members }
    }

    /// The object of a value.
    pub fn of(at: At<'a>, value: Value, expected: &str) -> Result<Self> {
        match value {
            Value::Object(members) => Ok(Self::new(at, members)),
            other => Err(Fault::wrong_type(at, expected, &other)),
        }
    }

    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.members.shift_remove(name)
    }

    /// None for null as for nothing.
    fn given(&mut self, name: &str) -> Option<Value> {
        self.take(name).filter(|value| !value.is_null())
    }

    fn mandatory(&mut self, name: &str) -> Result<Value> {
        self.take(name).ok_or_else(|| self.missing(name))
    }

    pub fn missing(&self, name: &str) -> Box<Fault> {
        let near = self.members.keys().find(|key| key.eq_ignore_ascii_case(name));
        let fault = Fault::new(self.at, format!("`{name}` is missing and mandatory"));
        match near {
            Some(near) => fault.found(quote(near)).hint("names are written exactly"),
            None => fault,
        }
    }

    pub fn text(&mut self, name: &str) -> Result<String> {
        let value = self.mandatory(name)?;
        text(self.at.member(name), value)
    }

    /// A text or null that has to be there.
    pub fn nullable_text(&mut self, name: &str) -> Result<Option<String>> {
        match self.mandatory(name)? {
            Value::Null => Ok(None),
            value => text(self.at.member(name), value).map(Some),
        }
    }

    /// Any value but null.
    pub fn value(&mut self, name: &str) -> Result<Value> {
        match self.mandatory(name)? {
            Value::Null => Err(Fault::wrong_type(self.at.member(name), "any value", &Value::Null)),
            value => Ok(value),
        }
    }

    /// Any value, null as well.
    pub fn any(&mut self, name: &str) -> Result<Value> {
        self.mandatory(name)
    }

    pub fn optional_any(&mut self, name: &str) -> Option<Json> {
        self.given(name).map(|value| Json::of(&value))
    }

    pub fn optional_object(&mut self, name: &str) -> Result<Option<Json>> {
        match self.given(name) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(Json::of(&value))),
            Some(other) => Err(Fault::wrong_type(self.at.member(name), "an object", &other)),
        }
    }

    /// An object, or an array of them: SensorThings 1.0 had its parameters so.
    pub fn optional_members(&mut self, name: &str) -> Result<Option<Json>> {
        match self.given(name) {
            None => Ok(None),
            Some(value @ (Value::Object(_) | Value::Array(_))) => Ok(Some(Json::of(&value))),
            Some(other) => Err(Fault::wrong_type(self.at.member(name), "an object", &other)),
        }
    }

    pub fn array(&mut self, name: &str) -> Result<Vec<Value>> {
        match self.mandatory(name)? {
            Value::Array(items) => Ok(items),
            other => Err(Fault::wrong_type(self.at.member(name), "an array", &other)),
        }
    }

    pub fn moment(&mut self, name: &str) -> Result<Moment> {
        let text = self.text(name)?;
        moment_at(self.at.member(name), &text)
    }

    pub fn optional_moment(&mut self, name: &str) -> Result<Option<Moment>> {
        self.optional(name, moment_at)
    }

    pub fn optional_period(&mut self, name: &str) -> Result<Option<Period>> {
        self.optional(name, period_at)
    }

    pub fn optional_time(&mut self, name: &str) -> Result<Option<TimeObject>> {
        self.optional(name, time_object_at)
    }

    fn optional<T>(
        &mut self,
        name: &str,
        read: impl Fn(At<'_>, &str) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.given(name) else {
            return Ok(None);
        };
        let at = self.at.member(name);
        text(at, value).and_then(|text| read(at, &text)).map(Some)
    }

    /// Refuses what was not taken.
    pub fn end<'n>(&self, of: &str, known: impl IntoIterator<Item = &'n str>) -> Result<()> {
        let unknown = self.members.keys().find(|name| !is_written_by_services(name));
        let Some(name) = unknown else {
            return Ok(());
        };
        let what = format!("{of} has no such property");
        let fault = Fault::new(self.at.member(name), what).found(quote(name));
        Err(fault.suggest(name, known.into_iter().chain([ID])))
    }
}

pub(super) fn is_written_by_services(name: &str) -> bool {
    WRITTEN_BY_SERVICES.iter().any(|annotation| name.ends_with(annotation))
}

pub(super) fn text(at: At<'_>, value: Value) -> Result<String> {
    match value {
        // PostgreSQL, one of the two homes of what people edit, has no such character in a text.
        Value::String(text) if text.contains('\0') => {
            Err(Fault::new(at, "a text with a null character"))
        }
        Value::String(text) => Ok(text),
        other => Err(Fault::wrong_type(at, "a text", &other)),
    }
}
