//! What a query gives back.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use futures::{Stream, TryStreamExt};
use uuid::Uuid;

use super::SqlError;
use crate::lineage::Lineage;

/// Batches as they are made. Dropping it cancels the query.
pub type RowStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, SqlError>> + Send>>;

/// A running answer.
pub struct Answer {
    pub id: Uuid,
    pub schema: SchemaRef,
    pub stream: RowStream,
    /// Which fields of which datasets each column came from.
    pub lineage: Lineage,
}

impl Answer {
    /// All rows at once, for answers known to be small.
    pub async fn collect(self) -> Result<Vec<RecordBatch>, SqlError> {
        self.stream.try_collect().await
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("id", &self.id).field("schema", &self.schema).finish()
    }
}

/// What a statement would answer, without running it.
#[derive(Debug, Clone)]
pub struct Description {
    pub schema: SchemaRef,
    /// Types of `$1`, `$2`, … in order; `None` where the statement does not decide it.
    pub parameters: Vec<Option<DataType>>,
}

/// A statement checked and described for one session. It holds no plan over rows: each run
/// resolves the tables anew, so that it sees today's rows under today's policies.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(crate) sql: Arc<str>,
    pub(crate) user: String,
    pub(crate) epoch: u64,
    pub(crate) description: Description,
}

impl Prepared {
    pub fn description(&self) -> &Description {
        &self.description
    }

    pub fn sql(&self) -> &str {
        &self.sql
    }
}
