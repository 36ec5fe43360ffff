//! The only place that speaks to the Delta library: open, list, commit, look back.
//!
//! The library's interface was replaced within a year once already, so it stays behind this file.
//! We write data files and choose them for reading ourselves; the library keeps the log, its
//! checkpoints and the optimistic commit. Deletion vectors, row tracking and column mapping stay
//! off, so that any Delta reader can open the tables.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use arrow::datatypes::DataType as ArrowType;
use chrono::Utc;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{
    Action, Add, DataType, MetadataExt as _, Remove, StructField, StructType, Transaction,
};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, logstore_with};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;
use futures::TryStreamExt;
use serde_json::{Value, json};
use url::Url;

use super::data::DataFile;
use super::error::{LakeError, Result};
use super::hot::Cold;
use super::io::Io;
use super::spec::Spec;
use super::stats::{self, FileStats};
use super::synced::SyncedStore;

/// Commit metadata: everything taken up to this µs is in the version.
const THROUGH: &str = "lakeThroughMicros";
/// The Delta protocol's reader version that our tables need and our scans understand.
const READER_VERSION: i32 = 1;
/// Commits between checkpoints of the Delta log.
const CHECKPOINT_COMMITS: u32 = 20;

/// The latest known state of a table's Delta log, for looking up without waiting for a commit.
pub(crate) struct Ledger {
    table: String,
    log: LogStoreRef,
    state: ArcSwap<DeltaTableState>,
}

impl Ledger {
    /// The version an application last committed, if any.
    pub async fn transaction(&self, app: &str) -> Result<Option<u64>> {
        let version = self
            .state
            .load_full()
            .transaction_version(self.log.as_ref(), app)
            .await
            .map_err(LakeError::delta(&self.table, "look up a transaction"))?;
        Ok(version.and_then(|v| u64::try_from(v).ok()))
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("table", &self.table).finish_non_exhaustive()
    }
}

/// A table's Delta log, open for commits.
pub(crate) struct Delta {
    ledger: Arc<Ledger>,
    /// Version → moment through which it is complete (µs); filled when first asked for.
    moments: Option<BTreeMap<u64, i64>>,
    through: i64,
    /// A commit failed, so the log may hold more than `state` does.
    stale: bool,
}

impl std::fmt::Debug for Delta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delta")
            .field("table", &self.ledger.table)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

/// What one commit changes.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub add: Vec<DataFile>,
    pub remove: Vec<Arc<DataFile>>,
    /// Application id → version.
    pub transactions: Vec<(String, u64)>,
    /// False for rewrites that leave the rows as they are.
    pub data_change: bool,
    /// Everything taken up to this µs is in the table after the commit; `None`: as before.
    pub through: Option<i64>,
}

pub(crate) fn ingest_app(lane: u16, table: &str) -> String {
    format!("ingest/{lane}/{table}")
}

pub(crate) fn producer_app(producer: &str) -> String {
    format!("producer/{producer}")
}

impl Delta {
    pub async fn open(
        io: Arc<dyn Io>,
        root: &Path,
        dir: &Path,
        spec: &Spec,
        history_days: u32,
    ) -> Result<Self> {
        let table = spec.name().to_owned();
        let url = Url::from_directory_path(dir).map_err(|()| LakeError::Spec {
            table: table.clone(),
            what: format!("{} is no absolute path", dir.display()),
        })?;
        let store = Arc::new(SyncedStore::new(io, root));
        let log = logstore_with(store, &url, StorageConfig::default())
            .map_err(LakeError::delta(&table, "open"))?;
        let exists =
            log.is_delta_table_location().await.map_err(LakeError::delta(&table, "look for"))?;
        let state = if exists {
            latest(&table, &log).await?
        } else {
            create(&log, spec, history_days).await?
        };
        let ledger = Arc::new(Ledger { table, log, state: ArcSwap::from_pointee(state) });
        let mut delta = Self { ledger, moments: None, through: i64::MIN, stale: false };
        delta.through = delta.find_through().await?;
        Ok(delta)
    }

    pub fn version(&self) -> u64 {
        self.state().version()
    }

