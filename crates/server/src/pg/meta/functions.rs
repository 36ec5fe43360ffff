//! The system functions that clients call on connecting and on looking around.
//!
//! Only functions on the lists here may be called in a catalogue query. Most answer a constant;
//! some look a name up in the session's [`Directory`]. None reads a row of a dataset.

#[cfg(test)]
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, StringArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::names::{Directory, SYSTEM_ROLE};
use super::system::index_definition;
use crate::pg::settings::{SERVER_VERSION, Settings};

/// Functions that only the catalogue context has: to call one is to ask about the system.
const SYSTEM: &[&str] = &[
    "_pg_expandarray",
    "array_lower",
    "array_upper",
    "col_description",
    "current_catalog",
    "current_database",
    "current_role",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "format",
    "format_type",
    "getdatabaseencoding",
    "has_any_column_privilege",
    "has_column_privilege",
    "has_database_privilege",
    "has_function_privilege",
    "has_schema_privilege",
    "has_sequence_privilege",
    "has_table_privilege",
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
    "obj_description",
    "parse_ident",
    "quote_ident",
    "session_user",
    "set_config",
    "shobj_description",
    "to_regclass",
    "to_regtype",
    "txid_current",
    "user",
    "version",
];

/// Words that call a function without parentheses.
const SESSION_WORDS: &[&str] =
    &["current_catalog", "current_role", "current_schema", "current_user", "session_user", "user"];

/// Ordinary functions that catalogue queries of known clients use.
const ORDINARY: &[&str] = &[
    "abs",
    "array_agg",
    "array_append",
    "array_cat",
    "array_concat",
    "array_contains",
    "array_element",
    "array_has",
    "array_length",
    "array_position",
    "array_to_string",
    "avg",
    "bool_and",
    "bool_or",
    "btrim",
    "cardinality",
    "ceil",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "date_part",
    "date_trunc",
    "floor",
    "generate_series",
    "greatest",
    "length",
    "least",
    "lower",
    "ltrim",
    "make_array",
    "max",
    "md5",
    "min",
    "now",
    "nullif",
    "position",
    "rank",
    "regexp_match",
    "regexp_replace",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "split_part",
    "starts_with",
    "string_agg",
    "string_to_array",
    "strpos",
    "substr",
    "substring",
    "sum",
    "trim",
    "unnest",
    "upper",
];

/// Whether a function is the system's: such a call makes a query without tables a catalogue one.
pub fn is_system(name: &str) -> bool {
    name.starts_with("pg_") || SYSTEM.contains(&name)
}

pub fn is_session_word(word: &str) -> bool {
    SESSION_WORDS.contains(&word)
}

/// Whether a catalogue query may call it.
pub fn is_allowed(name: &str) -> bool {
    is_system(name) || ORDINARY.contains(&name)
}

type Body = Arc<dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync>;

/// A function of any arguments, known by its name.
struct Function {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    body: Body,
}

