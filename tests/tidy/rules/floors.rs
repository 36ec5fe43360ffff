//! A crate imports only from floors below its own, so engines, which share a floor, never meet.

use crate::manifest;
use crate::tree::Tree;

/// The house, from the ground up. ARCHITECTURE.md draws the same picture.
const FLOORS: &[(&str, u8)] = &[
    ("pack", 1),
    ("store", 1),
    ("spatial", 1),
    ("mqtt", 1),
    // Apart from the engines: imports the pack alone, and the command line imports it.
    ("synth", 2),
    ("catalog", 2),
    ("intake", 2),
    ("registry", 3),
    ("sensing", ENGINES),
    ("warning", ENGINES),
    ("casework", ENGINES),
    ("reach", ENGINES),
    ("eligibility", ENGINES),
    ("matching", ENGINES),
    ("ledger", ENGINES),
    ("chain", ENGINES),
    ("indicators", ENGINES),
    ("city", 5),
    ("server", 6),
    ("shujin", 7),
    ("bench", APART),
];
const ENGINES: u8 = 4;
/// May import anything; nothing imports it.
const APART: u8 = u8::MAX;

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

pub fn complaints(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.ending("/Cargo.toml") {
        let Some(name) =
            path.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/Cargo.toml"))
        else {
            continue;
        };
        let Some(own) = floor(name) else {
            complaints.push(format!("{path}: crate `{name}` has no floor: add it to floors.rs"));
            continue;
        };
        for dependency in manifest::dependencies(text) {
            let Some(other) = floor(dependency.name) else { continue };
            let what = match (own, other) {
                _ if other < own => continue,
                (ENGINES, ENGINES) => "engines never import each other: meet in a dataset",
                _ => "a crate imports only from floors below its own",
            };
            complaints.push(format!(
                "{path}:{}: `{name}` imports `{}`: {what}",
                dependency.line, dependency.name
            ));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::complaints;
    use crate::rules::{accepts, finds};

    const STORE: &str = "[dependencies]\nstore.workspace = true\n";

    #[test]
    fn a_floor_below_is_fine() {
        accepts(complaints, &[("crates/catalog/Cargo.toml", STORE), ("tests/Cargo.toml", STORE)]);
    }

    #[test]
    fn the_same_floor_is_not() {
        finds(
            complaints,
            &[("crates/pack/Cargo.toml", STORE)],
            "pack/Cargo.toml:2: `pack` imports `store`",
        );
    }

    #[test]
    fn nor_is_one_above_even_for_tests() {
        let city = "[dev-dependencies]\ncity = { workspace = true }\n";
        finds(complaints, &[("crates/store/Cargo.toml", city)], "only from floors below");
    }

    #[test]
    fn engines_do_not_meet() {
        let warning = "[dependencies]\nwarning.workspace = true\n";
        finds(complaints, &[("crates/sensing/Cargo.toml", warning)], "engines never import");
    }

    #[test]
    fn a_crate_without_a_floor_is_noticed() {
        finds(complaints, &[("crates/attic/Cargo.toml", "[package]\n")], "`attic` has no floor");
    }

    #[test]
    fn nothing_imports_what_stands_apart() {
        let bench = "[dependencies]\nbench.workspace = true\n";
        finds(complaints, &[("crates/shujin/Cargo.toml", bench)], "imports `bench`");
    }
}
