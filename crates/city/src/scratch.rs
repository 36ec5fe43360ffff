//! Room for files on their way in: uploads, corrected records. They may hold anything that a
//! dataset holds, so nobody but the city's own user reads them, and what a crash left behind goes
//! when the city is opened again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::folder::make_private_dir;
use crate::{City, CityError};

const SCRATCH: &str = "scratch";

/// A folder of one's own, gone with this value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed when the city is opened next.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl City {
    /// A new, empty folder in the city's own.
    pub fn scratch(&self) -> Result<Scratch, CityError> {
        let path = self.dir().join(SCRATCH).join(Uuid::now_v7().to_string());
        make_private_dir(&path)?;
        Ok(Scratch(path))
    }
}

/// Removes what was left behind. Only for who holds the folder's lock.
pub(crate) fn empty(dir: &Path) -> Result<(), CityError> {
    let scratch = dir.join(SCRATCH);
    match fs::remove_dir_all(&scratch) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(CityError::io(&scratch, error)),
        _ => Ok(()),
    }
}

/// A file's name as people know it: where an upload was put meanwhile is nobody's business.
pub(crate) fn shown(dir: &Path, file: &Path) -> String {
    match (file.starts_with(dir.join(SCRATCH)), file.file_name()) {
        (true, Some(name)) => name.to_string_lossy().into_owned(),
        _ => file.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_known_by_its_own_name() {
        let dir = Path::new("/srv/city");
        assert_eq!(shown(dir, Path::new("/srv/city/scratch/0192/readings.csv")), "readings.csv");
        assert_eq!(shown(dir, Path::new("/srv/files/readings.csv")), "/srv/files/readings.csv");
    }

    #[test]
    fn what_was_left_behind_goes() {
        let dir = tempfile::tempdir().unwrap();
        empty(dir.path()).expect("there may be nothing");
        make_private_dir(&dir.path().join("scratch/a")).unwrap();
        fs::write(dir.path().join("scratch/a/b.csv"), "居民").unwrap();
        empty(dir.path()).unwrap();
        assert!(!dir.path().join("scratch").exists());
    }
}
