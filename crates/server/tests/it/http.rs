//! HTTP over a real city: the pack of Chengdu, a few rows, and people of several roles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use chrono::{Duration, Utc};
use city::{City, ImportRequest, OpenOptions};
use registry::{NewToken, NewUser};
use serde_json::{Value, json};
use server::http::{Http, HttpOptions, openapi, router};
use tower::ServiceExt;

/// A city in a folder of its own, with tokens for its people.
struct Town {
    router: Router,
    city: Arc<City>,
    _dir: tempfile::TempDir,
    tokens: std::collections::BTreeMap<&'static str, String>,
}

/// Name, organisation, role.
const PEOPLE: [(&str, &str, &str); 7] = [
    ("reader", "transport", "reader"),
    ("analyst", "transport", "analyst"),
    ("steward", "ecology_environment", "data_steward"),
    ("police", "public_security", "data_steward"),
    ("market", "market_regulation", "data_steward"),
    ("auditor", "general_office", "auditor"),
    ("admin", "general_office", "administrator"),
];

const READINGS: &str = "site,observed_at,pm25
草堂寺,2010-01-01T00:00:00Z,35.5
草堂寺,2010-01-01T01:00:00Z,120
沙河铺,2010-01-01T00:00:00Z,80.25
沙河铺,2010-01-01T01:00:00Z,-4
";

fn pack_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu")
}

async fn town() -> Town {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { dir: dir.path().join("city"), ..Default::default() };
    let city = Arc::new(City::create(&options, &pack_dir()).await.unwrap());
    let mut tokens = std::collections::BTreeMap::new();
    for (name, organisation, role) in PEOPLE {
        let user = NewUser {
            name: name.to_owned(),
            organisation: organisation.to_owned(),
            roles: vec![role.to_owned()],
            ..Default::default()
        };
        let now = Utc::now();
        city.registry().create_user("test", user, city.pack(), now).await.unwrap();
        let token = NewToken {
            user: name.to_owned(),
            label: "test".to_owned(),
            scope: None,
            expires_at: now + Duration::days(1),
        };
        let (_, text) = city.registry().create_token("test", token, now).await.unwrap();
        tokens.insert(name, text);
    }
    let file = dir.path().join("readings.csv");
    std::fs::write(&file, READINGS).unwrap();
    let request = ImportRequest {
        dataset: "air.pm25".to_owned(),
        file,
        options: Default::default(),
        user: "steward".to_owned(),
    };
    city.import(request, &|_| {}).await.unwrap();
    let url = "https://data.example".to_owned();
    let http = Http::new(city.clone(), url, HttpOptions::default()).unwrap();
    Town { router: router(http), city, _dir: dir, tokens }
}

/// What came back.
struct Reply {
    status: StatusCode,
    media: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Town {
    async fn send(
        &self,
        who: Option<&str>,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Reply {
        self.send_as(who, method, path, body, "application/json").await
    }

    async fn send_as(
        &self,
        who: Option<&str>,
        method: &str,
        path: &str,
        body: Option<Value>,
        accept: &str,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method.parse::<Method>().unwrap())
            .uri(path)
            .header(header::ACCEPT, accept);
        if let Some(who) = who {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.tokens[who]));
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let media = response.headers().get(header::CONTENT_TYPE);
        let media = media.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
        Reply { status, media, body }
    }

    async fn sql(&self, who: &str, sql: &str) -> Reply {
        self.send(Some(who), "POST", "/api/sql", Some(json!({ "sql": sql }))).await
    }
}

/// What strangers are answered: the way in.
const OPEN: [(&str, &str); 4] = [
    ("GET", "/api/oidc/{id}/callback"),
    ("GET", "/api/oidc/{id}/start"),
    ("POST", "/api/session"),
    ("GET", "/api/sign-in"),
];

