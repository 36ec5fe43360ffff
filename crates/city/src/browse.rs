//! A register page by page, as people look through it: searched, narrowed to an area, sorted.
//!
//! It is governed SQL: who sees fewer rows counts fewer.

use std::collections::BTreeMap;

use catalog::Session;
use catalog::sql::Access;
use datafusion::common::ScalarValue;
use futures::TryStreamExt;
use pack::{Contract, DatasetKind, Field, FieldType};
use registry::Registers;

use crate::objects::{Values, area_field, objects, quoted, quoted_table};
use crate::{City, CityError};

/// Which rows.
#[derive(Debug, Clone, Default)]
pub struct RowsAsked {
    /// A part of any text, or of what a code is called.
    pub words: Option<String>,
    /// The beginning of the area's code.
    pub area: Option<String>,
    /// A field, after `-` for the largest first.
    pub sort: Option<String>,
    pub limit: usize,
    pub offset: usize,
}

/// A page of a register.
#[derive(Debug)]
pub struct RowsPage {
    pub rows: Vec<RegisterRow>,
    pub total: u64,
}

#[derive(Debug)]
pub struct RegisterRow {
    /// None where a part of the key is not for the reader to see.
    pub key: Option<String>,
    /// For rows that people edit.
    pub version: Option<i64>,
    /// Without geometry: a page is to be read, a map shows where.
    pub values: Values,
}

impl City {
    /// The registers that the session's principal may read, with the rows that it sees of each.
    pub async fn registers_of(
        &self,
        session: &Session,
    ) -> Result<Vec<(&Contract, Access, u64)>, CityError> {
        let mut found = Vec::new();
        for contract in self.pack().datasets.values() {
            if contract.kind != DatasetKind::Register || pack::platform::is_made(&contract.id) {
                continue;
            }
            let access = self.catalog().access(&session.principal, contract).await?;
            let Some(access) = access.filter(|access| access.min_cell.is_none()) else { continue };
            let count = self.count(session, contract, "true", &[]).await?;
            found.push((contract, access, count));
        }
        Ok(found)
    }

    /// A page of a register's rows.
    pub async fn register_rows(
        &self,
        session: &Session,
        dataset: &str,
        asked: &RowsAsked,
    ) -> Result<RowsPage, CityError> {
        let (contract, access) = self.access_to(session, dataset).await?;
        if contract.kind != DatasetKind::Register {
            return Err(CityError::NotFound(format!("{dataset} is no register")));
        }
        let (filter, params) = filter_of(contract, &access, asked)?;
        let total = self.count(session, contract, &filter, &params).await?;
        let columns: Vec<String> = access
            .fields
            .iter()
            .filter(|(name, _)| {
                contract.field(name).is_some_and(|field| field.ty != FieldType::Geometry)
            })
            .map(|(name, _)| quoted(name))
            .collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {filter} ORDER BY {} LIMIT {} OFFSET {}",
            columns.join(", "),
            quoted_table(dataset),
            order_of(contract, &access, asked.sort.as_deref())?,
            asked.limit,
            asked.offset
        );
        let answer = self.query(session, &sql, &params).await?;
        let batches: Vec<_> = answer.stream.try_collect().await?;
        let plain_key = contract.key.iter().all(|name| plain(&access, name));
        let mut rows = Vec::new();
        for batch in &batches {
            let keys = match plain_key {
                true => registry::registers::key_of(contract, batch)?,
                false => Vec::new(),
            };
            let values = objects(std::slice::from_ref(batch))?;
            for (at, values) in values.into_iter().enumerate() {
                rows.push(RegisterRow { key: keys.get(at).cloned(), version: None, values });
            }
        }
        self.add_versions(contract, &mut rows).await?;
        Ok(RowsPage { rows, total })
    }

    async fn add_versions(
        &self,
        contract: &Contract,
        rows: &mut [RegisterRow],
    ) -> Result<(), CityError> {
        if !Registers::keeps(contract) {
            return Ok(());
        }
        let keys: Vec<String> = rows.iter().filter_map(|row| row.key.clone()).collect();
        let versions: BTreeMap<String, i64> = self.registers().versions(contract, &keys).await?;
        for row in rows {
            row.version = row.key.as_ref().and_then(|key| versions.get(key).copied());
        }
        Ok(())
    }

    async fn count(
        &self,
        session: &Session,
        contract: &Contract,
        filter: &str,
        params: &[ScalarValue],
    ) -> Result<u64, CityError> {
        let table = quoted_table(&contract.id);
        let sql = format!("SELECT count(*) AS n FROM {table} WHERE {filter}");
        let answer = self.query(session, &sql, params).await?;
        let batches: Vec<_> = answer.stream.try_collect().await?;
        let rows = objects(&batches)?;
        let count = rows.first().and_then(|row| row.get("n")).and_then(serde_json::Value::as_u64);
        count.ok_or_else(|| CityError::Invalid("the rows could not be counted".to_owned()))
    }
}

fn plain(access: &Access, name: &str) -> bool {
    access.fields.iter().any(|(shown, mask)| shown == name && mask.is_none())
}

