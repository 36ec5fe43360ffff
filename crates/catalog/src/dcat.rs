//! The catalogue for other catalogues: DCAT-AP 3 as JSON-LD, of what a principal may know about.
//!
//! URIs are made from a base URL and the datasets' ids alone, so that they stay the same for ever.
//! A dataset that cannot be read has no distribution: there is nothing to take, only to ask for.
//! Controlled values (access rights, frequencies, languages, media types) are the authority URIs
//! that DCAT-AP names; licences are the city's own terms, which live under the base URL.

use chrono::{DateTime, SecondsFormat, Utc};
use pack::model::{Contract, SharingAttribute, Text};
use serde_json::{Map, Value, json};

use crate::knowledge::{Access, Knowledge, Known};
use crate::statistics::ShownStatistics;

const AUTHORITY: &str = "http://publications.europa.eu/resource/authority";
const MEDIA_TYPES: &str = "https://www.iana.org/assignments/media-types";

/// How a readable dataset can be taken: the last part of the distribution's URI, its media type,
/// its name.
const DISTRIBUTIONS: [(&str, &str, &str); 3] = [
    ("arrow", "application/vnd.apache.arrow.stream", "Apache Arrow"),
    ("json", "application/json", "JSON"),
    ("csv", "text/csv", "CSV"),
];

/// Who publishes, and where.
#[derive(Debug, Clone)]
pub struct Site<'a> {
    /// Without a slash at its end, e.g. `https://data.example.gov.cn`.
    pub base_url: &'a str,
    pub city_code: &'a str,
    pub city_name: &'a Text,
    pub generated: DateTime<Utc>,
}

/// The whole catalogue as one JSON-LD document. `organisation` names an owner; `statistics` gives
/// what this principal may see of a dataset's figures.
pub fn catalog<'a>(
    site: &Site<'_>,
    contracts: impl IntoIterator<Item = &'a Contract>,
    knowledge: &Knowledge,
    organisation: impl Fn(&str) -> Text,
    statistics: impl Fn(&str) -> Option<ShownStatistics>,
) -> Value {
    let mut datasets = Vec::new();
    let mut served = Vec::new();
    for contract in contracts {
        let Some(known) = knowledge.get(&contract.id) else { continue };
        let publisher = organisation(&contract.owner);
        let figures = statistics(&contract.id);
        if known.access == Access::Readable {
            served.push(reference(site.dataset(&contract.id)));
        }
        datasets.push(dataset(site, contract, known, knowledge, &publisher, figures));
    }
    let title = Text {
        zh: format!("{}数据目录", site.city_name.zh),
        en: format!("Data catalogue of {}", site.city_name.en),
    };
    json!({
        "@context": context(),
        "@id": site.uri("catalog"),
        "@type": "dcat:Catalog",
        "dct:title": texts(&title),
        "dct:description": texts(&title),
        "dct:publisher": {
            "@id": site.uri(&format!("areas/{}", site.city_code)),
            "@type": "foaf:Agent",
            "foaf:name": texts(site.city_name),
        },
        "dct:language": languages(),
        "dct:modified": moment(site.generated),
        "dct:spatial": place(site),
        "foaf:homepage": reference(site.uri("")),
        "dcat:dataset": datasets,
        "dcat:service": [service(site, served)],
    })
}

impl Site<'_> {
    fn uri(&self, path: &str) -> String {
        format!("{}/{path}", self.base_url.trim_end_matches('/'))
    }

    fn dataset(&self, id: &str) -> String {
        self.uri(&format!("catalog/datasets/{id}"))
    }

    fn service(&self) -> String {
        self.uri("catalog/services/sql")
    }
}

