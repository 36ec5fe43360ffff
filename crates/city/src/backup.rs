//! Copies a running city into a folder, and makes a city's folder from such a copy.
//!
//! ```text
//!  TO/backup.json   every file with its length and SHA-256; written last, so that a backup
//!                   without it is one that did not finish
//!     city.json     what the folder was
//!     secret.key    key of the masks' tokens: guard a backup as you guard the city
//!     records.sqlite, lake/, blobs/, pack/
//! ```
//!
//! The records are copied before the lake, so that whatever they tell of is in the copy. Rows
//! acknowledged while the copy is made may or may not be in it; a row acknowledged before it began
//! is.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::records::RecordsError;

use crate::folder::{FOLDER_FORMAT, Folder, Manifest, write_durably};
use crate::{City, CityError};

const BACKUP_FORMAT: u32 = 1;
const LIST: &str = "backup.json";
const COPY_BUFFER_BYTES: usize = 1 << 20;
/// Folders within folders, at most: a loop of links ends here.
const DEPTH_MAX: usize = 32;

#[derive(Debug, Serialize, Deserialize)]
struct List {
    format: u32,
    manifest: Manifest,
    files: Vec<Entry>,
    /// Where the records are if they are not in this backup: a URL without a password.
    records_elsewhere: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Relative, with `/` between parts.
    path: String,
    bytes: u64,
    sha256: String,
}

/// What a backup or a restore did.
#[derive(Debug, Clone, Serialize)]
pub struct BackupReport {
    pub files: usize,
    pub bytes: u64,
    /// The records are in PostgreSQL and were not copied: dump them with `pg_dump`.
    pub records_elsewhere: Option<String>,
}

impl City {
    /// Copies the city into `to`, a folder that does not exist, while it goes on serving.
    pub async fn backup(&self, to: &Path) -> Result<BackupReport, CityError> {
        make_new(to)?;
        let records_elsewhere = match self.records().backup(&to.join("records.sqlite")).await {
            Ok(()) => None,
            Err(RecordsError::BackupElsewhere { target }) => Some(target),
            Err(error) => return Err(error.into()),
        };
        self.lake().backup(&to.join("lake")).await?;
        let (blobs, pack) = (self.folder().blobs_dir(), self.folder().manifest.pack.clone());
        let secret = self.folder().secret()?;
        let manifest = self.folder().manifest.clone();
        let target = to.to_owned();
        let elsewhere = records_elsewhere.clone();
        let finish = move || -> Result<BackupReport, CityError> {
            copy_tree(&blobs, &target.join("blobs"), 0)?;
            copy_tree(&pack, &target.join("pack"), 0)?;
            write_durably(&target.join("secret.key"), &secret)?;
            let files = list(&target)?;
            let report = report(&files, elsewhere.clone());
            let list =
                List { format: BACKUP_FORMAT, manifest, files, records_elsewhere: elsewhere };
            let bytes = serde_json::to_vec_pretty(&list).expect("a list of texts serialises");
            write_durably(&target.join(LIST), &bytes)?;
            Ok(report)
        };
        tokio::task::spawn_blocking(finish).await.expect("copying does not panic")
    }
}

/// Makes `dir`, a folder that does not exist, the city that `from` is a backup of. Every file is
/// checked against the backup's list before anything is written.
pub fn restore(from: &Path, dir: &Path, records: Option<&str>) -> Result<BackupReport, CityError> {
    let list_path = from.join(LIST);
    let bytes = fs::read(&list_path).map_err(|error| CityError::io(&list_path, error))?;
    let bad = |why: String| CityError::Manifest { path: list_path.clone(), why };
    let list: List = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    if list.format > BACKUP_FORMAT || list.manifest.format > FOLDER_FORMAT {
        return Err(bad("made by a newer program: restore it with that one".to_owned()));
    }
    if let (Some(elsewhere), None) = (&list.records_elsewhere, records) {
        return Err(CityError::Invalid(format!(
            "this city's records were in {elsewhere}: restore them with pg_restore, then give \
             their place with --records"
        )));
    }
    for entry in &list.files {
        check(from, entry)?;
    }
    make_new(dir)?;
    for entry in &list.files {
        let (source, target) = (from.join(&entry.path), dir.join(&entry.path));
        let parent = target.parent().expect("a file in a folder has a parent");
        fs::create_dir_all(parent).map_err(|error| CityError::io(parent, error))?;
        copy_file(&source, &target)?;
    }
    sync_dirs(dir, 0)?;
    let pack = dir.join("pack");
    let pack = fs::canonicalize(&pack).map_err(|error| CityError::io(&pack, error))?;
    let manifest = Manifest { pack, ..list.manifest.clone() };
    Folder::write_manifest(dir, &manifest)?;
    Ok(report(&list.files, list.records_elsewhere))
}

fn report(files: &[Entry], records_elsewhere: Option<String>) -> BackupReport {
    let bytes = files.iter().map(|entry| entry.bytes).sum();
    BackupReport { files: files.len(), bytes, records_elsewhere }
}

