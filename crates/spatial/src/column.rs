//! A property of all features of a layer, its values written as a vector tile wants them: drawing
//! copies bytes. Values that many features share are kept once.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use chrono::{DateTime, Days, NaiveDate, SecondsFormat};

use crate::mvt;

/// Up to so many different values a column is always kept as shared.
const SHARED_VALUES_MIN: usize = 4_096;
/// Past that it is while each value stands for at least so many rows.
const SHARED_ROWS_MIN: usize = 4;

/// How a column's values are read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
}

/// One value of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Number(f64),
    Boolean(bool),
}

/// Encoded values, one after another.
#[derive(Debug, Default)]
struct Blob {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Blob {
    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a layer's bytes are bounded"));
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.bytes[start..self.ends[index] as usize]
    }

    fn bytes_held(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4
    }
}

#[derive(Debug)]
pub struct Column {
    pub name: String,
    kind: Kind,
    values: Blob,
    /// For each feature the place of its value and one more; 0: none. `None`: each feature has a
    /// value of its own, empty where it has none.
    codes: Option<Vec<u32>>,
}

impl Column {
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn bytes_held(&self) -> usize {
        self.values.bytes_held() + self.codes.as_ref().map_or(0, |codes| codes.len() * 4)
    }

    /// How many values are shared, if they are.
    pub(crate) fn shared(&self) -> Option<usize> {
        self.codes.as_ref().map(|_| self.values.ends.len())
    }

    /// The place of a feature's value among the shared ones.
    pub(crate) fn code(&self, feature: usize) -> Option<usize> {
        let code = *self.codes.as_ref()?.get(feature)?;
        code.checked_sub(1).map(|code| code as usize)
    }

    /// A feature's value as the tile wants it; `None` where it has none.
    pub(crate) fn encoded(&self, feature: usize) -> Option<&[u8]> {
        let place = match &self.codes {
            Some(_) => self.code(feature)?,
            None => feature,
        };
        Some(self.values.get(place)).filter(|value| !value.is_empty())
    }

    pub fn value(&self, feature: usize) -> Option<Value<'_>> {
        mvt::value(self.encoded(feature)?)
    }

    pub fn text(&self, feature: usize) -> Option<&str> {
        match self.value(feature)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Calls `met` for the first feature of each value that `fits`, until it says stop.
    pub(crate) fn scan(
        &self,
        mut fits: impl FnMut(&str) -> bool,
        mut met: impl FnMut(usize) -> bool,
    ) {
        let text = |bytes: &[u8]| match mvt::value(bytes) {
            Some(Value::Text(text)) => fits(text),
            _ => false,
        };
        let judged: Vec<bool> =
            (0..self.values.ends.len()).map(|at| self.values.get(at)).map(text).collect();
        match &self.codes {
            None => {
                for (feature, _) in judged.iter().enumerate().filter(|(_, fits)| **fits) {
                    if !met(feature) {
                        return;
                    }
                }
            }
            Some(codes) => {
                let mut seen = vec![false; judged.len()];
                for (feature, code) in codes.iter().enumerate() {
                    let Some(code) = code.checked_sub(1).map(|code| code as usize) else {
                        continue;
                    };
                    if judged[code] && !std::mem::replace(&mut seen[code], true) && !met(feature) {
                        return;
                    }
                }
            }
        }
    }
}

/// A column that is being filled.
#[derive(Debug)]
pub(crate) struct Filling {
    name: String,
    kind: Kind,
    values: Blob,
    rows: usize,
    codes: Option<Vec<u32>>,
    known: HashMap<Box<[u8]>, u32>,
    scratch: Vec<u8>,
}

impl Filling {
    pub fn new(name: &str, ty: &DataType) -> Self {
        let kind = match ty {
            DataType::Int64 => Kind::Integer,
            DataType::Float64 => Kind::Number,
            DataType::Boolean => Kind::Boolean,
            _ => Kind::Text,
        };
        Self {
            name: name.to_owned(),
            kind,
            values: Blob::default(),
            rows: 0,
            codes: Some(Vec::new()),
            known: HashMap::new(),
            scratch: Vec::new(),
        }
    }

    pub fn bytes_held(&self) -> usize {
        self.values.bytes_held()
            + self.codes.as_ref().map_or(0, |codes| codes.len() * 4)
            + self.known.len() * 48
    }

    /// Appends the value of one row. What the layer cannot show is none.
    pub fn push(&mut self, array: &ArrayRef, row: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        encode(array, row, &mut scratch);
        self.add(&scratch);
        self.scratch = scratch;
    }

    /// The value that was pushed last, as it is written in a tile.
    pub fn last(&self) -> &[u8] {
        &self.scratch
    }

    fn add(&mut self, value: &[u8]) {
        self.rows += 1;
        let Some(codes) = &mut self.codes else {
            self.values.push(value);
            return;
        };
        if value.is_empty() {
            codes.push(0);
            return;
        }
        if let Some(code) = self.known.get(value) {
            codes.push(*code);
            return;
        }
        self.values.push(value);
        let code = u32::try_from(self.values.ends.len()).expect("a layer's rows are bounded");
        codes.push(code);
        self.known.insert(value.into(), code);
        let values = self.values.ends.len();
        if values > SHARED_VALUES_MIN && values * SHARED_ROWS_MIN > self.rows {
            self.part();
        }
    }

