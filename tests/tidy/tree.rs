//! A source tree as text: path → contents. Made from the repository, or by hand for a bad example.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Text files by path relative to the root, `/` between parts.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// What git tracks, and what it would track if it were added: build products stay out.
    pub fn of_repository() -> Self {
        let root = root();
        let listed = output(
            Command::new("git")
                .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
                .current_dir(&root),
        );
        let files = listed
            .split('\0')
            .filter(|path| !path.is_empty())
            // Deleted but not yet committed: not there. A picture is there, and has no text.
            .filter_map(|path| {
                let bytes = std::fs::read(root.join(path)).ok()?;
                Some((path.to_owned(), String::from_utf8(bytes).unwrap_or_default()))
            })
            .collect();
        Self { files }
    }

    /// A tree for an example.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self { files: files.collect() }
    }

    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Is there a file of this path, or a folder?
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&folder))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Files whose name ends so.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter().filter(move |(path, _)| path.ends_with(end))
    }
}

/// Every package that a build of the workspace compiles, as `name vVERSION` lines. The lock file
/// would not do: it also lists what an optional feature that nobody turned on would pull in.
pub fn packages_built() -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    output(
        Command::new(cargo)
            .args(["tree", "--workspace", "--locked", "--edges", "normal,build"])
            .args(["--prefix", "none", "--format", "{p}"])
            .current_dir(root()),
    )
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("paths and package names are UTF-8")
}
