//! What data stewards and auditors do over HTTP: look at the quarantine and mend its rows, verify
//! the audit.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use city::Rejected;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::input::{Asked, Input, Named, Who};
use super::problem::Problem;
use crate::fault::{Code, Fault};
use crate::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};

/// Cells that one repair may set.
const REPAIRED_CELLS_MAX: usize = 200;
/// Entries of the audit on one page.
const AUDIT_ENTRIES_MAX: u64 = 1_000;

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct QuarantineQuery {
    /// Rows meant for this dataset; all datasets where it is left out.
    dataset: Option<String>,
    /// `open`, `repaired` or `dismissed`; open rows where it is left out.
    state: Option<String>,
    /// Rows on the page, 50 where it is left out, 200 at most.
    limit: Option<usize>,
    /// Rows before the page.
    offset: Option<usize>,
}

/// A page of quarantined rows, by file and line.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuarantineList {
    pub rows: Vec<QuarantineRow>,
    /// How many there are on all pages.
    pub total: u64,
}

/// One quarantined row.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuarantineRow {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub row: serde_json::Map<String, serde_json::Value>,
    /// The record cut into its cells, to be corrected by column; empty where it cannot be cut,
    /// and has to be mended in its file.
    pub cells: Vec<CellView>,
}

/// One cell of a record.
#[derive(Debug, Serialize, ToSchema)]
pub struct CellView {
    /// The file's column: what a correction names.
    pub column: String,
    /// The field that it fills.
    pub field: Option<String>,
    pub text: String,
}

/// Rows that wait in quarantine, of datasets in whose name one acts.
#[utoipa::path(
    get, path = "/api/quarantine", tag = "steward", security(("token" = [])),
    params(QuarantineQuery),
    responses((status = 200, body = QuarantineList), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn quarantine(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<QuarantineQuery>,
) -> Result<Json<QuarantineList>, Fault> {
    let limit = asked.limit.unwrap_or(PAGE_ITEMS_DEFAULT).min(PAGE_ITEMS_MAX);
    let offset = asked.offset.unwrap_or(0);
    let state = asked.state.unwrap_or_else(|| "open".to_owned());
    if !["open", "repaired", "dismissed"].contains(&state.as_str()) {
        return Err(Fault::new(Code::Invalid, "a row is open, repaired or dismissed"));
    }
    // Through governed SQL like any reading: the quarantine's own policy says whose rows these are.
    let mut parameters = vec![ScalarValue::Utf8(Some(state))];
    let wanted = match asked.dataset {
        Some(dataset) => {
            parameters.push(ScalarValue::Utf8(Some(dataset)));
            "state = $1 AND dataset = $2"
        }
        None => "state = $1",
    };
    let table = city::QUARANTINE;
    let count = format!("SELECT count(*) AS n FROM {table} WHERE {wanted}");
    let counted = objects(&http, &who, &count, parameters.clone()).await?;
    let total = counted.first().and_then(|row| row.get("n")).and_then(serde_json::Value::as_u64);
    let sql = format!(
        "SELECT * FROM {table} WHERE {wanted} ORDER BY file, line, id LIMIT {limit} OFFSET {offset}"
    );
    let rows = objects(&http, &who, &sql, parameters).await?;
    let rows = rows.into_iter().map(|row| QuarantineRow { cells: cells(&http, &row), row });
    Ok(Json(QuarantineList { rows: rows.collect(), total: total.unwrap_or(0) }))
}

type Row = serde_json::Map<String, serde_json::Value>;

/// An answer's rows, nulls and all.
async fn objects(
    http: &Http,
    who: &Who,
    sql: &str,
    parameters: Vec<ScalarValue>,
) -> Result<Vec<Row>, Fault> {
    let answer = http.backend.query(&who.session(), sql, parameters).await?;
    let batches: Vec<_> = answer.rows.try_collect().await?;
    let mut writer = arrow::json::writer::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::JsonArray>(Vec::new());
    writer.write_batches(&batches.iter().collect::<Vec<_>>()).map_err(Fault::internal)?;
    writer.finish().map_err(Fault::internal)?;
    match writer.into_inner() {
        text if text.is_empty() => Ok(Vec::new()),
        text => serde_json::from_slice(&text).map_err(Fault::internal),
    }
}

fn cells(http: &Http, row: &Row) -> Vec<CellView> {
    let text = |name: &str| row.get(name).and_then(serde_json::Value::as_str);
    let (Some(dataset), Some(raw)) = (text("dataset"), text("raw")) else { return Vec::new() };
    let columns = text("columns").unwrap_or_default();
    let cells = http.city.cells(dataset, raw, columns, text("mapping"));
    let view =
        |cell: city::Cell| CellView { column: cell.column, field: cell.field, text: cell.text };
    cells.into_iter().map(view).collect()
}

/// Cells to correct.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// Column of the file, or field of the dataset → text, in the forms that import reads.
    pub corrections: BTreeMap<String, String>,
}

