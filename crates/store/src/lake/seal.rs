//! Sealing: hot rows become sorted Parquet files and one Delta commit.
//!
//! The commit carries `ingest/<lane>/<table>` → last frame, so that recovery replays only what
//! came later, and `producer/<id>` → last number, so that a retry is known after any crash. It is
//! checked again before every commit: a commit whose answer was lost is not made twice.
//!
//! Upsert tables are written by copy: files that hold a key decided in memory are rewritten
//! without it, the others stay.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;

use super::data::{self, DataFile, Effort};
use super::delta::{Change, Delta, ingest_app, producer_app};
use super::error::{LakeError, Result};
use super::hot::{Cold, KeyEncoder, Overlay};
use super::io::Io;
use super::sort::sorted;
use super::spec::{Spec, concat};
use super::table::{Frozen, Table};

/// Files aimed at; a file is closed once it has passed this.
pub(crate) const FILE_BYTES_TARGET: usize = 100 * 1024 * 1024;

/// Seals the oldest rows in memory. Returns whether there were any.
pub(crate) async fn seal(table: &Arc<Table>, io: &Arc<dyn Io>, bytes_max: usize) -> Result<bool> {
    let mut delta = table.delta().await?;
    let Some(frozen) = table.freeze(bytes_max) else { return Ok(false) };
    let result = write_and_commit(table, io, &mut delta, &frozen).await;
    *table.seal_error.lock() = result.as_ref().err().cloned();
    let cold = result?;
    table.thaw(&frozen, cold);
    Ok(true)
}

async fn write_and_commit(
    table: &Arc<Table>,
    io: &Arc<dyn Io>,
    delta: &mut Delta,
    frozen: &Frozen,
) -> Result<Cold> {
    // An earlier try may have been committed although its answer was lost.
    if is_committed(table, delta, frozen).await? {
        return Ok(delta.cold(&frozen.spec, &frozen.cold));
    }
    // What the files on disk are is what the log says, not what an earlier state said.
    let cold = delta.cold(&frozen.spec, &frozen.cold);
    let job = Job { io: io.clone(), dir: table.dir.clone(), spec: frozen.spec.clone() };
    let (chunks, files) = (frozen.chunks.clone(), cold.files.clone());
    let work = job.clone();
    let rewrite = tokio::task::spawn_blocking(move || {
        if work.spec.is_upsert() {
            let overlay = Overlay::build(&work.spec, chunks.iter(), None)?;
            work.upsert(&overlay, &files)
        } else {
            let batches = chunks.iter().map(|c| c.batch.clone()).collect::<Vec<_>>();
            work.append(&batches)
        }
    });
    let rewrite = rewrite.await.map_err(|e| LakeError::Task(e.to_string()))??;
    let name = &table.name;
    let mut transactions: Vec<(String, u64)> =
        frozen.last_seqs().into_iter().map(|(lane, seq)| (ingest_app(lane, name), seq)).collect();
    let producers = frozen.producers();
    transactions.extend(producers.iter().map(|(producer, seq)| (producer_app(producer), *seq)));
    let change = Change {
        add: rewrite.add,
        remove: rewrite.remove,
        transactions,
        data_change: true,
        through: Some(frozen.through().max(cold.through)),
    };
    job.commit(delta, &frozen.spec, change).await?;
    Ok(delta.cold(&frozen.spec, &cold))
}

