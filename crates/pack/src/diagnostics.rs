//! What is wrong with a pack, said so that whoever wrote the line can mend it.
//!
//! Knows nothing of how faults are found; it sorts, counts and prints them.

use std::fmt;

use crate::model::Place;

/// At most this many names of a list are printed in "expected one of …".
const NAMES_LISTED_MAX: usize = 12;

/// One fault at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub place: Place,
    /// What is wrong.
    pub problem: String,
    pub expected: Option<String>,
    pub found: Option<String>,
    /// How to mend it.
    pub mend: Option<String>,
}

impl Diagnostic {
    pub fn new(place: Place, problem: impl Into<String>) -> Self {
        Self { place, problem: problem.into(), expected: None, found: None, mend: None }
    }

    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// "did you mean …?" where a known name is near, else all names where they are few.
    #[must_use]
    pub fn suggest<'a>(self, wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(wrong, known.iter().copied()) {
            Some(near) => self.mend(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None if known.len() <= NAMES_LISTED_MAX => {
                self.mend(format!("use one of: {}", known.join(", ")))
            }
            None => self,
        }
    }
}

/// `file:line:col: what is wrong: expected X, found Y; how to mend`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = &self.place;
        write!(f, "{file}:{line}:{column}: {}", self.problem)?;
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => write!(f, ": expected {expected}, found {found}")?,
            (Some(expected), None) => write!(f, ": expected {expected}")?,
            (None, Some(found)) => write!(f, ": found {found}")?,
            (None, None) => {}
        }
        match &self.mend {
            Some(mend) => write!(f, "; {mend}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a pack, in order of place. Never empty where it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// By file, line and column, each fault once.
    pub(crate) fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            let key = |d: &Diagnostic| (d.place.file.clone(), d.place.line, d.place.column);
            key(a).cmp(&key(b)).then_with(|| a.problem.cmp(&b.problem))
        });
        self.0.dedup();
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One fault a line, then how many there are.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.0 {
            writeln!(f, "{diagnostic}")?;
        }
        match self.count() {
            1 => write!(f, "1 mistake in the pack"),
            count => write!(f, "{count} mistakes in the pack"),
        }
    }
}

impl std::error::Error for Diagnostics {}

/// A wrong name that begins a known one, or the other way round, was probably meant as it, if it
/// is at least this long.
const PREFIX_CHARS_MIN: usize = 4;

/// The known name nearest to a wrong one, if it is near enough to be what was meant: at most a
/// third of its characters differ, or one begins with the other.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong_lower = wrong.to_lowercase();
    let distance_max = (wrong.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (name, name.to_lowercase()))
        .map(|(name, lower)| {
            let shorter = wrong_lower.chars().count().min(lower.chars().count());
            let begins = lower.starts_with(&wrong_lower) || wrong_lower.starts_with(&lower);
            let near = begins && shorter >= PREFIX_CHARS_MIN;
            (if near { 1 } else { distance(&wrong_lower, &lower) }, name)
        })
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, name)| name)
}

/// Edits (insert, drop, change, swap of neighbours) between two texts.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(nearest("observed_ta", ["observed_at", "site"]), Some("observed_at"));
        assert_eq!(nearest("Site", ["observed_at", "site"]), Some("site"));
        assert_eq!(nearest("observed", ["observed_at", "site"]), Some("observed_at"));
        assert_eq!(nearest("colour", ["observed_at", "site"]), None);
        assert_eq!(nearest("ugm3", ["ug/m3", "mg/m3"]), Some("ug/m3"));
    }
}
