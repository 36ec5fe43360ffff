//! Text cells to Arrow columns, a whole column at a time.
//!
//! A column is read by a loop of its own type: the fast parser on the bytes, the lenient one on
//! what it refuses, a [`Refusal`] where both do. A refused cell becomes a null and its row is
//! taken out afterwards, which is rare; the common case never looks at rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, BooleanBufferBuilder, Date32Array, Float64Array,
    Int64Array, NullBufferBuilder, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use pack::FieldType;

use crate::bounds::{BAD_ROWS_PER_CHUNK_MAX, FIELD_BYTES_MAX};
use crate::chunk::Reason;
use crate::plan::{FieldPlan, Part, Plan, Source, Template};
use crate::table::Table;
use crate::text::{found, trim};
use crate::{geometry, number, time, typed};

/// One row of the dataset to be: a record and, if the file is wide, one of its wide columns.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub record: u32,
    pub wide: u32,
}

/// Why a cell is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub message: String,
}

impl Refusal {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    #[cold]
    fn expected(reason: Reason, expected: &str, cell: &[u8]) -> Self {
        Self::new(reason, format!("expected {expected}, found {}", found(cell)))
    }
}

/// A column and the rows (by position) that it spoils, ascending. Of more than the rows that may
/// be bad, some are left out: the chunk is refused whole.
pub struct Column {
    pub array: ArrayRef,
    pub refused: Vec<(usize, Refusal)>,
}

/// Notes a refusal, unless there are enough already to refuse the whole chunk.
fn refuse(refused: &mut Vec<(usize, Refusal)>, row: usize, refusal: Refusal) {
    if refused.len() <= BAD_ROWS_PER_CHUNK_MAX {
        refused.push((row, refusal));
    }
}

pub struct Reader<'a> {
    pub plan: &'a Plan,
    pub table: &'a Table,
    pub rows: &'a [Row],
}

