//! A simple-protocol message may hold several statements: this finds where each one is, so that
//! each is answered by itself and an error's position points into the text that was sent.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::fault::{Code, Fault, Position, parser_position};
use crate::limits::STATEMENTS_MAX;

/// One statement's text and the characters before it in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    pub sql: &'a str,
    pub offset_chars: usize,
}

/// Splits at semicolons outside quotes and comments; leaves out what is empty.
pub fn split(message: &str) -> Result<Vec<Part<'_>>, Fault> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, message).tokenize_with_location().map_err(
        |error| {
            let (reason, _) = parser_position(&error.to_string());
            let place = Position { line: error.location.line, column: error.location.column };
            Fault::new(Code::Syntax, reason).at(Some(place))
        },
    )?;
    let mut parts = Vec::new();
    let mut places = Places::new(message);
    let mut start: Option<(usize, usize)> = None;
    for token in &tokens {
        match token.token {
            Token::Whitespace(_) => {}
            Token::EOF => break,
            Token::SemiColon => {
                if let Some((byte, chars)) = start.take() {
                    let (end, _) = places.seek(token.span.start.line, token.span.start.column);
                    parts.push(Part { sql: &message[byte..end], offset_chars: chars });
                }
            }
            _ if start.is_none() => {
                start = Some(places.seek(token.span.start.line, token.span.start.column));
            }
            _ => {}
        }
        if parts.len() > STATEMENTS_MAX {
            let reason = format!("more than {STATEMENTS_MAX} statements in one message");
            return Err(Fault::new(Code::TooLarge, reason));
        }
    }
    if let Some((byte, chars)) = start {
        parts.push(Part { sql: message[byte..].trim_end(), offset_chars: chars });
    }
    Ok(parts)
}

/// Turns rising line-and-column places into offsets, reading the text once.
struct Places<'a> {
    rest: std::str::CharIndices<'a>,
    end: usize,
    line: u64,
    column: u64,
    chars: usize,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.char_indices(), end: text.len(), line: 1, column: 1, chars: 0 }
    }

    /// Bytes and characters before a place that is not before the last one asked for.
    fn seek(&mut self, line: u64, column: u64) -> (usize, usize) {
        while (self.line, self.column) < (line, column) {
            let Some((_, char)) = self.rest.next() else { break };
            self.chars += 1;
            if char == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        (self.rest.clone().next().map_or(self.end, |(byte, _)| byte), self.chars)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: &[(&str, usize)]) {
        let parts = split(message).unwrap();
        let found: Vec<_> = parts.iter().map(|part| (part.sql, part.offset_chars)).collect();
        assert_eq!(found, expected, "{message}");
    }

    #[test]
    fn semicolons_divide_only_outside_quotes_and_comments() {
        check("select 1", &[("select 1", 0)]);
        check("select 1;", &[("select 1", 0)]);
        check(" ; ;\n", &[]);
        check("select ';' ; select \"a;b\"", &[("select ';' ", 0), ("select \"a;b\"", 13)]);
        check("select $$a;b$$; -- c;d\nselect 2", &[("select $$a;b$$", 0), ("select 2", 23)]);
        check(
            "select '成都';\n  select /* ; */ 3;",
            &[("select '成都'", 0), ("select /* ; */ 3", 15)],
        );
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        let fault = split("select 1;\nselect 'open").unwrap_err();
        assert_eq!((fault.code, fault.position.map(|p| p.line)), (Code::Syntax, Some(2)));
        let many = "select 1;".repeat(STATEMENTS_MAX + 2);
        assert_eq!(split(&many).unwrap_err().code, Code::TooLarge);
    }
}
