//! What is refused, where, and in which words.

use super::{no_filter, options, read, refused};
use crate::odata::{
    EXPAND_DEPTH_MAX, EXPRESSION_DEPTH_MAX, ErrorKind, PATH_BYTES_MAX, QUERY_BYTES_MAX, Span,
    Target,
};
use crate::schema::EntityKind::{Location, Observation, Thing};

/// The smallest stack on which a worker may run.
const STACK_BYTES: usize = 1024 * 1024;

#[test]
fn a_fault_is_a_useful_sentence() {
    for (request, sentence) in [
        (
            "Observations?$filter=reslt gt 5",
            "$filter, character 1: Observation has no `reslt`: expected a property or a \
             navigation, found `reslt`; did you mean `result`?",
        ),
        (
            "Observations?$filter=result gt",
            "$filter, character 10: an expression breaks off: expected a path, a literal, a \
             function or `(`, found the end",
        ),
        (
            "Things?$filter=name eq 5",
            "$filter, character 6: `eq` cannot compare a text with an integer",
        ),
        (
            "Things?$filter=name eq '蜀锦' and length(name,1) eq 5",
            "$filter, character 30: length has a wrong number of arguments: expected one argument, \
             found 2",
        ),
        ("Things?$top=5&$top=6", "query, character 8: $top is given twice"),
        (
            "Things?$orderby=Datastreams/name",
            "$orderby, character 1: Datastreams leads to many, an order needs one value",
        ),
        (
            "Tings(1)",
            "path, character 1: there is no such entity set: expected an entity set, found \
             `Tings(1)`; did you mean `Things`?",
        ),
        ("Things(1)/name/x", "path, character 16: name is a text and has no members"),
        (
            "Things(1)?$top=1",
            "query, character 1: $top does not apply: the path leads to one entity, which takes \
             $select and $expand",
        ),
    ] {
        assert_eq!(refused(request).to_string(), sentence, "{request}");
    }
}

#[test]
fn a_fault_says_what_to_answer() {
    assert_eq!(refused("Nothings").kind, ErrorKind::NotFound);
    assert_eq!(refused("Things(1)/nothing").kind, ErrorKind::NotFound);
    assert_eq!(refused("Things?$search=x").kind, ErrorKind::Unsupported);
    assert_eq!(refused("Things?$filter=cast(name,'x') eq 1").kind, ErrorKind::Unsupported);
    assert_eq!(refused("Things?$filter=name").kind, ErrorKind::Malformed);
    assert_eq!(refused("Things(1").kind, ErrorKind::Malformed);
}

#[test]
fn places_are_bytes_of_the_decoded_text() {
    let fault = refused("Things?$filter=name%20eq%20'%E8%9C%80'%20and%20nme%20eq%20'a'");
    assert_eq!(fault.at.span, Span::new(18, 21));
    assert_eq!(fault.at.character, 17);
    let (_, query) = read("Things?$filter=name eq 'a' and id eq 1");
    let filter = query.filter.unwrap();
    assert_eq!(filter.span, Span::new(0, 23));
}

