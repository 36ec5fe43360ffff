//! What plans hold whatever their SQL looks like.

use proptest::prelude::*;

use super::{context, planned};
use crate::odata::{EntityId, Function, QueryOptions, ResourcePath};
use crate::plan::functions::{CALLED_FUNCTIONS, ENGINE_FUNCTIONS};
use crate::plan::{
    Extras, KEYS_MAX, ObservationKey, PlanErrorKind, Request, SQL_DEPTH_MAX, Statement, Value,
    next_link, next_link_of_child, plan,
};
use crate::schema::{EntityKind, SENSORTHINGS_1_1};

/// The plan's own refusal.
fn refused(url: &str) -> (PlanErrorKind, String) {
    planned(url, |_, plan| match plan {
        Ok(_) => panic!("{url} was planned"),
        Err(fault) => (fault.kind, fault.to_string()),
    })
    .unwrap()
}

fn page(url: &str) -> Statement {
    planned(url, |_, plan| plan.unwrap().page.unwrap()).unwrap()
}

fn next(url: &str, last: Option<&EntityId>) -> String {
    planned(url, |request, plan| next_link(request, &plan.unwrap(), last)).unwrap()
}

#[test]
fn no_text_of_a_request_is_text_of_a_statement() {
    let word = "bobby";
    for url in [
        "Things?$filter=name eq 'bobby'",
        "Things?$filter=properties/bobby eq 1",
        "Things?$filter=properties/'bobby''s' eq 'x'&$orderby=properties/bobby/x",
        "Observations?$filter=id eq 'bobby'",
        "Things('bobby')/Datastreams",
        "Observations?$apply=groupby((parameters/bobby),aggregate(result with sum as bobby))",
        "Things?$filter=startswith(concat(name,'bobby'),properties/x)",
    ] {
        assert!(!page(url).sql.contains(word), "{url}: {}", page(url).sql);
    }
}

#[test]
fn a_newest_page_of_one_datastream_is_plain() {
    let statement = page("Datastreams(5)/Observations?$orderby=phenomenonTime desc&$top=100");
    let (_, from) = statement.sql.split_once("\nFROM ").unwrap();
    assert_eq!(
        from,
        "sensing.observation AS t\nWHERE t.datastream = $1\n\
         ORDER BY t.phenomenon_time DESC, t.ordinal DESC\nLIMIT 101"
    );
    assert_eq!(statement.parameters, [Value::Integer(5)]);
}

#[test]
fn a_count_needs_no_page() {
    planned("Things?$top=0&$count=true", |_, plan| {
        let plan = plan.unwrap();
        assert_eq!(plan.page, None);
        assert_eq!(plan.count.unwrap().sql, "SELECT count(*) AS count\nFROM sensing.thing AS t");
    })
    .unwrap();
}

#[test]
fn next_links_keep_the_path_and_all_options() {
    assert_eq!(
        next("Things(1)/Datastreams?$top=2&$count=true&$filter=name ne 'a%2Bb'", None),
        "Things(1)/Datastreams?$filter=name%20ne%20'a%2Bb'&$count=true&$skip=2&$top=2"
    );
    assert_eq!(next("Things?$skip=40", None), "Things?$skip=140");
    assert_eq!(next("Things?$top=5000", None), "Things?$skip=1000&$top=5000");
    assert_eq!(
        next("Observations?flagged=exclude&$top=1", None),
        "Observations?$skip=1&$top=1&flagged=exclude"
    );
    let options = QueryOptions::parse(
        &SENSORTHINGS_1_1,
        crate::odata::Target::Collection(EntityKind::Observation),
        "$top=5&$orderby=phenomenonTime desc",
    )
    .unwrap();
    assert_eq!(
        next_link_of_child("Datastreams(3)", "Observations", &options, &Extras::default(), 5),
        "Datastreams(3)/Observations?$orderby=phenomenonTime%20desc&$skip=5&$top=5"
    );
    let extras = Extras::parse("flagged=exclude&as_of=2026-01-01T08:00:00%2B08:00&after=5");
    assert_eq!(
        next_link_of_child("Datastreams(3)", "Observations", &options, &extras.unwrap(), 5),
        "Datastreams(3)/Observations?$orderby=phenomenonTime%20desc&$skip=5&$top=5\
         &flagged=exclude&as_of=2026-01-01T00:00:00Z"
    );
}

