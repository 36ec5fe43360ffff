//! Dependencies: declared once, used, and the heavy ones in one version only.

use std::collections::{BTreeMap, BTreeSet};

use crate::lexer::code_only;
use crate::manifest;
use crate::tree::Tree;

/// Crates whose types cross our own borders (two versions would not fit together), that link a C
/// library, or that take minutes to build.
const HEAVY: &[&str] = &[
    "arrow",
    "arrow-array",
    "arrow-schema",
    "aws-lc-rs",
    "chrono",
    "datafusion",
    "datafusion-common",
    "deltalake-core",
    "geo-types",
    "libsqlite3-sys",
    "object_store",
    "parquet",
    "pgwire",
    "rustls",
    "sea-orm",
    "sqlx-core",
    "tantivy",
    "tokio",
    "zstd-sys",
];

/// Manifests of the workspace; fuzz targets are a workspace of their own, with another compiler.
fn members(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.ending("/Cargo.toml").filter(|(_, text)| !text.lines().any(|line| line == "[workspace]"))
}

/// A version belongs in the root alone: two crates must not ask for two of them.
pub fn not_from_workspace(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in members(tree) {
        for dependency in manifest::dependencies(text) {
            if !dependency.from_workspace {
                complaints.push(format!(
                    "{path}:{}: write `{}.workspace = true` and its version in the root",
                    dependency.line, dependency.name
                ));
            }
        }
    }
    complaints
}

/// A dependency that no source file names costs build time and says something untrue.
pub fn unused(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut asked_for = BTreeSet::new();
    for (path, text) in members(tree) {
        let folder = path.strip_suffix("Cargo.toml").expect("the path ends so");
        let code: String = tree
            .ending(".rs")
            .filter(|(file, _)| file.starts_with(folder))
            .map(|(_, text)| code_only(text))
            .collect();
        for dependency in manifest::dependencies(text) {
            asked_for.insert(dependency.name);
            if !names(&code, &dependency.name.replace('-', "_")) {
                complaints.push(format!(
                    "{path}:{}: no source file of the crate names `{}`: remove it",
                    dependency.line, dependency.name
                ));
            }
        }
    }
    let root = tree.get("Cargo.toml").unwrap_or_default();
    for dependency in manifest::workspace_dependencies(root) {
        let own = tree.has(&format!("crates/{}", dependency.name));
        if !own && !asked_for.contains(dependency.name) {
            complaints.push(format!(
                "Cargo.toml:{}: no crate asks for `{}`: remove it",
                dependency.line, dependency.name
            ));
        }
    }
    complaints
}

/// Is the identifier in the code, as a whole word?
fn names(code: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(start, _)| {
        !code[..start].ends_with(part_of_word)
            && !code[start + word.len()..].starts_with(part_of_word)
    })
}

/// Heavy crates that a build would compile in two versions. Takes lines of `name vVERSION …`.
pub fn doubled(packages: &str) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in packages.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name).or_default().insert(version);
        }
    }
    versions
        .into_iter()
        .filter(|(name, versions)| HEAVY.contains(name) && versions.len() > 1)
        .map(|(name, versions)| {
            let versions: Vec<_> = versions.into_iter().collect();
            format!("`{name}` is built in {}: make them one", versions.join(" and "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{doubled, not_from_workspace, unused};
    use crate::rules::{accepts, finds};

    #[test]
    fn a_version_outside_the_root_is_found() {
        let manifest = "[dependencies]\ncsv = \"1\"\n";
        finds(
            not_from_workspace,
            &[("crates/pack/Cargo.toml", manifest)],
            ":2: write `csv.workspace",
        );
        let apart = "[workspace]\n[dependencies]\ncsv = \"1\"\n";
        accepts(not_from_workspace, &[("fuzz/Cargo.toml", apart)]);
        accepts(not_from_workspace, &[("Cargo.toml", "[workspace.dependencies]\ncsv = \"1\"\n")]);
    }

    #[test]
    fn an_unused_dependency_is_found() {
        let manifest = ("crates/pack/Cargo.toml", "[dependencies]\nsea-orm.workspace = true\n");
        accepts(unused, &[manifest, ("crates/pack/src/lib.rs", "use sea_orm::Set;")]);
        finds(unused, &[manifest, ("crates/pack/src/lib.rs", "// sea_orm")], "names `sea-orm`");
        finds(unused, &[manifest, ("crates/pack/src/lib.rs", "my_sea_orm()")], "names `sea-orm`");
        let root = "[workspace.dependencies]\ncsv = \"1\"\n";
        finds(unused, &[("Cargo.toml", root)], "no crate asks for `csv`");
    }

    #[test]
    fn two_versions_of_a_heavy_crate_are_found() {
        let found = doubled("arrow v59.3.2\nheck v0.4.1\nheck v0.5.0\narrow v60.1.0 (*)\n");
        assert_eq!(found, ["`arrow` is built in v59.3.2 and v60.1.0: make them one"]);
        assert!(doubled("arrow v59.3.2\narrow v59.3.2 (*)\n").is_empty());
    }
}