#[test]
fn filters_that_are_none() {
    for (text, what) in [
        ("", "breaks off"),
        ("result", ""),
        ("result eq", "breaks off"),
        ("result eq 1 and", "breaks off"),
        ("result eq 1 result", "cannot read on"),
        ("(result eq 1", "cannot go on"),
        ("result eq 1)", "cannot read on"),
        ("result eq 'a", "has no end"),
        ("result eq geography'POINT(1 2)", "has no end"),
        ("result eq geography'POINT(1)'", "well-known text"),
        ("result eq duration'1D'", "no duration"),
        ("result eq guid'x'", "no kind of literal"),
        ("result eq NaN", "a number that is none"),
        ("result eq INF", "a number that is none"),
        ("result eq -INF", "a number that is none"),
        ("result eq 1e999", "too large"),
        ("result eq 12abc", "neither a number nor a time"),
        ("result eq +5", "breaks off"),
        ("result add 1", "decides nothing"),
        ("result eq 1 and 5", "neither true nor false"),
        ("not 5", "neither true nor false"),
        ("Datastream/name add 1 eq 2", "cannot join a text and an integer"),
        ("-Datastream/name eq 2", "has no negative"),
        ("Datastream eq null", "is an entity"),
        ("Datastream/ eq null", "breaks off"),
        ("resultTime/year eq 1", "has no members"),
        ("resultTime[0] eq 1", "has no members"),
        ("result[x] eq 1", "indexed by a number"),
        ("result[99999999999] eq 1", "indexed by a number"),
        ("result/ eq 1", "breaks off"),
        ("result/'a eq 1", "has no end"),
        ("FeatureOfInterest/feature gt geography'POINT(1 2)'", "has none"),
        ("substringof(5,'a')", "argument 1 of substringof"),
        ("startswith('a')", "wrong number of arguments"),
        ("now(1) eq resultTime", "expected no argument, found 1"),
        ("substring('a') eq 'a'", "expected 2 to 3 arguments"),
        ("substring('a',-1) eq 'a'", "expected an integer, found `-1`"),
        ("substring('a',1.5) eq 'a'", "expected an integer"),
        ("year('2020-01-01T00:00:00Z') eq 2020", "without quotes"),
        ("st_relate(FeatureOfInterest/feature,geography'POINT(1 2)','T*')", "nine characters"),
        ("st_within(FeatureOfInterest/id,geography'POINT(1 2)')", "expected a geometry"),
        ("frob(result) eq 1", "there is no function `frob`"),
        ("lenght('a') eq 1", "did you mean `length`?"),
        ("result has 1", "has no `has`"),
    ] {
        if text == "result" {
            // Of any type, so it may be true.
            super::filter(Observation, text);
            continue;
        }
        let fault = no_filter(Observation, text);
        assert!(fault.to_string().contains(what), "{text}\n{fault}");
    }
}

#[test]
fn paths_that_lead_nowhere() {
    for (path, what) in [
        ("", "there is no such entity set"),
        ("/", "there is no such entity set"),
        ("Things//Datastreams", "is a collection"),
        ("Things/Datastreams", "is a collection"),
        ("Things/name", "is a collection"),
        ("Things()", "no id of an entity"),
        ("Things(1", "an id has no end"),
        ("Things('a)", "has no end"),
        ("Things(99999999999999999999)", "too large"),
        ("Things(1)x", "cannot go on"),
        ("Things(1)/Datastreams(1)/Thing(1)", "takes no id"),
        ("Things(1)/$value", "only a property"),
        ("Things/$ref/x", "nothing lies below"),
        ("Things(1)/name/$value/x", "nothing lies below"),
        ("Things(1)/properties/$ref", "no member"),
        ("Things(1)/properties//x", "no member"),
        ("Things(1)/name[0]", "has no members"),
        ("Things(%zz)", "encodes nothing"),
        ("Things(%ff)", "not UTF-8"),
    ] {
        let fault = refused(path);
        assert!(fault.to_string().contains(what), "{path}\n{fault}");
    }
}

#[test]
fn options_that_are_none() {
    for (query, what) in [
        ("$filter=", "has no value"),
        ("$filter", "has no value"),
        ("$expand=%20", "has no value"),
        ("$expand=name", "is a property"),
        ("$expand=Observatons", "Thing has no"),
        ("$expand=Datastreams,", "breaks off"),
        ("$expand=Datastreams(", "break off"),
        ("$expand=Datastreams($top=1", "cannot go on"),
        ("$expand=Datastreams($top=1;$top=2)", "given twice"),
        ("$expand=Datastreams($apply=aggregate($count as n))", "no such option"),
        ("$expand=Datastreams($resultFormat=dataArray)", "no such option"),
        ("$expand=Datastreams(top=1)", "break off"),
        ("$expand=Datastreams($filter=name)", "decides nothing"),
        ("$select=nothing", "Thing has no"),
        ("$select=name,", "breaks off"),
        ("$select=Datastreams/name", "cannot read on"),
        ("$orderby=name up", "cannot read on"),
        ("$orderby=properties", "cannot be put in order"),
        ("$orderby=length(Datastreams/name)", "leads to many"),
        ("$top=1&%24top=2", "given twice"),
        ("$Top=1", "did you mean `$top`?"),
        ("$filter=%", "encodes nothing"),
    ] {
        let fault = options(Target::Collection(Thing), query).unwrap_err();
        assert!(fault.to_string().contains(what), "{query}\n{fault}");
    }
    assert!(options(Target::Property, "$select=name").is_err());
}

