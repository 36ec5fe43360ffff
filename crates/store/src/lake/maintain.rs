//! Keeping a table small and quick: compaction, retention, vacuum.
use super::error::Result;
use super::scan::Files;
use super::table::Table;
use super::LakeOptions;
use std::sync::Arc;

/// What one round of maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    pub files_compacted: usize,
}

pub(crate) async fn maintain(_table: &Arc<Table>, _o: &LakeOptions, _f: &Arc<Files>) -> Result<Maintained> {
    Ok(Maintained::default())
}
