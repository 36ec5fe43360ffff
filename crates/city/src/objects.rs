//! One row of one dataset as a thing to look at: a school, a sensor, a ticket.
//!
//! The row is read by governed SQL, so it has what its reader may see of it and nothing else. What
//! it points at — its area, its organisation — is found by the types of its fields.

use std::collections::BTreeMap;

use catalog::Session;
use catalog::sql::Access;
use datafusion::common::ScalarValue;
use futures::TryStreamExt;
use pack::access::{Action, Thing};
use pack::{Contract, Field, FieldType, Mask, Text};
use registry::Registers;
use serde_json::{Map, Value};

use crate::{City, CityError, RowChange};

/// Datasets that are tried for what an area code points at.
const AREA_DATASETS_MAX: usize = 8;

/// A row as its reader may see it.
#[derive(Debug)]
pub struct Object {
    pub dataset: String,
    pub title: Text,
    pub key: String,
    pub name: String,
    pub fields: Vec<FieldOf>,
    /// GeoJSON.
    pub geometry: Option<Value>,
    /// For a row of a register.
    pub version: Option<i64>,
    pub editable: bool,
    pub history: Vec<RowChange>,
    pub links: Vec<Link>,
}

#[derive(Debug)]
pub struct FieldOf {
    pub field: Field,
    pub value: Value,
    pub mask: Option<Mask>,
}

/// Another thing that this one points at.
#[derive(Debug, Clone)]
pub struct Link {
    /// The field that points.
    pub title: Text,
    pub dataset: String,
    pub key: String,
    pub name: String,
}

/// A row's values by field; geometry is left as hexadecimal WKB.
pub(crate) type Values = Map<String, Value>;

impl City {
    /// What the session's principal sees of a dataset. Where that is nothing, the dataset is not
    /// there.
    pub async fn access_to(
        &self,
        session: &Session,
        dataset: &str,
    ) -> Result<(&Contract, Access), CityError> {
        let unknown = || CityError::NotFound(format!("there is no dataset `{dataset}`"));
        let contract = self.pack().datasets.get(dataset).ok_or_else(unknown)?;
        let access = self.catalog().access(&session.principal, contract).await?;
        Ok((contract, access.ok_or_else(unknown)?))
    }

    /// One row with all that belongs to it.
    pub async fn object(
        &self,
        session: &Session,
        dataset: &str,
        key: &str,
    ) -> Result<Object, CityError> {
        let (contract, access) = self.access_to(session, dataset).await?;
        let key = &kept_key(contract, key)?;
        let mut values = self.row_values(session, contract, &access, key).await?;
        let geometry = contract.geometry.as_ref().and_then(|name| values.remove(name));
        let geometry = geometry.as_ref().and_then(Value::as_str).and_then(from_hex);
        let links = self.links(session, contract, &values).await?;
        let name = name_of(contract, &values).unwrap_or_else(|| key.to_owned());
        let kept = Registers::keeps(contract) && key_in_clear(contract, &access);
        let version = match kept && session.as_of.is_none() {
            true => self.registers().row(contract, key).await?.map(|(version, _)| version),
            false => None,
        };
        let history = match version {
            Some(_) => self.row_history(session, contract, &access, key).await?,
            None => Vec::new(),
        };
        let area = area_field(contract).and_then(|field| values.get(&field.name));
        let editable = version.is_some()
            && self.may_edit(session, contract).is_ok()
            && in_scope(session, area.and_then(Value::as_str));
        let shown = access.fields.iter().filter_map(|(name, mask)| {
            let field = contract.field(name)?.clone();
            let value = values.remove(name).unwrap_or(Value::Null);
            (field.ty != FieldType::Geometry).then(|| FieldOf { field, value, mask: mask.clone() })
        });
        Ok(Object {
            dataset: contract.id.clone(),
            title: contract.title.clone(),
            key: key.to_owned(),
            name,
            fields: shown.collect(),
            geometry,
            version,
            editable,
            history,
            links,
        })
    }

