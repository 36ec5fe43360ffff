//! Reads features for a page: which ones by the index where it can tell, by SQL where it cannot;
//! and their values always by governed SQL.
//!
//! | asked | found by |
//! |---|---|
//! | everything, or a box | the packed features: no row is read to be left out |
//! | values of fields, a time | SQL with the filter, in the key's order |

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use catalog::{Session, Sight};
use chrono::{DateTime, Utc};
use city::Shown;
use datafusion::common::ScalarValue;
use futures::TryStreamExt;
use pack::{Contract, FieldType};
use spatial::Value;

use super::crs::Crs;
use super::query::{Box4, ItemsQuery};
use crate::fault::{Code, Fault};
use crate::http::Http;

/// Features of a page, each as the text of a GeoJSON feature.
#[derive(Debug, Default)]
pub struct Page {
    pub features: Vec<String>,
    /// How many there are on all pages.
    pub matched: usize,
}

/// What is read from: a dataset as a session sees it.
pub struct Reading<'a> {
    pub http: &'a Http,
    pub session: Session,
    pub contract: &'a Contract,
    pub sight: &'a Sight,
    pub crs: Crs,
}

/// A row as a feature, and its key's parts.
struct Row {
    key: Vec<String>,
    feature: String,
}

impl Reading<'_> {
    /// Whether rows can be told apart by what is seen of their key.
    pub fn keyed(&self) -> bool {
        let natural = |name: &String| {
            let ty = self.contract.field(name).map(|field| field.ty);
            let plain = matches!(
                ty,
                Some(
                    FieldType::Text
                        | FieldType::Integer
                        | FieldType::AreaCode
                        | FieldType::OrganisationId
                )
            );
            plain && self.sight.shows(name)
        };
        !self.contract.key.is_empty() && self.contract.key.iter().all(natural)
    }

    pub async fn page(
        &self,
        query: &ItemsQuery,
        packed: Option<Arc<Shown>>,
    ) -> Result<Page, Fault> {
        let timed = query.datetime.is_some() && self.contract.time.is_some();
        match packed.filter(|_| query.filters.is_empty() && !timed && self.keyed()) {
            // Rows without a place are not in the index; a box does not want them.
            Some(shown)
                if query.bbox.is_some()
                    || shown.layer.without() + shown.layer.unreadable() == 0 =>
            {
                self.by_index(query, &shown).await
            }
            _ => self.by_sql(query).await,
        }
    }

    async fn by_index(&self, query: &ItemsQuery, shown: &Arc<Shown>) -> Result<Page, Fault> {
        let (matched, page): (usize, Vec<u32>) = match query.bbox {
            Some(wanted) => {
                let shown = shown.clone();
                let search = move || shown.layer.within(&wanted.rect());
                let found = self.http.maps.drawn(search).await?;
                (found.len(), found.into_iter().skip(query.offset).take(query.limit).collect())
            }
            None => {
                let matched = shown.layer.len();
                let all = 0..u32::try_from(matched).unwrap_or(u32::MAX);
                (matched, all.skip(query.offset).take(query.limit).collect())
            }
        };
        let wanted: Vec<Vec<String>> =
            page.into_iter().map(|feature| key_of(shown, feature)).collect();
        if wanted.is_empty() {
            return Ok(Page { features: Vec::new(), matched });
        }
        let (condition, parameters) = self.any_of(&wanted)?;
        let sql = format!("{} WHERE {condition}", self.select());
        let rows = self.rows(&sql, &parameters).await?;
        let mut by_key: HashMap<Vec<String>, String> =
            rows.into_iter().map(|row| (row.key, row.feature)).collect();
        // A row that went away since the features were packed is not on the page.
        let features = wanted.iter().filter_map(|key| by_key.remove(key)).collect();
        Ok(Page { features, matched })
    }

    /// The condition that a row's key is one of these, or nearly: of a key of several fields, each
    /// field is one of its values.
    fn any_of(&self, wanted: &[Vec<String>]) -> Result<(String, Vec<ScalarValue>), Fault> {
        let mut parameters = Vec::new();
        let mut conditions = Vec::new();
        for (at, name) in self.contract.key.iter().enumerate() {
            let mut values: Vec<&String> = wanted.iter().filter_map(|key| key.get(at)).collect();
            values.sort_unstable();
            values.dedup();
            let mut places = Vec::with_capacity(values.len());
            for value in values {
                parameters.push(self.key_literal(name, value)?);
                places.push(format!("${}", parameters.len()));
            }
            conditions.push(format!("\"{name}\" IN ({})", places.join(", ")));
        }
        Ok((conditions.join(" AND "), parameters))
    }

    fn key_literal(&self, name: &str, value: &str) -> Result<ScalarValue, Fault> {
        let integer = self.contract.field(name).is_some_and(|f| f.ty == FieldType::Integer);
        // A masked integer is text already, and what is no integer is no key.
        match (integer, value.parse::<i64>()) {
            (true, Ok(number)) => Ok(ScalarValue::Int64(Some(number))),
            (true, Err(_)) => Err(Fault::new(Code::NotFound, "there is no such feature")),
            (false, _) => Ok(ScalarValue::Utf8(Some(value.to_owned()))),
        }
    }

    /// The feature with a key.
    pub async fn one(&self, key: &[String]) -> Result<Option<String>, Fault> {
        if key.len() != self.contract.key.len() || !self.keyed() {
            return Ok(None);
        }
        let mut conditions = Vec::new();
        let mut parameters = Vec::new();
        for (name, value) in self.contract.key.iter().zip(key) {
            parameters.push(self.key_literal(name, value)?);
            conditions.push(format!("\"{name}\" = ${}", parameters.len()));
        }
        let sql = format!("{} WHERE {} LIMIT 1", self.select(), conditions.join(" AND "));
        Ok(self.rows(&sql, &parameters).await?.pop().map(|row| row.feature))
    }

    async fn by_sql(&self, query: &ItemsQuery) -> Result<Page, Fault> {
        let (condition, parameters) = self.condition(query);
        let (schema, table) = self.contract.id.split_once('.').unwrap_or_default();
        let count = format!("SELECT count(*) FROM \"{schema}\".\"{table}\"{condition}");
        let answer = self.http.city.query(&self.session, &count, &parameters).await?;
        let counted = answer.collect().await?;
        let counted = counted.iter().find(|batch| batch.num_rows() > 0);
        let matched = counted.map_or(0, |batch| {
            let count = batch.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0);
            usize::try_from(count).unwrap_or(0)
        });
        if query.offset >= matched {
            return Ok(Page { features: Vec::new(), matched });
        }
        // Where the key is not seen, rows that are alike in all that is seen are in any order.
        let order: Vec<String> = match self.keyed() {
            true => self.contract.key.iter().map(|name| format!("\"{name}\"")).collect(),
            false => self.properties().map(|name| format!("\"{name}\"")).collect(),
        };
        let order = match order.is_empty() {
            true => String::new(),
            false => format!(" ORDER BY {}", order.join(", ")),
        };
        let sql = format!(
            "{}{condition}{order} LIMIT {} OFFSET {}",
            self.select(),
            query.limit,
            query.offset
        );
        let rows = self.rows(&sql, &parameters).await?;
        Ok(Page { features: rows.into_iter().map(|row| row.feature).collect(), matched })
    }

    fn condition(&self, query: &ItemsQuery) -> (String, Vec<ScalarValue>) {
        let mut parameters = Vec::new();
        let mut conditions = Vec::new();
        for (name, value) in &query.filters {
            parameters.push(value.clone());
            conditions.push(format!("\"{name}\" = ${}", parameters.len()));
        }
        let time = self.contract.time.as_ref().filter(|name| self.sight.shows(name));
        if let (Some((from, to)), Some(name)) = (query.datetime, time) {
            let date = self.contract.field(name).is_some_and(|f| f.ty == FieldType::Date);
            for (moment, sign) in [(from, ">="), (to, "<=")] {
                let Some(moment) = moment else { continue };
                parameters.push(time_literal(moment, date));
                conditions.push(format!("\"{name}\" {sign} ${}", parameters.len()));
            }
        }
        if let (Some(wanted), Some(geometry)) = (query.bbox, &self.contract.geometry) {
            conditions.push(intersects(geometry, wanted));
        }
        match conditions.is_empty() {
            true => (String::new(), parameters),
            false => (format!(" WHERE {}", conditions.join(" AND ")), parameters),
        }
    }

    fn properties(&self) -> impl Iterator<Item = &String> {
        let geometry = self.contract.geometry.as_ref();
        let fields = self.sight.fields.iter().map(|(name, _)| name);
        fields.filter(move |name| Some(*name) != geometry)
    }

    fn select(&self) -> String {
        let (schema, table) = self.contract.id.split_once('.').unwrap_or_default();
        let geometry = self.contract.geometry.iter();
        let columns: Vec<String> =
            self.properties().chain(geometry).map(|name| format!("\"{name}\"")).collect();
        format!("SELECT {} FROM \"{schema}\".\"{table}\"", columns.join(", "))
    }

    async fn rows(&self, sql: &str, parameters: &[ScalarValue]) -> Result<Vec<Row>, Fault> {
        let mut answer = self.http.city.query(&self.session, sql, parameters).await?;
        let mut rows = Vec::new();
        while let Some(batch) = answer.stream.try_next().await? {
            self.read(&batch, &mut rows)?;
        }
        Ok(rows)
    }

    fn read(&self, batch: &RecordBatch, into: &mut Vec<Row>) -> Result<(), Fault> {
        let Some(last) = batch.num_columns().checked_sub(1) else { return Ok(()) };
        let places = wkb_of(batch.column(last))?;
        let shown: Vec<usize> = (0..last).collect();
        let properties = batch.project(&shown).map_err(Fault::internal)?;
        let lines = lines(&properties)?;
        let key_columns: Option<Vec<&ArrayRef>> =
            self.contract.key.iter().map(|name| batch.column_by_name(name)).collect();
        let turn = |lon: f64, lat: f64| self.crs.to(lon, lat);
        for row in 0..batch.num_rows() {
            let key: Vec<String> = key_columns
                .iter()
                .flatten()
                .map(|column| array_value_to_string(column, row).map_err(Fault::internal))
                .collect::<Result<_, _>>()?;
            let mut feature = String::from("{\"type\":\"Feature\",");
            if self.keyed() {
                feature.push_str(&format!("\"id\":{},", self.id(&key)));
            }
            feature.push_str("\"geometry\":");
            let before = feature.len();
            let drawn = places(row).is_some_and(|wkb| spatial::geojson(wkb, &turn, &mut feature));
            if !drawn {
                feature.truncate(before);
                feature.push_str("null");
            }
            let line = lines.get(row).map_or("{}", String::as_str);
            feature.push_str(&format!(",\"properties\":{line}}}"));
            into.push(Row { key, feature });
        }
        Ok(())
    }

    /// One integer is written as it is, any other key as one text.
    fn id(&self, key: &[String]) -> String {
        if let [only] = key
            && let Ok(number) = only.parse::<i64>()
            && self.contract.field(&self.contract.key[0]).map(|f| f.ty) == Some(FieldType::Integer)
        {
            return number.to_string();
        }
        serde_json::Value::String(pack::keys::join(key)).to_string()
    }
}

