//! What is known of a dataset beside its contract: figures, quality, grants, use. Gathered from
//! the ungoverned rows; [`catalog::page`] cuts it to what its reader may know.

use std::sync::Arc;

use catalog::Source as _;
use catalog::page::{Facts, GrantPage};
use catalog::quality::{RowRules, RunOptions, RunResult};
use catalog::statistics::Statistics;
use chrono::Utc;
use pack::Contract;

use crate::{City, CityError};

impl City {
    /// The facts of one dataset. Statistics are computed where the rows changed since the last
    /// time, which reads them all.
    pub async fn facts(&self, contract: &Contract) -> Result<Facts, CityError> {
        let now = Utc::now();
        let organisation = self.pack().organisations.iter().find(|o| o.id == contract.owner);
        let mut grants = Vec::new();
        for organisation in &self.pack().organisations {
            let active = self.sharing().active_grants(&contract.id, &organisation.id, now).await;
            grants.extend(active.map_err(|error| CityError::Invalid(error.to_string()))?);
        }
        let runs = catalog::quality::records::latest(self.records(), &contract.id, 1).await?;
        let usage = catalog::usage::records::summary(self.records(), &contract.id, now).await?;
        Ok(Facts {
            owner_name: organisation.map(|o| o.name.clone()).unwrap_or_default(),
            statistics: Some(self.statistics(contract).await?.as_ref().clone()),
            changed: None,
            quality: runs.into_iter().next(),
            grants: grants.into_iter().map(grant_page).collect(),
            usage: Some(usage),
        })
    }

    /// Statistics of a dataset as it stands, kept until its rows change.
    pub async fn statistics(&self, contract: &Contract) -> Result<Arc<Statistics>, CityError> {
        let version = self.stores().version(&contract.id);
        if let Some(kept) = self.statistics_of(&contract.id, version) {
            return Ok(kept);
        }
        let rows = self.raw_table(&contract.id, None).await?;
        let statistics = Arc::new(Statistics::compute(contract, rows, Utc::now()).await?);
        self.keep_statistics(&contract.id, version, statistics.clone());
        Ok(statistics)
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
