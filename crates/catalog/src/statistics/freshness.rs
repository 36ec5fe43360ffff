//! Is a dataset's newest row as new as its contract promises?

use arrow::array::{Array, ArrayRef};
use arrow::compute::{cast, max};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::common::cast::as_primitive_array;
use serde::{Deserialize, Serialize};

/// The state of a dataset against its freshness limit, in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Freshness {
    Fresh {
        age_minutes: u64,
    },
    /// Older than the limit, by this much.
    Late {
        age_minutes: u64,
        late_minutes: u64,
    },
    /// There is no row yet.
    Never,
    /// The contract promises nothing.
    Unlimited {
        age_minutes: u64,
    },
}

impl Freshness {
    /// `newest` is the time of the newest row: from the time column, or of the last change where
    /// there is none. A time ahead of `now` (a forecast, a wrong clock) counts as age 0.
    pub fn of(
        newest: Option<DateTime<Utc>>,
        limit_minutes: Option<u64>,
        now: DateTime<Utc>,
    ) -> Self {
        let Some(newest) = newest else { return Self::Never };
        let age_minutes = u64::try_from((now - newest).num_minutes()).unwrap_or(0);
        match limit_minutes {
            None => Self::Unlimited { age_minutes },
            Some(limit) if age_minutes <= limit => Self::Fresh { age_minutes },
            Some(limit) => Self::Late { age_minutes, late_minutes: age_minutes - limit },
        }
    }
}

/// The latest moment in a column of dates or timestamps; none in any other column.
pub fn newest(column: &ArrayRef) -> Option<DateTime<Utc>> {
    let temporal =
        matches!(column.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
    if !temporal {
        return None;
    }
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let column = cast(column, &micros).and_then(|c| cast(&c, &DataType::Int64)).ok()?;
    let latest = max(as_primitive_array::<Int64Type>(&column).ok()?)?;
    DateTime::from_timestamp_micros(latest)
}