/// Every operation that the description names and that is not open, with its path's variables
/// filled in.
fn operations() -> Vec<(String, String)> {
    let document = serde_json::to_value(openapi::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let filled = |path: &str| {
        path.replace("{id}", "00000000-0000-0000-0000-000000000000")
            .replace("{step}", "accept")
            .replace("{name}", "n")
            .replace("{layer}", "n")
            .replace("{key}", "n")
            .replace("{z}/{x}/{y}", "1/0/0")
            .replace("{z}/{row}/{column}", "1/0/0")
    };
    paths
        .iter()
        .flat_map(|(path, operations)| {
            let verbs = operations.as_object().unwrap().keys().map(|verb| verb.to_uppercase());
            let closed = verbs.filter(|verb| !OPEN.contains(&(verb.as_str(), path.as_str())));
            closed.map(|verb| (verb, filled(path))).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn nothing_under_api_answers_without_a_token() {
    let town = town().await;
    let mut all = operations();
    assert!(all.len() >= 20, "the description lost its paths: {all:?}");
    all.push(("GET".to_owned(), "/metrics".to_owned()));
    all.push(("GET".to_owned(), "/api/no-such-thing".to_owned()));
    for (method, path) in all {
        let reply = town.send(None, &method, &path, Some(json!({}))).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(reply.media, "application/problem+json", "{method} {path}");
        let forged = Request::builder()
            .method(method.parse::<Method>().unwrap())
            .uri(&path)
            .header(header::AUTHORIZATION, "Bearer shujin_forged");
        let reply = town.router.clone().oneshot(forged.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{method} {path} with a forged token");
    }
    for open in ["/healthz", "/readyz", "/api/openapi.json", "/api/sign-in"] {
        assert_eq!(town.send(None, "GET", open, None).await.status, StatusCode::OK, "{open}");
    }
    assert_eq!(town.send(None, "GET", "/nowhere", None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_role_without_the_permission_is_refused() {
    let town = town().await;
    let id = "00000000-0000-0000-0000-000000000000";
    let sql = json!({ "sql": "select 1" });
    let ask = json!({ "dataset": "people.resident", "fields": [], "purpose": "p",
                      "legal_ground": "l", "until": "2030-01-01T00:00:00Z" });
    let claim = json!({ "dataset": "air.pm25", "key": {}, "field": "pm25", "present": 1,
                        "proposed": 2, "reason": "r" });
    let why = json!({ "reason": "r" });
    let cases = [
        ("auditor", "POST", "/api/sql".to_owned(), sql.clone()),
        ("auditor", "POST", "/api/lineage".to_owned(), sql),
        ("reader", "POST", "/api/sharing-requests".to_owned(), ask),
        ("reader", "POST", format!("/api/sharing-requests/{id}/withdraw"), json!({})),
        ("analyst", "POST", format!("/api/sharing-requests/{id}/grant"), json!({})),
        ("analyst", "POST", format!("/api/sharing-requests/{id}/refuse"), why.clone()),
        ("analyst", "POST", format!("/api/sharing-requests/{id}/revoke"), why.clone()),
        ("reader", "POST", "/api/corrections".to_owned(), claim),
        ("reader", "POST", format!("/api/corrections/{id}/accept"), json!({})),
        ("reader", "POST", "/api/datasets/air.pm25/quality".to_owned(), json!({})),
        ("reader", "POST", "/api/scenarios".to_owned(), json!({ "name": "n" })),
        ("reader", "POST", "/api/scenarios/n/changes".to_owned(), json!({ "dataset": "air.pm25" })),
        ("reader", "DELETE", "/api/scenarios/n".to_owned(), json!({})),
        ("reader", "GET", "/api/quarantine".to_owned(), json!({})),
        ("reader", "POST", format!("/api/quarantine/{id}/repair"), json!({ "corrections": {} })),
        ("reader", "POST", format!("/api/quarantine/{id}/dismiss"), why),
        ("steward", "GET", "/api/audit".to_owned(), json!({})),
        ("steward", "GET", "/api/audit/verify".to_owned(), json!({})),
        ("admin", "GET", "/api/users".to_owned(), json!({})),
        (
            "admin",
            "POST",
            "/api/users".to_owned(),
            json!({ "name": "n", "organisation": "water", "roles": [] }),
        ),
        ("admin", "PATCH", "/api/users/reader".to_owned(), json!({ "active": false })),
        ("admin", "GET", "/api/tokens?user=reader".to_owned(), json!({})),
        ("admin", "GET", "/api/sessions?user=reader".to_owned(), json!({})),
        ("reader", "POST", "/api/tokens".to_owned(), json!({ "label": "x", "days": 1 })),
        ("reader", "POST", "/api/session/second-factor".to_owned(), json!({})),
        ("steward", "GET", "/metrics".to_owned(), json!({})),
    ];
    for (who, method, path, body) in cases {
        let reply = town.send(Some(who), method, &path, Some(body)).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{who} {method} {path}");
        assert_eq!(reply.code(), "refused", "{who} {method} {path}");
    }
}

#[tokio::test]
async fn rows_come_in_three_formats() {
    let town = town().await;
    let sql = "select site, pm25 from air.pm25 order by site, observed_at";
    let reply = town.sql("analyst", sql).await;
    let answer = reply.json();
    assert_eq!(reply.status, StatusCode::OK, "{answer}");
    assert_eq!(answer["row_count"], 3, "the negative reading is in quarantine: {answer}");
    assert_eq!(answer["columns"][1]["name"], "pm25");
    assert_eq!(answer["rows"][0], json!({ "site": "沙河铺", "pm25": 80.25 }));

    let ask = Some(json!({ "sql": sql }));
    let csv = town.send_as(Some("analyst"), "POST", "/api/sql", ask.clone(), "text/csv").await;
    assert_eq!(csv.media, "text/csv; charset=utf-8");
    let text = String::from_utf8(csv.body).unwrap();
    assert_eq!(text, "site,pm25\n沙河铺,80.25\n草堂寺,35.5\n草堂寺,120.0\n");

    let media = "application/vnd.apache.arrow.stream";
    let arrow = town.send_as(Some("analyst"), "POST", "/api/sql", ask.clone(), media).await;
    assert_eq!(arrow.media, media);
    let reader = arrow::ipc::reader::StreamReader::try_new(arrow.body.as_slice(), None).unwrap();
    let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 3);

    let none = town.send_as(Some("analyst"), "POST", "/api/sql", ask, "image/png").await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    let empty = town.sql("analyst", "select site from air.pm25 where pm25 > 9999").await.json();
    assert_eq!((&empty["rows"], &empty["row_count"]), (&json!([]), &json!(0)));
}

#[tokio::test]
async fn parameters_are_read_as_the_statement_wants_them() {
    let town = town().await;
    let ask = |sql: &str, params: Value| {
        let body = json!({ "sql": sql, "params": params });
        let town = &town;
        async move { town.send(Some("analyst"), "POST", "/api/sql", Some(body)).await }
    };
    let sql = "select count(*) as n from air.pm25 where pm25 > $1 and observed_at < $2";
    let reply = ask(sql, json!([50, "2010-01-01T01:00:00Z"])).await;
    assert_eq!(reply.json()["rows"][0]["n"], 1, "{}", reply.json());
    let wrong = ask(sql, json!([50])).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::BAD_REQUEST, "invalid"));
    let injected =
        ask("select count(*) as n from air.pm25 where site = $1", json!(["' or 1=1 --"]));
    assert_eq!(injected.await.json()["rows"][0]["n"], 0);
}

#[tokio::test]
async fn failures_say_what_and_where() {
    let town = town().await;
    for (who, sql, status, code) in [
        ("analyst", "selec site", 400, "syntax"),
        ("analyst", "select nope from air.pm25", 400, "column_not_found"),
        ("analyst", "select * from no.such", 404, "not_found"),
        ("reader", "select * from people.resident", 404, "not_found"),
        ("analyst", "drop table air.pm25", 403, "refused"),
        ("analyst", "copy air.pm25 to '/tmp/x.csv'", 403, "refused"),
        ("analyst", "select * from '/etc/passwd'", 0, ""),
    ] {
        let reply = town.sql(who, sql).await;
        let found = reply.json();
        if status == 0 {
            assert!(reply.status.is_client_error(), "{sql}: {found}");
            continue;
        }
        assert_eq!(reply.status.as_u16(), status, "{sql}: {found}");
        assert_eq!(reply.media, "application/problem+json", "{sql}");
        assert_eq!(found["code"], code, "{sql}: {found}");
        assert!(found["correlation_id"].as_str().is_some_and(|id| id.len() == 36), "{sql}");
    }
    let place = town.sql("analyst", "select site\nfrom air.pm25 wher 1 1").await.json();
    assert_eq!(place["line"], 2, "{place}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let town = town().await;
    let long = format!("select '{}'", "x".repeat(5 << 20));
    assert_eq!(town.sql("analyst", &long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let words = format!("/api/datasets?q={}", "a".repeat(500));
    let reply = town.send(Some("analyst"), "GET", &words, None).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    let unknown = json!({ "sql": "select 1", "surprise": true });
    let reply = town.send(Some("analyst"), "POST", "/api/sql", Some(unknown)).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_catalogue_is_searched_and_shown() {
    let town = town().await;
    let get = async |who: &'static str, path: &str| town.send(Some(who), "GET", path, None).await;
    let all = get("analyst", "/api/datasets").await.json();
    let ids = |list: &Value| -> Vec<String> {
        let items = list["datasets"].as_array().unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert!(ids(&all).contains(&"air.pm25".to_owned()), "{all}");
    let page = get("analyst", "/api/datasets?limit=1&offset=1").await.json();
    assert_eq!((ids(&page).len(), &page["total"]), (1, &all["total"]));
    assert_eq!(ids(&page)[0], ids(&all)[1]);
    let found = get("analyst", "/api/datasets?q=%E7%BB%86%E9%A2%97%E7%B2%92%E7%89%A9").await.json();
    assert_eq!(ids(&found).first().map(String::as_str), Some("air.pm25"), "{found}");

    let page = get("analyst", "/api/datasets/air.pm25").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.json());
    assert_eq!(page.json()["statistics"]["rows"], 3, "{}", page.json());
    assert_eq!(get("analyst", "/api/datasets/no.such").await.status, StatusCode::NOT_FOUND);

    let before = get("analyst", "/api/datasets/air.pm25/quality").await.json();
    assert_eq!(before["runs"], json!([]));
    let path = "/api/datasets/air.pm25/quality";
    let run = town.send(Some("steward"), "POST", path, None).await;
    assert_eq!(run.status, StatusCode::OK, "{}", run.json());
    let after = get("analyst", path).await.json();
    assert_eq!(after["runs"].as_array().map(Vec::len), Some(1), "{after}");
    let foreign = town.send(Some("police"), "POST", path, None).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);

    let dcat = get("analyst", "/api/dcat").await;
    assert_eq!(dcat.media, "application/ld+json");
    assert!(dcat.json()["dcat:dataset"].as_array().is_some_and(|list| !list.is_empty()));
    let sql = json!({ "sql": "select site, avg(pm25) as mean from air.pm25 group by site" });
    let event = town.send(Some("analyst"), "POST", "/api/lineage", Some(sql)).await.json();
    assert_eq!(event["inputs"][0]["name"], "air.pm25", "{event}");
}

#[tokio::test]
async fn a_dataset_is_asked_for_granted_read_and_taken_away() {
    let town = town().await;
    let ask = json!({
        "dataset": "market.enterprise",
        "fields": ["name", "area_code"],
        "purpose": "公共交通线网规划",
        "legal_ground": "政务数据共享条例",
        "until": (Utc::now() + Duration::days(90)).to_rfc3339(),
    });
    let path = "/api/sharing-requests";
    let sql = "select area_code from market.enterprise";
    assert_eq!(town.sql("analyst", sql).await.status, StatusCode::NOT_FOUND);
    let filed = town.send(Some("analyst"), "POST", path, Some(ask)).await;
    assert_eq!(filed.status, StatusCode::CREATED, "{}", filed.json());
    let id = filed.json()["id"].as_str().unwrap().to_owned();
    let listed = town.send(Some("market"), "GET", path, None).await.json();
    assert_eq!(listed["requests"][0]["id"], id.as_str(), "{listed}");
    assert_eq!(listed["requests"][0]["granted"], Value::Null, "{listed}");

    let grant = format!("{path}/{id}/grant");
    let foreign = town.send(Some("steward"), "POST", &grant, Some(json!({}))).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN, "only the owner grants");
    let terms = json!({ "fields": ["area_code"] });
    let granted = town.send(Some("market"), "POST", &grant, Some(terms)).await;
    assert_eq!(granted.status, StatusCode::OK, "{}", granted.json());
    let again = town.send(Some("market"), "POST", &grant, Some(json!({}))).await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "conflict"));
    // Both sides see what was granted beside what was asked.
    for who in ["market", "analyst"] {
        let listed = town.send(Some(who), "GET", path, None).await.json();
        let shown = &listed["requests"][0];
        assert_eq!(shown["granted"]["fields"], json!(["area_code"]), "{listed}");
        assert_eq!(shown["granted"]["expires_at"], shown["until"], "{listed}");
        assert_eq!((&shown["state"], &listed["next"]), (&json!("granted"), &Value::Null));
    }
    let lost = town.send(Some("market"), "GET", &format!("{path}?after=here"), None).await;
    assert_eq!((lost.status, lost.code().as_str()), (StatusCode::BAD_REQUEST, "invalid"));
    let read = town.sql("analyst", sql).await;
    assert_eq!(read.status, StatusCode::OK, "{}", read.json());
    let hidden = town.sql("analyst", "select name from market.enterprise").await;
    assert_eq!(hidden.status, StatusCode::BAD_REQUEST, "what was not granted is not there");

    let why = json!({ "reason": "用途已变更" });
    let revoked =
        town.send(Some("market"), "POST", &format!("{path}/{id}/revoke"), Some(why)).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    assert_eq!(town.sql("analyst", sql).await.status, StatusCode::NOT_FOUND);

    let report = town.send(Some("auditor"), "GET", "/api/audit/verify", None).await.json();
    assert_eq!(report["sound"], true, "{report}");
    let entries = town.send(Some("auditor"), "GET", "/api/audit?limit=1000", None).await.json();
    let actions: Vec<_> =
        entries["entries"].as_array().unwrap().iter().map(|e| &e["action"]).collect();
    for action in ["sharing.request", "sharing.grant", "sharing.revoke", "import"] {
        assert!(actions.iter().any(|found| *found == action), "{action} is not in {actions:?}");
    }
}

#[tokio::test]
async fn the_end_of_a_grant_is_booked_while_the_city_is_served() {
    let town = town().await;
    let path = "/api/sharing-requests";
    let ask = json!({
        "dataset": "market.enterprise",
        "fields": ["area_code"],
        "purpose": "公共交通线网规划",
        "legal_ground": "政务数据共享条例",
        "until": (Utc::now() + Duration::days(90)).to_rfc3339(),
    });
    let filed = town.send(Some("analyst"), "POST", path, Some(ask)).await.json();
    let id = filed["id"].as_str().unwrap();
    let expires_at = Utc::now() + Duration::milliseconds(500);
    let (grant, terms) =
        (format!("{path}/{id}/grant"), json!({ "expires_at": expires_at.to_rfc3339() }));
    let granted = town.send(Some("market"), "POST", &grant, Some(terms)).await;
    assert_eq!(granted.status, StatusCode::OK, "{}", granted.json());

    let mut events = town.city.events().listen();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    // It goes on for as long as it is awaited; its first turn comes at once.
    let a_moment = std::time::Duration::from_secs(3);
    assert!(tokio::time::timeout(a_moment, town.city.tend()).await.is_err());
    let listed = town.send(Some("analyst"), "GET", path, None).await.json();
    assert_eq!(listed["requests"][0]["state"], "expired", "{listed}");
    let told = events.recv().await.unwrap();
    assert!(
        matches!(&told, city::CityEvent::Request(step) if step.state.as_str() == "expired"),
        "{told:?}"
    );
    let entries = town.send(Some("auditor"), "GET", "/api/audit?limit=1000", None).await.json();
    let entries = entries["entries"].as_array().unwrap();
    assert!(entries.iter().any(|e| e["action"] == "sharing.expire" && e["actor"] == "clock"));
}

#[tokio::test]
async fn a_quarantined_row_is_mended_by_its_owner_alone() {
    let town = town().await;
    let list = async |who: &'static str| {
        let reply = town.send(Some(who), "GET", "/api/quarantine?dataset=air.pm25", None).await;
        reply.json()["rows"].as_array().cloned().unwrap_or_default()
    };
    assert_eq!(list("police").await.len(), 0, "another's rows are not shown");
    let rows = list("steward").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let id = rows[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/quarantine/{id}/repair");
    let cells = |value: &str| Some(json!({ "corrections": { "pm25": value } }));
    let foreign = town.send(Some("police"), "POST", &path, cells("4")).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let still_wrong = town.send(Some("steward"), "POST", &path, cells("-1")).await;
    assert!(still_wrong.status.is_client_error(), "{}", still_wrong.json());
    assert!(still_wrong.json()["title"].as_str().unwrap().contains("not_negative"));
    let mended = town.send(Some("steward"), "POST", &path, cells("4")).await;
    assert_eq!(mended.status, StatusCode::NO_CONTENT, "{}", String::from_utf8_lossy(&mended.body));
    assert_eq!(list("steward").await.len(), 0);
    let count = town.sql("analyst", "select count(*) as n from air.pm25").await.json();
    assert_eq!(count["rows"][0]["n"], 4);
}

#[tokio::test]
async fn the_same_question_is_asked_under_a_scenario() {
    let town = town().await;
    let make = json!({ "name": "clean-air", "title": "清洁空气" });
    let made = town.send(Some("analyst"), "POST", "/api/scenarios", Some(make.clone())).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let again = town.send(Some("analyst"), "POST", "/api/scenarios", Some(make)).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let changes = json!({
        "dataset": "air.pm25",
        "put": [{ "site": "草堂寺", "observed_at": "2010-01-01T01:00:00Z", "pm25": 20.0 }],
        "remove": [{ "site": "沙河铺", "observed_at": "2010-01-01T00:00:00Z" }],
    });
    let path = "/api/scenarios/clean-air/changes";
    let changed = town.send(Some("analyst"), "POST", path, Some(changes)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.json());
    let ask = async |scenario: Option<&str>| {
        let sql = "select count(*) as n, max(pm25) as most from air.pm25";
        let body = json!({ "sql": sql, "scenario": scenario });
        let reply = town.send(Some("analyst"), "POST", "/api/sql", Some(body)).await.json();
        reply["rows"][0].clone()
    };
    assert_eq!(ask(Some("clean-air")).await, json!({ "n": 2, "most": 35.5 }));
    assert_eq!(ask(None).await, json!({ "n": 3, "most": 120.0 }));
    let body = json!({ "sql": "select * from air.pm25", "scenario": "clean-air" });
    let foreign = town.send(Some("police"), "POST", "/api/sql", Some(body)).await;
    assert!(foreign.status.is_client_error(), "another organisation's scenario is not used");
    let gone = town.send(Some("analyst"), "DELETE", "/api/scenarios/clean-air", None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let list = town.send(Some("analyst"), "GET", "/api/scenarios", None).await.json();
    assert_eq!(list["scenarios"], json!([]));
}

#[tokio::test]
async fn a_disabled_user_s_token_opens_nothing() {
    let town = town().await;
    assert_eq!(town.sql("analyst", "select 1").await.status, StatusCode::OK);
    let change = registry::Change::Active(false);
    let changed = town.city.registry().change_user("test", "analyst", change, town.city.pack());
    changed.await.unwrap();
    assert_eq!(town.sql("analyst", "select 1").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_file_is_taken_checked_and_known_by_its_name() {
    let town = town().await;
    let send = async |who: &'static str, dataset: &str, rows: &'static str| {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/api/datasets/{dataset}/import?file=more.csv"))
            .header(header::AUTHORIZATION, format!("Bearer {}", town.tokens[who]))
            .body(Body::from(format!("site,observed_at,pm25\n{rows}")))
            .unwrap();
        let response = town.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, text) = send("steward", "air.pm25", "沙河铺,2010-01-01T02:00:00Z,7\n").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let summary: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&summary["file"], &summary["rows_taken"]), (&json!("more.csv"), &json!(1)));
    assert_eq!(summary["quality"]["passed"], true, "{summary}");
    let path = "/api/datasets/air.pm25/quality";
    let runs = town.send(Some("analyst"), "GET", path, None).await.json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "{runs}");
    let left = std::fs::read_dir(town.city.dir().join("scratch")).unwrap().count();
    assert_eq!(left, 0, "the upload is gone");

    // What is refused names neither where the server keeps files nor what else there is.
    let (status, text) = send("steward", "air.pm25", "一,二,三,四\n").await;
    assert!(status.is_success() || !text.contains("scratch"), "{text}");
    let (status, text) = send("steward", "people", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(!text.contains("people.resident"), "{text}");
}

/// Bytes that have come in of files under way.
fn received(scratch: &Path) -> u64 {
    let folders = std::fs::read_dir(scratch).into_iter().flatten().flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten());
    files.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

#[tokio::test]
async fn a_file_that_is_here_is_taken_whole_or_not_at_all_whoever_hangs_up() {
    const ROWS: usize = 3_000;
    let town = town().await;
    let scratch = town.city.dir().join("scratch");
    let a_moment = std::time::Duration::from_millis(1);
    let mut carried_through = 0;
    for attempt in 0..12 {
        let (site, name) = (format!("站{attempt}"), format!("left-{attempt}.csv"));
        let mut text = "site,observed_at,pm25\n".to_owned();
        for hour in 0..ROWS {
            let at = Utc::now().date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc()
                - Duration::hours(i64::try_from(hour).unwrap());
            text += &format!("{site},{},7\n", at.to_rfc3339());
        }
        let bytes = text.len() as u64;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/api/datasets/air.pm25/import?file={name}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", town.tokens["steward"]))
            .body(Body::from(text))
            .unwrap();
        let call = tokio::spawn(town.router.clone().oneshot(request));
        // The client goes as soon as all of its file is there.
        while !call.is_finished() && received(&scratch) < bytes {
            tokio::time::sleep(a_moment).await;
        }
        call.abort();
        let hung_up = call.await.is_err();
        let ended = async {
            while received(&scratch) > 0 {
                tokio::time::sleep(a_moment).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.unwrap();

        let sql = format!("select count(*) as n from air.pm25 where site = '{site}'");
        let rows = town.sql("analyst", &sql).await.json()["rows"][0]["n"].as_u64().unwrap();
        assert!(rows == 0 || rows == ROWS as u64, "{rows}");
        let audit = town.send(Some("auditor"), "GET", "/api/audit?limit=1000", None).await.json();
        let of_it = |entry: &&Value| {
            let detail = entry["detail"].as_str().unwrap();
            entry["action"] == "import" && detail.contains(&format!("\"{name}\""))
        };
        let told = audit["entries"].as_array().unwrap().iter().filter(of_it).count();
        assert_eq!(told, usize::from(rows > 0), "what was taken is in the audit");
        carried_through += usize::from(hung_up && rows > 0);
    }
    assert!(carried_through > 0, "no import went on without its client");
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let town = town().await;
    for (method, path, status) in [
        ("POST", "/api/sharing-requests/not-an-id/withdraw", StatusCode::BAD_REQUEST),
        ("PUT", "/api/datasets", StatusCode::METHOD_NOT_ALLOWED),
        ("GET", "/api/no-such-thing", StatusCode::NOT_FOUND),
    ] {
        let reply = town.send(Some("analyst"), method, path, None).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.media, "application/problem+json", "{method} {path}");
    }
}

/// `BLESS=1` writes the description anew.
#[test]
fn the_description_is_checked_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let mut now = openapi::document().to_pretty_json().unwrap();
    now.push('\n');
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "docs/openapi.json is not what the handlers say: run `BLESS=1 cargo test -p server --test \
         it the_description_is_checked_in` and commit it"
    );
}
