//! Every route of the HTTP face, in one table: what a city answers to, and to whom.

use std::sync::Arc;

use ::sensing::entity::BODY_BYTES_MAX;
use axum::Router;
use axum::handler::Handler as _;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use pack::access::Action;

use super::access::{Gate, Route, closed, open};
use super::{
    Http, areas, authenticate, boards, corrections, credentials, datasets, events, feed, figures,
    find, healthy, map, not_so, nothing_here, objects, ogc, oidc, openapi, people, queries, ready,
    registers, scenarios, sensing, session, sharing, sources, sql, sta, steward, tiles, ui,
};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Below these paths a stranger does not even learn what is not there.
const CLOSED: [&str; 4] = ["/api", "/tiles", "/ogc", "/sta"];

/// The table.
pub fn table() -> Vec<Route> {
    let mut routes = vec![
        open(GET, "/healthz", healthy).uncrowded(),
        open(GET, "/readyz", ready).uncrowded(),
        open(GET, "/api/openapi.json", openapi::serve),
        closed(GET, "/metrics", Action::MetricsRead, figures::metrics),
        closed(POST, "/api/sql", Action::SqlQuery, sql::sql),
        closed(POST, "/api/lineage", Action::SqlTrace, datasets::trace),
        closed(POST, "/api/backup", Action::PlatformBackup, feed::backup).long(),
    ];
    routes.extend(catalogue());
    routes.extend(procedures());
    routes.extend(steward_and_auditor());
    routes.extend(one_self());
    routes.extend(administration());
    routes.extend(drawn());
    routes.extend(open_standards());
    routes.extend(sensor_things());
    routes.extend(sensed());
    routes.extend(kept());
    routes
}

fn catalogue() -> [Route; 6] {
    [
        closed(GET, "/api/datasets", Action::DatasetsList, datasets::list),
        closed(GET, "/api/datasets/{id}", Action::DatasetsRead, datasets::page),
        closed(GET, "/api/datasets/{id}/quality", Action::DatasetsRead, datasets::quality),
        closed(POST, "/api/datasets/{id}/quality", Action::DatasetsCheck, datasets::check_quality),
        closed(POST, "/api/datasets/{id}/import", Action::DatasetsImport, feed::import).long(),
        closed(GET, "/api/dcat", Action::DatasetsExport, datasets::dcat),
    ]
}

fn procedures() -> Vec<Route> {
    const REQUESTS: &str = "/api/sharing-requests";
    const CORRECTIONS: &str = "/api/corrections";
    const SCENARIOS: &str = "/api/scenarios";
    vec![
        closed(GET, REQUESTS, Action::SharingRead, sharing::list),
        closed(POST, REQUESTS, Action::SharingRequest, sharing::create),
        closed(POST, "/api/sharing-requests/{id}/grant", Action::SharingDecide, sharing::grant),
        closed(POST, "/api/sharing-requests/{id}/refuse", Action::SharingDecide, sharing::refuse),
        closed(POST, "/api/sharing-requests/{id}/revoke", Action::SharingDecide, sharing::revoke),
        closed(
            POST,
            "/api/sharing-requests/{id}/withdraw",
            Action::SharingRequest,
            sharing::withdraw,
        ),
        closed(GET, CORRECTIONS, Action::CorrectionsRead, corrections::list),
        closed(POST, CORRECTIONS, Action::CorrectionsChange, corrections::file),
        closed(POST, "/api/corrections/{id}/{step}", Action::CorrectionsChange, corrections::step),
        closed(GET, SCENARIOS, Action::ScenariosRead, scenarios::list),
        closed(POST, SCENARIOS, Action::ScenariosChange, scenarios::create),
        closed(DELETE, "/api/scenarios/{name}", Action::ScenariosChange, scenarios::delete),
        closed(POST, "/api/scenarios/{name}/changes", Action::ScenariosChange, scenarios::change),
    ]
}

fn steward_and_auditor() -> [Route; 5] {
    [
        closed(GET, "/api/quarantine", Action::QuarantineRead, steward::quarantine),
        closed(POST, "/api/quarantine/{id}/repair", Action::QuarantineChange, steward::repair),
        closed(POST, "/api/quarantine/{id}/dismiss", Action::QuarantineChange, steward::dismiss),
        closed(GET, "/api/audit", Action::AuditRead, steward::audit),
        closed(GET, "/api/audit/verify", Action::AuditRead, steward::verify_audit),
    ]
}

