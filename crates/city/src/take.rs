//! Takes single rows after a person has looked at them: a correction, an edit. All of what comes
//! must be good, and nothing that was written since is overwritten.

use arrow::array::BooleanArray;
use arrow::compute::{filter, filter_record_batch};
use arrow::record_batch::RecordBatch;
use catalog::quality::RowRules;
use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::common::ScalarValue;
use datafusion::prelude::{DataFrame, SessionContext, ident, lit};
use pack::{Contract, DatasetKind, Severity};
use registry::registers::{Newer, Stamp};
use registry::{Registers, RegistryError};
use store::lake::{INGESTED_AT, Producer};

use crate::import::{Chunks, ImportRequest, KEY_TAKEN, NOT_IN_REGISTER, key_indices, rule_message};
use crate::known::{Known, Verdict};
use crate::open::Work;
use crate::{City, CityError};

/// Rows that were read and fulfil every rule, all of them.
#[derive(Debug)]
pub(crate) struct Verified {
    pub rows: Vec<RecordBatch>,
}

impl City {
    /// Reads a small file of which every row must be good: a correction.
    pub(crate) async fn verify_rows(
        &self,
        request: &ImportRequest,
        contract: &Contract,
    ) -> Result<Verified, CityError> {
        let rules = RowRules::compile(contract)?;
        let mut reader = self.open_file(request, contract).await?;
        let mut chunks = Chunks::of(move || reader.next_chunk());
        let mut rows = Vec::new();
        while let Some(chunk) = chunks.next().await? {
            if let Some(bad) = chunk.bad.first() {
                let field = bad.field.as_deref().unwrap_or("the record");
                return Err(CityError::Refused(format!("{field}: {}", bad.message)));
            }
            let checked = rules.check(&chunk.rows)?;
            let broken =
                checked.failures.iter().find(|failure| failure.severity == Severity::Error);
            if let Some(failure) = broken {
                return Err(CityError::Refused(rule_message(contract, &failure.rule)));
            }
            rows.push(chunk.rows);
        }
        if rows.iter().all(|batch| batch.num_rows() == 0) {
            return Err(CityError::Refused("the corrected record gives no row".to_owned()));
        }
        Ok(Verified { rows })
    }

    /// Takes verified rows of a record that came in at `arrived`, leaving out those that the
    /// dataset holds. What was written since is newer: it is not replaced, and the refusal says by
    /// what.
    pub(crate) async fn take_rows(
        &self,
        contract: &Contract,
        rows: Vec<RecordBatch>,
        arrived: DateTime<Utc>,
        producer: Producer,
        user: &str,
    ) -> Result<(), CityError> {
        let turn = self.turn(Work::Import, &contract.id);
        let _turn = turn.lock().await;
        let rows = arrow::compute::concat_batches(&contract.arrow_schema(), &rows)?;
        let mut fresh = rows.clone();
        if !contract.key.is_empty() {
            let verdicts = self.known_near(contract, &rows).await?.judge(&rows)?;
            let stream = contract.kind == DatasetKind::Stream;
            if stream && verdicts.contains(&Verdict::Changed) {
                return Err(CityError::Refused(rule_message(contract, KEY_TAKEN)));
            }
            let keep: Vec<bool> =
                verdicts.iter().map(|verdict| *verdict != Verdict::Unchanged).collect();
            fresh = filter_record_batch(&rows, &BooleanArray::from(keep))?;
        }
        let count = fresh.num_rows() as u64;
        if count > 0 {
            self.append_rows(contract, fresh, arrived, producer, user).await?;
            self.tell_of_rows(&contract.id, count);
        }
        Ok(())
    }

