//! The two datasets that live here, as tables: `place.area` and `party.organisation`.
//!
//! A table has the contract's Arrow schema, whichever of the columns below it asks for, and says
//! what the registry said at a moment: rows that were recorded then and valid then.

use std::sync::Arc;

use arrow::array::TimestampMicrosecondArray;
use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, TimeUnit};
use catalog::records::{micros, time};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use pack::Contract;
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::records::{area, organisation};
use crate::{Registry, RegistryError};

pub const AREAS: &str = "place.area";
pub const ORGANISATIONS: &str = "party.organisation";

pub(crate) type Table = Arc<MemTable>;

/// One column's values, from first row to last.
enum Values<'a> {
    Texts(Vec<Option<&'a str>>),
    Times(Vec<Option<i64>>),
    Bytes(Vec<Option<&'a [u8]>>),
}

impl Registry {
    /// Whether a dataset is one of the two that are kept here.
    pub fn keeps(dataset: &str) -> bool {
        [AREAS, ORGANISATIONS].contains(&dataset)
    }

    /// When a row of a register last changed; none where there never was one.
    pub async fn changed_at(&self, dataset: &str) -> Result<Option<DateTime<Utc>>, RegistryError> {
        let read = self.records.read();
        let newest: Option<Option<i64>> = match dataset {
            AREAS => {
                let newest = area::Column::RecordedFromUs.max();
                let rows = area::Entity::find().select_only().column_as(newest, "newest");
                rows.into_tuple().one(read).await?
            }
            ORGANISATIONS => {
                let newest = organisation::Column::RecordedFromUs.max();
                let rows = organisation::Entity::find().select_only().column_as(newest, "newest");
                rows.into_tuple().one(read).await?
            }
            _ => None,
        };
        Ok(newest.flatten().map(time))
    }

    /// A register as it stands, or as it stood at `as_of`, in the contract's schema.
    pub async fn table(
        &self,
        contract: &Contract,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, RegistryError> {
        if let Some(moment) = as_of {
            return Ok(self.table_at(contract, moment).await?);
        }
        let version = self.version();
        if let Some((made_for, table)) = self.tables.lock().get(&contract.id)
            && *made_for == version
        {
            return Ok(Arc::clone(table) as _);
        }
        // Two queries may make it at once: they make the same, and the later one stays.
        let table = self.table_at(contract, Utc::now()).await?;
        self.tables.lock().insert(contract.id.clone(), (version, Arc::clone(&table)));
        Ok(table)
    }

    async fn table_at(
        &self,
        contract: &Contract,
        moment: DateTime<Utc>,
    ) -> Result<Table, RegistryError> {
        let batch = match contract.id.as_str() {
            AREAS => {
                let rows = areas_at(self.records.read(), moment, true).await?;
                batch_of(contract, |name| area_column(&rows, name), AREA_COLUMNS)?
            }
            ORGANISATIONS => {
                let rows = organisations_at(self.records.read(), moment).await?;
                let column = |name: &str| organisation_column(&rows, name);
                batch_of(contract, column, ORGANISATION_COLUMNS)?
            }
            _ => {
                return Err(RegistryError::UnknownRegister {
                    dataset: contract.id.clone(),
                    expected: format!("{AREAS} or {ORGANISATIONS}"),
                });
            }
        };
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]);
        table.map(Arc::new).map_err(|cause| misfit(contract, "a table", &cause.to_string()))
    }
}

/// The organisations that were recorded and valid at a moment, by id.
pub(crate) async fn organisations_at(
    db: &DatabaseConnection,
    moment: DateTime<Utc>,
) -> Result<Vec<organisation::Model>, sea_orm::DbErr> {
    use organisation::Column;
    organisation::Entity::find()
        .filter(Column::RecordedFromUs.lte(micros(moment)))
        .filter(ends_after(Column::RecordedToUs, moment))
        .filter(begins_by(Column::ValidFromUs, moment))
        .filter(ends_after(Column::ValidToUs, moment))
        .order_by_asc(Column::Id)
        .all(db)
        .await
}

/// The areas that were recorded and valid at a moment, by code; geometries are left out where
/// nobody looks at them, for they are most of the bytes.
pub(crate) async fn areas_at(
    db: &DatabaseConnection,
    moment: DateTime<Utc>,
    with_geometry: bool,
) -> Result<Vec<area::Model>, sea_orm::DbErr> {
    use area::Column;
    let rows = area::Entity::find()
        .filter(Column::RecordedFromUs.lte(micros(moment)))
        .filter(ends_after(Column::RecordedToUs, moment))
        .filter(begins_by(Column::ValidFromUs, moment))
        .filter(ends_after(Column::ValidToUs, moment))
        .order_by_asc(Column::Code);
    if with_geometry {
        return rows.all(db).await;
    }
    let nothing = sea_orm::sea_query::Expr::value(Option::<Vec<u8>>::None);
    rows.select_only()
        .columns([Column::Row, Column::Code, Column::Level, Column::Parent])
        .columns([Column::NameZh, Column::NameEn])
        .column_as(nothing, "geometry")
        .columns([Column::ValidFromUs, Column::ValidToUs])
        .columns([Column::RecordedFromUs, Column::RecordedToUs])
        .into_model::<area::Model>()
        .all(db)
        .await
}

