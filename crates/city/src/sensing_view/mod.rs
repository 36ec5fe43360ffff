//! What screens and programs ask of the city's sensors: the census, one device, a series for a
//! chart, findings, coverage, the map, how ingest goes.
//!
//! ```text
//!  question ─► SQL over sensing.* and the areas' outlines, through the session ─► Table ─► answer
//!                                                     └─► grid, greedy, outline: heavy, apart
//! ```
//!
//! Every row comes through the session: who sees fewer devices counts fewer, and a coverage is that
//! of the devices one sees. A dataset that is not there for the asker has no rows. Knows no HTTP.

mod census;
mod clusters;
mod coverage;
mod device;
mod devices;
mod findings;
mod greedy;
mod grid;
mod ground;
mod ingest;
mod outline;
mod series;

use catalog::Session;
use datafusion::common::ScalarValue;
use pack::Text;

use crate::sta::table::Table;
use crate::{City, CityError};

pub use census::{Census, CensusBy, CensusRow, Tally};
pub use clusters::{Cluster, MAP_ZOOM_MAX, MapAsked, SensorMap};
pub use coverage::{AreaCovered, Blind, Coverage, NEXT_MAX, NextPlace, NextPlaces};
pub use device::{DevicePage, DeviceVersion, StreamOf, Whereabouts};
pub use devices::{DEVICE_STATES, Device, DevicesAsked, DevicesPage};
pub use findings::{Finding, FindingKind, Findings};
pub use ingest::{Ingest, ProducerRow};
pub use series::{Point, SERIES_MAX, SERIES_POINTS_MAX, Series, SeriesAsked, SeriesOf};

pub(crate) use coverage::Coverages;

const DEVICE_STATE: &str = "sensing.device_state";
const DATASTREAM: &str = "sensing.datastream";
const DATASTREAM_STATE: &str = "sensing.datastream_state";
const PRODUCER: &str = "sensing.producer";
const OBSERVATION: &str = "sensing.observation";
const THING: &str = "sensing.thing";

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

fn integer(value: i64) -> ScalarValue {
    ScalarValue::Int64(Some(value))
}

fn number(value: f64) -> ScalarValue {
    ScalarValue::Float64(Some(value))
}

fn instant(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))
}

/// Conditions with their parameters, in the order in which they were added.
#[derive(Debug, Default)]
struct Conditions {
    all: Vec<String>,
    params: Vec<ScalarValue>,
}

impl Conditions {
    /// A condition about one value, which stands in it as `{}`.
    fn with(&mut self, condition: &str, value: ScalarValue) {
        self.params.push(value);
        let place = format!("${}", self.params.len());
        self.all.push(condition.replace("{}", &place));
    }

    fn plain(&mut self, condition: &str) {
        self.all.push(condition.to_owned());
    }

    /// `column IN (…)`; nothing is in none.
    fn within(&mut self, column: &str, values: impl IntoIterator<Item = ScalarValue>) {
        let first = self.params.len();
        self.params.extend(values);
        let places: Vec<String> =
            (first..self.params.len()).map(|at| format!("${}", at + 1)).collect();
        self.all.push(match places.is_empty() {
            true => "false".to_owned(),
            false => format!("{column} IN ({})", places.join(", ")),
        });
    }

    /// ` WHERE …`, or nothing where there is no condition.
    fn clause(&self) -> String {
        match self.all.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", self.all.join(" AND ")),
        }
    }
}

/// A column that counts something; what is not known is none.
fn count_of(table: &Table, column: &str, row: usize) -> u64 {
    table.integer(column, row).and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

impl City {
    /// The rows of a statement that reads these datasets; none where one of them is not there for
    /// the asker.
    async fn sensed(
        &self,
        session: &Session,
        datasets: &[&str],
        sql: &str,
        params: &[ScalarValue],
    ) -> Result<Table, CityError> {
        for dataset in datasets {
            let Some(contract) = self.pack().datasets.get(*dataset) else {
                return Ok(Table::default());
            };
            if self.catalog().access(&session.principal, contract).await?.is_none() {
                return Ok(Table::default());
            }
        }
        self.sta_rows(session, sql, params).await
    }

    /// What a department is called.
    fn organisation_called(&self, id: &str) -> Text {
        let found = self.pack().organisations.iter().find(|organisation| organisation.id == id);
        found.map_or_else(|| itself(id), |organisation| organisation.name.clone())
    }

    /// What a kind of device is called, as the contract of devices says.
    fn kind_called(&self, kind: &str) -> Text {
        let contract = self.pack().datasets.get(DEVICE_STATE);
        let label = contract
            .and_then(|contract| contract.field("kind"))
            .and_then(|field| field.labels.get(kind));
        label.cloned().unwrap_or_else(|| itself(kind))
    }
}

fn itself(code: &str) -> Text {
    Text { zh: code.to_owned(), en: code.to_owned() }
}

/// The title of what has no code.
fn not_said() -> Text {
    Text { zh: "未注明".to_owned(), en: "Not said".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_goes_in_as_parameters() {
        let mut asked = Conditions::default();
        assert_eq!(asked.clause(), "");
        asked.with("kind = {}", text("' OR 1=1"));
        asked.within("thing", [integer(5), integer(7)]);
        asked.plain("geometry IS NOT NULL");
        assert_eq!(
            asked.clause(),
            " WHERE kind = $1 AND thing IN ($2, $3) AND geometry IS NOT NULL"
        );
        assert_eq!(asked.params[0], text("' OR 1=1"));
        asked.within("thing", []);
        assert!(asked.clause().ends_with(" AND false"));
    }
}
