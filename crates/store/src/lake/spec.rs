//! What a table is: its schema, how its rows replace each other, how they are sorted and kept.
//!
//! Specs are persisted beside the tables, with every schema the log may still hold frames of, so
//! that recovery needs nobody to declare tables first. It knows nothing of files or of queries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow::record_batch::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::{LakeError, Result};
use super::frame::NAME_BYTES_MAX;
use super::io::{Io, write_durable};

/// The hidden last column of every stored row: when it was taken, in µs UTC.
pub const INGESTED_AT: &str = "_ingested_at";
const SPEC_VERSION: u32 = 1;
/// Names become folder names.
const TABLE_NAME_BYTES_MAX: usize = 128;

/// How rows relate to earlier rows of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every row is new.
    Append,
    /// A row replaces the earlier one with the same key.
    Upsert { key: Vec<String> },
}

/// Rows whose `column` (a date or a timestamp) lies more than `days` back are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    pub column: String,
    pub days: u32,
}

/// A table as its owner declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSpec {
    /// Letters, digits, `_`, `-` and `.`; begins with a letter or digit.
    pub name: String,
    pub schema: SchemaRef,
    pub mode: Mode,
    /// Rows in files are sorted by these columns, so that few pages answer a point read.
    pub sort: Vec<String>,
    pub retention: Option<Retention>,
}

/// A spec with what follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub table: TableSpec,
    /// The table's schema and [`INGESTED_AT`]: what data files and hot batches hold.
    pub stored: SchemaRef,
    pub schema_id: u64,
    /// Of deletes: the key columns.
    pub key_schema: SchemaRef,
    /// Earlier schemas, oldest first, with their ids.
    pub former: Vec<(u64, SchemaRef)>,
}

#[derive(Serialize, Deserialize)]
struct SpecFile {
    version: u32,
    name: String,
    mode: Mode,
    sort: Vec<String>,
    retention: Option<Retention>,
    /// Arrow IPC schema messages, base64; the last one is in force.
    schemas: Vec<String>,
}

impl Spec {
    pub fn new(table: TableSpec, former: Vec<(u64, SchemaRef)>) -> Result<Self> {
        check(&table)?;
        let ingested = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let mut fields = table.schema.fields().to_vec();
        fields.push(Arc::new(Field::new(INGESTED_AT, ingested, false)));
        let stored = Arc::new(Schema::new(fields));
        let key_fields = key_indices(&table).into_iter().map(|i| table.schema.fields()[i].clone());
        let key_schema = Arc::new(Schema::new(key_fields.collect::<Vec<_>>()));
        let schema_id = schema_id(&table.schema);
        Ok(Self { table, stored, schema_id, key_schema, former })
    }

    pub fn name(&self) -> &str {
        &self.table.name
    }

    pub fn is_upsert(&self) -> bool {
        matches!(self.table.mode, Mode::Upsert { .. })
    }

    /// Positions of the key columns, in the key's order; the same in the stored schema.
    pub fn key(&self) -> Vec<usize> {
        key_indices(&self.table)
    }

    /// Positions of the sort columns.
    pub fn sort(&self) -> Vec<usize> {
        let at = |name: &String| self.table.schema.index_of(name).ok();
        self.table.sort.iter().filter_map(at).collect()
    }

    pub fn ingested_index(&self) -> usize {
        self.stored.fields().len() - 1
    }

    /// The schema that a frame with this id was written under.
    pub fn schema_by_id(&self, id: u64) -> Option<SchemaRef> {
        if id == self.schema_id {
            return Some(self.table.schema.clone());
        }
        self.former.iter().find(|(former, _)| *former == id).map(|(_, schema)| schema.clone())
    }