    /// Appends to whichever store keeps the dataset. True: the producer had appended this before.
    async fn append_rows(
        &self,
        contract: &Contract,
        rows: RecordBatch,
        arrived: DateTime<Utc>,
        producer: Producer,
        user: &str,
    ) -> Result<bool, CityError> {
        match contract.kind {
            DatasetKind::Register if Registers::keeps(contract) => {
                match self.put_rows(contract, &rows, user, producer.id, arrived).await {
                    Ok(()) => Ok(false),
                    Err(RegistryError::Newer(newer)) => {
                        Err(self.overtaken(contract, &newer, arrived).await?)
                    }
                    Err(error) => Err(error.into()),
                }
            }
            DatasetKind::Register => {
                Err(CityError::Refused(rule_message(contract, NOT_IN_REGISTER)))
            }
            // An upsert is the same however often it is done: the row's own key is enough.
            DatasetKind::Snapshot => {
                if let Some(taken) = self.taken_since(contract, &rows, arrived).await? {
                    return Err(CityError::Conflict(format!(
                        "another row of this key was taken at {}, after this one came in at {}: \
                         see which is right, and dismiss this one or import a file with it",
                        moment(taken),
                        moment(arrived)
                    )));
                }
                self.append_waiting(&contract.id, rows, None).await
            }
            DatasetKind::Stream => self.append_waiting(&contract.id, rows, Some(producer)).await,
        }
    }

    /// What the dataset holds of rows that may have one of these rows' keys, for comparison.
    async fn known_near(
        &self,
        contract: &Contract,
        rows: &RecordBatch,
    ) -> Result<Known, CityError> {
        let table = self.raw_table(&contract.id, None).await?;
        let near = near(contract, rows, SessionContext::new().read_table(table)?)?;
        let mut known = Known::new(key_indices(contract)?);
        known.load(near.execute_stream().await?).await?;
        Ok(known)
    }

    /// When the lake took the newest row that has one of these rows' keys, where that was after
    /// `arrived`. It does not know from whom: the audit does.
    async fn taken_since(
        &self,
        contract: &Contract,
        rows: &RecordBatch,
        arrived: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, CityError> {
        if contract.key.is_empty() {
            return Ok(None);
        }
        let table = self.lake().stamped(&contract.id)?;
        let arrived =
            ScalarValue::TimestampMicrosecond(Some(arrived.timestamp_micros()), Some("UTC".into()));
        let later = near(contract, rows, SessionContext::new().read_table(table)?)?
            .filter(ident(INGESTED_AT).gt(lit(arrived)))?
            .collect()
            .await?;
        let fields: Vec<usize> = (0..rows.num_columns()).collect();
        let mut wanted = Known::new(key_indices(contract)?);
        wanted.judge(rows)?;
        let mut newest = None;
        for batch in &later {
            let same = wanted.judge(&batch.project(&fields)?)?;
            let same: BooleanArray =
                same.into_iter().map(|verdict| Some(verdict != Verdict::New)).collect();
            let stamps = filter(batch.column(fields.len()).as_ref(), &same)?;
            newest = newest.max(catalog::statistics::newest(&stamps));
        }
        Ok(newest)
    }

    /// Puts rows into a register, a version each, where none has a newer version than `since`.
    pub(crate) async fn put_rows(
        &self,
        contract: &Contract,
        rows: &RecordBatch,
        user: &str,
        reason: String,
        since: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        let stamp = Stamp { by: user.to_owned(), reason, now: Utc::now(), event: None };
        self.registers().put_since(contract, rows, since, stamp).await
    }

    /// A row's newest version in words, for who knows an older one.
    pub(crate) async fn last_written(
        &self,
        contract: &Contract,
        key: &str,
    ) -> Result<String, CityError> {
        let versions = self.registers().history(contract, key).await?;
        let last = versions.first().map(|last| {
            let at = moment(last.at);
            format!("version {} of `{key}`, {} by {} at {at}", last.version, last.kind, last.by)
        });
        Ok(last.unwrap_or_else(|| format!("`{key}`")))
    }

    async fn overtaken(
        &self,
        contract: &Contract,
        newer: &[Newer],
        arrived: DateTime<Utc>,
    ) -> Result<CityError, CityError> {
        let key = newer.first().map_or("", |row| row.key.as_str());
        let last = self.last_written(contract, key).await?;
        Ok(CityError::Conflict(format!(
            "there is a newer {last}, and this one came in at {}: see which is right, and dismiss \
             this one or edit the register",
            moment(arrived)
        )))
    }
}

/// Those of a table's rows that may have one of these rows' keys.
fn near(
    contract: &Contract,
    rows: &RecordBatch,
    mut table: DataFrame,
) -> Result<DataFrame, CityError> {
    for (name, index) in contract.key.iter().zip(key_indices(contract)?) {
        let values = (0..rows.num_rows())
            .map(|row| Ok(lit(ScalarValue::try_from_array(rows.column(index), row)?)))
            .collect::<Result<Vec<_>, CityError>>()?;
        table = table.filter(ident(name).in_list(values, false))?;
    }
    Ok(table)
}

/// A time for who reads a message.
fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::OpenOptions;

