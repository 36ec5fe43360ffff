//! The datasets that every city has, whatever its pack: the platform's view of itself.
//!
//! They are contracts like any other, so that a board, a steward or an auditor asks for open
//! quarantine rows or stale datasets in the same SQL as for anything else, under the same
//! policies. Knows their shapes; where their rows come from is `city`'s.

use std::collections::BTreeMap;

use crate::model::{
    Applies, Class, Contract, DatasetKind, DriftRule, Field, FieldType, Pii, Place, Policy, Role,
    Sharing, SharingAttribute, Text,
};

/// The SQL schema of these datasets; no pack may use it.
pub const SCHEMA: &str = "system";

/// Rows that were not taken.
pub const QUARANTINE: &str = "system.quarantine";
/// Every dataset, with its owner and its freshness.
pub const DATASETS: &str = "system.dataset";
/// Requests to be shown another organisation's dataset.
pub const REQUESTS: &str = "system.request";
/// Who did what: the newest entries.
pub const AUDIT: &str = "system.audit";
/// Who may come in.
pub const USERS: &str = "system.user";

/// What each Datastream brought last, made from what the platform remembers. A pack that shows it
/// has its contract, and those of the two below.
pub const DATASTREAM_STATE: &str = "sensing.datastream_state";
/// Whether each device works.
pub const DEVICE_STATE: &str = "sensing.device_state";
/// Who sends, and what becomes of it.
pub const PRODUCER: &str = "sensing.producer";

/// Whether a dataset's rows are made by the platform: no file goes into it, and nobody edits it.
pub fn is_made(dataset: &str) -> bool {
    dataset.split('.').next() == Some(SCHEMA)
        || [DATASTREAM_STATE, DEVICE_STATE, PRODUCER].contains(&dataset)
}

