//! Types of observations (OGC 18-088, 8.2.4) and what results each of them allows.

use serde_json::Value;

use super::fault::{At, Fault, Result, quote};
use super::model::Outcome;

/// Before the codes of Observations and Measurements (OGC 10-004r3).
const BASE: &str = "http://www.opengis.net/def/observationType/OGC-OM/2.0/";

/// Codes of the same vocabulary that SensorThings does not list; their results are of any type.
const CODES_UNLISTED: [&str; 5] = [
    "OM_DiscreteCoverageObservation",
    "OM_GeometryObservation",
    "OM_PointCoverageObservation",
    "OM_TemporalObservation",
    "OM_TimeSeriesObservation",
];

/// What kind of result the observations of a stream have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ObservationType {
    Category,
    Count,
    Measurement,
    /// Of any type.
    Observation,
    Truth,
    /// An array or an object; in a MultiDatastream an array with a type for each element.
    Complex,
    /// Of another vocabulary, or not listed by SensorThings: the whole URI.
    Other(Box<str>),
}

const LISTED: [(&str, ObservationType); 6] = [
    ("OM_CategoryObservation", ObservationType::Category),
    ("OM_CountObservation", ObservationType::Count),
    ("OM_Measurement", ObservationType::Measurement),
    ("OM_Observation", ObservationType::Observation),
    ("OM_TruthObservation", ObservationType::Truth),
    ("OM_ComplexObservation", ObservationType::Complex),
];

impl ObservationType {
    /// A code of the vocabulary has to be one that exists; a URI of another one is taken as it is.
    pub(super) fn read(at: At<'_>, uri: &str) -> Result<Self> {
        if let Some(code) = uri.strip_prefix(BASE) {
            if let Some((_, known)) = LISTED.iter().find(|(listed, _)| *listed == code) {
                return Ok(known.clone());
            }
            if CODES_UNLISTED.contains(&code) {
                return Ok(Self::Other(uri.into()));
            }
        } else if !uri.contains("/OGC-OM/") && uri.contains(':') {
            return Ok(Self::Other(uri.into()));
        }
        let code = uri.rsplit('/').next().unwrap_or_default();
        let fault = Fault::new(at, "no type of observation")
            .expected(format!("{BASE}OM_Measurement, or another of its codes"))
            .found(quote(uri));
        Err(fault.suggest(code, LISTED.iter().map(|(listed, _)| *listed)))
    }

    /// Of a URI that storage holds.
    pub fn parse(uri: &str) -> Result<Self> {
        Self::read(At::Root, uri)
    }

    pub fn uri(&self) -> String {
        match self {
            Self::Other(uri) => uri.to_string(),
            listed => format!("{BASE}{}", listed.code()),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Other(uri) => uri,
            listed => {
                let known = LISTED.iter().find(|(_, known)| known == listed);
                known.expect("all but one are listed").0
            }
        }
    }

    /// What a result has to be; none where anything may be one.
    fn expected(&self) -> Option<&'static str> {
        match self {
            Self::Category => Some("a text"),
            Self::Count => Some("a whole number"),
            Self::Measurement => Some("a number"),
            Self::Truth => Some("true or false"),
            Self::Complex => Some("an array or an object"),
            Self::Observation | Self::Other(_) => None,
        }
    }

    fn allows(&self, result: &Value) -> bool {
        match self {
            Self::Category => result.is_string(),
            Self::Count => is_whole(result),
            Self::Measurement => result.is_number(),
            Self::Truth => result.is_boolean(),
            Self::Complex => result.is_array() || result.is_object(),
            Self::Observation | Self::Other(_) => true,
        }
    }

    /// May every number be a result? Then a column of numbers needs no look at each.
    pub fn allows_all_numbers(&self) -> bool {
        matches!(self, Self::Measurement | Self::Observation | Self::Other(_))
    }

    /// Holds a result to the type; the fault names it.
    pub fn check(&self, at: At<'_>, result: &Outcome) -> Result<()> {
        match result {
            Outcome::Number(_) if self.allows_all_numbers() => Ok(()),
            other => self.check_value(at, &other.value()),
        }
    }

    pub(super) fn check_value(&self, at: At<'_>, result: &Value) -> Result<()> {
        if self.allows(result) {
            return Ok(());
        }
        let what = format!("a result that {} does not allow", self.code());
        let fault = Fault::wrong_type(at, self.expected().unwrap_or_default(), result);
        Err(Box::new(Fault { what, ..*fault }))
    }
}