impl Reader<'_> {
    /// Reads all rows of one field.
    pub fn column(&self, field: &FieldPlan) -> Column {
        let offset = self.plan.utc_offset_minutes;
        match field.source {
            Source::Point { lon, lat } => return self.points(field, lon, lat),
            Source::Cell(column) => {
                let array = self.table.batch.as_ref().map(|batch| batch.column(column));
                let typed =
                    array.and_then(|array| typed::column(self.plan, field, array, self.rows));
                if let Some(typed) = typed {
                    return typed;
                }
            }
            _ => {}
        }
        match field.ty {
            FieldType::Integer => self.primitive(field, integer, |values, nulls| {
                Arc::new(Int64Array::new(values.into(), nulls))
            }),
            FieldType::Money => self.primitive(field, cents, |values, nulls| {
                Arc::new(Int64Array::new(values.into(), nulls))
            }),
            FieldType::Number => {
                let percent = field.percent;
                self.primitive(
                    field,
                    |cell| float(cell, percent),
                    |values, nulls| Arc::new(Float64Array::new(values.into(), nulls)),
                )
            }
            FieldType::Date => self.primitive(field, date, |values, nulls| {
                Arc::new(Date32Array::new(values.into(), nulls))
            }),
            FieldType::Timestamp => self.primitive(
                field,
                |cell| timestamp(cell, offset),
                |values, nulls| {
                    let array = TimestampMicrosecondArray::new(values.into(), nulls);
                    Arc::new(array.with_timezone("UTC"))
                },
            ),
            FieldType::Boolean => self.booleans(field),
            FieldType::Text | FieldType::AreaCode | FieldType::OrganisationId => self.texts(field),
            FieldType::Geometry => self.geometries(field),
        }
    }

    fn primitive<T: Default + Copy>(
        &self,
        field: &FieldPlan,
        parse: impl Fn(&[u8]) -> Result<T, Refusal>,
        array: impl Fn(Vec<T>, Option<NullBuffer>) -> ArrayRef,
    ) -> Column {
        let mut values = Vec::with_capacity(self.rows.len());
        let mut gaps = Gaps::new(field, self.rows.len());
        self.each(&field.source, |cell| match cell.map(|cell| cell.map(&parse)) {
            Ok(Some(Ok(value))) => {
                values.push(value);
                gaps.filled();
            }
            gap => {
                values.push(T::default());
                gaps.gap(gap.and_then(Option::transpose).map(drop_value));
            }
        });
        let (nulls, refused) = gaps.finish();
        Column { array: array(values, nulls), refused }
    }

    fn booleans(&self, field: &FieldPlan) -> Column {
        let mut values = BooleanBufferBuilder::new(self.rows.len());
        let mut gaps = Gaps::new(field, self.rows.len());
        self.each(&field.source, |cell| match cell.map(|cell| cell.map(boolean)) {
            Ok(Some(Ok(value))) => {
                values.append(value);
                gaps.filled();
            }
            gap => {
                values.append(false);
                gaps.gap(gap.and_then(Option::transpose).map(drop_value));
            }
        });
        let (nulls, refused) = gaps.finish();
        let values: BooleanBuffer = values.finish();
        Column { array: Arc::new(BooleanArray::new(values, nulls)), refused }
    }

    fn texts(&self, field: &FieldPlan) -> Column {
        let (column, valid) = self.texts_once(field, false);
        // One validation of all bytes at once; cell by cell only if it fails.
        if valid { column } else { self.texts_once(field, true).0 }
    }

    fn texts_once(&self, field: &FieldPlan, check_each: bool) -> (Column, bool) {
        let mut values: Vec<u8> = Vec::with_capacity(self.rows.len() * 8);
        let mut offsets: Vec<i32> = Vec::with_capacity(self.rows.len() + 1);
        let mut gaps = Gaps::new(field, self.rows.len());
        offsets.push(0);
        let transcoded = self.plan.transcoded;
        self.each(&field.source, |cell| {
            let checked = cell.and_then(|cell| {
                cell.map(|cell| text(cell, field, transcoded, check_each)).transpose()
            });
            match checked {
                Ok(Some(cell)) => {
                    values.extend_from_slice(cell);
                    gaps.filled();
                }
                Ok(None) => gaps.gap(Ok(None)),
                Err(refusal) => gaps.gap(Err(refusal)),
            }
            offsets.push(i32::try_from(values.len()).expect("a block is far smaller than 2 GiB"));
        });
        let (nulls, refused) = gaps.finish();
        let offsets = OffsetBuffer::new(offsets.into());
        match StringArray::try_new(offsets, values.into(), nulls) {
            Ok(array) => (Column { array: Arc::new(array), refused }, true),
            Err(_) => (Column { array: Arc::new(StringArray::new_null(0)), refused }, false),
        }
    }

    fn geometries(&self, field: &FieldPlan) -> Column {
        let mut values = BinaryBuilder::with_capacity(self.rows.len(), self.rows.len() * 32);
        let mut refused = Vec::new();
        let crs = self.plan.crs;
        let mut row = 0;
        self.each(&field.source, |cell| {
            let read = cell.and_then(|cell| {
                let read = |cell| {
                    geometry::parse(cell, crs)
                        .map_err(|problem| Refusal::new(Reason::Geometry, problem))
                };
                cell.map(read).transpose()
            });
            append_geometry(&mut values, &mut refused, field, row, read);
            row += 1;
        });
        Column { array: Arc::new(values.finish()), refused }
    }

    fn points(&self, field: &FieldPlan, lon: usize, lat: usize) -> Column {
        let mut values = BinaryBuilder::with_capacity(self.rows.len(), self.rows.len() * 21);
        let mut refused = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            let record = row.record as usize;
            let read = match (self.cell(record, lon), self.cell(record, lat)) {
                (None, None) => Ok(None),
                (Some(lon), Some(lat)) => point(lon, lat, self.plan).map(Some),
                (lon, _) => {
                    let lacking = if lon.is_none() { "longitude" } else { "latitude" };
                    let message =
                        format!("expected longitude and latitude, the {lacking} is empty");
                    Err(Refusal::new(Reason::Geometry, message))
                }
            };
            append_geometry(&mut values, &mut refused, field, at, read);
        }
        Column { array: Arc::new(values.finish()), refused }
    }

    /// Calls `take` with each row's text, `None` where there is no value.
    #[inline]
    fn each(&self, source: &Source, mut take: impl FnMut(Result<Option<&[u8]>, Refusal>)) {
        match source {
            Source::Cell(column) => {
                for row in self.rows {
                    take(Ok(self.cell(row.record as usize, *column)));
                }
            }
            Source::Wide => {
                for row in self.rows {
                    take(Ok(self.cell(row.record as usize, self.wide_column(*row))));
                }
            }
            Source::Template(template) => {
                let mut text = Vec::new();
                for row in self.rows {
                    self.render(template, *row, &mut text);
                    let cell = trim(&text);
                    take(Ok((!self.plan.nulls.contains(cell)).then_some(cell)));
                }
            }
            Source::Lookup(template, table) => {
                let mut text = Vec::new();
                for row in self.rows {
                    self.render(template, *row, &mut text);
                    let key = String::from_utf8_lossy(trim(&text));
                    take(match table.get(key.as_ref()) {
                        Some(value) => Ok((!value.is_empty()).then_some(value.as_bytes())),
                        None if key.is_empty() => Ok(None),
                        None => Err(Refusal::expected(
                            Reason::Code,
                            "one of the mapping's table",
                            key.as_bytes(),
                        )),
                    });
                }
            }
            Source::Absent | Source::Point { .. } => self.rows.iter().for_each(|_| take(Ok(None))),
        }
    }

    /// A cell without white space around; `None` if it means no value.
    #[inline]
    pub fn cell(&self, record: usize, column: usize) -> Option<&[u8]> {
        let cell = trim(self.table.cell(record, column)?);
        (!self.plan.nulls.contains(cell)).then_some(cell)
    }

    fn wide_column(&self, row: Row) -> usize {
        let wide = self.plan.wide.as_ref().expect("only wide plans have wide sources");
        wide.columns[row.wide as usize].column
    }

    fn render(&self, template: &Template, row: Row, text: &mut Vec<u8>) {
        text.clear();
        let record = row.record as usize;
        for part in &template.parts {
            match part {
                Part::Literal(literal) => text.extend_from_slice(literal.as_bytes()),
                Part::Cell(column) => {
                    text.extend_from_slice(self.cell(record, *column).unwrap_or_default());
                }
                Part::Integer(column) => {
                    let cell = self.cell(record, *column).unwrap_or_default();
                    match integer(cell) {
                        Ok(value) => text.extend_from_slice(value.to_string().as_bytes()),
                        Err(_) => text.extend_from_slice(cell),
                    }
                }
                Part::Group(group) => {
                    let wide = self.plan.wide.as_ref().expect("only wide plans have groups");
                    let groups = &wide.columns[row.wide as usize].groups;
                    text.extend_from_slice(groups[*group].as_bytes());
                }
            }
        }
    }
}