fn make_new(dir: &Path) -> Result<(), CityError> {
    if dir.exists() {
        return Err(CityError::Invalid(format!(
            "{} is there already: name a folder that does not exist",
            dir.display()
        )));
    }
    fs::create_dir_all(dir).map_err(|error| CityError::io(dir, error))
}

fn check(from: &Path, entry: &Entry) -> Result<(), CityError> {
    let wrong = |why: &str| CityError::Manifest {
        path: from.join(&entry.path),
        why: format!("{why}: the backup is damaged, use another"),
    };
    // The list is read from a disk too: no entry may lead out of the folder.
    let inside = Path::new(&entry.path)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if !inside {
        return Err(wrong("leads out of the backup"));
    }
    let path = from.join(&entry.path);
    let (bytes, sha256) = digest(&path).map_err(|error| CityError::io(&path, error))?;
    match bytes == entry.bytes && sha256 == entry.sha256 {
        true => Ok(()),
        false => Err(wrong("is not what was backed up")),
    }
}

fn copy_tree(from: &Path, to: &Path, depth: usize) -> Result<(), CityError> {
    fs::create_dir_all(to).map_err(|error| CityError::io(to, error))?;
    for path in children(from, depth)? {
        let target = to.join(path.file_name().expect("a directory entry has a name"));
        match path.is_dir() {
            true => copy_tree(&path, &target, depth + 1)?,
            false => copy_file(&path, &target)?,
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), CityError> {
    fs::copy(from, to).map_err(|error| CityError::io(from, error))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(|error| CityError::io(to, error))
}

fn sync_dirs(dir: &Path, depth: usize) -> Result<(), CityError> {
    for path in children(dir, depth)? {
        if path.is_dir() {
            sync_dirs(&path, depth + 1)?;
        }
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| CityError::io(dir, error))
}

fn children(dir: &Path, depth: usize) -> Result<Vec<PathBuf>, CityError> {
    if depth > DEPTH_MAX {
        return Err(CityError::Invalid(format!("{} lies too deep: is it a loop?", dir.display())));
    }
    let at = |error| CityError::io(dir, error);
    let mut paths = fs::read_dir(dir)
        .map_err(at)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(at)?;
    paths.sort();
    Ok(paths)
}

fn list(dir: &Path) -> Result<Vec<Entry>, CityError> {
    let mut files = Vec::new();
    let mut folders = vec![(dir.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for path in children(&folder, depth)? {
            if path.is_dir() {
                folders.push((path, depth + 1));
                continue;
            }
            let (bytes, sha256) = digest(&path).map_err(|error| CityError::io(&path, error))?;
            let relative = path.strip_prefix(dir).expect("a child lies in its folder");
            let parts: Vec<_> =
                relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            files.push(Entry { path: parts.join("/"), bytes, sha256 });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            let hex = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok((bytes, hex));
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup_of(files: &[(&str, &str)]) -> tempfile::TempDir {
        let scratch = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = scratch.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let list = List {
            format: BACKUP_FORMAT,
            manifest: Manifest {
                format: FOLDER_FORMAT,
                pack: "/nowhere".into(),
                city: "510100000000".into(),
            },
            files: list(scratch.path()).unwrap(),
            records_elsewhere: None,
        };
        fs::write(scratch.path().join(LIST), serde_json::to_vec(&list).unwrap()).unwrap();
        scratch
    }

    #[test]
    fn a_restored_folder_has_every_file() {
        let backup = backup_of(&[("pack/pack.toml", "x"), ("lake/a/b.parquet", "rows")]);
        let target = backup.path().join("new");
        let report = restore(backup.path(), &target, None).unwrap();
        assert_eq!((report.files, report.bytes), (2, 5));
        assert_eq!(fs::read_to_string(target.join("lake/a/b.parquet")).unwrap(), "rows");
        let pack = Folder::peek(&target).unwrap().pack;
        assert_eq!(pack, fs::canonicalize(target.join("pack")).unwrap());
    }

    #[test]
    fn a_damaged_backup_is_refused_before_anything_is_written() {
        let backup = backup_of(&[("pack/pack.toml", "x"), ("lake/rows", "rows")]);
        fs::write(backup.path().join("lake/rows"), "rowz").unwrap();
        let target = backup.path().join("new");
        let refusal = restore(backup.path(), &target, None).unwrap_err().to_string();
        assert!(refusal.contains("lake/rows") && refusal.contains("damaged"), "{refusal}");
        assert!(!target.exists());
    }

    #[test]
    fn a_list_cannot_lead_out_of_its_folder() {
        let backup = backup_of(&[("pack/pack.toml", "x")]);
        let list = backup.path().join(LIST);
        let text = fs::read_to_string(&list).unwrap().replace("pack/pack.toml", "../pack.toml");
        fs::write(&list, text).unwrap();
        let refusal = restore(backup.path(), &backup.path().join("new"), None).unwrap_err();
        assert!(refusal.to_string().contains("leads out"), "{refusal}");
    }
}
