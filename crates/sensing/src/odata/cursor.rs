//! A place in a text that moves forward: what the parsers of this folder share.
//!
//! Knows characters, words and quotes; knows nothing of entities or operators.

use super::ast::Spanned;
use super::error::{ParseError, Result, Span, quote};

#[derive(Debug)]
pub(super) struct Cursor<'a> {
    /// Which text this is, for errors: `path`, `$filter`.
    part: &'a str,
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(part: &'a str, text: &'a str) -> Self {
        Self { part, text, at: 0 }
    }

    /// Over a part of the text: what comes before counts for places, what comes after is not there.
    pub fn within(part: &'a str, text: &'a str, span: Span) -> Self {
        Self { part, text: &text[..span.end], at: span.start }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn here(&self) -> Span {
        Span::new(self.at, self.at)
    }

    pub fn since(&self, start: usize) -> Span {
        Span::new(start, self.at)
    }

    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub fn slice(&self, span: Span) -> &'a str {
        &self.text[span.start..span.end]
    }

    pub fn is_done(&self) -> bool {
        self.at == self.text.len()
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    /// Back to a place where the cursor has been.
    pub fn rewind(&mut self, at: usize) {
        debug_assert!(at <= self.at && self.text.is_char_boundary(at));
        self.at = at;
    }

    pub fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    pub fn eat(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    /// Takes the character, with space around it, or says what stands there instead.
    pub fn expect(&mut self, expected: char, what: &str) -> Result<()> {
        self.skip_space();
        if !self.eat(expected) {
            return Err(self.unexpected(what, format!("`{expected}`")));
        }
        self.skip_space();
        Ok(())
    }

    /// Takes the character with space around it, if it stands there.
    pub fn eat_separator(&mut self, separator: char) -> bool {
        self.skip_space();
        let eaten = self.eat(separator);
        if eaten {
            self.skip_space();
        }
        eaten
    }

    pub fn take_while(&mut self, mut wanted: impl FnMut(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// A name of the language or of the model: `result`, `geo.distance`, `@iot.id`. `None` where
    /// none begins here.
    pub fn word(&mut self) -> Option<Spanned<&'a str>> {
        let begins = |c: char| c.is_alphabetic() || c == '_' || c == '@';
        if !self.peek().is_some_and(begins) {
            return None;
        }
        let start = self.at;
        let word = self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '@' | '.'));
        Some(Spanned::new(word, self.since(start)))
    }

    /// The word that comes next, not taken.
    pub fn peek_word(&mut self) -> Option<Spanned<&'a str>> {
        let start = self.at;
        let word = self.word();
        self.at = start;
        word
    }

    /// The name of a member of JSON: what a word may hold, dashes and colons, at the start a digit.
    pub fn key(&mut self) -> Option<Spanned<&'a str>> {
        let start = self.at;
        let key =
            self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '-' | ':'));
        (!key.is_empty()).then(|| Spanned::new(key, self.since(start)))
    }

    /// A text in single quotes, in which a doubled quote stands for one. Begins at a quote.
    pub fn quoted(&mut self) -> Result<Spanned<String>> {
        let start = self.at;
        debug_assert_eq!(self.peek(), Some('\''));
        self.eat('\'');
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != '\''));
            if !self.eat('\'') {
                let fault = self.error(self.since(start), "a text has no end");
                return Err(fault
                    .expected("a closing `'`")
                    .found("the end")
                    .hint("a quote inside a text is written twice: `''`"));
            }
            if !self.eat('\'') {
                return Ok(Spanned::new(text, self.since(start)));
            }
            text.push('\'');
        }
    }

    pub fn error(&self, span: Span, what: impl Into<String>) -> Box<ParseError> {
        ParseError::new(self.part, self.text, span, what)
    }

    /// Something else stands here than what must.
    pub fn unexpected(&mut self, what: &str, expected: impl Into<String>) -> Box<ParseError> {
        let start = self.at;
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some('\'') => "a text".to_owned(),
            Some(_) => match self.key() {
                Some(word) => quote(word.value),
                None => quote(&self.rest()[..self.peek().map_or(0, char::len_utf8)]),
            },
        };
        let span = if self.at > start { self.since(start) } else { self.here() };
        self.at = start;
        self.error(span, what).expected(expected).found(found)
    }

    /// The text must have been read to its end.
    pub fn finish(&mut self, expected: &str) -> Result<()> {
        self.skip_space();
        if self.is_done() { Ok(()) } else { Err(self.unexpected("cannot read on", expected)) }
    }
}
