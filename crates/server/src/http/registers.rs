//! Registers over HTTP: browsed by who may read them, edited by who keeps them — with a reason,
//! against the version that was looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catalog::sql::Access;
use city::{Edited, RowsAsked};
use pack::{Class, Contract, FieldType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::boards::prefix_of;
use super::datasets::{Names, labels};
use super::input::{Asked, Input, Named, Who};
use super::objects::ChangeView;
use super::problem::Problem;
use crate::fault::{Code, Fault};
use crate::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, SEARCH_CHARS_MAX};

/// Registers that one may read.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterList {
    pub items: Vec<RegisterItem>,
}

/// One register.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterItem {
    #[schema(example = "place.facility")]
    pub dataset: String,
    pub title: Names,
    pub description: Names,
    /// The organisation that keeps it.
    pub owner: String,
    /// Rows that one sees of it.
    pub count: u64,
    /// Whether one edits it, in one's own areas.
    pub editable: bool,
    pub key: Vec<String>,
    /// In the contract's order; those that one sees.
    pub fields: Vec<RegisterField>,
}

/// One field, with what a form has to know of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterField {
    pub name: String,
    pub title: Names,
    pub description: Names,
    pub unit: Option<String>,
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub ty: FieldType,
    #[schema(value_type = Option<String>)]
    pub class: Option<Class>,
    pub required: bool,
    /// Allowed values; empty: any.
    pub codes: Vec<String>,
    /// What the codes are called.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Names>,
    pub masked: bool,
}

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RowsQuery {
    /// A part of any text of the row, or of what a code in it is called.
    q: Option<String>,
    /// Code of the area that the rows lie in.
    area: Option<String>,
    /// A field, `-field` for the largest first; the key where it is left out.
    sort: Option<String>,
    /// Rows on the page, 50 where it is left out, 200 at most.
    limit: Option<usize>,
    /// Rows before the page.
    offset: Option<usize>,
}

/// A page of rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowList {
    pub items: Vec<RowItem>,
    /// How many there are on all pages.
    pub total: u64,
}

/// One row, without its geometry.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowItem {
    pub key: Option<String>,
    /// The version to name in a change.
    pub version: Option<i64>,
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
}

/// A row to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRow {
    /// Field → value: text, number, truth value, null; GeoJSON for a geometry.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
    /// Why, for who reads the history.
    pub reason: String,
}

/// A row changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedRow {
    /// The fields that change.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
    pub reason: String,
    /// The version that was looked at.
    pub version: i64,
}

/// A row no longer there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemovedRow {
    pub reason: String,
    /// The version that was looked at.
    pub version: i64,
}

/// What an edit left behind.
#[derive(Debug, Serialize, ToSchema)]
pub struct EditedRow {
    pub key: String,
    pub version: i64,
}

impl From<Edited> for EditedRow {
    fn from(Edited { key, version }: Edited) -> Self {
        Self { key, version }
    }
}

/// Versions of a row, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryList {
    pub items: Vec<ChangeView>,
}

fn fields(contract: &Contract, access: &Access) -> Vec<RegisterField> {
    let field = |(name, mask): &(String, Option<pack::Mask>)| {
        let field = contract.field(name)?;
        Some(RegisterField {
            name: field.name.clone(),
            title: (&field.title).into(),
            description: (&field.description).into(),
            unit: field.unit.clone(),
            ty: field.ty,
            class: field.class,
            required: field.required,
            codes: field.codes.clone(),
            labels: labels(&field.labels),
            masked: mask.is_some(),
        })
    };
    access.fields.iter().filter_map(field).collect()
}

