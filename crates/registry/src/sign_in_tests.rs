//! Signing in, sessions, second factors and separation of duties, over Chengdu's own pack.

use chrono::TimeDelta;
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, Set};
use store::testing::{beds, sqlite_bed};
use totp_rs::{Builder, Secret};

use super::session::{SESSION_HOURS_MAX, SESSION_IDLE_MINUTES_MAX};
use super::tests::{CITY, JINJIANG, PACK, filled, hour, token, user};
use super::*;
use crate::records::{second_factor, session, user as user_row};

const PASSWORD: &str = "锦江春色来天地十个字";
const OTHER: &str = "玉垒浮云变古今十个字";

fn minutes(minutes: i64) -> DateTime<Utc> {
    hour(1) + TimeDelta::minutes(minutes)
}

async fn with_password(registry: &Registry, name: &str, roles: &[&str]) {
    let mut new = user(name, "education", roles, &[]);
    new.password = Some(PASSWORD.to_owned());
    registry.create_user("console", new, &PACK, hour(0)).await.unwrap();
}

fn origin() -> Origin {
    Origin {
        address: "10.0.0.7".to_owned(),
        agent: "a browser".to_owned(),
        method: "password".to_owned(),
        strong: false,
    }
}

async fn signed_in(registry: &Registry, name: &str, now: DateTime<Utc>) -> (SessionInfo, String) {
    registry.prove(name, PASSWORD, None, now).await.unwrap();
    registry.open_session(name, origin(), now).await.unwrap()
}

/// What the device shows at a moment.
fn code(secret: &str, now: DateTime<Utc>) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    totp.generate(u64::try_from(now.timestamp()).unwrap()).to_string()
}

fn not_authentic<T: std::fmt::Debug>(found: Result<T, RegistryError>) -> bool {
    matches!(found, Err(RegistryError::NotAuthentic))
}

#[tokio::test]
async fn a_session_lasts_while_it_is_used_and_no_longer_than_a_days_work() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        with_password(&registry, "lin", &["analyst"]).await;
        let (info, cookie) = signed_in(&registry, "lin", minutes(0)).await;
        let seat = registry.seat(&cookie, &PACK, minutes(0)).await.unwrap();
        assert_eq!((seat.principal.user.as_str(), seat.id), ("lin", info.id), "{}", bed.name);
        assert!(seat.principal.may("query") && !seat.must_enrol && !seat.second_factor);

        // Used every half of the time that it may be idle, it goes on to its last hour.
        let mut now = 0;
        while now < SESSION_HOURS_MAX * 60 - SESSION_IDLE_MINUTES_MAX {
            now += SESSION_IDLE_MINUTES_MAX / 2;
            registry.seat(&cookie, &PACK, minutes(now)).await.unwrap();
        }
        registry.seat(&cookie, &PACK, minutes(now + SESSION_IDLE_MINUTES_MAX - 1)).await.unwrap();
        assert_eq!(registry.sessions("lin", minutes(now)).await.unwrap().len(), 1, "{}", bed.name);
        let last = registry.seat(&cookie, &PACK, minutes(SESSION_HOURS_MAX * 60)).await;
        assert!(not_authentic(last), "{}: its time is over, used or not", bed.name);

        let (_, idle) = signed_in(&registry, "lin", minutes(0)).await;
        registry.seat(&idle, &PACK, minutes(SESSION_IDLE_MINUTES_MAX - 1)).await.unwrap();
        let late = minutes(2 * SESSION_IDLE_MINUTES_MAX);
        assert!(not_authentic(registry.seat(&idle, &PACK, late).await), "{}: idle", bed.name);

        let (_, left) = signed_in(&registry, "lin", minutes(0)).await;
        for minute in (0..SESSION_IDLE_MINUTES_MAX).step_by(10) {
            registry.empty_seat(&left, &PACK, minutes(minute)).await.unwrap();
        }
        let late = minutes(SESSION_IDLE_MINUTES_MAX + 1);
        let found = registry.empty_seat(&left, &PACK, late).await;
        assert!(not_authentic(found), "{}: the page asked, and nobody was there", bed.name);
        for wrong in ["", "x", &cookie[1..]] {
            assert!(not_authentic(registry.seat(wrong, &PACK, minutes(0)).await), "{}", bed.name);
        }
    }
}

