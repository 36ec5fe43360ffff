//! The registry over Chengdu's own pack, on both databases.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::TimeDelta;
use datafusion::prelude::SessionContext;
use pack::{FieldType, Pack};
use store::testing::{Bed, beds, sqlite_bed};

use super::*;

pub(crate) const CITY: &str = "510100000000";
pub(crate) const JINJIANG: &str = "510104000000";
const STREET: &str = "510104017000";

pub(crate) static PACK: LazyLock<Pack> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
    pack::load(&dir).unwrap_or_else(|faults| panic!("{faults}"))
});

/// A time that every test may add hours to.
pub(crate) fn hour(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_700_000_000_000_000).unwrap() + TimeDelta::hours(hours)
}

async fn empty(bed: &Bed) -> Registry {
    let mut all = catalog::records::migrations();
    all.extend(migrations());
    bed.records.migrate(all).await.unwrap();
    let audit = Audit::open(&bed.records);
    Registry::open(&bed.records, &audit).await.unwrap().with_secret(b"a folder's secret")
}

pub(crate) async fn filled(bed: &Bed) -> Registry {
    let registry = empty(bed).await;
    registry.synchronise(&PACK, hour(0)).await.unwrap();
    registry
}

async fn rows(registry: &Registry, dataset: &str, as_of: Option<DateTime<Utc>>) -> RecordBatch {
    let table = registry.table(&PACK.datasets[dataset], as_of).await.unwrap();
    let frame = SessionContext::new().read_table(table).unwrap();
    let batches = frame.collect().await.unwrap();
    let schema = PACK.datasets[dataset].arrow_schema();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn texts<'a>(batch: &'a RecordBatch, column: &str) -> Vec<&'a str> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(Option::unwrap_or_default).collect()
}

/// The pack with one organisation renamed, one gone and one new.
fn reformed() -> Pack {
    let mut pack = PACK.clone();
    let place = |id: &str| PACK.organisations.iter().position(|found| found.id == id).unwrap();
    pack.organisations[place("education")].name.zh = "成都市教育和科学局".to_owned();
    let gone = place("science_technology");
    let mut new = pack.organisations.remove(gone);
    new.id = "data_science".to_owned();
    new.name.zh = "成都市数据局（新）".to_owned();
    pack.organisations.push(new);
    pack
}

pub(crate) fn user(name: &str, organisation: &str, roles: &[&str], areas: &[&str]) -> NewUser {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    NewUser {
        name: name.to_owned(),
        organisation: organisation.to_owned(),
        roles: own(roles),
        areas: own(areas),
        password: None,
    }
}

pub(crate) fn token(user: &str, scope: Option<&[&str]>, expires_at: DateTime<Utc>) -> NewToken {
    let scope = scope.map(|scope| scope.iter().map(|text| (*text).to_owned()).collect());
    NewToken { user: user.to_owned(), label: "a test".to_owned(), scope, expires_at }
}

#[tokio::test]
async fn the_pack_is_taken_in_once_and_served_in_the_contracts_schema() {
    for bed in beds().await {
        let registry = empty(&bed).await;
        let summary = registry.synchronise(&PACK, hour(0)).await.unwrap();
        let all = PACK.organisations.len() + PACK.areas.len();
        assert_eq!(summary, Summary { opened: all, changed: 0, closed: 0 }, "{}", bed.name);
        let again = registry.synchronise(&PACK, hour(1)).await.unwrap();
        assert_eq!(again, Summary::default(), "{}", bed.name);

        let areas = rows(&registry, register::AREAS, None).await;
        assert_eq!(areas.num_rows(), PACK.areas.len(), "{}", bed.name);
        let codes = texts(&areas, "code");
        let at = codes.iter().position(|code| *code == JINJIANG).unwrap();
        assert_eq!(texts(&areas, "name")[at], "锦江区", "{}", bed.name);
        assert_eq!(texts(&areas, "level")[at], "district", "{}", bed.name);
        assert_eq!(texts(&areas, "parent")[at], CITY, "{}", bed.name);
        let organisations = rows(&registry, register::ORGANISATIONS, None).await;
        assert_eq!(organisations.num_rows(), PACK.organisations.len(), "{}", bed.name);

        // A registry that is opened anew knows what the last one took in.
        let reopened = Registry::open(&bed.records, &Audit::open(&bed.records)).await.unwrap();
        assert!(reopened.tree().has_area(STREET), "{}", bed.name);
    }
}

