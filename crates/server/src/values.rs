//! Values that come in as text and are wanted as something else.

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use crate::fault::{Code, Fault};

/// Reads a value as the wanted type; `None`: as it is.
pub fn fit(value: ScalarValue, wanted: Option<&DataType>) -> Result<ScalarValue, Fault> {
    let Some(wanted) = wanted.filter(|wanted| **wanted != value.data_type()) else {
        return Ok(value);
    };
    value.cast_to(wanted).map_err(|_| {
        let ty = arrow_pg::datatypes::into_pg_type(wanted);
        let name = ty.map_or_else(|_| wanted.to_string(), |ty| ty.name().to_owned());
        Fault::new(Code::Invalid, format!("invalid input syntax for type {name}"))
    })
}
