//! Registers that a pack defines: facilities, venues, parcels, parks — rows that people keep.
//!
//! ```text
//!  edit, file ─► put / delete ─► records: a version a row, none overwritten ─► held: Arrow chunks
//!                                     │                                           │
//!                                     └─► history, as_of                          └─► table()
//! ```
//!
//! A row is known by its contract's key. Each change of it is a version with who, when, why; a
//! deletion is a version without values. The newest versions are held in memory as Arrow and
//! replaced chunk by chunk as they change, so that reading a register of 100,000 rows costs what
//! reading a file would and an edit does not read it anew.
//!
//! Knows no contract's rules: rows arrive checked, and who may write them is for `city` to ask.

mod held;
mod history;
mod numbers;
mod rows;
mod table;
mod together;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{BooleanArray, RecordBatch};
use catalog::audit::Audit;
use catalog::records::{micros, time};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use pack::{Contract, DatasetKind};
use parking_lot::{Mutex, RwLock};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use store::records::Records;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::records::register_row::{Column, Entity};
use crate::{Registry, RegistryError};
use held::Held;

pub use held::Found;
pub use history::Version;
pub use rows::key_of;
pub use together::Changes;
pub use write::{Newer, Stamp, Written};

/// Bytes of a row's key: it stands in an index.
pub const KEY_BYTES_MAX: usize = 500;

/// What one register is in memory.
#[derive(Debug, Default)]
struct Register {
    /// Writers and who loads go one at a time. A write takes its turn along into its own task.
    turn: Arc<AsyncMutex<()>>,
    held: RwLock<Option<Held>>,
    /// Grows with each change of the rows.
    version: AtomicU64,
}

impl Register {
    async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }
}

/// The registers of one city.
#[derive(Debug)]
pub struct Registers {
    records: Records,
    audit: Audit,
    registers: Mutex<BTreeMap<String, Arc<Register>>>,
}

impl Registers {
    pub fn open(records: &Records, audit: &Audit) -> Self {
        let registers = Mutex::default();
        Self { records: records.clone(), audit: audit.clone(), registers }
    }

    /// Whether a dataset's rows are kept here: a register that is neither the pack's own text
    /// (areas, organisations) nor the platform's view of itself.
    pub fn keeps(contract: &Contract) -> bool {
        contract.kind == DatasetKind::Register
            && !Registry::keeps(&contract.id)
            && !pack::platform::is_made(&contract.id)
    }

    /// Changes whenever the register's rows have changed.
    pub fn version(&self, dataset: &str) -> u64 {
        1 + self.register(dataset).version.load(Ordering::Acquire)
    }

    fn register(&self, dataset: &str) -> Arc<Register> {
        let mut registers = self.registers.lock();
        match registers.get(dataset) {
            Some(register) => Arc::clone(register),
            None => Arc::clone(registers.entry(dataset.to_owned()).or_default()),
        }
    }

