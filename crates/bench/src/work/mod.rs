//! What our own sides do. Each function runs in a process of its own and returns what it measured.

pub mod append;
mod city;
mod places;
mod query;
pub mod sense;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use city::table_dir;
pub use places::parquet_to_csv;

use crate::side::Side;

pub type Values = BTreeMap<String, Vec<f64>>;

pub async fn run(side: Side) -> anyhow::Result<Values> {
    match side {
        Side::Append { dir, producers, seconds, per_second } => {
            append::run(&dir, producers, seconds, per_second).await
        }
        Side::Import { dir, file, keyed } => city::import(&dir, &file, keyed).await,
        Side::Governed { dir, rounds } => query::governed(&dir, rounds).await,
        Side::Bare { dir, filtered, rounds } => query::bare(&dir, filtered, rounds).await,
        Side::Point { dir, reads } => query::point(&dir, reads).await,
        Side::Sense { dir, datastreams, observations } => {
            sense::make(&dir, datastreams, observations).await
        }
    }
}

/// The dataset of every figure but one.
pub const DATASET: &str = "bench.reading";
/// The same rows under a key, so that they are sorted by series.
pub const KEYED: &str = "bench.series";

/// The bench's own pack.
pub fn pack_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pack")
}

#[cfg(test)]
mod tests {
    use super::{DATASET, KEYED, pack_dir};
    use crate::readings;

    #[test]
    fn the_pack_has_no_mistakes_and_the_rows_fit_its_contract() {
        let pack = pack::load(&pack_dir()).unwrap_or_else(|faults| panic!("{faults}"));
        let schema = pack.datasets[DATASET].arrow_schema();
        assert_eq!(schema, pack.datasets[KEYED].arrow_schema());
        assert_eq!(readings::batch(&schema, 0, 100).unwrap().num_rows(), 100);
        for area in readings::AREAS {
            assert!(pack.areas.iter().any(|known| known.code == area), "{area}");
        }
    }
}