impl Function {
    fn made(
        name: &'static str,
        returns: DataType,
        body: impl Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> ScalarUDF {
        // Stable within one statement: each run of a prepared one asks again.
        let signature = Signature::one_of(
            vec![
                datafusion::logical_expr::TypeSignature::Nullary,
                datafusion::logical_expr::TypeSignature::VariadicAny,
            ],
            Volatility::Stable,
        );
        ScalarUDF::new_from_impl(Self { name, signature, returns, body: Arc::new(body) })
    }

    fn constant(name: &'static str, value: impl Into<Option<String>>) -> ScalarUDF {
        let value = value.into();
        Self::made(name, DataType::Utf8, move |_, rows| {
            Ok(Arc::new(StringArray::from(vec![value.as_deref(); rows])))
        })
    }

    fn flag(name: &'static str, value: bool) -> ScalarUDF {
        Self::made(name, DataType::Boolean, move |_, rows| {
            Ok(Arc::new(BooleanArray::from(vec![value; rows])))
        })
    }

    fn number(name: &'static str, value: i64) -> ScalarUDF {
        Self::made(name, DataType::Int64, move |_, rows| {
            Ok(Arc::new(Int64Array::from(vec![value; rows])))
        })
    }

    /// A text for an object's id, and for a number below it.
    fn lookup(
        name: &'static str,
        find: impl Fn(i32, Option<i32>) -> Option<String> + Send + Sync + 'static,
    ) -> ScalarUDF {
        Self::made(name, DataType::Utf8, move |arguments, rows| {
            let oids = numbers(arguments.first(), rows)?;
            let parts = numbers(arguments.get(1), rows)?;
            let (oids, parts) =
                (oids.as_primitive::<Int32Type>(), parts.as_primitive::<Int32Type>());
            let texts = (0..rows).map(|row| {
                let part = parts.is_valid(row).then(|| parts.value(row));
                oids.is_valid(row).then(|| find(oids.value(row), part)).flatten()
            });
            Ok(Arc::new(texts.collect::<StringArray>()))
        })
    }
}

/// An argument as `Int32`; null where it is absent or no number.
fn numbers(argument: Option<&ArrayRef>, rows: usize) -> Result<ArrayRef> {
    match argument {
        Some(array) => Ok(cast(array, &DataType::Int32)?),
        None => Ok(new_null_array(&DataType::Int32, rows)),
    }
}

fn texts(argument: Option<&ArrayRef>, rows: usize) -> Result<ArrayRef> {
    match argument {
        Some(array) => Ok(cast(array, &DataType::Utf8)?),
        None => Ok(new_null_array(&DataType::Utf8, rows)),
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let arrays = arguments
            .args
            .iter()
            .map(|argument| argument.to_array(rows))
            .collect::<Result<Vec<_>>>()?;
        (self.body)(&arrays, rows).map(ColumnarValue::Array)
    }
}

/// Everything the session's catalogue queries may call beyond the ordinary functions.
pub fn all(directory: &Arc<Directory>, settings: &Arc<Mutex<Settings>>) -> Vec<ScalarUDF> {
    let mut functions = session_functions(directory, settings);
    functions.extend(description_functions(directory));
    functions.extend(definition_functions(directory));
    functions.extend(constant_functions());
    functions.push(format_text());
    functions
}

fn session_functions(directory: &Directory, settings: &Arc<Mutex<Settings>>) -> Vec<ScalarUDF> {
    let version = format!(
        "PostgreSQL {SERVER_VERSION} (Shujin {}, {})",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    );
    let user = || Some(directory.user.clone());
    vec![
        Function::constant("version", Some(version)),
        Function::constant("current_database", Some(directory.database.clone())),
        Function::constant("current_user", user()),
        Function::constant("current_role", user()),
        Function::constant("session_user", user()),
        Function::constant("user", user()),
        current_setting(settings.clone()),
        set_config(settings.clone()),
    ]
}

fn failed(error: &pgwire::error::PgWireError) -> DataFusionError {
    DataFusionError::Plan(match error {
        pgwire::error::PgWireError::UserError(info) => info.message.clone(),
        other => other.to_string(),
    })
}

fn current_setting(settings: Arc<Mutex<Settings>>) -> ScalarUDF {
    Function::made("current_setting", DataType::Utf8, move |arguments, rows| {
        let settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
        let names = texts(arguments.first(), rows)?;
        // The second argument says that an unknown name is null rather than an error.
        let lenient = arguments.len() > 1;
        let values = names.as_string::<i32>().iter().map(|name| match name {
            None => Ok(None),
            Some(name) => match settings.show(name) {
                Ok((_, value)) => Ok(Some(value)),
                Err(_) if lenient => Ok(None),
                Err(error) => Err(failed(&error)),
            },
        });
        Ok(Arc::new(values.collect::<Result<StringArray>>()?))
    })
}

fn set_config(settings: Arc<Mutex<Settings>>) -> ScalarUDF {
    Function::made("set_config", DataType::Utf8, move |arguments, rows| {
        let mut settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
        let (names, values) = (texts(arguments.first(), rows)?, texts(arguments.get(1), rows)?);
        let pairs = names.as_string::<i32>().iter().zip(values.as_string::<i32>().iter());
        let set = pairs.map(|(name, value)| match (name, value) {
            (Some(name), Some(value)) => {
                settings.set(name, Some(value)).map_err(|error| failed(&error))?;
                Ok(Some(value.to_owned()))
            }
            _ => Ok(None),
        });
        Ok(Arc::new(set.collect::<Result<StringArray>>()?))
    })
}

fn description_functions(directory: &Arc<Directory>) -> Vec<ScalarUDF> {
    let (tables, columns) = (directory.clone(), directory.clone());
    let (names, shown) = (directory.clone(), directory.clone());
    vec![
        Function::lookup("obj_description", move |oid, _| {
            let relation = tables.relations.iter().find(|relation| relation.oid == oid)?;
            Some(relation.comment.clone())
        }),
        Function::lookup("col_description", move |oid, number| {
            let relation = columns.relations.iter().find(|relation| relation.oid == oid)?;
            let index = usize::try_from(number?).ok()?.checked_sub(1)?;
            relation.columns.get(index)?.comment.clone()
        }),
        Function::constant("shobj_description", None),
        Function::made("to_regclass", DataType::Int32, move |arguments, rows| {
            if let Some(array) = arguments.first().filter(|array| array.data_type().is_integer()) {
                return Ok(cast(array, &DataType::Int32)?);
            }
            let found = texts(arguments.first(), rows)?;
            let oids = found.as_string::<i32>().iter();
            let oids = oids.map(|name| name?.parse().ok().or_else(|| names.number(name?)));
            Ok(Arc::new(oids.collect::<Int32Array>()))
        }),
        Function::made("pg_regclass_name", DataType::Utf8, move |arguments, rows| {
            if let Some(array) = arguments.first().filter(|array| array.data_type().is_integer()) {
                let oids = cast(array, &DataType::Int32)?;
                let oids = oids.as_primitive::<Int32Type>().iter();
                let shown = oids
                    .map(|oid| oid.map(|oid| shown.name(oid).unwrap_or_else(|| oid.to_string())));
                return Ok(Arc::new(shown.collect::<StringArray>()));
            }
            texts(arguments.first(), rows)
        }),
        Function::made("to_regtype", DataType::Int32, |arguments, rows| {
            let found = texts(arguments.first(), rows)?;
            let oids = found.as_string::<i32>().iter().map(|name| type_oid(name?));
            Ok(Arc::new(oids.collect::<Int32Array>()))
        }),
    ]
}

/// `format(template, …)` with `%s`, `%I` and `%L`.
fn format_text() -> ScalarUDF {
    Function::made("format", DataType::Utf8, |arguments, rows| {
        let columns =
            arguments.iter().map(|array| texts(Some(array), rows)).collect::<Result<Vec<_>>>()?;
        let value = |column: usize, row: usize| {
            let array = columns.get(column)?.as_string::<i32>();
            array.is_valid(row).then(|| array.value(row))
        };
        let lines = (0..rows).map(|row| Some(filled(value(0, row)?, |n| value(n, row))));
        Ok(Arc::new(lines.collect::<StringArray>()))
    })
}

fn filled<'a>(template: &str, value: impl Fn(usize) -> Option<&'a str>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut chars = template.chars();
    let mut next = 1;
    while let Some(char) = chars.next() {
        if char != '%' {
            text.push(char);
            continue;
        }
        let kind = chars.next();
        if kind == Some('%') {
            text.push('%');
            continue;
        }
        let argument = value(next);
        next += 1;
        match (kind, argument) {
            (Some('I'), Some(name)) => text.push_str(&quoted(name)),
            (Some('L'), Some(value)) => {
                text.push_str(&format!("'{}'", value.replace('\'', "''")));
            }
            (Some('L'), None) => text.push_str("NULL"),
            (_, argument) => text.push_str(argument.unwrap_or_default()),
        }
    }
    text
}

