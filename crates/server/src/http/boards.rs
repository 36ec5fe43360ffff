//! Boards over HTTP: pages of tiles, each a question that is asked as its reader when the page is
//! opened. A tile that its reader may not ask says so; the others are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::json::writer::{JsonArray, WriterBuilder};
use axum::Json;
use axum::extract::State;
use catalog::statistics::Freshness;
use chrono::{DateTime, Utc};
use city::{Answered, SourceOf};
use futures::{StreamExt, stream};
use pack::sql::type_word;
use pack::{Better, Board, Tile, TileKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::datasets::{Names, labels};
use super::input::{Asked, Named, Who};
use super::problem::Problem;
use crate::fault::{Code, Fault};
use crate::limits::{AREA_CODE_CHARS_MAX, TILES_AT_ONCE_MAX};

/// One board of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoardItem {
    #[schema(example = "duty")]
    pub id: String,
    pub title: Names,
    pub description: Names,
    /// Who is offered it; empty: everybody.
    pub roles: Vec<String>,
    /// Roles that see it when they come in.
    pub home_for: Vec<String>,
}

/// Boards that one is offered.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoardList {
    pub items: Vec<BoardItem>,
}

/// Where.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BoardQuery {
    /// Code of an area: tiles that can be asked about one are narrowed to it.
    area: Option<String>,
}

/// A board with its answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoardPage {
    pub id: String,
    pub title: Names,
    pub description: Names,
    pub tiles: Vec<TileView>,
}

/// One tile with its answer, or with why there is none.
#[derive(Debug, Serialize, ToSchema)]
pub struct TileView {
    pub id: String,
    pub title: Names,
    /// What the number means and what to do about it.
    pub note: Names,
    /// `number`, `line`, `bar` or `table`.
    #[schema(value_type = String)]
    pub kind: TileKind,
    /// The unit's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Names>,
    /// Quarters of the board's width.
    pub width: u8,
    /// Whether it can be asked about one area.
    pub by_area: bool,
    /// What was asked, as it can be asked again.
    pub sql: String,
    pub columns: Vec<TileColumnView>,
    #[schema(value_type = Vec<Object>)]
    pub rows: Vec<serde_json::Map<String, serde_json::Value>>,
    /// There were more rows.
    pub cut: bool,
    pub sources: Vec<SourceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// `higher` or `lower`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub better: Option<Better>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

/// What a column is called and measured in.
#[derive(Debug, Serialize, ToSchema)]
pub struct TileColumnView {
    pub name: String,
    pub title: Names,
    pub unit: Option<String>,
    pub unit_title: Option<Names>,
    #[serde(rename = "type")]
    pub ty: String,
    /// What coded values are called.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Names>,
}

/// A dataset that the answer was made from.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceView {
    pub dataset: String,
    pub title: Names,
    pub freshness: FreshnessView,
}

/// How new it is, and whether that is new enough.
#[derive(Debug, Serialize, ToSchema)]
pub struct FreshnessView {
    /// To the hour for who does not see all of the rows.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<DateTime<Utc>>,
    /// `fresh`, `late`, `never` where there is no row yet, `unlimited` where nothing is promised.
    #[schema(example = "fresh")]
    pub state: &'static str,
    /// It is not as new as its contract promises.
    pub stale: bool,
}

fn offered(board: &Board, who: &Who) -> bool {
    board.roles.is_empty() || board.roles.iter().any(|role| who.0.roles.contains(role))
}

/// The boards that one is offered.
#[utoipa::path(
    get, path = "/api/boards", tag = "boards", security(("token" = [])),
    responses((status = 200, body = BoardList), (status = 401, body = Problem))
)]
pub async fn list(State(http): State<Arc<Http>>, who: Who) -> Result<Json<BoardList>, Fault> {
    let boards = http.city.pack().boards.values().filter(|board| offered(board, &who));
    let items = boards.map(|board| BoardItem {
        id: board.id.clone(),
        title: (&board.title).into(),
        description: (&board.description).into(),
        roles: board.roles.clone(),
        home_for: board.home_for.clone(),
    });
    Ok(Json(BoardList { items: items.collect() }))
}