#[tokio::test]
async fn a_session_ends_with_what_it_rests_on() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        with_password(&registry, "lin", &["analyst"]).await;
        let now = minutes(1);
        let open = async |cookie: &str| registry.seat(cookie, &PACK, now).await.is_ok();

        let (first, one) = signed_in(&registry, "lin", now).await;
        let (_, two) = signed_in(&registry, "lin", now).await;
        assert!(open(&one).await && open(&two).await, "{}", bed.name);
        registry.end_session("lin", first.id, now).await.unwrap();
        assert!(!open(&one).await && open(&two).await, "{}: signed out of one", bed.name);
        registry.end_session("lin", first.id, now).await.unwrap();

        let (kept, three) = signed_in(&registry, "lin", now).await;
        let wrong = registry.change_password("lin", OTHER, OTHER, Some(kept.id), now).await;
        assert!(not_authentic(wrong), "{}: the old one is asked for", bed.name);
        registry.change_password("lin", PASSWORD, OTHER, Some(kept.id), now).await.unwrap();
        assert!(!open(&two).await && open(&three).await, "{}: all others end", bed.name);
        assert!(not_authentic(registry.prove("lin", PASSWORD, None, now).await));
        registry.prove("lin", OTHER, None, now).await.unwrap();

        let reset = Change::Password(Some(PASSWORD.to_owned()));
        registry.change_user("console", "lin", reset, &PACK).await.unwrap();
        assert!(!open(&three).await, "{}: somebody else set another", bed.name);
        let (_, four) = signed_in(&registry, "lin", now).await;
        registry.change_user("console", "lin", Change::Active(false), &PACK).await.unwrap();
        assert!(!open(&four).await, "{}: disabled", bed.name);
        registry.change_user("console", "lin", Change::Active(true), &PACK).await.unwrap();
        assert!(!open(&four).await, "{}: and it does not come back", bed.name);

        // Nowhere is a cookie, or a password, to be read.
        let rows = session::Entity::find().all(bed.records.read()).await.unwrap();
        let users = user_row::Entity::find().all(bed.records.read()).await.unwrap();
        let kept = format!("{rows:?}{users:?}{:?}", registry.audit.newest(100).await.unwrap());
        for secret in [&one, &two, &three, &four, PASSWORD, OTHER] {
            assert!(!kept.contains(secret), "{}", bed.name);
        }
    }
}

#[tokio::test]
async fn new_rights_hold_with_the_next_request() {
    let bed = sqlite_bed().await;
    let registry = filled(&bed).await;
    with_password(&registry, "lin", &["analyst"]).await;
    let now = minutes(1);
    let (_, cookie) = signed_in(&registry, "lin", now).await;
    let (_, text) = registry.create_token("lin", token("lin", None, hour(9)), now).await.unwrap();
    let may = async |permission: &str| {
        let seat = registry.seat(&cookie, &PACK, now).await.unwrap();
        let bearer = registry.bearer(&text, &PACK, now).await.unwrap();
        (seat.principal.may(permission), bearer.may(permission))
    };
    assert_eq!(may("scenario").await, (true, true));
    let change = Change::Roles(vec!["reader".to_owned()]);
    registry.change_user("console", "lin", change, &PACK).await.unwrap();
    assert_eq!(may("scenario").await, (false, false));
    assert_eq!(may("query").await, (true, true));
}

#[tokio::test]
async fn a_password_of_before_is_hashed_when_it_is_first_shown() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        with_password(&registry, "lin", &["reader"]).await;
        let row = async || {
            user_row::Entity::find_by_id("lin").one(bed.records.read()).await.unwrap().unwrap()
        };
        let mut old = row().await.into_active_model();
        old.password_hash = Set(None);
        let txn = bed.records.write().await.unwrap();
        old.update(&*txn).await.unwrap();
        txn.commit().await.unwrap();

        assert!(not_authentic(registry.check_password("lin", OTHER).await), "{}", bed.name);
        assert_eq!(row().await.password_hash, None, "{}: not of a wrong one", bed.name);
        registry.check_password("lin", PASSWORD).await.unwrap();
        let hash = row().await.password_hash.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}: {hash}", bed.name);
        registry.check_password("lin", PASSWORD).await.unwrap();
        assert_eq!(row().await.password_hash.as_ref(), Some(&hash), "{}", bed.name);
        assert!(not_authentic(registry.check_password("lin", OTHER).await), "{}", bed.name);
    }
}

