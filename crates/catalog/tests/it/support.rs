//! A small city: four datasets, three departments, and the people who ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::util::display::array_value_to_string;
use arrow::util::pretty::pretty_format_batches;
use async_trait::async_trait;
use catalog::sql::{CatalogOptions, Grants, Limits};
use catalog::{Catalog, Principal, Session, Source, SqlError, Surface};
use chrono::{DateTime, Utc};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::DataFusionError;
use pack::{
    Applies, City, Class, Contract, DatasetKind, DriftRule, Field, FieldType, Mask, Pack, Pii,
    Policy, Sharing, SharingAttribute,
};

pub const PEOPLE: &str = "people.person";
pub const AIR: &str = "air.pm25";
pub const HOMES: &str = "place.home";
pub const PLANS: &str = "secret.plan";

/// Whoever has the permission to ask may ask.
const RULES: &str =
    r#"permit (principal in Permission::"query", action == Action::"query", resource);"#;

/// Raw rows by dataset, all moments alike.
#[derive(Debug, Default)]
pub struct Rows(pub BTreeMap<String, RecordBatch>);

#[async_trait]
impl Source for Rows {
    async fn table(
        &self,
        dataset: &str,
        _as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let batch = self.0.get(dataset).cloned().ok_or_else(|| {
            DataFusionError::Execution(format!("no rows of {dataset} in this test"))
        })?;
        Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
    }

    fn version(&self, _dataset: &str) -> u64 {
        1
    }
}

pub fn field(name: &str, ty: FieldType) -> Field {
    Field {
        name: name.into(),
        ty,
        unit: None,
        title: Default::default(),
        description: Default::default(),
        class: Some(Class::General),
        level: 1,
        pii: Pii::None,
        required: false,
        aliases: Vec::new(),
        codes: Vec::new(),
        labels: BTreeMap::new(),
        place: Default::default(),
    }
}

pub fn contract(id: &str, owner: &str, fields: Vec<Field>) -> Contract {
    Contract {
        id: id.into(),
        resource_id: id.into(),
        title: Default::default(),
        description: Default::default(),
        theme: String::new(),
        keywords: Vec::new(),
        owner: owner.into(),
        accountable: String::new(),
        source_system: String::new(),
        kind: DatasetKind::Snapshot,
        key: vec![fields[0].name.clone()],
        fields,
        time: None,
        geometry: None,
        update_period_minutes: None,
        freshness_limit_minutes: None,
        sharing: Sharing {
            attribute: SharingAttribute::Conditional,
            legal_ground: Default::default(),
            conditions: Default::default(),
        },
        open: false,
        published: String::new(),
        related: Vec::new(),
        retention_days: None,
        drift: DriftRule::Refuse,
        quality: Vec::new(),
        place: Default::default(),
    }
}

pub fn policy(id: &str, dataset: &str, applies: Applies) -> Policy {
    Policy {
        id: id.into(),
        dataset: dataset.into(),
        applies,
        row_filter: None,
        masks: BTreeMap::new(),
        hidden: Vec::new(),
        min_cell: None,
        place: Default::default(),
    }
}

pub fn city_pack() -> Pack {
    use FieldType::{AreaCode, Date, Integer, Number, Text};
    let mut note = field("note", Text);
    note.class = None;
    let people = vec![
        field("id", Text),
        field("name", Text),
        field("phone", Text),
        field("born", Date),
        field("income", Integer),
        field("area_code", AreaCode),
        note,
    ];
    let air = vec![field("site", Text), field("hour", Integer), field("pm25", Number)];
    let homes = vec![field("home", Text), field("person_id", Text), field("area_code", AreaCode)];
    let plans = vec![field("title", Text), field("cost", Integer)];

    let civil = Policy {
        row_filter: Some("in_area(area_code)".into()),
        masks: [
            ("id".to_owned(), Mask::Token),
            ("name".to_owned(), Mask::Redact),
            ("phone".to_owned(), Mask::LastFour),
            ("born".to_owned(), Mask::YearOnly),
        ]
        .into(),
        hidden: vec!["income".into()],
        ..policy("people-street", PEOPLE, Applies::Organisation("street".into()))
    };
    let research = Policy {
        min_cell: Some(3),
        ..policy("people-research", PEOPLE, Applies::Role("researcher".into()))
    };
    let homes_policy = Policy {
        masks: [("person_id".to_owned(), Mask::Token)].into(),
        ..policy("homes-street", HOMES, Applies::Organisation("street".into()))
    };
    Pack {
        dir: Default::default(),
        city: City {
            code: "510100000000".into(),
            name: Default::default(),
            zone: "Asia/Shanghai".into(),
            utc_offset_minutes: 480,
            operator: "city".into(),
            place: Default::default(),
        },
        areas: Vec::new(),
        organisations: Vec::new(),
        datasets: [
            contract(PEOPLE, "police", people),
            contract(AIR, "ecology", air),
            contract(HOMES, "housing", homes),
            contract(PLANS, "housing", plans),
        ]
        .into_iter()
        .map(|contract| (contract.id.clone(), contract))
        .collect(),
        roles: Vec::new(),
        policies: vec![
            policy("people-owner", PEOPLE, Applies::Owner),
            civil,
            research,
            policy("air-all", AIR, Applies::Everyone),
            policy("homes-owner", HOMES, Applies::Owner),
            homes_policy,
            policy("plans-owner", PLANS, Applies::Owner),
        ],
        imports: Vec::new(),
        map: None,
        sensing: Default::default(),
        boards: BTreeMap::new(),
        sources: Vec::new(),
        access: pack::access::Rules::parse(RULES).expect("they are rules"),
        units: BTreeMap::new(),
    }
}

