//! Arbitrary text: nothing panics, and what is understood reads the same after it was printed.

use proptest::prelude::*;

use crate::odata::fuzz;

/// Pieces of the language, so that arbitrary text gets beyond the first word.
const PIECES: &[&str] = &[
    "Things",
    "(1)",
    "('a''b')",
    "/",
    "?",
    "&",
    "$filter=",
    "$expand=",
    "$select=",
    "$orderby=",
    "$top=",
    "$skip=1",
    "$count=true",
    "$apply=",
    "$resultFormat=dataArray",
    "Datastreams",
    "Datastream",
    "Observations",
    "Observation",
    "result",
    "name",
    "id",
    "properties",
    "a",
    "[0]",
    "(",
    ")",
    ",",
    ";",
    " ",
    "+",
    "%20",
    "%",
    "%27",
    "'",
    "''",
    "'x'",
    " eq ",
    " gt ",
    " and ",
    " or ",
    "not ",
    " add ",
    " mul ",
    "-",
    "5",
    "-5",
    "1e5",
    "1.5",
    "2020-01-01T00:00:00Z",
    "2020-01-01",
    "12:00",
    "/P1D",
    "duration'P1D'",
    "geography'POINT(1 2)'",
    "null",
    "true",
    "length(",
    "substringof(",
    "geo.distance(",
    "now()",
    "phenomenonTime",
    "groupby((",
    "aggregate(",
    "window(",
    "'PT1H'",
    " with average as m",
    "$count as n",
    "filter(",
    " desc",
    " DESC",
    "$ref",
    "$value",
    "蜀",
    "\u{0}",
    "\u{feff}",
    "é",
    "=",
];

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        fuzz(&text);
    }

    #[test]
    fn any_bytes_of_ascii(text in "[ -~]{0,60}") {
        fuzz(&text);
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24)) {
        let text = pieces.concat();
        fuzz(&text);
        fuzz(&format!("Things?$filter={text}"));
        fuzz(&format!("Observations?$apply={text}"));
        fuzz(&format!("Things?$expand={text}"));
        fuzz(&format!("Things(1)/{text}"));
    }
}
