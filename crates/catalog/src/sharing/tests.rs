//! Every step, every refusal, on both databases.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use pack::Mask;
use store::testing::{Bed, beds, sqlite_bed};

use super::*;
use crate::fixtures;
use crate::records::migrations;
use crate::sql::Grants;

const DATASET: &str = "people.resident";

fn hour(hours: i64) -> DateTime<Utc> {
    crate::records::time(1_700_000_000_000_000) + TimeDelta::hours(hours)
}

/// Makes something good bad.
type Spoil<T> = fn(&mut T);

fn principal(user: &str, organisation: &str, permissions: &[&str]) -> Principal {
    Principal {
        user: user.to_owned(),
        organisation: organisation.to_owned(),
        ancestors: vec![organisation.to_owned()],
        organisations: BTreeSet::from([organisation.to_owned()]),
        permissions: permissions.iter().map(|text| (*text).to_owned()).collect(),
        ..Principal::default()
    }
}

fn asker() -> Principal {
    principal("han.meimei", "education", &["request_sharing"])
}

fn owner() -> Principal {
    principal("li.lei", "civil_affairs", &["grant", "request_sharing"])
}

fn ask() -> Ask {
    Ask {
        dataset: DATASET.to_owned(),
        fields: ["name", "area_code", "born"].map(str::to_owned).to_vec(),
        rows: Some("born >= DATE '2015-01-01'".to_owned()),
        purpose: "学位规划".to_owned(),
        legal_ground: "《义务教育法》第十二条".to_owned(),
        until: hour(1_000),
    }
}

async fn open(bed: &Bed) -> Sharing {
    bed.records.migrate(migrations()).await.unwrap();
    let audit = Audit::open(&bed.records);
    Sharing::open(&bed.records, &audit, Arc::new(fixtures::pack())).await.unwrap()
}

async fn actions(sharing: &Sharing) -> Vec<(String, String)> {
    let mut rows = sharing.audit.newest(100).await.unwrap();
    rows.reverse();
    rows.into_iter().map(|row| (row.action, row.outcome)).collect()
}

async fn active(sharing: &Sharing, now: DateTime<Utc>) -> usize {
    let stored = sharing.active_grants(DATASET, "education", now).await.unwrap().len();
    let kept = Grants::active(sharing, DATASET, "education", now).await.unwrap().len();
    assert_eq!(kept, stored, "what SQL is told is what stands");
    stored
}

#[tokio::test]
async fn a_request_is_granted_narrower_and_ends_by_the_clock() {
    for bed in beds().await {
        let sharing = open(&bed).await;
        let request = sharing.request(&asker(), ask(), hour(0)).await.unwrap();
        assert_eq!(request.state, State::Requested);
        assert_eq!(active(&sharing, hour(1)).await, 0, "{}: asking opens nothing", bed.name);
        let epoch = sharing.policy_epoch();

        let terms = Terms {
            fields: Some(vec!["name".to_owned(), "area_code".to_owned()]),
            row_filter: Some("in_area(area_code) -- theirs".to_owned()),
            masks: [("name".to_owned(), Mask::Redact)].into(),
            expires_at: Some(hour(500)),
        };
        let grant = sharing.grant(&owner(), request.id, terms, hour(1)).await.unwrap();
        let filter = grant.row_filter.as_deref().unwrap();
        assert!(filter.contains("born >= DATE") && filter.contains("in_area"), "{filter}");
        let contract = &sharing.pack.datasets[DATASET];
        pack::sql::plan_predicate(contract, filter, pack::sql::Scope::Session).unwrap();
        assert!(sharing.policy_epoch() > epoch, "{}", bed.name);

        let standing = sharing.active_grants(DATASET, "education", hour(2)).await.unwrap();
        assert_eq!(standing, [grant], "{}", bed.name);
        let others = sharing.active_grants(DATASET, "police", hour(2)).await.unwrap();
        assert!(others.is_empty(), "{}", bed.name);
        assert_eq!(active(&sharing, hour(500)).await, 0, "{}: the last moment", bed.name);

        let epoch = sharing.policy_epoch();
        assert_eq!(sharing.expire_due(hour(499)).await.unwrap(), 0, "{}", bed.name);
        assert_eq!(sharing.expire_due(hour(501)).await.unwrap(), 1, "{}", bed.name);
        assert_eq!(sharing.expire_due(hour(501)).await.unwrap(), 0, "{}", bed.name);
        assert!(sharing.policy_epoch() > epoch, "{}", bed.name);
        let seen = sharing.requests(&asker()).await.unwrap();
        assert_eq!(seen[0].state, State::Expired, "{}", bed.name);
        let done = |action: &str| (action.to_owned(), "done".to_owned());
        let expected = [done("sharing.request"), done("sharing.grant"), done("sharing.expire")];
        assert_eq!(actions(&sharing).await, expected, "{}", bed.name);

        // The epoch outlives the program.
        let audit = Audit::open(&bed.records);
        let reopened =
            Sharing::open(&bed.records, &audit, Arc::new(fixtures::pack())).await.unwrap();
        assert_eq!(reopened.policy_epoch(), sharing.policy_epoch(), "{}", bed.name);
    }
}