#[test]
fn a_reason_is_read_as_it_was_meant() {
    use crate::plan::reason;

    let given = "$top=1&reason=%E4%BC%A0%E6%84%9F%E5%99%A8%20A%26B";
    assert_eq!(reason(given).as_deref(), Some("传感器 A&B"));
    assert_eq!(reason("$filter=reason=1"), None);
    assert_eq!(reason(""), None);
}

#[test]
fn deep_pages_begin_behind_an_id() {
    let last = EntityId::Text("12-5-0".into());
    let near = next("Datastreams(12)/Observations?$skip=100&$top=100", Some(&last));
    assert_eq!(near, "Datastreams(12)/Observations?$skip=200&$top=100");
    let deep = next("Datastreams(12)/Observations?$skip=10000&$count=true", Some(&last));
    assert_eq!(deep, "Datastreams(12)/Observations?$count=true&after=12-5-0");
    let deeper = next(&deep, Some(&EntityId::Text("12-9-0".into())));
    assert_eq!(deeper, "Datastreams(12)/Observations?$count=true&after=12-9-0");
    // An order of its own has no id to go on from.
    let ordered = next("Observations?$orderby=result&$skip=20000", Some(&last));
    assert_eq!(ordered, "Observations?$orderby=result&$skip=20100");
    assert_eq!(next("Things?after=7", Some(&EntityId::Integer(107))), "Things?after=107");
}

#[test]
fn what_is_too_much_is_refused_with_its_place() {
    let many: Vec<String> = (0..33).map(|_| "a eq 1".to_owned()).collect();
    let long = format!("Things?$filter=properties/{}", many.join(" or properties/"));
    planned(&long, |_, plan| assert!(plan.is_ok())).unwrap();

    let nested = "(".repeat(60) + "1" + &" add 1)".repeat(60);
    let (kind, text) = refused(&format!("Things?$filter={nested} eq 1"));
    assert_eq!(kind, PlanErrorKind::TooLarge, "{text}");
    assert!(text.starts_with("$filter, byte 1"), "{text}");
    assert!(text.contains(&SQL_DEPTH_MAX.to_string()), "{text}");

    let paths: Vec<String> =
        (0..40).map(|n| format!("Datastreams/Observations/result eq {n}")).collect();
    let (kind, text) = refused(&format!("Things?$filter={}", paths.join(" or ")));
    assert_eq!(kind, PlanErrorKind::TooLarge, "{text}");

    let few = format!("Things?$expand={}", counted_expansions(EntityKind::Thing, 3));
    planned(&few, |_, plan| assert!(plan.is_ok())).unwrap();
    let many = format!("Things?$expand={}", counted_expansions(EntityKind::Thing, 5));
    let (kind, text) = refused(&many);
    assert_eq!(kind, PlanErrorKind::TooLarge, "{text}");
    assert!(text.contains("questions"), "{text}");
}

/// Two navigations of each entity, so deep, each with its count.
fn counted_expansions(kind: EntityKind, depth: usize) -> String {
    let navigations = SENSORTHINGS_1_1.entity(kind).navigations.iter().take(2);
    let expansions = navigations.map(|navigation| match depth {
        1 => format!("{}($count=true)", navigation.name),
        _ => {
            let inner = counted_expansions(navigation.target, depth - 1);
            format!("{}($count=true;$expand={inner})", navigation.name)
        }
    });
    expansions.collect::<Vec<_>>().join(",")
}