/// Name, Chinese and English title, type, required.
type Column = (&'static str, &'static str, &'static str, FieldType, bool);

const QUARANTINE_COLUMNS: &[Column] = &[
    ("id", "编号", "Id", FieldType::Text, true),
    ("dataset", "数据集", "Dataset", FieldType::Text, true),
    ("owner", "数源部门", "Owner", FieldType::OrganisationId, true),
    ("file", "文件", "File", FieldType::Text, true),
    ("line", "行号", "Line", FieldType::Integer, true),
    ("field", "字段", "Field", FieldType::Text, false),
    ("reason", "原因代码", "Reason code", FieldType::Text, true),
    ("message", "原因说明", "Message", FieldType::Text, true),
    ("raw", "原文", "Raw text", FieldType::Text, true),
    ("columns", "列名", "Columns", FieldType::Text, true),
    ("mapping", "映射", "Mapping", FieldType::Text, false),
    ("crs", "坐标系", "Coordinate system", FieldType::Text, true),
    ("state", "状态", "State", FieldType::Text, true),
    ("remark", "备注", "Remark", FieldType::Text, false),
    ("handled_by", "经办人", "Handled by", FieldType::Text, true),
    ("handled_at", "时间", "Handled at", FieldType::Timestamp, true),
];

const DATASET_COLUMNS: &[Column] = &[
    ("id", "数据集", "Dataset", FieldType::Text, true),
    ("title", "名称", "Title", FieldType::Text, true),
    ("title_en", "英文名称", "English title", FieldType::Text, true),
    ("owner", "数源部门", "Owner", FieldType::OrganisationId, true),
    ("kind", "类别", "Kind", FieldType::Text, true),
    ("sharing", "共享属性", "Sharing", FieldType::Text, true),
    ("last_at", "最新时间", "Newest at", FieldType::Timestamp, false),
    ("limit_minutes", "时效（分钟）", "Freshness limit in minutes", FieldType::Integer, false),
    ("late_minutes", "超时（分钟）", "Late by minutes", FieldType::Integer, false),
    ("stale", "是否过期", "Stale", FieldType::Boolean, true),
];

const REQUEST_COLUMNS: &[Column] = &[
    ("id", "编号", "Id", FieldType::Text, true),
    ("dataset", "数据集", "Dataset", FieldType::Text, true),
    ("owner", "数源部门", "Owner", FieldType::OrganisationId, true),
    ("organisation", "申请部门", "Asked by", FieldType::OrganisationId, true),
    ("purpose", "用途", "Purpose", FieldType::Text, true),
    ("state", "状态", "State", FieldType::Text, true),
    ("requested_at", "申请时间", "Asked at", FieldType::Timestamp, true),
    ("until", "期限", "Until", FieldType::Timestamp, true),
    ("decided_at", "办理时间", "Decided at", FieldType::Timestamp, false),
];

const AUDIT_COLUMNS: &[Column] = &[
    ("seq", "序号", "Number", FieldType::Integer, true),
    ("at", "时间", "At", FieldType::Timestamp, true),
    ("actor", "操作人", "Actor", FieldType::Text, true),
    ("organisation", "单位", "Organisation", FieldType::Text, true),
    ("action", "操作", "Action", FieldType::Text, true),
    ("object", "对象", "Object", FieldType::Text, true),
    ("outcome", "结果", "Outcome", FieldType::Text, true),
];

const USER_COLUMNS: &[Column] = &[
    ("name", "用户", "User", FieldType::Text, true),
    ("organisation", "单位", "Organisation", FieldType::OrganisationId, true),
    ("roles", "角色", "Roles", FieldType::Text, true),
    ("areas", "区域", "Areas", FieldType::Text, true),
    ("active", "启用", "Active", FieldType::Boolean, true),
    ("created_at", "创建时间", "Made at", FieldType::Timestamp, true),
];

/// A code, and what it is called in Chinese and English.
type Code = (&'static str, &'static str, &'static str);

const KINDS: &[Code] = &[
    ("stream", "实时流", "Stream"),
    ("snapshot", "快照", "Snapshot"),
    ("register", "登记册", "Register"),
];
const ATTRIBUTES: &[Code] = &[
    ("unconditional", "无条件共享", "Unconditional"),
    ("conditional", "有条件共享", "Conditional"),
    ("not_shared", "不予共享", "Not shared"),
];
const ROW_STATES: &[Code] = &[
    ("open", "待处理", "To be handled"),
    ("repaired", "已修复", "Repaired"),
    ("dismissed", "不收入", "Dismissed"),
];
const REQUEST_STATES: &[Code] = &[
    ("requested", "待审批", "Waiting"),
    ("granted", "已授权", "Granted"),
    ("refused", "已拒绝", "Refused"),
    ("withdrawn", "已撤回", "Withdrawn"),
    ("revoked", "已收回", "Revoked"),
    ("expired", "已到期", "Expired"),
];
const OUTCOMES: &[Code] =
    &[("done", "已完成", "Done"), ("denied", "被拒绝", "Denied"), ("failed", "失败", "Failed")];

/// The codes of a field; none where it holds anything.
fn codes(dataset: &str, field: &str) -> &'static [Code] {
    match (dataset, field) {
        (DATASETS, "kind") => KINDS,
        (DATASETS, "sharing") => ATTRIBUTES,
        (QUARANTINE, "state") => ROW_STATES,
        (REQUESTS, "state") => REQUEST_STATES,
        (AUDIT, "outcome") => OUTCOMES,
        _ => &[],
    }
}

fn text(zh: &str, en: &str) -> Text {
    Text { zh: zh.to_owned(), en: en.to_owned() }
}

fn labels(of: &[Code]) -> BTreeMap<String, Text> {
    of.iter().map(|(code, zh, en)| ((*code).to_owned(), text(zh, en))).collect()
}

fn fields(dataset: &str, columns: &[Column]) -> Vec<Field> {
    let field = |(name, zh, en, ty, required): &Column| Field {
        name: (*name).to_owned(),
        ty: *ty,
        unit: None,
        title: text(zh, en),
        description: text(zh, en),
        class: Some(Class::Important),
        level: 3,
        // Raw text may hold anything that its dataset holds.
        pii: if *name == "raw" { Pii::Sensitive } else { Pii::None },
        required: *required,
        aliases: Vec::new(),
        codes: codes(dataset, name).iter().map(|(code, ..)| (*code).to_owned()).collect(),
        labels: labels(codes(dataset, name)),
        place: Place::default(),
    };
    columns.iter().map(field).collect()
}

/// What is the same of all of them.
fn own(id: &str, title: Text, description: Text, owner: &str, columns: &[Column]) -> Contract {
    Contract {
        id: id.to_owned(),
        resource_id: format!("shujin/{}", id.replace('.', "/")),
        title,
        description,
        theme: SCHEMA.to_owned(),
        keywords: Vec::new(),
        owner: owner.to_owned(),
        accountable: "data steward".to_owned(),
        source_system: "shujin".to_owned(),
        kind: DatasetKind::Register,
        fields: fields(id, columns),
        key: vec![columns[0].0.to_owned()],
        time: None,
        geometry: None,
        update_period_minutes: None,
        freshness_limit_minutes: None,
        sharing: Sharing {
            attribute: SharingAttribute::NotShared,
            legal_ground: text("平台自身的运行记录", "the platform's own records"),
            conditions: Text::default(),
        },
        open: false,
        published: String::new(),
        related: Vec::new(),
        retention_days: None,
        drift: DriftRule::Refuse,
        quality: Vec::new(),
        place: Place::default(),
    }
}

/// The quarantine's contract.
pub fn quarantine(owner: &str) -> Contract {
    let base = own(
        QUARANTINE,
        text("入库隔离区", "Quarantine"),
        text(
            "未通过校验的数据行,附原因、文件、行号与原文,可更正后重新入库。",
            "Rows that were not taken, with reason, file, line and text, to be corrected and taken.",
        ),
        owner,
        QUARANTINE_COLUMNS,
    );
    Contract {
        keywords: vec!["quarantine".to_owned(), "隔离".to_owned(), "数据质量".to_owned()],
        kind: DatasetKind::Snapshot,
        time: Some("handled_at".to_owned()),
        sharing: Sharing {
            legal_ground: text("原始行可能含个人信息", "raw rows may hold personal data"),
            ..base.sharing
        },
        ..base
    }
}

/// All of them. `owner` is the organisation that runs the platform.
pub fn contracts(owner: &str) -> Vec<Contract> {
    vec![
        quarantine(owner),
        own(
            DATASETS,
            text("数据集目录", "Datasets"),
            text(
                "目录中的数据集及其数源部门、最新时间和是否过期。",
                "The datasets of the catalogue, their owners, how new they are and whether that is new enough.",
            ),
            owner,
            DATASET_COLUMNS,
        ),
        own(
            REQUESTS,
            text("共享申请", "Sharing requests"),
            text("共享申请及其办理状态。", "Requests for datasets and what became of them."),
            owner,
            REQUEST_COLUMNS,
        ),
        own(
            AUDIT,
            text("审计记录", "Audit"),
            text("最近的审计记录，不含详情。", "The newest entries of the audit, without details."),
            owner,
            AUDIT_COLUMNS,
        ),
        own(
            USERS,
            text("用户", "Users"),
            text("可登录的用户及其角色。", "Users and their roles."),
            owner,
            USER_COLUMNS,
        ),
    ]
}

/// Who sees which of their rows. The catalogue's own rule of who may know of a dataset is
/// repeated in the filter of `system.dataset`: whoever may read the catalogue knows of all that
/// is shared, and its owner of the rest.
pub fn policies(roles: &[Role]) -> Vec<Policy> {
    let policy = |id: String, dataset: &str, applies: Applies, filter: Option<&str>| Policy {
        id,
        dataset: dataset.to_owned(),
        applies,
        row_filter: filter.map(str::to_owned),
        masks: BTreeMap::new(),
        hidden: Vec::new(),
        min_cell: None,
        place: Place::default(),
    };
    let everyone =
        |id: &str, dataset, filter| policy(id.to_owned(), dataset, Applies::Everyone, Some(filter));
    let mut all = vec![
        everyone("quarantine_by_owner", QUARANTINE, "in_organisation(owner)"),
        everyone(
            "request_by_party",
            REQUESTS,
            "in_organisation(organisation) OR in_organisation(owner)",
        ),
    ];
    let known = Some("sharing <> 'not_shared' OR in_organisation(owner)");
    let by_permission = [
        ("read_catalogue", DATASETS, known),
        ("audit", AUDIT, None),
        ("manage_users", USERS, None),
    ];
    for (permission, dataset, filter) in by_permission {
        for role in roles.iter().filter(|role| role.permissions.iter().any(|p| p == permission)) {
            let id = format!("{}_{}", dataset.replace('.', "_"), role.id);
            all.push(policy(id, dataset, Applies::Role(role.id.clone()), filter));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Scope, plan_predicate};

    #[test]
    fn the_row_filters_plan_over_their_contracts() {
        let contracts = contracts("data");
        for policy in policies(&[]) {
            let contract = contracts.iter().find(|c| c.id == policy.dataset).unwrap();
            let filter = policy.row_filter.expect("these all filter");
            plan_predicate(contract, &filter, Scope::Session).unwrap();
        }
    }

    #[test]
    fn what_is_coded_has_its_codes() {
        let contracts = contracts("data");
        let fields = contracts.iter().flat_map(|contract| &contract.fields);
        let coded: Vec<&Field> = fields.filter(|field| !field.codes.is_empty()).collect();
        let names: Vec<&str> = coded.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["state", "kind", "sharing", "state", "outcome"]);
        for field in coded {
            assert!(field.codes.iter().all(|code| field.labels.contains_key(code)));
        }
    }

    #[test]
    fn who_lacks_the_permission_has_no_policy() {
        let role = |id: &str, permissions: &[&str]| Role {
            id: id.to_owned(),
            title: Text::default(),
            permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
            second_factor: false,
            excludes: Default::default(),
            place: Place::default(),
        };
        let all = policies(&[role("reader", &["query"]), role("auditor", &["audit"])]);
        let of = |dataset: &str| all.iter().filter(|p| p.dataset == dataset).count();
        assert_eq!((of(AUDIT), of(USERS), of(DATASETS)), (1, 0, 0));
    }
}
