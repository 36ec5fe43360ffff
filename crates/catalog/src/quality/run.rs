//! The rules over a whole dataset: one pass for the row rules, one query for the keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::common::cast::as_int64_array;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use pack::model::{Severity, Text};
use uuid::Uuid;

use super::check::failing;
use super::rules::{quoted, quoted_table};
use super::{QualityError, RowRules, RuleKind, RuleResult, RunResult, share, titles};
use crate::statistics::{self, Freshness};

/// How many failing keys a result shows for each rule.
const SAMPLE_ROWS_MAX: usize = 20;

/// Bounds and the moment of a run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Beyond this the search for double keys spills to disk.
    pub memory_bytes_max: usize,
    pub now: DateTime<Utc>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { memory_bytes_max: 512 << 20, now: Utc::now() }
    }
}

/// Asks every rule of every row that `provider` gives: the raw, ungoverned table of the rules'
/// dataset. Who may start a run, and see its samples, is the caller's to decide.
pub async fn run(
    provider: Arc<dyn TableProvider>,
    rules: &RowRules,
    options: &RunOptions,
) -> Result<RunResult, QualityError> {
    let started_at = Utc::now();
    let read = |cause| QualityError::Read { dataset: rules.dataset.clone(), cause };
    let ctx = context(options).map_err(read)?;
    let mut tally = Tally::new(rules);
    let frame = ctx.read_table(Arc::clone(&provider)).map_err(read)?;
    let mut batches = frame.execute_stream().await.map_err(read)?;
    while let Some(batch) = batches.next().await {
        tally.add(&rules.conform(&batch.map_err(read)?)?)?;
    }
    let mut results = tally.results();
    if !rules.contract.key.is_empty() {
        results.push(unique_key(&ctx, provider, rules, tally.rows).await.map_err(read)?);
    }
    results.extend(freshness(rules, tally.newest, options.now));
    results.push(completeness(&tally));
    let failed = |result: &RuleResult| result.severity == Severity::Error && result.failed > 0;
    Ok(RunResult {
        id: Uuid::now_v7(),
        dataset: rules.dataset.clone(),
        started_at,
        finished_at: Utc::now(),
        rows: tally.rows,
        passed: !results.iter().any(failed),
        rules: results,
    })
}

fn context(options: &RunOptions) -> Result<SessionContext, DataFusionError> {
    let pool = Arc::new(FairSpillPool::new(options.memory_bytes_max));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
    Ok(SessionContext::new_with_config_rt(SessionConfig::new(), runtime))
}

struct RuleTally {
    failed: u64,
    sample: Vec<BTreeMap<String, Option<String>>>,
}

struct Tally<'a> {
    rules: &'a RowRules,
    by_rule: Vec<RuleTally>,
    rows: u64,
    null_cells: u64,
    cells: u64,
    newest: Option<DateTime<Utc>>,
}

impl<'a> Tally<'a> {
    fn new(rules: &'a RowRules) -> Self {
        let empty = |_| RuleTally { failed: 0, sample: Vec::new() };
        let by_rule = rules.rules.iter().map(empty).collect();
        Self { rules, by_rule, rows: 0, null_cells: 0, cells: 0, newest: None }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), QualityError> {
        self.rows += batch.num_rows() as u64;
        for column in batch.columns() {
            self.cells += column.len() as u64;
            self.null_cells += column.null_count() as u64;
        }
        if let Some(column) =
            self.rules.contract.time.as_ref().and_then(|t| batch.column_by_name(t))
        {
            self.newest = self.newest.max(statistics::newest(column));
        }
        for (rule, tally) in self.rules.rules.iter().zip(&mut self.by_rule) {
            let Some(failing) = failing(&rule.test, batch) else { continue };
            tally.failed += failing.count_set_bits() as u64;
            let wanted = SAMPLE_ROWS_MAX - tally.sample.len();
            for row in failing.set_indices().take(wanted) {
                let key = key_of(batch, &self.rules.contract.key, row).map_err(|cause| {
                    QualityError::Arrow { dataset: self.rules.dataset.clone(), cause }
                })?;
                tally.sample.push(key);
            }
        }
        Ok(())
    }