#[tokio::test]
async fn no_code_is_taken_twice() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        with_password(&registry, "lin", &["reader"]).await;
        let made = registry.enrol_second_factor("lin", "Shujin", minutes(0)).await.unwrap();
        registry.prove("lin", PASSWORD, None, minutes(0)).await.expect("not confirmed: not asked");
        let wanted =
            |found: Result<(), RegistryError>| matches!(found, Err(RegistryError::SecondFactor));
        let wrong = registry.confirm_second_factor("lin", "000000", minutes(0)).await;
        assert!(wanted(wrong), "{}", bed.name);
        let first = code(&made.secret, minutes(0));
        registry.confirm_second_factor("lin", &first, minutes(0)).await.unwrap();

        let prove =
            async |code: Option<&str>, now| registry.prove("lin", PASSWORD, code, now).await;
        assert!(wanted(prove(None, minutes(0)).await), "{}", bed.name);
        assert!(wanted(prove(Some(&first), minutes(0)).await), "{}: it was shown", bed.name);
        let next = code(&made.secret, minutes(1));
        let spaced = format!("{} {}", &next[..3], &next[3..]);
        prove(Some(&spaced), minutes(1)).await.unwrap();
        assert!(wanted(prove(Some(&next), minutes(1)).await), "{}: twice", bed.name);
        assert!(wanted(prove(Some(&next), minutes(9)).await), "{}: late", bed.name);
        let right = code(&made.secret, minutes(9));
        let wrong = registry.prove("lin", OTHER, Some(&right), minutes(9)).await;
        assert!(not_authentic(wrong), "{}: a code is no password", bed.name);
        assert!(registry.user("lin").await.unwrap().second_factor, "{}", bed.name);
        let again = registry.enrol_second_factor("lin", "Shujin", minutes(9)).await;
        assert!(matches!(again, Err(RegistryError::HasSecondFactor)), "{}", bed.name);

        let rows = second_factor::Entity::find().all(bed.records.read()).await.unwrap();
        let kept = format!("{rows:?}{:?}", registry.audit.newest(100).await.unwrap());
        assert!(!kept.contains(&made.secret), "{}: sealed, and not in the audit", bed.name);

        registry.remove_second_factor("lin", &right, &PACK, minutes(9)).await.unwrap();
        prove(None, minutes(9)).await.unwrap();
    }
}

#[tokio::test]
async fn a_role_can_ask_for_a_second_factor() {
    let bed = sqlite_bed().await;
    let registry = filled(&bed).await;
    with_password(&registry, "wu", &["administrator"]).await;
    let (_, cookie) = signed_in(&registry, "wu", minutes(0)).await;
    let seat = async |cookie: &str| registry.seat(cookie, &PACK, minutes(0)).await.unwrap();
    assert!(seat(&cookie).await.must_enrol);
    // A provider may have asked for one.
    let strong = Origin { method: "city".to_owned(), strong: true, ..origin() };
    let (_, by_provider) = registry.open_session("wu", strong, minutes(0)).await.unwrap();
    assert!(!seat(&by_provider).await.must_enrol);

    let made = registry.enrol_second_factor("wu", "Shujin", minutes(0)).await.unwrap();
    assert!(seat(&cookie).await.must_enrol, "not before a code was shown");
    let shown = code(&made.secret, minutes(0));
    registry.confirm_second_factor("wu", &shown, minutes(0)).await.unwrap();
    let seated = seat(&cookie).await;
    assert!(!seated.must_enrol && seated.second_factor);
    let next = code(&made.secret, minutes(1));
    let removed = registry.remove_second_factor("wu", &next, &PACK, minutes(1)).await;
    assert!(matches!(removed, Err(RegistryError::Duty(_))), "{removed:?}");
    registry.change_user("console", "wu", Change::NoSecondFactor, &PACK).await.unwrap();
    for cookie in [&cookie, &by_provider] {
        let open = registry.seat(cookie, &PACK, minutes(1)).await;
        assert!(not_authentic(open), "whoever has the lost device may sit there");
    }
    let (_, cookie) = signed_in(&registry, "wu", minutes(0)).await;
    assert!(seat(&cookie).await.must_enrol, "another is enrolled first");
}

