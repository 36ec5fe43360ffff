//! One row as a thing to look at: its fields with their titles, where it is, what it points at,
//! what it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use catalog::Session;
use chrono::{DateTime, Utc};
use city::{FieldOf, Object, RowChange};
use pack::{Class, FieldType};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::datasets::{Names, labels};
use super::input::{Asked, Named, Who};
use super::problem::Problem;
use crate::fault::Fault;

/// When.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ObjectQuery {
    /// The moment asked about; now where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    as_of: Option<DateTime<Utc>>,
}

/// One row of a dataset.
#[derive(Debug, Serialize, ToSchema)]
pub struct ObjectView {
    pub dataset: String,
    /// The dataset's title.
    pub title: Names,
    pub key: String,
    /// What people call it.
    pub name: String,
    pub fields: Vec<ValueView>,
    /// GeoJSON, WGS-84.
    #[schema(value_type = Option<Object>)]
    pub geometry: Option<Value>,
    /// The version to name in a change; for rows of registers that people edit.
    pub version: Option<i64>,
    pub editable: bool,
    /// Newest first.
    pub history: Vec<ChangeView>,
    pub links: Vec<LinkView>,
}

/// One field and its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct ValueView {
    pub name: String,
    pub title: Names,
    pub unit: Option<String>,
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub ty: FieldType,
    #[schema(value_type = Object)]
    pub value: Value,
    /// What the codes of its field are called.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Names>,
    pub masked: bool,
    #[schema(value_type = Option<String>)]
    pub class: Option<Class>,
}

/// One version of a row: who changed what, when and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeView {
    pub version: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: DateTime<Utc>,
    pub by: String,
    pub reason: String,
    /// `created`, `changed` or `deleted`.
    pub kind: String,
    pub changes: Vec<FieldChange>,
}

/// What one field was, and what it became.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldChange {
    pub field: String,
    #[schema(value_type = Object)]
    pub from: Value,
    #[schema(value_type = Object)]
    pub to: Value,
}

/// Another thing that this one points at.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkView {
    /// The field that points.
    pub title: Names,
    pub dataset: String,
    pub key: String,
    pub name: String,
}

impl From<FieldOf> for ValueView {
    fn from(FieldOf { field, value, mask }: FieldOf) -> Self {
        Self {
            title: (&field.title).into(),
            labels: labels(&field.labels),
            name: field.name,
            unit: field.unit,
            ty: field.ty,
            value,
            masked: mask.is_some(),
            class: field.class,
        }
    }
}

impl From<RowChange> for ChangeView {
    fn from(change: RowChange) -> Self {
        let changes = change.changes.into_iter();
        Self {
            version: change.version,
            at: change.at,
            by: change.by,
            reason: change.reason,
            kind: change.kind,
            changes: changes.map(|(field, from, to)| FieldChange { field, from, to }).collect(),
        }
    }
}

impl From<Object> for ObjectView {
    fn from(object: Object) -> Self {
        let links = object.links.into_iter().map(|link| LinkView {
            title: (&link.title).into(),
            dataset: link.dataset,
            key: link.key,
            name: link.name,
        });
        Self {
            dataset: object.dataset,
            title: (&object.title).into(),
            key: object.key,
            name: object.name,
            fields: object.fields.into_iter().map(Into::into).collect(),
            geometry: object.geometry,
            version: object.version,
            editable: object.editable,
            history: object.history.into_iter().map(Into::into).collect(),
            links: links.collect(),
        }
    }
}

/// One row, as far as one may see it. A key of several fields is joined by `~`.
#[utoipa::path(
    get, path = "/api/objects/{dataset}/{key}", tag = "registers", security(("token" = [])),
    params(
        ("dataset" = String, Path, example = "place.facility"),
        ("key" = String, Path),
        ObjectQuery,
    ),
    responses((status = 200, body = ObjectView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn object(
    State(http): State<Arc<Http>>,
    who: Who,
    Named((dataset, key)): Named<(String, String)>,
    Asked(asked): Asked<ObjectQuery>,
) -> Result<Json<ObjectView>, Fault> {
    let session = Session { as_of: asked.as_of, ..who.session() };
    let object = http.city.object(&session, &dataset, &key).await?;
    Ok(Json(object.into()))
}
