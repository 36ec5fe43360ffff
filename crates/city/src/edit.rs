//! Edits of a register's rows: checked like a file's rows, owned, reasoned, versioned.
//!
//! ```text
//!  fields ─► may this principal? ─► read by the importer's own reader ─► rules ─► version ─► records
//!                                         refused with the field's name and why
//! ```

use std::collections::BTreeMap;
use std::fs;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use catalog::Session;
use catalog::audit::{Event, Outcome};
use catalog::sql::Access;
use chrono::{DateTime, Utc};
use intake::{Crs, Format};
use pack::Contract;
use registry::registers::{Stamp, Written};
use serde_json::{Map, Value, json};

use crate::import::ImportRequest;
use crate::objects::{area_field, in_scope, kept_key, key_in_clear, no_row, objects, told};
use crate::{City, CityError};

const REASON_CHARS_MAX: usize = 500;

/// What an edit left behind.
pub type Edited = Written;

/// One version of a row as its reader may see it.
#[derive(Debug, Clone)]
pub struct RowChange {
    pub version: i64,
    pub at: DateTime<Utc>,
    pub by: String,
    pub reason: String,
    /// `created`, `changed` or `deleted`.
    pub kind: String,
    /// Field, what it was, what it became.
    pub changes: Vec<(String, Value, Value)>,
}

impl City {
    /// Adds a row to a register.
    pub async fn create_row(
        &self,
        session: &Session,
        dataset: &str,
        fields: Map<String, Value>,
        reason: &str,
    ) -> Result<Edited, CityError> {
        let (contract, access) = self.editable(session, dataset, "create", reason).await?;
        fields_known(contract, &access, &fields, &[])?;
        let row = self.parsed(session, contract, Map::new(), &fields).await?;
        self.own_area(session, contract, &row).await?;
        let names: Vec<&String> = fields.keys().collect();
        let stamp = self.stamp(session, contract, "create", reason, json!({ "fields": names }));
        let written = self.registers().create(contract, &row, stamp).await?;
        self.tell_of_rows(&contract.id, 1);
        Ok(written)
    }

    /// Changes some fields of a row that stands at `version`.
    pub async fn change_row(
        &self,
        session: &Session,
        dataset: &str,
        key: &str,
        version: i64,
        fields: Map<String, Value>,
        reason: &str,
    ) -> Result<Edited, CityError> {
        let (contract, access) = self.editable(session, dataset, "change", reason).await?;
        fields_known(contract, &access, &fields, &contract.key)?;
        let key = &kept_key(contract, key)?;
        let old = self.row_to_edit(session, contract, &access, key).await?;
        let before = objects(std::slice::from_ref(&old))?.pop().unwrap_or_default();
        let parsed = self.parsed(session, contract, before, &fields).await?;
        let row = merged(&old, &parsed, &fields)?;
        self.own_area(session, contract, &row).await?;
        let names: Vec<&String> = fields.keys().collect();
        let detail = json!({ "key": key, "from_version": version, "fields": names });
        let stamp = self.stamp(session, contract, "change", reason, detail);
        let written = self.registers().change(contract, &row, version, stamp).await?;
        self.tell_of_rows(&contract.id, 1);
        Ok(written)
    }

    /// Takes a row out of a register; its history stays.
    pub async fn delete_row(
        &self,
        session: &Session,
        dataset: &str,
        key: &str,
        version: i64,
        reason: &str,
    ) -> Result<Edited, CityError> {
        let (contract, access) = self.editable(session, dataset, "delete", reason).await?;
        let key = &kept_key(contract, key)?;
        self.row_to_edit(session, contract, &access, key).await?;
        let detail = json!({ "key": key, "from_version": version });
        let stamp = self.stamp(session, contract, "delete", reason, detail);
        let written = self.registers().delete(contract, key, version, stamp).await?;
        self.tell_of_rows(&contract.id, 1);
        Ok(written)
    }

