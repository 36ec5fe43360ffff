//! `sensing.producer`: who sends, and what became of it since the process started.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::error::ArrowError;
use pack::Contract;

use super::batch;
use crate::live::producers::ProducerState;

type Senders = [ProducerState];

pub(super) fn rows(contract: &Contract, senders: &Senders) -> Result<RecordBatch, ArrowError> {
    let counted = |count: u64| Some(i64::try_from(count).unwrap_or(i64::MAX));
    let mut columns: HashMap<&'static str, ArrayRef> = HashMap::new();
    columns.insert("producer", texts(senders.iter().map(|sender| sender.producer.as_str())));
    columns.insert("face", texts(senders.iter().map(|sender| sender.face)));
    columns.insert("owner", texts(senders.iter().map(|sender| sender.owner.as_str())));
    columns.insert("since", times(senders.iter().map(|sender| sender.since_us)));
    columns.insert("last_at", times(senders.iter().map(|sender| sender.last_us)));
    columns.insert("rows", integers(senders.iter().map(|sender| counted(sender.rows))));
    columns.insert("refused", integers(senders.iter().map(|sender| counted(sender.refused))));
    columns.insert("flagged", integers(senders.iter().map(|sender| counted(sender.flagged))));
    columns.insert("duplicates", integers(senders.iter().map(|sender| counted(sender.duplicates))));
    columns.insert("lost", integers(senders.iter().map(|sender| sender.lost.and_then(counted))));
    let rates = senders.iter().map(|sender| Some(sender.rate_per_s));
    columns.insert("rate_per_s", Arc::new(rates.collect::<Float64Array>()));
    let flagged = senders.iter().map(|sender| counted(sender.flagged_minute));
    columns.insert("flagged_minute", integers(flagged));
    let refused = senders.iter().map(|sender| counted(sender.refused_minute));
    columns.insert("refused_minute", integers(refused));
    columns.insert("lag_p50_ms", integers(senders.iter().map(|sender| sender.lag_p50_ms)));
    columns.insert("lag_p99_ms", integers(senders.iter().map(|sender| sender.lag_p99_ms)));
    batch(contract, senders.len(), columns)
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn integers(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    let times = values.map(Some).collect::<TimestampMicrosecondArray>();
    Arc::new(times.with_timezone("UTC"))
}
