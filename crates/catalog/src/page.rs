//! A dataset's page: all that one principal may know about it, as plain data.
//!
//! The page gathers; it decides nothing. What may be known came with [`Known`]; statistics,
//! quality, grants and usage are cut to it here, in one place, so that no face forgets to.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use pack::model::{
    Class, Contract, DatasetKind, Field, FieldType, Mask, Pii, SharingAttribute, Text,
};
use serde::{Deserialize, Serialize};

use crate::knowledge::{Access, Knowledge, Known, Shown};
use crate::quality::RunResult;
use crate::statistics::{Freshness, ShownStatistics, Statistics};
use crate::usage::UsageSummary;

/// The page of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetPage {
    pub id: String,
    pub resource: Resource,
    pub kind: DatasetKind,
    pub accountable: String,
    pub source_system: String,
    pub readable: bool,
    /// Whether the reader acts for the owner.
    pub owner: bool,
    /// In contract order; only those that the reader may know about.
    pub fields: Vec<FieldPage>,
    pub key: Vec<String>,
    pub time: Option<String>,
    pub geometry: Option<String>,
    pub retention_days: Option<u32>,
    pub sharing: SharingPage,
    pub freshness: Freshness,
    pub statistics: Option<ShownStatistics>,
    /// The newest run. Samples of failing keys are for the owner.
    pub quality: Option<RunResult>,
    pub grants: Vec<GrantPage>,
    /// For the owner.
    pub usage: Option<UsageSummary>,
}

/// The core metadata of a government data resource (GB/T 21063.3): six mandatory elements, six
/// optional ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// 信息资源名称
    pub name: Text,
    /// 信息资源提供方
    pub provider: Provider,
    /// 信息资源摘要
    pub summary: Text,
    /// 共享属性
    pub sharing_attribute: SharingAttribute,
    /// 信息项: the names of the fields that may be known about.
    pub items: Vec<String>,
    /// 信息资源标识符
    pub identifier: String,
    /// 信息资源格式: how it can be taken.
    pub formats: Vec<String>,
    /// 信息资源分类: the theme, and keywords.
    pub category: String,
    pub keywords: Vec<String>,
    /// 开放属性
    pub open: bool,
    /// 更新周期, `None`: irregular.
    pub update_period_minutes: Option<u64>,
    /// 发布日期
    pub published: String,
    /// 关联资源
    pub related: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    pub id: String,
    pub name: Text,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldPage {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: FieldType,
    pub unit: Option<String>,
    pub title: Text,
    pub description: Text,
    pub class: Option<Class>,
    pub level: u8,
    pub pii: Pii,
    pub required: bool,
    pub codes: Vec<String>,
    /// What the codes are called.
    pub labels: BTreeMap<String, Text>,
    /// How the reader sees the values.
    pub seen: Seen,
}

/// How a reader sees a field's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", content = "mask", rename_all = "snake_case")]
pub enum Seen {
    Plain,
    Masked(Mask),
    /// Not at all.
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SharingPage {
    pub attribute: SharingAttribute,
    pub legal_ground: Text,
    pub conditions: Text,
    /// The rows can be had by asking for them.
    pub can_be_requested: bool,
}

/// A sharing grant that stands. The owner sees all of a dataset's; others those to themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrantPage {
    pub id: String,
    /// The organisation that it was given to.
    pub organisation: String,
    pub purpose: String,
    pub fields: Option<Vec<String>>,
    pub row_filter: Option<String>,
    pub masks: BTreeMap<String, Mask>,
    pub expires: Option<DateTime<Utc>>,
}

/// What a page is made of beside the contract, where there is such a thing yet.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub owner_name: Text,
    pub statistics: Option<Statistics>,
    /// The newest moment that rows speak of; without a time column, when they last changed.
    pub newest: Option<DateTime<Utc>>,
    pub quality: Option<RunResult>,
    pub grants: Vec<GrantPage>,
    pub usage: Option<UsageSummary>,
}

/// How every dataset can be taken, through `POST /api/sql` and the export of the command line.
const FORMATS: [&str; 4] = [
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
    "application/json",
    "text/csv",
];