async fn is_committed(table: &Table, delta: &Delta, frozen: &Frozen) -> Result<bool> {
    for (lane, seq) in frozen.last_seqs() {
        let committed = delta.transaction(&ingest_app(lane, &table.name)).await?;
        if committed.is_none_or(|c| c < seq) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Files to add and to remove together.
#[derive(Debug, Default)]
pub(crate) struct Rewrite {
    pub add: Vec<DataFile>,
    pub remove: Vec<Arc<DataFile>>,
}

/// Blocking work on one table's files.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub io: Arc<dyn Io>,
    pub dir: PathBuf,
    pub spec: Arc<Spec>,
}

impl Job {
    pub fn append(&self, batches: &[RecordBatch]) -> Result<Rewrite> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows == 0 {
            return Ok(Rewrite::default());
        }
        let batch = concat(&self.spec.stored, batches)?;
        let batch = sorted(batch, &self.spec.sort())?;
        let file = data::write_file(
            self.io.clone(),
            &self.dir,
            self.spec.clone(),
            Effort::Seal,
            &[batch],
        )?;
        Ok(Rewrite { add: vec![file], remove: Vec::new() })
    }

    /// Writes the overlay's rows, and anew what remains of each file that holds one of its keys.
    pub fn upsert(&self, overlay: &Overlay, files: &[Arc<DataFile>]) -> Result<Rewrite> {
        let mut rewrite = self.append(&overlay.rows)?;
        let rewritten = self.rewrite_touched(overlay, files, &mut rewrite);
        rewritten.inspect_err(|_| self.discard(&rewrite.add))?;
        Ok(rewrite)
    }

    fn rewrite_touched(
        &self,
        overlay: &Overlay,
        files: &[Arc<DataFile>],
        rewrite: &mut Rewrite,
    ) -> Result<()> {
        let reach = self.reach(overlay)?;
        for file in files {
            if !may_hold(&self.spec, file, reach.as_ref()) {
                continue;
            }
            if let Some(rest) = self.without(file, overlay)? {
                rewrite.remove.push(file.clone());
                rewrite.add.extend(rest);
            }
        }
        Ok(())
    }

    /// Commits what the job has written, or deletes it. Where nobody can tell whether the commit
    /// stands, the files stay.
    pub async fn commit(&self, delta: &mut Delta, spec: &Spec, change: Change) -> Result<()> {
        let added = change.add.clone();
        let committed = delta.commit(spec, change).await;
        if committed.is_err() && delta.lacks(&added).await {
            self.discard(&added);
        }
        committed
    }

    /// Deletes files that no commit will name: on a full disk they would keep it full. What cannot
    /// be deleted now, vacuum finds.
    pub fn discard(&self, files: &[DataFile]) {
        for file in files {
            if let Err(error) = data::delete(self.io.as_ref(), &self.dir, &file.path) {
                tracing::warn!(%error, "an unused data file stays until vacuum");
            }
        }
    }

    /// Least and greatest first key column among the overlay's keys, where rows tell it; `None`
    /// when deletes are among them, whose keys are known in encoded form only.
    fn reach(&self, overlay: &Overlay) -> Result<Option<(ScalarValue, ScalarValue)>> {
        let rows: usize = overlay.rows.iter().map(RecordBatch::num_rows).sum();
        if rows != overlay.keys.len() || rows == 0 {
            return Ok(None);
        }
        let column = self.spec.key()[0];
        let mut reach: Option<(ScalarValue, ScalarValue)> = None;
        for batch in &overlay.rows {
            let array = batch.column(column);
            for i in 0..array.len() {
                let value = ScalarValue::try_from_array(array, i)
                    .map_err(LakeError::datafusion(self.spec.name(), "read a key"))?;
                reach = Some(match reach {
                    None => (value.clone(), value),
                    Some((min, max)) => (
                        if value < min { value.clone() } else { min },
                        if value > max { value } else { max },
                    ),
                });
            }
        }
        Ok(reach)
    }

    /// What remains of a file without the overlay's keys: `None` if it holds none of them, an
    /// empty list if nothing remains.
    fn without(&self, file: &DataFile, overlay: &Overlay) -> Result<Option<Vec<DataFile>>> {
        let encoder = KeyEncoder::new(&self.spec)?;
        let key = self.spec.key();
        data::rewrite_file(&self.io, &self.dir, &self.spec, file, &|batch| {
            let keys = encoder.encode(batch, &key)?;
            Ok(keys.iter().map(|k| Some(!overlay.keys.contains(k.as_ref()))).collect())
        })
    }
}

/// Whether a file's range of the first key column touches the overlay's.
fn may_hold(spec: &Spec, file: &DataFile, reach: Option<&(ScalarValue, ScalarValue)>) -> bool {
    let (Some((min, max)), Some(range)) = (reach, file.range(spec.key()[0])) else { return true };
    !(range.max < *min || range.min > *max)
}