    /// The spec after a new declaration. Columns may be added if they may be null; all else that
    /// would change what stored rows mean is refused.
    pub fn evolve(&self, next: TableSpec) -> Result<Option<Self>> {
        if self.table == next {
            return Ok(None);
        }
        let refuse = |what: String| Err(LakeError::Spec { table: next.name.clone(), what });
        if self.table.mode != next.mode {
            return refuse(format!(
                "its rows were declared {:?}, now {:?}; export it and import it anew",
                self.table.mode, next.mode
            ));
        }
        if self.table.sort != next.sort {
            return refuse(format!(
                "its files are sorted by {:?}, not {:?}; export it and import it anew",
                self.table.sort, next.sort
            ));
        }
        for (i, old) in self.table.schema.fields().iter().enumerate() {
            match next.schema.fields().get(i) {
                Some(new) if new.name() == old.name() && new.data_type() == old.data_type() => {
                    if old.is_nullable() && !new.is_nullable() {
                        return refuse(format!("column {} held nulls and may not now", old.name()));
                    }
                }
                Some(new) => {
                    return refuse(format!(
                        "column {i} was {} {}, now it is {} {}; only adding columns at the end is \
                         possible",
                        old.name(),
                        old.data_type(),
                        new.name(),
                        new.data_type()
                    ));
                }
                None => return refuse(format!("column {} is gone", old.name())),
            }
        }
        let added = &next.schema.fields()[self.table.schema.fields().len()..];
        if let Some(field) = added.iter().find(|f| !f.is_nullable()) {
            return refuse(format!("the new column {} must allow nulls", field.name()));
        }
        let mut former = self.former.clone();
        if schema_id(&next.schema) != self.schema_id {
            former.push((self.schema_id, self.table.schema.clone()));
        }
        Self::new(next, former).map(Some)
    }

    pub fn save(&self, io: &dyn Io, path: &Path) -> Result<()> {
        let mut schemas: Vec<String> = self.former.iter().map(|(_, s)| schema_text(s)).collect();
        schemas.push(schema_text(&self.table.schema));
        let file = SpecFile {
            version: SPEC_VERSION,
            name: self.table.name.clone(),
            mode: self.table.mode.clone(),
            sort: self.table.sort.clone(),
            retention: self.table.retention.clone(),
            schemas,
        };
        let text = serde_json::to_vec_pretty(&file).expect("a spec is plain data");
        write_durable(io, path, &text)
    }

    pub fn load(io: &dyn Io, path: &Path) -> Result<Self> {
        let corrupt = |what: String| LakeError::Corrupt { file: path.to_owned(), offset: 0, what };
        let bytes = io.read(path).map_err(LakeError::io("read", path))?;
        let file: SpecFile = serde_json::from_slice(&bytes).map_err(|e| corrupt(e.to_string()))?;
        if file.version != SPEC_VERSION {
            let file_path: PathBuf = path.to_owned();
            return Err(LakeError::Version {
                file: file_path,
                found: file.version,
                known: SPEC_VERSION,
            });
        }
        let mut schemas = Vec::new();
        for text in &file.schemas {
            let ipc = BASE64.decode(text).map_err(|e| corrupt(e.to_string()))?;
            let schema = try_schema_from_ipc_buffer(&ipc).map_err(|e| corrupt(e.to_string()))?;
            schemas.push(Arc::new(schema));
        }
        let schema = schemas.pop().ok_or_else(|| corrupt("it names no schema".to_owned()))?;
        let former = schemas.into_iter().map(|s| (schema_id(&s), s)).collect();
        let table = TableSpec {
            name: file.name,
            schema,
            mode: file.mode,
            sort: file.sort,
            retention: file.retention,
        };
        Self::new(table, former)
    }

    /// Brings rows of an earlier schema to the current one: columns added since are null.
    pub fn widen(&self, batch: RecordBatch, target: &SchemaRef) -> Result<RecordBatch> {
        if batch.schema_ref().fields() == target.fields() {
            return Ok(batch);
        }
        let columns = target.fields().iter().map(|field| {
            batch.column_by_name(field.name()).cloned().unwrap_or_else(|| {
                arrow::array::new_null_array(field.data_type(), batch.num_rows())
            })
        });
        RecordBatch::try_new(target.clone(), columns.collect())
            .map_err(LakeError::arrow("bring rows to the current schema"))
    }
}

