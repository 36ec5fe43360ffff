//! Takes quarantined rows again after a person has corrected them, or closes them.
//!
//! A correction goes the way that the row came: its record, with the corrected cells, is read by
//! the same reader under the same mapping and checked by the same rules. A row that still does not
//! fit stays in quarantine, with the reason given to the person at once.

use std::fs;

use chrono::Utc;
use datafusion::prelude::{SessionContext, col, lit};
use intake::bounds::RAW_BYTES_MAX;
use intake::{Crs, Format};
use pack::{Contract, Shape, ValueSource};
use store::lake::Producer;

use crate::import::ImportRequest;
use crate::open::Work;
use crate::quarantine::{DISMISSED, OPEN, QUARANTINE, REPAIRED, Rejected, from_batch, to_batch};
use crate::take::Verified;
use crate::{City, CityError};

/// Separators that a record may have been cut by.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// The longest character in UTF-8.
const CHARACTER_BYTES_MAX: usize = 4;
/// Rows listed at once.
pub const LISTED_ROWS_MAX: usize = 10_000;

impl City {
    /// Rows that wait in quarantine, [`LISTED_ROWS_MAX`] at most. Ungoverned: for who owns the
    /// folder. People read `system.quarantine` in SQL, under its policy.
    pub async fn quarantined(&self, dataset: Option<&str>) -> Result<Vec<Rejected>, CityError> {
        let mut wanted = col("state").eq(lit(OPEN));
        if let Some(dataset) = dataset {
            wanted = wanted.and(col("dataset").eq(lit(self.contract(dataset)?.id.clone())));
        }
        self.quarantine_rows(wanted).await
    }

    async fn quarantine_rows(
        &self,
        wanted: datafusion::logical_expr::Expr,
    ) -> Result<Vec<Rejected>, CityError> {
        let table = self.raw_table(QUARANTINE, None).await?;
        let batches = SessionContext::new()
            .read_table(table)?
            .filter(wanted)?
            .sort(vec![
                col("file").sort(true, false),
                col("line").sort(true, false),
                col("id").sort(true, false),
            ])?
            .limit(0, Some(LISTED_ROWS_MAX))?
            .collect()
            .await?;
        let mut rows = Vec::new();
        for batch in &batches {
            rows.extend(from_batch(batch)?);
        }
        Ok(rows)
    }

    /// One quarantined row, whatever its state.
    pub async fn quarantined_row(&self, id: &str) -> Result<Rejected, CityError> {
        let rows = self.quarantine_rows(col("id").eq(lit(id))).await?;
        rows.into_iter()
            .next()
            .ok_or_else(|| CityError::Invalid(format!("no quarantined row {id}")))
    }

    /// Corrects cells of a row (`column` or `field` → text, in the forms that import reads) and
    /// takes it again.
    pub async fn repair(
        &self,
        id: &str,
        corrections: &[(String, String)],
        user: &str,
    ) -> Result<(), CityError> {
        // One at a time: of two corrections of one row the second is told that there was a first.
        let turn = self.turn(Work::Repair, QUARANTINE);
        let _turn = turn.lock().await;
        let row = self.open_row(id).await?;
        let contract = self.contract(&row.dataset)?.clone();
        self.refuse_doubling(&row, &contract)?;
        let scratch = self.scratch()?;
        let file = scratch.path().join("corrected");
        let (text, format) = corrected(&row, &contract, corrections)?;
        fs::write(&file, text).map_err(|error| CityError::io(&file, error))?;
        let request = ImportRequest {
            dataset: row.dataset.clone(),
            file,
            options: intake::Options {
                format: Some(format),
                encoding: Some("utf-8".to_owned()),
                crs: Some(crs(&row.crs)?),
                mapping: row.mapping.clone(),
                ..intake::Options::default()
            },
            user: user.to_owned(),
        };
        let Verified { rows } = self.verify_rows(&request, &contract).await?;
        drop(scratch);
        let producer = Producer { id: format!("repair/{id}"), seq: 0 };
        self.take_rows(&contract, rows, row.at, producer, user).await?;
        self.close_row(row, REPAIRED, describe(corrections), user).await
    }