#[tokio::test]
async fn a_reform_is_seen_from_its_moment_on_and_not_before() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        let before = rows(&registry, register::ORGANISATIONS, None).await;
        let version = registry.version();
        let taken_in = registry.changed_at(register::ORGANISATIONS).await.unwrap();
        assert_eq!(taken_in, Some(hour(0)), "{}", bed.name);
        let summary = registry.synchronise(&reformed(), hour(10)).await.unwrap();
        let changed = registry.changed_at(register::ORGANISATIONS).await.unwrap();
        assert_eq!(changed, Some(hour(10)), "{}", bed.name);
        let areas = registry.changed_at(register::AREAS).await.unwrap();
        assert_eq!(areas, Some(hour(0)), "{}: no area was reformed", bed.name);
        assert_eq!(summary, Summary { opened: 1, changed: 1, closed: 1 }, "{}", bed.name);
        assert!(registry.version() > version, "{}", bed.name);

        let then = rows(&registry, register::ORGANISATIONS, Some(hour(9))).await;
        assert_eq!(then, before, "{}: the past is as it was", bed.name);
        for now in [None, Some(hour(10))] {
            let now = rows(&registry, register::ORGANISATIONS, now).await;
            let ids = texts(&now, "id");
            assert_eq!(now.num_rows(), before.num_rows(), "{}", bed.name);
            assert!(
                ids.contains(&"data_science") && !ids.contains(&"science_technology"),
                "{}",
                bed.name
            );
            let education = ids.iter().position(|id| *id == "education").unwrap();
            assert_eq!(texts(&now, "name")[education], "成都市教育和科学局", "{}", bed.name);
        }
        let nothing = rows(&registry, register::ORGANISATIONS, Some(hour(-1))).await;
        assert_eq!(nothing.num_rows(), 0, "{}: before anything was recorded", bed.name);

        // And back again: a third row, not the first one revived.
        registry.synchronise(&PACK, hour(20)).await.unwrap();
        let between = rows(&registry, register::ORGANISATIONS, Some(hour(15))).await;
        assert!(texts(&between, "id").contains(&"data_science"), "{}", bed.name);
        let now = rows(&registry, register::ORGANISATIONS, None).await;
        assert_eq!(texts(&now, "id"), texts(&before, "id"), "{}", bed.name);
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_leaves_one_row_in_force() {
    let bed = sqlite_bed().await;
    let registry = filled(&bed).await;
    registry.synchronise(&reformed(), hour(-5)).await.unwrap();
    let now = rows(&registry, register::ORGANISATIONS, None).await;
    let ids: BTreeSet<&str> = texts(&now, "id").into_iter().collect();
    assert_eq!(ids.len(), now.num_rows());
    assert!(ids.contains("data_science"));
}

#[tokio::test]
async fn validity_and_geometry_reach_a_contract_that_asks_for_them() {
    let bed = sqlite_bed().await;
    let registry = empty(&bed).await;
    let mut pack = PACK.clone();
    pack.areas[0].geometry_wkt = Some("POINT (104.0648 30.6586)".to_owned());
    registry.synchronise(&pack, hour(0)).await.unwrap();
    pack.areas[0].name.en = "Chengdu City".to_owned();
    registry.synchronise(&pack, hour(7)).await.unwrap();

    let mut contract = pack.datasets[register::AREAS].clone();
    let mut since = contract.field("name_en").unwrap().clone();
    since.name = "valid_from".to_owned();
    since.ty = FieldType::Timestamp;
    contract.fields.push(since);
    let table = registry.table(&contract, None).await.unwrap();
    let batches = SessionContext::new().read_table(table).unwrap().collect().await.unwrap();
    let first = &batches[0];
    assert_eq!(texts(first, "code")[0], CITY);
    let since = first.column_by_name("valid_from").unwrap();
    let since = since.as_primitive::<TimestampMicrosecondType>();
    assert_eq!(since.value(0), hour(7).timestamp_micros());
    assert!(since.is_null(1), "what was there at the first synchronisation has no beginning");
    let shape = first.column_by_name("geometry").unwrap().as_binary::<i32>();
    let mut wkb = vec![1, 1, 0, 0, 0];
    wkb.extend_from_slice(&104.0648_f64.to_le_bytes());
    wkb.extend_from_slice(&30.6586_f64.to_le_bytes());
    assert_eq!(shape.value(0), wkb);

    let mut strange = contract.clone();
    strange.fields[0].name = "colour".to_owned();
    let refused = registry.table(&strange, Some(hour(8))).await.err().unwrap().to_string();
    assert!(refused.contains("colour"), "{refused}");
    pack.areas[0].geometry_wkt = Some("POINT (104.0648".to_owned());
    let refused = registry.synchronise(&pack, hour(9)).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Geometry { code, .. } if code == CITY));
}

