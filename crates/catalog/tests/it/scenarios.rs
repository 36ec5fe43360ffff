//! The same SQL under a what-if: what it changes, and that it is no way around a policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use catalog::audit::Audit;
use catalog::scenario::{Change, Overlays, Scenario, ScenarioError, Scenarios};
use catalog::sql::CatalogOptions;
use catalog::{Catalog, Principal, Session, SqlError};
use chrono::Utc;
use pack::Pack;
use serde_json::{Value, json};
use store::testing::{Bed, beds};

use crate::support::{
    AIR, PEOPLE, catalog_with, city_pack, options, refusal, rows, session, value,
};

const NAME: &str = "new-school";

/// Changes by dataset, for everybody.
#[derive(Debug, Default)]
struct Fixed(BTreeMap<String, Vec<Change>>);

#[async_trait]
impl Overlays for Fixed {
    async fn changes(
        &self,
        _principal: &Principal,
        scenario: &str,
        dataset: &str,
    ) -> Result<Vec<Change>, ScenarioError> {
        if scenario != NAME {
            return Err(ScenarioError::Unknown(scenario.into()));
        }
        Ok(self.0.get(dataset).cloned().unwrap_or_default())
    }
}

fn put(row: Value) -> Change {
    Change::Put(row.as_object().expect("an object").clone())
}

fn remove(row: Value) -> Change {
    Change::Remove(row.as_object().expect("an object").clone())
}

fn under(session: Session) -> Session {
    Session { scenario: Some(NAME.into()), ..session }
}

fn changed(dataset: &str, changes: Vec<Change>) -> Arc<Catalog> {
    let overlays = Arc::new(Fixed([(dataset.to_owned(), changes)].into()));
    catalog_with(city_pack(), rows(), CatalogOptions { overlays, ..options() })
}

#[tokio::test]
async fn rows_are_added_changed_and_removed() {
    let catalog = changed(
        PEOPLE,
        vec![
            put(json!({ "id": "new", "name": "新人", "income": 90000, "born": "2001-02-03" })),
            put(json!({ "id": "510104198001010000", "income": 5 })),
            remove(json!({ "id": "510104198001010001" })),
            remove(json!({ "id": "was never there" })),
        ],
    );
    let police = session("police");
    let what_if = under(session("police"));
    for (sql, before, after) in [
        ("SELECT count(*) FROM people.person", "8", "8"),
        ("SELECT sum(income) FROM people.person", "30000", "117005"),
        ("SELECT count(name) FROM people.person", "8", "7"),
        ("SELECT max(born) FROM people.person", "1989-07-30", "2001-02-03"),
        ("SELECT count(*) FROM people.person WHERE id = '510104198001010001'", "1", "0"),
        ("SELECT count(*) FROM people.person WHERE name = '新人' AND income > 1", "0", "1"),
        ("SELECT count(*) FROM people.person a JOIN people.person b ON a.id = b.id", "8", "8"),
        ("SELECT count(*) FROM air.pm25", "100", "100"),
    ] {
        assert_eq!(value(&catalog, &police, sql).await, before, "{sql}");
        assert_eq!(value(&catalog, &what_if, sql).await, after, "{sql}");
    }
}

/// A pack in which a street sees people's ids plain and their names not.
fn plain_keys() -> pack::Pack {
    let mut pack = city_pack();
    for policy in pack.policies.iter_mut().filter(|policy| policy.id == "people-street") {
        policy.masks.remove("id");
    }
    pack
}