/// A board with the answers of its tiles, each asked under one's own rights.
#[utoipa::path(
    get, path = "/api/boards/{id}", tag = "boards", security(("token" = [])),
    params(("id" = String, Path, example = "duty"), BoardQuery),
    responses((status = 200, body = BoardPage), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn page(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
    Asked(asked): Asked<BoardQuery>,
) -> Result<Json<BoardPage>, Fault> {
    let board = http.city.pack().boards.get(&id).filter(|board| offered(board, &who));
    let board = board.ok_or_else(|| {
        Fault::new(Code::NotFound, format!("there is no board `{id}`"))
            .hint("GET /api/boards lists those that you are offered")
    })?;
    let prefix = prefix_of(asked.area.as_deref())?;
    let asked: Vec<_> = board.tiles.iter().map(|tile| view(&http, &who, tile, &prefix)).collect();
    let tiles = stream::iter(asked).buffered(TILES_AT_ONCE_MAX).collect().await;
    Ok(Json(BoardPage {
        id: board.id.clone(),
        title: (&board.title).into(),
        description: (&board.description).into(),
        tiles,
    }))
}

/// The digits that the codes of all areas in this one begin with; none for everywhere.
pub(super) fn prefix_of(area: Option<&str>) -> Result<String, Fault> {
    let code = area.unwrap_or_default().trim();
    let digits = code.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || code.len() > AREA_CODE_CHARS_MAX {
        return Err(Fault::new(Code::Invalid, "an area is named by the digits of its code"));
    }
    Ok(pack::codes::area_prefix(code).to_owned())
}

async fn view(http: &Http, who: &Who, tile: &Tile, prefix: &str) -> TileView {
    let answered = http.city.tile(&who.session(), tile, prefix).await.map_err(Fault::from);
    let shown = answered.and_then(|answer| Ok((rows(&answer.answered)?, answer)));
    let unit = tile.unit.as_ref().map(|code| unit_title(http, code));
    let mut view = TileView {
        id: tile.id.clone(),
        title: (&tile.title).into(),
        note: (&tile.note).into(),
        kind: tile.kind,
        unit,
        width: tile.width,
        by_area: tile.by_area(),
        sql: pack::sql::in_area(&tile.sql, prefix).unwrap_or_default(),
        columns: Vec::new(),
        rows: Vec::new(),
        cut: false,
        sources: Vec::new(),
        target: tile.target,
        floor: tile.floor,
        better: tile.better,
        error: None,
    };
    match shown {
        Ok((rows, answer)) => {
            view.columns = columns(http, tile, &answer.answered);
            view.cut = answer.answered.cut;
            view.sources = answer.sources.iter().map(source).collect();
            view.rows = rows;
        }
        Err(fault) => view.error = Some(Problem::from(&fault)),
    }
    view
}

fn unit_title(http: &Http, code: &str) -> Names {
    match http.city.pack().units.get(code) {
        Some(title) => title.into(),
        None => Names { zh: code.to_owned(), en: code.to_owned() },
    }
}

fn rows(answer: &Answered) -> Result<Vec<serde_json::Map<String, serde_json::Value>>, Fault> {
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, JsonArray>(Vec::new());
    writer.write_batches(&answer.rows.iter().collect::<Vec<_>>()).map_err(Fault::internal)?;
    writer.finish().map_err(Fault::internal)?;
    match writer.into_inner() {
        text if text.is_empty() => Ok(Vec::new()),
        text => serde_json::from_slice(&text).map_err(Fault::internal),
    }
}

/// What the tile calls its columns and their values; else what the field behind one calls them;
/// else the names themselves.
fn columns(http: &Http, tile: &Tile, answer: &Answered) -> Vec<TileColumnView> {
    let fields = answer.fields.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    let column = |(column, field): (&arrow::datatypes::FieldRef, Option<&pack::Field>)| {
        let name = column.name().clone();
        let named = tile.columns.iter().find(|named| named.name == name);
        let title = match (named, field) {
            (Some(named), _) => (&named.title).into(),
            (None, Some(field)) => (&field.title).into(),
            (None, None) => Names { zh: name.clone(), en: name.clone() },
        };
        let unit = match (named, field) {
            (Some(named), _) => named.unit.clone(),
            (None, field) => field.and_then(|field| field.unit.clone()),
        };
        let own = named.map(|named| &named.labels).filter(|own| !own.is_empty());
        let called = own.or_else(|| field.map(|field| &field.labels));
        TileColumnView {
            name,
            title,
            unit_title: unit.as_ref().map(|code| unit_title(http, code)),
            unit,
            ty: type_word(column.data_type()),
            labels: called.map(labels).unwrap_or_default(),
        }
    };
    answer.schema.fields().iter().zip(fields).map(column).collect()
}

fn source(source: &SourceOf) -> SourceView {
    let (state, stale) = match source.freshness {
        Freshness::Fresh { .. } => ("fresh", false),
        Freshness::Late { .. } => ("late", true),
        Freshness::Never => ("never", source.promised),
        Freshness::Unlimited { .. } => ("unlimited", false),
    };
    SourceView {
        dataset: source.dataset.clone(),
        title: (&source.title).into(),
        freshness: FreshnessView { last_at: source.last_at, state, stale },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_a_prefix_of_digits() {
        assert_eq!(prefix_of(None).unwrap(), "");
        assert_eq!(prefix_of(Some("510104000000")).unwrap(), "510104");
        assert_eq!(prefix_of(Some("51010401700103")).unwrap(), "51010401700103");
        assert!(prefix_of(Some("51' OR '1")).is_err());
        assert!(prefix_of(Some(&"5".repeat(99))).is_err());
    }
}