    /// Closes a row that will not be corrected.
    pub async fn dismiss(&self, id: &str, reason: &str, user: &str) -> Result<(), CityError> {
        if reason.trim().is_empty() {
            return Err(CityError::Invalid("say why the row is dismissed".to_owned()));
        }
        let turn = self.turn(Work::Repair, QUARANTINE);
        let _turn = turn.lock().await;
        let row = self.open_row(id).await?;
        self.close_row(row, DISMISSED, reason.to_owned(), user).await
    }

    async fn open_row(&self, id: &str) -> Result<Rejected, CityError> {
        let row = self.quarantined_row(id).await?;
        match row.state == OPEN {
            true => Ok(row),
            false => Err(CityError::Refused(format!("row {id} is {} already", row.state))),
        }
    }

    async fn close_row(
        &self,
        row: Rejected,
        state: &str,
        remark: String,
        user: &str,
    ) -> Result<(), CityError> {
        let (id, dataset, owner) = (row.id.clone(), row.dataset.clone(), row.owner.clone());
        let closed = Rejected {
            state: state.to_owned(),
            remark: Some(remark),
            by: user.to_owned(),
            at: Utc::now(),
            ..row
        };
        self.append_waiting(QUARANTINE, to_batch(&[closed])?, None).await?;
        let event =
            catalog::audit::Event::new(user, &owner, &format!("quarantine.{state}"), &dataset)
                .detail(serde_json::json!({ "row": id }));
        self.audit().record(event).await?;
        Ok(())
    }

    /// A record that gives several rows can only be taken again where a key tells which of them
    /// are there already.
    fn refuse_doubling(&self, row: &Rejected, contract: &Contract) -> Result<(), CityError> {
        let mapping =
            self.pack().imports.iter().find(|mapping| Some(&mapping.id) == row.mapping.as_ref());
        let wide = mapping.is_some_and(|mapping| matches!(mapping.shape, Shape::Wide { .. }));
        match wide && contract.key.is_empty() {
            false => Ok(()),
            true => Err(CityError::Refused(format!(
                "a record of this file gives several rows and {} has no key to tell them by: mend \
                 the file and import it",
                contract.id
            ))),
        }
    }
}

/// One cell of a quarantined record, to be corrected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The file's column: what a correction names.
    pub column: String,
    /// The field that it fills as it stands.
    pub field: Option<String>,
    pub text: String,
}

impl City {
    /// The cells of a record that is kept in quarantine; none where it cannot be cut into them,
    /// so that it has to be mended in its file.
    pub fn cells(
        &self,
        dataset: &str,
        raw: &str,
        columns: &str,
        mapping: Option<&str>,
    ) -> Vec<Cell> {
        let Ok(contract) = self.contract(dataset) else { return Vec::new() };
        let mapping = self.pack().imports.iter().find(|known| Some(known.id.as_str()) == mapping);
        let filled = |column: &str| {
            let mapped = mapping.and_then(|mapping| {
                let of =
                    |source: &ValueSource| matches!(source, ValueSource::Column(c) if c == column);
                mapping.values.iter().find(|(_, source)| of(source)).map(|(field, _)| field.clone())
            });
            mapped.or_else(|| field_of(contract, column))
        };
        let cells = cut_up(raw, columns).unwrap_or_default();
        let cell = |(column, text): (String, String)| {
            let field = filled(&column);
            Cell { column, field, text }
        };
        cells.into_iter().map(cell).collect()
    }
}

/// Column and text of each cell.
fn cut_up(raw: &str, columns: &str) -> Option<Vec<(String, String)>> {
    if raw.trim_start().starts_with('{') {
        let mut object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(raw).ok()?;
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        };
        let cells = cells_of(&mut object);
        return Some(cells.iter().map(|(name, value)| (name.clone(), text(value))).collect());
    }
    if raw.len() + CHARACTER_BYTES_MAX > RAW_BYTES_MAX {
        return None;
    }
    let columns: Vec<String> = serde_json::from_str(columns).ok()?;
    let cells = cut(raw, columns.len())?;
    Some(columns.into_iter().zip(cells).collect())
}

/// The field that a column of this name fills.
fn field_of(contract: &Contract, column: &str) -> Option<String> {
    let column = column.trim();
    let named = |field: &&pack::Field| {
        let names = field.aliases.iter().chain([&field.name, &field.title.zh, &field.title.en]);
        names.into_iter().any(|name| name == column)
    };
    contract.fields.iter().find(named).map(|field| field.name.clone())
}

