//! Parameters of prepared statements: their types, and their values in text and binary.

use arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use arrow_pg::datatypes::into_pg_type;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ParamValues;
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::Portal;
use pgwire::error::PgWireResult;

use super::command::Literal;
use super::errors::{plain, state};
use crate::fault::{Code, Fault};

/// The type told to the client for a parameter: what it said, else what the statement wants,
/// else text.
pub fn wire_type(client: Option<&Type>, wanted: Option<&DataType>) -> Type {
    match (client, wanted) {
        (Some(ty), _) if *ty != Type::UNKNOWN => ty.clone(),
        (_, Some(data_type)) => into_pg_type(data_type).unwrap_or(Type::TEXT),
        _ => Type::TEXT,
    }
}

/// The values that a `Bind` brought.
pub fn values<S: Clone>(
    portal: &Portal<S>,
    wanted: &[Option<DataType>],
) -> PgWireResult<Vec<ScalarValue>> {
    let count = wanted.len().max(portal.statement.parameter_types.len());
    if portal.parameter_len() != count {
        return Err(state(
            "08P01",
            format!(
                "bind message supplies {} parameters, but prepared statement requires {count}",
                portal.parameter_len()
            ),
        ));
    }
    let types: Vec<_> = (0..count)
        .map(|index| {
            let client = portal.statement.parameter_types.get(index).and_then(Option::as_ref);
            wire_type(client, wanted.get(index).and_then(Option::as_ref))
        })
        .collect();
    let types: Vec<_> = types.iter().map(Some).collect();
    let wanted_refs: Vec<_> = wanted.iter().map(Option::as_ref).collect();
    let parameters = deserialize_parameters_with_server_types(portal, &wanted_refs, &types)?;
    let ParamValues::List(values) = parameters else {
        return Err(plain(Fault::internal("parameters came by name")));
    };
    let values = values.into_iter().map(|value| value.value);
    // A text for a time, a date or a number is read as what the statement wants.
    values
        .zip(wanted.iter().chain(std::iter::repeat(&None)))
        .map(|(v, w)| fit(v, w.as_ref()))
        .collect()
}

/// The arguments of a SQL-level `EXECUTE`.
pub fn literals(
    arguments: &[Literal],
    wanted: &[Option<DataType>],
) -> PgWireResult<Vec<ScalarValue>> {
    if arguments.len() != wanted.len() {
        let reason = format!(
            "wrong number of parameters: expected {} but got {}",
            wanted.len(),
            arguments.len()
        );
        return Err(plain(Fault::new(Code::Syntax, reason)));
    }
    arguments
        .iter()
        .zip(wanted)
        .map(|(argument, wanted)| fit(ScalarValue::Utf8(argument.clone()), wanted.as_ref()))
        .collect()
}

fn fit(value: ScalarValue, wanted: Option<&DataType>) -> PgWireResult<ScalarValue> {
    crate::values::fit(value, wanted).map_err(|fault| state("22P02", fault.message))
}
