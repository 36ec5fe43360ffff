//! Files: each says what it is, none is too long, none is unfinished, none belongs to a machine.

use std::collections::BTreeSet;

use crate::lexer::{code_only, without_tests};
use crate::tree::Tree;

/// Past 800 a file wants a second room; here the door shuts.
const FILE_LINES_MAX: usize = 1_000;

/// Written by people; data, locks and generated documents may be long.
const WRITTEN_BY_HAND: &[&str] =
    &[".rs", ".toml", ".md", ".py", ".sh", ".sql", ".ts", ".vue", ".js", "Makefile"];

/// Calls that have no place outside tests, with the reason.
const UNFINISHED: &[(&str, &str)] = &[
    ("todo!", "finish it"),
    ("unimplemented!", "finish it"),
    ("dbg!", "use tracing"),
    (".unwrap()", "return the error, or `expect` the invariant"),
    (".unwrap_err()", "return the error, or `expect_err` the invariant"),
];

/// Hosts of package registries (clients know them) and paths of one machine. In two parts, so
/// that this file does not hold what it forbids.
const FOREIGN: &[(&str, &str)] = &[
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("npmjs", ".org"),
    ("npmjs", ".com"),
    ("deb.debian", ".org"),
    ("proxy.golang", ".org"),
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
];

pub fn without_head(tree: &Tree) -> Vec<String> {
    tree.ending(".rs")
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| {
            format!("{path}:1: open with `//!`: what it is, why, what it does not know")
        })
        .collect()
}

pub fn too_long(tree: &Tree) -> Vec<String> {
    tree.iter()
        .filter(|(path, _)| WRITTEN_BY_HAND.iter().any(|end| path.ends_with(end)))
        .filter_map(|(path, text)| {
            let lines = text.lines().count();
            (lines > FILE_LINES_MAX)
                .then(|| format!("{path}: {lines} lines, at most {FILE_LINES_MAX}: split it"))
        })
        .collect()
}

pub fn unfinished(tree: &Tree) -> Vec<String> {
    let for_tests = modules_for_tests(tree);
    let mut complaints = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let in_tests =
            path.split('/').any(|part| matches!(part, "tests" | "fuzz" | "benches" | "examples"));
        if in_tests || for_tests.contains(path) {
            continue;
        }
        for (index, line) in without_tests(&code_only(text)).lines().enumerate() {
            for (call, advice) in UNFINISHED {
                if line.contains(call) {
                    complaints.push(format!("{path}:{}: `{call}`: {advice}", index + 1));
                }
            }
        }
    }
    complaints
}

/// Files that a `#[cfg(test)] mod name;` brings in.
fn modules_for_tests(tree: &Tree) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for (path, text) in tree.ending(".rs") {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let children = match file {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            _ => path.trim_end_matches(".rs").to_owned(),
        };
        for after in text.split("#[cfg(test)]").skip(1) {
            let declared =
                after.trim_start().strip_prefix("mod ").and_then(|rest| rest.split_once(';'));
            if let Some((name, _)) = declared.filter(|(name, _)| !name.contains(['{', ' '])) {
                files.insert(format!("{children}/{name}.rs"));
                files.insert(format!("{children}/{name}/mod.rs"));
            }
        }
    }
    files
}

pub fn foreign_text(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| *path != "Cargo.lock") {
        for (index, line) in text.lines().enumerate() {
            for (first, second) in FOREIGN {
                let whole = format!("{first}{second}");
                if names(line, &whole) {
                    complaints.push(format!("{path}:{}: holds `{whole}`: leave it out", index + 1));
                }
            }
        }
    }
    complaints
}

/// Whether a line names the host or the folder; `@/pages` + a folder's name is nobody's home.
fn names(line: &str, whole: &str) -> bool {
    line.match_indices(whole).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !whole.starts_with('/') || before.is_none_or(|c| !c.is_alphanumeric() && c != '.')
    })
}

#[cfg(test)]
mod tests {
    use super::{foreign_text, too_long, unfinished, without_head};
    use crate::rules::{accepts, finds};

    #[test]
    fn a_file_without_a_head_is_found() {
        finds(without_head, &[("crates/a/src/lib.rs", "use std::fs;\n")], "lib.rs:1: open with");
        accepts(without_head, &[("crates/a/src/lib.rs", "//! A.\n")]);
    }

    #[test]
    fn a_long_file_is_found_but_data_may_be_long() {
        let long = "x\n".repeat(1_001);
        finds(too_long, &[("docs/a.md", &long), ("packs/a.csv", &long)], "docs/a.md: 1001 lines");
    }

    #[test]
    fn unfinished_code_is_found_outside_tests_only() {
        let path = "crates/a/src/lib.rs";
        finds(unfinished, &[(path, "fn a() {\n    todo!()\n}")], "lib.rs:2: `todo!`");
        finds(unfinished, &[(path, "fn a() { b().unwrap() }")], "`.unwrap()`");
        accepts(unfinished, &[(path, "fn a() { b(\"todo!\") } // .unwrap()")]);
        accepts(unfinished, &[(path, "#[cfg(test)]\nmod tests { fn a() { b().unwrap() } }")]);
        accepts(unfinished, &[("crates/a/tests/it/main.rs", "fn a() { b().unwrap() }")]);
        let declared = (path, "#[cfg(test)]\nmod attack;");
        accepts(unfinished, &[declared, ("crates/a/src/attack.rs", "fn a() { b().unwrap() }")]);
    }

    #[test]
    fn text_of_one_machine_is_found() {
        let host = format!("see https://{}{}", "crates", ".io/x");
        finds(foreign_text, &[("README.md", &host)], "README.md:1: holds");
        let path = format!("cd {}{}x", "/ho", "me/");
        finds(foreign_text, &[("scripts/a", &path)], "scripts/a:1: holds");
        let module = format!("import '@/pages{}{}past'", "/ho", "me/");
        accepts(foreign_text, &[("web/a.ts", &module)]);
    }
}