/// Runs on a small stack: depth must be refused before it is used up.
fn on_a_small_stack(check: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(check).unwrap();
    thread.join().expect("no overflow and no failed assertion");
}

#[test]
fn a_megabyte_of_anything_fails_cleanly() {
    on_a_small_stack(|| {
        for unit in ["(", "not ", "-", "'", "length(", "a/", "[0]", "$expand=", "A(", "POINT("] {
            let text = unit.repeat(1024 * 1024 / unit.len());
            assert!(no_filter(Thing, &text).what.contains("more than"), "{unit}");
            let query = format!("$filter={text}");
            assert!(options(Target::Collection(Thing), &query).is_err());
            assert!(super::request(&text).is_err());
        }
        assert!(refused(&"Things(1)/".repeat(PATH_BYTES_MAX)).what.contains("more than"));
    });
}

#[test]
fn depth_is_bounded_within_the_length_that_is_allowed() {
    on_a_small_stack(|| {
        for (open, close) in
            [("(", ")"), ("not ", ""), ("-", ""), ("tolower(", ")"), ("1 eq (2 gt (", "))")]
        {
            let times = QUERY_BYTES_MAX / (open.len() + close.len()) - 10;
            let text = format!("{}1{}", open.repeat(times), close.repeat(times));
            let fault = no_filter(Thing, &text);
            assert!(fault.what.contains("nested more than"), "{open}: {fault}");
        }
        let chain = vec!["1"; QUERY_BYTES_MAX / 10].join(" add ");
        assert!(no_filter(Thing, &chain).what.contains("nested more than"));
        let chain = vec!["true"; QUERY_BYTES_MAX / 10].join(" or ");
        assert!(no_filter(Thing, &chain).what.contains("more than"));
        // Every level of precedence at every level of nesting.
        let level = "true or true and not true eq true gt true add 1 mul (";
        let fault = no_filter(Thing, &level.repeat(QUERY_BYTES_MAX / level.len() - 1));
        assert!(fault.what.contains("nested more than"), "{fault}");
    });
}

#[test]
fn the_deepest_that_is_allowed_is_understood() {
    on_a_small_stack(|| {
        let depth = EXPRESSION_DEPTH_MAX;
        super::filter(Thing, &format!("{}true{}", "(".repeat(depth), ")".repeat(depth)));
        for deep in [
            format!("{}true", "not ".repeat(depth - 1)),
            format!("{}1 eq 1", "-".repeat(depth - 1)),
            format!("1 eq {}1{}", "1 add (".repeat(depth - 2), ")".repeat(depth - 2)),
        ] {
            let printed = super::filter(Thing, &deep);
            assert_eq!(super::filter(Thing, &printed), printed);
        }
        no_filter(Thing, &format!("{}true", "not ".repeat(depth)));
        let level = "true or true and not true eq (1 gt 0) eq (";
        let nested = format!("{}true{}", level.repeat(12), ")".repeat(12));
        super::filter(Thing, &nested);
    });
}

#[test]
fn expansions_are_bounded_in_depth_and_number() {
    let mut path = "Datastreams/Thing/".repeat(EXPAND_DEPTH_MAX / 2);
    path.pop();
    read(&format!("Things?$expand={path}"));
    assert!(refused(&format!("Things?$expand={path}/Locations")).what.contains("nested"));
    let nested = "Datastreams($expand=Thing($expand=".repeat(1_000);
    assert!(refused(&format!("Things?$expand={nested}")).what.contains("nested"));
    let wide = vec!["Datastreams/Sensor"; 100].join(",");
    assert!(refused(&format!("Things?$expand={wide}")).what.contains("more than"));
    let many = vec!["name"; 100].join(",");
    assert!(refused(&format!("Things?$orderby={many}")).what.contains("more than"));
}

#[test]
fn a_long_text_is_not_printed_back_whole() {
    let fault = no_filter(Location, &"x".repeat(10_000));
    assert!(fault.to_string().chars().count() < 300, "{fault}");
}
