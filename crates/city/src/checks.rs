//! When a dataset's quality rules are asked of all its rows: after an import, when somebody says
//! so, and later where an import came too soon after the last time.

use std::pin::pin;

use catalog::quality::records::{due, latest, put_off, save, settle};
use catalog::quality::{RowRules, RuleKind, RunOptions, RunResult};
use chrono::{DateTime, TimeDelta, Utc};

use crate::import::{ImportRequest, ImportSummary, Progress, Quality};
use crate::open::Work;
use crate::{City, CityError};

/// Quality runs after imports take one part in so many of the time.
const QUALITY_SHARE: i32 = 10;
/// Wait before a run that was put off and failed is tried again.
const QUALITY_RETRY_MINUTES: i64 = 10;

impl City {
    /// Imports a file, and then asks the dataset's quality rules of all its rows. A run reads
    /// them all, so it is put off where the last one was a short while ago for what it cost: a
    /// dataset that is fed all day is checked as often as it can bear.
    pub async fn import_and_check(
        &self,
        request: ImportRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<ImportSummary, CityError> {
        self.import_and_check_until(request, progress, std::future::pending()).await
    }

    /// As [`City::import_and_check`], but cut when `stop` comes: an import is to be run again
    /// then, a check is put off.
    pub async fn import_and_check_until(
        &self,
        request: ImportRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<ImportSummary, CityError> {
        let mut stop = pin!(stop);
        let mut summary = self.import_until(request, progress, stop.as_mut()).await?;
        let checked = tokio::select! {
            checked = self.check_if_due(&summary) => checked,
            () = stop => match put_off(self.records(), &summary.dataset, Utc::now()).await {
                Ok(()) => Ok(None),
                Err(error) => Err(error.into()),
            },
        };
        // The rows are taken, whatever comes of the check.
        match checked {
            Ok(run) => summary.quality = run.as_ref().map(in_short),
            Err(error) => {
                tracing::error!(dataset = %summary.dataset, %error, "the rules were not checked");
            }
        }
        Ok(summary)
    }

    async fn check_if_due(&self, summary: &ImportSummary) -> Result<Option<RunResult>, CityError> {
        let turn = self.turn(Work::Quality, &summary.dataset);
        let _turn = turn.lock().await;
        if let Some(last) = latest(self.records(), &summary.dataset, 1).await?.first() {
            if summary.rows_taken == 0 {
                return Ok(None);
            }
            let cost = last.finished_at - last.started_at;
            let next = last.finished_at + cost * QUALITY_SHARE;
            if Utc::now() < next {
                put_off(self.records(), &summary.dataset, next).await?;
                return Ok(None);
            }
        }
        self.ask_rules(&summary.dataset).await.map(Some)
    }

    /// Asks every quality rule of every row of a dataset, and keeps what came out. One run of a
    /// dataset at a time: whoever wants a second one meanwhile would be told the same.
    pub async fn check_quality(&self, dataset: &str) -> Result<RunResult, CityError> {
        let turn = self.turn(Work::Quality, &self.contract(dataset)?.id);
        let Ok(_turn) = turn.try_lock() else {
            let reason = format!("the rules of {dataset} are being checked: see what comes of it");
            return Err(CityError::Busy(reason));
        };
        self.ask_rules(dataset).await
    }

    /// Makes up for the runs that were put off until now or before.
    pub(crate) async fn check_what_is_due(&self, now: DateTime<Utc>) -> Result<(), CityError> {
        for dataset in due(self.records(), now).await? {
            if self.contract(&dataset).is_err() {
                // It has left the pack since.
                settle(self.records(), &dataset).await?;
                continue;
            }
            match self.check_quality(&dataset).await {
                // Who is at it sees the rows too; if it fails, the next look finds it due still.
                Ok(_) | Err(CityError::Busy(_)) => {}
                Err(error) => {
                    tracing::error!(dataset, %error, "rules that were put off were not checked");
                    let later = now + TimeDelta::minutes(QUALITY_RETRY_MINUTES);
                    put_off(self.records(), &dataset, later).await?;
                }
            }
        }
        Ok(())
    }

    /// For who has the dataset's turn.
    async fn ask_rules(&self, dataset: &str) -> Result<RunResult, CityError> {
        let contract = self.contract(dataset)?;
        let invalid = |error: catalog::quality::QualityError| CityError::Invalid(error.to_string());
        let rules = RowRules::compile(contract).map_err(invalid)?;
        let rows = self.raw_table(dataset, None).await?;
        let run = catalog::quality::run(rows, &rules, &RunOptions::default()).await;
        let run = run.map_err(invalid)?;
        save(self.records(), &run).await?;
        settle(self.records(), dataset).await?;
        Ok(run)
    }
}

fn in_short(run: &RunResult) -> Quality {
    let failed = run.rules.iter().filter(|rule| rule.failed > 0);
    // Empty cells are no rule's failure: the contract says where they may be.
    let failed = failed.filter(|rule| rule.kind != RuleKind::Completeness);
    Quality {
        passed: run.passed,
        failed: failed.map(|rule| (rule.rule.clone(), rule.failed)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use uuid::Uuid;

    use super::*;
    use crate::OpenOptions;

    const DATASET: &str = "air.pm25";

    async fn city(dir: &Path) -> City {
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
        let options = OpenOptions { dir: dir.join("city"), ..OpenOptions::default() };
        City::create(&options, &pack).await.unwrap()
    }

    /// A file of one reading.
    fn reading(dir: &Path, hour: u32) -> ImportRequest {
        let file = dir.join(format!("{hour}.csv"));
        let text = format!("site,observed_at,pm25\n草堂寺,2010-01-01T{hour:02}:00:00Z,35.5\n");
        std::fs::write(&file, text).unwrap();
        ImportRequest {
            dataset: DATASET.to_owned(),
            file,
            options: intake::Options::default(),
            user: "operator".to_owned(),
        }
    }

    async fn import(city: &City, dir: &Path, hour: u32) -> ImportSummary {
        city.import_and_check(reading(dir, hour), &|_| ()).await.unwrap()
    }

    #[tokio::test]
    async fn an_import_that_is_cut_says_so_and_can_be_run_again() {
        let dir = tempfile::tempdir().unwrap();
        let city = city(dir.path()).await;
        let request = reading(dir.path(), 1);
        let stop = std::future::ready(());
        let cut = city.import_and_check_until(request.clone(), &|_| (), stop).await;
        assert!(matches!(cut, Err(CityError::Busy(_))), "{cut:?}");
        let told = city.audit().newest(10).await.unwrap();
        assert!(told.iter().any(|row| row.action == "import" && row.outcome == "failed"));
        let whole = city.import_and_check(request, &|_| ()).await.unwrap();
        assert_eq!(whole.rows_taken + whole.rows_unchanged, 1, "{whole:?}");
    }

    #[tokio::test]
    async fn one_check_of_a_dataset_goes_on_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let city = city(dir.path()).await;
        let turn = city.turn(Work::Quality, DATASET);
        let held = turn.lock().await;
        let busy = city.check_quality(DATASET).await;
        assert!(matches!(busy, Err(CityError::Busy(_))), "{busy:?}");
        city.check_quality("transit.station").await.unwrap();
        drop(held);
        city.check_quality(DATASET).await.unwrap();
        let unknown = city.check_quality("no.such").await;
        assert!(matches!(unknown, Err(CityError::UnknownDataset(..))), "{unknown:?}");
    }

    #[tokio::test]
    async fn a_check_that_an_import_came_too_soon_for_is_made_up_for() {
        let dir = tempfile::tempdir().unwrap();
        let city = city(dir.path()).await;
        assert!(import(&city, dir.path(), 1).await.quality.is_some(), "the first time");
        // The last run took an hour: the next may be in ten.
        let mut long = latest(city.records(), DATASET, 1).await.unwrap().remove(0);
        let now = Utc::now();
        (long.id, long.started_at) = (Uuid::now_v7(), now);
        long.finished_at = now + TimeDelta::hours(1);
        save(city.records(), &long).await.unwrap();
        assert!(import(&city, dir.path(), 2).await.quality.is_none(), "too soon");

        city.check_what_is_due(now + TimeDelta::hours(10)).await.unwrap();
        let newest = latest(city.records(), DATASET, 1).await.unwrap().remove(0);
        assert_eq!(newest, long, "its time has not come");
        let then = now + TimeDelta::hours(11);
        city.check_what_is_due(then).await.unwrap();
        let newest = latest(city.records(), DATASET, 1).await.unwrap().remove(0);
        assert_eq!(newest.rows, 2, "the rows of both imports");
        assert!(due(city.records(), then).await.unwrap().is_empty());

        // What has left the pack is owed nothing.
        put_off(city.records(), "no.such", now).await.unwrap();
        city.check_what_is_due(then).await.unwrap();
        assert!(due(city.records(), then).await.unwrap().is_empty());
    }
}
