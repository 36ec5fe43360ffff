//! A city of the bench's own: made, fed and opened as any other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use city::{City, ImportRequest, OpenOptions};

use super::{DATASET, KEYED, Values, pack_dir};

/// Takes a CSV file in, to the moment when every row is acknowledged and sealed.
pub async fn import(dir: &Path, file: &Path, keyed: bool) -> anyhow::Result<Values> {
    let dataset = if keyed { KEYED } else { DATASET };
    let city = City::create(&options(dir), &pack_dir()).await?;
    let request = ImportRequest {
        dataset: dataset.to_owned(),
        file: file.to_owned(),
        options: intake::Options::default(),
        user: city::OPERATOR.to_owned(),
    };
    let started = Instant::now();
    let summary = city.import(request, &|_| ()).await?;
    city.lake().flush(dataset).await?;
    let seconds = started.elapsed().as_secs_f64();
    if keyed {
        city.maintain(Some(dataset)).await?;
    }
    anyhow::ensure!(summary.rows_quarantined == 0, "good rows went to quarantine: {summary:?}");
    city.close().await?;
    let rows = f64::from(u32::try_from(summary.rows_taken)?);
    Ok(BTreeMap::from([("seconds".to_owned(), vec![seconds]), ("rows".to_owned(), vec![rows])]))
}

pub async fn open(dir: &Path) -> anyhow::Result<City> {
    Ok(City::open(&options(dir)).await?)
}

fn options(dir: &Path) -> OpenOptions {
    OpenOptions { dir: dir.to_owned(), ..OpenOptions::default() }
}

/// Where the dataset's Delta table lies, for a peer that reads it from outside.
pub fn table_dir(dir: &Path) -> PathBuf {
    dir.join("lake").join("tables").join(DATASET)
}
