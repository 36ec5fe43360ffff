//! What of a dataset a session sees, said so that two sessions can be compared: whoever keeps rows
//! read by one for another must know that they would have been the same.

use std::sync::LazyLock;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use chrono::Utc;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::prelude::SessionContext;
use pack::access::{Action, Thing};
use pack::sql::at_moment;
use pack::{Contract, Mask};

use super::{Catalog, SqlError, policy};
use crate::Session;

/// Makes row filters into what can be asked of rows; nothing is registered in it.
static PLANNING: LazyLock<SessionContext> = LazyLock::new(SessionContext::new);

/// Everything that decides which rows and values a session sees of a dataset. Sessions with equal
/// sights are answered alike, unless a sight is [`Sight::moving`].
#[derive(Debug, Clone)]
pub struct Sight {
    pub dataset: String,
    /// Of the rows, as the source counts it.
    pub version: u64,
    /// Microseconds of the moment asked about.
    pub as_of_us: Option<i64>,
    /// Visible fields in contract order, with the mask of each.
    pub fields: Vec<(String, Option<Mask>)>,
    pub min_cell: Option<u32>,
    /// Of the grants: when it moved, what was resolved before may no longer stand.
    pub epoch: u64,
    /// The row filter with the principal's scopes in it.
    filter: Option<Expr>,
}

impl Sight {
    /// Whether the rows seen change by themselves as time goes on: the filter asks the clock.
    pub fn moving(&self) -> bool {
        self.filter.as_ref().is_some_and(asks_the_clock)
    }

    /// Whether rows read under one may be shown under the other. Both were resolved when they were
    /// asked for, so that the epoch says nothing more.
    pub fn alike(&self, other: &Self) -> bool {
        self.version == other.version && self.same_rules(other)
    }

    /// As [`Sight::alike`], of rows that may be older or newer.
    pub fn same_rules(&self, other: &Self) -> bool {
        self.dataset == other.dataset
            && self.as_of_us == other.as_of_us
            && self.fields == other.fields
            && self.min_cell == other.min_cell
            && self.filter == other.filter
    }

    /// Which of these rows, which have all stored columns, the session sees one by one.
    pub fn keeps(&self, rows: &RecordBatch) -> Result<BooleanArray, SqlError> {
        let count = rows.num_rows();
        if self.min_cell.is_some() {
            return Ok(BooleanArray::from(vec![false; count]));
        }
        let Some(filter) = &self.filter else { return Ok(BooleanArray::from(vec![true; count])) };
        kept(filter, rows).map_err(|error| {
            // What a filter cannot be asked of is not seen; why, the log knows.
            tracing::error!(dataset = %self.dataset, %error, "a row filter could not be asked");
            SqlError::Invalid { reason: "the row filter could not be asked".to_owned() }
        })
    }

    pub fn shows(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == field)
    }

    /// Whether a field is shown as it is stored.
    pub fn plain(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, mask)| name == field && mask.is_none())
    }
}

/// A filter that is neither true nor false of a row leaves it out, as in SQL.
fn kept(filter: &Expr, rows: &RecordBatch) -> Result<BooleanArray, DataFusionError> {
    let filter = at_moment(filter.clone(), Utc::now())?;
    let schema = DFSchema::try_from(rows.schema().as_ref().clone())?;
    let predicate = PLANNING.create_physical_expr(filter, &schema)?;
    let answers = predicate.evaluate(rows)?.into_array(rows.num_rows())?;
    let answers = answers.as_boolean_opt().ok_or_else(|| {
        DataFusionError::Internal("a row filter that says neither yes nor no".to_owned())
    })?;
    Ok(answers.iter().map(|answer| Some(answer == Some(true))).collect())
}

fn asks_the_clock(filter: &Expr) -> bool {
    let mut found = false;
    let looked = filter.apply(|expr| {
        if let Expr::ScalarFunction(call) = expr {
            found |= call.func.signature().volatility != Volatility::Immutable;
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    // What cannot be looked through is taken to move.
    found || looked.is_err()
}

impl Catalog {
    /// Whether the session sees every row of a dataset, one by one.
    pub async fn sees_whole(
        &self,
        session: &Session,
        contract: &Contract,
    ) -> Result<bool, SqlError> {
        let access = self.access(&session.principal, contract).await?;
        Ok(access.is_some_and(|access| access.row_filter.is_none() && access.min_cell.is_none()))
    }

    /// What the session sees of a dataset; `None` where it does not exist for the principal.
    pub async fn sight(
        &self,
        session: &Session,
        contract: &Contract,
    ) -> Result<Option<Sight>, SqlError> {
        if !self.asker(&session.principal).may(Action::Query, Thing::Platform) {
            return Ok(None);
        }
        // Before the grants are read, so that one made meanwhile counts as a later one.
        let epoch = self.options.grants.epoch();
        let version = self.source.version(&contract.id);
        let Some(access) = self.access(&session.principal, contract).await? else {
            return Ok(None);
        };
        let stored = contract.arrow_schema();
        let filter = access.row_filter.as_ref().map(|sql| {
            policy::standing_filter(sql, &stored, &session.principal).map_err(|error| {
                self.author(session, sql).internal("policy", &format!("{}: {error}", access.by))
            })
        });
        Ok(Some(Sight {
            dataset: contract.id.clone(),
            version,
            as_of_us: session.as_of.map(|moment| moment.timestamp_micros()),
            fields: access.fields,
            min_cell: access.min_cell,
            epoch,
            filter: filter.transpose()?,
        }))
    }
}
