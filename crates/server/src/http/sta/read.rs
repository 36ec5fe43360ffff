//! GET of entities, collections, properties, values and links.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use catalog::Session;
use city::StaAnswer;
use sensing::entity::{ArrayGroup, Item, Page, Writer};
use sensing::odata::{EntityId, QueryOptions, ResourceEnd, ResourcePath, ResultFormat, Target};
use sensing::plan::{Extras, ObservationKey, Request};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

use super::{JSON, misread, path_of, root, unplanned};
use crate::fault::Fault;
use crate::http::Http;
use crate::http::input::Who;
use crate::http::ogc::typed;
use crate::http::problem::Problem;

/// RFC 7946, 12.
const GEOJSON: &str = "application/geo+json";

/// A bare value (OGC 18-088, 9.2.6).
const TEXT: &str = "text/plain; charset=utf-8";

/// What a path of SensorThings leads to.
#[utoipa::path(
    get, path = "/sta/v1.1/{*path}", tag = "sensorthings", security(("token" = [])),
    params(
        ("*path" = String, Path, example = "Things", description = "a resource path"),
        ("$filter" = Option<String>, Query, description = "which entities"),
        ("$expand" = Option<String>, Query, description = "related entities to be shown with them"),
        ("$select" = Option<String>, Query, description = "which properties"),
        ("$orderby" = Option<String>, Query, description = "in which order"),
        ("$top" = Option<String>, Query, description = "entities on the page, 100 where it is left out, 1,000 at most"),
        ("$skip" = Option<String>, Query, description = "entities before the page"),
        ("$count" = Option<String>, Query, description = "whether to say how many there are"),
        ("$apply" = Option<String>, Query, description = "groups and aggregates in place of entities"),
        ("$resultFormat" = Option<String>, Query, description = "dataArray, for Observations; GeoJSON"),
        ("flagged" = Option<String>, Query, description = "implausible Observations: include, exclude or only"),
        ("after" = Option<String>, Query, description = "the page begins behind this id"),
        ("as_of" = Option<String>, Query, description = "what there was at this moment"),
    ),
    responses(
        (status = 200, body = Object), (status = 204, description = "The property is null"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
    )
)]
pub async fn get(State(http): State<Arc<Http>>, who: Who, uri: Uri) -> Result<Response, Fault> {
    let path = path_of(&uri)?;
    let raw = uri.query().unwrap_or_default();
    let options = QueryOptions::parse(&SENSORTHINGS_1_1, path.target(), raw)
        .map_err(|error| misread(&error))?;
    let extras = Extras::parse(raw).map_err(|error| unplanned(&error))?;
    let format = options.result_format.as_ref().map(|format| format.value);
    let features = format == Some(ResultFormat::GeoJson) && path.end == ResourceEnd::Whole;
    let root = root(&http);
    let session = Session { as_of: extras.as_of, ..who.session() };
    let request = Request { path: &path, options: &options, extras };
    let answer = http.city.sta_get(&session, &request, &root).await?;
    let writer = Writer::new(&root);
    let text = match answer {
        StaAnswer::Groups(groups) => groups.into_json(),
        StaAnswer::Entity(item) if features => {
            let page = Page { items: vec![*item], ..Page::default() };
            let text = writer.feature_collection(&page, &options);
            return Ok(typed(text.into_bytes(), GEOJSON));
        }
        StaAnswer::Page(page) if features => {
            let text = writer.feature_collection(&page, &options);
            return Ok(typed(text.into_bytes(), GEOJSON));
        }
        StaAnswer::Entity(item) => return Ok(entity(&writer, &path, &item, &options)),
        StaAnswer::Page(page) if path.end == ResourceEnd::References => writer.references(&page),
        StaAnswer::Page(page) if format == Some(ResultFormat::DataArray) => {
            array(&writer, page, &options)
        }
        StaAnswer::Page(page) => {
            let Target::Collection(kind) = path.target() else {
                return Err(Fault::internal("a page of what is no collection"));
            };
            writer.collection(kind, &page, &options)
        }
    };
    Ok(typed(text.into_bytes(), JSON))
}

fn entity(
    writer: &Writer<'_>,
    path: &ResourcePath,
    item: &Item,
    options: &QueryOptions,
) -> Response {
    let (found, media) = match &path.end {
        ResourceEnd::Whole => (Some(writer.entity(item, options)), JSON),
        ResourceEnd::References => (Some(writer.reference(item)), JSON),
        ResourceEnd::Property { path, raw: false } => (writer.property(item, path), JSON),
        ResourceEnd::Property { path, raw: true } => (writer.raw_value(item, path), TEXT),
    };
    match found {
        Some(text) => typed(text.into_bytes(), media),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Observations as arrays, those of one stream together.
fn array(writer: &Writer<'_>, page: Page, options: &QueryOptions) -> String {
    let mut groups: Vec<(EntityKind, EntityId, Vec<Item>)> = Vec::new();
    for item in page.items {
        let EntityId::Text(text) = &item.id else { continue };
        let Ok(key) = text.parse::<ObservationKey>() else { continue };
        let kind = match item.absent {
            Some(EntityKind::Datastream) => EntityKind::MultiDatastream,
            _ => EntityKind::Datastream,
        };
        let id = EntityId::Integer(key.datastream);
        match groups.iter_mut().find(|(_, known, _)| *known == id) {
            Some((_, _, items)) => items.push(item),
            None => groups.push((kind, id, vec![item])),
        }
    }
    let arrays: Vec<ArrayGroup<'_>> =
        groups.iter().map(|(kind, id, items)| ArrayGroup { kind: *kind, id, items }).collect();
    writer.data_array(&arrays, page.count, page.next_link.as_deref(), options)
}