/// Coming in, and what everybody does with their own account.
fn one_self() -> [Route; 13] {
    const FACTOR: &str = "/api/session/second-factor";
    [
        open(GET, "/api/sign-in", session::page),
        open(POST, "/api/session", session::sign_in),
        open(GET, "/api/oidc/{id}/start", oidc::start),
        open(GET, "/api/oidc/{id}/callback", oidc::callback),
        closed(GET, "/api/session", Action::SessionOwn, session::me),
        closed(DELETE, "/api/session", Action::SessionOwn, session::sign_out),
        closed(POST, "/api/session/password", Action::SessionOwn, session::password),
        closed(POST, FACTOR, Action::SessionOwn, session::enrol),
        closed(PUT, FACTOR, Action::SessionOwn, session::confirm),
        closed(DELETE, FACTOR, Action::SessionOwn, session::remove),
        closed(GET, "/api/sessions", Action::SessionOwn, credentials::sessions),
        closed(DELETE, "/api/sessions/{id}", Action::SessionOwn, credentials::end_session),
        closed(GET, "/api/tokens", Action::TokensOwn, credentials::tokens),
    ]
}

fn administration() -> [Route; 7] {
    [
        closed(POST, "/api/tokens", Action::TokensOwn, credentials::make_token),
        closed(DELETE, "/api/tokens/{id}", Action::TokensOwn, credentials::revoke_token),
        closed(GET, "/api/users", Action::UsersRead, people::list),
        closed(POST, "/api/users", Action::UsersChange, people::create),
        closed(PATCH, "/api/users/{name}", Action::UsersChange, people::change),
        closed(GET, "/api/roles", Action::RolesRead, people::roles),
        closed(GET, "/api/organisations", Action::OrganisationsRead, people::organisations),
    ]
}

/// What a map draws from.
fn drawn() -> [Route; 5] {
    [
        closed(GET, "/api/map", Action::MapRead, map::map),
        closed(GET, "/api/areas", Action::MapRead, areas::list),
        closed(GET, "/api/search", Action::MapRead, find::find),
        closed(GET, "/tiles/{layer}", Action::MapRead, tiles::tilejson),
        closed(GET, "/tiles/{layer}/{z}/{x}/{y}", Action::MapRead, tiles::tile),
    ]
}

/// OGC API Features and Tiles.
fn open_standards() -> Vec<Route> {
    const TILES: &str = "/ogc/collections/{id}/tiles";
    const TILESET: &str = "/ogc/collections/{id}/tiles/WebMercatorQuad";
    const TILE: &str = "/ogc/collections/{id}/tiles/WebMercatorQuad/{z}/{row}/{column}";
    const MATRIX: &str = "/ogc/tileMatrixSets/WebMercatorQuad";
    vec![
        closed(GET, "/ogc", Action::MapRead, ogc::landing),
        closed(GET, "/ogc/", Action::MapRead, ogc::landing),
        closed(GET, "/ogc/conformance", Action::MapRead, ogc::conformance),
        closed(GET, "/ogc/api", Action::MapRead, ogc::describe::api),
        closed(GET, "/ogc/collections", Action::MapRead, ogc::collections::list),
        closed(GET, "/ogc/collections/{id}", Action::MapRead, ogc::collections::one),
        closed(GET, "/ogc/collections/{id}/items", Action::MapRead, ogc::items::list),
        closed(GET, "/ogc/collections/{id}/items/{key}", Action::MapRead, ogc::items::one),
        closed(GET, TILES, Action::MapRead, ogc::tiles::tilesets),
        closed(GET, TILESET, Action::MapRead, ogc::tiles::tileset),
        closed(GET, TILE, Action::MapRead, ogc::tiles::tile),
        closed(GET, "/ogc/tileMatrixSets", Action::MapRead, ogc::tiles::matrix_sets),
        closed(GET, MATRIX, Action::MapRead, ogc::tiles::matrix_set),
    ]
}

