//! What is known of a dataset beside its contract: figures, quality, grants, use. Gathered from
//! the ungoverned rows; [`catalog::page`] cuts it to what its reader may know.

use std::sync::Arc;

use catalog::Source as _;
use catalog::page::{Facts, GrantPage};
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