    /// Loads the state anew if a failure left open what was committed.
    pub async fn refresh(&mut self) -> Result<()> {
        if !self.stale {
            return Ok(());
        }
        self.load().await?;
        self.moments = None;
        self.through = self.find_through().await?;
        self.stale = false;
        Ok(())
    }

    /// The latest version's file list; entries known already keep their identity.
    pub fn cold(&self, spec: &Spec, known: &Cold) -> Cold {
        Cold {
            version: self.version(),
            through: self.through,
            files: files_of(&self.state(), spec, known),
        }
    }

    /// For looking up transactions while a commit is under way.
    pub fn ledger(&self) -> Arc<Ledger> {
        self.ledger.clone()
    }

    async fn load(&mut self) -> Result<()> {
        let state = latest(&self.ledger.table, &self.ledger.log).await?;
        self.ledger.state.store(Arc::new(state));
        Ok(())
    }

    fn state(&self) -> Arc<DeltaTableState> {
        self.ledger.state.load_full()
    }

    /// The version an application last committed, if any.
    pub async fn transaction(&self, app: &str) -> Result<Option<u64>> {
        self.ledger.transaction(app).await
    }

    /// Commits durably, or not at all.
    pub async fn commit(&mut self, spec: &Spec, change: Change) -> Result<()> {
        let now_ms = Utc::now().timestamp_millis();
        let through = change.through.unwrap_or(self.through);
        let mut actions: Vec<Action> = Vec::new();
        for file in &change.remove {
            actions.push(Action::Remove(remove_action(file, change.data_change, now_ms)));
        }
        for file in &change.add {
            actions.push(Action::Add(add_action(spec, file, change.data_change)));
        }
        let operation = if change.data_change {
            DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None }
        } else {
            DeltaOperation::Optimize { predicate: None, target_size: 0 }
        };
        let transactions = change.transactions.into_iter().map(|(app, version)| {
            let version = i64::try_from(version).expect("sequence numbers fit in 63 bits");
            Transaction::new(app, version)
        });
        self.commit_actions(actions, operation, transactions.collect(), through).await
    }

    /// Whether the log, read anew, is known to name none of these files.
    pub async fn lacks(&mut self, files: &[DataFile]) -> bool {
        if self.refresh().await.is_err() {
            return false;
        }
        let state = self.state();
        let named: HashSet<_> = state.log_data().iter().map(|v| v.path().into_owned()).collect();
        files.iter().all(|file| !named.contains(&file.path))
    }

    async fn commit_actions(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        transactions: Vec<Transaction>,
        through: i64,
    ) -> Result<()> {
        let properties = CommitProperties::default()
            .with_application_transactions(transactions)
            .with_metadata([(THROUGH.to_owned(), json!(through))]);
        self.stale = true;
        let state = self.state();
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(state.as_ref()), self.ledger.log.clone(), operation)
            .await
            .map_err(LakeError::delta(&self.ledger.table, "commit"))?;
        self.through = through;
        if let Some(moments) = &mut self.moments {
            moments.insert(committed.version(), through);
        }
        if committed.metrics.new_checkpoint_created {
            // A state carried on through many commits grows; a fresh one starts at the checkpoint.
            self.load().await?;
        } else {
            self.ledger.state.store(Arc::new(committed.snapshot()));
        }
        self.stale = false;
        Ok(())
    }

    /// Tells Delta readers of columns added since the table was made, and of those that may be
    /// null since.
    pub async fn evolve(&mut self, spec: &Spec) -> Result<()> {
        let fields = fields_of(spec);
        let mark = |field: &StructField| (field.name().clone(), field.is_nullable());
        let known: Vec<_> = self.state().schema().fields().map(mark).collect();
        if fields.iter().map(mark).eq(known) {
            return Ok(());
        }
        let failed = |error: deltalake_core::DeltaTableError| {
            LakeError::delta(&self.ledger.table, "add columns")(error)
        };
        let schema = StructType::try_new(fields.clone()).map_err(|e| failed(e.into()))?;
        let metadata = self.state().metadata().clone().with_schema(&schema);
        let metadata = metadata.map_err(|e| failed(e.into()))?;
        let operation = DeltaOperation::AddColumn { fields };
        let through = self.through;
        self.commit_actions(vec![Action::Metadata(metadata)], operation, Vec::new(), through).await
    }

    /// The version that held everything taken up to a moment, and nothing later.
    pub async fn at(&mut self, as_of: i64, spec: &Spec, known: &Cold) -> Result<Past> {
        self.load_moments().await?;
        let moments = self.moments.as_ref().expect("they were just loaded");
        let oldest = moments.first_key_value().map(|(v, at)| (*v, *at));
        let Some((version, _)) = moments.iter().rev().find(|(_, at)| **at <= as_of) else {
            // Before the first commit the table was empty; that it is the first, version 0 tells.
            return Ok(match oldest {
                Some((0, _)) => Past::Version(Cold::default()),
                Some((_, at)) => Past::Gone { oldest: at },
                None => Past::Gone { oldest: self.through },
            });
        };
        if *version == self.version() {
            return Ok(Past::Current);
        }
        let state = DeltaTableState::try_new(self.ledger.log.as_ref(), Some(*version))
            .await
            .map_err(LakeError::delta(&self.ledger.table, "load an earlier version of"))?;
        let files = files_of(&state, spec, known);
        Ok(Past::Version(Cold { version: *version, through: as_of, files }))
    }

    async fn load_moments(&mut self) -> Result<()> {
        if self.moments.is_some() {
            return Ok(());
        }
        let mut moments = BTreeMap::new();
        // Versions are read from the newest down to where the log has been cleaned up.
        let mut version = Some(self.version());
        while let Some(v) = version {
            let Some(at) = self.moment(v).await? else { break };
            moments.insert(v, at);
            version = v.checked_sub(1);
        }
        self.moments = Some(moments);
        Ok(())
    }

    /// The moment through which a version is complete; `None` if its log entry is gone.
    async fn moment(&self, version: u64) -> Result<Option<i64>> {
        let entry = self
            .ledger
            .log
            .read_commit_entry(version)
            .await
            .map_err(LakeError::delta(&self.ledger.table, "read a log entry of"))?;
        let Some(entry) = entry else { return Ok(None) };
        let text = String::from_utf8_lossy(&entry);
        for line in text.lines() {
            let Ok(action) = serde_json::from_str::<Value>(line) else { continue };
            let Some(info) = action.get("commitInfo") else { continue };
            let through = info.get(THROUGH).and_then(Value::as_i64);
            let committed = info.get("timestamp").and_then(Value::as_i64);
            // A commit by another writer is complete through its own time.
            return Ok(through.or(committed.map(|ms| ms.saturating_mul(1000))));
        }
        Ok(Some(i64::MIN))
    }

    async fn find_through(&self) -> Result<i64> {
        Ok(self.moment(self.version()).await?.unwrap_or(i64::MIN))
    }

    /// Removed files and when they were removed (ms), as far as the log remembers.
    pub async fn tombstones(&self) -> Result<HashMap<String, i64>> {
        let views: Vec<_> = self
            .state()
            .all_tombstones(self.ledger.log.as_ref())
            .try_collect()
            .await
            .map_err(LakeError::delta(&self.ledger.table, "list removed files of"))?;
        let entry = |view: &deltalake_core::kernel::TombstoneView| {
            (view.path().into_owned(), view.deletion_timestamp().unwrap_or(i64::MAX))
        };
        Ok(views.iter().map(entry).collect())
    }
}