#[tokio::test]
async fn refusing_withdrawing_and_revoking_close_at_once() {
    for bed in beds().await {
        let sharing = open(&bed).await;
        let refused = sharing.request(&asker(), ask(), hour(0)).await.unwrap().id;
        sharing.refuse(&owner(), refused, "用途不明", hour(1)).await.unwrap();
        let withdrawn = sharing.request(&asker(), ask(), hour(0)).await.unwrap().id;
        sharing.withdraw(&asker(), withdrawn, hour(1)).await.unwrap();
        let epoch = sharing.policy_epoch();
        assert_eq!(epoch, 1, "{}: nothing that was granted has changed", bed.name);

        for (round, revoke) in [true, false].into_iter().enumerate() {
            let id = sharing.request(&asker(), ask(), hour(0)).await.unwrap().id;
            sharing.grant(&owner(), id, Terms::default(), hour(1)).await.unwrap();
            assert_eq!(active(&sharing, hour(2)).await, 1, "{}", bed.name);
            if revoke {
                sharing.revoke(&owner(), id, "数据外泄", hour(2)).await.unwrap();
            } else {
                sharing.withdraw(&asker(), id, hour(2)).await.unwrap();
            }
            assert_eq!(active(&sharing, hour(2)).await, 0, "{}", bed.name);
            let moved = epoch + 2 * (u64::try_from(round).unwrap() + 1);
            assert_eq!(sharing.policy_epoch(), moved, "{}", bed.name);
        }
        let mut states: Vec<_> =
            sharing.requests(&owner()).await.unwrap().iter().map(|found| found.state).collect();
        states.sort_by_key(|state| state.as_str());
        let expected = [State::Refused, State::Revoked, State::Withdrawn, State::Withdrawn];
        assert_eq!(states, expected, "{}", bed.name);
        assert!(sharing.requests(&principal("x", "police", &[])).await.unwrap().is_empty());
        assert_eq!(sharing.all_requests().await.unwrap().len(), 4, "{}", bed.name);
    }
}

/// Brings a request to a state by the shortest way.
async fn bring_to(sharing: &Sharing, state: State) -> Uuid {
    let id = sharing.request(&asker(), ask(), hour(0)).await.unwrap().id;
    if matches!(state, State::Granted | State::Revoked | State::Expired) {
        sharing.grant(&owner(), id, Terms::default(), hour(1)).await.unwrap();
    }
    match state {
        State::Requested | State::Granted => {}
        State::Refused => sharing.refuse(&owner(), id, "no", hour(2)).await.unwrap(),
        State::Withdrawn => sharing.withdraw(&asker(), id, hour(2)).await.unwrap(),
        State::Revoked => sharing.revoke(&owner(), id, "no", hour(2)).await.unwrap(),
        State::Expired => sharing.end(Actor::Clock, id, Verb::Expire, None, hour(2)).await.unwrap(),
    }
    id
}

async fn attempt(sharing: &Sharing, actor: Actor<'_>, id: Uuid, verb: Verb) -> bool {
    let done = match (verb, actor) {
        (Verb::Grant, Actor::Principal(principal)) => {
            sharing.grant(principal, id, Terms::default(), hour(3)).await.map(|_| ())
        }
        _ => sharing.end(actor, id, verb, Some("a reason"), hour(3)).await,
    };
    match done {
        Ok(()) => true,
        Err(SharingError::Step(_)) => false,
        Err(other) => panic!("{verb}: {other}"),
    }
}