    /// Gives each feature a value of its own: sharing them costs more than it saves.
    fn part(&mut self) {
        self.known = HashMap::new();
        let Some(codes) = self.codes.take() else { return };
        let shared = std::mem::take(&mut self.values);
        for code in codes {
            let value = code.checked_sub(1).map_or(&[][..], |code| shared.get(code as usize));
            self.values.push(value);
        }
    }

    /// The column with its features in another order: `order[new] = old`.
    pub fn finish(self, order: &[u32]) -> Column {
        let (values, codes) = match self.codes {
            Some(codes) => {
                (self.values, Some(order.iter().map(|old| codes[*old as usize]).collect()))
            }
            None => {
                let mut values = Blob::default();
                values.bytes.reserve_exact(self.values.bytes.len());
                values.ends.reserve_exact(order.len());
                for old in order {
                    values.push(self.values.get(*old as usize));
                }
                (values, None)
            }
        };
        Column { name: self.name, kind: self.kind, values, codes }
    }
}

/// Writes a value as a tile's; nothing where there is none, or none that tiles know.
fn encode(array: &ArrayRef, row: usize, into: &mut Vec<u8>) {
    if array.is_null(row) {
        return;
    }
    match array.data_type() {
        DataType::Utf8 => mvt::text_value(array.as_string::<i32>().value(row), into),
        DataType::LargeUtf8 => mvt::text_value(array.as_string::<i64>().value(row), into),
        DataType::Utf8View => mvt::text_value(array.as_string_view().value(row), into),
        DataType::Int64 => mvt::integer_value(array.as_primitive::<Int64Type>().value(row), into),
        DataType::Float64 => {
            mvt::number_value(array.as_primitive::<Float64Type>().value(row), into);
        }
        DataType::Boolean => mvt::boolean_value(array.as_boolean().value(row), into),
        DataType::Date32 => {
            if let Some(date) = date(array.as_primitive::<Date32Type>().value(row)) {
                mvt::text_value(&date.to_string(), into);
            }
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            if let Some(time) = DateTime::from_timestamp_micros(micros) {
                mvt::text_value(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true), into);
            }
        }
        _ => {}
    }
}

fn date(days: i32) -> Option<NaiveDate> {
    let epoch = NaiveDate::default();
    let apart = Days::new(u64::from(days.unsigned_abs()));
    if days < 0 { epoch.checked_sub_days(apart) } else { epoch.checked_add_days(apart) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Date32Array, Float64Array, Int64Array, StringArray};

    use super::*;

    fn column(array: ArrayRef, order: &[u32]) -> Column {
        let mut filling = Filling::new("c", array.data_type());
        for row in 0..array.len() {
            filling.push(&array, row);
        }
        filling.finish(order)
    }

    #[test]
    fn values_come_back_in_the_new_order() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("锦江"), None, Some("Wuhou")]));
        let texts = column(texts, &[2, 0, 1]);
        assert_eq!(
            (texts.text(0), texts.text(1), texts.text(2)),
            (Some("Wuhou"), Some("锦江"), None)
        );
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![-7, 0, i64::MAX]));
        let numbers = column(numbers, &[0, 1, 2]);
        let found: Vec<_> = (0..3).map(|at| numbers.value(at)).collect();
        let wanted = [-7, 0, i64::MAX].map(|value| Some(Value::Integer(value)));
        assert_eq!(found, wanted);
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
        assert_eq!(column(floats, &[0]).value(0), Some(Value::Number(1.5)));
        let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        assert_eq!(column(truths, &[0]).value(0), Some(Value::Boolean(true)));
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![-1, 20_000]));
        let dates = column(dates, &[0, 1]);
        assert_eq!((dates.text(0), dates.text(1)), (Some("1969-12-31"), Some("2024-10-04")));
    }

    #[test]
    fn values_that_few_share_are_each_their_own() {
        let many = SHARED_VALUES_MIN * 2;
        let names: ArrayRef = Arc::new(StringArray::from_iter(
            (0..many).map(|at| (at % 10 != 3).then(|| format!("N{at}"))),
        ));
        let order: Vec<u32> = (0..u32::try_from(many).unwrap()).rev().collect();
        let names = column(names, &order);
        assert_eq!(names.shared(), None);
        assert_eq!(names.text(0), Some(format!("N{}", many - 1).as_str()));
        assert_eq!(names.text(many - 1 - 3), None);
        let kinds: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..many).map(|at| format!("k{}", at % 7))));
        assert_eq!(column(kinds, &order).shared(), Some(7));
    }

    #[test]
    fn a_scan_meets_each_value_once() {
        let names: ArrayRef =
            Arc::new(StringArray::from(vec![Some("人民路"), Some("人民路"), None, Some("二环路")]));
        let names = column(names, &[0, 1, 2, 3]);
        let mut met = Vec::new();
        names.scan(
            |name| name.contains('路'),
            |feature| {
                met.push(feature);
                true
            },
        );
        assert_eq!(met, [0, 3]);
        met.clear();
        names.scan(
            |_| true,
            |feature| {
                met.push(feature);
                false
            },
        );
        assert_eq!(met, [0]);
    }
}
