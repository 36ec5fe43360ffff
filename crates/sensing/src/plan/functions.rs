//! Scalar functions that a plan calls and that neither DataFusion nor geodatafusion has: `pack`
//! registers them for everybody's SQL (`pack::sql::functions`, docs/guide/sql.md), each null for
//! null and the same for the same.
//!
//! JSON is text; a `pointer` is an RFC 6901 JSON Pointer (`/a/b/0`, empty for the whole). Text that
//! is no JSON, a pointer to nothing and JSON's `null` are all null: a path to what is not there.

/// A type of an argument or an answer, as SQL calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlType {
    Boolean,
    Double,
    Text,
    /// µs UTC.
    Timestamp,
    /// WKB with the extension type `geoarrow.wkb`, as geometry columns are.
    Geometry,
}

/// A function to be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineFunction {
    pub name: &'static str,
    pub arguments: &'static [SqlType],
    pub answer: SqlType,
    pub about: &'static str,
}

use SqlType::{Boolean, Double, Geometry, Text, Timestamp};

/// All of them.
pub const ENGINE_FUNCTIONS: [EngineFunction; 9] = [
    EngineFunction {
        name: "json_text",
        arguments: &[Text, Text],
        answer: Text,
        about: "json_text(json, pointer): the text of a JSON string; of any other value null",
    },
    EngineFunction {
        name: "json_number",
        arguments: &[Text, Text],
        answer: Double,
        about: "json_number(json, pointer): a JSON number; of any other value null",
    },
    EngineFunction {
        name: "json_boolean",
        arguments: &[Text, Text],
        answer: Boolean,
        about: "json_boolean(json, pointer): true or false; of any other value null",
    },
    EngineFunction {
        name: "json_instant",
        arguments: &[Text, Text],
        answer: Timestamp,
        about: "json_instant(json, pointer): a JSON string that is an RFC 3339 time with an \
                offset, in µs UTC; of any other value null",
    },
    EngineFunction {
        name: "json_type",
        arguments: &[Text, Text],
        answer: Text,
        about: "json_type(json, pointer): boolean, number, string, array or object; null for \
                null and for what is not there",
    },
    EngineFunction {
        name: "json_value",
        arguments: &[Text, Text],
        answer: Text,
        about: "json_value(json, pointer): the value as JSON, members in the order of their \
                names, numbers in their shortest form, no spaces: equal values are equal texts",
    },
    EngineFunction {
        name: "st_asgeojson",
        arguments: &[Geometry],
        answer: Text,
        about: "st_asgeojson(geometry): the geometry as GeoJSON",
    },
    EngineFunction {
        name: "st_geomfromgeojson",
        arguments: &[Text],
        answer: Geometry,
        about: "st_geomfromgeojson(json): a GeoJSON geometry, or a Feature's; of any other text \
                null",
    },
    EngineFunction {
        name: "st_relate",
        arguments: &[Geometry, Geometry, Text],
        answer: Boolean,
        about: "st_relate(a, b, matrix): whether the two lie as nine characters of the DE-9IM say",
    },
];

/// What a plan calls beside them: all on the catalogue's list, DataFusion's and geodatafusion's.
pub const CALLED_FUNCTIONS: [&str; 36] = [
    "avg",
    "btrim",
    "ceil",
    "character_length",
    "coalesce",
    "contains",
    "count",
    "date_part",
    "ends_with",
    "first_value",
    "floor",
    "greatest",
    "last_value",
    "lower",
    "make_date",
    "max",
    "min",
    "nullif",
    "round",
    "row_number",
    "st_contains",
    "st_crosses",
    "st_disjoint",
    "st_distance",
    "st_equals",
    "st_geomfromtext",
    "st_intersects",
    "st_length",
    "st_overlaps",
    "st_touches",
    "st_within",
    "starts_with",
    "strpos",
    "substr",
    "sum",
    "upper",
];
