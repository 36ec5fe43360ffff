//! A small way to write system tables: columns by name and kind, rows by the columns that say
//! something. What a row does not name is null, or zero where the column cannot be null.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Int16Builder, Int32Builder, Int64Builder,
    ListBuilder, RecordBatch, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow_pg::datatypes::{PG_CHAR_KEY, PG_OID_ALIAS_KEY};
use datafusion::catalog::MemTable;
use datafusion::error::DataFusionError;

/// A column's PostgreSQL kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An object's id; never null.
    Oid,
    /// Text that may be null.
    Text,
    /// The one-byte `"char"` of the system tables.
    Char,
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    /// `int2vector` and `int2[]`.
    Int2s,
    /// `text[]`.
    Texts,
}

/// One value.
#[derive(Debug, Clone)]
pub enum Cell {
    Text(String),
    Int(i64),
    Bool(bool),
    Int2s(Vec<i16>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<i16> for Cell {
    fn from(number: i16) -> Self {
        Self::Int(number.into())
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Vec<i16>> for Cell {
    fn from(numbers: Vec<i16>) -> Self {
        Self::Int2s(numbers)
    }
}

/// A table's columns in order.
pub type Columns = &'static [(&'static str, Kind)];

/// A table being written.
#[derive(Debug)]
pub struct Table {
    columns: Columns,
    rows: Vec<Vec<Option<Cell>>>,
}

impl Table {
    pub fn new(columns: Columns) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row of the named columns.
    pub fn row<const N: usize>(&mut self, cells: [(&'static str, Cell); N]) {
        self.rows.push(vec![None; self.columns.len()]);
        self.amend(cells);
    }

    /// Sets cells of the row that was added last.
    pub fn amend<const N: usize>(&mut self, cells: [(&'static str, Cell); N]) {
        for (name, cell) in cells {
            let place = self.place(name);
            let row = self.rows.last_mut().expect("a row was added before it is amended");
            row[place] = Some(cell);
        }
    }

    fn place(&self, name: &str) -> usize {
        let place = self.columns.iter().position(|(column, _)| *column == name);
        place.unwrap_or_else(|| panic!("no system column is called {name}"))
    }

    pub fn finish(self) -> Result<Arc<MemTable>, DataFusionError> {
        let fields: Vec<_> = self.columns.iter().map(|(name, kind)| field(name, *kind)).collect();
        let arrays = (0..self.columns.len())
            .map(|column| self.array(column))
            .collect::<Result<Vec<_>, ArrowError>>()?;
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(schema.clone(), arrays)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }

    fn array(&self, column: usize) -> Result<ArrayRef, ArrowError> {
        let (name, kind) = self.columns[column];
        let cells = self.rows.iter().map(|row| row[column].as_ref());
        let misfit = || ArrowError::SchemaError(format!("a cell of {name} is not {kind:?}"));
        let number = |cell: Option<&Cell>| match cell {
            None => Ok(None),
            Some(Cell::Int(number)) => Ok(Some(*number)),
            Some(_) => Err(misfit()),
        };
        macro_rules! integers {
            ($builder:ty, $type:ty) => {{
                let mut builder = <$builder>::new();
                for cell in cells {
                    let value = number(cell)?.unwrap_or_default();
                    builder.append_value(<$type>::try_from(value).map_err(|_| misfit())?);
                }
                Arc::new(builder.finish())
            }};
        }
        Ok(match kind {
            Kind::Oid | Kind::Int4 => integers!(Int32Builder, i32),
            Kind::Int2 => integers!(Int16Builder, i16),
            Kind::Int8 => integers!(Int64Builder, i64),
            Kind::Float4 => {
                let mut builder = Float32Builder::new();
                for cell in cells {
                    let value = i16::try_from(number(cell)?.unwrap_or_default());
                    builder.append_value(f32::from(value.map_err(|_| misfit())?));
                }
                Arc::new(builder.finish())
            }
            Kind::Bool => {
                let mut builder = BooleanBuilder::new();
                for cell in cells {
                    builder.append_value(match cell {
                        None => false,
                        Some(Cell::Bool(value)) => *value,
                        Some(_) => return Err(misfit()),
                    });
                }
                Arc::new(builder.finish())
            }
            Kind::Text | Kind::Char => {
                let mut builder = StringBuilder::new();
                for cell in cells {
                    match cell {
                        None if kind == Kind::Char => builder.append_value(""),
                        None => builder.append_null(),
                        Some(Cell::Text(text)) => builder.append_value(text),
                        Some(_) => return Err(misfit()),
                    }
                }
                Arc::new(builder.finish())
            }
            Kind::Int2s => {
                let mut builder = ListBuilder::new(Int16Builder::new());
                for cell in cells {
                    match cell {
                        None => builder.append_null(),
                        Some(Cell::Int2s(numbers)) => {
                            builder.values().append_slice(numbers);
                            builder.append(true);
                        }
                        Some(_) => return Err(misfit()),
                    }
                }
                Arc::new(builder.finish())
            }
            Kind::Texts => {
                let mut builder = ListBuilder::new(StringBuilder::new());
                cells.for_each(|_| builder.append_null());
                Arc::new(builder.finish())
            }
        })
    }
}

fn field(name: &str, kind: Kind) -> Field {
    let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
    let (data_type, nullable) = match kind {
        Kind::Oid | Kind::Int4 => (DataType::Int32, false),
        Kind::Int2 => (DataType::Int16, false),
        Kind::Int8 => (DataType::Int64, false),
        Kind::Float4 => (DataType::Float32, false),
        Kind::Bool => (DataType::Boolean, false),
        Kind::Char => (DataType::Utf8, false),
        Kind::Text => (DataType::Utf8, true),
        Kind::Int2s => (list(DataType::Int16), true),
        Kind::Texts => (list(DataType::Utf8), true),
    };
    let field = Field::new(name, data_type, nullable);
    let mark = |key: &str, value: &str| {
        field.clone().with_metadata([(key.to_owned(), value.to_owned())].into())
    };
    match kind {
        Kind::Oid => mark(PG_OID_ALIAS_KEY, "oid"),
        Kind::Char => mark(PG_CHAR_KEY, "char"),
        _ => field,
    }
}