pub const NAMES: [&str; 8] = ["王芳", "李伟", "张敏", "刘洋", "陈静", "杨磊", "赵强", "黄丽"];

pub fn people() -> RecordBatch {
    let n = i64::try_from(NAMES.len()).unwrap();
    let areas = ["510104001", "510104002", "510104001", "510105001", "510105002", "510107001"];
    let schema = city_pack().datasets[PEOPLE].arrow_schema();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("51010419800101{i:04}")))),
        Arc::new(StringArray::from_iter_values(NAMES)),
        Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("1380000{i:04}")))),
        Arc::new(Date32Array::from_iter_values((0..8).map(|i| 3_650 + i * 500))),
        Arc::new(Int64Array::from_iter((0..n).map(|i| (i != 5).then_some(1_000 * (i + 1))))),
        Arc::new(StringArray::from_iter_values((0..8).map(|i| areas[i % areas.len()]))),
        Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("note {i}")))),
    ];
    RecordBatch::try_new(schema, columns).expect("the columns fit the contract")
}

pub fn rows() -> Rows {
    let pack = city_pack();
    let air: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values((0..100).map(|i| format!("site {}", i % 4)))),
        Arc::new(Int64Array::from_iter_values(0..100)),
        Arc::new(Float64Array::from_iter_values((0..100).map(f64::from))),
    ];
    let homes: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["h1", "h2"])),
        Arc::new(StringArray::from(vec!["510104198001010000", "510104198001010002"])),
        Arc::new(StringArray::from(vec!["510104001", "510104001"])),
    ];
    let plans: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(vec!["a tunnel"])), Arc::new(Int64Array::from(vec![77]))];
    let batch = |id: &str, columns| {
        RecordBatch::try_new(pack.datasets[id].arrow_schema(), columns).expect("columns fit")
    };
    Rows(
        [
            (PEOPLE.to_owned(), people()),
            (AIR.to_owned(), batch(AIR, air)),
            (HOMES.to_owned(), batch(HOMES, homes)),
            (PLANS.to_owned(), batch(PLANS, plans)),
        ]
        .into(),
    )
}

pub fn options() -> CatalogOptions {
    let limits = Limits { partitions: 2, ..Limits::default() };
    CatalogOptions { limits, ..CatalogOptions::new(vec![7; 32]) }
}

pub fn catalog() -> Arc<Catalog> {
    catalog_with(city_pack(), rows(), options())
}

pub fn catalog_granting(grants: Arc<dyn Grants>) -> Arc<Catalog> {
    catalog_with(city_pack(), rows(), CatalogOptions { grants, ..options() })
}

pub fn catalog_with(pack: Pack, rows: Rows, options: CatalogOptions) -> Arc<Catalog> {
    Catalog::open(Arc::new(pack), Arc::new(rows), options).expect("the catalogue opens")
}

/// Somebody of an organisation, with area scope and roles as it says.
pub fn session(organisation: &str) -> Session {
    let mut principal = Principal {
        user: format!("{organisation}-user"),
        organisation: organisation.into(),
        ancestors: vec![organisation.into(), "city".into()],
        organisations: [organisation.to_owned()].into(),
        area_prefixes: Vec::new(),
        roles: BTreeSet::new(),
        permissions: ["query".to_owned()].into(),
    };
    match organisation {
        "street" => principal.area_prefixes = vec!["510104".into()],
        "university" => {
            principal.roles.insert("researcher".into());
        }
        "admin" => {
            principal.permissions.insert("administer".into());
        }
        _ => {}
    }
    Session { principal: Arc::new(principal), as_of: None, scenario: None, surface: Surface::Cli }
}

pub async fn ask(
    catalog: &Catalog,
    session: &Session,
    sql: &str,
) -> Result<Vec<RecordBatch>, SqlError> {
    catalog.query(session, sql, &[]).await?.collect().await
}

pub async fn table(catalog: &Catalog, session: &Session, sql: &str) -> String {
    match ask(catalog, session, sql).await {
        Ok(batches) => pretty_format_batches(&batches).expect("batches print").to_string(),
        Err(error) => panic!("{sql}\n{error:?}"),
    }
}

pub async fn refusal(catalog: &Catalog, session: &Session, sql: &str) -> SqlError {
    match ask(catalog, session, sql).await {
        Err(error) => error,
        Ok(batches) => panic!(
            "{sql} was answered:\n{}",
            pretty_format_batches(&batches).expect("batches print")
        ),
    }
}

/// The one value of an answer of one row and one column, as text; null is empty.
pub async fn value(catalog: &Catalog, session: &Session, sql: &str) -> String {
    let batches = ask(catalog, session, sql).await.unwrap_or_else(|e| panic!("{sql}\n{e:?}"));
    let batch = batches.iter().find(|batch| batch.num_rows() > 0).expect("there is a row");
    assert_eq!((batch.num_rows(), batch.num_columns()), (1, 1), "{sql}");
    array_value_to_string(batch.column(0), 0).expect("values print")
}
