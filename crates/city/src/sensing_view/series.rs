//! Readings of Datastreams for a chart: as they are where they fit, else a bucket for each point
//! with its smallest, its largest and its mean, so that a spike of a minute is seen in a year.
//!
//! Flagged readings are told of and count in no value. A gap is where nothing came in for more than
//! three periods: those that are expected, or else those that are usual. Of buckets the first and
//! the last reading are asked for, so that every gap longer than a bucket is found to the moment.

use std::collections::HashMap;

use catalog::Session;
use sensing::plan::{IMPLAUSIBLE_FLAGS, plausible};

use super::{Conditions, DATASTREAM, OBSERVATION, instant, integer};
use crate::census::stream_facts;
use crate::sta::table::Table;
use crate::{City, CityError};

/// Datastreams of one chart.
pub const SERIES_MAX: usize = 6;
/// Points of one series.
pub const SERIES_POINTS_MAX: usize = 2_000;
/// Between two readings there may be so many periods before it is a gap.
const GAP_PERIODS: i64 = 3;
/// Gaps that are told of one by one.
const GAPS_MAX: usize = 1_000;
/// The longest time that may be asked about: a century.
const SPAN_US_MAX: i64 = 100 * 366 * 86_400 * 1_000_000;
const US_PER_MS: i64 = 1_000;
const US_PER_S: f64 = 1e6;
/// Every flag there is.
const FLAGS: [i64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// What is asked of each Datastream; times in µs since 1970.
#[derive(Debug, Clone)]
pub struct SeriesAsked {
    pub datastreams: Vec<i64>,
    pub from_us: i64,
    /// Up to but without.
    pub to_us: i64,
    pub points: usize,
}

/// One reading, or those of a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Of the reading, or of the bucket's beginning.
    pub at_us: i64,
    /// None where all readings were flagged or none is a number.
    pub values: Option<Values>,
    /// Readings that the values are of.
    pub count: u64,
    /// Flags of any reading.
    pub flags: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Values {
    pub min: f64,
    pub max: f64,
    pub mean: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SeriesOf {
    pub datastream: i64,
    pub thing: i64,
    pub name: String,
    pub unit: Option<String>,
    /// A bucket's length, or how far readings are usually apart.
    pub step_us: i64,
    /// Points are readings.
    pub raw: bool,
    pub points: Vec<Point>,
    /// From the last reading before to the first behind.
    pub gaps: Vec<[i64; 2]>,
}

#[derive(Debug)]
pub struct Series {
    pub from_us: i64,
    pub to_us: i64,
    pub series: Vec<SeriesOf>,
}

/// A point with the times of its first and its last reading.
#[derive(Debug, Clone)]
struct Bucket {
    point: Point,
    first_us: i64,
    last_us: i64,
    readings: u64,
}

/// What is known of a Datastream beside its readings.
struct Known {
    thing: i64,
    name: String,
    unit: Option<String>,
    period_us: Option<i64>,
}

/// The length of a bucket: whole milliseconds, and as many buckets as points at most.
fn step_us(from_us: i64, to_us: i64, points: usize) -> i64 {
    let points = i64::try_from(points.max(1)).unwrap_or(i64::MAX);
    let up = |number: i64, by: i64| number.div_euclid(by) + i64::from(number.rem_euclid(by) > 0);
    up(up(to_us - from_us, US_PER_MS), points).max(1) * US_PER_MS
}

/// How far apart neighbours usually are: the median.
fn usual_us(buckets: &[Bucket]) -> Option<i64> {
    let mut apart: Vec<i64> = buckets
        .iter()
        .flat_map(|bucket| {
            let steps = i64::try_from(bucket.readings).unwrap_or(i64::MAX) - 1;
            // Within a bucket readings are taken to be evenly apart.
            (steps > 0).then(|| (bucket.last_us - bucket.first_us) / steps)
        })
        .collect();
    if apart.is_empty() {
        apart = buckets.windows(2).map(|pair| pair[1].first_us - pair[0].last_us).collect();
    }
    apart.retain(|us| *us > 0);
    if apart.is_empty() {
        return None;
    }
    let middle = apart.len() / 2;
    Some(*apart.select_nth_unstable(middle).1)
}

/// Where nothing came in for longer than three periods.
fn gaps(buckets: &[Bucket], period_us: i64) -> Vec<[i64; 2]> {
    let longest = period_us.saturating_mul(GAP_PERIODS);
    let between = buckets.windows(2).map(|pair| [pair[0].last_us, pair[1].first_us]);
    between.filter(|[from, to]| to - from > longest).take(GAPS_MAX).collect()
}

/// The bits of all flags of a bucket: aggregates have no `or` of bits.
fn flags_sql() -> String {
    let bits = FLAGS.map(|bit| format!("max(flags & {bit})"));
    bits.join(" + ")
}

/// A number that counts: one that is there and not flagged.
fn counted_sql() -> String {
    format!("CASE WHEN {} THEN result_number END", plausible("flags"))
}

/// Readings one by one, at most one more than fits; in whatever order they are found.
fn raw_sql(points: usize) -> String {
    format!(
        "SELECT phenomenon_time, result_number, flags FROM sensing.observation \
         WHERE datastream = $1 AND phenomenon_time >= $2 AND phenomenon_time < $3 LIMIT {}",
        points + 1
    )
}

fn bucket_sql(from_us: i64, step_us: i64) -> String {
    let counted = counted_sql();
    format!(
        "SELECT (at_us - {from_us}) / {step_us} AS bucket, min(counted) AS low, \
         max(counted) AS high, avg(counted) AS mean, count(counted) AS n, \
         min(at_us) AS first_us, max(at_us) AS last_us, count(*) AS readings, {flags} AS flags \
         FROM (SELECT CAST(phenomenon_time AS BIGINT) AS at_us, flags, {counted} AS counted \
         FROM sensing.observation \
         WHERE datastream = $1 AND phenomenon_time >= $2 AND phenomenon_time < $3) AS observed \
         GROUP BY 1 ORDER BY 1",
        flags = flags_sql()
    )
}

fn raw_buckets(table: &Table) -> Vec<Bucket> {
    let bucket = |row: usize| {
        let at_us = table.instant("phenomenon_time", row)?;
        let flags = table.integer("flags", row).unwrap_or(0);
        let value = table.number("result_number", row).filter(|_| flags & IMPLAUSIBLE_FLAGS == 0);
        let values = value.map(|value| Values { min: value, max: value, mean: value });
        let point = Point { at_us, values, count: u64::from(value.is_some()), flags };
        Some(Bucket { point, first_us: at_us, last_us: at_us, readings: 1 })
    };
    let mut buckets: Vec<Bucket> = (0..table.len()).filter_map(bucket).collect();
    buckets.sort_by_key(|bucket| bucket.first_us);
    buckets
}

fn buckets_of(table: &Table, from_us: i64, step_us: i64) -> Vec<Bucket> {
    let bucket = |row: usize| {
        let at_us = from_us + table.integer("bucket", row)? * step_us;
        let low = table.number("low", row).zip(table.number("high", row));
        let values = low.zip(table.number("mean", row));
        let values = values.map(|((min, max), mean)| Values { min, max, mean });
        let count = super::count_of(table, "n", row);
        let point = Point { at_us, values, count, flags: table.integer("flags", row).unwrap_or(0) };
        Some(Bucket {
            point,
            first_us: table.integer("first_us", row)?,
            last_us: table.integer("last_us", row)?,
            readings: super::count_of(table, "readings", row),
        })
    };
    (0..table.len()).filter_map(bucket).collect()
}

impl City {
    /// Series of the Datastreams that are asked for; one that the session does not see is not
    /// there.
    pub async fn series(
        &self,
        session: &Session,
        asked: &SeriesAsked,
    ) -> Result<Series, CityError> {
        let SeriesAsked { datastreams, from_us, to_us, points } = asked;
        if datastreams.is_empty() || datastreams.len() > SERIES_MAX {
            return Err(CityError::Invalid(format!("ask for 1 to {SERIES_MAX} Datastreams")));
        }
        if !(1..=SERIES_POINTS_MAX).contains(points) {
            return Err(CityError::Invalid(format!("ask for 1 to {SERIES_POINTS_MAX} points")));
        }
        if from_us >= to_us || to_us.saturating_sub(*from_us) > SPAN_US_MAX {
            let reason = "ask from a moment to a later one, a hundred years at most";
            return Err(CityError::Invalid(reason.to_owned()));
        }
        let mut known = self.known_streams(session, datastreams).await?;
        let mut series = Vec::with_capacity(datastreams.len());
        for datastream in datastreams {
            let known = known.remove(datastream).ok_or_else(|| {
                CityError::NotFound(format!("there is no Datastream {datastream}"))
            })?;
            series.push(self.one_series(session, *datastream, known, asked).await?);
        }
        Ok(Series { from_us: *from_us, to_us: *to_us, series })
    }

    async fn one_series(
        &self,
        session: &Session,
        datastream: i64,
        known: Known,
        asked: &SeriesAsked,
    ) -> Result<SeriesOf, CityError> {
        let (from_us, to_us) = (asked.from_us, asked.to_us);
        let params = [integer(datastream), instant(from_us), instant(to_us)];
        let read = [OBSERVATION];
        let table = self.sensed(session, &read, &raw_sql(asked.points), &params).await?;
        let raw = table.len() <= asked.points;
        let step = step_us(from_us, to_us, asked.points);
        let buckets = match raw {
            true => raw_buckets(&table),
            false => {
                let table =
                    self.sensed(session, &read, &bucket_sql(from_us, step), &params).await?;
                buckets_of(&table, from_us, step)
            }
        };
        let usual = usual_us(&buckets);
        let period = known.period_us.or(usual);
        Ok(SeriesOf {
            datastream,
            thing: known.thing,
            name: known.name,
            unit: known.unit,
            step_us: if raw { usual.or(known.period_us).unwrap_or(step) } else { step },
            raw,
            gaps: period.map(|period| gaps(&buckets, period)).unwrap_or_default(),
            points: buckets.into_iter().map(|bucket| bucket.point).collect(),
        })
    }

    async fn known_streams(
        &self,
        session: &Session,
        datastreams: &[i64],
    ) -> Result<HashMap<i64, Known>, CityError> {
        // Of the register: a Datastream can be looked at as soon as it is there.
        let mut asked = Conditions::default();
        asked.within("id", datastreams.iter().map(|id| integer(*id)));
        let sql = format!(
            "SELECT CAST(id AS BIGINT) AS id, CAST(thing AS BIGINT) AS thing, name, \
             unit_of_measurement, properties FROM sensing.datastream{}",
            asked.clause()
        );
        let table = self.sensed(session, &[DATASTREAM], &sql, &asked.params).await?;
        let known = |row: usize| {
            let (properties, unit) =
                (table.text("properties", row), table.text("unit_of_measurement", row));
            let facts = stream_facts(properties.as_deref(), unit.as_deref());
            let known = Known {
                thing: table.integer("thing", row)?,
                name: table.text("name", row).unwrap_or_default(),
                unit: facts.unit.map(String::from),
                period_us: facts.period_s.and_then(micros),
            };
            Some((table.integer("id", row)?, known))
        };
        Ok((0..table.len()).filter_map(known).collect())
    }
}

/// Seconds as µs, where they are more than none.
#[expect(clippy::cast_possible_truncation, reason = "the conversion saturates")]
fn micros(seconds: f64) -> Option<i64> {
    (seconds > 0.0).then(|| (seconds * US_PER_S) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_US: i64 = 60_000_000;

    fn bucket(first: i64, last: i64, readings: u64) -> Bucket {
        let at_us = first * MINUTE_US;
        Bucket {
            point: Point { at_us, values: None, count: 0, flags: 0 },
            first_us: at_us,
            last_us: last * MINUTE_US,
            readings,
        }
    }

    #[test]
    fn there_are_no_more_buckets_than_points() {
        const YEAR_US: i64 = 365 * 86_400_000_000;
        for points in [1, 7, 1_000, 2_000] {
            for span in [1, 999, 1_000, 1_001, MINUTE_US, YEAR_US, SPAN_US_MAX] {
                let step = step_us(0, span, points);
                let last = (span - 1) / step;
                assert!(last < i64::try_from(points).unwrap(), "{span} in {points}: {step}");
                assert_eq!(step % US_PER_MS, 0);
            }
        }
        assert_eq!(step_us(0, 60 * MINUTE_US, 10), 6 * MINUTE_US);
    }

    #[test]
    fn a_gap_is_longer_than_three_periods() {
        let minutes: Vec<Bucket> =
            [0, 1, 2, 5, 9, 10].map(|minute| bucket(minute, minute, 1)).to_vec();
        assert_eq!(usual_us(&minutes), Some(MINUTE_US));
        assert_eq!(gaps(&minutes, MINUTE_US), [[5 * MINUTE_US, 9 * MINUTE_US]]);
        assert!(gaps(&minutes, 2 * MINUTE_US).is_empty());
        assert_eq!(usual_us(&minutes[..1]), None);
    }

    #[test]
    fn a_gap_between_buckets_is_from_reading_to_reading() {
        let hours = [bucket(0, 59, 60), bucket(60, 80, 21), bucket(130, 179, 50)];
        assert_eq!(usual_us(&hours), Some(MINUTE_US));
        assert_eq!(gaps(&hours, MINUTE_US), [[80 * MINUTE_US, 130 * MINUTE_US]]);
    }

    #[test]
    fn times_go_in_as_parameters() {
        let sql = bucket_sql(5, 1_000);
        assert!(sql.contains("(at_us - 5) / 1000 AS bucket"), "{sql}");
        assert!(sql.contains("max(flags & 1) + max(flags & 2)"), "{sql}");
        assert!(raw_sql(10).ends_with("LIMIT 11"));
        assert!(bucket_sql(-5, 1_000).contains("(at_us - -5)"));
    }
}
