//! Contracts, mappings and files for the tests.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use intake::{BadRow, Intake, IntakeError, Options};
use pack::{
    Contract, DatasetKind, DriftRule, Field, FieldType, ImportMapping, Pii, Place, Shape, Sharing,
    SharingAttribute, SkipWhen, Text, ValueSource,
};

pub fn field(name: &str, ty: FieldType) -> Field {
    Field {
        name: name.to_owned(),
        ty,
        unit: None,
        title: Text::default(),
        description: Text::default(),
        class: None,
        level: 1,
        pii: Pii::None,
        required: false,
        aliases: Vec::new(),
        codes: Vec::new(),
        labels: BTreeMap::new(),
        place: Place::default(),
    }
}

pub fn required(name: &str, ty: FieldType) -> Field {
    Field { required: true, ..field(name, ty) }
}

pub fn contract(id: &str, fields: Vec<Field>) -> Contract {
    Contract {
        id: id.to_owned(),
        resource_id: String::new(),
        title: Text::default(),
        description: Text::default(),
        theme: String::new(),
        keywords: Vec::new(),
        owner: String::new(),
        accountable: String::new(),
        source_system: String::new(),
        kind: DatasetKind::Stream,
        fields,
        key: Vec::new(),
        time: None,
        geometry: None,
        update_period_minutes: None,
        freshness_limit_minutes: None,
        sharing: Sharing {
            attribute: SharingAttribute::Unconditional,
            legal_ground: Text::default(),
            conditions: Text::default(),
        },
        open: true,
        published: String::new(),
        related: Vec::new(),
        retention_days: None,
        drift: DriftRule::Refuse,
        quality: Vec::new(),
        place: Place::default(),
    }
}

pub fn mapping(dataset: &str, shape: Shape, values: &[(&str, ValueSource)]) -> ImportMapping {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    ImportMapping {
        id: format!("{dataset}/test"),
        dataset: dataset.to_owned(),
        columns: Vec::new(),
        shape,
        values: values.collect(),
        headerless: false,
        crs: None,
        nulls: Vec::new(),
        skip: Vec::new(),
        place: Place::default(),
    }
}

pub fn skip(column: &str, values: &[&str]) -> SkipWhen {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    SkipWhen { column: column.to_owned(), values }
}

pub fn column(name: &str) -> ValueSource {
    ValueSource::Column(name.to_owned())
}

pub fn template(text: &str) -> ValueSource {
    ValueSource::Template(text.to_owned())
}

pub fn lookup(template: &str, table: &[(&str, &str)]) -> ValueSource {
    let table = table.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ValueSource::Lookup { template: template.to_owned(), table: BTreeMap::from_iter(table) }
}

/// A file of these bytes that goes when the folder does.
pub fn file(name: &str, bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(bytes.as_ref()).unwrap();
    (dir, path)
}

/// All rows of a file in one batch, and all bad ones.
pub fn drain(mut intake: Intake) -> Result<(RecordBatch, Vec<BadRow>), IntakeError> {
    let (mut batches, mut bad) = (Vec::new(), Vec::new());
    while let Some(chunk) = intake.next_chunk()? {
        batches.push(chunk.rows);
        bad.extend(chunk.bad);
    }
    Ok((concat_batches(intake.schema(), &batches).unwrap(), bad))
}

pub fn read(
    path: &Path,
    contract: &Contract,
    mappings: &[ImportMapping],
    options: &Options,
) -> Result<(RecordBatch, Vec<BadRow>), IntakeError> {
    drain(intake::open(path, contract, mappings, options)?)
}

/// The file of real data, if the folder with them is here.
pub fn real(name: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let dir = std::env::var("CITY_DATA").unwrap_or_else(|_| beside.to_owned());
    let path = Path::new(&dir).join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not here; set CITY_DATA to the folder of real data", path.display());
    None
}

/// A zip archive whose files are stored as they are.
pub fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        let (size, offset) = (text.len() as u32, out.len() as u32);
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend(crc.sum().to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, size) = (out.len() as u32, directory.len() as u32);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((files.len() as u16).to_le_bytes());
    out.extend((files.len() as u16).to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}