/// The latest version. One that asks more of its readers than version 1 does, such as deletion
/// vectors or column mapping, would be read wrongly, and is refused.
async fn latest(table: &str, log: &LogStoreRef) -> Result<DeltaTableState> {
    let state = DeltaTableState::try_new(log.as_ref(), None)
        .await
        .map_err(LakeError::delta(table, "load"))?;
    let asked = state.protocol().min_reader_version();
    if asked > READER_VERSION {
        let what = format!(
            "another program has raised its Delta reader version to {asked}, version \
             {READER_VERSION} is read; drop the feature there (deletion vectors, column mapping)"
        );
        return Err(LakeError::Spec { table: table.to_owned(), what });
    }
    Ok(state)
}

/// What a look back finds.
#[derive(Debug)]
pub(crate) enum Past {
    /// The latest version, to which rows in memory may be added.
    Current,
    Version(Cold),
    Gone {
        oldest: i64,
    },
}

async fn create(log: &LogStoreRef, spec: &Spec, history_days: u32) -> Result<DeltaTableState> {
    let properties = [
        ("delta.checkpointInterval", CHECKPOINT_COMMITS.to_string()),
        ("delta.deletedFileRetentionDuration", format!("interval {history_days} days")),
        // One day longer, so that a version whose files are kept can still be found.
        ("delta.logRetentionDuration", format!("interval {} days", history_days + 1)),
    ];
    let properties = properties.map(|(key, value)| (key.to_owned(), Some(value)));
    let through = [(THROUGH.to_owned(), json!(Utc::now().timestamp_micros()))];
    let table = CreateBuilder::new()
        .with_log_store(log.clone())
        .with_table_name(spec.name())
        .with_columns(fields_of(spec))
        .with_configuration(properties)
        .with_commit_properties(CommitProperties::default().with_metadata(through))
        .await
        .map_err(LakeError::delta(spec.name(), "create"))?;
    table.snapshot().cloned().map_err(LakeError::delta(spec.name(), "create"))
}

