//! The description of the HTTP interface. It is generated from the handlers, checked in as
//! `docs/openapi.json`, and a test holds the two together.

use axum::Json;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::routes::listed;
use super::{Gate, corrections, datasets, feed, scenarios, sharing, sql, steward};

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
    ),
    tags(
        (name = "sql", description = "Questions in SQL"),
        (name = "catalogue", description = "What there is"),
        (name = "sharing", description = "Asking for datasets and granting them"),
        (name = "corrections", description = "Values held to be wrong"),
        (name = "scenarios", description = "The same questions under other rows"),
        (name = "steward", description = "Quarantine and audit"),
    ),
    modifiers(&Token, &Doors),
)]
struct Api;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// What stands in front of a route, told with each operation: the action that it asks the access
/// rules for, as `x-action`, and the refusals that every route can answer with.
struct Doors;

const PROBLEM: &str = "application/problem+json";
const REFUSALS: [(&str, &str); 3] = [
    ("401", "Nobody that is known asks"),
    ("403", "The city's access rules or the thing's own do not permit it"),
    ("429", "Too many requests; Retry-After says when to come again"),
];

impl Modify for Doors {
    fn modify(&self, document: &mut Document) {
        for (method, path, gate) in listed() {
            let item = document.paths.paths.get_mut(path);
            let Some(operation) = item.and_then(|item| operation(item, method.as_str())) else {
                continue;
            };
            let refusals = match gate {
                Gate::Open => &REFUSALS[2..],
                Gate::Asks(action) => {
                    let told = ExtensionsBuilder::new().add("x-action", action.name()).build();
                    operation.extensions.get_or_insert_default().merge(told);
                    &REFUSALS[..]
                }
            };
            refuse(operation, refusals);
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

/// Adds refusals that are not described yet, and gives every problem its media type.
fn refuse(operation: &mut Operation, refusals: &[(&str, &str)]) {
    let responses = &mut operation.responses.responses;
    for (status, description) in refusals {
        responses.entry((*status).to_owned()).or_insert_with(|| {
            let problem = Ref::from_schema_name("Problem");
            let problem = ContentBuilder::new().schema(Some(problem)).build();
            let response = ResponseBuilder::new().description(*description);
            RefOr::T(response.content(PROBLEM, problem).build())
        });
    }
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        if !status.starts_with(['4', '5']) {
            continue;
        }
        if response.description.is_empty() {
            let told = REFUSALS.iter().find(|(known, _)| known == status);
            response.description = told.map_or("A problem", |(_, text)| *text).to_owned();
        }
        let content = std::mem::take(&mut response.content);
        let as_problem = |(media, content): (String, _)| match media.as_str() {
            "application/json" => (PROBLEM.to_owned(), content),
            _ => (media, content),
        };
        response.content = content.into_iter().map(as_problem).collect();
    }
}

/// The description, as served and as checked in.
pub fn document() -> Document {
    Api::openapi()
}

pub async fn serve() -> Json<Document> {
    Json(document())
}