    fn results(&self) -> Vec<RuleResult> {
        let rules = self.rules.rules.iter().zip(&self.by_rule);
        rules
            .map(|(rule, tally)| RuleResult {
                rule: rule.id.to_string(),
                kind: rule.kind,
                title: titles(&rule.title),
                field: rule.field.as_deref().map(str::to_owned),
                severity: rule.severity,
                checked: self.rows,
                failed: tally.failed,
                failed_share: share(tally.failed, self.rows),
                sample: tally.sample.clone(),
                failing_rows: Some(rule.failing_rows(&self.rules.dataset)),
            })
            .collect()
    }
}

fn key_of(
    batch: &RecordBatch,
    key: &[String],
    row: usize,
) -> Result<BTreeMap<String, Option<String>>, arrow::error::ArrowError> {
    key.iter()
        .filter_map(|name| Some((name, batch.column_by_name(name)?)))
        .map(|(name, column)| Ok((name.clone(), text_of(column, row)?)))
        .collect()
}

pub(crate) fn text_of(
    column: &ArrayRef,
    row: usize,
) -> Result<Option<String>, arrow::error::ArrowError> {
    if column.is_null(row) {
        return Ok(None);
    }
    let options = FormatOptions::default();
    Ok(Some(ArrayFormatter::try_new(column, &options)?.value(row).try_to_string()?))
}

async fn unique_key(
    ctx: &SessionContext,
    provider: Arc<dyn TableProvider>,
    rules: &RowRules,
    rows: u64,
) -> Result<RuleResult, DataFusionError> {
    const COPIES: &str = "__copies";
    let key = &rules.contract.key;
    let columns: Vec<Expr> = key.iter().map(ident).collect();
    let doubles = ctx
        .read_table(provider)?
        .aggregate(columns, vec![count(lit(1)).alias(COPIES)])?
        .filter(ident(COPIES).gt(lit(1)))?;
    let mut failed = 0;
    let mut sample = Vec::new();
    let mut batches = doubles.execute_stream().await?;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let copies = batch.column_by_name(COPIES).expect("the query names it");
        failed += as_int64_array(copies)?.iter().flatten().map(i64::unsigned_abs).sum::<u64>();
        for row in 0..batch.num_rows().min(SAMPLE_ROWS_MAX - sample.len()) {
            sample.push(key_of(&batch, key, row)?);
        }
    }
    let list = key.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let table = quoted_table(&rules.dataset);
    Ok(RuleResult {
        rule: "unique_key".into(),
        kind: RuleKind::UniqueKey,
        title: titles(&Text { zh: "主键唯一".into(), en: "Keys are unique".into() }),
        field: None,
        severity: Severity::Error,
        checked: rows,
        failed,
        failed_share: share(failed, rows),
        sample,
        failing_rows: Some(format!(
            "select {list}, count(*) as copies from {table} group by {list} having count(*) > 1"
        )),
    })
}

/// A warning, for late data is still good data; none where the contract sets no limit.
fn freshness(
    rules: &RowRules,
    newest: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<RuleResult> {
    rules.contract.time.as_ref()?;
    let limit = rules.contract.freshness_limit_minutes?;
    let late = match Freshness::of(newest, Some(limit), now) {
        Freshness::Fresh { .. } | Freshness::Unlimited { .. } => 0,
        Freshness::Late { .. } | Freshness::Never => 1,
    };
    Some(RuleResult {
        rule: "freshness".into(),
        kind: RuleKind::Freshness,
        title: titles(&Text {
            zh: format!("最新数据不早于{limit}分钟"),
            en: format!("The newest row is at most {limit} minutes old"),
        }),
        field: rules.contract.time.clone(),
        severity: Severity::Warning,
        checked: 1,
        failed: late,
        failed_share: share(late, 1),
        sample: Vec::new(),
        failing_rows: None,
    })
}

fn completeness(tally: &Tally<'_>) -> RuleResult {
    RuleResult {
        rule: "completeness".into(),
        kind: RuleKind::Completeness,
        title: titles(&Text { zh: "字段填充率".into(), en: "Cells that are filled".into() }),
        field: None,
        severity: Severity::Warning,
        checked: tally.cells,
        failed: tally.null_cells,
        failed_share: share(tally.null_cells, tally.cells),
        sample: Vec::new(),
        failing_rows: None,
    }
}