#[tokio::test]
async fn a_principal_has_its_scopes_resolved() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        let new = user("li.lei", "chengdu", &["data_steward", "auditor"], &[]);
        registry.create_user("console", new, &PACK, hour(1)).await.unwrap();
        let mayor = registry.principal("li.lei", &PACK).await.unwrap();
        assert_eq!(mayor.ancestors, ["chengdu"], "{}", bed.name);
        assert!(mayor.organisations.contains("education"), "{}", bed.name);
        assert_eq!(mayor.area_prefixes, ["5101"], "{}", bed.name);
        assert!(mayor.may("grant") && mayor.may("audit") && !mayor.may("manage_users"));

        let new = user("han.meimei", "education", &["reader"], &[JINJIANG, STREET]);
        registry.create_user("console", new, &PACK, hour(1)).await.unwrap();
        let officer = registry.principal("han.meimei", &PACK).await.unwrap();
        assert_eq!(officer.ancestors, ["education", "chengdu"], "{}", bed.name);
        assert_eq!(officer.organisations, BTreeSet::from(["education".to_owned()]));
        assert_eq!(officer.area_prefixes, ["510104", "510104017"], "{}", bed.name);

        // A role that has left the pack gives nothing.
        let mut pack = PACK.clone();
        pack.roles.retain(|role| role.id != "reader");
        let officer = registry.principal("han.meimei", &pack).await.unwrap();
        assert!(officer.permissions.is_empty(), "{}", bed.name);
    }
}

#[tokio::test]
async fn users_of_a_dissolved_organisation_go_over_to_its_one_successor() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        let new = user("wei.hua", "science_technology", &["reader"], &[]);
        registry.create_user("console", new, &PACK, hour(1)).await.unwrap();
        registry.synchronise(&reformed(), hour(2)).await.unwrap();
        let lost = registry.principal("wei.hua", &PACK).await;
        assert!(matches!(lost, Err(RegistryError::UnknownOrganisation(_))), "{}", bed.name);

        let succession = |successor: &str| Succession {
            kind: ThingKind::Organisation,
            predecessor: "science_technology".to_owned(),
            successor: successor.to_owned(),
            valid_from: hour(2),
        };
        registry.record_succession("console", succession("data_science"), hour(3)).await.unwrap();
        let heir = registry.principal("wei.hua", &PACK).await.unwrap();
        assert_eq!(heir.ancestors, ["data_science", "chengdu"], "{}", bed.name);

        registry.record_succession("console", succession("education"), hour(4)).await.unwrap();
        let both = registry.successors(ThingKind::Organisation, "science_technology").await;
        assert_eq!(both.unwrap(), ["data_science", "education"], "{}", bed.name);
        assert!(registry.principal("wei.hua", &PACK).await.is_err(), "{}: a split", bed.name);
        let refused = registry.record_succession("console", succession("mars"), hour(5)).await;
        assert!(matches!(refused, Err(RegistryError::UnknownOrganisation(_))), "{}", bed.name);
    }
}

