//! Copies a running city into a folder, and makes a city's folder from such a copy.
//!
//! ```text
//!  TO/backup.json   every file with its length and SHA-256; written last, so that a backup
//!                   without it is one that did not finish
//!     secret.key    key of the masks' tokens: guard a backup as you guard the city
//!     audit.anchor  an end of the audit that the records in the copy still have
//!     records.sqlite, lake/, blobs/, pack/
//!     records.jsonl in the place of records.sqlite, where the records are in PostgreSQL
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
use store::records::{Backend, Records};

use crate::folder::{ANCHOR, FOLDER_FORMAT, Folder, Manifest, make_private_dir, write_durably};
use crate::{City, CityError};

/// 2: records in PostgreSQL are in the backup.
const BACKUP_FORMAT: u32 = 2;
const SQLITE_RECORDS: &str = "records.sqlite";
const POSTGRES_RECORDS: &str = "records.jsonl";
const LIST: &str = "backup.json";
const COPY_BUFFER_BYTES: usize = 1 << 20;
/// Folders within folders, at most: a loop of links ends here.
const DEPTH_MAX: usize = 32;

#[derive(Debug, Serialize, Deserialize)]
struct List {
    format: u32,
    manifest: Manifest,
    files: Vec<Entry>,
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
}

impl City {
    /// Copies the city into `to`, a folder that does not exist, while it goes on serving.
    pub async fn backup(&self, to: &Path) -> Result<BackupReport, CityError> {
        make_new_outside(self.dir(), to)?;
        // Read before the records are copied, so that they have it.
        let anchor = self.audit().head().await?.to_string();
        match self.records().backend() {
            Backend::Sqlite => self.records().backup(&to.join(SQLITE_RECORDS)).await?,
            Backend::Postgres => self.records().dump(&to.join(POSTGRES_RECORDS)).await?,
        }
        self.lake().backup(&to.join("lake")).await?;
        let (blobs, pack) = (self.folder().blobs_dir(), self.folder().manifest.pack.clone());
        let secret = self.folder().secret()?;
        let manifest = self.folder().manifest.clone();
        let target = to.to_owned();
        let finish = move || -> Result<BackupReport, CityError> {
            copy_tree(&blobs, &target.join("blobs"), 0)?;
            copy_tree(&pack, &target.join("pack"), 0)?;
            write_durably(&target.join("secret.key"), &secret)?;
            write_durably(&target.join(ANCHOR), anchor.as_bytes())?;
            let files = list(&target)?;
            let report = report(&files);
            let list = List { format: BACKUP_FORMAT, manifest, files };
            let bytes = serde_json::to_vec_pretty(&list).expect("a list of texts serialises");
            write_durably(&target.join(LIST), &bytes)?;
            Ok(report)
        };
        tokio::task::spawn_blocking(finish).await.expect("copying does not panic")
    }
}

