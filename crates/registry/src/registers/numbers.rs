//! Numbers for rows that the platform itself names: given out once, whatever becomes of the row.

use catalog::records::counter;
use sea_orm::{ActiveModelTrait, EntityTrait, Set};

use super::Registers;
use crate::RegistryError;

impl Registers {
    /// The first of `count` numbers in a row, from 1, that nobody was given before. They are taken
    /// on the disk before they are used, so that a number is never given out twice.
    pub async fn reserve(&self, name: &str, count: i64) -> Result<i64, RegistryError> {
        let txn = self.records.write().await?;
        let found = counter::Entity::find_by_id(name).one(&*txn).await?;
        let last = found.as_ref().map_or(0, |counter| counter.value);
        let next = counter::ActiveModel { name: Set(name.to_owned()), value: Set(last + count) };
        match found {
            Some(_) => next.update(&*txn).await?,
            None => next.insert(&*txn).await?,
        };
        txn.commit().await?;
        Ok(last + 1)
    }

    /// Has the numbers up to `last` be nobody's any more: rows that came from elsewhere have them.
    pub async fn pass(&self, name: &str, last: i64) -> Result<(), RegistryError> {
        let txn = self.records.write().await?;
        let found = counter::Entity::find_by_id(name).one(&*txn).await?;
        if found.as_ref().is_some_and(|counter| counter.value >= last) {
            txn.rollback().await?;
            return Ok(());
        }
        let next = counter::ActiveModel { name: Set(name.to_owned()), value: Set(last) };
        match found {
            Some(_) => next.update(&*txn).await?,
            None => next.insert(&*txn).await?,
        };
        txn.commit().await?;
        Ok(())
    }
}