#[tokio::test]
async fn passwords_are_checked_and_never_kept() {
    const PASSWORD: &str = "correct horse 电池";
    for bed in beds().await {
        let registry = filled(&bed).await;
        let mut new = user("li.lei", "education", &["reader"], &[]);
        new.password = Some(PASSWORD.to_owned());
        registry.create_user("console", new, &PACK, hour(1)).await.unwrap();
        registry.check_password("li.lei", PASSWORD).await.unwrap();
        for (name, password) in [("li.lei", "correct horse"), ("nobody", PASSWORD)] {
            let refused = registry.check_password(name, password).await;
            assert!(matches!(refused, Err(RegistryError::NotAuthentic)), "{}: {name}", bed.name);
        }
        assert!(registry.verifier("li.lei").await.unwrap().unwrap().is_of(PASSWORD));
        assert_eq!(registry.verifier("nobody").await.unwrap(), None);

        let change = Change::Active(false);
        registry.change_user("console", "li.lei", change, &PACK).await.unwrap();
        assert!(registry.check_password("li.lei", PASSWORD).await.is_err(), "{}", bed.name);
        let refused = registry.principal("li.lei", &PACK).await;
        assert!(matches!(refused, Err(RegistryError::Disabled(_))), "{}", bed.name);

        let change = Change::Password(Some("too short".to_owned()));
        let refused = registry.change_user("console", "li.lei", change, &PACK).await;
        assert!(matches!(refused, Err(RegistryError::Input { field: "password", .. })));
        let written = registry.audit.newest(100).await.unwrap();
        assert!(!format!("{written:?}").contains(PASSWORD), "{}", bed.name);
    }
}

#[tokio::test]
async fn a_token_stands_for_its_user_until_it_ends() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        let new = user("sensor.gateway", "education", &["data_steward"], &[]);
        registry.create_user("console", new, &PACK, hour(1)).await.unwrap();
        let wide = token("sensor.gateway", None, hour(100));
        let (wide, wide_text) = registry.create_token("li.lei", wide, hour(1)).await.unwrap();
        let narrow = token("sensor.gateway", Some(&["import", "administer"]), hour(50));
        let (narrow, narrow_text) = registry.create_token("li.lei", narrow, hour(2)).await.unwrap();
        assert_ne!(wide_text, narrow_text);

        let all = registry.principal_of_token(&wide_text, &PACK, hour(2)).await.unwrap();
        assert!(all.may("import") && all.may("query"), "{}", bed.name);
        let some = registry.principal_of_token(&narrow_text, &PACK, hour(2)).await.unwrap();
        let permissions: Vec<_> = some.permissions.iter().collect();
        assert_eq!(permissions, ["import"], "{}: no scope widens a user's rights", bed.name);

        let late = registry.principal_of_token(&narrow_text, &PACK, hour(50)).await;
        assert!(matches!(late, Err(RegistryError::NotAuthentic)), "{}: expired", bed.name);
        registry.revoke_token("li.lei", wide.id, hour(3)).await.unwrap();
        registry.revoke_token("li.lei", wide.id, hour(4)).await.unwrap();
        let revoked = registry.principal_of_token(&wide_text, &PACK, hour(5)).await;
        assert!(matches!(revoked, Err(RegistryError::NotAuthentic)), "{}: revoked", bed.name);
        let listed = registry.tokens("sensor.gateway", hour(3)).await.unwrap();
        let told: Vec<_> = listed.iter().map(|info| (info.id, info.revoked_at)).collect();
        let expected = [(narrow.id, None), (wide.id, Some(hour(3)))];
        assert_eq!(told, expected, "{}: the newest first", bed.name);

        let mut forged = narrow_text.clone();
        forged.replace_range(forged.len() - 2.., "xx");
        for text in ["", "shujin_", &forged, &narrow_text[7..]] {
            let refused = registry.principal_of_token(text, &PACK, hour(2)).await;
            assert!(matches!(refused, Err(RegistryError::NotAuthentic)), "{}: {text}", bed.name);
        }
        // The text is nowhere: not in the table, not in the audit.
        let kept = format!("{:?}", token_rows(&bed).await);
        let written = format!("{:?}", registry.audit.newest(100).await.unwrap());
        for text in [&wide_text, &narrow_text] {
            assert!(!kept.contains(&text[7..]) && !written.contains(&text[7..]), "{}", bed.name);
        }

        let change = Change::Active(false);
        registry.change_user("console", "sensor.gateway", change, &PACK).await.unwrap();
        let disabled = registry.principal_of_token(&narrow_text, &PACK, hour(2)).await;
        assert!(matches!(disabled, Err(RegistryError::NotAuthentic)), "{}", bed.name);
    }
}

