//! How two geometries lie to each other, with a constant on either side.
//!
//! geodatafusion 0.6 turns a constant on the left of a column round and leaves the question as it
//! was: `st_contains(district, place)` answered whether the place contains the district. And a
//! constant null beside a column ends in a panic. So each predicate is asked with its constant on
//! the right, as the predicate that says the same the other way round.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// A predicate, and what it is called when its sides change places.
const PREDICATES: [(&str, &str); 10] = [
    ("st_contains", "st_within"),
    ("st_coveredby", "st_covers"),
    ("st_covers", "st_coveredby"),
    ("st_crosses", "st_crosses"),
    ("st_disjoint", "st_disjoint"),
    ("st_equals", "st_equals"),
    ("st_intersects", "st_intersects"),
    ("st_overlaps", "st_overlaps"),
    ("st_touches", "st_touches"),
    ("st_within", "st_contains"),
];

/// The functions, those of them that are predicates right on both sides.
pub fn right_both_ways(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let by_name: BTreeMap<String, Arc<ScalarUDF>> =
        functions.iter().map(|one| (one.name().to_owned(), one.clone())).collect();
    let turned = |function: &ScalarUDF| {
        let (_, turned) = PREDICATES.iter().find(|(name, _)| *name == function.name())?;
        by_name.get(*turned).cloned()
    };
    let right = |inner: Arc<ScalarUDF>| match turned(&inner) {
        Some(turned) => Arc::new(ScalarUDF::from(Predicate { inner, turned })),
        None => inner,
    };
    functions.into_iter().map(right).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Predicate {
    inner: Arc<ScalarUDF>,
    turned: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Predicate {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        self.inner.return_type(args)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let null = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(one) if one.is_null());
        if args.args.iter().any(null) {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
        }
        if !matches!(args.args[..], [ColumnarValue::Scalar(_), ColumnarValue::Array(_)]) {
            return self.inner.invoke_with_args(args);
        }
        args.args.reverse();
        args.arg_fields.reverse();
        self.turned.invoke_with_args(args)
    }
}