#[test]
fn too_many_parents_are_refused() {
    planned("Things?$expand=Datastreams", |_, plan| {
        let plan = plan.unwrap();
        let keys: Vec<i64> = (0..=i64::try_from(KEYS_MAX).unwrap()).collect();
        assert_eq!(plan.children[0].statement(&keys).unwrap_err().kind, PlanErrorKind::TooLarge);
        assert!(plan.children[0].statement(&keys[1..]).unwrap().is_some());
        assert_eq!(plan.children[0].statement(&[]).unwrap(), None);
    })
    .unwrap();
}

#[test]
fn extras_are_checked() {
    for url in ["Things?flagged=maybe", "Things?after=a", "Things?after=", "Things?as_of=today"] {
        assert!(planned(url, |_, _| ()).is_err(), "{url}");
    }
    assert_eq!(refused("Things?after=5&$orderby=name").0, PlanErrorKind::Malformed);
    assert_eq!(refused("Things(1)?after=5").0, PlanErrorKind::Malformed);
}

/// Every function in the checked-in SQL is on one of the lists that the catalogue can be held to.
#[test]
fn only_known_functions_are_called() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/tests/golden");
    let words = ["in", "and", "or", "not", "exists", "as", "cast", "try_cast", "over", "from"];
    let words =
        [words.as_slice(), &["join", "timestamp", "count", "between", "on", "then"]].concat();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let statements = text
            .lines()
            .filter(|line| line.starts_with("    ") && !line.trim_start().starts_with(['$', 'c']));
        for line in statements {
            for (at, _) in line.match_indices('(') {
                let start = line[..at]
                    .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .map_or(0, |before| before + 1);
                let name = line[start..at].to_lowercase();
                let known = name.is_empty()
                    || words.contains(&name.as_str())
                    || CALLED_FUNCTIONS.contains(&name.as_str())
                    || ENGINE_FUNCTIONS.iter().any(|function| function.name == name);
                assert!(known, "{name} in {line}");
            }
        }
    }
}

#[test]
fn a_window_is_a_century_at_most() {
    let apply = |length: &str| {
        format!(
            "Observations?$apply=groupby((window(phenomenonTime,'{length}')),\
             aggregate(result with sum as total))"
        )
    };
    for long in ["P101Y", "P36526D", "P178956970Y"] {
        assert_eq!(refused(&apply(long)).0, PlanErrorKind::Unsupported, "{long}");
    }
}

/// Whatever is read is planned or refused, never a panic, and its statements are numbered well.
#[test]
fn parameters_and_places_agree() {
    for url in [
        "Things?$filter=name eq 'a' and not (name eq 'b' or properties/x gt 1)&$orderby=name",
        "Observations?$filter=Datastream/Thing/Locations/name eq 'x' and result gt 1",
        "Observations?$apply=groupby((window(phenomenonTime,'PT1H')),aggregate($count as n))",
    ] {
        let Statement { sql, parameters } = page(url);
        let numbers: std::collections::BTreeSet<usize> = sql
            .split('$')
            .skip(1)
            .map(|piece| {
                let digits: String = piece.chars().take_while(char::is_ascii_digit).collect();
                digits.parse().unwrap()
            })
            .collect();
        let expected: std::collections::BTreeSet<usize> = (1..=parameters.len()).collect();
        assert_eq!(numbers, expected, "{sql}");
    }
}

#[test]
fn a_plan_is_a_value_of_its_request() {
    let path = ResourcePath::parse(&SENSORTHINGS_1_1, "Datastreams").unwrap();
    let query = "$expand=Observations($top=1;$orderby=phenomenonTime desc)";
    let options = QueryOptions::parse(&SENSORTHINGS_1_1, path.target(), query).unwrap();
    let context = context();
    let request = Request { path: &path, options: &options, extras: Default::default() };
    let plan = plan(&request, &context).unwrap();
    assert!(plan.children[0].is_newest());
    assert!(plan.by_id);
}