fn key_of(shown: &Shown, feature: u32) -> Vec<String> {
    let value = |column: &spatial::Column| match column.value(feature as usize) {
        Some(Value::Text(text)) => text.to_owned(),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Boolean(truth)) => truth.to_string(),
        None => String::new(),
    };
    shown.layer.key().map(value).collect()
}

fn time_literal(moment: DateTime<Utc>, date: bool) -> ScalarValue {
    if date {
        let days = moment.date_naive().signed_duration_since(chrono::NaiveDate::default());
        return ScalarValue::Date32(i32::try_from(days.num_days()).ok());
    }
    ScalarValue::TimestampMicrosecond(Some(moment.timestamp_micros()), Some("UTC".into()))
}

fn intersects(geometry: &str, wanted: Box4) -> String {
    let Box4 { west, south, east, north } = wanted;
    format!(
        "st_intersects(\"{geometry}\", st_geomfromtext('POLYGON(({west} {south}, {east} {south}, \
         {east} {north}, {west} {north}, {west} {south}))'))"
    )
}

type Places<'a> = Box<dyn Fn(usize) -> Option<&'a [u8]> + 'a>;

fn wkb_of(array: &ArrayRef) -> Result<Places<'_>, Fault> {
    macro_rules! places {
        ($array:expr) => {{
            let array = $array;
            Ok(Box::new(move |row| array.is_valid(row).then(|| array.value(row))))
        }};
    }
    match array.data_type() {
        DataType::Binary => places!(array.as_binary::<i32>()),
        DataType::LargeBinary => places!(array.as_binary::<i64>()),
        DataType::BinaryView => places!(array.as_binary_view()),
        other => Err(Fault::internal(format!("a geometry came as {other}"))),
    }
}

/// Each row as the text of a JSON object.
fn lines(batch: &RecordBatch) -> Result<Vec<String>, Fault> {
    if batch.num_columns() == 0 {
        return Ok(vec!["{}".to_owned(); batch.num_rows()]);
    }
    let mut writer =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(batch).map_err(Fault::internal)?;
    writer.finish().map_err(Fault::internal)?;
    let text = String::from_utf8(writer.into_inner()).map_err(Fault::internal)?;
    // A line break within a text is written as an escape.
    Ok(text.lines().map(str::to_owned).collect())
}