#[tokio::test]
async fn overlays_lie_under_filter_and_masks() {
    let overlays = Arc::new(Fixed(
        [(
            PEOPLE.to_owned(),
            vec![
                // Of another area: filtered like a stored row.
                put(json!({ "id": "far", "name": "远", "area_code": "510107001" })),
                put(json!({ "id": "near", "name": "近", "area_code": "510104001" })),
                // Somebody hidden, moved into the street's own area.
                put(json!({ "id": "510104198001010003", "area_code": "510104001" })),
            ],
        )]
        .into(),
    ));
    let catalog = catalog_with(plain_keys(), rows(), CatalogOptions { overlays, ..options() });
    let street = under(session("street"));
    assert_eq!(value(&catalog, &street, "SELECT count(*) FROM people.person").await, "7");
    assert_eq!(value(&catalog, &street, "SELECT count(name) FROM people.person").await, "0");
    let moved = "SELECT phone IS NULL AND born IS NULL FROM people.person \
                 WHERE id = '510104198001010003'";
    assert_eq!(value(&catalog, &street, moved).await, "true", "only what was written is seen");
    let error = refusal(&catalog, &street, "SELECT income FROM people.person").await;
    assert!(matches!(error, SqlError::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn overlays_cannot_probe_masked_keys_or_small_groups() {
    let guess = vec![remove(json!({ "id": "510104198001010000" }))];
    let catalog = changed(PEOPLE, guess);
    for organisation in ["street", "university"] {
        let session = under(session(organisation));
        let error = refusal(&catalog, &session, "SELECT count(*) FROM people.person").await;
        assert!(matches!(error, SqlError::Refused { .. }), "{organisation}: {error:?}");
    }
}

#[tokio::test]
async fn an_unknown_scenario_is_not_the_baseline() {
    let catalog = changed(PEOPLE, Vec::new());
    let mut police = session("police");
    police.scenario = Some("misspelt".into());
    let error = refusal(&catalog, &police, "SELECT count(*) FROM people.person").await;
    assert!(matches!(error, SqlError::Refused { .. }), "{error:?}");
}

struct Desk {
    scenarios: Arc<Scenarios>,
    catalog: Arc<Catalog>,
}

async fn desk(bed: &Bed, pack: Pack) -> Desk {
    bed.records.migrate(catalog::records::migrations()).await.expect("migrations");
    let pack = Arc::new(pack);
    let audit = Audit::open(&bed.records);
    let scenarios = Arc::new(Scenarios::open(&bed.records, &audit, Arc::clone(&pack)));
    let options = CatalogOptions { overlays: Arc::clone(&scenarios) as _, ..options() };
    let catalog = Catalog::open(pack, Arc::new(rows()), options).expect("a catalogue");
    Desk { scenarios, catalog }
}

fn planner(organisation: &str) -> Session {
    let mut session = session(organisation);
    Arc::make_mut(&mut session.principal).permissions.insert("scenario".into());
    session
}

#[tokio::test]
async fn scenarios_are_kept_in_the_records() {
    for bed in beds().await {
        let desk = desk(&bed, city_pack()).await;
        let police = planner("police");
        let now = Utc::now();
        let made: Scenario =
            desk.scenarios.create(&police.principal, NAME, "一所新学校", now).await.expect("made");
        assert_eq!(desk.scenarios.list(&police.principal).await.expect("a list"), [made]);
        let again = desk.scenarios.create(&police.principal, NAME, "", now).await;
        assert!(matches!(again, Err(ScenarioError::Taken(_))));

        let write = |changes: Vec<Change>| {
            let desk = &desk;
            let police = &police;
            async move {
                desk.scenarios.change(&desk.catalog, police, NAME, PEOPLE, &changes, now).await
            }
        };
        let first =
            vec![put(json!({ "id": "a", "income": 1 })), put(json!({ "id": "b", "income": 2 }))];
        write(first).await.expect("written");
        // A later change of a row stands in for the earlier.
        write(vec![put(json!({ "id": "a", "income": 10 })), remove(json!({ "id": "b" }))])
            .await
            .expect("written");
        let what_if = under(police.clone());
        let sum = "SELECT sum(income) FROM people.person";
        assert_eq!(value(&desk.catalog, &what_if, sum).await, "30010");
        assert_eq!(value(&desk.catalog, &police, sum).await, "30000");

        for (bad, problem) in [
            (put(json!({ "income": 1 })), "key field 'id'"),
            (put(json!({ "id": null })), "key field 'id'"),
            (put(json!({ "id": "x", "ghost": 1 })), "no field 'ghost'"),
            (put(json!({ "id": "x", "income": "much" })), "much"),
            (put(json!({ "id": "x", "born": "yesterday" })), "yesterday"),
            (remove(json!({ "id": "x", "name": "y" })), "key alone"),
        ] {
            let good = put(json!({ "id": "kept out" }));
            let error = write(vec![good, bad]).await.expect_err("a bad row");
            assert!(error.to_string().contains(problem), "{error}");
        }
        let none = "SELECT count(*) FROM people.person WHERE id = 'kept out'";
        assert_eq!(value(&desk.catalog, &what_if, none).await, "0", "all or none");

        desk.scenarios.delete(&police.principal, NAME).await.expect("dropped");
        let error = refusal(&desk.catalog, &what_if, sum).await;
        assert!(matches!(error, SqlError::Refused { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_key_written_in_two_ways_names_one_row() {
    for bed in beds().await {
        let mut pack = city_pack();
        pack.datasets.get_mut(AIR).expect("it is there").key = vec!["hour".into()];
        let desk = desk(&bed, pack).await;
        let planner = planner("police");
        let now = Utc::now();
        desk.scenarios.create(&planner.principal, NAME, "", now).await.expect("made");
        for change in [
            put(json!({ "hour": 7, "pm25": 1.0 })),
            put(json!({ "hour": "7", "pm25": 2.0 })),
            put(json!({ "hour": 1_000, "pm25": 3.0 })),
            remove(json!({ "hour": "1000" })),
        ] {
            let write = desk.scenarios.change(
                &desk.catalog,
                &planner,
                NAME,
                AIR,
                std::slice::from_ref(&change),
                now,
            );
            write.await.expect("written");
        }
        let what_if = under(planner);
        for (sql, expected) in [
            ("SELECT count(*) FROM air.pm25", "100"),
            ("SELECT max(pm25) FROM air.pm25 WHERE hour = 7", "2.0"),
            ("SELECT count(*) FROM air.pm25 WHERE hour = 1000", "0"),
        ] {
            assert_eq!(value(&desk.catalog, &what_if, sql).await, expected, "{}: {sql}", bed.name);
        }
    }
}

#[tokio::test]
async fn scenarios_are_written_by_their_owner_and_used_by_their_organisation() {
    for bed in beds().await {
        let desk = desk(&bed, city_pack()).await;
        let now = Utc::now();
        let police = planner("police");
        let unpermitted = session("police");
        let refused = desk.scenarios.create(&unpermitted.principal, NAME, "", now).await;
        assert!(matches!(refused, Err(ScenarioError::NoPermission { .. })));
        desk.scenarios.create(&police.principal, NAME, "", now).await.expect("made");

        // Another organisation cannot tell it from one that is not there.
        let street = planner("street");
        let change = [put(json!({ "home": "h9" }))];
        let foreign =
            desk.scenarios.change(&desk.catalog, &street, NAME, "place.home", &change, now).await;
        assert!(matches!(foreign, Err(ScenarioError::Unknown(_))), "{foreign:?}");
        let error =
            refusal(&desk.catalog, &under(street.clone()), "SELECT * FROM place.home").await;
        assert!(matches!(error, SqlError::Refused { .. }), "{error:?}");
        assert!(desk.scenarios.list(&street.principal).await.expect("a list").is_empty());

        // A colleague uses it and does not write it.
        let mut colleague = planner("police");
        Arc::make_mut(&mut colleague.principal).user = "colleague".into();
        let change = [put(json!({ "id": "a" }))];
        let written =
            desk.scenarios.change(&desk.catalog, &colleague, NAME, PEOPLE, &change, now).await;
        assert!(matches!(written, Err(ScenarioError::NotYours { .. })), "{written:?}");
        let count = "SELECT count(*) FROM people.person";
        assert_eq!(value(&desk.catalog, &under(colleague), count).await, "8");

        // Datasets that the author does not see cannot be written, nor seen to be there.
        let change = [put(json!({ "title": "x" }))];
        let hidden =
            desk.scenarios.change(&desk.catalog, &police, NAME, "secret.plan", &change, now).await;
        let absent =
            desk.scenarios.change(&desk.catalog, &police, NAME, "secret.plam", &change, now).await;
        let text = |result: Result<usize, ScenarioError>| result.expect_err("closed").to_string();
        assert_eq!(text(hidden).replace("plan", "?"), text(absent).replace("plam", "?"));
    }
}