#[tokio::test]
async fn tokens_of_before_carry_no_right_that_asks_for_a_second_factor() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        with_password(&registry, "wu", &["reader"]).await;
        let now = minutes(1);
        let made = async || {
            let made = registry.create_token("wu", token("wu", None, hour(9)), now).await;
            made.unwrap().1
        };
        let good = async |text: &str| registry.bearer(text, &PACK, now).await.is_ok();
        let roles = async |roles: &[&str]| {
            let roles = Change::Roles(roles.iter().map(|&role| role.to_owned()).collect());
            registry.change_user("console", "wu", roles, &PACK).await.unwrap();
        };
        let first = made().await;
        assert!(good(&first).await, "{}", bed.name);
        roles(&["analyst"]).await;
        assert!(good(&first).await, "{}: this one asks for nothing", bed.name);
        roles(&["analyst", "administrator"]).await;
        assert!(!good(&first).await, "{}", bed.name);
        let second = made().await;
        roles(&["administrator"]).await;
        assert!(good(&second).await, "{}: it was a holder's when it was made", bed.name);

        let reset = Change::Password(Some(OTHER.to_owned()));
        registry.change_user("console", "wu", reset, &PACK).await.unwrap();
        assert!(!good(&second).await, "{}: another's password is no longer the owner's", bed.name);
        let told = registry.audit.newest(20).await.unwrap();
        let told: Vec<_> = told.iter().filter(|row| row.action == "token.revoke").collect();
        assert_eq!(told.len(), 2, "{}", bed.name);
        assert!(told.iter().all(|row| row.actor == "console"), "{}", bed.name);
    }
}

#[tokio::test]
async fn a_user_has_so_many_sessions() {
    let bed = sqlite_bed().await;
    let registry = filled(&bed).await;
    with_password(&registry, "lin", &["reader"]).await;
    let mut cookies = Vec::new();
    for number in 0..25 {
        let opened = registry.open_session("lin", origin(), minutes(number)).await.unwrap();
        cookies.push(opened.1);
    }
    let now = minutes(25);
    assert_eq!(registry.sessions("lin", now).await.unwrap().len(), 20);
    assert!(not_authentic(registry.seat(&cookies[0], &PACK, now).await), "the oldest gave way");
    registry.seat(&cookies[24], &PACK, now).await.unwrap();
    let nobody = registry.open_session("nobody", origin(), now).await;
    assert!(not_authentic(nobody));
}

#[tokio::test]
async fn refused_sign_ins_are_written_down_without_what_may_be_a_password() {
    let bed = sqlite_bed().await;
    let registry = filled(&bed).await;
    with_password(&registry, "lin", &["reader"]).await;
    registry.note_refused_sign_in("lin", "10.0.0.7", "wrong password").await.unwrap();
    registry.note_refused_sign_in(PASSWORD, "10.0.0.7", "wrong password").await.unwrap();
    let written = registry.audit.newest(2).await.unwrap();
    assert_eq!(written[1].actor, "lin");
    assert_eq!(written[1].outcome, "denied");
    assert_eq!(written[0].actor, "(unknown)");
    assert!(!format!("{written:?}").contains(PASSWORD));
}

#[tokio::test]
async fn nobody_has_two_of_the_three_duties() {
    let bed = sqlite_bed().await;
    let registry = filled(&bed).await;
    let pairs = [
        ["administrator", "security_officer"],
        ["auditor", "administrator"],
        ["security_officer", "auditor"],
    ];
    for pair in pairs {
        let both = user("sun", "chengdu", &pair, &[]);
        let refused = registry.create_user("console", both, &PACK, hour(1)).await.unwrap_err();
        assert!(refused.to_string().contains("at once"), "{refused}");
    }
    let one = user("sun", "chengdu", &["auditor", "analyst"], &[]);
    registry.create_user("console", one, &PACK, hour(1)).await.unwrap();
    let roles = pairs[1].iter().map(|role| (*role).to_owned()).collect();
    let refused = registry.change_user("console", "sun", Change::Roles(roles), &PACK).await;
    assert!(matches!(refused, Err(RegistryError::Input { field: "roles", .. })));

    // A pack that parts roles later closes them to whoever has them already.
    let mut later = PACK.clone();
    let role = later.roles.iter_mut().find(|role| role.id == "auditor").unwrap();
    role.excludes.insert("analyst".to_owned());
    let role = later.roles.iter_mut().find(|role| role.id == "analyst").unwrap();
    role.excludes.insert("auditor".to_owned());
    let principal = registry.principal("sun", &later).await.unwrap();
    assert!(principal.roles.is_empty() && principal.permissions.is_empty());
}

