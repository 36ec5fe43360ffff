//! Series of readings for a chart.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use city::{Point, SERIES_MAX, SERIES_POINTS_MAX, SeriesAsked, SeriesOf};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Http, invalid};
use crate::fault::Fault;
use crate::http::input::{Asked, Who};
use crate::http::problem::Problem;

/// Points of a series where nothing is said.
const POINTS_DEFAULT: usize = 1_000;
/// Hours before the end that a series begins where nothing is said.
const HOURS_DEFAULT: i64 = 24;
const US_PER_MS: i64 = 1_000;

/// Which readings.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SeriesQuery {
    /// Numbers of Datastreams, up to six, with commas between them.
    #[param(example = "1,2")]
    datastream: String,
    /// 24 hours before `to` where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<DateTime<Utc>>,
    /// Up to but without; now where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<DateTime<Utc>>,
    /// Up to 2,000; 1,000 where it is left out.
    points: Option<usize>,
}

/// Time in ms since 1970, smallest, largest, mean, readings that these are of, flags of any.
type PointView = (i64, Option<f64>, Option<f64>, Option<f64>, u64, i64);

/// Readings of one Datastream.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesOfView {
    pub datastream: i64,
    pub thing: i64,
    pub name: String,
    pub unit: Option<String>,
    /// A bucket's length; of readings, how far they usually are apart.
    pub step_ms: i64,
    /// Points are single readings.
    pub raw: bool,
    /// Each `[t_ms, min, max, mean, n, flags]`: flagged readings are in `flags` alone; where all
    /// are flagged, the values are null. A bucket without readings is left out.
    #[schema(value_type = Vec<Vec<f64>>)]
    pub points: Vec<PointView>,
    /// `[from_ms, to_ms]`: no reading between them for more than three periods.
    #[schema(value_type = Vec<Vec<i64>>)]
    pub gaps: Vec<[i64; 2]>,
}

/// Series over one span of time.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesView {
    #[schema(value_type = String, format = DateTime)]
    pub from: DateTime<Utc>,
    #[schema(value_type = String, format = DateTime)]
    pub to: DateTime<Utc>,
    pub series: Vec<SeriesOfView>,
}

fn point(point: &Point) -> PointView {
    let values = point.values;
    (
        point.at_us.div_euclid(US_PER_MS),
        values.map(|values| values.min),
        values.map(|values| values.max),
        values.map(|values| values.mean),
        point.count,
        point.flags,
    )
}

impl From<SeriesOf> for SeriesOfView {
    fn from(series: SeriesOf) -> Self {
        let gaps = series.gaps.iter().map(|gap| gap.map(|us| us.div_euclid(US_PER_MS)));
        Self {
            datastream: series.datastream,
            thing: series.thing,
            step_ms: series.step_us.div_euclid(US_PER_MS),
            raw: series.raw,
            points: series.points.iter().map(point).collect(),
            gaps: gaps.collect(),
            name: series.name,
            unit: series.unit,
        }
    }
}

/// Numbers with commas between them, each once.
fn datastreams(text: &str) -> Result<Vec<i64>, Fault> {
    let wrong = || invalid(format!("`datastream` is 1 to {SERIES_MAX} numbers, as in 5,7"));
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let number: i64 = part.trim().parse().map_err(|_| wrong())?;
        if !numbers.contains(&number) {
            numbers.push(number);
        }
        if numbers.len() > SERIES_MAX {
            return Err(wrong());
        }
    }
    Ok(numbers)
}

fn asked_for(asked: &SeriesQuery, now: DateTime<Utc>) -> Result<SeriesAsked, Fault> {
    let to = asked.to.unwrap_or(now);
    let before = || to.checked_sub_signed(Duration::hours(HOURS_DEFAULT));
    let from = asked.from.or_else(before).ok_or_else(|| invalid("`to` is too long ago"))?;
    let points = asked.points.unwrap_or(POINTS_DEFAULT);
    if !(1..=SERIES_POINTS_MAX).contains(&points) {
        return Err(invalid(format!("a series has 1 to {SERIES_POINTS_MAX} points")));
    }
    Ok(SeriesAsked {
        datastreams: datastreams(&asked.datastream)?,
        from_us: from.timestamp_micros(),
        to_us: to.timestamp_micros(),
        points,
    })
}

/// Readings for a chart: as they are where they fit, else with the smallest and the largest of
/// each bucket.
#[utoipa::path(
    get, path = "/api/sensing/series", tag = "sensing", security(("token" = [])),
    params(SeriesQuery),
    responses((status = 200, body = SeriesView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn series(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<SeriesQuery>,
) -> Result<Json<SeriesView>, Fault> {
    let asked = asked_for(&asked, Utc::now())?;
    let found = http.city.series(&who.session(), &asked).await?;
    let at = |micros: i64| DateTime::from_timestamp_micros(micros).unwrap_or_default();
    Ok(Json(SeriesView {
        from: at(found.from_us),
        to: at(found.to_us),
        series: found.series.into_iter().map(Into::into).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datastreams_are_a_few_numbers() {
        assert_eq!(datastreams("5, 7,5").unwrap(), [5, 7]);
        assert!(datastreams("").is_err() && datastreams("5,x").is_err());
        assert!(datastreams("1,2,3,4,5,6,7").is_err());
    }

    #[test]
    fn a_day_is_shown_where_nothing_is_said() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let query = SeriesQuery { datastream: "1".into(), from: None, to: None, points: None };
        let asked = asked_for(&query, now).unwrap();
        assert_eq!(asked.to_us - asked.from_us, 86_400_000_000);
        assert_eq!(asked.points, 1_000);
        let query = SeriesQuery { points: Some(2_001), ..query };
        assert!(asked_for(&query, now).is_err());
    }
}
