//! Several registers written in one transaction: a thing with all that hangs on it, or none of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use catalog::audit::Event;
use pack::Contract;

use super::write::{Part, Work, newer, still, version_of};
use super::{Register, Registers, Stamp, Written, rows};
use crate::RegistryError;

/// What is to become of some rows of one register.
#[derive(Debug)]
pub struct Changes<'a> {
    pub contract: &'a Contract,
    /// Rows that are to stand from now on, checked and with no key twice.
    pub rows: RecordBatch,
    /// Keys of rows that are to go.
    pub removes: Vec<String>,
    /// What who writes has seen: the version that a row stands at, none where it is not there.
    pub seen: Vec<(String, Option<i64>)>,
    /// Keys that no row may ever have had.
    pub fresh: Vec<String>,
    /// What the audit is told of this register.
    pub event: Option<Event>,
}

impl Changes<'_> {
    /// Refuses where a row is no longer as it was seen.
    fn check(&self, register: &Register) -> Result<(), RegistryError> {
        for (key, seen) in &self.seen {
            match seen {
                Some(version) => still(register, key, *version)?,
                None if version_of(register, key).is_some() => {
                    return Err(RegistryError::RowExists { key: key.clone() });
                }
                None => {}
            }
        }
        match newer(register, &self.fresh, i64::MIN) {
            taken if taken.is_empty() => Ok(()),
            taken => Err(RegistryError::Newer(taken)),
        }
    }
}

impl Registers {
    /// Writes all of these changes or none, each register once. What each register's rows are at
    /// afterwards, those put before those removed.
    pub async fn write_together(
        &self,
        mut changes: Vec<Changes<'_>>,
        mut stamp: Stamp,
    ) -> Result<BTreeMap<String, Vec<Written>>, RegistryError> {
        // Everybody takes turns in one order, so that no two wait for each other.
        changes.sort_by(|one, other| one.contract.id.cmp(&other.contract.id));
        if let Some(twice) = changes.windows(2).find(|two| two[0].contract.id == two[1].contract.id)
        {
            let problem = format!("`{}` stands twice in one write", twice[0].contract.id);
            return Err(RegistryError::Input { field: "dataset", problem });
        }
        let mut turns = Vec::with_capacity(changes.len());
        for change in &changes {
            let register = self.register(&change.contract.id);
            let turn = register.turn().await;
            self.ensure_held(&register, change.contract).await?;
            turns.push((register, turn));
        }
        let mut events: Vec<Event> = stamp.event.take().into_iter().collect();
        let (mut parts, mut written) = (Vec::with_capacity(changes.len()), BTreeMap::new());
        for (change, (register, turn)) in changes.into_iter().zip(turns) {
            change.check(&register)?;
            let puts = rows::key_of(change.contract, &change.rows)?;
            let work = Work { puts, rows: &change.rows, removes: change.removes };
            let part = Part::of(Arc::clone(&register), turn, change.contract, &work, &stamp)?;
            written.insert(change.contract.id.clone(), part.written());
            events.extend(change.event);
            parts.push(part);
        }
        if !parts.is_empty() {
            self.carry_out(parts, events).await?;
        }
        Ok(written)
    }
}