/// A name as it is written in SQL: quoted where it has to be.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn type_oid(name: &str) -> Option<i32> {
    use pgwire::api::Type;
    let ty = match name.to_ascii_lowercase().trim() {
        "text" => Type::TEXT,
        "int" | "int4" | "integer" => Type::INT4,
        "int8" | "bigint" => Type::INT8,
        "int2" | "smallint" => Type::INT2,
        "bool" | "boolean" => Type::BOOL,
        "float8" | "double precision" => Type::FLOAT8,
        "float4" | "real" => Type::FLOAT4,
        "date" => Type::DATE,
        "timestamp" => Type::TIMESTAMP,
        "timestamptz" => Type::TIMESTAMPTZ,
        "numeric" => Type::NUMERIC,
        "bytea" => Type::BYTEA,
        _ => return None,
    };
    i32::try_from(ty.oid()).ok()
}

fn definition_functions(directory: &Arc<Directory>) -> Vec<ScalarUDF> {
    let (keys, indexes, roles) = (directory.clone(), directory.clone(), directory.clone());
    vec![
        Function::lookup("pg_get_constraintdef", move |oid, _| {
            let relation = keys.relations.iter().find(|relation| relation.key_oid == oid)?;
            Some(relation.key_definition())
        }),
        Function::lookup("pg_get_indexdef", move |oid, column| {
            let relation = indexes.relations.iter().find(|relation| relation.key_oid == oid)?;
            match column {
                Some(number) if number > 0 => {
                    let index = usize::try_from(number).ok()? - 1;
                    relation.key_columns().get(index).map(|&name| name.to_owned())
                }
                _ => Some(index_definition(relation)),
            }
        }),
        Function::lookup("pg_get_userbyid", move |oid, _| {
            let known = roles.roles.get(&oid).cloned();
            Some(known.unwrap_or_else(|| SYSTEM_ROLE.to_owned()))
        }),
    ]
}

