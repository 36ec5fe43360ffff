//! The rules, a file for each subject. Each has its bad examples below it.

pub mod dependencies;
pub mod documents;
pub mod files;
pub mod floors;

/// Asserts that a rule finds exactly one fault in a bad tree, and says so in these words.
#[cfg(test)]
#[track_caller]
fn finds(rule: fn(&crate::Tree) -> Vec<String>, files: &[(&str, &str)], expect: &str) {
    let complaints = rule(&crate::Tree::of(files));
    assert_eq!(complaints.len(), 1, "one fault expected: {complaints:#?}");
    assert!(complaints[0].contains(expect), "{} does not say: {expect}", complaints[0]);
}

/// Asserts that a rule finds no fault in a good tree.
#[cfg(test)]
#[track_caller]
fn accepts(rule: fn(&crate::Tree) -> Vec<String>, files: &[(&str, &str)]) {
    assert_eq!(rule(&crate::Tree::of(files)), Vec::<String>::new());
}