fn context() -> Value {
    json!({
        "adms": "http://www.w3.org/ns/adms#",
        "dcat": "http://www.w3.org/ns/dcat#",
        "dct": "http://purl.org/dc/terms/",
        "foaf": "http://xmlns.com/foaf/0.1/",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "vcard": "http://www.w3.org/2006/vcard/ns#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    })
}

fn dataset(
    site: &Site<'_>,
    contract: &Contract,
    known: &Known,
    knowledge: &Knowledge,
    publisher: &Text,
    figures: Option<ShownStatistics>,
) -> Value {
    let uri = site.dataset(&contract.id);
    let related: Vec<Value> = contract
        .related
        .iter()
        .filter(|id| knowledge.get(id).is_some())
        .map(|id| reference(site.dataset(id)))
        .collect();
    let mut entry = object(json!({
        "@id": uri,
        "@type": "dcat:Dataset",
        "dct:identifier": [contract.resource_id, contract.id],
        "dct:title": texts(&contract.title),
        "dct:description": texts(&contract.description),
        "dcat:keyword": contract.keywords,
        "dct:publisher": {
            "@id": site.uri(&format!("organisations/{}", contract.owner)),
            "@type": "foaf:Agent",
            "foaf:name": texts(publisher),
        },
        "dcat:contactPoint": {
            "@type": "vcard:Organization",
            "vcard:fn": contract.accountable,
            "vcard:hasOrganizationName": texts(publisher),
        },
        "dct:accessRights": access_rights(contract),
        "dct:accrualPeriodicity":
            reference(format!("{AUTHORITY}/frequency/{}", frequency(contract.update_period_minutes))),
        "dct:language": languages(),
        "dct:spatial": place(site),
        "dct:provenance": { "@type": "dct:ProvenanceStatement", "rdfs:label": contract.source_system },
        "dcat:landingPage": reference(uri.clone()),
    }));
    if !contract.theme.is_empty() {
        let concept = json!({ "@type": "skos:Concept", "skos:prefLabel": contract.theme });
        entry.insert("dcat:theme".into(), concept);
    }
    if !contract.published.is_empty() {
        let issued = json!({ "@value": contract.published, "@type": "xsd:date" });
        entry.insert("dct:issued".into(), issued);
    }
    if !related.is_empty() {
        entry.insert("dct:relation".into(), related.into());
    }
    if let Some(figures) = figures {
        if let Some(newest) = figures.newest {
            entry.insert("dct:modified".into(), moment(newest));
        }
        if let (Some(oldest), Some(newest)) = (figures.oldest, figures.newest) {
            let period = json!({
                "@type": "dct:PeriodOfTime",
                "dcat:startDate": moment(oldest),
                "dcat:endDate": moment(newest),
            });
            entry.insert("dct:temporal".into(), period);
        }
    }
    if known.access == Access::Readable {
        let distributions = DISTRIBUTIONS
            .map(|(part, media, name)| distribution(site, contract, part, media, name));
        entry.insert("dcat:distribution".into(), distributions.to_vec().into());
    }
    entry.into()
}

fn distribution(
    site: &Site<'_>,
    contract: &Contract,
    part: &str,
    media: &str,
    name: &str,
) -> Value {
    let uri = site.dataset(&contract.id);
    json!({
        "@id": format!("{uri}/distributions/{part}"),
        "@type": "dcat:Distribution",
        "dct:title": name,
        "dcat:accessURL": reference(uri),
        "dcat:accessService": reference(site.service()),
        "dcat:mediaType": reference(format!("{MEDIA_TYPES}/{media}")),
        "dct:license": licence(site, contract.open),
        "dct:rights": rights(contract),
    })
}

fn service(site: &Site<'_>, served: Vec<Value>) -> Value {
    json!({
        "@id": site.service(),
        "@type": "dcat:DataService",
        "dct:title": texts(&Text { zh: "SQL 查询".into(), en: "SQL".into() }),
        "dcat:endpointURL": reference(site.uri("api/sql")),
        "dcat:endpointDescription": reference(site.uri("api/openapi.json")),
        "dct:accessRights": reference(format!("{AUTHORITY}/access-right/RESTRICTED")),
        "dct:license": licence(site, false),
        "dcat:servesDataset": served,
    })
}

fn licence(site: &Site<'_>, open: bool) -> Value {
    let terms = if open { "terms/open-data" } else { "terms/government-sharing" };
    json!({ "@id": site.uri(terms), "@type": "dct:LicenseDocument" })
}

/// Open to the public, to departments (on conditions or not), or to the owner.
fn access_rights(contract: &Contract) -> Value {
    let code = match contract.sharing.attribute {
        SharingAttribute::Unconditional if contract.open => "PUBLIC",
        SharingAttribute::Unconditional | SharingAttribute::Conditional => "RESTRICTED",
        SharingAttribute::NotShared => "NON_PUBLIC",
    };
    reference(format!("{AUTHORITY}/access-right/{code}"))
}

/// The legal ground of the sharing attribute, and the conditions of use.
fn rights(contract: &Contract) -> Value {
    let sharing = &contract.sharing;
    let both = |ground: &str, conditions: &str| match (ground.is_empty(), conditions.is_empty()) {
        (_, true) => ground.to_owned(),
        (true, false) => conditions.to_owned(),
        (false, false) => format!("{ground} · {conditions}"),
    };
    let label = Text {
        zh: both(&sharing.legal_ground.zh, &sharing.conditions.zh),
        en: both(&sharing.legal_ground.en, &sharing.conditions.en),
    };
    json!({ "@type": "dct:RightsStatement", "rdfs:label": texts(&label) })
}

/// The code of the EU frequency list for an update period. Months and years vary in length, so a
/// period counts as the step whose usual lengths it lies between.
fn frequency(minutes: Option<u64>) -> &'static str {
    const HOUR: u64 = 60;
    const DAY: u64 = 24 * HOUR;
    let Some(minutes) = minutes else { return "IRREG" };
    if minutes < HOUR {
        return "CONT";
    }
    let steps = [
        (HOUR, HOUR, "HOURLY"),
        (DAY, DAY, "DAILY"),
        (7 * DAY, 7 * DAY, "WEEKLY"),
        (14 * DAY, 14 * DAY, "BIWEEKLY"),
        (28 * DAY, 31 * DAY, "MONTHLY"),
        (59 * DAY, 62 * DAY, "BIMONTHLY"),
        (89 * DAY, 92 * DAY, "QUARTERLY"),
        (181 * DAY, 184 * DAY, "ANNUAL_2"),
        (360 * DAY, 366 * DAY, "ANNUAL"),
        (720 * DAY, 731 * DAY, "BIENNIAL"),
        (1_095 * DAY, 1_096 * DAY, "TRIENNIAL"),
        (1_825 * DAY, 1_827 * DAY, "QUINQUENNIAL"),
        (3_650 * DAY, 3_653 * DAY, "DECENNIAL"),
    ];
    let step = steps.iter().find(|(from, to, _)| (*from..=*to).contains(&minutes));
    step.map_or("OTHER", |(_, _, code)| code)
}

fn texts(text: &Text) -> Value {
    let tagged = [("zh", &text.zh), ("en", &text.en)];
    let tagged = tagged.into_iter().filter(|(_, text)| !text.is_empty());
    tagged.map(|(language, text)| json!({ "@language": language, "@value": text })).collect()
}

fn languages() -> Value {
    ["ZHO", "ENG"].map(|code| reference(format!("{AUTHORITY}/language/{code}"))).to_vec().into()
}

fn place(site: &Site<'_>) -> Value {
    json!({
        "@id": site.uri(&format!("areas/{}", site.city_code)),
        "@type": "dct:Location",
        "skos:prefLabel": texts(site.city_name),
    })
}

fn moment(moment: DateTime<Utc>) -> Value {
    json!({
        "@value": moment.to_rfc3339_opts(SecondsFormat::Secs, true),
        "@type": "xsd:dateTime",
    })
}

fn reference(uri: String) -> Value {
    json!({ "@id": uri })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Principal;
    use crate::fixtures;
    use crate::knowledge::{READ_CATALOGUE, Readable};

    fn exported(principal: &Principal) -> Value {
        let mut contracts = fixtures::contracts();
        contracts[0].related = vec!["people.resident".into(), "police.case".into()];
        let knowledge = Knowledge::of(principal, &contracts, |contract| {
            (contract.id == "air.pm25").then(|| Readable { fields: BTreeMap::new(), whole: true })
        });
        let site = Site {
            base_url: "https://data.example.org/",
            city_code: "510100000000",
            city_name: &fixtures::text("成都市", "Chengdu"),
            generated: DateTime::UNIX_EPOCH,
        };
        let figures = |dataset: &str| {
            (dataset == "air.pm25").then(|| ShownStatistics {
                computed_at: DateTime::UNIX_EPOCH,
                rows: Some(2),
                oldest: Some(DateTime::UNIX_EPOCH),
                newest: DateTime::from_timestamp(86_400, 0),
                fields: BTreeMap::new(),
            })
        };
        catalog(&site, &contracts, &knowledge, |id| fixtures::text(id, id), figures)
    }

    fn anyone() -> Principal {
        Principal {
            organisation: "transport".into(),
            permissions: [READ_CATALOGUE.to_owned()].into(),
            ..Principal::default()
        }
    }

    fn find<'a>(catalog: &'a Value, id: &str) -> &'a Value {
        let uri = format!("https://data.example.org/catalog/datasets/{id}");
        let datasets = catalog["dcat:dataset"].as_array().expect("a list");
        datasets.iter().find(|d| d["@id"] == uri.as_str()).expect("the dataset is there")
    }

    /// Every prefix used in a key or a type is declared, and every reference is absolute.
    fn well_formed(value: &Value, context: &Value) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map.iter().filter(|(key, _)| *key != "@context") {
                    let term = if key == "@type" { inner.as_str() } else { Some(key.as_str()) };
                    let term = term.expect("a term");
                    if !term.starts_with('@') {
                        let (prefix, _) = term.split_once(':').expect("prefixed");
                        assert!(
                            context.get(prefix).is_some(),
                            "{term} has no prefix in the context"
                        );
                    }
                    if key == "@id" {
                        assert!(inner.as_str().is_some_and(|id| id.starts_with("http")), "{inner}");
                    }
                    well_formed(inner, context);
                }
            }
            Value::Array(list) => list.iter().for_each(|inner| well_formed(inner, context)),
            _ => {}
        }
    }

    #[test]
    fn the_document_is_well_formed() {
        let catalog = exported(&anyone());
        well_formed(&catalog, &catalog["@context"]);
        assert_eq!(catalog["@type"], "dcat:Catalog");
        assert_eq!(catalog["dcat:service"][0]["@type"], "dcat:DataService");
    }

    #[test]
    fn an_open_dataset_can_be_taken_and_a_conditional_one_asked_for() {
        let catalog = exported(&anyone());
        let open = find(&catalog, "air.pm25");
        assert!(open["dct:accessRights"]["@id"].as_str().is_some_and(|id| id.ends_with("/PUBLIC")));
        assert!(
            open["dct:accrualPeriodicity"]["@id"]
                .as_str()
                .is_some_and(|id| id.ends_with("/HOURLY"))
        );
        assert_eq!(open["dct:temporal"]["dcat:endDate"]["@value"], "1970-01-02T00:00:00Z");
        assert_eq!(open["dcat:distribution"].as_array().map(Vec::len), Some(3));
        let asked = find(&catalog, "people.resident");
        assert!(
            asked["dct:accessRights"]["@id"].as_str().is_some_and(|id| id.ends_with("/RESTRICTED"))
        );
        assert!(asked.get("dcat:distribution").is_none());
        let served = catalog["dcat:service"][0]["dcat:servesDataset"].as_array().expect("a list");
        assert_eq!(served.len(), 1);
    }

    #[test]
    fn what_may_not_be_known_about_is_nowhere_in_it() {
        assert!(!exported(&anyone()).to_string().contains("police.case"));
        let police = Principal { organisation: "police".into(), ..Principal::default() };
        let catalog = exported(&police);
        find(&catalog, "police.case");
        assert!(!catalog.to_string().contains("people.resident"));
    }

    #[test]
    fn periods_have_their_codes() {
        let day = 1_440;
        for (minutes, code) in [
            (Some(1), "CONT"),
            (Some(60), "HOURLY"),
            (Some(day), "DAILY"),
            (Some(30 * day), "MONTHLY"),
            (Some(365 * day), "ANNUAL"),
            (Some(3_652 * day), "DECENNIAL"),
            (Some(5 * day), "OTHER"),
            (None, "IRREG"),
        ] {
            assert_eq!(frequency(minutes), code, "{minutes:?}");
        }
    }
}
