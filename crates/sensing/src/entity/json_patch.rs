//! JSON Patch (RFC 6902) over JSON Pointer (RFC 6901), bounded.
//!
//! Every operation is read before the first is applied. A fault names the operation's place in the
//! patch and, where the document is at odds with it, says so as a conflict.

use serde_json::{Map, Value};

use super::fault::{At, Fault, FaultKind, Result, describe, quote};
use super::fields::Fields;
use super::{JSON_DEPTH_MAX, PATCH_BYTES_MAX, PATCH_OPERATIONS_MAX};

const OPERATIONS: [&str; 6] = ["add", "remove", "replace", "move", "copy", "test"];
/// What a value costs beside its text.
const VALUE_BYTES: usize = 64;

pub(super) struct Operation {
    path: Pointer,
    action: Action,
}

enum Action {
    Add(Value),
    Remove,
    Replace(Value),
    Move(Pointer),
    Copy(Pointer),
    Test(Value),
}

impl Operation {
    pub fn read_all(patch: Value) -> Result<Vec<Self>> {
        let Value::Array(items) = patch else {
            return Err(Fault::wrong_type(At::Root, "an array of operations", &patch));
        };
        if items.len() > PATCH_OPERATIONS_MAX {
            let what = format!("more than {PATCH_OPERATIONS_MAX} operations");
            return Err(Fault::new(At::Root, what).kind(FaultKind::TooLarge));
        }
        let root = At::Root;
        let read = |(index, item)| Self::read(root.element(index), item);
        items.into_iter().enumerate().map(read).collect()
    }

    /// Members that an operation does not know are ignored (RFC 6902, 4).
    fn read(at: At<'_>, item: Value) -> Result<Self> {
        let mut fields = Fields::of(at, item, "an operation")?;
        let op = fields.text("op")?;
        let path = Pointer::read(at.member("path"), &fields.text("path")?)?;
        let action = match op.as_str() {
            "add" => Action::Add(fields.any("value")?),
            "remove" => Action::Remove,
            "replace" => Action::Replace(fields.any("value")?),
            "test" => Action::Test(fields.any("value")?),
            "move" | "copy" => {
                let from = Pointer::read(at.member("from"), &fields.text("from")?)?;
                match op.as_str() {
                    "copy" => Action::Copy(from),
                    _ if path.is_below(&from) => {
                        return Err(Fault::new(at.member("from"), "a move into itself"));
                    }
                    _ => Action::Move(from),
                }
            }
            other => {
                let fault = Fault::new(at.member("op"), "no operation").found(quote(other));
                return Err(fault.suggest(other, OPERATIONS));
            }
        };
        Ok(Self { path, action })
    }

    pub fn apply_all(operations: Vec<Self>, mut document: Value) -> Result<Value> {
        let root = At::Root;
        let mut bytes = 0;
        for (index, operation) in operations.into_iter().enumerate() {
            operation.apply(root.element(index), &mut document, &mut bytes)?;
        }
        Ok(document)
    }

    fn apply(self, at: At<'_>, document: &mut Value, bytes: &mut usize) -> Result<()> {
        let path_at = at.member("path");
        let from_at = at.member("from");
        match self.action {
            Action::Add(value) => {
                spend(at, &value, bytes)?;
                self.path.add(path_at, document, value)
            }
            Action::Remove => self.path.remove(path_at, document).map(drop),
            Action::Replace(value) => {
                spend(at, &value, bytes)?;
                self.path.fits(path_at, &value)?;
                *self.path.find_mut(path_at, document)? = value;
                Ok(())
            }
            Action::Move(from) => {
                let value = from.remove(from_at, document)?;
                self.path.add(path_at, document, value)
            }
            Action::Copy(from) => {
                let value = from.find_mut(from_at, document)?;
                spend(at, value, bytes)?;
                let value = value.clone();
                self.path.add(path_at, document, value)
            }
            Action::Test(expected) => {
                let found = self.path.find_mut(path_at, document)?;
                if same(&expected, found) {
                    return Ok(());
                }
                let fault = Fault::new(at, "a test that does not hold").kind(FaultKind::Conflict);
                Err(fault.expected(describe(&expected)).found(describe(found)))
            }
        }
    }
}

/// Counts what comes in.
fn spend(at: At<'_>, value: &Value, bytes: &mut usize) -> Result<()> {
    *bytes += cost(value);
    if *bytes > PATCH_BYTES_MAX {
        let what = format!("a patch that brings in more than {PATCH_BYTES_MAX} bytes");
        return Err(Fault::new(at, what).kind(FaultKind::TooLarge));
    }
    Ok(())
}

fn cost(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(cost).sum(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| name.len() + cost(value)).sum()
            }
            _ => 0,
        }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Equal as RFC 6902 has it: numbers by their value, members in any order.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let is_there = |(name, a): (&String, &Value)| b.get(name).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(is_there)
        }
        (a, b) => a == b,
    }
}

