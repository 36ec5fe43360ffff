//! How new a dataset is: the newest moment that its rows speak of, or else when they last changed.

use catalog::Source as _;
use catalog::statistics::newest;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::lit;
use datafusion::prelude::{DataFrame, SessionContext, ident};
use datafusion::scalar::ScalarValue;
use pack::Contract;
use registry::{Registers, Registry};

use crate::census;
use crate::platform;
use crate::source::Stores;

/// What was found is kept for so many times as long as finding it took, whatever comes in.
pub(crate) const KEPT_SHARE: u32 = 20;
/// A row further ahead than this is a forecast or has a wrong clock: it does not make its dataset
/// new.
const AHEAD_MINUTES_MAX: i64 = 10;

impl Stores {
    /// The newest moment of a dataset's rows; none where it has none.
    pub async fn newest(
        &self,
        contract: &Contract,
    ) -> Result<Option<DateTime<Utc>>, DataFusionError> {
        let version = || Some(self.version(&contract.id));
        self.newest.get(&contract.id, version, self.look(contract)).await
    }

    /// As [`Stores::newest`]; none, and a line in the log, where it cannot be found out.
    pub async fn newest_known(&self, contract: &Contract) -> Option<DateTime<Utc>> {
        self.newest(contract).await.unwrap_or_else(|error| {
            let dataset = contract.id.as_str();
            tracing::warn!(dataset, %error, "how new it is could not be found out");
            None
        })
    }

    async fn look(&self, contract: &Contract) -> Result<Option<DateTime<Utc>>, DataFusionError> {
        let external = |error: registry::RegistryError| DataFusionError::External(Box::new(error));
        let Some(time) = &contract.time else {
            if Registers::keeps(contract) {
                return self.registers.changed_at(contract).await.map_err(external);
            }
            if Registry::keeps(&contract.id) {
                return self.registry.changed_at(&contract.id).await.map_err(external);
            }
            if platform::makes(contract) || census::makes(&contract.id) {
                return Ok(Some(Utc::now()));
            }
            let stats = self.lake.stats(&contract.id);
            let stats = stats.map_err(|error| DataFusionError::External(Box::new(error)))?;
            return Ok(stats.taken_last);
        };
        let table = self.table(&contract.id, None).await?;
        let rows = SessionContext::new().read_table(table)?;
        let of = async |rows: DataFrame| {
            let rows = rows.aggregate(vec![], vec![max(ident(time))])?.collect().await?;
            Ok::<_, DataFusionError>(rows.iter().filter_map(|rows| newest(rows.column(0))).max())
        };
        let latest = of(rows.clone()).await?;
        let ahead = Utc::now() + TimeDelta::minutes(AHEAD_MINUTES_MAX);
        if latest.is_none_or(|latest| latest <= ahead) {
            return Ok(latest);
        }
        let micros = Some(ahead.timestamp_micros());
        let ahead = lit(ScalarValue::TimestampMicrosecond(micros, Some("UTC".into())));
        let known = of(rows.filter(ident(time).lt_eq(ahead))?).await?;
        // Where all of it is ahead, it is a forecast.
        Ok(known.or(latest))
    }
}