/// The page of a contract for who knows this much and acts for these organisations (its own and
/// those above it). `None` where the dataset must not be known about.
pub fn page(
    contract: &Contract,
    knowledge: &Knowledge,
    organisations: &[String],
    facts: Facts,
    now: DateTime<Utc>,
) -> Option<DatasetPage> {
    let known = knowledge.get(&contract.id)?;
    let fields: Vec<FieldPage> = contract
        .fields
        .iter()
        .filter_map(|field| Some(field_page(field, known.fields.get(&field.name)?)))
        .collect();
    let visible = |name: &String| known.fields.contains_key(name);
    let newest = facts.newest.map(|newest| told(newest, known.whole));
    let mine = |grant: &GrantPage| known.owner || organisations.contains(&grant.organisation);
    Some(DatasetPage {
        id: contract.id.clone(),
        resource: resource(contract, knowledge, &fields, facts.owner_name),
        kind: contract.kind,
        accountable: contract.accountable.clone(),
        source_system: contract.source_system.clone(),
        readable: known.access == Access::Readable,
        owner: known.owner,
        key: contract.key.iter().filter(|name| visible(name)).cloned().collect(),
        time: contract.time.clone().filter(visible),
        geometry: contract.geometry.clone().filter(visible),
        retention_days: contract.retention_days,
        sharing: SharingPage {
            attribute: contract.sharing.attribute,
            legal_ground: contract.sharing.legal_ground.clone(),
            conditions: contract.sharing.conditions.clone(),
            can_be_requested: known.access == Access::OnRequest
                && contract.sharing.attribute != SharingAttribute::NotShared,
        },
        freshness: Freshness::of(newest, contract.freshness_limit_minutes, now),
        statistics: facts.statistics.and_then(|statistics| statistics.shown(known)),
        quality: facts.quality.and_then(|run| shown_quality(run, contract, known)),
        grants: facts.grants.into_iter().filter(mine).collect(),
        usage: facts.usage.filter(|_| known.owner),
        fields,
    })
}

/// The newest moment as it is told: to the hour where the rows are not all seen, since it is one
/// of theirs.
pub fn told(newest: DateTime<Utc>, whole: bool) -> DateTime<Utc> {
    const HOUR: i64 = 3_600;
    let seconds = newest.timestamp();
    match whole {
        true => newest,
        false => DateTime::from_timestamp(seconds - seconds.rem_euclid(HOUR), 0).unwrap_or(newest),
    }
}

fn resource(
    contract: &Contract,
    knowledge: &Knowledge,
    fields: &[FieldPage],
    owner_name: Text,
) -> Resource {
    let related = contract.related.iter().filter(|id| knowledge.get(id).is_some());
    Resource {
        name: contract.title.clone(),
        provider: Provider { id: contract.owner.clone(), name: owner_name },
        summary: contract.description.clone(),
        sharing_attribute: contract.sharing.attribute,
        items: fields.iter().map(|field| field.name.clone()).collect(),
        identifier: contract.resource_id.clone(),
        formats: FORMATS.map(str::to_owned).to_vec(),
        category: contract.theme.clone(),
        keywords: contract.keywords.clone(),
        open: contract.open,
        update_period_minutes: contract.update_period_minutes,
        published: contract.published.clone(),
        related: related.cloned().collect(),
    }
}

fn field_page(field: &Field, shown: &Shown) -> FieldPage {
    FieldPage {
        name: field.name.clone(),
        ty: field.ty,
        unit: field.unit.clone(),
        title: field.title.clone(),
        description: field.description.clone(),
        class: field.class,
        level: field.level,
        pii: field.pii,
        required: field.required,
        codes: field.codes.clone(),
        labels: field.labels.clone(),
        seen: match shown {
            Shown::Plain => Seen::Plain,
            Shown::Masked(mask) => Seen::Masked(mask.clone()),
            Shown::Named => Seen::Nothing,
        },
    }
}