/// Whether rows may be taken as they are: names and types in order, no null where none may be.
pub(crate) fn check_rows(
    table: &str,
    schema: &SchemaRef,
    batch: &RecordBatch,
) -> Result<RecordBatch> {
    let refuse = |what: String| LakeError::Rows { table: table.to_owned(), what };
    let found = batch.schema_ref();
    if found.fields().len() != schema.fields().len() {
        return Err(refuse(format!(
            "expected {} columns, found {}",
            schema.fields().len(),
            found.fields().len()
        )));
    }
    for (want, have) in schema.fields().iter().zip(found.fields()) {
        if want.name() != have.name() || want.data_type() != have.data_type() {
            return Err(refuse(format!(
                "expected column {} {}, found {} {}",
                want.name(),
                want.data_type(),
                have.name(),
                have.data_type()
            )));
        }
    }
    RecordBatch::try_new(schema.clone(), batch.columns().to_vec())
        .map_err(|error| refuse(error.to_string()))
}

/// Concatenates batches that share a schema.
pub(crate) fn concat(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch> {
    if let [one] = batches {
        return Ok(one.clone());
    }
    concat_batches(schema, batches).map_err(LakeError::arrow("join batches"))
}

fn key_indices(table: &TableSpec) -> Vec<usize> {
    match &table.mode {
        Mode::Append => Vec::new(),
        Mode::Upsert { key } => key.iter().filter_map(|k| table.schema.index_of(k).ok()).collect(),
    }
}

fn check(table: &TableSpec) -> Result<()> {
    let refuse = |what: String| Err(LakeError::Spec { table: table.name.clone(), what });
    let name = &table.name;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > TABLE_NAME_BYTES_MAX || !name.chars().all(good) {
        return refuse(format!(
            "a name has 1 to {TABLE_NAME_BYTES_MAX} letters, digits, `_`, `-` or `.`"
        ));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return refuse("a name begins with a letter or a digit".to_owned());
    }
    const { assert!(TABLE_NAME_BYTES_MAX <= NAME_BYTES_MAX) };
    for field in table.schema.fields() {
        if !storable(field.data_type()) {
            return refuse(format!(
                "column {} is {}, which Delta tables cannot hold; use a signed integer, a float, \
                 text, binary, boolean, date or timestamp in µs UTC",
                field.name(),
                field.data_type()
            ));
        }
        if field.name() == INGESTED_AT {
            return refuse(format!("{INGESTED_AT} is the lake's own column"));
        }
    }
    let known = |column: &String| table.schema.index_of(column).is_ok();
    if let Some(column) = table.sort.iter().find(|c| !known(c)) {
        return refuse(format!("sort names the column {column}, which is not there"));
    }
    if let Mode::Upsert { key } = &table.mode {
        if key.is_empty() {
            return refuse("an upsert table needs a key".to_owned());
        }
        for column in key {
            match table.schema.field_with_name(column) {
                Ok(field) if !field.is_nullable() => {}
                Ok(_) => return refuse(format!("the key column {column} must not allow nulls")),
                Err(_) => {
                    return refuse(format!(
                        "the key names the column {column}, which is not there"
                    ));
                }
            }
        }
    }
    if let Some(retention) = &table.retention {
        match table.schema.field_with_name(&retention.column).map(|f| f.data_type()) {
            Ok(DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _)) => {}
            _ => {
                return refuse(format!(
                    "retention needs {} to be a date or timestamp column",
                    retention.column
                ));
            }
        }
    }
    Ok(())
}

fn storable(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Utf8
            | DataType::Binary
            | DataType::Date32
    ) || matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC")
}

/// Names a schema by what decides how its rows are laid out; metadata does not.
fn schema_id(schema: &Schema) -> u64 {
    let mut hash = Sha256::new();
    for field in schema.fields() {
        hash.update(format!("{}|{:?}|{}\n", field.name(), field.data_type(), field.is_nullable()));
    }
    let digest = hash.finalize();
    let head: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
    u64::from_le_bytes(head)
}

fn schema_text(schema: &Schema) -> String {
    let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        schema,
        &mut DictionaryTracker::new(false),
        &IpcWriteOptions::default(),
    );
    // `try_schema_from_ipc_buffer` reads what the IPC stream format puts before a message.
    let mut out = u32::MAX.to_le_bytes().to_vec();
    let len = u32::try_from(encoded.ipc_message.len()).expect("a schema is small");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&encoded.ipc_message);
    BASE64.encode(out)
}
