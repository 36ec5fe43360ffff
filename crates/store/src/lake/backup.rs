//! Copies a lake, table by table, while it is written and read.
//!
//! Each table is sealed first, so that all it had acknowledged is in its files, and copied while
//! nobody may commit to it or delete from it. The log is left out: a lake opened from the copy
//! goes on counting after the last frame that its tables have committed.

use std::path::{Path, PathBuf};

use super::error::{LakeError, Result};
use super::io::make_dir;
use super::recover::{spec_path, table_dir};
use super::{Lake, table::Table};

/// A table's folder holds `_delta_log` and `_crc` and nothing deeper than partitions would be.
const DEPTH_MAX: usize = 8;

impl Lake {
    /// Copies every table into the folder `to`, which is made. Rows acknowledged before the call
    /// are in the copy.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        self.check_open()?;
        let io = self.options.io.as_ref();
        std::fs::create_dir_all(to).map_err(LakeError::io("make folder", to))?;
        let layout = "lake.json";
        copy_file(&self.options.dir.join(layout), &to.join(layout))?;
        for name in self.tables() {
            let table = self.table(&name)?;
            let spec = spec_path(to, &name);
            make_dir(io, to, spec.parent().expect("a spec lies in a folder"))?;
            self.copy_table(&table, &table_dir(to, &name)).await?;
            copy_file(&spec_path(&self.options.dir, &name), &spec)?;
        }
        for folder in [to.join("specs"), to.join("tables"), to.to_owned()] {
            if folder.exists() {
                sync_dir(&folder)?;
            }
        }
        Ok(())
    }

    async fn copy_table(&self, table: &Table, to: &Path) -> Result<()> {
        let _no_vacuum = table.maintenance.lock().await;
        self.flush(&table.name).await?;
        let _no_commit = table.delta().await?;
        let (from, to) = (table.dir.clone(), to.to_owned());
        let copied = tokio::task::spawn_blocking(move || copy_tree(&from, &to, 0)).await;
        copied.map_err(|error| LakeError::Task(error.to_string()))?
    }
}

fn copy_tree(from: &Path, to: &Path, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        let what = "a table's folders do not go this deep".to_owned();
        return Err(LakeError::Corrupt { file: from.to_owned(), offset: 0, what });
    }
    std::fs::create_dir_all(to).map_err(LakeError::io("make folder", to))?;
    let entries = std::fs::read_dir(from).map_err(LakeError::io("list", from))?;
    let paths: std::io::Result<Vec<PathBuf>> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect();
    for path in paths.map_err(LakeError::io("list", from))? {
        let target = to.join(path.file_name().expect("a directory entry has a name"));
        if path.is_dir() {
            copy_tree(&path, &target, depth + 1)?;
        } else {
            copy_file(&path, &target)?;
        }
    }
    sync_dir(to)
}

fn sync_dir(dir: &Path) -> Result<()> {
    let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(LakeError::io("sync", dir))
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map_err(LakeError::io("copy", from))?;
    let file = std::fs::File::open(to).map_err(LakeError::io("open", to))?;
    file.sync_all().map_err(LakeError::io("sync", to))
}