    /// A row's versions, newest first, as far as the session's principal may see each of them.
    /// None where a part of the key is masked or hidden: who may not read keys could try them.
    pub async fn row_history(
        &self,
        session: &Session,
        contract: &Contract,
        access: &Access,
        key: &str,
    ) -> Result<Vec<RowChange>, CityError> {
        if !key_in_clear(contract, access) {
            return Ok(Vec::new());
        }
        let mut versions = self.registers().history(contract, &kept_key(contract, key)?).await?;
        versions.reverse();
        let mut shown = Vec::with_capacity(versions.len());
        // A version that is not for this reader leaves no trace; the first one of a list that was
        // cut has nothing to be compared with.
        let mut before: Option<BTreeMap<String, Value>> = None;
        for version in versions {
            let seen = match version.row {
                Some(row) => self.catalog().shown(session, contract, row).await?,
                None => Vec::new(),
            };
            let now = objects(&seen)?.pop().map(|values| told(contract, values));
            if now.is_none() && before.is_none() {
                continue;
            }
            let changes = differences(before.as_ref(), now.as_ref());
            let hidden = now.is_none() && version.kind != "deleted";
            if !hidden {
                shown.push(RowChange {
                    version: version.version,
                    at: version.at,
                    by: version.by,
                    reason: version.reason,
                    kind: version.kind,
                    changes,
                });
            }
            before = now;
        }
        shown.reverse();
        Ok(shown)
    }

    /// Whether this principal may do this to the register; a refusal is in the audit.
    async fn editable(
        &self,
        session: &Session,
        dataset: &str,
        verb: &str,
        reason: &str,
    ) -> Result<(&Contract, Access), CityError> {
        let (contract, access) = self.access_to(session, dataset).await?;
        if let Err(error) = self.may_edit(session, contract) {
            return Err(self.denied(session, contract, verb, error).await);
        }
        let chars = reason.trim().chars().count();
        if chars == 0 || chars > REASON_CHARS_MAX {
            let problem = format!("say why, in 1 to {REASON_CHARS_MAX} characters");
            return Err(CityError::Invalid(problem));
        }
        Ok((contract, access))
    }

    async fn denied(
        &self,
        session: &Session,
        contract: &Contract,
        verb: &str,
        error: CityError,
    ) -> CityError {
        let principal = &session.principal;
        let action = format!("register.{verb}");
        let event = Event::new(&principal.user, &principal.organisation, &action, &contract.id)
            .outcome(Outcome::Denied)
            .detail(json!({ "why": error.to_string() }));
        match self.audit().record(event).await {
            Ok(_) => error,
            Err(unaudited) => unaudited.into(),
        }
    }

    /// The row as it is kept, where the principal sees it and it lies in the principal's area.
    async fn row_to_edit(
        &self,
        session: &Session,
        contract: &Contract,
        access: &Access,
        key: &str,
    ) -> Result<RecordBatch, CityError> {
        let none = || no_row(contract, key);
        if !key_in_clear(contract, access) {
            return Err(none());
        }
        self.row_values(session, contract, access, key).await?;
        let (_, row) = self.registers().row(contract, key).await?.ok_or_else(none)?;
        self.own_area(session, contract, &row).await?;
        Ok(row)
    }

    async fn own_area(
        &self,
        session: &Session,
        contract: &Contract,
        row: &RecordBatch,
    ) -> Result<(), CityError> {
        let Some(field) = area_field(contract) else { return Ok(()) };
        let values = objects(std::slice::from_ref(row))?.pop().unwrap_or_default();
        if in_scope(session, values.get(&field.name).and_then(Value::as_str)) {
            return Ok(());
        }
        let reason = format!("the row's area is not among those of {}", session.principal.user);
        Err(self.denied(session, contract, "area", CityError::Refused(reason)).await)
    }

