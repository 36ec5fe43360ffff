//! A few contracts for this crate's tests: one open stream, one conditional snapshot of people,
//! one dataset that is not shared.

use std::collections::BTreeMap;

use pack::model::{
    City, Class, Contract, DatasetKind, DriftRule, Field, FieldType, Pack, Pii, Place, QualityRule,
    Severity, Sharing, SharingAttribute, Text,
};

pub fn text(zh: &str, en: &str) -> Text {
    Text { zh: zh.into(), en: en.into() }
}

pub fn field(name: &str, ty: FieldType, zh: &str, en: &str) -> Field {
    Field {
        name: name.into(),
        ty,
        unit: None,
        title: text(zh, en),
        description: Text::default(),
        class: Some(Class::General),
        level: 1,
        pii: Pii::None,
        required: false,
        aliases: Vec::new(),
        codes: Vec::new(),
        labels: BTreeMap::new(),
        place: Place::default(),
    }
}

pub fn rule(id: &str, sql: &str, severity: Severity) -> QualityRule {
    QualityRule {
        id: id.into(),
        sql: sql.into(),
        severity,
        title: text(id, id),
        place: Place::default(),
    }
}

pub fn contract(id: &str, zh: &str, en: &str, owner: &str, shared: SharingAttribute) -> Contract {
    Contract {
        id: id.into(),
        resource_id: format!("510100/{id}"),
        title: text(zh, en),
        description: Text::default(),
        theme: String::new(),
        keywords: Vec::new(),
        owner: owner.into(),
        accountable: "数据处处长".into(),
        source_system: "原系统".into(),
        kind: DatasetKind::Snapshot,
        fields: Vec::new(),
        key: Vec::new(),
        time: None,
        geometry: None,
        update_period_minutes: None,
        freshness_limit_minutes: None,
        sharing: Sharing {
            attribute: shared,
            legal_ground: text("《政务数据共享条例》", "Regulations on Government Data Sharing"),
            conditions: Text::default(),
        },
        open: shared == SharingAttribute::Unconditional,
        published: "2026-01-01".into(),
        related: Vec::new(),
        retention_days: None,
        drift: DriftRule::Refuse,
        quality: Vec::new(),
        place: Place::default(),
    }
}

/// Readings of fine particles: what most tests look for.
pub fn pm25() -> Contract {
    let mut contract = contract(
        "air.pm25",
        "PM2.5 逐时监测数据",
        "Hourly PM2.5 readings",
        "ecology_environment",
        SharingAttribute::Unconditional,
    );
    contract.description = text(
        "国控与美领馆站点的细颗粒物小时浓度，用于空气质量评价与预警。",
        "Hourly concentration of fine particulate matter at each monitoring site, for judging \
         air quality and for warnings.",
    );
    contract.theme = "生态环境".into();
    contract.keywords = ["空气质量", "细颗粒物", "air quality"].map(str::to_owned).to_vec();
    contract.kind = DatasetKind::Stream;
    let mut site = field("site", FieldType::Text, "监测站点", "Monitoring site");
    site.required = true;
    site.codes = ["caotangsi", "shahepu", "us_post"].map(str::to_owned).to_vec();
    let mut time = field("observed_at", FieldType::Timestamp, "监测时间", "Time of observation");
    time.required = true;
    let mut value = field("pm25", FieldType::Number, "细颗粒物浓度", "PM2.5 concentration");
    value.unit = Some("ug/m3".into());
    value.aliases = vec!["PM_US Post".into(), "PM2.5浓度".into()];
    contract.fields = vec![site, time, value];
    contract.key = vec!["site".into(), "observed_at".into()];
    contract.time = Some("observed_at".into());
    contract.update_period_minutes = Some(60);
    contract.freshness_limit_minutes = Some(180);
    contract.quality = vec![
        rule("pm25_range", "pm25 >= 0 and pm25 < 2000", Severity::Error),
        rule("pm25_high", "pm25 < 900", Severity::Warning),
    ];
    contract
}

/// Residents: shared on conditions, full of what must not be told.
pub fn resident() -> Contract {
    let mut contract = contract(
        "people.resident",
        "常住人口基本信息",
        "Residents",
        "civil_affairs",
        SharingAttribute::Conditional,
    );
    contract.description = text("常住人口的基本信息。", "Basic facts about residents.");
    contract.keywords = vec!["人口".into(), "population".into()];
    let mut id = field("id_number", FieldType::Text, "身份证号", "Identity number");
    id.pii = Pii::IdentityNumber;
    id.required = true;
    id.class = Some(Class::Important);
    id.level = 3;
    let mut name = field("name", FieldType::Text, "姓名", "Name");
    name.pii = Pii::Name;
    let mut remark = field("remark", FieldType::Text, "走访备注", "Visiting notes");
    remark.class = None;
    contract.fields = vec![
        id,
        name,
        field("area_code", FieldType::AreaCode, "所属社区", "Community"),
        field("born", FieldType::Date, "出生日期", "Date of birth"),
        remark,
    ];
    contract.key = vec!["id_number".into()];
    contract
}

pub fn police_case() -> Contract {
    let mut contract = contract(
        "police.case",
        "刑事案件台账",
        "Criminal cases",
        "police",
        SharingAttribute::NotShared,
    );
    contract.fields = vec![
        field("case_no", FieldType::Text, "案件编号", "Case number"),
        field("opened_at", FieldType::Timestamp, "立案时间", "Opened at"),
    ];
    contract.key = vec!["case_no".into()];
    contract
}

pub fn contracts() -> Vec<Contract> {
    vec![pm25(), resident(), police_case()]
}

/// Whoever has the permission to ask may ask.
const RULES: &str =
    r#"permit (principal in Permission::"query", action == Action::"query", resource);"#;

/// A pack with these contracts and nothing else.
pub fn pack() -> Pack {
    Pack {
        dir: "test".into(),
        city: City {
            code: "510100000000".into(),
            name: text("成都市", "Chengdu"),
            zone: "Asia/Shanghai".into(),
            utc_offset_minutes: 480,
            operator: "data".into(),
            place: Place::default(),
        },
        units: BTreeMap::new(),
        areas: Vec::new(),
        organisations: Vec::new(),
        datasets: contracts().into_iter().map(|found| (found.id.clone(), found)).collect(),
        roles: Vec::new(),
        policies: Vec::new(),
        imports: Vec::new(),
        map: None,
        sensing: Default::default(),
        boards: BTreeMap::new(),
        sources: Vec::new(),
        access: pack::access::Rules::parse(RULES).expect("they are rules"),
    }
}