fn constant_functions() -> Vec<ScalarUDF> {
    let mut functions = Vec::new();
    for name in [
        "pg_collation_is_visible",
        "pg_function_is_visible",
        "pg_opclass_is_visible",
        "pg_operator_is_visible",
        "pg_table_is_visible",
        "pg_ts_config_is_visible",
        "pg_type_is_visible",
        "pg_has_role",
    ] {
        functions.push(Function::flag(name, true));
    }
    for name in [
        "pg_is_in_backup",
        "pg_is_in_recovery",
        "pg_is_other_temp_schema",
        "pg_relation_is_publishable",
        "pg_relation_is_updatable",
    ] {
        functions.push(Function::flag(name, false));
    }
    for name in [
        "pg_backend_pid",
        "pg_database_size",
        "pg_indexes_size",
        "pg_my_temp_schema",
        "pg_relation_size",
        "pg_stat_get_numscans",
        "pg_table_size",
        "pg_total_relation_size",
        "pg_tablespace_size",
        "txid_current",
    ] {
        functions.push(Function::number(name, 0));
    }
    for name in [
        "inet_client_addr",
        "inet_client_port",
        "inet_server_addr",
        "inet_server_port",
        "pg_get_expr",
        "pg_get_function_arguments",
        "pg_get_function_identity_arguments",
        "pg_get_function_result",
        "pg_get_functiondef",
        "pg_get_partkeydef",
        "pg_get_ruledef",
        "pg_get_serial_sequence",
        "pg_get_statisticsobjdef_columns",
        "pg_get_triggerdef",
        "pg_get_viewdef",
        "pg_size_pretty",
        "pg_tablespace_location",
    ] {
        functions.push(Function::constant(name, None));
    }
    functions.push(Function::constant("pg_encoding_to_char", Some("UTF8".to_owned())));
    functions.push(Function::constant("getdatabaseencoding", Some("UTF8".to_owned())));
    functions.push(privilege("has_any_column_privilege"));
    functions.push(privilege("has_column_privilege"));
    functions.push(privilege("has_database_privilege"));
    functions.push(privilege("has_function_privilege"));
    functions.push(privilege("has_schema_privilege"));
    functions.push(privilege("has_sequence_privilege"));
    functions.push(privilege("has_table_privilege"));
    functions
}

/// Who sees a thing may read it and may do nothing else with it.
fn privilege(name: &'static str) -> ScalarUDF {
    const READING: &[&str] = &["select", "usage", "connect", "execute"];
    Function::made(name, DataType::Boolean, |arguments, rows| {
        let asked = texts(arguments.last(), rows)?;
        let answers = asked.as_string::<i32>().iter().map(|asked| {
            asked.map(|asked| {
                asked.split(',').any(|one| READING.contains(&one.trim().to_lowercase().as_str()))
            })
        });
        Ok(Arc::new(answers.collect::<BooleanArray>()))
    })
}

/// The functions by name, for tests of the lists.
#[cfg(test)]
fn registered() -> BTreeMap<String, ScalarUDF> {
    let directory = Arc::new(Directory::new("d", "chen", &[]));
    let settings = Arc::new(Mutex::new(Settings::new("chen", "UTC")));
    all(&directory, &settings).into_iter().map(|f| (f.name().to_owned(), f)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_order_and_do_not_overlap() {
        assert!(SYSTEM.is_sorted());
        assert!(SESSION_WORDS.iter().all(|word| SYSTEM.contains(word)));
        assert!(ORDINARY.iter().all(|name| !is_system(name)), "an ordinary name is a system one");
        assert!(!is_allowed("repeat") && !is_allowed("pg"), "what is not listed is not allowed");
    }

    #[test]
    fn format_fills_its_places() {
        let values = [Some("air"), Some("PM 2.5"), Some("it's"), None];
        let text = filled("%I.%I = %L, %s 100%%", |n| values[n - 1]);
        assert_eq!(text, "air.\"PM 2.5\" = 'it''s',  100%");
    }

    #[test]
    fn every_registered_function_is_a_system_one() {
        for name in registered().keys() {
            assert!(is_system(name), "{name}");
        }
    }
}
