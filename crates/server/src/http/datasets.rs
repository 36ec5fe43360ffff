//! The catalogue over HTTP: what there is, what one dataset is, how good it is, where an answer
//! comes from, and all of it as DCAT. A principal finds what it may know about and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use catalog::knowledge::{Access, Knowledge};
use catalog::lineage;
use catalog::search::Hit;
use chrono::Utc;
use pack::{Contract, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Http;
use super::input::{Asked, Input, Named, Who};
use super::problem::Problem;
use super::sql::SqlRequest;
use crate::fault::{Code, Fault};
use crate::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, SEARCH_CHARS_MAX};

/// Runs of quality rules that one answer shows.
const QUALITY_RUNS_MAX: u64 = 20;

/// Which datasets.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Words to search for, Chinese or English; all datasets where it is left out.
    q: Option<String>,
    /// Datasets on the page, 50 where it is left out, 200 at most.
    limit: Option<usize>,
    /// Datasets before the page.
    offset: Option<usize>,
}

/// Chinese and English texts of one thing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Names {
    pub zh: String,
    pub en: String,
}

impl From<&Text> for Names {
    fn from(text: &Text) -> Self {
        Self { zh: text.zh.clone(), en: text.en.clone() }
    }
}

/// What codes are called.
pub(super) fn labels(of: &BTreeMap<String, Text>) -> BTreeMap<String, Names> {
    of.iter().map(|(code, label)| (code.clone(), label.into())).collect()
}

/// One dataset of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatasetItem {
    #[schema(example = "air.pm25")]
    pub id: String,
    pub title: Names,
    pub description: Names,
    /// The organisation that owns it.
    pub owner: String,
    pub theme: String,
    /// `unconditional`, `conditional` or `not_shared`.
    #[schema(value_type = String)]
    pub sharing: pack::SharingAttribute,
    /// Whether its rows can be read; if not, they can be asked for.
    pub readable: bool,
    /// Where the words were met, for a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub found: Option<Hit>,
}

/// A page of datasets.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatasetList {
    pub datasets: Vec<DatasetItem>,
    /// How many there are on all pages.
    pub total: usize,
}

fn item(contract: &Contract, knowledge: &Knowledge, found: Option<Hit>) -> Option<DatasetItem> {
    let known = knowledge.get(&contract.id)?;
    Some(DatasetItem {
        id: contract.id.clone(),
        title: (&contract.title).into(),
        description: (&contract.description).into(),
        owner: contract.owner.clone(),
        theme: contract.theme.clone(),
        sharing: contract.sharing.attribute,
        readable: known.access == Access::Readable,
        found,
    })
}

/// Lists or searches the datasets that one may know about.
#[utoipa::path(
    get, path = "/api/datasets", tag = "catalogue", security(("token" = [])), params(ListQuery),
    responses((status = 200, body = DatasetList), (status = 401, body = Problem))
)]
pub async fn list(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<ListQuery>,
) -> Result<Json<DatasetList>, Fault> {
    let knowledge = http.city.catalog().knowledge(&who.session()).await?;
    let pack = http.city.pack();
    let mut datasets: Vec<DatasetItem> = match asked.q.as_deref().map(str::trim) {
        Some(words) if !words.is_empty() => {
            if words.chars().count() > SEARCH_CHARS_MAX {
                let reason = format!("a search may have {SEARCH_CHARS_MAX} characters");
                return Err(Fault::new(Code::TooLarge, reason));
            }
            let hits = http.search.search(words, &knowledge, PAGE_ITEMS_MAX);
            let hits = hits.map_err(Fault::internal)?.into_iter();
            let found = |hit: Hit| item(pack.datasets.get(&hit.dataset)?, &knowledge, Some(hit));
            hits.filter_map(found).collect()
        }
        _ => pack.datasets.values().filter_map(|c| item(c, &knowledge, None)).collect(),
    };
    let total = datasets.len();
    let limit = asked.limit.unwrap_or(PAGE_ITEMS_DEFAULT).min(PAGE_ITEMS_MAX);
    let offset = asked.offset.unwrap_or(0).min(total);
    datasets.drain(..offset);
    datasets.truncate(limit);
    Ok(Json(DatasetList { datasets, total }))
}

fn unknown(id: &str) -> Fault {
    Fault::new(Code::NotFound, format!("there is no dataset `{id}`"))
        .hint("GET /api/datasets lists those that you may know about")
}

/// What the asker may know, for a dataset that it may know about.
pub(super) async fn knowledge_of(http: &Http, who: &Who, id: &str) -> Result<Knowledge, Fault> {
    let knowledge = http.city.catalog().knowledge(&who.session()).await?;
    knowledge.get(id).ok_or_else(|| unknown(id))?;
    Ok(knowledge)
}

