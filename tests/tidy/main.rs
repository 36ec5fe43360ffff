//! The tidy test: what ARCHITECTURE.md says about the source tree, held by a test.
//!
//! Each rule is a function from a [`Tree`] to a list of complaints. It is run on this repository,
//! where it must find nothing, and on small bad trees, where it must find the one fault: a rule
//! that cannot complain holds nothing. The rules read text only and know no crate of the house.

mod lexer;
mod manifest;
mod rules;
mod tree;

use tree::Tree;

/// Runs one rule on the repository.
#[track_caller]
fn holds(rule: fn(&Tree) -> Vec<String>) {
    let complaints = rule(&Tree::of_repository());
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn crates_import_only_from_floors_below() {
    holds(rules::floors::complaints);
}

#[test]
fn every_dependency_is_declared_by_the_workspace() {
    holds(rules::dependencies::not_from_workspace);
}

#[test]
#[ignore = "a matter of taste while crates are being filled: `make lint` runs it"]
fn every_declared_dependency_is_used() {
    holds(rules::dependencies::unused);
}

#[test]
fn heavy_crates_are_built_in_one_version() {
    let built = tree::packages_built();
    let complaints = rules::dependencies::doubled(&built);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_rust_file_says_what_it_is() {
    holds(rules::files::without_head);
}

#[test]
fn no_file_is_too_long() {
    holds(rules::files::too_long);
}

#[test]
fn no_unfinished_or_panicking_code() {
    holds(rules::files::unfinished);
}

#[test]
fn no_text_that_belongs_to_one_machine() {
    holds(rules::files::foreign_text);
}

#[test]
fn documents_name_only_commands_that_exist() {
    holds(rules::documents::unknown_make_targets);
}

#[test]
fn documents_link_only_to_files_that_exist() {
    holds(rules::documents::broken_links);
}
