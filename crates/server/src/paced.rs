//! An answer's rows in the hands of a task of their own.
//!
//! A query holds memory and one of few places while its rows are wanted, and its own limits only
//! speak when somebody asks for the next rows. A client that stops reading asks for none. So a
//! task asks in its stead, one batch ahead; when the time is over it lets go of the query, whether
//! the client has come back or not.

use std::time::Duration;

use arrow::record_batch::RecordBatch;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::backend::Rows;
use crate::fault::Fault;

/// Batches ready for a reader.
const AHEAD_BATCHES_MAX: usize = 1;

/// What the task sends: rows, or that there are no more.
type Item = Option<Result<RecordBatch, Fault>>;

/// The same rows, ended with a fault after `time_max`. Dropping them stops the query.
pub fn paced(rows: Rows, time_max: Duration) -> Rows {
    let (sender, receiver) = mpsc::channel::<Item>(AHEAD_BATCHES_MAX);
    let until = tokio::time::Instant::now() + time_max;
    tokio::spawn(async move {
        tokio::select! {
            () = pass_on(rows, &sender) => {}
            () = sender.closed() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    });
    // A channel that ends without a last word was given up by the clock.
    Box::pin(stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Some(Ok(batch))) => Some((Ok(batch), Some(receiver))),
            Some(Some(Err(fault))) => Some((Err(fault), None)),
            Some(None) => None,
            None => Some((Err(Fault::timeout()), None)),
        }
    }))
}

async fn pass_on(mut rows: Rows, sender: &mpsc::Sender<Item>) {
    loop {
        let item = rows.next().await;
        let last = item.is_none();
        // Nobody is left to read: nothing is left to do.
        if sender.send(item).await.is_err() || last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use super::*;
    use crate::fault::Code;

    /// Endless batches that hold on to `held`.
    fn endless(held: Arc<()>) -> Rows {
        Box::pin(stream::repeat_with(move || {
            let _ = &held;
            Ok(RecordBatch::new_empty(Arc::new(Schema::empty())))
        }))
    }

    async fn released(held: &Arc<()>) {
        let freed = async {
            while Arc::strong_count(held) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), freed).await.expect("the query is let go");
    }

    #[tokio::test]
    async fn a_reader_that_stops_holds_its_query_for_a_while_only() {
        let held = Arc::new(());
        let mut rows = paced(endless(held.clone()), Duration::from_millis(50));
        rows.next().await.unwrap().unwrap();
        released(&held).await;
        let rest: Vec<_> = rows.collect().await;
        let last = rest.last().unwrap().as_ref().unwrap_err();
        assert_eq!(last.code, Code::Timeout, "the answer does not end as if it were whole");
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_stops_its_query_at_once() {
        let held = Arc::new(());
        let rows = paced(endless(held.clone()), Duration::from_secs(3_600));
        drop(rows);
        released(&held).await;
    }

    #[tokio::test]
    async fn every_row_and_the_end_come_through() {
        let batch = || Ok(RecordBatch::new_empty(Arc::new(Schema::empty())));
        let rows: Rows = Box::pin(stream::iter([batch(), batch(), batch()]));
        let got: Vec<_> = paced(rows, Duration::from_secs(60)).collect().await;
        assert!(got.len() == 3 && got.iter().all(Result::is_ok));
        let broken: Rows = Box::pin(stream::iter([batch(), Err(Fault::cancelled())]));
        let got: Vec<_> = paced(broken, Duration::from_secs(60)).collect().await;
        assert_eq!(got[1].as_ref().unwrap_err().code, Code::Cancelled);
    }
}
