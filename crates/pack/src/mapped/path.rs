//! Where a value is in JSON: the part of JSONPath (RFC 9535) that messages of devices need.
//!
//! ```text
//!  $                 the value itself
//!  .name  ['a b']    a member
//!  [0]  [-1]         an element, from the start or from the end
//!  [*]  .*           all elements or members
//! ```
//!
//! No filters, slices or descent: what a device sends is laid out the same way each time, and a path
//! that can be read at a glance can be checked when the pack loads.

use std::fmt;

use serde_json::Value;

/// Longer paths are refused.
const PATH_CHARS_MAX: usize = 256;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(i64),
    All,
}

/// A path that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PathFault(String);

impl JsonPath {
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        if text.chars().count() > PATH_CHARS_MAX {
            return Err(PathFault(format!("a path has at most {PATH_CHARS_MAX} characters")));
        }
        let Some(mut rest) = text.strip_prefix('$') else {
            return Err(PathFault("a path begins with `$`".to_owned()));
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = match rest.strip_prefix('.') {
                Some(after) => dotted(after)?,
                None => bracketed(rest)?,
            };
            steps.push(step);
            rest = after;
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Does it lead to one value at most?
    pub fn is_single(&self) -> bool {
        !self.steps.contains(&Step::All)
    }

    /// The one value that it leads to; none where it leads nowhere. Of several, the first.
    pub fn one<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.all(value, 1).into_iter().next()
    }

    /// The values that it leads to, in order, `count_max` of them at most.
    pub fn all<'v>(&self, value: &'v Value, count_max: usize) -> Vec<&'v Value> {
        let mut found = Vec::new();
        walk(&self.steps, value, count_max, &mut found);
        found
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Goes as deep as the path is long, which is bounded where it is read.
fn walk<'v>(steps: &[Step], value: &'v Value, count_max: usize, found: &mut Vec<&'v Value>) {
    if found.len() >= count_max {
        return;
    }
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return;
    };
    match (step, value) {
        (Step::Member(name), Value::Object(members)) => {
            if let Some(value) = members.get(name) {
                walk(rest, value, count_max, found);
            }
        }
        (Step::Element(at), Value::Array(items)) => {
            if let Some(value) = element(items, *at) {
                walk(rest, value, count_max, found);
            }
        }
        (Step::All, Value::Array(items)) => {
            items.iter().for_each(|value| walk(rest, value, count_max, found));
        }
        (Step::All, Value::Object(members)) => {
            members.values().for_each(|value| walk(rest, value, count_max, found));
        }
        _ => {}
    }
}

fn element(items: &[Value], at: i64) -> Option<&Value> {
    let index = usize::try_from(at.unsigned_abs()).ok()?;
    match at < 0 {
        true => items.get(items.len().checked_sub(index)?),
        false => items.get(index),
    }
}

fn dotted(text: &str) -> Result<(Step, &str), PathFault> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let is_odd =
        |c: char| c.is_whitespace() || matches!(c, ']' | '\'' | '"' | '?' | '(' | ')' | '@');
    match name {
        "" => Err(PathFault("a name is missing after `.`; descent (`..`) is not read".to_owned())),
        "*" => Ok((Step::All, rest)),
        name if name.contains(is_odd) => {
            Err(PathFault(format!("`{name}` is written in brackets: ['{name}']")))
        }
        name => Ok((Step::Member(name.to_owned()), rest)),
    }
}

fn bracketed(text: &str) -> Result<(Step, &str), PathFault> {
    let Some(inside) = text.strip_prefix('[') else {
        return Err(PathFault(format!("expected `.` or `[` before `{text}`")));
    };
    for quote in ['\'', '"'] {
        if let Some(quoted) = inside.strip_prefix(quote) {
            let end = quoted.find(quote);
            let end = end.ok_or_else(|| PathFault(format!("a {quote} without its other")))?;
            let (name, after) = (&quoted[..end], &quoted[end + 1..]);
            let rest = after.strip_prefix(']');
            let rest = rest.ok_or_else(|| PathFault(format!("expected `]` after `{name}`")))?;
            return Ok((Step::Member(name.to_owned()), rest));
        }
    }
    let Some((inside, rest)) = inside.split_once(']') else {
        return Err(PathFault("a `[` without its `]`".to_owned()));
    };
    if inside == "*" {
        return Ok((Step::All, rest));
    }
    match inside.parse() {
        Ok(at) => Ok((Step::Element(at), rest)),
        Err(_) => {
            Err(PathFault(format!("[{inside}] is no element: a number, '*' or a name in quotes")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all(path: &str, value: &Value) -> Vec<Value> {
        JsonPath::parse(path).unwrap().all(value, 10).into_iter().cloned().collect()
    }

    #[test]
    fn paths_lead_to_values() {
        let value =
            json!({"a": {"b": [1, 2, 3]}, "水 位": {"c.d": 7}, "items": [{"v": 4}, {}, {"v": 5}]});
        assert_eq!(all("$.a.b[0]", &value), [json!(1)]);
        assert_eq!(all("$.a.b[-1]", &value), [json!(3)]);
        assert_eq!(all("$.a.b[3]", &value), Vec::<Value>::new());
        assert_eq!(all("$.a.b[-4]", &value), Vec::<Value>::new());
        assert_eq!(all("$['水 位'][\"c.d\"]", &value), [json!(7)]);
        assert_eq!(all("$.items[*].v", &value), [json!(4), json!(5)]);
        assert_eq!(all("$.a.*[1]", &value), [json!(2)]);
        assert_eq!(all("$", &json!(8)), [json!(8)]);
        assert_eq!(JsonPath::parse("$.items[*]").unwrap().all(&value, 2).len(), 2, "bounded");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in
            ["", "a.b", "$a", "$.", "$..a", "$.a b", "$[", "$[x]", "$['a", "$['a'", "$[?(@.a)]"]
        {
            assert!(JsonPath::parse(wrong).is_err(), "{wrong}");
        }
        assert!(!JsonPath::parse("$[*].a").unwrap().is_single());
        assert!(JsonPath::parse("$[0].a").unwrap().is_single());
    }
}
