//! The functions that expressions may call (OGC 18-088, table 23), with their signatures.
//!
//! `contains` is OData's; `before` to `finishes` are those of FROST, for times that are intervals.
//! What a function computes is told in [`semantics`](super::semantics).

use crate::schema::ValueType;

/// What an argument has to be. Null and values of unknown type pass everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    Text,
    Integer,
    Number,
    /// An instant, an interval, a date or a time of day.
    Temporal,
    Geometry,
    /// Nine characters of the DE-9IM: `T`, `F`, `*`, `0`, `1`, `2`.
    Matrix,
}

impl Parameter {
    pub fn accepts(self, value: ValueType) -> bool {
        value.is_dynamic()
            || match self {
                Parameter::Text => matches!(value, ValueType::Text | ValueType::Id),
                Parameter::Matrix => value == ValueType::Text,
                Parameter::Integer => value.is_numeric(),
                Parameter::Number => value.is_numeric() || value == ValueType::Id,
                Parameter::Temporal => value.is_temporal(),
                Parameter::Geometry => value == ValueType::Geometry,
            }
    }

    pub fn describe(self) -> &'static str {
        match self {
            Parameter::Text => "a text",
            Parameter::Integer => "an integer",
            Parameter::Number => "a number",
            Parameter::Temporal => "a time",
            Parameter::Geometry => "a geometry",
            Parameter::Matrix => "nine characters of T, F, *, 0, 1, 2",
        }
    }
}

/// What a function is called with and gives.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    pub parameters: &'static [Parameter],
    /// How many of the parameters, from the end, may be left out.
    pub optional: usize,
    pub returns: ValueType,
}

macro_rules! functions {
    ($($variant:ident $name:literal ($($parameter:ident),*) $(optional $optional:literal)?
        => $returns:ident;)*) => {
        /// A function by which code tells functions apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Function { $($variant),* }

        impl Function {
            pub const ALL: &'static [Function] = &[$(Function::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $(Function::$variant => $name),* }
            }

            pub fn signature(self) -> Signature {
                match self {
                    $(Function::$variant => Signature {
                        parameters: &[$(Parameter::$parameter),*],
                        optional: 0 $(+ $optional)?,
                        returns: ValueType::$returns,
                    }),*
                }
            }
        }
    };
}

functions! {
    // Texts.
    SubstringOf "substringof" (Text, Text) => Boolean;
    Contains "contains" (Text, Text) => Boolean;
    EndsWith "endswith" (Text, Text) => Boolean;
    StartsWith "startswith" (Text, Text) => Boolean;
    Length "length" (Text) => Integer;
    IndexOf "indexof" (Text, Text) => Integer;
    Substring "substring" (Text, Integer, Integer) optional 1 => Text;
    ToLower "tolower" (Text) => Text;
    ToUpper "toupper" (Text) => Text;
    Trim "trim" (Text) => Text;
    Concat "concat" (Text, Text) => Text;
    // Dates and times.
    Year "year" (Temporal) => Integer;
    Month "month" (Temporal) => Integer;
    Day "day" (Temporal) => Integer;
    Hour "hour" (Temporal) => Integer;
    Minute "minute" (Temporal) => Integer;
    Second "second" (Temporal) => Integer;
    FractionalSeconds "fractionalseconds" (Temporal) => Number;
    Date "date" (Temporal) => Date;
    Time "time" (Temporal) => TimeOfDay;
    TotalOffsetMinutes "totaloffsetminutes" (Temporal) => Integer;
    Now "now" () => Instant;
    MinDateTime "mindatetime" () => Instant;
    MaxDateTime "maxdatetime" () => Instant;
    // Relations of times, FROST's.
    Before "before" (Temporal, Temporal) => Boolean;
    After "after" (Temporal, Temporal) => Boolean;
    Meets "meets" (Temporal, Temporal) => Boolean;
    During "during" (Temporal, Temporal) => Boolean;
    Overlaps "overlaps" (Temporal, Temporal) => Boolean;
    Starts "starts" (Temporal, Temporal) => Boolean;
    Finishes "finishes" (Temporal, Temporal) => Boolean;
    // Numbers.
    Round "round" (Number) => Number;
    Floor "floor" (Number) => Number;
    Ceiling "ceiling" (Number) => Number;
    // Places.
    GeoDistance "geo.distance" (Geometry, Geometry) => Number;
    GeoLength "geo.length" (Geometry) => Number;
    GeoIntersects "geo.intersects" (Geometry, Geometry) => Boolean;
    StEquals "st_equals" (Geometry, Geometry) => Boolean;
    StDisjoint "st_disjoint" (Geometry, Geometry) => Boolean;
    StTouches "st_touches" (Geometry, Geometry) => Boolean;
    StWithin "st_within" (Geometry, Geometry) => Boolean;
    StOverlaps "st_overlaps" (Geometry, Geometry) => Boolean;
    StCrosses "st_crosses" (Geometry, Geometry) => Boolean;
    StIntersects "st_intersects" (Geometry, Geometry) => Boolean;
    StContains "st_contains" (Geometry, Geometry) => Boolean;
    StRelate "st_relate" (Geometry, Geometry, Matrix) => Boolean;
}

impl Function {
    /// By its name, in any case.
    pub fn named(name: &str) -> Option<Function> {
        Self::ALL.iter().copied().find(|function| function.name().eq_ignore_ascii_case(name))
    }
}
