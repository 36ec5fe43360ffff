//! How masked fields are shown: the expressions that stand between a stored value and a reader.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    cast as cast_expr, lit,
};
use datafusion::prelude::date_trunc;
use hmac::{Hmac, Mac};
use pack::Mask;
use sha2::Sha256;

/// Characters that `last_four` leaves readable.
const READABLE_CHARS: usize = 4;
/// Bytes of a token: 128 bits, so that tokens of one dataset do not collide.
const TOKEN_BYTES: usize = 16;

/// The key of one dataset's tokens, derived so that no two datasets share one.
#[derive(Clone)]
pub(super) struct TokenKey([u8; 32]);

impl TokenKey {
    pub(super) fn derive(secret: &[u8], dataset: &str) -> Self {
        Self(hmac(secret, &[b"shujin token mask v1/", dataset.as_bytes()]))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The field as its reader sees it: tokens and readable ends are text.
pub(super) fn field(raw: &Field, mask: Option<&Mask>) -> Field {
    match mask {
        None => raw.clone(),
        Some(Mask::Redact) => Field::new(raw.name(), raw.data_type().clone(), true),
        Some(Mask::YearOnly) => Field::new(raw.name(), raw.data_type().clone(), true),
        Some(Mask::LastFour | Mask::Token) => Field::new(raw.name(), DataType::Utf8, true),
    }
}

/// The value as its reader sees it. A mask that does not fit the type shows nothing.
pub(super) fn expression(raw: &Field, column: Expr, mask: &Mask, key: &TokenKey) -> Result<Expr> {
    let nothing = || ScalarValue::try_from(raw.data_type()).map(lit);
    match (mask, raw.data_type()) {
        (Mask::Redact, _) => nothing(),
        (Mask::YearOnly, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) => {
            Ok(cast_expr(date_trunc(lit("year"), column), raw.data_type().clone()))
        }
        (Mask::YearOnly, _) => nothing(),
        (Mask::LastFour, DataType::Binary | DataType::LargeBinary | DataType::BinaryView) => {
            Ok(lit(ScalarValue::Utf8(None)))
        }
        (Mask::LastFour, _) => Ok(ScalarUDF::from(LastFour::new()).call(vec![column])),
        (Mask::Token, _) => Ok(ScalarUDF::from(Token::new(key.clone())).call(vec![column])),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LastFour {
    signature: Signature,
}

impl LastFour {
    fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for LastFour {
    fn name(&self) -> &str {
        "mask_last_four"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let text = cast(&only(args)?, &DataType::Utf8)?;
        let masked = text.as_string::<i32>().iter().map(|value| value.map(last_four));
        Ok(ColumnarValue::Array(Arc::new(masked.collect::<StringArray>())))
    }
}

/// A value of four characters or fewer would be shown whole: it is masked whole.
fn last_four(value: &str) -> String {
    let length = value.chars().count();
    let hidden = if length <= READABLE_CHARS { length } else { length - READABLE_CHARS };
    let stars = std::iter::repeat_n('*', hidden);
    stars.chain(value.chars().skip(hidden)).collect()
}

#[derive(Debug)]
struct Token {
    key: TokenKey,
    signature: Signature,
}

impl Token {
    fn new(key: TokenKey) -> Self {
        Self { key, signature: Signature::any(1, Volatility::Immutable) }
    }
}

// Two tokens are one expression where their keys are one.
impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.key.0 == other.key.0
    }
}

impl Eq for Token {}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.0.hash(state);
    }
}

impl ScalarUDFImpl for Token {
    fn name(&self) -> &str {
        "mask_token"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = only(args)?;
        let bytes = match array.data_type() {
            DataType::Binary => array,
            DataType::LargeBinary | DataType::BinaryView => cast(&array, &DataType::Binary)?,
            _ => cast(&cast(&array, &DataType::Utf8)?, &DataType::Binary)?,
        };
        let tokens = bytes.as_binary::<i32>().iter().map(|value| {
            value.map(|value| {
                let digest = hmac(&self.key.0, &[value]);
                digest[..TOKEN_BYTES].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
            })
        });
        Ok(ColumnarValue::Array(Arc::new(tokens.collect::<StringArray>())))
    }
}

fn only(args: ScalarFunctionArgs) -> Result<ArrayRef> {
    let mut arrays = ColumnarValue::values_to_arrays(&args.args)?;
    match arrays.pop() {
        Some(array) if arrays.is_empty() => Ok(array),
        _ => exec_err!("a mask takes one column"),
    }
}