#[tokio::test]
async fn only_the_steps_in_the_table_are_possible_and_only_for_their_parties() {
    for bed in beds().await {
        let sharing = open(&bed).await;
        let (asker, owner) = (asker(), owner());
        let stranger = principal("stranger", "police", &["grant", "request_sharing"]);
        let powerless = principal("powerless", "civil_affairs", &["query"]);
        let actors = [
            (Actor::Principal(&asker), Some(Party::Requester)),
            (Actor::Principal(&owner), Some(Party::Owner)),
            (Actor::Clock, Some(Party::Clock)),
            (Actor::Principal(&stranger), None),
            (Actor::Principal(&powerless), None),
        ];
        let mut denied = 0;
        for state in State::ALL {
            for verb in Verb::ALL {
                for (actor, party) in actors {
                    if verb == Verb::Grant && matches!(actor, Actor::Clock) {
                        continue; // There is no way to say it.
                    }
                    let expected = STEPS.iter().find(|step| {
                        step.from == state && step.verb == verb && Some(step.by) == party
                    });
                    let id = bring_to(&sharing, state).await;
                    let went = attempt(&sharing, actor, id, verb).await;
                    let case = format!("{state}, {verb} by {}", actor.user());
                    assert_eq!(went, expected.is_some(), "{case}");
                    let all = sharing.all_requests().await.unwrap();
                    let now = all.iter().find(|request| request.id == id).unwrap().state;
                    assert_eq!(now, expected.map_or(state, |step| step.to), "{case}");
                    denied += usize::from(!went);
                }
            }
        }
        use sea_orm::PaginatorTrait;
        let written = crate::records::audit_entry::Entity::find()
            .filter(crate::records::audit_entry::Column::Outcome.eq("denied"))
            .count(bed.records.read())
            .await
            .unwrap();
        assert_eq!(written, u64::try_from(denied).unwrap(), "every attempt is in the audit");
        assert!(sharing.audit.verify(None).await.unwrap().is_sound());
    }
}

#[tokio::test]
async fn what_cannot_be_asked_or_granted_is_refused_with_its_reason() {
    for bed in beds().await {
        let sharing = open(&bed).await;
        let asks: [(&str, Spoil<Ask>); 11] = [
            ("no dataset", |ask| ask.dataset = "people.none".to_owned()),
            ("is not shared", |ask| ask.dataset = "police.case".to_owned()),
            ("at least one field", |ask| ask.fields.clear()),
            ("no field `salary`", |ask| ask.fields.push("salary".to_owned())),
            // There, but unclassified: it has no name outside its owner.
            ("no field `remark`", |ask| ask.fields.push("remark".to_owned())),
            ("unknown field `remark`", |ask| ask.rows = Some("remark = 'x'".to_owned())),
            ("named twice", |ask| ask.fields.push("name".to_owned())),
            ("purpose", |ask| ask.purpose = " ".to_owned()),
            ("legal_ground", |ask| ask.legal_ground = "x".repeat(2_001)),
            ("rows", |ask| ask.rows = Some("true) OR (true".to_owned())),
            ("until", |ask| ask.until = hour(0)),
        ];
        for (expected, spoil) in asks {
            let mut ask = ask();
            spoil(&mut ask);
            let refused = sharing.request(&asker(), ask, hour(0)).await.unwrap_err().to_string();
            assert!(refused.contains(expected), "{expected}: {refused}");
        }
        let own = sharing.request(&owner(), ask(), hour(0)).await;
        assert!(matches!(own, Err(SharingError::OwnDataset(_))));
        let mut not_boolean = ask();
        not_boolean.rows = Some("born".to_owned());
        assert!(sharing.request(&asker(), not_boolean, hour(0)).await.is_err());

        let id = sharing.request(&asker(), ask(), hour(0)).await.unwrap().id;
        let terms: [(&str, Spoil<Terms>); 6] = [
            ("was not asked for", |terms| terms.fields = Some(vec!["id_number".to_owned()])),
            ("not granted", |terms| {
                terms.masks = [("id_number".to_owned(), Mask::Token)].into();
            }),
            ("row_filter", |terms| terms.row_filter = Some("salary > 1".to_owned())),
            // It fits by itself and not together with what was asked.
            ("too long", |terms| {
                terms.row_filter = Some(format!("area_code <> '{}'", "5".repeat(3_970)));
            }),
            ("expires_at", |terms| terms.expires_at = Some(hour(1_001))),
            ("expires_at", |terms| terms.expires_at = Some(hour(1))),
        ];
        for (expected, spoil) in terms {
            let mut terms = Terms::default();
            spoil(&mut terms);
            let refused =
                sharing.grant(&owner(), id, terms, hour(1)).await.unwrap_err().to_string();
            assert!(refused.contains(expected), "{expected}: {refused}");
        }
        assert!(sharing.refuse(&owner(), id, "", hour(1)).await.is_err(), "no reason given");
        let unknown = sharing.withdraw(&asker(), Uuid::nil(), hour(1)).await;
        assert!(matches!(unknown, Err(SharingError::UnknownRequest(_))));
        // After all of that the request stands as it stood, and can be granted.
        sharing.grant(&owner(), id, Terms::default(), hour(1)).await.unwrap();
    }
}

