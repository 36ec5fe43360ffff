//! Topics of MQTT that a source takes: levels that are named, and levels that are as they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Bytes of a topic that is asked about, as MQTT bounds it.
const TOPIC_BYTES_MAX: usize = 65_535;
/// Levels of a pattern.
const LEVELS_MAX: usize = 32;
/// What SensorThings itself takes.
const SENSOR_THINGS: &str = "v1.1";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Is(String),
    /// `{device}`; `+` where nobody needs the name.
    Any(Option<String>),
}

/// `city/water/{device}/telemetry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    text: String,
    levels: Vec<Level>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TopicFault(String);

impl TopicPattern {
    pub fn parse(text: &str) -> Result<Self, TopicFault> {
        let levels: Vec<Level> = text.split('/').map(level).collect::<Result<_, _>>()?;
        if levels.len() > LEVELS_MAX {
            return Err(TopicFault(format!("a topic has at most {LEVELS_MAX} levels")));
        }
        let named = levels.iter().filter_map(Level::name).count();
        let names: BTreeSet<&str> = levels.iter().filter_map(Level::name).collect();
        if names.len() < named {
            return Err(TopicFault("two levels have one name".to_owned()));
        }
        let Some(Level::Is(first)) = levels.first() else {
            let reason = "the first level is a text: it says whose topics they are";
            return Err(TopicFault(reason.to_owned()));
        };
        if first == SENSOR_THINGS || first.starts_with('$') {
            return Err(TopicFault(format!("topics below `{first}` are not the pack's")));
        }
        Ok(Self { text: text.to_owned(), levels })
    }

    /// The names that levels have.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().filter_map(Level::name)
    }

    /// What the named levels are in a topic; none where it is not of this pattern.
    pub fn captures<'t>(&self, topic: &'t str) -> Option<BTreeMap<&str, &'t str>> {
        if topic.len() > TOPIC_BYTES_MAX {
            return None;
        }
        let mut captured = BTreeMap::new();
        let mut parts = topic.split('/');
        for level in &self.levels {
            let part = parts.next()?;
            match level {
                Level::Is(text) if text != part => return None,
                Level::Is(_) => {}
                Level::Any(_) if part.is_empty() => return None,
                Level::Any(Some(name)) => {
                    captured.insert(name.as_str(), part);
                }
                Level::Any(None) => {}
            }
        }
        parts.next().is_none().then_some(captured)
    }

    /// Is there a topic that both take?
    pub fn meets(&self, other: &Self) -> bool {
        self.levels.len() == other.levels.len()
            && self.levels.iter().zip(&other.levels).all(|pair| match pair {
                (Level::Is(one), Level::Is(other)) => one == other,
                _ => true,
            })
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Level {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Any(name) => name.as_deref(),
            Self::Is(_) => None,
        }
    }
}

fn level(text: &str) -> Result<Level, TopicFault> {
    if text == "+" {
        return Ok(Level::Any(None));
    }
    if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        return match !name.is_empty() && name.bytes().all(is_plain) {
            true => Ok(Level::Any(Some(name.to_owned()))),
            false => Err(TopicFault(format!(
                "`{{{name}}}` is no name of a level: small letters, digits and `_`"
            ))),
        };
    }
    if text.is_empty() || text.contains(['{', '}', '+', '#', '\0']) {
        return Err(TopicFault(format!(
            "`{text}` is no level: a text, `{{name}}` or `+`; `#` would take what nobody described"
        )));
    }
    Ok(Level::Is(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TopicPattern {
        TopicPattern::parse(text).unwrap()
    }

    #[test]
    fn levels_are_captured_by_name() {
        let water = pattern("city/water/{device}/telemetry");
        let captured = water.captures("city/water/W-7/telemetry").unwrap();
        assert_eq!(captured.get("device"), Some(&"W-7"));
        for other in [
            "city/water/W-7",
            "city/water//telemetry",
            "city/gas/W-7/telemetry",
            "city/water/W-7/telemetry/x",
        ] {
            assert!(water.captures(other).is_none(), "{other}");
        }
        assert!(pattern("a/+/b").captures("a/x/b").unwrap().is_empty());
    }

    #[test]
    fn patterns_that_take_one_topic_meet() {
        assert!(pattern("a/{x}/c").meets(&pattern("a/b/{y}")));
        assert!(!pattern("a/{x}/c").meets(&pattern("a/b/d")));
        assert!(!pattern("a/{x}").meets(&pattern("a/{x}/{y}")));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in [
            "",
            "{a}/b",
            "+/b",
            "a//b",
            "a/#",
            "a/{}",
            "a/{A}",
            "a/{x}/{x}",
            "a/b+",
            "v1.1/Observations",
            "$SYS/x",
        ] {
            assert!(TopicPattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
