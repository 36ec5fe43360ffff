//! Documents: a command they tell a reader to type exists, and so does a file they link to.

use std::collections::BTreeSet;

use crate::tree::Tree;

/// `make NAME` in a code span or block, with no such target in the Makefile.
pub fn unknown_make_targets(tree: &Tree) -> Vec<String> {
    let makefile = tree.get("Makefile").unwrap_or_default();
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', ' ', '.']))
        .filter_map(|line| line.split_once(':'))
        .filter(|(_, after)| !after.starts_with('='))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    let mut complaints = Vec::new();
    for (path, text) in tree.ending(".md") {
        let mut block = false;
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                block = !block;
                continue;
            }
            let spans: Vec<&str> =
                if block { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
            for name in spans.into_iter().filter_map(make_target) {
                if !targets.contains(name) {
                    complaints.push(format!("{path}:{}: the Makefile has no `{name}`", index + 1));
                }
            }
        }
    }
    complaints
}

/// The target of a command line such as `CITY_DATA=../shared/data make demo`.
fn make_target(command: &str) -> Option<&str> {
    let mut words = command
        .split_whitespace()
        .skip_while(|word| *word == "$" || (word.contains('=') && !word.starts_with('-')));
    (words.next() == Some("make")).then(|| words.next()).flatten()
}

/// `[text](path)` with no such path; addresses and anchors are not looked at.
pub fn broken_links(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.ending(".md") {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (index, line) in text.lines().enumerate() {
            for after in line.split("](").skip(1) {
                let link = after.split([')', '#', ' ']).next().unwrap_or_default();
                if link.is_empty() || link.contains("://") || link.starts_with("mailto:") {
                    continue;
                }
                let target = resolve(folder, link);
                if !tree.has(&target) {
                    complaints
                        .push(format!("{path}:{}: links to `{target}`: no such file", index + 1));
                }
            }
        }
    }
    complaints
}

/// A link's path from the root.
fn resolve<'a>(folder: &'a str, link: &'a str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(link.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{broken_links, unknown_make_targets};
    use crate::rules::{accepts, finds};

    const MAKEFILE: (&str, &str) =
        ("Makefile", "X := 1\n.PHONY: demo gone\ndemo test: build\n\trun: it\n");

    #[test]
    fn a_command_that_does_not_exist_is_found() {
        let good = "Run `make demo`, or make do.\n```sh\nCITY_DATA=x make test\n```\n";
        accepts(unknown_make_targets, &[MAKEFILE, ("README.md", good)]);
        finds(unknown_make_targets, &[MAKEFILE, ("README.md", "`make gone`")], "has no `gone`");
        finds(unknown_make_targets, &[MAKEFILE, ("README.md", "```\n$ make X\n```")], "has no `X`");
    }

    #[test]
    fn a_link_to_nowhere_is_found() {
        let guide =
            ("docs/guide.md", "[a](../README.md#x) [b](https://a.b/c) [c](#d) [d](./decisions)");
        accepts(broken_links, &[guide, ("README.md", ""), ("docs/decisions/0001.md", "")]);
        finds(broken_links, &[("docs/a.md", "\n[a](b.md)")], "docs/a.md:2: links to `docs/b.md`");
    }
}
