//! Every route of the HTTP face, in one table: what a city answers to, and to whom.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler as _;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use pack::access::Action;

use super::access::{Gate, Route, closed, open};
use super::{
    Http, authenticate, corrections, datasets, feed, figures, healthy, not_so, nothing_here,
    openapi, ready, scenarios, sharing, sql, steward,
};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;

/// Below these paths a stranger does not even learn what is not there.
const CLOSED: [&str; 3] = ["/api", "/tiles", "/ogc"];

/// The table.
pub fn table() -> Vec<Route> {
    let mut routes = vec![
        open(GET, "/healthz", healthy),
        open(GET, "/readyz", ready),
        open(GET, "/api/openapi.json", openapi::serve),
        closed(GET, "/metrics", Action::MetricsRead, figures::metrics),
        closed(POST, "/api/sql", Action::SqlQuery, sql::sql),
        closed(POST, "/api/lineage", Action::SqlTrace, datasets::trace),
        closed(POST, "/api/backup", Action::PlatformBackup, feed::backup).long(),
    ];
    routes.extend(catalogue());
    routes.extend(procedures());
    routes.extend(steward_and_auditor());
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
    router.method_not_allowed_fallback(not_so.layer(authenticated)).fallback(nothing_here)
}
