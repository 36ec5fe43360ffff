//! Every step, every refusal, on both databases.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use store::testing::{Bed, beds};

use super::*;
use crate::fixtures;
use crate::records::migrations;

fn hour(hours: i64) -> DateTime<Utc> {
    crate::records::time(1_700_000_000_000_000) + TimeDelta::hours(hours)
}

/// Makes a good claim a bad one.
type Spoil = fn(&mut Claim);

fn principal(user: &str, organisation: &str, permissions: &[&str]) -> Principal {
    Principal {
        user: user.to_owned(),
        organisation: organisation.to_owned(),
        organisations: BTreeSet::from([organisation.to_owned()]),
        permissions: permissions.iter().map(|text| (*text).to_owned()).collect(),
        ..Principal::default()
    }
}

fn claimant() -> Principal {
    principal("han.meimei", "education", &["correct"])
}

fn owner() -> Principal {
    principal("li.lei", "civil_affairs", &["correct"])
}

fn claim() -> Claim {
    Claim {
        dataset: "people.resident".to_owned(),
        key: BTreeMap::from([("id_number".to_owned(), json!("510104201501011234"))]),
        field: "born".to_owned(),
        present: json!("2015-01-01"),
        proposed: json!("2015-11-01"),
        reason: "出生证明所载日期不同".to_owned(),
        evidence: vec!["blob/0123".to_owned()],
    }
}

async fn open(bed: &Bed) -> Corrections {
    bed.records.migrate(migrations()).await.unwrap();
    Corrections::open(&bed.records, &Audit::open(&bed.records), Arc::new(fixtures::pack()))
}

#[tokio::test]
async fn a_claim_is_accepted_with_a_reason_and_then_applied() {
    for bed in beds().await {
        let corrections = open(&bed).await;
        let filed = corrections.file(&claimant(), claim(), hour(0)).await.unwrap();
        assert_eq!(filed.state, State::Filed, "{}", bed.name);
        assert_eq!(filed.proposed, json!("2015-11-01"), "{}", bed.name);
        let silent = corrections.step(&owner(), filed.id, Verb::Accept, " ", hour(1)).await;
        assert!(matches!(silent, Err(CorrectionError::Claim { field: "answer", .. })));
        let accepted =
            corrections.step(&owner(), filed.id, Verb::Accept, "属实", hour(1)).await.unwrap();
        assert_eq!(accepted.state, State::Accepted, "{}", bed.name);
        let applied = corrections.step(&owner(), filed.id, Verb::Apply, "", hour(2)).await.unwrap();
        assert_eq!(applied.state, State::Applied, "{}", bed.name);

        for one in [claimant(), owner()] {
            let listed = corrections.list(&one).await.unwrap();
            assert_eq!(listed, std::slice::from_ref(&applied), "{}", bed.name);
        }
        let police = principal("x", "police", &["correct"]);
        assert!(corrections.list(&police).await.unwrap().is_empty(), "{}", bed.name);
        let written = corrections.audit.newest(10).await.unwrap();
        let actions: Vec<_> = written.iter().map(|row| row.action.as_str()).collect();
        assert_eq!(actions, ["correction.apply", "correction.accept", "correction.file"]);
        assert!(!format!("{written:?}").contains("510104201501011234"), "values stay out");
    }
}

#[tokio::test]
async fn only_the_steps_in_the_table_are_possible_and_only_for_their_parties() {
    for bed in beds().await {
        let corrections = open(&bed).await;
        let actors = [
            (claimant(), Some(Party::Requester)),
            (owner(), Some(Party::Owner)),
            (principal("stranger", "police", &["correct"]), None),
            (principal("powerless", "civil_affairs", &["query"]), None),
        ];
        let way_to = |state| match state {
            State::Filed => vec![],
            State::Accepted => vec![(owner(), Verb::Accept)],
            State::Applied => vec![(owner(), Verb::Accept), (owner(), Verb::Apply)],
            State::Refused => vec![(owner(), Verb::Refuse)],
            State::Withdrawn => vec![(claimant(), Verb::Withdraw)],
        };
        for state in State::ALL {
            for verb in Verb::ALL {
                for (actor, party) in &actors {
                    let id = corrections.file(&claimant(), claim(), hour(0)).await.unwrap().id;
                    for (principal, verb) in way_to(state) {
                        corrections.step(&principal, id, verb, "so", hour(1)).await.unwrap();
                    }
                    let expected = STEPS.iter().find(|step| {
                        step.from == state && step.verb == verb && Some(step.by) == *party
                    });
                    let went = corrections.step(actor, id, verb, "so", hour(2)).await;
                    let case = format!("{state}, {verb} by {}", actor.user);
                    match (went, expected) {
                        (Ok(now), Some(step)) => assert_eq!(now.state, step.to, "{case}"),
                        (Err(CorrectionError::Step(_)), None) => {
                            let newest = corrections.audit.newest(1).await.unwrap();
                            assert_eq!(newest[0].outcome, "denied", "{case}");
                        }
                        (went, _) => panic!("{case}: {went:?}"),
                    }
                }
            }
        }
        assert!(corrections.audit.verify(None).await.unwrap().is_sound());
    }
}

#[tokio::test]
async fn claims_that_name_no_row_or_change_nothing_are_refused() {
    for bed in beds().await {
        let corrections = open(&bed).await;
        let bad: [(&str, Spoil); 12] = [
            ("no dataset", |claim| claim.dataset = "people.none".to_owned()),
            ("no field `salary`", |claim| claim.field = "salary".to_owned()),
            // There, but unclassified: it has no name outside its owner.
            ("no field `remark`", |claim| claim.field = "remark".to_owned()),
            ("part of the key", |claim| claim.field = "id_number".to_owned()),
            ("expected a value for `id_number`", |claim| claim.key.clear()),
            ("not part of the key", |claim| {
                claim.key.insert("name".to_owned(), json!("x"));
            }),
            ("texts, numbers", |claim| {
                claim.key.insert("id_number".to_owned(), json!([1]));
            }),
            ("another value", |claim| claim.proposed = claim.present.clone()),
            ("bytes", |claim| claim.proposed = json!("x".repeat(VALUE_BYTES_MAX))),
            ("evidence", |claim| claim.evidence = vec![String::new(); EVIDENCE_ITEMS_MAX + 1]),
            ("characters", |claim| claim.evidence = vec!["x".repeat(EVIDENCE_CHARS_MAX + 1)]),
            ("reason", |claim| claim.reason.clear()),
        ];
        for (expected, spoil) in bad {
            let mut claim = claim();
            spoil(&mut claim);
            let refused =
                corrections.file(&claimant(), claim, hour(0)).await.unwrap_err().to_string();
            assert!(refused.contains(expected), "{expected}: {refused}");
        }
        let powerless = principal("x", "education", &["query"]);
        let refused = corrections.file(&powerless, claim(), hour(0)).await;
        assert!(matches!(refused, Err(CorrectionError::Step(StepError::NoPermission { .. }))));
        assert_eq!(corrections.audit.newest(1).await.unwrap()[0].outcome, "denied");
    }
}