/// The registers that one may read.
#[utoipa::path(
    get, path = "/api/registers", tag = "registers", security(("token" = [])),
    responses((status = 200, body = RegisterList), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn list(State(http): State<Arc<Http>>, who: Who) -> Result<Json<RegisterList>, Fault> {
    let session = who.session();
    let found = http.city.registers_of(&session).await?;
    let items = found.into_iter().map(|(contract, access, count)| RegisterItem {
        dataset: contract.id.clone(),
        title: (&contract.title).into(),
        description: (&contract.description).into(),
        owner: contract.owner.clone(),
        count,
        editable: http.city.may_edit(&session, contract).is_ok(),
        key: contract.key.clone(),
        fields: fields(contract, &access),
    });
    Ok(Json(RegisterList { items: items.collect() }))
}

/// A page of a register.
#[utoipa::path(
    get, path = "/api/registers/{dataset}/rows", tag = "registers", security(("token" = [])),
    params(("dataset" = String, Path, example = "place.facility"), RowsQuery),
    responses((status = 200, body = RowList), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn rows(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(dataset): Named<String>,
    Asked(asked): Asked<RowsQuery>,
) -> Result<Json<RowList>, Fault> {
    if asked.q.as_ref().is_some_and(|words| words.chars().count() > SEARCH_CHARS_MAX) {
        let reason = format!("a search may have {SEARCH_CHARS_MAX} characters");
        return Err(Fault::new(Code::TooLarge, reason));
    }
    let wanted = RowsAsked {
        words: asked.q,
        area: Some(prefix_of(asked.area.as_deref())?),
        sort: asked.sort,
        limit: asked.limit.unwrap_or(PAGE_ITEMS_DEFAULT).min(PAGE_ITEMS_MAX),
        offset: asked.offset.unwrap_or(0),
    };
    let page = http.city.register_rows(&who.session(), &dataset, &wanted).await?;
    let items = page.rows.into_iter().map(|row| RowItem {
        key: row.key,
        version: row.version,
        values: row.values,
    });
    Ok(Json(RowList { items: items.collect(), total: page.total }))
}

/// Adds a row.
#[utoipa::path(
    post, path = "/api/registers/{dataset}/rows", tag = "registers", security(("token" = [])),
    params(("dataset" = String, Path)), request_body = NewRow,
    responses((status = 201, body = EditedRow), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn create(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(dataset): Named<String>,
    Input(new): Input<NewRow>,
) -> Result<(StatusCode, Json<EditedRow>), Fault> {
    let session = who.session();
    let made = http.city.create_row(&session, &dataset, new.fields, &new.reason).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// Changes fields of a row. Refused where somebody changed it since it was looked at.
#[utoipa::path(
    put, path = "/api/registers/{dataset}/rows/{key}", tag = "registers", security(("token" = [])),
    params(("dataset" = String, Path), ("key" = String, Path)), request_body = ChangedRow,
    responses((status = 200, body = EditedRow), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn change(
    State(http): State<Arc<Http>>,
    who: Who,
    Named((dataset, key)): Named<(String, String)>,
    Input(changed): Input<ChangedRow>,
) -> Result<Json<EditedRow>, Fault> {
    let session = who.session();
    let ChangedRow { fields, reason, version } = changed;
    let done = http.city.change_row(&session, &dataset, &key, version, fields, &reason).await?;
    Ok(Json(done.into()))
}

/// Takes a row out. Its history stays, and the past is read with it.
#[utoipa::path(
    delete, path = "/api/registers/{dataset}/rows/{key}", tag = "registers", security(("token" = [])),
    params(("dataset" = String, Path), ("key" = String, Path)), request_body = RemovedRow,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn remove(
    State(http): State<Arc<Http>>,
    who: Who,
    Named((dataset, key)): Named<(String, String)>,
    Input(removed): Input<RemovedRow>,
) -> Result<StatusCode, Fault> {
    let session = who.session();
    let RemovedRow { reason, version } = removed;
    http.city.delete_row(&session, &dataset, &key, version, &reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a row was, newest version first, as far as one may see each. Rows that were taken out
/// have theirs too.
#[utoipa::path(
    get, path = "/api/registers/{dataset}/rows/{key}/history", tag = "registers", security(("token" = [])),
    params(("dataset" = String, Path), ("key" = String, Path)),
    responses((status = 200, body = HistoryList), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn history(
    State(http): State<Arc<Http>>,
    who: Who,
    Named((dataset, key)): Named<(String, String)>,
) -> Result<Json<HistoryList>, Fault> {
    let session = who.session();
    let (contract, access) = http.city.access_to(&session, &dataset).await?;
    let versions = http.city.row_history(&session, contract, &access, &key).await?;
    if versions.is_empty() {
        let reason = format!("{dataset} never had a row `{key}`");
        return Err(Fault::new(Code::NotFound, reason));
    }
    Ok(Json(HistoryList { items: versions.into_iter().map(Into::into).collect() }))
}