    pub const CONTRACT: &str = "place.facility";
    const COLUMNS: &str = "编号,类型,名称,所在网格,主管部门,容量,容量单位,服务年龄下限,\
                           服务年龄上限,开放时间,关闭时间,开放日,建筑面积,位置";

    pub async fn city(dir: &Path) -> City {
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
        let options = OpenOptions { dir: dir.join("city"), ..OpenOptions::default() };
        City::create(&options, &pack).await.unwrap()
    }

    /// A file of facilities, each an id and a capacity.
    pub fn facilities(dir: &Path, rows: &[(&str, i64)]) -> ImportRequest {
        let file = dir.join("facilities.csv");
        let mut text = format!("{COLUMNS}\n");
        for (id, capacity) in rows {
            let place = "510104017001";
            text += &format!("{id},chs,诊所,{place},,{capacity},,,,,,,,POINT(104.01 30.65)\n");
        }
        std::fs::write(&file, text).unwrap();
        ImportRequest {
            dataset: CONTRACT.to_owned(),
            file,
            options: intake::Options::default(),
            user: "operator".to_owned(),
        }
    }

    pub async fn capacity(city: &City, key: &str) -> Option<i64> {
        let contract = city.contract(CONTRACT).unwrap();
        let (_, row) = city.registers().row(contract, key).await.unwrap()?;
        Some(row.column_by_name("capacity").unwrap().as_primitive::<Int64Type>().value(0))
    }

    #[tokio::test]
    async fn a_row_that_waited_does_not_overwrite_what_was_written_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let city = city(dir.path()).await;
        let whole = facilities(dir.path(), &[("f1", 10), ("f2", 20)]);
        city.import(whole, &|_| ()).await.unwrap();
        // A facility without room for anybody breaks a rule.
        let wrong = facilities(dir.path(), &[("f1", 0), ("f2", 0), ("f3", 0)]);
        city.import(wrong, &|_| ()).await.unwrap();
        let waiting = city.quarantined(Some(CONTRACT)).await.unwrap();
        assert_eq!(waiting.len(), 3, "{waiting:?}");
        // Meanwhile one row is changed by another file and one is made.
        let meanwhile = facilities(dir.path(), &[("f1", 15), ("f3", 35)]);
        city.import(ImportRequest { user: "lin".to_owned(), ..meanwhile }, &|_| ()).await.unwrap();

        let mend = |at: usize| {
            let (city, id) = (&city, waiting[at].id.clone());
            async move {
                let cells = [("capacity".to_owned(), "7".to_owned())];
                city.repair(&id, &cells, "keeper").await
            }
        };
        for (at, last) in [(0, "version 2 of `f1`, changed by lin"), (2, "version 1 of `f3`")] {
            let refusal = mend(at).await.unwrap_err();
            assert!(matches!(refusal, CityError::Conflict(_)), "{refusal:?}");
            assert!(refusal.to_string().contains(last), "{refusal}");
        }
        assert_eq!(capacity(&city, "f1").await, Some(15));
        assert_eq!(capacity(&city, "f3").await, Some(35));
        mend(1).await.unwrap();
        assert_eq!(capacity(&city, "f2").await, Some(7), "nobody had touched it since");
        let left = city.quarantined(Some(CONTRACT)).await.unwrap();
        assert_eq!(left.len(), 2, "who was refused still waits");
    }
}
