//! Chains of operators that are too long, judged on tokens before anything is parsed.
//!
//! Long chains of operators, joins and set operations make trees as deep as they are long, and a
//! deep tree overflows the stack of whoever walks or drops it.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// Where the first chain of more than `most` operators, joins and set operations goes over.
/// Counts, for each bracket level, how many stand between two commas.
pub fn overlong_chain(tokens: &[TokenWithSpan], most: usize) -> Option<Location> {
    let mut levels = vec![0_usize];
    for token in tokens {
        let level = levels.last_mut().expect("the outermost level is never popped");
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                // A bracket is itself a link of the chain around it: `a[1][1][1]`.
                *level += 1;
                if *level > most {
                    return Some(token.span.start);
                }
                levels.push(0);
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                levels.pop();
                if levels.is_empty() {
                    levels.push(0);
                }
            }
            Token::Comma | Token::SemiColon => *level = 0,
            token_kind if links(token_kind) => {
                *level += 1;
                if *level > most {
                    return Some(token.span.start);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether a token makes the tree one deeper. Words that are no operators, literals and layout
/// do not; whatever is not known to be harmless does.
fn links(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::NOTNULL
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::IN
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::OPERATOR
                | Keyword::JOIN
                | Keyword::APPLY
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::MINUS
                | Keyword::XOR
                | Keyword::DIV
                | Keyword::CASE
        ),
        Token::Whitespace(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Period
        | Token::EOF => false,
        _ => true,
    }
}
