//! What was found out about a dataset, kept while it is true, or for a while that grows with what
//! it cost to find out: a dataset that is being fed is not read anew for each look at it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as AsyncMutex;

#[derive(Debug)]
struct Found<T> {
    /// Of the rows, read before the first of them was; none where it changes all the time.
    version: Option<u64>,
    what: T,
    since: Instant,
    took: Duration,
}

type Place<T> = Arc<AsyncMutex<Option<Found<T>>>>;

/// One thing about each dataset.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    found: Mutex<BTreeMap<String, Place<T>>>,
    /// For how many times as long as finding out took it is kept, whatever happens to the rows.
    share: u32,
}

impl<T: Clone> Kept<T> {
    pub fn for_times(share: u32) -> Self {
        Self { found: Mutex::default(), share }
    }

    /// What is kept, or else what `find` says. Of many who ask at once one finds out, and the
    /// others wait for it.
    pub async fn get<E>(
        &self,
        dataset: &str,
        version: impl FnOnce() -> Option<u64>,
        find: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let place = self.place(dataset);
        let mut place = place.lock().await;
        let version = version();
        if let Some(found) = &*place
            && (version.is_some() && found.version == version
                || found.since.elapsed() < found.took * self.share)
        {
            return Ok(found.what.clone());
        }
        let started = Instant::now();
        let what = find.await?;
        let took = started.elapsed();
        *place = Some(Found { version, what: what.clone(), since: Instant::now(), took });
        Ok(what)
    }

    fn place(&self, dataset: &str) -> Place<T> {
        let mut found = self.found.lock().expect("no one panics while holding what is kept");
        found.entry(dataset.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const OFTEN: u32 = 1_000_000;

    async fn ask(kept: &Kept<u64>, version: u64, says: u64) -> u64 {
        let find = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok::<_, Infallible>(says)
        };
        kept.get("air.pm25", || Some(version), find).await.unwrap()
    }

    #[tokio::test]
    async fn it_is_found_out_anew_when_the_rows_change() {
        let kept = Kept::for_times(0);
        assert_eq!(ask(&kept, 1, 10).await, 10);
        assert_eq!(ask(&kept, 1, 11).await, 10);
        assert_eq!(ask(&kept, 2, 12).await, 12);
    }

    #[tokio::test]
    async fn it_is_not_found_out_anew_for_each_change() {
        let kept = Kept::for_times(OFTEN);
        assert_eq!(ask(&kept, 1, 10).await, 10);
        assert_eq!(ask(&kept, 2, 11).await, 10);
    }

    #[tokio::test]
    async fn what_failed_is_not_kept() {
        let kept = Kept::for_times(OFTEN);
        let failed = kept.get("air.pm25", || None, async { Err::<u64, _>("no disk") }).await;
        assert_eq!(failed, Err("no disk"));
        assert_eq!(ask(&kept, 1, 10).await, 10);
    }
}