/// The owner sees a run whole. Others see how good the data is that they may read in full, rule
/// by rule, without keys, and no rule about a field that they do not see plain.
fn shown_quality(mut run: RunResult, contract: &Contract, known: &Known) -> Option<RunResult> {
    if known.owner {
        return Some(run);
    }
    if known.access != Access::Readable || !known.whole {
        return None;
    }
    let plain = |field: &String| known.fields.get(field) == Some(&Shown::Plain);
    let all_plain = contract.fields.iter().all(|field| plain(&field.name));
    run.rules.retain(|rule| match &rule.field {
        Some(field) => plain(field),
        // A stated rule may speak of any field, a hidden one too.
        None => all_plain,
    });
    for rule in &mut run.rules {
        rule.sample.clear();
    }
    Some(run)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use datafusion::datasource::MemTable;

    use super::*;
    use crate::fixtures;
    use crate::quality::{RowRules, RunOptions, run};

    fn owner() -> Known {
        let contract = fixtures::resident();
        Known {
            access: Access::Readable,
            fields: contract.fields.iter().map(|f| (f.name.clone(), Shown::Plain)).collect(),
            whole: true,
            owner: true,
        }
    }

    fn asker() -> Known {
        let mut known = owner();
        known.access = Access::OnRequest;
        known.owner = false;
        known.whole = false;
        known.fields.remove("remark");
        known.fields.values_mut().for_each(|shown| *shown = Shown::Named);
        known
    }

    async fn facts() -> Facts {
        let contract = fixtures::resident();
        let schema = contract.arrow_schema();
        let text = |values: [Option<&str>; 2]| -> arrow::array::ArrayRef {
            Arc::new(arrow::array::StringArray::from(values.to_vec()))
        };
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                text([Some("11010519491231002X"), Some("110105194912310021")]),
                text([Some("甲"), None]),
                text([Some("510104000000"), Some("510104000000")]),
                Arc::new(arrow::array::Date32Array::from(vec![0, 1])),
                text([None, None]),
            ],
        )
        .expect("the contract's shape");
        let table = Arc::new(MemTable::try_new(schema, vec![vec![batch]]).expect("a table"));
        let now = DateTime::UNIX_EPOCH;
        let rules = RowRules::compile(&contract).expect("compiles");
        let grant = |organisation: &str| GrantPage {
            id: organisation.into(),
            organisation: organisation.into(),
            purpose: "养老服务".into(),
            fields: None,
            row_filter: None,
            masks: BTreeMap::new(),
            expires: None,
        };
        Facts {
            owner_name: fixtures::text("民政局", "Civil Affairs"),
            statistics: Some(
                Statistics::compute(&contract, Arc::clone(&table) as _, now)
                    .await
                    .expect("computes"),
            ),
            newest: Some(now),
            quality: Some(run(table, &rules, &RunOptions::default()).await.expect("runs")),
            grants: vec![grant("transport"), grant("health")],
            usage: Some(UsageSummary {
                dataset: contract.id,
                since: now,
                queries: 3,
                principals: 2,
                last_used: Some(now),
                by_organisation: Vec::new(),
                by_surface: Vec::new(),
                by_field: Vec::new(),
            }),
        }
    }

    async fn page_for(known: &Known, organisation: &str) -> DatasetPage {
        let organisations = [organisation.to_owned(), "city".to_owned()];
        let mut contract = fixtures::resident();
        contract.related = vec!["police.case".into()];
        let knowledge = Knowledge::from_iter([(contract.id.clone(), known.clone())]);
        let page = page(&contract, &knowledge, &organisations, facts().await, DateTime::UNIX_EPOCH);
        let page = page.expect("known about");
        assert!(page.resource.related.is_empty(), "what it is related to is not known about");
        page
    }

    #[tokio::test]
    async fn the_owner_sees_all_of_it() {
        let page = page_for(&owner(), "civil_affairs").await;
        assert_eq!(page.fields.len(), 5);
        assert_eq!(page.usage.map(|usage| usage.queries), Some(3));
        assert_eq!(page.grants.len(), 2);
        let quality = page.quality.expect("a run");
        let checksum = quality.rules.iter().find(|r| r.rule == "checksum:id_number");
        assert_eq!(
            checksum.expect("implied").sample[0]["id_number"].as_deref(),
            Some("110105194912310021")
        );
        assert_eq!(page.freshness, Freshness::Unlimited { age_minutes: 0 });
    }

    #[tokio::test]
    async fn who_may_ask_sees_what_there_is_to_ask_for_and_no_figure() {
        let page = page_for(&asker(), "transport").await;
        assert!(!page.readable && page.sharing.can_be_requested);
        assert_eq!(page.resource.items, ["id_number", "name", "area_code", "born"]);
        assert!(page.fields.iter().all(|field| field.seen == Seen::Nothing));
        assert_eq!((page.statistics, page.quality, page.usage), (None, None, None));
        assert_eq!(page.grants.len(), 1, "its own alone");
    }

    #[tokio::test]
    async fn no_value_of_a_masked_field_is_anywhere_on_the_page() {
        let mut known = owner();
        known.owner = false;
        known.fields.remove("remark");
        known.fields.insert("id_number".into(), Shown::Masked(Mask::LastFour));
        let page = page_for(&known, "transport").await;
        let json = serde_json::to_string(&page).expect("plain data");
        assert!(json.contains(r#""seen":{"as":"masked","mask":"last_four"}"#), "{json}");
        for hidden in ["11010519491231002X", "110105194912310021", "checksum:id_number", "remark"] {
            assert!(!json.contains(hidden), "{hidden} in {json}");
        }
        assert!(json.contains(r#""1970-01-02""#), "the range of a plain field is shown: {json}");
        let back: DatasetPage = serde_json::from_str(&json).expect("reads back");
        assert_eq!(back, page);
    }

    #[tokio::test]
    async fn the_twelve_elements_are_there_by_name() {
        let page = page_for(&owner(), "civil_affairs").await;
        let json = serde_json::to_value(&page.resource).expect("plain data");
        for element in [
            "name",
            "provider",
            "summary",
            "sharing_attribute",
            "items",
            "identifier",
            "formats",
            "category",
            "open",
            "update_period_minutes",
            "published",
            "related",
        ] {
            assert!(json.get(element).is_some(), "{element} in {json}");
        }
    }
}