fn ends_after(column: impl ColumnTrait, moment: DateTime<Utc>) -> Condition {
    Condition::any().add(column.is_null()).add(column.gt(micros(moment)))
}

fn begins_by(column: impl ColumnTrait, moment: DateTime<Utc>) -> Condition {
    Condition::any().add(column.is_null()).add(column.lte(micros(moment)))
}

const AREA_COLUMNS: &str =
    "code, level, parent, name, name_en, geometry, valid_from, valid_to, recorded_from";

fn area_column<'a>(rows: &'a [area::Model], name: &str) -> Option<Values<'a>> {
    let texts = |value: fn(&area::Model) -> Option<&str>| {
        Some(Values::Texts(rows.iter().map(value).collect()))
    };
    let times = |value: fn(&area::Model) -> Option<i64>| {
        Some(Values::Times(rows.iter().map(value).collect()))
    };
    match name {
        "code" => texts(|row| Some(&row.code)),
        "level" => texts(|row| Some(&row.level)),
        "parent" => texts(|row| row.parent.as_deref()),
        "name" => texts(|row| Some(&row.name_zh)),
        "name_en" => texts(|row| filled(&row.name_en)),
        "geometry" => Some(Values::Bytes(rows.iter().map(|row| row.geometry.as_deref()).collect())),
        "valid_from" => times(|row| row.valid_from_us),
        "valid_to" => times(|row| row.valid_to_us),
        "recorded_from" => times(|row| Some(row.recorded_from_us)),
        _ => None,
    }
}

const ORGANISATION_COLUMNS: &str = "id, credit_code, parent, name, name_en, kind, area_code, \
                                    valid_from, valid_to, recorded_from";

fn organisation_column<'a>(rows: &'a [organisation::Model], name: &str) -> Option<Values<'a>> {
    let texts = |value: fn(&organisation::Model) -> Option<&str>| {
        Some(Values::Texts(rows.iter().map(value).collect()))
    };
    let times = |value: fn(&organisation::Model) -> Option<i64>| {
        Some(Values::Times(rows.iter().map(value).collect()))
    };
    match name {
        "id" => texts(|row| Some(&row.id)),
        "credit_code" => texts(|row| row.credit_code.as_deref()),
        "parent" => texts(|row| row.parent.as_deref()),
        "name" => texts(|row| Some(&row.name_zh)),
        "name_en" => texts(|row| filled(&row.name_en)),
        "kind" => texts(|row| Some(&row.kind)),
        "area_code" => texts(|row| Some(&row.area)),
        "valid_from" => times(|row| row.valid_from_us),
        "valid_to" => times(|row| row.valid_to_us),
        "recorded_from" => times(|row| Some(row.recorded_from_us)),
        _ => None,
    }
}

/// A name that nobody has given is no name.
fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The columns that the contract asks for, in its order and types.
fn batch_of<'a>(
    contract: &Contract,
    column: impl Fn(&str) -> Option<Values<'a>>,
    there_are: &str,
) -> Result<RecordBatch, RegistryError> {
    let schema = contract.arrow_schema();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let name = field.name();
        let values = column(name).ok_or_else(|| {
            misfit(contract, &format!("a field `{name}`"), &format!("it keeps {there_are}"))
        })?;
        let array = array_of(values, field.data_type()).ok_or_else(|| {
            let asked = format!("`{name}` as {}", field.data_type());
            misfit(contract, &asked, "texts are text, times are timestamp, shapes are geometry")
        })?;
        columns.push(array);
    }
    RecordBatch::try_new(schema, columns)
        .map_err(|cause| misfit(contract, "required values", &cause.to_string()))
}

fn array_of(values: Values<'_>, ty: &DataType) -> Option<ArrayRef> {
    match (values, ty) {
        (Values::Texts(values), DataType::Utf8) => Some(Arc::new(StringArray::from(values))),
        (Values::Times(values), DataType::Int64) => Some(Arc::new(Int64Array::from(values))),
        (Values::Times(values), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
            let array = TimestampMicrosecondArray::from(values);
            Some(Arc::new(array.with_timezone_opt(zone.clone())))
        }
        (Values::Bytes(values), DataType::Binary) => Some(Arc::new(BinaryArray::from(values))),
        _ => None,
    }
}

fn misfit(contract: &Contract, asked: &str, hint: &str) -> RegistryError {
    RegistryError::Contract {
        dataset: contract.id.clone(),
        asked: asked.to_owned(),
        hint: hint.to_owned(),
    }
}
