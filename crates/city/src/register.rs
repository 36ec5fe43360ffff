//! Files for a register: organisations and areas come from the pack, so a file can confirm what
//! stands there and cannot change it. A row that says otherwise goes to quarantine, where the
//! difference is seen and the pack mended.

use std::collections::HashMap;

use arrow::array::Array;
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;

use crate::CityError;

/// A register as it stands.
#[derive(Debug)]
pub struct Held {
    rows: RecordBatch,
    key: usize,
    at: HashMap<String, usize>,
}

impl Held {
    /// `key`: index of the one key column.
    pub fn new(rows: &[RecordBatch], key: usize) -> Result<Self, CityError> {
        let first = rows.first().ok_or_else(|| CityError::Invalid("an empty register".into()))?;
        let rows = concat_batches(&first.schema(), rows)?;
        let mut at = HashMap::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            at.insert(array_value_to_string(rows.column(key), row)?, row);
        }
        Ok(Self { rows, key, at })
    }

    /// Whether the register has this row and contradicts nothing that the row says. What a row
    /// leaves empty it says nothing about.
    pub fn confirms(&self, rows: &RecordBatch, row: usize) -> Result<bool, CityError> {
        let key = array_value_to_string(rows.column(self.key), row)?;
        let Some(&held) = self.at.get(&key) else { return Ok(false) };
        for (said, stands) in rows.columns().iter().zip(self.rows.columns()) {
            let differs = said.is_valid(row)
                && (stands.is_null(held)
                    || array_value_to_string(said, row)? != array_value_to_string(stands, held)?);
            if differs {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn areas(rows: &[(&str, Option<&str>)]) -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("code", DataType::Utf8, false),
            Field::new("name", DataType::Utf8, true),
        ]);
        let codes = StringArray::from_iter_values(rows.iter().map(|row| row.0));
        let names: StringArray = rows.iter().map(|row| row.1).collect();
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(codes), Arc::new(names)]).unwrap()
    }

    #[test]
    fn a_register_confirms_what_it_says_and_no_more() {
        let held = Held::new(&[areas(&[("1", Some("锦江区")), ("2", None)])], 0).unwrap();
        let file = areas(&[
            ("1", Some("锦江区")),
            ("1", None),
            ("1", Some("x")),
            ("2", Some("y")),
            ("3", None),
        ]);
        let verdicts: Vec<bool> = (0..5).map(|row| held.confirms(&file, row).unwrap()).collect();
        assert_eq!(verdicts, [true, true, false, false, false]);
    }
}