/// SensorThings API 1.1.
fn sensor_things() -> [Route; 9] {
    const PATH: &str = "/sta/v1.1/{*path}";
    const BULK: &str = "/sta/v1.1/CreateObservations";
    const BATCH: &str = "/sta/v1.1/$batch";
    [
        closed(GET, "/sta/v1.1", Action::Query, sta::document),
        closed(GET, "/sta/v1.1/", Action::Query, sta::document),
        closed(GET, PATH, Action::Query, sta::read::get),
        closed(POST, PATH, Action::SensingChange, sta::write::create).body(BODY_BYTES_MAX),
        closed(PATCH, PATH, Action::SensingChange, sta::change::patch).body(BODY_BYTES_MAX),
        closed(PUT, PATH, Action::SensingChange, sta::change::put).body(BODY_BYTES_MAX),
        closed(DELETE, PATH, Action::SensingChange, sta::change::delete),
        closed(POST, BULK, Action::SensingChange, sta::write::create_observations)
            .body(BODY_BYTES_MAX),
        // Who may only ask may ask many things at once: each part asks the rules for itself.
        closed(POST, BATCH, Action::Query, sta::batch::batch).body(BODY_BYTES_MAX),
    ]
}

/// What screens and programs ask of the city's sensors.
fn sensed() -> [Route; 9] {
    [
        closed(GET, "/api/sensing/census", Action::MapRead, sensing::census::census),
        closed(GET, "/api/sensing/devices", Action::MapRead, sensing::devices::list),
        closed(GET, "/api/sensing/devices/{thing}", Action::MapRead, sensing::devices::page),
        closed(GET, "/api/sensing/series", Action::MapRead, sensing::series::series),
        closed(GET, "/api/sensing/findings", Action::MapRead, sensing::findings::findings),
        closed(GET, "/api/sensing/coverage", Action::MapRead, sensing::coverage::coverage),
        closed(GET, "/api/sensing/coverage/next", Action::MapRead, sensing::coverage::next),
        closed(GET, "/api/sensing/map", Action::MapRead, sensing::map::map),
        closed(GET, "/api/sensing/ingest", Action::MapRead, sensing::ingest::ingest),
    ]
}

/// What people keep and look at: registers, objects, boards, saved queries, events.
fn kept() -> Vec<Route> {
    const ROWS: &str = "/api/registers/{dataset}/rows";
    const ROW: &str = "/api/registers/{dataset}/rows/{key}";
    const HISTORY: &str = "/api/registers/{dataset}/rows/{key}/history";
    const OBJECT: &str = "/api/objects/{dataset}/{key}";
    vec![
        closed(GET, OBJECT, Action::ObjectsRead, objects::object).of_dataset("dataset"),
        closed(GET, "/api/registers", Action::RegistersRead, registers::list),
        closed(GET, ROWS, Action::RegistersRead, registers::rows),
        closed(POST, ROWS, Action::RegistersChange, registers::create).of_dataset("dataset"),
        closed(PUT, ROW, Action::RegistersChange, registers::change).of_dataset("dataset"),
        closed(DELETE, ROW, Action::RegistersChange, registers::remove).of_dataset("dataset"),
        closed(GET, HISTORY, Action::RegistersRead, registers::history),
        closed(GET, "/api/boards", Action::BoardsRead, boards::list),
        closed(GET, "/api/boards/{id}", Action::BoardsRead, boards::page),
        closed(GET, "/api/queries", Action::QueriesRead, queries::list),
        closed(POST, "/api/queries", Action::QueriesChange, queries::create),
        closed(PUT, "/api/queries/{id}", Action::QueriesChange, queries::change),
        closed(DELETE, "/api/queries/{id}", Action::QueriesChange, queries::remove),
        closed(GET, "/api/events", Action::EventsRead, events::events),
        closed(GET, "/api/sensing/sources", Action::MapRead, sources::list),
    ]
}

/// Method, path and gate of every route, for whoever checks them from outside.
pub fn listed() -> Vec<(Method, &'static str, Gate)> {
    table().into_iter().map(|route| (route.method, route.path, route.gate)).collect()
}

/// The table as a router, with what answers where no route does.
pub(super) fn mounted(http: &Arc<Http>) -> Router<Arc<Http>> {
    let authenticated = from_fn_with_state(http.clone(), authenticate);
    let mut router = Router::new();
    for route in table() {
        let (path, handler) = route.guarded(http);
        router = router.route(path, handler);
    }
    for prefix in CLOSED {
        let nothing = Router::new().fallback(nothing_here).layer(authenticated.clone());
        router = router.nest(prefix, nothing);
    }
    router.method_not_allowed_fallback(not_so.layer(authenticated)).fallback(ui::serve)
}