/// With no areas listed a user works in all that the organisation answers for.
#[tokio::test]
async fn nobody_gives_an_area_by_listing_none() {
    let bed = sqlite_bed().await;
    let registry = filled(&bed).await;
    for new in [
        user("sun", "chengdu", &["security_officer"], &[JINJIANG]),
        user("lin", "education", &["reader"], &[JINJIANG]),
        user("zhao", "education", &["reader"], &[]),
    ] {
        registry.create_user("console", new, &PACK, hour(1)).await.unwrap();
    }
    let sun = registry.principal("sun", &PACK).await.unwrap();
    let change = async |name: &str, change: Change| {
        registry.change_user_as(&sun, name, vec![change], &PACK).await
    };
    let outside = |found: Result<UserInfo, RegistryError>| match found {
        Err(RegistryError::Duty(reason)) => reason.contains(CITY),
        other => panic!("{other:?}"),
    };
    let wide = user("gu", "education", &["reader"], &[]);
    assert!(outside(registry.create_user_as(&sun, wide, &PACK, hour(1)).await));
    assert!(outside(change("lin", Change::Areas(Vec::new())).await));
    let away = Change::Organisation("civil_affairs".to_owned());
    assert!(outside(change("lin", away).await), "which empties the areas");
    // What somebody had before they keep.
    change("zhao", Change::Roles(vec!["analyst".to_owned()])).await.unwrap();
    let narrow = user("gu", "education", &["reader"], &[JINJIANG]);
    registry.create_user_as(&sun, narrow, &PACK, hour(1)).await.unwrap();
}

/// A security officer of the whole city and one of a district, and whom they may not touch.
#[tokio::test]
async fn a_manager_keeps_to_what_is_theirs() {
    let bed = sqlite_bed().await;
    let registry = filled(&bed).await;
    let district = PACK.organisations.iter().find(|found| found.area == JINJIANG).unwrap();
    for new in [
        user("sun", "chengdu", &["security_officer"], &[]),
        user("qian", &district.id, &["security_officer"], &[]),
        user("wu", "data", &["administrator"], &[]),
        user("lin", &district.id, &["reader"], &[]),
        user("zhao", "education", &["reader"], &[]),
        user("ke", &district.id, &["auditor"], &[]),
    ] {
        registry.create_user("console", new, &PACK, hour(1)).await.unwrap();
    }
    let sun = registry.principal("sun", &PACK).await.unwrap();
    let qian = registry.principal("qian", &PACK).await.unwrap();
    let roles = |roles: &[&str]| Change::Roles(roles.iter().map(|&role| role.to_owned()).collect());
    let refused = async |manager: &Principal, name: &str, change: Change| match registry
        .change_user_as(manager, name, vec![change], &PACK)
        .await
    {
        Err(RegistryError::Duty(reason)) => reason,
        other => panic!("{} changed {name}: {other:?}", manager.user),
    };
    assert!(refused(&sun, "sun", roles(&["reader"])).await.contains("their own"));
    assert!(refused(&qian, "qian", Change::Active(true)).await.contains("their own"));
    assert!(refused(&qian, "zhao", Change::Active(false)).await.contains("outside"));
    assert!(refused(&qian, "wu", Change::Active(false)).await.contains("outside"));
    assert!(refused(&qian, "lin", roles(&["auditor"])).await.contains("whole city"));
    let away = Change::Organisation("education".to_owned());
    assert!(refused(&qian, "lin", away).await.contains("outside"));
    let new = user("li", "education", &["reader"], &[]);
    let made = registry.create_user_as(&qian, new, &PACK, hour(1)).await;
    assert!(matches!(made, Err(RegistryError::Duty(_))));

    let all = vec![roles(&["analyst"]), Change::Areas(vec![JINJIANG.to_owned()])];
    let info = registry.change_user_as(&qian, "lin", all, &PACK).await.unwrap();
    assert_eq!((info.roles, info.areas), (vec!["analyst".to_owned()], vec![JINJIANG.to_owned()]));
    registry.change_user_as(&sun, "wu", vec![Change::Active(false)], &PACK).await.unwrap();
    let new = user("zhou", "audit_office", &["auditor"], &[CITY]);
    registry.create_user_as(&sun, new, &PACK, hour(1)).await.unwrap();
    let may = async |manager: &Principal, name: &str| {
        registry.may_manage(manager, name, &PACK).await.unwrap()
    };
    assert!(may(&sun, "zhou").await && may(&sun, "ke").await);
    assert!(may(&qian, "lin").await);
    assert!(!may(&qian, "zhou").await && !may(&qian, "ke").await, "outside; one of the duties");
    assert!(!may(&qian, "nobody").await && !may(&sun, "nobody").await);

    // One change of two is refused, and the other is not made.
    let half = vec![Change::Active(false), roles(&["no such role"])];
    assert!(registry.change_user_as(&sun, "zhao", half, &PACK).await.is_err());
    assert!(registry.user("zhao").await.unwrap().active);
}
