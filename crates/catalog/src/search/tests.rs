//! Search as people type, and as people must not find.

use std::collections::BTreeMap;

use pack::model::Contract;

use super::*;
use crate::Principal;
use crate::fixtures;
use crate::knowledge::{READ_CATALOGUE, Readable, Shown};

fn anyone() -> Principal {
    Principal {
        organisation: "transport".into(),
        ancestors: vec!["transport".into()],
        permissions: [READ_CATALOGUE.to_owned()].into(),
        ..Principal::default()
    }
}

/// The open dataset can be read; the rest is known about by the usual rule.
fn knowledge(principal: &Principal) -> Knowledge {
    Knowledge::of(principal, &fixtures::contracts(), |contract: &Contract| {
        (contract.id == "air.pm25").then(|| Readable {
            fields: contract.fields.iter().map(|f| (f.name.clone(), Shown::Plain)).collect(),
            whole: true,
        })
    })
}

fn index() -> SearchIndex {
    SearchIndex::build(&fixtures::contracts(), |id| {
        (id == "ecology_environment")
            .then(|| fixtures::text("成都市生态环境局", "Ecology and Environment Bureau"))
    })
    .expect("builds")
}

fn found(query: &str) -> Vec<String> {
    let hits = index().search(query, &knowledge(&anyone()), 10).expect("searches");
    hits.into_iter().map(|hit| hit.dataset).collect()
}

#[test]
fn the_air_is_found_by_all_its_names() {
    for query in [
        "PM2.5",
        "pm25",
        "pm2_5",
        "ＰＭ２．５",
        "air.pm25",
        "细颗粒物",
        "颗粒物",
        "空气质量",
        "空气",
        "air quality",
        "the quality of air",
        "生态环境局",
        "ecology_environment",
        "监测站点",
        "observed_at",
        "PM_US Post",
        "fine particulate",
    ] {
        assert_eq!(found(query).first().map(String::as_str), Some("air.pm25"), "{query}");
    }
}

#[test]
fn slips_and_beginnings_are_forgiven() {
    for query in ["qualiyt", "particlate", "partic", "monitorng site", "readngs"] {
        assert_eq!(found(query).first().map(String::as_str), Some("air.pm25"), "{query}");
    }
}

#[test]
fn a_number_is_never_a_slip() {
    for query in ["pm10", "pm26"] {
        assert!(!found(query).contains(&"air.pm25".to_owned()), "{query}");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    for query in ["水稻种植", "zzzz", "", "  ", "。，！", "the of"] {
        assert_eq!(found(query), Vec::<String>::new(), "{query:?}");
    }
}

#[test]
fn a_conditional_dataset_is_found_but_not_readable() {
    let hits = index().search("身份证", &knowledge(&anyone()), 10).expect("searches");
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].dataset.as_str(), hits[0].readable), ("people.resident", false));
    assert_eq!(hits[0].fields[0].name, "id_number");
}

#[test]
fn a_dataset_that_is_not_shared_is_found_only_by_its_owner() {
    for query in ["刑事案件", "police.case", "Criminal cases", "case_no", "案件编号"] {
        assert_eq!(found(query), Vec::<String>::new(), "{query}");
        let police = Principal { organisation: "police".into(), ..Principal::default() };
        let hits = index().search(query, &knowledge(&police), 10).expect("searches");
        assert_eq!(hits.first().map(|hit| hit.dataset.as_str()), Some("police.case"), "{query}");
    }
}

#[test]
fn a_dataset_is_not_found_by_a_field_that_must_not_be_known() {
    assert_eq!(found("走访备注"), Vec::<String>::new());
    assert_eq!(found("remark"), Vec::<String>::new());
    let owner = Principal { organisation: "civil_affairs".into(), ..Principal::default() };
    let hits = index().search("走访备注", &knowledge(&owner), 10).expect("searches");
    assert_eq!(hits.first().map(|hit| hit.dataset.as_str()), Some("people.resident"));

    // A policy that hides a field of a readable dataset hides it here as well.
    let hidden = Knowledge::of(&anyone(), &fixtures::contracts(), |contract| {
        (contract.id == "air.pm25").then(|| Readable {
            fields: BTreeMap::from([("site".to_owned(), Shown::Plain)]),
            whole: true,
        })
    });
    assert!(index().search("observed_at", &hidden, 10).expect("searches").is_empty());
    let hits = index().search("PM2.5浓度", &hidden, 10).expect("searches");
    assert!(hits.iter().all(|hit| hit.fields.iter().all(|field| field.name == "site")));
}

#[test]
fn meeting_every_word_ranks_above_meeting_one() {
    let mut both = fixtures::contract(
        "a.both",
        "空气质量预报",
        "Air quality forecast",
        "x",
        pack::model::SharingAttribute::Unconditional,
    );
    both.description = fixtures::text("空气质量", "forecast of air quality");
    let one = fixtures::contract(
        "b.one",
        "预报",
        "Forecast forecast forecast",
        "x",
        pack::model::SharingAttribute::Unconditional,
    );
    let contracts = [one, both];
    let index = SearchIndex::build(&contracts, |_| None).expect("builds");
    let knowledge = Knowledge::of(&anyone(), &contracts, |_| None);
    let hits = index.search("air quality forecast", &knowledge, 10).expect("searches");
    assert_eq!(hits[0].dataset, "a.both");
}

#[test]
fn marks_join_up_to_the_text_and_stand_on_the_words() {
    let hits = index().search("细颗粒物 qualiyt", &knowledge(&anyone()), 10).expect("searches");
    let pm25 = fixtures::pm25();
    let joined = |marked: &Marked| marked.iter().map(|s| s.text.as_str()).collect::<String>();
    assert_eq!(joined(&hits[0].snippet.zh), pm25.description.zh);
    let met = |marked: &Marked| -> Vec<String> {
        marked.iter().filter(|s| s.hit).map(|s| s.text.clone()).collect()
    };
    assert_eq!(met(&hits[0].snippet.zh), ["细颗粒物"]);
    assert_eq!(met(&hits[0].snippet.en), ["quality"]);
}

#[test]
fn a_long_description_is_cut_around_the_word() {
    let mut contract = fixtures::pm25();
    contract.description.zh = format!("{}草堂寺站点{}", "前".repeat(300), "后".repeat(300));
    let contracts = [contract];
    let index = SearchIndex::build(&contracts, |_| None).expect("builds");
    let knowledge = Knowledge::of(&anyone(), &contracts, |_| None);
    let hits = index.search("草堂寺", &knowledge, 10).expect("searches");
    let marked = &hits[0].snippet.zh;
    assert!(marked.iter().any(|s| s.hit && s.text == "草堂寺"), "{marked:?}");
    let chars: usize = marked.iter().map(|s| s.text.chars().count()).sum();
    assert!(chars <= 122, "{chars}");
    assert_eq!((marked[0].text.as_str(), marked[0].hit), ("…", false));
}

#[test]
fn a_monstrous_query_is_answered() {
    let query = "空气 quality ".repeat(10_000);
    assert_eq!(found(&query).first().map(String::as_str), Some("air.pm25"));
}