    /// The row of a key, by governed SQL.
    pub(crate) async fn row_values(
        &self,
        session: &Session,
        contract: &Contract,
        access: &Access,
        key: &str,
    ) -> Result<Values, CityError> {
        let none = || no_row(contract, key);
        let (filter, params) = key_filter(contract, access, key).ok_or_else(none)?;
        let columns: Vec<String> = access.fields.iter().map(|(name, _)| quoted(name)).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {filter} LIMIT 1",
            columns.join(", "),
            quoted_table(&contract.id)
        );
        let answer = self.query(session, &sql, &params).await?;
        let rows: Vec<_> = answer.stream.try_collect().await?;
        objects(&rows)?.into_iter().next().ok_or_else(none)
    }

    /// Where the row's area and organisations lead, as far as the reader may go there.
    async fn links(
        &self,
        session: &Session,
        contract: &Contract,
        values: &Values,
    ) -> Result<Vec<Link>, CityError> {
        let mut links = Vec::new();
        for field in &contract.fields {
            let target = match field.ty {
                FieldType::AreaCode => FieldType::AreaCode,
                FieldType::OrganisationId => FieldType::OrganisationId,
                _ => continue,
            };
            let Some(value) = values.get(&field.name).and_then(Value::as_str) else { continue };
            let its_own_key = contract.key.len() == 1 && contract.key[0] == field.name;
            if its_own_key {
                continue;
            }
            let found = self.pointed_at(session, target, value).await?;
            links.extend(found.map(|(dataset, name)| Link {
                title: field.title.clone(),
                dataset,
                key: pack::keys::join(&[value]),
                name,
            }));
        }
        Ok(links)
    }

    /// The dataset, keyed by this type alone, that has a row of this value, and its name.
    async fn pointed_at(
        &self,
        session: &Session,
        ty: FieldType,
        value: &str,
    ) -> Result<Option<(String, String)>, CityError> {
        let keyed = |contract: &&Contract| {
            let [key] = contract.key.as_slice() else { return false };
            contract.field(key).is_some_and(|field| field.ty == ty)
        };
        let candidates: Vec<&Contract> =
            self.pack().datasets.values().filter(keyed).take(AREA_DATASETS_MAX).collect();
        for contract in candidates {
            let Some(access) = self.catalog().access(&session.principal, contract).await? else {
                continue;
            };
            let key = pack::keys::join(&[value]);
            match self.row_values(session, contract, &access, &key).await {
                Ok(values) => {
                    let name = name_of(contract, &values).unwrap_or_else(|| value.to_owned());
                    return Ok(Some((contract.id.clone(), name)));
                }
                // Not there, or not for this reader: the next one may have it.
                Err(CityError::NotFound(_) | CityError::Sql(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether the principal edits this register at all.
    pub fn may_edit(&self, session: &Session, contract: &Contract) -> Result<(), CityError> {
        let principal = &session.principal;
        let asker = self.catalog().asker(principal);
        if !Registers::keeps(contract) {
            let reason = format!("{} is no register that people edit", contract.id);
            return Err(CityError::Refused(reason));
        }
        if !asker.may(Action::RegistersChange, Thing::Dataset(contract)) {
            let reason = format!(
                "{} is kept by {}: {} may not change it",
                contract.id, contract.owner, principal.user
            );
            return Err(CityError::Refused(reason));
        }
        Ok(())
    }
}

/// The field that says where a row is.
pub fn area_field(contract: &Contract) -> Option<&Field> {
    contract.fields.iter().find(|field| field.ty == FieldType::AreaCode)
}

/// Whether a row of this area is in the principal's scope. A row without an area is anybody's.
pub(crate) fn in_scope(session: &Session, area: Option<&str>) -> bool {
    let prefixes = &session.principal.area_prefixes;
    area.is_none_or(|area| prefixes.iter().any(|prefix| area.starts_with(prefix.as_str())))
}

/// The field that people call a row by. A title that is one of a few codes is not the row's own.
pub fn name_field(contract: &Contract) -> Option<&Field> {
    const NAMES: [&str; 2] = ["name", "title"];
    NAMES.iter().find_map(|name| contract.field(name).filter(|field| field.codes.is_empty()))
}

fn name_of(contract: &Contract, values: &Values) -> Option<String> {
    let value = values.get(&name_field(contract)?.name)?;
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A key as rows are kept under it, however it was written.
pub(crate) fn kept_key(contract: &Contract, key: &str) -> Result<String, CityError> {
    let values = pack::keys::split(key, contract.key.len());
    Ok(pack::keys::join(&values.ok_or_else(|| no_row(contract, key))?))
}

pub(crate) fn no_row(contract: &Contract, key: &str) -> CityError {
    CityError::NotFound(format!("{} has no row `{key}`", contract.id))
}

/// Whether the reader sees each field of the key as it is stored. Who does not must not learn from
/// what is kept under a key that somebody has guessed.
pub(crate) fn key_in_clear(contract: &Contract, access: &Access) -> bool {
    let clear =
        |name: &String| access.fields.iter().any(|(shown, mask)| shown == name && mask.is_none());
    contract.key.iter().all(clear)
}

/// A condition for one row, and its parameters. None where the key cannot be one of this dataset,
/// or a part of it is not for the reader to know.
fn key_filter(
    contract: &Contract,
    access: &Access,
    key: &str,
) -> Option<(String, Vec<ScalarValue>)> {
    let values = pack::keys::split(key, contract.key.len())?;
    let mut conditions = Vec::with_capacity(values.len());
    let mut params = Vec::with_capacity(values.len());
    for (name, text) in contract.key.iter().zip(values) {
        let mask = &access.fields.iter().find(|(shown, _)| shown == name)?.1;
        // A masked key is a text whatever it was: a token can be followed, not turned back.
        let ty = match mask {
            None => contract.field(name)?.ty.arrow(),
            Some(_) => FieldType::Text.arrow(),
        };
        params.push(ScalarValue::try_from_string(text, &ty).ok()?);
        conditions.push(format!("{} = ${}", quoted(name), params.len()));
    }
    Some((conditions.join(" AND "), params))
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn quoted_table(dataset: &str) -> String {
    dataset.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

/// Rows as JSON objects, empty fields and all.
pub(crate) fn objects(rows: &[arrow::record_batch::RecordBatch]) -> Result<Vec<Values>, CityError> {
    let mut writer = arrow::json::writer::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::JsonArray>(Vec::new());
    writer.write_batches(&rows.iter().collect::<Vec<_>>())?;
    writer.finish()?;
    let text = writer.into_inner();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let unreadable = |error: serde_json::Error| CityError::Invalid(error.to_string());
    serde_json::from_slice(&text).map_err(unreadable)
}

/// GeoJSON of hexadecimal WKB, to seven decimals of a degree: a centimetre.
pub(crate) fn from_hex(hex: &str) -> Option<Value> {
    const DECIMALS: f64 = 1e7;
    let bytes: Option<Vec<u8>> = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let rounded = |degrees: f64| (degrees * DECIMALS).round() / DECIMALS;
    let mut text = String::new();
    let turn = |lon: f64, lat: f64| (rounded(lon), rounded(lat));
    spatial::geojson(&bytes?, &turn, &mut text).then(|| serde_json::from_str(&text).ok())?
}

/// Values by field, as they are told of changes: geometry as GeoJSON.
pub(crate) fn told(contract: &Contract, mut values: Values) -> BTreeMap<String, Value> {
    for field in contract.fields.iter().filter(|field| field.ty == FieldType::Geometry) {
        if let Some(value) = values.get_mut(&field.name) {
            *value = value.as_str().and_then(from_hex).unwrap_or(Value::Null);
        }
    }
    values.into_iter().collect()
}

#[cfg(test)]
mod tests {
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
    fn a_key_becomes_a_condition_of_the_fields_types() {
        let contract = crate::quarantine::contract("data");
        let shown = access(&[("id", None)]);
        let (sql, params) = key_filter(&contract, &shown, "a%7Eb").unwrap();
        assert_eq!(sql, "\"id\" = $1");
        assert_eq!(params, [ScalarValue::Utf8(Some("a~b".into()))]);
        assert!(key_filter(&contract, &access(&[]), "a").is_none(), "a hidden key finds nothing");
        let mut two = contract.clone();
        two.key = vec!["line".into(), "handled_at".into()];
        let shown = access(&[("line", None), ("handled_at", None)]);
        let (_, params) = key_filter(&two, &shown, "7~2024-01-31T16:00:00Z").unwrap();
        assert_eq!(params[0], ScalarValue::Int64(Some(7)));
        assert!(key_filter(&two, &shown, "x~2024-01-31T16:00:00Z").is_none());
        assert!(key_filter(&two, &shown, "7").is_none());
    }

    #[test]
    fn a_key_is_kept_in_one_way() {
        let contract = crate::quarantine::contract("data");
        for written in ["1号线:a@(b)", "1%E5%8F%B7%E7%BA%BF%3Aa%40%28b%29"] {
            assert_eq!(kept_key(&contract, written).unwrap(), "1号线:a@(b)");
        }
        assert_eq!(kept_key(&contract, "a~b/c").unwrap(), "a%7Eb%2Fc");
        assert!(matches!(kept_key(&contract, "a%"), Err(CityError::NotFound(_))));
    }

    #[test]
    fn a_key_is_in_the_clear_where_all_of_it_is_seen_as_stored() {
        let mut contract = crate::quarantine::contract("data");
        contract.key = vec!["line".into(), "handled_at".into()];
        let clear = |fields: &[(&str, Option<Mask>)]| key_in_clear(&contract, &access(fields));
        assert!(clear(&[("line", None), ("reason", Some(Mask::Redact)), ("handled_at", None)]));
        assert!(!clear(&[("line", None), ("handled_at", Some(Mask::Redact))]), "masked");
        assert!(!clear(&[("line", None)]), "hidden");
    }

    #[test]
    fn geometries_are_read_with_heights_and_without() {
        let hex = |parts: &[&[u8]]| -> String {
            parts.concat().iter().map(|byte| format!("{byte:02X}")).collect()
        };
        let place = [104.065_123_456_f64.to_le_bytes(), 30.657_f64.to_le_bytes()].concat();
        let expected = serde_json::json!({ "type": "Point", "coordinates": [104.0651235, 30.657] });
        let flat = hex(&[&[1, 1, 0, 0, 0], &place]);
        assert_eq!(from_hex(&flat), Some(expected.clone()));
        // As PostGIS writes it: a height, and the coordinate system beside the kind.
        let srid = 4490_u32.to_le_bytes();
        let high = hex(&[&[1, 1, 0, 0, 0xA0], &srid, &place, &500_f64.to_le_bytes()]);
        assert_eq!(from_hex(&high), Some(expected));
        assert_eq!(from_hex(&flat[..flat.len() - 2]), None, "cut off");
        assert_eq!(from_hex("0x"), None);
    }

    #[test]
    fn names_in_sql_are_quoted() {
        assert_eq!(quoted_table("place.facility"), "\"place\".\"facility\"");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