fn drop_value<T>(value: Option<T>) -> Option<()> {
    value.map(|_| ())
}

/// Nulls and refusals of a column under construction.
struct Gaps {
    nulls: NullBufferBuilder,
    refused: Vec<(usize, Refusal)>,
    required: bool,
}

impl Gaps {
    fn new(field: &FieldPlan, rows: usize) -> Self {
        Self { nulls: NullBufferBuilder::new(rows), refused: Vec::new(), required: field.required }
    }

    #[inline]
    fn filled(&mut self) {
        self.nulls.append_non_null();
    }

    #[cold]
    fn gap(&mut self, why: Result<Option<()>, Refusal>) {
        let row = self.nulls.len();
        self.nulls.append_null();
        match why {
            Err(refusal) => refuse(&mut self.refused, row, refusal),
            Ok(_) if self.required => refuse(&mut self.refused, row, required()),
            Ok(_) => {}
        }
    }

    fn finish(mut self) -> (Option<NullBuffer>, Vec<(usize, Refusal)>) {
        (self.nulls.finish(), self.refused)
    }
}

pub fn required() -> Refusal {
    Refusal::new(Reason::Required, "expected a value, found none")
}

fn append_geometry(
    values: &mut BinaryBuilder,
    refused: &mut Vec<(usize, Refusal)>,
    field: &FieldPlan,
    row: usize,
    read: Result<Option<Vec<u8>>, Refusal>,
) {
    match read {
        Ok(Some(wkb)) => values.append_value(wkb),
        Ok(None) => {
            values.append_null();
            if field.required {
                refuse(refused, row, required());
            }
        }
        Err(refusal) => {
            values.append_null();
            refuse(refused, row, refusal);
        }
    }
}

fn utf8(cell: &[u8]) -> Option<&str> {
    std::str::from_utf8(cell).ok()
}

#[inline]
fn integer(cell: &[u8]) -> Result<i64, Refusal> {
    number::fast_integer(cell)
        .or_else(|| number::decimal(utf8(cell)?)?.to_scaled(0))
        .ok_or_else(|| Refusal::expected(Reason::Type, "an integer", cell))
}

fn cents(cell: &[u8]) -> Result<i64, Refusal> {
    utf8(cell)
        .and_then(|text| number::decimal(text).filter(|value| !value.is_share())?.to_scaled(2))
        .ok_or_else(|| Refusal::expected(Reason::Type, "an amount of money in yuan", cell))
}

#[inline]
fn float(cell: &[u8], percent: bool) -> Result<f64, Refusal> {
    number::fast_float(cell)
        .or_else(|| number::decimal(utf8(cell)?)?.to_f64(percent))
        .ok_or_else(|| Refusal::expected(Reason::Type, "a number", cell))
}

