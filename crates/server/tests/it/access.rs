//! Every route × every role of Chengdu's pack, asked over HTTP, beside the table of who may what
//! that is checked in. `BLESS=1` writes the table as it is now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use chrono::{Duration, Utc};
use city::{City, OpenOptions};
use pack::access::{Action, On, Thing};
use registry::{NewToken, NewUser};
use serde_json::Value;
use server::http::routes::listed;
use server::http::{Gate, Http, HttpOptions, openapi, router};
use tower::ServiceExt;

/// Two registers. Everybody here works for the owner of the first; all may know of the second.
const ORGANISATION: &str = "planning_natural_resources";
const OWN: &str = "place.facility";
const OTHERS: &str = "place.park";
/// What the description leaves out: the figures, which are no JSON, and second ways to one page.
const HIDDEN: [&str; 3] = ["/metrics", "/ogc/", "/sta/v1.1/"];
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A city with a user and a token for each role.
struct Town {
    router: Router,
    city: Arc<City>,
    tokens: BTreeMap<String, String>,
    _dir: tempfile::TempDir,
}

async fn town() -> Town {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { dir: dir.path().join("city"), ..Default::default() };
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
    let city = Arc::new(City::create(&options, &pack).await.unwrap());
    let mut tokens = BTreeMap::new();
    let now = Utc::now();
    for role in &city.pack().roles {
        let user = NewUser {
            name: role.id.clone(),
            organisation: ORGANISATION.to_owned(),
            roles: vec![role.id.clone()],
            ..Default::default()
        };
        city.registry().create_user("test", user, city.pack(), now).await.unwrap();
        let token = NewToken {
            user: role.id.clone(),
            label: "test".to_owned(),
            scope: None,
            expires_at: now + Duration::days(1),
        };
        let (_, text) = city.registry().create_token("test", token, now).await.unwrap();
        tokens.insert(role.id.clone(), text);
    }
    let http = Http::new(city.clone(), "https://x.example".to_owned(), HttpOptions::default());
    Town { router: router(http.unwrap()), city, tokens, _dir: dir }
}

impl Town {
    /// Whether the access rules let the role through. What the handler then says is its own.
    async fn may(&self, role: &str, method: &Method, path: &str, action: Action) -> bool {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.tokens[role]))
            .header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from("{}")).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        assert_ne!(status, StatusCode::UNAUTHORIZED, "{role} {method} {path}");
        assert!(!status.is_server_error(), "{role} {method} {path}: {status}");
        if status != StatusCode::FORBIDDEN {
            return true;
        }
        let body = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.unwrap();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        // The procedures of the catalogue refuse, too; those are not the access rules' refusals.
        let denied = problem["action"] == action.name();
        assert!(!denied || problem["title"].as_str().unwrap().contains(action.name()));
        !denied
    }

    fn allowed(&self, role: &str, action: Action, thing: Thing<'_>) -> bool {
        let pack = self.city.pack();
        let role = pack.roles.iter().find(|known| known.id == role).unwrap();
        let principal = catalog::Principal {
            user: role.id.clone(),
            organisation: ORGANISATION.to_owned(),
            ancestors: vec![ORGANISATION.to_owned()],
            organisations: BTreeSet::from([ORGANISATION.to_owned()]),
            roles: BTreeSet::from([role.id.clone()]),
            permissions: role.permissions.iter().cloned().collect(),
            ..Default::default()
        };
        pack.access.allow(principal.subject(), action, thing)
    }
}

fn filled(path: &str, dataset: Option<&str>) -> String {
    let filled = [
        ("{id}", dataset.unwrap_or("00000000-0000-0000-0000-000000000000")),
        ("{dataset}", dataset.unwrap_or(OTHERS)),
        ("{key}", "k"),
        ("{step}", "accept"),
        ("{name}", "n"),
        ("{layer}", "area"),
        ("{z}", "8"),
        ("{x}", "201"),
        ("{y}", "105"),
        ("{row}", "105"),
        ("{column}", "201"),
        ("{*path}", "Things"),
        ("{thing}", "1"),
    ];
    let path = filled.iter().fold(path.to_owned(), |path, (name, with)| path.replace(name, with));
    assert!(!path.contains('{'), "{path}: say here what to ask with");
    path
}