/// The steps of a JSON pointer.
struct Pointer(Vec<String>);

impl Pointer {
    fn read(at: At<'_>, text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let Some(steps) = text.strip_prefix('/') else {
            let fault = Fault::new(at, "a path that does not begin with a slash");
            return Err(fault.found(quote(text)));
        };
        let steps = steps.split('/').map(|step| {
            // Tildes are the first of `~0` or of `~1`.
            let rest = step.replace("~0", "").replace("~1", "");
            if rest.contains('~') {
                let fault = Fault::new(at, "a `~` that escapes nothing").found(quote(step));
                return Err(fault.hint("`~` is written `~0`, `/` is written `~1`"));
            }
            Ok(step.replace("~1", "/").replace("~0", "~"))
        });
        Ok(Self(steps.collect::<Result<_>>()?))
    }

    /// Is it a place inside of the other?
    fn is_below(&self, other: &Self) -> bool {
        self.0.len() > other.0.len() && self.0.starts_with(&other.0)
    }

    fn nowhere(at: At<'_>, step: &str) -> Box<Fault> {
        let fault = Fault::new(at, "a path that leads nowhere").kind(FaultKind::Conflict);
        fault.found(quote(step))
    }

    fn find_mut<'v>(&self, at: At<'_>, document: &'v mut Value) -> Result<&'v mut Value> {
        Self::walk(at, &self.0, document)
    }

    fn walk<'v>(at: At<'_>, steps: &[String], document: &'v mut Value) -> Result<&'v mut Value> {
        let mut value = document;
        for step in steps {
            let below = match value {
                Value::Object(members) => members.get_mut(step),
                Value::Array(items) => match index(step) {
                    Some(index) => items.get_mut(index),
                    None => None,
                },
                _ => None,
            };
            value = below.ok_or_else(|| Self::nowhere(at, step))?;
        }
        Ok(value)
    }

    /// The value above the last step, and that step; none for the whole document.
    fn above<'v, 's>(
        &'s self,
        at: At<'_>,
        document: &'v mut Value,
    ) -> Result<Option<(&'v mut Value, &'s str)>> {
        match self.0.split_last() {
            None => Ok(None),
            Some((last, above)) => Ok(Some((Self::walk(at, above, document)?, last))),
        }
    }

    /// No value may come to lie deeper than one of a body.
    fn fits(&self, at: At<'_>, value: &Value) -> Result<()> {
        if self.0.len() + depth(value) > JSON_DEPTH_MAX {
            let what = format!("values nested more than {JSON_DEPTH_MAX} deep");
            return Err(Fault::new(at, what).kind(FaultKind::TooLarge));
        }
        Ok(())
    }

    fn add(&self, at: At<'_>, document: &mut Value, value: Value) -> Result<()> {
        self.fits(at, &value)?;
        let Some((above, last)) = self.above(at, document)? else {
            *document = value;
            return Ok(());
        };
        match above {
            Value::Object(members) => {
                members.insert(last.to_owned(), value);
                Ok(())
            }
            Value::Array(items) => {
                let place = if last == "-" { Some(items.len()) } else { index(last) };
                match place.filter(|place| *place <= items.len()) {
                    Some(place) => {
                        items.insert(place, value);
                        Ok(())
                    }
                    None => Err(Self::nowhere(at, last)),
                }
            }
            _ => Err(Self::nowhere(at, last)),
        }
    }

    fn remove(&self, at: At<'_>, document: &mut Value) -> Result<Value> {
        let Some((above, last)) = self.above(at, document)? else {
            return Ok(std::mem::replace(document, Value::Object(Map::new())));
        };
        let removed = match above {
            Value::Object(members) => members.shift_remove(last),
            Value::Array(items) => {
                let place = index(last).filter(|index| *index < items.len());
                place.map(|index| items.remove(index))
            }
            _ => None,
        };
        removed.ok_or_else(|| Self::nowhere(at, last))
    }
}

