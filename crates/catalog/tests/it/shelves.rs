//! The shelves over the real pack of Chengdu: what is found, known about and exported, by whom.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use catalog::knowledge::{Access, Knowledge, Shown};
use catalog::quality::{RowRules, RuleKind};
use catalog::search::SearchIndex;
use catalog::sql::CatalogOptions;
use catalog::{Catalog, Principal, Session, Source, Surface, dcat, page};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use pack::{Mask, Pack};

static PACK: LazyLock<Arc<Pack>> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
    Arc::new(pack::load(&dir).unwrap_or_else(|faults| panic!("{faults}")))
});

/// The shelves never read a row; a source that has none shows it.
#[derive(Debug)]
struct Unread;

#[async_trait]
impl Source for Unread {
    async fn table(
        &self,
        dataset: &str,
        _: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        Err(DataFusionError::Execution(format!("{dataset} was read")))
    }

    fn version(&self, _: &str) -> u64 {
        0
    }
}

async fn knowledge(organisation: &str, role: &str) -> Knowledge {
    let options = CatalogOptions::new(vec![7; 32]);
    let catalog = Catalog::open(Arc::clone(&PACK), Arc::new(Unread), options).expect("opens");
    let granted = PACK.roles.iter().find(|r| r.id == role).expect("a role of the pack");
    let principal = Principal {
        user: "someone".into(),
        organisation: organisation.into(),
        ancestors: vec![organisation.into()],
        roles: [role.to_owned()].into(),
        permissions: granted.permissions.iter().cloned().collect(),
        ..Principal::default()
    };
    let session = Session {
        principal: Arc::new(principal),
        as_of: None,
        scenario: None,
        surface: Surface::Http,
    };
    catalog.knowledge(&session).await.expect("resolves")
}

fn index() -> SearchIndex {
    let name = |id: &str| {
        PACK.organisations.iter().find(|o| o.id == id).map(|organisation| organisation.name.clone())
    };
    SearchIndex::build(PACK.datasets.values(), name).expect("builds")
}

#[tokio::test]
async fn the_air_is_found_in_the_real_pack() {
    let knowledge = knowledge("transport", "reader").await;
    let index = index();
    for query in ["PM2.5", "细颗粒物", "air quality", "air.pm25", "空气质量", "生态环境局"]
    {
        let hits = index.search(query, &knowledge, 10).expect("searches");
        assert_eq!(hits.first().map(|hit| hit.dataset.as_str()), Some("air.pm25"), "{query}");
        assert!(hits[0].readable);
    }
    for (query, dataset) in [
        ("人口普查", "people.census_2020"),
        ("census", "people.census_2020"),
        ("地铁站", "transit.station"),
        ("metro staton", "transit.station"),
        ("行政区划", "place.area"),
    ] {
        let hits = index.search(query, &knowledge, 10).expect("searches");
        assert_eq!(hits.first().map(|hit| hit.dataset.as_str()), Some(dataset), "{query}");
    }
}

#[tokio::test]
async fn knowing_follows_the_packs_policies() {
    let transport = knowledge("transport", "reader").await;
    let enterprise = transport.get("market.enterprise").expect("conditional: it can be asked for");
    assert_eq!(enterprise.access, Access::OnRequest);
    assert_eq!(transport.get("people.resident"), None, "not shared");

    let tax = knowledge("tax", "reader").await;
    let enterprise = tax.get("market.enterprise").expect("a policy opens it");
    assert_eq!(enterprise.access, Access::Readable);
    assert_eq!(enterprise.fields.get("phone"), Some(&Shown::Masked(Mask::LastFour)));
    assert!(enterprise.whole);

    let statistics = knowledge("statistics", "reader").await;
    let enterprise = statistics.get("market.enterprise").expect("a policy opens it");
    assert!(!enterprise.whole, "a minimum cell size stands");
    assert!(!enterprise.fields.contains_key("phone"), "hidden");
}

#[test]
fn every_contract_of_the_pack_compiles_to_row_rules() {
    for contract in PACK.datasets.values() {
        let rules = RowRules::compile(contract).unwrap_or_else(|error| panic!("{error}"));
        let stated = rules.rules().iter().filter(|rule| rule.kind == RuleKind::Stated).count();
        assert_eq!(stated, contract.quality.len(), "{}", contract.id);
    }
    let rules = RowRules::compile(&PACK.datasets["people.resident"]).expect("compiles");
    let checksum = rules.rules().iter().any(|rule| rule.id.as_ref() == "checksum:identity_number");
    assert!(checksum, "identity numbers are checked without being asked");
}

#[tokio::test]
async fn the_export_names_what_is_known_and_nothing_else() {
    let knowledge = knowledge("transport", "reader").await;
    let site = dcat::Site {
        base_url: "https://data.example.org",
        city_code: &PACK.city.code,
        city_name: &PACK.city.name,
        generated: DateTime::UNIX_EPOCH,
    };
    let owner = |id: &str| {
        let found = PACK.organisations.iter().find(|o| o.id == id);
        found.map(|organisation| organisation.name.clone()).unwrap_or_default()
    };
    let exported =
        dcat::catalog(&site, PACK.datasets.values(), &knowledge, owner, |_| None).to_string();
    for (dataset, _) in knowledge.iter() {
        assert!(exported.contains(&format!("catalog/datasets/{dataset}\"")), "{dataset}");
    }
    assert!(!exported.contains("people.resident"));
}

#[tokio::test]
async fn every_dataset_that_is_known_has_a_page() {
    let knowledge = knowledge("transport", "reader").await;
    let organisations = ["transport".to_owned()];
    for contract in PACK.datasets.values() {
        let page = page::page(contract, &knowledge, &organisations, Default::default(), Utc::now());
        assert_eq!(page.is_some(), knowledge.get(&contract.id).is_some(), "{}", contract.id);
        let Some(page) = page else { continue };
        for element in [&page.resource.identifier, &page.resource.name.zh, &page.resource.category]
        {
            assert!(!element.is_empty(), "{}", contract.id);
        }
    }
}
