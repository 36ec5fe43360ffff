//! A statement as the log may keep it: its shape, without a single value.
//!
//! Literals become `?`, lists of them one `?`, comments go, keywords and names are lower case.
//! What remains serves as a fingerprint: the same question about another person has the same hash.

use std::fmt::Write as _;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A longer shape is cut; the hash is of all of it.
pub const STATEMENT_CHARS_MAX: usize = 4_000;

/// A statement's shape and its fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// SHA-256 of the shape, in hex.
    pub hash: String,
    /// `None` for a text that is not SQL: what is not understood is not kept.
    pub shape: Option<String>,
}

impl Statement {
    pub fn of(sql: &str) -> Self {
        let shape = shape(sql);
        let hashed = shape.as_deref().unwrap_or("not sql");
        let hash = Sha256::digest(hashed.as_bytes()).iter().fold(
            String::with_capacity(2 * Sha256::output_size()),
            |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            },
        );
        Self { hash, shape: shape.map(cut) }
    }
}

fn cut(shape: String) -> String {
    // PostgreSQL keeps no text with a NUL in it, and a batch of entries is kept or lost as one.
    let mut shape = shape.replace('\0', "\u{fffd}");
    if let Some((end, _)) = shape.char_indices().nth(STATEMENT_CHARS_MAX) {
        shape.truncate(end);
        shape.push('…');
    }
    shape
}

fn shape(sql: &str) -> Option<String> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().ok()?;
    let mut words: Vec<String> = Vec::new();
    for token in tokens {
        let word = match token {
            Token::Whitespace(_) | Token::EOF => continue,
            Token::Word(word) => match word.quote_style {
                None => word.value.to_lowercase(),
                Some(_) => Token::Word(word).to_string(),
            },
            token if is_value(&token) => {
                if let [.., last, comma] = words.as_slice()
                    && last == "?"
                    && comma == ","
                {
                    words.pop();
                    continue;
                }
                "?".to_owned()
            }
            token => token.to_string(),
        };
        words.push(word);
    }
    Some(words.join(" "))
}

fn is_value(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::Char(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::TripleDoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::TripleSingleQuotedByteStringLiteral(_)
            | Token::TripleDoubleQuotedByteStringLiteral(_)
            | Token::SingleQuotedRawStringLiteral(_)
            | Token::DoubleQuotedRawStringLiteral(_)
            | Token::TripleSingleQuotedRawStringLiteral(_)
            | Token::TripleDoubleQuotedRawStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::QuoteDelimitedStringLiteral(_)
            | Token::NationalQuoteDelimitedStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
    )
}