    /// The row read as import reads one, and fulfilling every rule.
    async fn parsed(
        &self,
        session: &Session,
        contract: &Contract,
        mut values: Map<String, Value>,
        fields: &Map<String, Value>,
    ) -> Result<RecordBatch, CityError> {
        for field in &contract.fields {
            values.entry(field.name.clone()).or_insert(Value::Null);
        }
        values.extend(fields.clone());
        let scratch = self.scratch()?;
        let file = scratch.path().join("edited");
        let text = format!("{}\n", Value::Object(values));
        fs::write(&file, text).map_err(|error| CityError::io(&file, error))?;
        let request = ImportRequest {
            dataset: contract.id.clone(),
            file,
            options: intake::Options {
                format: Some(Format::JsonLines),
                encoding: Some("utf-8".to_owned()),
                crs: Some(Crs::Wgs84),
                ..intake::Options::default()
            },
            user: session.principal.user.clone(),
        };
        let verified = self.verify_rows(&request, contract).await.map_err(|error| match error {
            // Of a value, not of who gave it.
            CityError::Refused(reason) => CityError::Invalid(reason),
            other => other,
        })?;
        let rows = arrow::compute::concat_batches(&contract.arrow_schema(), &verified.rows)?;
        match rows.num_rows() {
            1 => Ok(rows),
            found => Err(CityError::Invalid(format!("expected one row, found {found}"))),
        }
    }

    fn stamp(
        &self,
        session: &Session,
        contract: &Contract,
        verb: &str,
        reason: &str,
        mut detail: Value,
    ) -> Stamp {
        let principal = &session.principal;
        // Values stay in the register: the audit's readers need not be allowed to see them.
        detail["reason"] = json!(reason);
        let action = format!("register.{verb}");
        let event = Event::new(&principal.user, &principal.organisation, &action, &contract.id);
        Stamp {
            by: principal.user.clone(),
            reason: reason.trim().to_owned(),
            now: Utc::now(),
            event: Some(event.detail(detail)),
        }
    }
}

/// Fields that are there, plain to who writes them, and none of those that may not be written.
fn fields_known(
    contract: &Contract,
    access: &Access,
    fields: &Map<String, Value>,
    fixed: &[String],
) -> Result<(), CityError> {
    if fields.is_empty() {
        return Err(CityError::Invalid("name at least one field".to_owned()));
    }
    for name in fields.keys() {
        let shown = access.fields.iter().find(|(shown, _)| shown == name);
        match shown {
            None => {
                let reason = format!("{} has no field `{name}`", contract.id);
                return Err(CityError::Invalid(reason));
            }
            Some((_, Some(_))) => {
                let reason = format!("`{name}` is masked for you: who sees it may change it");
                return Err(CityError::Refused(reason));
            }
            Some((_, None)) => {}
        }
        if fixed.contains(name) {
            let reason = format!("`{name}` names the row: delete it and make another");
            return Err(CityError::Invalid(reason));
        }
    }
    Ok(())
}

/// The old row with the fields that were given: reading the others anew might round them.
fn merged(
    old: &RecordBatch,
    parsed: &RecordBatch,
    fields: &Map<String, Value>,
) -> Result<RecordBatch, CityError> {
    let schema = old.schema();
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| match fields.contains_key(field.name()) {
            true => parsed.column(index).clone(),
            false => old.column(index).clone(),
        })
        .collect();
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// The fields that differ. What comes to be and what ceases to be differs from nothing.
fn differences(
    before: Option<&BTreeMap<String, Value>>,
    now: Option<&BTreeMap<String, Value>>,
) -> Vec<(String, Value, Value)> {
    let none = BTreeMap::new();
    let (before, now) = (before.unwrap_or(&none), now.unwrap_or(&none));
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |values: &BTreeMap<String, Value>, name: &String| {
        values.get(name).cloned().unwrap_or(Value::Null)
    };
    names
        .into_iter()
        .map(|name| (name.clone(), of(before, name), of(now, name)))
        .filter(|(_, from, to)| from != to)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_of_values_not_of_presence() {
        let values = |pairs: &[(&str, Value)]| -> BTreeMap<String, Value> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let before = values(&[("a", json!(1)), ("b", json!("x")), ("c", Value::Null)]);
        let now = values(&[("a", json!(2)), ("b", json!("x"))]);
        let found = differences(Some(&before), Some(&now));
        assert_eq!(found, [("a".to_owned(), json!(1), json!(2))]);
        assert_eq!(differences(None, Some(&now)).len(), 2);
        assert_eq!(differences(Some(&now), None)[1].2, Value::Null);
    }
}
