//! A temporary folder that goes away with its value. A few lines instead of a dependency that
//! every program would carry for its tests' sake.

use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Panics where no folder can be made: a test cannot go on without it.
    pub fn new(purpose: &str) -> Self {
        let name = format!("shujin-{purpose}-{}", uuid::Uuid::now_v7().simple());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("the temporary folder can be made");
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A file still held open elsewhere is no reason to fail a test that has passed.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