fn fields_of(spec: &Spec) -> Vec<StructField> {
    let field = |f: &Arc<arrow::datatypes::Field>| {
        let data_type = match f.data_type() {
            ArrowType::Boolean => DataType::BOOLEAN,
            ArrowType::Int8 => DataType::BYTE,
            ArrowType::Int16 => DataType::SHORT,
            ArrowType::Int32 => DataType::INTEGER,
            ArrowType::Int64 => DataType::LONG,
            ArrowType::Float32 => DataType::FLOAT,
            ArrowType::Float64 => DataType::DOUBLE,
            ArrowType::Utf8 => DataType::STRING,
            ArrowType::Date32 => DataType::DATE,
            ArrowType::Timestamp(..) => DataType::TIMESTAMP,
            _ => DataType::BINARY,
        };
        StructField::new(f.name().clone(), data_type, f.is_nullable())
    };
    spec.stored.fields().iter().map(field).collect()
}

fn files_of(state: &DeltaTableState, spec: &Spec, known: &Cold) -> Vec<Arc<DataFile>> {
    let columns = spec.stored.fields().len();
    let known: HashMap<&str, &Arc<DataFile>> = known
        .files
        .iter()
        // Statistics follow the schema's columns; entries of a narrower schema are read anew.
        .filter(|file| file.stats.columns.len() == columns)
        .map(|file| (file.path.as_str(), file))
        .collect();
    let files = state.log_data();
    let mut files: Vec<Arc<DataFile>> = files
        .iter()
        .map(|view| {
            let path = view.path();
            if let Some(file) = known.get(path.as_ref()) {
                return Arc::clone(file);
            }
            let stats = stats::from_json(spec, view.stats().as_deref()).unwrap_or_else(|| {
                let rows = view.num_records().unwrap_or(0) as u64;
                FileStats { rows, columns: vec![Default::default(); columns] }
            });
            Arc::new(DataFile {
                path: path.into_owned(),
                bytes: u64::try_from(view.size()).unwrap_or(0),
                modified_ms: view.modification_time(),
                stats,
            })
        })
        .collect();
    // Names begin with their time, so this is the order in which they were written.
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn add_action(spec: &Spec, file: &DataFile, data_change: bool) -> Add {
    Add {
        path: file.path.clone(),
        partition_values: HashMap::new(),
        size: i64::try_from(file.bytes).expect("files fit in 63 bits"),
        modification_time: file.modified_ms,
        data_change,
        stats: Some(stats::to_json(spec, &file.stats)),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

fn remove_action(file: &DataFile, data_change: bool, now_ms: i64) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change,
        deletion_timestamp: Some(now_ms),
        extended_file_metadata: Some(true),
        partition_values: Some(HashMap::new()),
        size: i64::try_from(file.bytes).ok(),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
    }
}