/// Why a row will not be corrected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dismissal {
    pub reason: String,
}

/// The row, where the asker may handle it. Another's row is not told from none.
async fn own_row(http: &Http, who: &Who, id: &str) -> Result<Rejected, Fault> {
    let row = http.city.quarantined_row(id).await.ok();
    row.filter(|row| who.0.organisations.contains(&row.owner))
        .ok_or_else(|| Fault::new(Code::NotFound, format!("there is no quarantined row `{id}`")))
}

/// Corrects a row and takes it again, unless a row of its key was written since it came in.
#[utoipa::path(
    post, path = "/api/quarantine/{id}/repair", tag = "steward", security(("token" = [])),
    params(("id" = String, Path)), request_body = Repair,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn repair(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
    Input(repair): Input<Repair>,
) -> Result<StatusCode, Fault> {
    let row = own_row(&http, &who, &id).await?;
    if repair.corrections.len() > REPAIRED_CELLS_MAX {
        let reason = format!("a repair may set {REPAIRED_CELLS_MAX} cells");
        return Err(Fault::new(Code::TooLarge, reason));
    }
    let corrections: Vec<_> = repair.corrections.into_iter().collect();
    http.city.repair(&row.id, &corrections, &who.0.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Closes a row that will not be corrected, and says why.
#[utoipa::path(
    post, path = "/api/quarantine/{id}/dismiss", tag = "steward", security(("token" = [])),
    params(("id" = String, Path)), request_body = Dismissal,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn dismiss(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
    Input(dismissal): Input<Dismissal>,
) -> Result<StatusCode, Fault> {
    let row = own_row(&http, &who, &id).await?;
    http.city.dismiss(&row.id, &dismissal.reason, &who.0.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a verification of the audit found.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditReport {
    pub sound: bool,
    /// Entries that were read.
    pub entries: u64,
    /// Hash of the chain's end: keep it elsewhere, and verify against it later.
    pub head: String,
    /// What is wrong, in order of entries.
    pub faults: Vec<String>,
    /// Faults beyond those listed.
    pub faults_more: u64,
}

/// An end of the chain that was kept elsewhere; the one in the city's folder where none is given.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Anchor {
    /// Entries that the chain had then.
    count: Option<i64>,
    /// Hash of its end then.
    hash: Option<String>,
}

/// Reads the whole chain of the audit and names what was changed, dropped or swapped.
#[utoipa::path(
    get, path = "/api/audit/verify", tag = "steward", security(("token" = [])), params(Anchor),
    responses((status = 200, body = AuditReport), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn verify_audit(
    State(http): State<Arc<Http>>,
    Asked(anchor): Asked<Anchor>,
) -> Result<Json<AuditReport>, Fault> {
    let anchor = match (anchor.count, anchor.hash) {
        (Some(count), Some(hash)) => Some(catalog::audit::Head { count, hash }),
        (None, None) => http.city.audit_anchor()?,
        _ => return Err(Fault::new(Code::Invalid, "an anchor has both a count and a hash")),
    };
    let report = http.city.audit().verify(anchor.as_ref()).await?;
    Ok(Json(AuditReport {
        sound: report.is_sound(),
        entries: report.rows,
        head: report.head.hash.clone(),
        faults: report.faults.iter().map(ToString::to_string).collect(),
        faults_more: report.faults_more,
    }))
}

/// One entry of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    pub seq: i64,
    /// Microseconds since 1970, UTC.
    pub at_us: i64,
    pub actor: String,
    pub organisation: String,
    pub action: String,
    pub object: String,
    pub outcome: String,
    pub detail: String,
    pub hash: String,
}

/// Entries of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    pub entries: Vec<AuditEntry>,
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Entries after this one, oldest first; the newest, newest first, where it is left out.
    after: Option<i64>,
    /// Entries on the page, 1,000 at most.
    limit: Option<u64>,
}

/// A page of the audit.
#[utoipa::path(
    get, path = "/api/audit", tag = "steward", security(("token" = [])), params(AuditQuery),
    responses((status = 200, body = AuditList), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn audit(
    State(http): State<Arc<Http>>,
    Asked(asked): Asked<AuditQuery>,
) -> Result<Json<AuditList>, Fault> {
    let limit = asked.limit.unwrap_or(PAGE_ITEMS_DEFAULT as u64).min(AUDIT_ENTRIES_MAX);
    let audit = http.city.audit();
    let entries = match asked.after {
        Some(seq) => audit.page(seq, limit).await?,
        None => audit.newest(limit).await?,
    };
    let entries = entries.into_iter().map(|entry| AuditEntry {
        seq: entry.seq,
        at_us: entry.at_us,
        actor: entry.actor,
        organisation: entry.organisation,
        action: entry.action,
        object: entry.object,
        outcome: entry.outcome,
        detail: entry.detail,
        hash: entry.hash,
    });
    Ok(Json(AuditList { entries: entries.collect() }))
}