/// An index as RFC 6901 writes it: digits without a leading zero.
fn index(step: &str) -> Option<usize> {
    let digits = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    let plain = step == "0" || !step.starts_with('0');
    if digits && plain { step.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn apply(document: Value, patch: Value) -> Result<Value> {
        Operation::apply_all(Operation::read_all(patch)?, document)
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        // RFC 6902, appendix A.
        for (document, patch, expected) in [
            (
                json!({"foo": "bar"}),
                json!([{"op": "add", "path": "/baz", "value": "qux"}]),
                json!({"baz": "qux", "foo": "bar"}),
            ),
            (
                json!({"foo": ["bar", "baz"]}),
                json!([{"op": "add", "path": "/foo/1", "value": "qux"}]),
                json!({"foo": ["bar", "qux", "baz"]}),
            ),
            (
                json!({"baz": "qux", "foo": "bar"}),
                json!([{"op": "remove", "path": "/baz"}]),
                json!({"foo": "bar"}),
            ),
            (
                json!({"foo": ["bar", "qux", "baz"]}),
                json!([{"op": "remove", "path": "/foo/1"}]),
                json!({"foo": ["bar", "baz"]}),
            ),
            (
                json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}),
                json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
                json!({"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
            ),
            (
                json!({"foo": ["all", "grass", "cows", "eat"]}),
                json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
                json!({"foo": ["all", "cows", "eat", "grass"]}),
            ),
            (
                json!({"/": 9, "~1": 10}),
                json!([{"op": "test", "path": "/~01", "value": 10}]),
                json!({"/": 9, "~1": 10}),
            ),
            (
                json!({"foo": ["bar"]}),
                json!([{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]),
                json!({"foo": ["bar", ["abc", "def"]]}),
            ),
            (
                json!({"a": [1, {"b": 2}]}),
                json!([{"op": "copy", "from": "/a/1", "path": "/c"},
                       {"op": "replace", "path": "/a/1/b", "value": null},
                       {"op": "test", "path": "/c", "value": {"b": 2.0}}]),
                json!({"a": [1, {"b": null}], "c": {"b": 2}}),
            ),
        ] {
            assert_eq!(apply(document, patch.clone()).unwrap(), expected, "{patch}");
        }
    }

    #[test]
    fn what_cannot_be_applied_is_told() {
        for (patch, pointer, says) in [
            (json!({}), "", "an array of operations"),
            (json!([5]), "/0", "an operation"),
            (json!([{"op": "ad", "path": "/a", "value": 1}]), "/0/op", "did you mean `add`?"),
            (json!([{"op": "add", "path": "/a"}]), "/0", "`value` is missing"),
            (json!([{"op": "add", "path": "a", "value": 1}]), "/0/path", "slash"),
            (json!([{"op": "add", "path": "/~2", "value": 1}]), "/0/path", "escapes nothing"),
            (json!([{"op": "add", "path": "/baz/bat", "value": 1}]), "/0/path", "nowhere"),
            (json!([{"op": "replace", "path": "/no", "value": 1}]), "/0/path", "nowhere"),
            (json!([{"op": "remove", "path": "/l/01"}]), "/0/path", "nowhere"),
            (json!([{"op": "remove", "path": "/l/-"}]), "/0/path", "nowhere"),
            (json!([{"op": "add", "path": "/l/3", "value": 1}]), "/0/path", "nowhere"),
            (json!([{"op": "test", "path": "/l/0", "value": "1"}]), "/0", "does not hold"),
            (json!([{"op": "move", "from": "/l", "path": "/l/0"}]), "/0/from", "into itself"),
            (json!([{"op": "copy", "from": "/no", "path": "/l"}]), "/0/from", "nowhere"),
        ] {
            let fault = apply(json!({"l": [1, 2], "s": "x"}), patch.clone()).unwrap_err();
            assert_eq!(fault.pointer, pointer, "{patch}: {fault}");
            assert!(fault.to_string().contains(says), "{patch}: {fault}");
        }
    }

    #[test]
    fn copies_of_copies_are_bounded() {
        let copies: Vec<Value> = (0..PATCH_OPERATIONS_MAX)
            .map(|n| json!({"op": "copy", "from": "", "path": format!("/c{n}")}))
            .collect();
        let fault = apply(json!({"a": "x"}), Value::Array(copies.clone())).unwrap_err();
        assert_eq!(fault.kind, FaultKind::TooLarge);
        let deep: Vec<Value> = (0..JSON_DEPTH_MAX + 1)
            .map(|_| json!({"op": "copy", "from": "/a", "path": "/a/a"}))
            .chain([json!({"op": "add", "path": "/a/a", "value": 1})])
            .collect();
        assert!(apply(json!({"a": {}}), Value::Array(deep)).is_err());
        let more = [copies, vec![json!({"op": "remove", "path": "/a"})]].concat();
        let fault = apply(json!({}), Value::Array(more)).unwrap_err();
        assert!(fault.to_string().contains("operations"));
    }

    fn any_path() -> impl Strategy<Value = String> {
        "(/(a|b|0|1|-|~0|~1|~|)){0,3}"
    }

    proptest! {
        #[test]
        fn no_patch_is_a_panic(
            operations in prop::collection::vec(
                (prop::sample::select(&OPERATIONS[..]), any_path(), any_path(), 0..3_usize),
                0..6,
            )
        ) {
            let values = [json!(1), json!([1, {"a": 2}]), json!({"b": null})];
            let patch = operations
                .into_iter()
                .map(|(op, path, from, value)| {
                    json!({"op": op, "path": path, "from": from, "value": values[value]})
                })
                .collect();
            let _ = apply(json!({"a": [1, 2], "b": {"a": {}}}), Value::Array(patch));
        }
    }
}