fn describe(corrections: &[(String, String)]) -> String {
    let names: Vec<&str> = corrections.iter().map(|(name, _)| name.as_str()).collect();
    format!("corrected: {}", names.join(", "))
}

fn crs(name: &str) -> Result<Crs, CityError> {
    serde_json::from_value(serde_json::Value::String(name.to_owned()))
        .map_err(|_| CityError::Invalid(format!("unknown coordinate system `{name}`")))
}

/// The row's record as a small file of its own, with the corrections in it.
fn corrected(
    row: &Rejected,
    contract: &Contract,
    corrections: &[(String, String)],
) -> Result<(Vec<u8>, Format), CityError> {
    match row.raw.trim_start().starts_with('{') {
        true => Ok((corrected_object(row, contract, corrections)?, Format::JsonLines)),
        false => Ok((corrected_record(row, contract, corrections)?, Format::Csv)),
    }
}

fn corrected_object(
    row: &Rejected,
    contract: &Contract,
    corrections: &[(String, String)],
) -> Result<Vec<u8>, CityError> {
    let unreadable =
        |error| CityError::Invalid(format!("row {} is no JSON object: {error}", row.id));
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&row.raw).map_err(unreadable)?;
    let cells = cells_of(&mut object);
    let keys: Vec<String> = cells.keys().cloned().collect();
    for (name, text) in corrections {
        let key = column_of(contract, &keys, name).map_or(name, |at| &keys[at]);
        cells.insert(key.clone(), serde_json::Value::String(text.clone()));
    }
    let mut bytes = serde_json::to_vec(&object).map_err(unreadable)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Where an object has its cells: a GeoJSON feature has them one floor down.
fn cells_of(
    object: &mut serde_json::Map<String, serde_json::Value>,
) -> &mut serde_json::Map<String, serde_json::Value> {
    let feature = object.get("type").is_some_and(|of| of == "Feature");
    match feature && object.get("properties").is_some_and(serde_json::Value::is_object) {
        true => object["properties"].as_object_mut().expect("it was asked"),
        false => object,
    }
}

