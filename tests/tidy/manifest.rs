//! Reads as much of a Cargo.toml as the rules ask about: who depends on what, and from where.
//!
//! Line by line, because the house writes a dependency on one line. A full TOML reader would be a
//! dependency, and this test has none so that it runs before anything else is built.

/// One line of a dependency table.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency<'a> {
    pub name: &'a str,
    pub from_workspace: bool,
    pub line: usize,
}

/// The tables `[dependencies]`, `[dev-dependencies]`, `[build-dependencies]`, also by target.
pub fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    entries(manifest, |table| table.ends_with("dependencies") && !table.starts_with("workspace"))
}

/// The table `[workspace.dependencies]` of the root.
pub fn workspace_dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    entries(manifest, |table| table == "workspace.dependencies")
}

fn entries(manifest: &str, wanted: impl Fn(&str) -> bool) -> Vec<Dependency<'_>> {
    let mut found = Vec::new();
    let mut inside = false;
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(table) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = wanted(table);
            continue;
        }
        if !inside || line.starts_with('#') {
            continue;
        }
        if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim(), value.trim());
            let name = key.split('.').next().expect("split gives at least one part");
            let dotted = key.ends_with(".workspace") && value.starts_with("true");
            let inline = value.replace(' ', "").contains("workspace=true");
            found.push(Dependency { name, from_workspace: dotted || inline, line: index + 1 });
        }
    }
    found
}

#[test]
fn reads_both_ways_to_write_a_dependency() {
    let manifest = "[package]\nname = \"a\"\n[dependencies]\nx.workspace = true\n\
                    y = { workspace = true, features = [\"f\"] }\n# z = \"1\"\nw = \"1\"\n";
    let found = dependencies(manifest);
    let found: Vec<_> = found.iter().map(|d| (d.name, d.from_workspace, d.line)).collect();
    assert_eq!(found, [("x", true, 4), ("y", true, 5), ("w", false, 7)]);
}