fn filter_of(
    contract: &Contract,
    access: &Access,
    asked: &RowsAsked,
) -> Result<(String, Vec<ScalarValue>), CityError> {
    let mut conditions = Vec::new();
    let mut params = Vec::new();
    if let Some(prefix) = asked.area.as_deref().filter(|prefix| !prefix.is_empty()) {
        let field = area_field(contract).filter(|field| plain(access, &field.name));
        let field = field.ok_or_else(|| {
            CityError::Invalid(format!("the rows of {} have no area to go by", contract.id))
        })?;
        if !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CityError::Invalid("an area is named by digits".to_owned()));
        }
        params.push(ScalarValue::Utf8(Some(prefix.to_owned())));
        conditions.push(format!("starts_with({}, ${})", quoted(&field.name), params.len()));
    }
    if let Some(words) = asked.words.as_deref().map(str::trim).filter(|words| !words.is_empty()) {
        let words = words.to_lowercase();
        params.push(ScalarValue::Utf8(Some(words.clone())));
        let nth = params.len();
        let searched = contract
            .fields
            .iter()
            .filter(|field| field.ty.arrow() == FieldType::Text.arrow())
            .filter(|field| plain(access, &field.name));
        let mut texts = Vec::new();
        for field in searched {
            let name = quoted(&field.name);
            texts.push(format!("strpos(lower({name}), ${nth}) > 0"));
            let called = codes_called(field, &words).map(|code| {
                params.push(ScalarValue::Utf8(Some(code.to_owned())));
                format!("${}", params.len())
            });
            let called: Vec<String> = called.collect();
            if !called.is_empty() {
                texts.push(format!("{name} IN ({})", called.join(", ")));
            }
        }
        if texts.is_empty() {
            return Err(CityError::Invalid(format!("{} has no texts to search", contract.id)));
        }
        conditions.push(format!("({})", texts.join(" OR ")));
    }
    if conditions.is_empty() {
        conditions.push("true".to_owned());
    }
    Ok((conditions.join(" AND "), params))
}

/// The codes with these words, in small letters, in what they are called: that is what people see.
fn codes_called<'a>(field: &'a Field, words: &'a str) -> impl Iterator<Item = &'a str> {
    let says = move |text: &String| text.to_lowercase().contains(words);
    let called = field.labels.iter().filter(move |(_, label)| says(&label.zh) || says(&label.en));
    called.map(|(code, _)| code.as_str())
}

/// The order asked for and, behind it, the key: pages must not overlap.
fn order_of(contract: &Contract, access: &Access, sort: Option<&str>) -> Result<String, CityError> {
    let mut terms = Vec::new();
    if let Some(sort) = sort.filter(|sort| !sort.is_empty()) {
        let (name, way) = match sort.strip_prefix('-') {
            Some(name) => (name, "DESC"),
            None => (sort, "ASC"),
        };
        let sortable = contract.field(name).is_some_and(|field| field.ty != FieldType::Geometry);
        if !sortable || !access.fields.iter().any(|(shown, _)| shown == name) {
            let reason = format!("{} cannot be sorted by `{name}`", contract.id);
            return Err(CityError::Invalid(reason));
        }
        terms.push(format!("{} {way} NULLS LAST", quoted(name)));
    }
    let keys = contract.key.iter().filter(|key| access.fields.iter().any(|(name, _)| name == *key));
    terms.extend(keys.map(|key| quoted(key)));
    if terms.is_empty() {
        terms.push("1".to_owned());
    }
    Ok(terms.join(", "))
}

#[cfg(test)]
mod tests {
    use pack::Mask;

    use super::*;

    fn access(fields: &[(&str, Option<Mask>)]) -> Access {
        Access {
            row_filter: None,
            fields: fields.iter().map(|(name, mask)| ((*name).to_owned(), mask.clone())).collect(),
            min_cell: None,
            by: "test".into(),
        }
    }

    #[test]
    fn what_is_asked_goes_in_as_parameters_over_plain_fields() {
        let contract = crate::quarantine::contract("data");
        let shown = access(&[("id", None), ("file", None), ("raw", Some(Mask::Redact))]);
        let words = Some("' OR 1=1".to_owned());
        let asked = RowsAsked { words, ..RowsAsked::default() };
        let (sql, params) = filter_of(&contract, &shown, &asked).unwrap();
        assert_eq!(sql, "(strpos(lower(\"id\"), $1) > 0 OR strpos(lower(\"file\"), $1) > 0)");
        assert_eq!(params, [ScalarValue::Utf8(Some("' or 1=1".into()))]);
        let asked = RowsAsked { area: Some("51".into()), ..RowsAsked::default() };
        assert!(filter_of(&contract, &shown, &asked).is_err(), "there is no area in it");
    }

    #[test]
    fn a_code_is_found_by_what_it_is_called() {
        let contract = crate::quarantine::contract("data");
        let asked = |words: &str, mask| {
            let asked = RowsAsked { words: Some(words.into()), ..RowsAsked::default() };
            filter_of(&contract, &access(&[("id", None), ("state", mask)]), &asked).unwrap()
        };
        let texts = "strpos(lower(\"id\"), $1) > 0 OR strpos(lower(\"state\"), $1) > 0";
        for words in ["待处", "HANDLED"] {
            let (sql, params) = asked(words, None);
            assert_eq!(sql, format!("({texts} OR \"state\" IN ($2))"));
            assert_eq!(params[1], ScalarValue::Utf8(Some("open".into())));
        }
        assert_eq!(asked("修理", None).0, format!("({texts})"));
        let (sql, params) = asked("待处", Some(Mask::Redact));
        assert_eq!((sql.as_str(), params.len()), ("(strpos(lower(\"id\"), $1) > 0)", 1));
    }

    #[test]
    fn the_key_breaks_every_tie() {
        let contract = crate::quarantine::contract("data");
        let shown = access(&[("id", None), ("line", None)]);
        assert_eq!(order_of(&contract, &shown, None).unwrap(), "\"id\"");
        let order = order_of(&contract, &shown, Some("-line")).unwrap();
        assert_eq!(order, "\"line\" DESC NULLS LAST, \"id\"");
        for wrong in ["raw", "no_such", "line; DROP"] {
            assert!(order_of(&contract, &shown, Some(wrong)).is_err(), "{wrong}");
        }
    }
}
