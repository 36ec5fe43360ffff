//! Two sessions share what was read by one only where they would have been answered alike.

use std::sync::Arc;

use catalog::{Catalog, Principal, Session, Sight};
use chrono::Utc;
use pack::{Applies, Policy};

use crate::support::{
    AIR, HOMES, PEOPLE, PLANS, catalog, catalog_with, city_pack, options, policy, rows, session,
};

async fn sight(catalog: &Catalog, session: &Session, dataset: &str) -> Option<Sight> {
    let contract = &catalog.pack().datasets[dataset];
    catalog.sight(session, contract).await.expect("rules can be read")
}

fn with(session: &Session, change: impl FnOnce(&mut Principal)) -> Session {
    let mut principal = session.principal.as_ref().clone();
    change(&mut principal);
    Session { principal: Arc::new(principal), ..session.clone() }
}

#[tokio::test]
async fn equal_scopes_see_alike_and_others_do_not() {
    let catalog = catalog();
    let street = session("street");
    let own = sight(&catalog, &street, PEOPLE).await.expect("the street reads people");

    let colleague = with(&street, |principal| principal.user = "another".into());
    assert!(sight(&catalog, &colleague, PEOPLE).await.unwrap().alike(&own));

    let neighbour = with(&street, |principal| principal.area_prefixes = vec!["510105".into()]);
    assert!(!sight(&catalog, &neighbour, PEOPLE).await.unwrap().alike(&own), "another area");
    let wider = with(&street, |principal| principal.area_prefixes.push("510105".into()));
    assert!(!sight(&catalog, &wider, PEOPLE).await.unwrap().alike(&own), "one area more");
    let nowhere = with(&street, |principal| principal.area_prefixes.clear());
    assert!(!sight(&catalog, &nowhere, PEOPLE).await.unwrap().alike(&own), "no area");

    // Every row, but other masks; every row and no mask.
    let owner = sight(&catalog, &session("police"), PEOPLE).await.unwrap();
    assert!(!owner.alike(&own) && owner.shows("income") && !own.shows("income"));
    let masked = sight(&catalog, &street, HOMES).await.unwrap();
    let plain = sight(&catalog, &session("housing"), HOMES).await.unwrap();
    assert!(!masked.alike(&plain));
    assert!(masked.shows("person_id") && !masked.plain("person_id") && plain.plain("person_id"));

    let grouped = sight(&catalog, &session("university"), PEOPLE).await.unwrap();
    assert_eq!(grouped.min_cell, Some(3));
}

#[tokio::test]
async fn another_moment_is_another_sight() {
    let catalog = catalog();
    let now = session("street");
    let before = Session { as_of: Some(Utc::now()), ..now.clone() };
    let (now, before) =
        (sight(&catalog, &now, AIR).await.unwrap(), sight(&catalog, &before, AIR).await.unwrap());
    assert!(!now.alike(&before) && !now.same_rules(&before));
}

#[tokio::test]
async fn who_may_not_read_has_no_sight() {
    let catalog = catalog();
    assert!(sight(&catalog, &session("street"), PLANS).await.is_none());
    let mute = with(&session("police"), |principal| principal.permissions.clear());
    assert!(sight(&catalog, &mute, PEOPLE).await.is_none());
}

#[tokio::test]
async fn a_filter_that_asks_the_clock_moves() {
    let mut pack = city_pack();
    pack.policies.retain(|policy| policy.dataset != PEOPLE);
    pack.policies.push(Policy {
        row_filter: Some("born < now()".into()),
        ..policy("people-grown", PEOPLE, Applies::Organisation("street".into()))
    });
    pack.policies.push(Policy {
        row_filter: Some("income > 0".into()),
        ..policy("people-owner", PEOPLE, Applies::Owner)
    });
    let catalog = catalog_with(pack, rows(), options());
    let moving = sight(&catalog, &session("street"), PEOPLE).await.unwrap();
    assert!(moving.moving());
    assert!(moving.alike(&sight(&catalog, &session("street"), PEOPLE).await.unwrap()));
    assert!(!sight(&catalog, &session("police"), PEOPLE).await.unwrap().moving());
}