/// Holds the result of a MultiDatastream to the types of its elements.
pub fn check_elements(at: At<'_>, types: &[ObservationType], result: &Outcome) -> Result<()> {
    let value = result.value();
    let Value::Array(items) = &value else {
        let expected = format!("an array of {}, as the MultiDatastream has it", types.len());
        return Err(Fault::wrong_type(at, expected, &value));
    };
    if items.len() != types.len() {
        let fault = Fault::new(at, "a result of another length than its MultiDatastream has");
        let expected = format!("{} elements", types.len());
        return Err(fault.expected(expected).found(items.len().to_string()));
    }
    for (index, (kind, item)) in types.iter().zip(items).enumerate() {
        kind.check_value(at.element(index), item)?;
    }
    Ok(())
}

/// Without a fraction, however it is written: some writers of JSON know no integers.
fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_is_read_and_written() {
        for (code, kind) in LISTED {
            let uri = format!("{BASE}{code}");
            assert_eq!(ObservationType::parse(&uri).unwrap(), kind);
            assert_eq!(kind.uri(), uri);
        }
        for uri in ["http://example.org/types/mood", "urn:city:type:smell"] {
            assert_eq!(ObservationType::parse(uri).unwrap().uri(), uri);
        }
    }

    #[test]
    fn a_misspelt_type_is_refused() {
        for uri in [
            format!("{BASE}OM_Measurment"),
            format!("https{}OM_Measurement", &BASE[4..]),
            "OM_Measurement".to_owned(),
        ] {
            let fault = ObservationType::parse(&uri).unwrap_err();
            assert_eq!(fault.hint.as_deref(), Some("did you mean `OM_Measurement`?"), "{uri}");
        }
    }

    #[test]
    fn each_type_allows_its_results() {
        use ObservationType::{Category, Complex, Count, Measurement, Observation, Truth};
        let results = [
            json!(null),
            json!(true),
            json!(3),
            json!(3.0),
            json!(3.5),
            json!("clear"),
            json!([1]),
            json!({"a": 1}),
        ];
        for (kind, allowed) in [
            (Category, vec![5]),
            (Count, vec![2, 3]),
            (Measurement, vec![2, 3, 4]),
            (Observation, vec![0, 1, 2, 3, 4, 5, 6, 7]),
            (Truth, vec![1]),
            (Complex, vec![6, 7]),
        ] {
            for (index, result) in results.iter().enumerate() {
                let checked = kind.check(At::Root, &Outcome::of(result));
                assert_eq!(checked.is_ok(), allowed.contains(&index), "{kind:?} {result}");
            }
        }
    }

    #[test]
    fn a_fault_names_the_type() {
        let root = At::Root;
        let fault = ObservationType::Count
            .check(root.member("result"), &Outcome::of(&json!(2.5)))
            .unwrap_err();
        let expected = "/result: a result that OM_CountObservation does not allow: \
                        expected a whole number, found the number 2.5";
        assert_eq!(fault.to_string(), expected);
    }

    #[test]
    fn elements_are_held_to_their_types() {
        let types = [ObservationType::Measurement, ObservationType::Category];
        let check = |result: &Value| check_elements(At::Root, &types, &Outcome::of(result));
        assert!(check(&json!([25, "clear"])).is_ok());
        assert!(check(&json!([25])).unwrap_err().to_string().contains("2 elements"));
        assert_eq!(check(&json!([25, 1])).unwrap_err().pointer, "/1");
        assert!(check(&json!(25)).is_err());
    }
}
