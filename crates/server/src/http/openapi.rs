//! The description of the HTTP interface. It is generated from the handlers, checked in as
//! `docs/openapi.json`, and a test holds the two together.

use axum::Json;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::routes::listed;
use super::{
    Gate, areas, boards, corrections, credentials, datasets, events, feed, find, map, objects, ogc,
    oidc, people, queries, registers, scenarios, sensing, session, sharing, sources, sql, sta,
    steward, tiles,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shujin",
        description = "A city's data, governed. Every request is answered as far as the bearer of \
                       its token may see.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(name = "Shujin", url = "https://github.com/shujin-city/shujin"),
    ),
    paths(
        sql::sql,
        datasets::trace,
        datasets::list,
        datasets::page,
        datasets::quality,
        datasets::check_quality,
        datasets::dcat,
        sharing::list,
        sharing::create,
        sharing::grant,
        sharing::refuse,
        sharing::revoke,
        sharing::withdraw,
        corrections::list,
        corrections::file,
        corrections::step,
        scenarios::list,
        scenarios::create,
        scenarios::change,
        scenarios::delete,
        feed::import,
        feed::backup,
        steward::quarantine,
        steward::repair,
        steward::dismiss,
        steward::audit,
        steward::verify_audit,
        map::map,
        areas::list,
        find::find,
        tiles::tilejson,
        tiles::tile,
        ogc::landing,
        ogc::conformance,
        ogc::describe::api,
        ogc::collections::list,
        ogc::collections::one,
        ogc::items::list,
        ogc::items::one,
        ogc::tiles::matrix_sets,
        ogc::tiles::matrix_set,
        ogc::tiles::tilesets,
        ogc::tiles::tileset,
        ogc::tiles::tile,
        sta::document,
        sta::read::get,
        sta::write::create,
        sta::write::create_observations,
        sta::change::patch,
        sta::change::put,
        sta::change::delete,
        sta::batch::batch,
        sensing::census::census,
        sensing::devices::list,
        sensing::devices::page,
        sensing::series::series,
        sensing::findings::findings,
        sensing::coverage::coverage,
        sensing::coverage::next,
        sensing::map::map,
        sensing::ingest::ingest,
        boards::list,
        boards::page,
        objects::object,
        registers::list,
        registers::rows,
        registers::create,
        registers::change,
        registers::remove,
        registers::history,
        queries::list,
        queries::create,
        queries::change,
        queries::remove,
        events::events,
        sources::list,
        session::page,
        session::sign_in,
        session::me,
        session::sign_out,
        session::password,
        session::enrol,
        session::confirm,
        session::remove,
        oidc::start,
        oidc::callback,
        people::list,
        people::create,
        people::change,
        people::roles,
        people::organisations,
        credentials::tokens,
        credentials::make_token,
        credentials::revoke_token,
        credentials::sessions,
        credentials::end_session,
    ),
    tags(
        (name = "session", description = "Signing in"),
        (name = "administration", description = "Users, tokens, sessions"),
        (name = "sql", description = "Questions in SQL"),
        (name = "catalogue", description = "What there is"),
        (name = "sharing", description = "Asking for datasets and granting them"),
        (name = "corrections", description = "Values held to be wrong"),
        (name = "scenarios", description = "The same questions under other rows"),
        (name = "steward", description = "Quarantine and audit"),
        (name = "map", description = "Layers, tiles, areas, search"),
        (name = "ogc", description = "OGC API Features and Tiles"),
        (name = "sensorthings", description = "OGC SensorThings API 1.1"),
        (name = "sensing", description = "The census of sensors, their series, coverage, ingest, and devices that speak something else"),
        (name = "boards", description = "What people look at first, and what happens meanwhile"),
        (name = "registers", description = "Rows that people keep"),
    ),
    modifiers(&Token, &Problems, &Actions),
)]
struct Api;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
        let cookie = ApiKey::Cookie(ApiKeyValue::new("shujin_session"));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

/// What any request may meet beside what its handler says: a refusal for which the sender can do
/// something, or a server that has no time.
const PROBLEMS: [(&str, &str); 3] = [
    ("4XX", "Refused, with the reason"),
    ("503", "Too much at once: ask again"),
    ("504", "It took too long"),
];

struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut Document) {
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            let said = &mut operation.responses.responses;
            for (status, response) in said.iter_mut() {
                if let (true, RefOr::T(response)) = (status.starts_with(['4', '5']), response) {
                    say_problem(response);
                }
            }
            for (status, description) in PROBLEMS {
                let mut response = ResponseBuilder::new().description(description).build();
                say_problem(&mut response);
                said.entry(status.to_owned()).or_insert(RefOr::T(response));
            }
        }
    }
}

fn say_problem(response: &mut Response) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    response.content.clear();
    response.content.insert("application/problem+json".to_owned(), content);
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let methods = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    methods.into_iter().filter_map(Option::as_mut)
}

/// The action that each route asks the access rules for, as `x-action`.
struct Actions;

impl Modify for Actions {
    fn modify(&self, document: &mut Document) {
        for (method, path, gate) in listed() {
            let Gate::Asks(action) = gate else { continue };
            let item = document.paths.paths.get_mut(path);
            let Some(operation) = item.and_then(|item| operation(item, method.as_str())) else {
                continue;
            };
            let told = ExtensionsBuilder::new().add("x-action", action.name()).build();
            operation.extensions.get_or_insert_default().merge(told);
        }
    }
}

fn operation<'a>(item: &'a mut PathItem, method: &str) -> Option<&'a mut Operation> {
    match method {
        "GET" => item.get.as_mut(),
        "POST" => item.post.as_mut(),
        "PUT" => item.put.as_mut(),
        "PATCH" => item.patch.as_mut(),
        "DELETE" => item.delete.as_mut(),
        _ => None,
    }
}

/// The description, as served and as checked in.
pub fn document() -> Document {
    Api::openapi()
}

pub async fn serve() -> Json<Document> {
    Json(document())
}
