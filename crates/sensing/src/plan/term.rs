//! A value in SQL with what is known of its type, and its faces: what it is as a text, a number, a
//! time. A value of unknown type has every face, and those that it does not show are null.

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta};

use crate::odata::IsoDuration;

/// One column or expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    /// Stands as an operand of a comparison.
    pub sql: String,
    /// Is it never null?
    pub certain: bool,
}

impl Scalar {
    pub fn certain(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), certain: true }
    }

    pub fn nullable(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), certain: false }
    }

    pub fn null(of: &str) -> Self {
        Self::nullable(format!("CAST(NULL AS {of})"))
    }

    /// Made of this one, and null where this is.
    pub fn map(&self, sql: impl FnOnce(&str) -> String) -> Self {
        Self { sql: sql(&self.sql), certain: self.certain }
    }

    pub fn join(&self, other: &Self, sql: impl FnOnce(&str, &str) -> String) -> Self {
        Self { sql: sql(&self.sql, &other.sql), certain: self.certain && other.certain }
    }
}

/// Where a stretch of time ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    /// It is an instant.
    Same,
    /// Where this is null it is an instant.
    OrStart(String),
    At(Scalar),
}

/// An instant or an interval. Null where its start is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Period {
    pub start: Scalar,
    pub end: End,
    /// What the request says, where it is written there.
    pub literal: Option<(DateTime<FixedOffset>, DateTime<FixedOffset>)>,
}

impl Period {
    pub fn instant(start: Scalar) -> Self {
        Self { start, end: End::Same, literal: None }
    }

    /// The end, an instant's being its start.
    pub fn end(&self) -> Scalar {
        match &self.end {
            End::Same => self.start.clone(),
            End::OrStart(end) => self.start.map(|start| format!("coalesce({end}, {start})")),
            End::At(end) => end.clone(),
        }
    }
}

/// A place in JSON that is kept as text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Json {
    pub column: String,
    /// The parameter with the pointer, or `''` for the whole.
    pub pointer: String,
}

impl Json {
    pub fn whole(column: impl Into<String>) -> Self {
        Self { column: column.into(), pointer: "''".to_owned() }
    }

    fn face(&self, function: &str) -> Scalar {
        Scalar::nullable(format!("{function}({}, {})", self.column, self.pointer))
    }

    pub fn is_whole(&self) -> bool {
        self.pointer == "''"
    }
}

/// A number: integers of the request and of SQL are told from others, since they overflow.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    pub scalar: Scalar,
    pub whole: bool,
}

/// A length of time in µs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Length {
    pub scalar: Scalar,
    /// As the request says it.
    pub literal: Option<IsoDuration>,
}

/// What an id is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Id {
    Integer(Scalar),
    /// The row of this alias.
    Observation(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    Null,
    Text {
        scalar: Scalar,
        /// As the request says it.
        literal: Option<String>,
    },
    Number(Number),
    /// True, false or null; stands as an operand of a comparison.
    Boolean(Scalar),
    Id(Id),
    Time(Period),
    /// A day, as the instant it begins at, UTC.
    Date {
        scalar: Scalar,
        literal: Option<NaiveDate>,
    },
    /// µs since midnight.
    TimeOfDay(Scalar),
    Duration(Length),
    Geometry {
        geometry: Scalar,
        /// The column that has it as it was given.
        given: Option<String>,
    },
    /// An object or an array.
    Object(Json),
    /// Of any type.
    Any(Json),
    /// The result of an Observation: a number in one column, anything else in the other.
    Result {
        number: String,
        json: String,
    },
}

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(super) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// µs as an instant. Engines keep instants as µs, so nothing is calculated.
pub(super) fn stamp(micros: &str) -> String {
    format!("CAST({micros} AS TIMESTAMP(6) WITH TIME ZONE)")
}

/// An instant as µs since 1970.
pub(super) fn micros(stamp: &str) -> String {
    format!("CAST({stamp} AS BIGINT)")
}

/// How far a number lies above the next lower multiple of a unit: never negative.
pub(super) fn above_multiple(number: &str, unit: i64) -> String {
    format!("(({number} % {unit} + {unit}) % {unit})")
}

impl Term {
    pub fn text(text: Scalar) -> Self {
        Term::Text { scalar: text, literal: None }
    }

    pub fn number(number: Scalar) -> Self {
        Term::Number(Number { scalar: number, whole: false })
    }

    pub fn whole(number: Scalar) -> Self {
        Term::Number(Number { scalar: number, whole: true })
    }

    pub fn length(micros: Scalar) -> Self {
        Term::Duration(Length { scalar: micros, literal: None })
    }

    pub fn is_dynamic(&self) -> bool {
        matches!(self, Term::Any(_) | Term::Result { .. })
    }

