//! What is known of a dataset beside its contract: figures, quality, grants, use. Gathered from
//! the ungoverned rows; [`catalog::page`] cuts it to what its reader may know.

use std::sync::Arc;

use catalog::Source as _;
use catalog::page::{Facts, GrantPage};
use catalog::quality::{RowRules, RuleKind, RunOptions, RunResult};
use catalog::statistics::Statistics;
use chrono::Utc;
use pack::Contract;

use crate::import::{ImportRequest, ImportSummary, Progress, Quality};
use crate::open::Work;
use crate::{City, CityError};

/// Quality runs after imports take one part in so many of the time.
const QUALITY_SHARE: i32 = 10;

impl City {
    /// The facts of one dataset. Statistics are computed where the rows changed since the last
    /// time, which reads them all.
    pub async fn facts(&self, contract: &Contract) -> Result<Facts, CityError> {
        let now = Utc::now();
        let organisation = self.pack().organisations.iter().find(|o| o.id == contract.owner);
        let grants = self.sharing().all_active_grants(&contract.id, now).await;
        let grants = grants.map_err(|error| CityError::Invalid(error.to_string()))?;
        let runs = catalog::quality::records::latest(self.records(), &contract.id, 1).await?;
        let usage = catalog::usage::records::summary(self.records(), &contract.id, now);
        let usage = self.used.get(&contract.id, || None, usage).await?;
        Ok(Facts {
            owner_name: organisation.map(|o| o.name.clone()).unwrap_or_default(),
            statistics: Some(self.statistics(contract).await?.as_ref().clone()),
            newest: self.stores().newest_known(contract).await,
            quality: runs.into_iter().next(),
            grants: grants.into_iter().map(grant_page).collect(),
            usage: Some(usage),
        })
    }

    /// Statistics of a dataset as it stands, kept until its rows change.
    pub async fn statistics(&self, contract: &Contract) -> Result<Arc<Statistics>, CityError> {
        let version = || Some(self.stores().version(&contract.id));
        let compute = async {
            let rows = self.raw_table(&contract.id, None).await?;
            Ok(Arc::new(Statistics::compute(contract, rows, Utc::now()).await?))
        };
        self.statistics.get(&contract.id, version, compute).await
    }

    /// Imports a file, and then asks the dataset's quality rules of all its rows. A run reads
    /// them all, so it is left out where the last one was a short while ago for what it cost: a
    /// dataset that is fed all day is checked as often as it can bear.
    pub async fn import_and_check(
        &self,
        request: ImportRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<ImportSummary, CityError> {
        let mut summary = self.import(request, progress).await?;
        // The rows are taken, whatever comes of the check.
        match self.check_if_due(&summary).await {
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
        let last = catalog::quality::records::latest(self.records(), &summary.dataset, 1).await?;
        let due = match last.first() {
            None => true,
            Some(last) => {
                let cost = last.finished_at - last.started_at;
                summary.rows_taken > 0 && Utc::now() - last.finished_at >= cost * QUALITY_SHARE
            }
        };
        match due {
            true => self.check_quality(&summary.dataset).await.map(Some),
            false => Ok(None),
        }
    }

    /// Asks every quality rule of every row of a dataset, and keeps what came out.
    pub async fn check_quality(&self, dataset: &str) -> Result<RunResult, CityError> {
        let contract = self.contract(dataset)?;
        let invalid = |error: catalog::quality::QualityError| CityError::Invalid(error.to_string());
        let rules = RowRules::compile(contract).map_err(invalid)?;
        let rows = self.raw_table(dataset, None).await?;
        let run = catalog::quality::run(rows, &rules, &RunOptions::default()).await;
        let run = run.map_err(invalid)?;
        catalog::quality::records::save(self.records(), &run).await?;
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

fn grant_page(grant: catalog::sharing::Grant) -> GrantPage {
    GrantPage {
        id: grant.id.to_string(),
        organisation: grant.organisation,
        purpose: String::new(),
        fields: Some(grant.fields),
        row_filter: grant.row_filter,
        masks: grant.masks,
        expires: Some(grant.expires_at),
    }
}
