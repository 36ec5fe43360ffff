//! Corrections (异议) over HTTP: somebody holds a value to be wrong, its owner answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catalog::corrections::{Claim, Correction, Verb};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Http;
use super::datasets::knowledge_of;
use super::input::{Input, Named, Who};
use super::problem::Problem;
use crate::fault::{Code, Fault};

/// What is held to be wrong, and what would be right.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCorrection {
    pub dataset: String,
    /// The row: each key field and its value.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub key: BTreeMap<String, Value>,
    pub field: String,
    #[schema(value_type = Object)]
    pub present: Value,
    #[schema(value_type = Object)]
    pub proposed: Value,
    pub reason: String,
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// A correction and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CorrectionView {
    #[schema(value_type = String)]
    pub id: Uuid,
    pub dataset: String,
    #[schema(value_type = BTreeMap<String, Object>)]
    pub key: BTreeMap<String, Value>,
    pub field: String,
    #[schema(value_type = Object)]
    pub present: Value,
    #[schema(value_type = Object)]
    pub proposed: Value,
    pub reason: String,
    pub evidence: Vec<String>,
    pub organisation: String,
    pub requested_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: DateTime<Utc>,
    /// `filed`, `accepted`, `refused`, `withdrawn` or `applied`.
    pub state: String,
    pub decided_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<DateTime<Utc>>,
    pub answer: Option<String>,
}

impl From<Correction> for CorrectionView {
    fn from(correction: Correction) -> Self {
        Self {
            id: correction.id,
            dataset: correction.dataset,
            key: correction.key,
            field: correction.field,
            present: correction.present,
            proposed: correction.proposed,
            reason: correction.reason,
            evidence: correction.evidence,
            organisation: correction.organisation,
            requested_by: correction.requested_by,
            requested_at: correction.requested_at,
            state: correction.state.to_string(),
            decided_by: correction.decided_by,
            decided_at: correction.decided_at,
            answer: correction.answer,
        }
    }
}

/// Corrections on a page.
#[derive(Debug, Serialize, ToSchema)]
pub struct CorrectionList {
    pub corrections: Vec<CorrectionView>,
}

/// The answer that goes with a step; wanted where a claim is accepted or refused.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepAnswer {
    #[serde(default)]
    pub answer: String,
}

/// The corrections that one's organisation filed, and those that it answers.
#[utoipa::path(
    get, path = "/api/corrections", tag = "corrections", security(("token" = [])),
    responses((status = 200, body = CorrectionList), (status = 401, body = Problem))
)]
pub async fn list(State(http): State<Arc<Http>>, who: Who) -> Result<Json<CorrectionList>, Fault> {
    let corrections = http.city.corrections().list(&who.0).await?;
    Ok(Json(CorrectionList { corrections: corrections.into_iter().map(Into::into).collect() }))
}

/// Files a correction.
#[utoipa::path(
    post, path = "/api/corrections", tag = "corrections", security(("token" = [])),
    request_body = NewCorrection,
    responses((status = 201, body = CorrectionView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn file(
    State(http): State<Arc<Http>>,
    who: Who,
    Input(new): Input<NewCorrection>,
) -> Result<(StatusCode, Json<CorrectionView>), Fault> {
    knowledge_of(&http, &who, &new.dataset).await?;
    let claim = Claim {
        dataset: new.dataset,
        key: new.key,
        field: new.field,
        present: new.present,
        proposed: new.proposed,
        reason: new.reason,
        evidence: new.evidence,
    };
    let filed = http.city.corrections().file(&who.0, claim, Utc::now()).await?;
    Ok((StatusCode::CREATED, Json(filed.into())))
}

/// Takes a step: `accept`, `refuse`, `withdraw` or `apply`.
#[utoipa::path(
    post, path = "/api/corrections/{id}/{step}", tag = "corrections", security(("token" = [])),
    params(("id" = String, Path), ("step" = String, Path, example = "accept")),
    request_body = StepAnswer,
    responses((status = 200, body = CorrectionView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn step(
    State(http): State<Arc<Http>>,
    who: Who,
    Named((id, step)): Named<(Uuid, String)>,
    Input(answer): Input<StepAnswer>,
) -> Result<Json<CorrectionView>, Fault> {
    let verb = Verb::ALL.into_iter().find(|verb| verb.to_string() == step);
    let verb = verb.ok_or_else(|| {
        Fault::new(Code::NotFound, format!("a correction has no step `{step}`"))
            .hint("the steps are accept, refuse, withdraw and apply")
    })?;
    let stepped =
        http.city.corrections().step(&who.0, id, verb, &answer.answer, Utc::now()).await?;
    Ok(Json(stepped.into()))
}