    /// What JSON holds it, where JSON does.
    pub fn as_json(&self) -> Option<Json> {
        match self {
            Term::Object(json) | Term::Any(json) => Some(json.clone()),
            Term::Result { json, .. } => Some(Json::whole(json)),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Scalar {
        match self {
            Term::Text { scalar, .. } => scalar.clone(),
            Term::Id(id) => id.as_text(),
            _ => self.as_json().map_or_else(|| Scalar::null("TEXT"), |json| json.face("json_text")),
        }
    }

    pub fn as_number(&self) -> Scalar {
        match self {
            Term::Number(number) => number.scalar.clone(),
            Term::Id(Id::Integer(id)) => id.clone(),
            Term::Result { number, .. } => Scalar::nullable(number),
            _ => self
                .as_json()
                .map_or_else(|| Scalar::null("DOUBLE"), |json| json.face("json_number")),
        }
    }

    /// As a number that does not overflow when it is calculated with.
    pub fn as_double(&self) -> Scalar {
        let number = self.as_number();
        match self {
            Term::Number(Number { whole: true, .. }) | Term::Id(_) => {
                number.map(|sql| format!("CAST({sql} AS DOUBLE)"))
            }
            _ => number,
        }
    }

    pub fn as_boolean(&self) -> Scalar {
        match self {
            Term::Boolean(scalar) => scalar.clone(),
            _ => self
                .as_json()
                .map_or_else(|| Scalar::null("BOOLEAN"), |json| json.face("json_boolean")),
        }
    }

    /// A stretch of time; a day is one, from midnight to midnight UTC. `None` for what is none.
    pub fn as_period(&self) -> Option<Period> {
        Some(match self {
            Term::Time(period) => period.clone(),
            Term::Date { scalar, literal } => {
                let end = scalar.map(|day| stamp(&format!("{} + {MICROS_PER_DAY}", micros(day))));
                let literal = literal.and_then(|day| {
                    let start = day.and_hms_opt(0, 0, 0)?.and_utc().fixed_offset();
                    Some((start, start.checked_add_signed(TimeDelta::days(1))?))
                });
                Period { start: scalar.clone(), end: End::At(end), literal }
            }
            _ => Period::instant(self.as_json()?.face("json_instant")),
        })
    }

    pub fn as_geometry(&self) -> Option<Scalar> {
        Some(match self {
            Term::Geometry { geometry, .. } => geometry.clone(),
            _ => {
                let json = self.as_json()?;
                let value = if json.is_whole() { json.column } else { json.face("json_value").sql };
                Scalar::nullable(format!("st_geomfromgeojson({value})"))
            }
        })
    }

    /// The value as JSON in which equal values are equal texts.
    pub fn as_value(&self) -> Option<Scalar> {
        self.as_json().map(|json| json.face("json_value"))
    }

    /// True where it is null.
    pub fn is_null(&self) -> String {
        let null = |scalar: &Scalar| match scalar.certain {
            true => super::sql::FALSE.to_owned(),
            false => format!("({} IS NULL)", scalar.sql),
        };
        match self {
            Term::Null => super::sql::TRUE.to_owned(),
            Term::Text { scalar, .. }
            | Term::Boolean(scalar)
            | Term::Date { scalar, .. }
            | Term::TimeOfDay(scalar)
            | Term::Number(Number { scalar, .. })
            | Term::Duration(Length { scalar, .. })
            | Term::Id(Id::Integer(scalar))
            | Term::Time(Period { start: scalar, .. }) => null(scalar),
            // Nothing leads to one Observation, so where its row is there it has a key.
            Term::Id(Id::Observation(_)) => super::sql::FALSE.to_owned(),
            Term::Geometry { given: Some(given), .. } => format!("({given} IS NULL)"),
            Term::Geometry { geometry, given: None } => null(geometry),
            Term::Object(json) | Term::Any(json) if json.is_whole() => {
                format!("({} IS NULL)", json.column)
            }
            Term::Object(json) | Term::Any(json) => null(&json.face("json_type")),
            Term::Result { number, json } => format!("({number} IS NULL AND {json} IS NULL)"),
        }
    }

    pub fn is_certain(&self) -> bool {
        self.is_null() == super::sql::FALSE
    }
}

impl Id {
    pub fn as_text(&self) -> Scalar {
        match self {
            Id::Integer(id) => id.map(|id| format!("CAST({id} AS TEXT)")),
            Id::Observation(alias) => {
                let time = micros(&format!("{alias}.phenomenon_time"));
                Scalar::nullable(format!(
                    "(CAST({alias}.datastream AS TEXT) || '-' || CAST({time} AS TEXT) || '-' || \
                     CAST({alias}.ordinal AS TEXT))"
                ))
            }
        }
    }
}