#[inline]
fn date(cell: &[u8]) -> Result<i32, Refusal> {
    time::fast_date(cell)
        .or_else(|| time::date(utf8(cell)?))
        .ok_or_else(|| Refusal::expected(Reason::Type, "a date such as 2024-03-05", cell))
}

#[inline]
fn timestamp(cell: &[u8], utc_offset_minutes: i32) -> Result<i64, Refusal> {
    time::fast_timestamp(cell, utc_offset_minutes)
        .or_else(|| time::timestamp(utf8(cell)?, utc_offset_minutes))
        .ok_or_else(|| Refusal::expected(Reason::Type, "a time such as 2024-03-05 14:30:00", cell))
}

#[inline]
fn boolean(cell: &[u8]) -> Result<bool, Refusal> {
    const WORDS: [(&str, bool); 16] = [
        ("true", true),
        ("false", false),
        ("是", true),
        ("否", false),
        ("yes", true),
        ("no", false),
        ("t", true),
        ("f", false),
        ("y", true),
        ("n", false),
        ("真", true),
        ("假", false),
        ("有", true),
        ("无", false),
        ("１", true),
        ("０", false),
    ];
    match cell {
        b"1" | b"true" => return Ok(true),
        b"0" | b"false" => return Ok(false),
        _ => {}
    }
    WORDS
        .iter()
        .find(|(word, _)| cell.eq_ignore_ascii_case(word.as_bytes()))
        .map(|(_, value)| *value)
        .ok_or_else(|| Refusal::expected(Reason::Type, "a boolean such as 是, 否, true, 0", cell))
}

#[inline]
fn text<'a>(
    cell: &'a [u8],
    field: &FieldPlan,
    transcoded: bool,
    check_utf8: bool,
) -> Result<&'a [u8], Refusal> {
    const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();
    if cell.len() > FIELD_BYTES_MAX {
        let message = format!("expected at most {FIELD_BYTES_MAX} bytes, found {}", cell.len());
        return Err(Refusal::new(Reason::TooLong, message));
    }
    if check_utf8 && utf8(cell).is_none() {
        let expected = "UTF-8 (if the file is GB18030, say so by the encoding option)";
        return Err(Refusal::expected(Reason::Encoding, expected, cell));
    }
    if transcoded && memchr::memmem::find(cell, REPLACEMENT).is_some() {
        return Err(Refusal::expected(Reason::Encoding, "text in the file's encoding", cell));
    }
    if !field.codes.allow(cell) {
        return Err(Refusal::expected(Reason::Code, &field.codes.shown(), cell));
    }
    if field.ty == FieldType::AreaCode && !is_area_code(cell) {
        return Err(Refusal::expected(Reason::AreaCode, "an area code of 12 digits or more", cell));
    }
    if field.identity_number && !is_identity_number(cell) {
        let expected = "an identity number of 18 characters whose check character fits (GB 11643)";
        return Err(Refusal::expected(Reason::IdentityNumber, expected, b"another text"));
    }
    Ok(cell)
}

/// Official codes have 12 digits; grids below a community append theirs.
fn is_area_code(cell: &[u8]) -> bool {
    const DIGITS_MIN: usize = 12;
    const DIGITS_MAX: usize = 24;
    let official = cell.len() >= DIGITS_MIN && cell[..DIGITS_MIN].iter().all(u8::is_ascii_digit);
    official && cell.len() <= DIGITS_MAX && cell.iter().all(u8::is_ascii_alphanumeric)
}

/// GB 11643-1999: 17 digits and a check character by ISO 7064 MOD 11-2.
fn is_identity_number(cell: &[u8]) -> bool {
    const CHECKS: &[u8; 11] = b"10X98765432";
    let Ok(cell) = <&[u8; 18]>::try_from(cell) else { return false };
    let (body, check) = (&cell[..17], cell[17].to_ascii_uppercase());
    if !body.iter().all(u8::is_ascii_digit) {
        return false;
    }
    // The weight of position i (from the left, 0) is 2^(17 - i) mod 11.
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(at, digit)| u32::from(digit - b'0') * ((1u32 << (17 - at)) % 11))
        .sum();
    CHECKS[(sum % 11) as usize] == check
}

fn point(lon: &[u8], lat: &[u8], plan: &Plan) -> Result<Vec<u8>, Refusal> {
    let (x, y) = (float(lon, false)?, float(lat, false)?);
    geometry::point(x, y, plan.crs).map_err(|problem| Refusal::new(Reason::Geometry, problem))
}