/// `reader, analyst; own: data_steward`.
fn holders(own: &[String], others: &[String], all: &[String]) -> String {
    let listed = |roles: &[String]| {
        let missing: Vec<_> = all.iter().filter(|role| !roles.contains(role)).cloned().collect();
        match (roles.len(), missing.len()) {
            (0, _) => "nobody".to_owned(),
            (_, 0) => "every role".to_owned(),
            (held, lacking) if lacking < held => format!("every role but {}", missing.join(", ")),
            _ => roles.join(", "),
        }
    };
    if own == others {
        return listed(own);
    }
    let only: Vec<_> = own.iter().filter(|role| !others.contains(role)).cloned().collect();
    format!("{}; own datasets: {}", listed(others), listed(&only))
}

#[tokio::test]
async fn who_may_what_is_as_it_is_written_down() {
    let town = town().await;
    let roles: Vec<String> = town.tokens.keys().cloned().collect();
    let mut table = String::from(
        "Who may take which route, by the access rules of packs/chengdu. Written by the test\n\
         `who_may_what_is_as_it_is_written_down` with BLESS=1.\n\n",
    );
    let mut routed = BTreeSet::new();
    for (method, path, gate) in listed() {
        let Gate::Asks(action) = gate else {
            writeln!(table, "{method} {path}\n    open: everybody").unwrap();
            continue;
        };
        routed.insert(action);
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for role in &roles {
            let of_dataset = action.on() == On::Dataset;
            let at_own = filled(path, of_dataset.then_some(OWN));
            let at_others = filled(path, of_dataset.then_some(OTHERS));
            if town.may(role, &method, &at_own, action).await {
                own.push(role.clone());
            }
            if of_dataset && town.may(role, &method, &at_others, action).await {
                others.push(role.clone());
            }
            if !of_dataset {
                others.clone_from(&own);
            }
        }
        let holders = holders(&own, &others, &roles);
        writeln!(table, "{method} {path}\n    {action}: {holders}").unwrap();
    }
    writeln!(table, "\nAsked elsewhere than at a route of its own:\n").unwrap();
    let contract = |id: &str| &town.city.pack().datasets[id];
    for action in Action::ALL.iter().filter(|action| !routed.contains(action)) {
        let by = |thing: Thing<'_>| -> Vec<String> {
            roles.iter().filter(|role| town.allowed(role, *action, thing)).cloned().collect()
        };
        let (own, others) = match action.on() {
            On::Platform => (by(Thing::Platform), by(Thing::Platform)),
            _ => (by(Thing::Dataset(contract(OWN))), by(Thing::Dataset(contract(OTHERS)))),
        };
        writeln!(table, "{action}: {}", holders(&own, &others, &roles)).unwrap();
    }
    let golden: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/access.golden");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &table).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(table == expected, "it is now:\n{table}\nrun with BLESS=1 to accept");
}

#[test]
fn every_closed_route_of_the_api_is_described_and_no_other() {
    let document = serde_json::to_value(openapi::document()).unwrap();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            let verbs = operations.as_object().unwrap().keys();
            verbs.map(|verb| (verb.to_uppercase(), path.clone())).collect::<Vec<_>>()
        })
        .collect();
    let closed =
        |(_, path, gate): &(Method, &str, Gate)| *gate != Gate::Open && !HIDDEN.contains(path);
    let routes: BTreeSet<(String, String)> = listed()
        .into_iter()
        .filter(closed)
        .map(|(method, path, _)| (method.to_string(), path.to_owned()))
        .collect();
    let open: BTreeSet<_> = described.difference(&routes).cloned().collect();
    let listed_open = |(method, path): &(String, String)| {
        listed().iter().any(|(m, p, g)| m.as_str() == method && p == path && *g == Gate::Open)
    };
    assert!(open.iter().all(listed_open), "described, and not there: {open:?}");
    let hidden: Vec<_> = routes.difference(&described).collect();
    assert!(hidden.is_empty(), "there, and not described: {hidden:?}");
}

#[tokio::test]
async fn a_refusal_tells_nothing_of_what_one_may_not_know() {
    let town = town().await;
    // Not shared, and of another: for a reader it is not told from one that is not there.
    for path in ["/api/datasets/people.resident/import?file=a.csv", "/api/datasets/no.such/import"]
    {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", town.tokens["auditor"]));
        let response = town.router.clone().oneshot(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
    }
}