#[tokio::test]
async fn a_list_of_tokens_has_an_end_and_all_that_are_good() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        let new = user("sensor.gateway", "education", &["reader"], &[]);
        registry.create_user("console", new, &PACK, hour(0)).await.unwrap();
        let make = async |made: i64, ends: i64| {
            let new = token("sensor.gateway", None, hour(ends));
            registry.create_token("console", new, hour(made)).await.unwrap().0.id
        };
        let lasting = make(1, 900).await;
        let mut newest = lasting;
        for made in 2..=112 {
            newest = make(made, made + 1).await;
        }
        let listed = registry.tokens("sensor.gateway", hour(200)).await.unwrap();
        assert_eq!(listed.len(), 101, "{}", bed.name);
        assert_eq!(listed[0].id, newest, "{}", bed.name);
        assert_eq!(listed[100].id, lasting, "{}: the oldest, and good still", bed.name);
    }
}

async fn token_rows(bed: &Bed) -> Vec<records::token::Model> {
    use sea_orm::EntityTrait;
    records::token::Entity::find().all(bed.records.read()).await.unwrap()
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_reason() {
    let bed = sqlite_bed().await;
    let registry = filled(&bed).await;
    let good = user("li.lei", "education", &["reader"], &[]);
    registry.create_user("console", good.clone(), &PACK, hour(1)).await.unwrap();
    let twice = registry.create_user("console", good, &PACK, hour(1)).await;
    assert!(matches!(twice, Err(RegistryError::UserExists(name)) if name == "li.lei"));

    let district = PACK.organisations.iter().find(|found| found.area == JINJIANG).unwrap();
    let bad = [
        (user("Li Lei", "education", &[], &[]), "name"),
        (user("-x", "education", &[], &[]), "name"),
        (user("x", "mars", &[], &[]), "no organisation `mars`"),
        (user("x", "education", &["emperor"], &[]), "no role `emperor`"),
        (user("x", "education", &[], &["999999999999"]), "no area `999999999999`"),
        (user("x", &district.id, &[], &[CITY]), "lies outside"),
    ];
    for (new, expected) in bad {
        let refused = registry.create_user("console", new, &PACK, hour(1)).await.unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    let bad = [
        (token("li.lei", Some(&["fly"]), hour(9)), "no `fly`"),
        (token("li.lei", None, hour(1)), "expires_at"),
        (token("li.lei", None, hour(24 * 1_000)), "expires_at"),
        (token("nobody", None, hour(9)), "no user `nobody`"),
        (NewToken { label: "  ".to_owned(), ..token("li.lei", None, hour(9)) }, "label"),
    ];
    for (new, expected) in bad {
        let refused = registry.create_token("console", new, hour(1)).await.unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    assert!(registry.users().await.unwrap().len() == 1);
}

#[tokio::test]
async fn every_change_is_in_the_audit() {
    for bed in beds().await {
        let registry = filled(&bed).await;
        let new = user("li.lei", "education", &["reader"], &[JINJIANG]);
        registry.create_user("han.meimei", new, &PACK, hour(1)).await.unwrap();
        for change in [
            Change::Roles(vec!["analyst".to_owned()]),
            Change::Areas(vec![STREET.to_owned()]),
            Change::Organisation("civil_affairs".to_owned()),
        ] {
            registry.change_user("han.meimei", "li.lei", change, &PACK).await.unwrap();
        }
        let info = registry.user("li.lei").await.unwrap();
        assert_eq!(info.roles, ["analyst"], "{}", bed.name);
        assert!(info.areas.is_empty(), "{}: old areas do not follow to a new post", bed.name);
        let mut written: Vec<_> = registry.audit.newest(10).await.unwrap();
        written.reverse();
        let actions: Vec<_> = written.iter().map(|row| row.action.as_str()).collect();
        let expected = [
            "registry.synchronise",
            "user.create",
            "user.roles",
            "user.areas",
            "user.organisation",
        ];
        assert_eq!(actions, expected, "{}", bed.name);
        assert!(written[1..].iter().all(|row| row.actor == "han.meimei"), "{}", bed.name);
        assert!(registry.audit.verify(None).await.unwrap().is_sound(), "{}", bed.name);
    }
}