fn corrected_record(
    row: &Rejected,
    contract: &Contract,
    corrections: &[(String, String)],
) -> Result<Vec<u8>, CityError> {
    let columns: Vec<String> = serde_json::from_str(&row.columns)
        .map_err(|error| CityError::Invalid(format!("row {} names no columns: {error}", row.id)))?;
    // The text kept of a long record is cut, up to a character short of the limit: its last cell
    // would be taken for the whole of it.
    if row.raw.len() + CHARACTER_BYTES_MAX > RAW_BYTES_MAX {
        return Err(CityError::Refused(format!(
            "row {} is longer than the {RAW_BYTES_MAX} bytes that are kept of it: mend the file \
             and import it again",
            row.id
        )));
    }
    let mut cells = cut(&row.raw, columns.len()).ok_or_else(|| {
        CityError::Refused(format!(
            "row {} has not {} cells: mend the file and import it again",
            row.id,
            columns.len()
        ))
    })?;
    for (name, text) in corrections {
        let at = column_of(contract, &columns, name).ok_or_else(|| {
            CityError::Invalid(format!("no column `{name}`; the file has {}", columns.join(", ")))
        })?;
        cells[at].clone_from(text);
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| CityError::Invalid(error.to_string());
    writer.write_record(&columns).map_err(failed)?;
    writer.write_record(&cells).map_err(failed)?;
    writer.into_inner().map_err(|error| CityError::Invalid(error.to_string()))
}

/// The file's column of that name, or else the one that fills the field of that name.
fn column_of(contract: &Contract, columns: &[String], name: &str) -> Option<usize> {
    let at = |wanted: &str| columns.iter().position(|column| column.trim() == wanted);
    let field = || {
        let field = contract.field(name)?;
        let names = field.aliases.iter().chain([&field.title.zh, &field.title.en]);
        names.into_iter().find_map(|alias| at(alias))
    };
    at(name).or_else(field)
}

fn cut(raw: &str, cells: usize) -> Option<Vec<String>> {
    SEPARATORS.iter().find_map(|separator| {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(*separator)
            .from_reader(raw.as_bytes());
        let record = reader.records().next()?.ok()?;
        (record.len() == cells).then(|| record.iter().map(str::to_owned).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(raw: &str, columns: &str) -> Rejected {
        Rejected {
            id: "f:7:0".into(),
            dataset: "air.pm25".into(),
            owner: "ecology".into(),
            file: "a.csv".into(),
            line: 7,
            field: None,
            reason: "type".into(),
            message: String::new(),
            raw: raw.into(),
            columns: columns.into(),
            mapping: None,
            crs: "wgs84".into(),
            state: OPEN.into(),
            remark: None,
            by: "operator".into(),
            at: Utc::now(),
        }
    }

    fn fix(row: &Rejected, name: &str, text: &str) -> Result<String, String> {
        let contract = crate::quarantine::contract("data");
        corrected(row, &contract, &[(name.into(), text.into())])
            .map(|(bytes, _)| String::from_utf8(bytes).unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_cell_of_a_record_is_replaced() {
        let row = row("草堂寺;\"a;b\";x", r#"["site","note","pm25"]"#);
        assert_eq!(fix(&row, "pm25", "12.5").unwrap(), "site,note,pm25\n草堂寺,a;b,12.5\n");
        let refusal = fix(&row, "pm10", "1").unwrap_err();
        assert!(refusal.contains("no column `pm10`") && refusal.contains("pm25"), "{refusal}");
    }

    #[test]
    fn a_field_finds_its_column_by_its_chinese_name() {
        let row = row("a.csv,x", r#"["文件","行号"]"#);
        assert_eq!(fix(&row, "line", "12").unwrap(), "文件,行号\na.csv,12\n");
    }

    #[test]
    fn a_field_of_an_object_is_replaced() {
        let row = row(r#"{"site":"草堂寺","pm25":-3}"#, "");
        let fixed = fix(&row, "pm25", "3").unwrap();
        assert!(fixed.ends_with("}\n"), "one line: {fixed:?}");
        let fixed: serde_json::Value = serde_json::from_str(&fixed).unwrap();
        assert_eq!(fixed, serde_json::json!({ "site": "草堂寺", "pm25": "3" }));
    }

    #[test]
    fn a_field_finds_its_key_in_an_object_and_in_a_feature() {
        let plain = row(r#"{"文件":"a.csv","行号":1}"#, "");
        assert_eq!(fix(&plain, "line", "12").unwrap(), "{\"文件\":\"a.csv\",\"行号\":\"12\"}\n");
        let feature = row(r#"{"properties":{"line":1},"type":"Feature"}"#, "");
        assert_eq!(
            fix(&feature, "line", "12").unwrap(),
            "{\"properties\":{\"line\":\"12\"},\"type\":\"Feature\"}\n"
        );
    }

    #[test]
    fn a_record_is_cut_into_cells_with_their_columns() {
        let cells = cut_up("草堂寺;\"a;b\";x", r#"["site","note","pm25"]"#).unwrap();
        assert_eq!(cells[1], ("note".to_owned(), "a;b".to_owned()));
        let cells = cut_up(r#"{"line":null,"raw":[1]}"#, "").unwrap();
        assert_eq!(cells, [("line".into(), String::new()), ("raw".into(), "[1]".into())]);
        assert_eq!(cut_up("a,b", r#"["x","y","z"]"#), None);
        let contract = crate::quarantine::contract("data");
        assert_eq!(field_of(&contract, "行号").as_deref(), Some("line"));
        assert_eq!(field_of(&contract, "nothing"), None);
    }

    #[test]
    fn a_record_of_which_only_a_part_is_kept_is_not_taken_for_whole() {
        for bytes in [RAW_BYTES_MAX, RAW_BYTES_MAX - 3] {
            let cut = format!("x,{}", "n".repeat(bytes - 2));
            let refusal = fix(&row(&cut, r#"["pm25","note"]"#), "pm25", "1").unwrap_err();
            assert!(refusal.contains("longer than"), "{refusal}");
        }
        let whole = format!("x,{}", "n".repeat(RAW_BYTES_MAX - 10));
        assert!(fix(&row(&whole, r#"["pm25","note"]"#), "pm25", "1").is_ok());
    }

    #[test]
    fn a_record_with_a_cell_too_few_cannot_be_corrected_by_cell() {
        let refusal = fix(&row("a,b", r#"["x","y","z"]"#), "x", "1").unwrap_err();
        assert!(refusal.contains("has not 3 cells"), "{refusal}");
    }
}