/// Makes `dir`, a folder that does not exist, the city that `from` is a backup of; `records` names
/// an empty database for records that were in PostgreSQL. Every file is checked against the
/// backup's list before anything is written.
pub async fn restore(
    from: &Path,
    dir: &Path,
    records: Option<&str>,
) -> Result<BackupReport, CityError> {
    let list_path = from.join(LIST);
    let bytes = fs::read(&list_path).map_err(|error| CityError::io(&list_path, error))?;
    let bad = |why: String| CityError::Manifest { path: list_path.clone(), why };
    let list: List = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    if list.format > BACKUP_FORMAT || list.manifest.format > FOLDER_FORMAT {
        return Err(bad("made by a newer program: restore it with that one".to_owned()));
    }
    let in_postgres = list.files.iter().any(|entry| entry.path == POSTGRES_RECORDS);
    match (in_postgres, records) {
        (false, Some(_)) => {
            return Err(CityError::Invalid(
                "this city's records were in SQLite: restore it without --records".to_owned(),
            ));
        }
        (true, None) => {
            return Err(CityError::Invalid(
                "this city's records were in PostgreSQL: name an empty database with --records"
                    .to_owned(),
            ));
        }
        _ => {}
    }
    for entry in &list.files {
        check(from, entry)?;
    }
    make_new(dir)?;
    if let Some(url) = records {
        let filled = fill_records(url, &from.join(POSTGRES_RECORDS)).await;
        if let Err(error) = filled {
            fs::remove_dir(dir).map_err(|error| CityError::io(dir, error))?;
            return Err(error);
        }
    }
    for entry in list.files.iter().filter(|entry| entry.path != POSTGRES_RECORDS) {
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
    Ok(report(&list.files))
}

async fn fill_records(url: &str, dump: &Path) -> Result<(), CityError> {
    let records = Records::open(url).await?;
    if records.backend() != Backend::Postgres || !records.is_empty().await? {
        return Err(CityError::Invalid(format!(
            "{} is no empty PostgreSQL database: make one with createdb, and name it",
            records.target()
        )));
    }
    records.migrate(crate::open::migrations()).await?;
    records.load(dump).await?;
    Ok(records.close().await?)
}

fn report(files: &[Entry]) -> BackupReport {
    BackupReport { files: files.len(), bytes: files.iter().map(|entry| entry.bytes).sum() }
}

fn make_new(dir: &Path) -> Result<(), CityError> {
    if dir.exists() {
        return Err(CityError::Invalid(format!(
            "{} is there already: name a folder that does not exist",
            dir.display()
        )));
    }
    make_private_dir(dir)
}

/// A copy inside what is copied would copy itself.
fn make_new_outside(city: &Path, to: &Path) -> Result<(), CityError> {
    make_new(to)?;
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| CityError::io(path, error));
    if !real(to)?.starts_with(real(city)?) {
        return Ok(());
    }
    fs::remove_dir(to).map_err(|error| CityError::io(to, error))?;
    Err(CityError::Invalid(format!(
        "{} lies in the city's own folder: name one outside it",
        to.display()
    )))
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
        };
        fs::write(scratch.path().join(LIST), serde_json::to_vec(&list).unwrap()).unwrap();
        scratch
    }

    #[tokio::test]
    async fn a_restored_folder_has_every_file() {
        let backup = backup_of(&[("pack/pack.toml", "x"), ("lake/a/b.parquet", "rows")]);
        let target = backup.path().join("new");
        let report = restore(backup.path(), &target, None).await.unwrap();
        assert_eq!((report.files, report.bytes), (2, 5));
        assert_eq!(fs::read_to_string(target.join("lake/a/b.parquet")).unwrap(), "rows");
        let pack = Folder::peek(&target).unwrap().pack;
        assert_eq!(pack, fs::canonicalize(target.join("pack")).unwrap());
    }

    #[test]
    fn a_backup_lies_outside_the_city() {
        let scratch = tempfile::tempdir().unwrap();
        let city = scratch.path().join("city");
        fs::create_dir(&city).unwrap();
        for inside in ["city/backup", "other/../city/backup", "city/blobs/a"] {
            fs::create_dir_all(scratch.path().join("other")).unwrap();
            let to = scratch.path().join(inside);
            let refusal = make_new_outside(&city, &to).unwrap_err().to_string();
            assert!(refusal.contains("own folder") && !to.exists(), "{inside}: {refusal}");
        }
        make_new_outside(&city, &scratch.path().join("backup")).unwrap();
    }

    #[tokio::test]
    async fn records_that_are_in_the_backup_go_nowhere_else() {
        let backup = backup_of(&[("pack/pack.toml", "x")]);
        let target = backup.path().join("new");
        let refusal = restore(backup.path(), &target, Some("postgres://x")).await.unwrap_err();
        assert!(refusal.to_string().contains("without --records") && !target.exists());
    }

    #[tokio::test]
    async fn a_damaged_backup_is_refused_before_anything_is_written() {
        let backup = backup_of(&[("pack/pack.toml", "x"), ("lake/rows", "rows")]);
        fs::write(backup.path().join("lake/rows"), "rowz").unwrap();
        let target = backup.path().join("new");
        let refusal = restore(backup.path(), &target, None).await.unwrap_err().to_string();
        assert!(refusal.contains("lake/rows") && refusal.contains("damaged"), "{refusal}");
        assert!(!target.exists());
    }

    #[tokio::test]
    async fn a_list_cannot_lead_out_of_its_folder() {
        let backup = backup_of(&[("pack/pack.toml", "x")]);
        let list = backup.path().join(LIST);
        let text = fs::read_to_string(&list).unwrap().replace("pack/pack.toml", "../pack.toml");
        fs::write(&list, text).unwrap();
        let refusal = restore(backup.path(), &backup.path().join("new"), None).await.unwrap_err();
        assert!(refusal.to_string().contains("leads out"), "{refusal}");
    }

    #[tokio::test]
    async fn records_in_postgresql_come_back_whole() {
        let Some(postgres) = store::testing::Postgres::shared() else { return };
        let scratch = tempfile::tempdir().unwrap();
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
        let at = |name: &str, records: &str| crate::OpenOptions {
            dir: scratch.path().join(name),
            records: Some(records.to_owned()),
            ..crate::OpenOptions::default()
        };
        let city = City::create(&at("city", &postgres.new_database()), &pack).await.unwrap();
        let user = registry::NewUser {
            name: "lin".into(),
            organisation: "transport".into(),
            roles: vec!["analyst".into()],
            areas: Vec::new(),
            password: Some("锦官城外柏森森丞相祠堂".into()),
        };
        city.registry().create_user("test", user, city.pack(), chrono::Utc::now()).await.unwrap();
        let head = city.audit().head().await.unwrap();
        let backup = scratch.path().join("backup");
        city.backup(&backup).await.unwrap();
        let verifier = city.registry().verifier("lin").await.unwrap();

        let records = postgres.new_database();
        let dir = scratch.path().join("restored");
        assert!(restore(&backup, &dir, None).await.is_err(), "it has to be told where to");
        restore(&backup, &dir, Some(&records)).await.unwrap();
        let again = restore(&backup, &scratch.path().join("twice"), Some(&records)).await;
        assert!(again.unwrap_err().to_string().contains("no empty"), "nothing is overwritten");
        assert!(!dir.join(POSTGRES_RECORDS).exists());
        let restored = City::open(&at("restored", &records)).await.unwrap();
        assert_eq!(restored.registry().verifier("lin").await.unwrap(), verifier);
        let anchor = restored.audit_anchor().unwrap().expect("an anchor is in the backup");
        assert_eq!(anchor, head);
        assert!(restored.audit().verify(Some(&anchor)).await.unwrap().is_sound());
        let areas = restored.raw_table("place.area", None).await.unwrap();
        let areas = datafusion::prelude::SessionContext::new().read_table(areas).unwrap();
        assert!(areas.count().await.unwrap() > 3_000, "areas with their shapes are there");
    }
}