#[tokio::test]
async fn what_waits_for_a_decision_comes_first_and_pages_lose_nothing() {
    for bed in beds().await {
        let sharing = open(&bed).await;
        let mut ids = Vec::new();
        for at in 0..7 {
            ids.push(sharing.request(&asker(), ask(), hour(at)).await.unwrap().id);
        }
        let terms = Terms {
            fields: Some(vec!["name".to_owned()]),
            expires_at: Some(hour(100)),
            ..Terms::default()
        };
        sharing.grant(&owner(), ids[2], terms, hour(10)).await.unwrap();
        for id in &ids[3..6] {
            sharing.refuse(&owner(), *id, "no", hour(10)).await.unwrap();
        }
        let of = |order: &[usize]| -> Vec<Uuid> { order.iter().map(|at| ids[*at]).collect() };
        let expected = of(&[6, 1, 0, 5, 4, 3, 2]);
        for limit in [1, 2, 3, 7, 50] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = sharing.page(&owner(), after, limit).await.unwrap();
                seen.extend(page.items);
                let Some(next) = page.next else { break };
                // As it goes over the wire.
                after = Some(next.to_string().parse().unwrap());
            }
            let found: Vec<Uuid> = seen.iter().map(|listed| listed.request.id).collect();
            assert_eq!(found, expected, "{}: {limit} a page", bed.name);
            let granted = seen.pop().unwrap().grant.unwrap();
            assert_eq!((granted.fields, granted.expires_at), (vec!["name".to_owned()], hour(100)));
            assert!(seen.iter().all(|listed| listed.grant.is_none()), "{}", bed.name);
        }
        let whole = sharing.requests(&owner()).await.unwrap();
        assert_eq!(whole.iter().map(|request| request.id).collect::<Vec<_>>(), expected);

        // One that is decided while somebody turns the pages takes no other off them.
        let first = sharing.page(&owner(), None, 2).await.unwrap();
        sharing.refuse(&owner(), ids[1], "no", hour(11)).await.unwrap();
        let rest = sharing.page(&owner(), first.next, 50).await.unwrap();
        let rest: Vec<Uuid> = rest.items.iter().map(|listed| listed.request.id).collect();
        assert_eq!(rest, of(&[0, 5, 4, 3, 2, 1]), "{}", bed.name);
    }
}

#[tokio::test]
async fn who_hangs_up_leaves_no_step_half_taken() {
    let bed = sqlite_bed().await;
    let sharing = open(&bed).await;
    let told = Arc::new(AtomicU64::new(0));
    let heard = Arc::clone(&told);
    sharing.watch(Box::new(move |step| {
        if step.state == State::Granted {
            heard.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let owner = owner();
    for wait_ms in 0..12 {
        let id = sharing.request(&asker(), ask(), hour(0)).await.unwrap().id;
        tokio::select! {
            granted = sharing.grant(&owner, id, Terms::default(), hour(1)) => {
                granted.unwrap();
            }
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
        }
        // What was begun before the client went is committed when the records take the next.
        bed.records.write().await.unwrap().rollback().await.unwrap();
        let mut in_memory = (0, 0);
        let mut in_records = (1, 1);
        for _ in 0..1_000 {
            in_memory = (told.load(Ordering::Relaxed), sharing.policy_epoch());
            let granted = u64::try_from(active(&sharing, hour(2)).await).unwrap();
            in_records = (granted, read_epoch(bed.records.read()).await.unwrap());
            if in_memory == in_records {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(in_memory, in_records, "after {wait_ms} ms");
    }
    // An epoch that a failed commit left in memory is not given a second time.
    sharing.epoch.fetch_max(900, Ordering::AcqRel);
    let id = sharing.request(&asker(), ask(), hour(0)).await.unwrap().id;
    sharing.grant(&owner, id, Terms::default(), hour(1)).await.unwrap();
    assert_eq!(sharing.policy_epoch(), 901);
}