    /// The rows as they stand, or as they stood at `as_of`, in the contract's schema.
    pub async fn table(
        &self,
        contract: &Contract,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, RegistryError> {
        if let Some(moment) = as_of {
            return self.table_at(contract, moment).await;
        }
        self.with(contract, |held| held.table() as Arc<dyn TableProvider>).await
    }

    /// The newest version of a row and its values; none where there is no such row.
    pub async fn row(
        &self,
        contract: &Contract,
        key: &str,
    ) -> Result<Option<(i64, RecordBatch)>, RegistryError> {
        self.with(contract, |held| held.row(key)).await
    }

    /// The versions of these rows, of those that are there.
    pub async fn versions(
        &self,
        contract: &Contract,
        keys: &[String],
    ) -> Result<BTreeMap<String, i64>, RegistryError> {
        self.with(contract, |held| {
            let version = |key: &String| Some((key.clone(), held.version(key)?));
            keys.iter().filter_map(version).collect()
        })
        .await
    }

    /// The rows that `choose` marks in a batch of them, as they stand.
    pub async fn find(
        &self,
        contract: &Contract,
        choose: impl Fn(&RecordBatch) -> BooleanArray + Send + Sync,
    ) -> Result<Found, RegistryError> {
        let found = self.with(contract, |held| held.find(&choose)).await?;
        found.map_err(|cause| rows::damaged(contract, &cause.to_string()))
    }

    /// All rows as they stand, or as they stood at `as_of`, in the contract's schema.
    pub async fn rows(
        &self,
        contract: &Contract,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Vec<RecordBatch>, RegistryError> {
        match as_of {
            None => self.with(contract, Held::rows).await,
            Some(moment) => self.rows_at(contract, moment).await,
        }
    }

    /// Keys of the rows that there were and are no more, now or at `as_of`.
    pub async fn gone(
        &self,
        contract: &Contract,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Vec<String>, RegistryError> {
        let Some(moment) = as_of else {
            return self.with(contract, |held| held.gone().map(str::to_owned).collect()).await;
        };
        let keys = Entity::find()
            .select_only()
            .column(Column::RowKey)
            .filter(stood_at(contract, micros(moment)))
            .filter(Column::Data.is_null())
            .into_tuple()
            .all(self.records.read())
            .await?;
        Ok(keys)
    }

    /// When a row last changed; none where there never was one.
    pub async fn changed_at(
        &self,
        contract: &Contract,
    ) -> Result<Option<DateTime<Utc>>, RegistryError> {
        self.with(contract, |held| held.newest_us().map(time)).await
    }

    /// Asks what is held, loading it first where it is not.
    async fn with<T>(
        &self,
        contract: &Contract,
        ask: impl Fn(&Held) -> T,
    ) -> Result<T, RegistryError> {
        let register = self.register(&contract.id);
        if let Some(held) = register.held.read().as_ref() {
            return Ok(ask(held));
        }
        let _turn = register.turn().await;
        self.ensure_held(&register, contract).await?;
        let held = register.held.read();
        Ok(ask(held.as_ref().expect("it is loaded, and only who has the turn unloads it")))
    }

    /// Loads the newest versions; the caller has the turn.
    async fn ensure_held(
        &self,
        register: &Register,
        contract: &Contract,
    ) -> Result<(), RegistryError> {
        if register.held.read().is_some() {
            return Ok(());
        }
        let rows: Vec<(String, i64, Option<String>, i64)> = Entity::find()
            .select_only()
            .columns([Column::RowKey, Column::Version, Column::Data, Column::FromUs])
            .filter(Column::Dataset.eq(contract.id.as_str()))
            .filter(Column::ToUs.is_null())
            .order_by_asc(Column::RowKey)
            .into_tuple()
            .all(self.records.read())
            .await?;
        *register.held.write() = Some(Held::load(contract, rows)?);
        Ok(())
    }

    async fn table_at(
        &self,
        contract: &Contract,
        moment: DateTime<Utc>,
    ) -> Result<Arc<dyn TableProvider>, RegistryError> {
        let batches = self.rows_at(contract, moment).await?;
        let table = MemTable::try_new(contract.arrow_schema(), vec![batches]);
        let table = table.map_err(|cause| rows::damaged(contract, &cause.to_string()))?;
        Ok(Arc::new(table))
    }

    async fn rows_at(
        &self,
        contract: &Contract,
        moment: DateTime<Utc>,
    ) -> Result<Vec<RecordBatch>, RegistryError> {
        let rows: Vec<Option<String>> = Entity::find()
            .select_only()
            .column(Column::Data)
            .filter(stood_at(contract, micros(moment)))
            .filter(Column::Data.is_not_null())
            .order_by_asc(Column::RowKey)
            .into_tuple()
            .all(self.records.read())
            .await?;
        rows::read(contract, rows.iter().flatten().map(String::as_str))
    }
}

/// The versions of a register's rows that were the newest at a moment.
fn stood_at(contract: &Contract, moment_us: i64) -> Condition {
    let still = Condition::any().add(Column::ToUs.is_null()).add(Column::ToUs.gt(moment_us));
    Condition::all()
        .add(Column::Dataset.eq(contract.id.as_str()))
        .add(Column::FromUs.lte(moment_us))
        .add(still)
}

#[cfg(test)]
mod tests;