#[test]
fn newest_rows_are_asked_for_by_their_keys() {
    planned("Datastreams?$expand=Observations($top=1;$orderby=phenomenonTime desc)", |_, plan| {
        let plan = plan.unwrap();
        let key = |datastream, time_us| ObservationKey { datastream, time_us, ordinal: 0 };
        let keys: Vec<ObservationKey> = (1..=45).map(|id| key(id, 1_000 * (id % 2))).collect();
        let statement = plan.children[0].by_keys(&keys).unwrap();
        assert!(statement.sql.contains("t.datastream AS parent"), "{}", statement.sql);
        // Short lists, each with its own times: files are pruned by lists of 20 at most.
        assert_eq!(statement.sql.matches("t.datastream IN (").count(), 3, "{}", statement.sql);
        assert_eq!(statement.parameters.len(), 6);
        let few = plan.children[0].by_keys(&keys[..1]).unwrap();
        assert!(few.sql.ends_with("WHERE (t.datastream IN (1) AND t.phenomenon_time IN ($1))"));
    })
    .unwrap();
}

#[test]
fn an_area_of_a_thing_is_looked_up_in_its_column() {
    let sql = page("Datastreams?$filter=Thing/properties/area_code eq '510104'").sql;
    assert!(sql.contains("(j1.area_code = $1)"), "{sql}");
    let sql = page("Things?$filter=properties/kind eq 'air' and properties/a/b gt 5").sql;
    assert!(sql.contains("json_text(t.properties, $1) = $2"), "{sql}");
    assert!(sql.contains("json_number(t.properties, $3) > $4"), "{sql}");
}

/// Filters put together at random of what the language has.
fn filters() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("result"),
        Just("phenomenonTime"),
        Just("resultTime"),
        Just("validTime"),
        Just("id"),
        Just("parameters/a"),
        Just("Datastream/name"),
        Just("Datastream/Thing/id"),
        Just("Datastream/Thing/Datastreams/name"),
        Just("Datastream/Thing/Datastreams/Observations/result"),
        Just("Datastream/Thing/Locations/location"),
        Just("FeatureOfInterest/feature"),
        Just("null"),
        Just("true"),
        Just("5"),
        Just("'x'"),
        Just("2020-01-01T00:00:00Z"),
        Just("2020-01-01T00:00:00Z/P1M"),
        Just("2020-01-01"),
        Just("08:00:00"),
        Just("duration'P1M'"),
        Just("duration'PT1H'"),
        Just("geography'POINT(1 2)'"),
        Just("now()"),
    ]
    .prop_map(str::to_owned);
    value.prop_recursive(6, 60, 3, |inner| {
        let joined = ["and", "or", "eq", "ne", "lt", "ge", "add", "sub", "mul", "div", "mod"];
        let called = Function::ALL.iter().map(|function| function.name()).collect::<Vec<_>>();
        prop_oneof![
            (inner.clone(), prop::sample::select(joined.to_vec()), inner.clone())
                .prop_map(|(left, word, right)| format!("({left} {word} {right})")),
            inner.clone().prop_map(|operand| format!("not ({operand})")),
            inner.clone().prop_map(|operand| format!("-({operand})")),
            (prop::sample::select(called), prop::collection::vec(inner, 0..3))
                .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(","))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever is read is planned or refused, and what is planned has all its parameters.
    #[test]
    fn what_is_read_is_planned_or_refused(filter in filters()) {
        let url = format!("Observations?$filter={filter}&$count=true");
        let _ = planned(&url, |_, plan| {
            let Ok(plan) = plan else { return };
            for statement in [plan.page.unwrap(), plan.count.unwrap()] {
                let last = statement.parameters.len();
                assert!(!statement.sql.contains(&format!("${}", last + 1)), "{}", statement.sql);
                assert!(last == 0 || statement.sql.contains(&format!("${last}")));
            }
        });
    }
}