/// All that one may know about a dataset: the core metadata of GB/T 21063.3, fields, sharing,
/// freshness, statistics, quality, grants.
#[utoipa::path(
    get, path = "/api/datasets/{id}", tag = "catalogue", security(("token" = [])),
    params(("id" = String, Path, example = "air.pm25")),
    responses((status = 200, body = Object), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn page(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
) -> Result<Json<Value>, Fault> {
    // Facts cost a pass over the rows: nothing is gathered for who may not know of the dataset.
    let knowledge = knowledge_of(&http, &who, &id).await?;
    let contract = http.city.contract(&id)?;
    let facts = http.city.facts(contract).await?;
    let organisations = &who.0.ancestors;
    let page = catalog::page::page(contract, &knowledge, organisations, facts, Utc::now());
    let page = page.ok_or_else(|| unknown(&id))?;
    serde_json::to_value(page).map(Json).map_err(Fault::internal)
}

/// The newest runs of a dataset's quality rules. Samples of failing keys are for the owner.
#[utoipa::path(
    get, path = "/api/datasets/{id}/quality", tag = "catalogue", security(("token" = [])),
    params(("id" = String, Path, example = "air.pm25")),
    responses((status = 200, body = Object), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn quality(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
) -> Result<Json<Value>, Fault> {
    let knowledge = knowledge_of(&http, &who, &id).await?;
    let contract = http.city.contract(&id)?;
    let runs = catalog::quality::records::latest(http.city.records(), &id, QUALITY_RUNS_MAX).await;
    let mut shown = Vec::new();
    for run in runs.map_err(Fault::internal)? {
        // The page is the one place that cuts a run to what its reader may know.
        let facts = catalog::page::Facts { quality: Some(run), ..Default::default() };
        let page = catalog::page::page(contract, &knowledge, &who.0.ancestors, facts, Utc::now());
        shown.extend(page.and_then(|page| page.quality));
    }
    Ok(Json(json!({ "dataset": id, "runs": shown })))
}

/// Runs a dataset's quality rules now. One run of a dataset at a time: a second is told to come
/// again.
#[utoipa::path(
    post, path = "/api/datasets/{id}/quality", tag = "catalogue", security(("token" = [])),
    params(("id" = String, Path, example = "air.pm25")),
    responses((status = 200, body = Object), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn check_quality(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
) -> Result<Json<Value>, Fault> {
    knowledge_of(&http, &who, &id).await?;
    let run = http.city.check_quality(&id).await?;
    serde_json::to_value(run).map(Json).map_err(Fault::internal)
}

/// The catalogue as DCAT-AP 3 in JSON-LD.
#[utoipa::path(
    get, path = "/api/dcat", tag = "catalogue", security(("token" = [])),
    responses((status = 200, body = Object, content_type = "application/ld+json"), (status = 401, body = Problem))
)]
pub async fn dcat(State(http): State<Arc<Http>>, who: Who) -> Result<Response, Fault> {
    let knowledge = http.city.catalog().knowledge(&who.session()).await?;
    let pack = http.city.pack();
    let site = catalog::dcat::Site {
        base_url: &http.base_url,
        city_code: &pack.city.code,
        city_name: &pack.city.name,
        generated: Utc::now(),
    };
    let organisation = |id: &str| {
        let known = pack.organisations.iter().find(|organisation| organisation.id == id);
        known.map(|organisation| organisation.name.clone()).unwrap_or_default()
    };
    let document =
        catalog::dcat::catalog(&site, pack.datasets.values(), &knowledge, organisation, |_| None);
    Ok(([(header::CONTENT_TYPE, "application/ld+json")], Json(document)).into_response())
}

/// Which fields of which datasets a statement's answer comes from, as an OpenLineage run event.
/// The statement is planned under the asker's policies and its rows are not read.
#[utoipa::path(
    post, path = "/api/lineage", tag = "sql", security(("token" = [])), request_body = SqlRequest,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn trace(
    State(http): State<Arc<Http>>,
    who: Who,
    Input(request): Input<SqlRequest>,
) -> Result<Json<Value>, Fault> {
    request.check()?;
    let session = request.session(&who);
    // Nothing is read: the answer's rows are dropped before the first is asked for.
    let answer = http.city.catalog().query(&session, &request.sql, &[]).await?;
    let run = Uuid::now_v7();
    let job = lineage::Job {
        namespace: &http.base_url,
        name: "sql",
        run,
        output: &format!("answer/{run}"),
        producer: concat!("https://github.com/shujin-city/shujin/", env!("CARGO_PKG_VERSION")),
        sql: Some(&request.sql),
        finished: Utc::now(),
    };
    Ok(Json(lineage::run_event(&answer.lineage, &job)))
}
