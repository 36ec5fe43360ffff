//! Percent-encoding, and what a plus sign means.
//!
//! RFC 3986 knows no special plus; HTML forms write a space so, and clients are split: Python's
//! `urlencode` and `furl`, on which FROST's client stands, send `result+gt+5`, others send
//! `2020-01-01T00:00:00+02:00` as it is. Both are understood: in a query a `+` is a space, except
//! between a digit and an offset (`00+02:00`) and in an exponent (`1e+5`), where no expression can
//! have a space. A plus inside a text has to be written `%2B`. In a path a plus is a plus.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::error::{ParseError, Result, Span};

/// What may not stand in the value of a query option, or would mean something else there.
const IN_QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// What may not stand in one step of a path.
const IN_PATH: &AsciiSet = &IN_QUERY.add(b'/').add(b'?');

pub(super) fn encode_query(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, IN_QUERY)
}

pub(super) fn encode_path(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, IN_PATH)
}

/// Decodes a step of a path.
pub(super) fn decode_path(part: &str, raw: &str, span: Span) -> Result<String> {
    decode(part, raw, span, raw[span.start..span.end].into())
}

/// Decodes the name or the value of a query option.
pub(super) fn decode_query(part: &str, raw: &str, span: Span) -> Result<String> {
    decode(part, raw, span, plus_to_space(&raw[span.start..span.end]))
}

fn decode(part: &str, raw: &str, span: Span, text: Cow<'_, str>) -> Result<String> {
    let escapes = text.match_indices('%');
    let hexadecimal = |at: usize| {
        text.as_bytes()
            .get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if let Some((at, _)) = escapes.into_iter().find(|(at, _)| !hexadecimal(*at)) {
        let at = Span::new(span.start + at, span.start + at + 1);
        let fault = ParseError::new(part, raw, at, "a `%` that encodes nothing");
        return Err(fault.expected("two hexadecimal digits").hint("a `%` itself is `%25`"));
    }
    let decoded = percent_decode_str(&text).decode_utf8();
    decoded
        .map(Cow::into_owned)
        .map_err(|_| ParseError::new(part, raw, span, "percent-encoded bytes that are not UTF-8"))
}

/// A plus stays one byte, so places in the text stay as they were.
fn plus_to_space(text: &str) -> Cow<'_, str> {
    if !text.contains('+') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let decoded = text.char_indices().map(|(at, c)| match c {
        '+' if !is_plus(&bytes[..at], &bytes[at + 1..]) => ' ',
        other => other,
    });
    Cow::Owned(decoded.collect())
}

/// Does a plus between these belong to a number or a time?
fn is_plus(before: &[u8], after: &[u8]) -> bool {
    let exponent = matches!(before, [.., digit, b'e' | b'E'] if digit.is_ascii_digit())
        && after.first().is_some_and(u8::is_ascii_digit);
    let offset = before.last().is_some_and(u8::is_ascii_digit)
        && matches!(after, [a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit())
        && (after.get(2) == Some(&b':')
            || after.get(2..5).is_some_and(|colon| colon.eq_ignore_ascii_case(b"%3A")));
    exponent || offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(raw: &str) -> String {
        decode_query("query", raw, Span::new(0, raw.len())).unwrap()
    }

    #[test]
    fn a_plus_is_a_space_except_in_times_and_numbers() {
        assert_eq!(decoded("result+gt+5"), "result gt 5");
        assert_eq!(decoded("t+le+2020-01-01T00:00:00+02:00"), "t le 2020-01-01T00:00:00+02:00");
        assert_eq!(decoded("2020-01-01T00%3A00%3A00+02%3A00"), "2020-01-01T00:00:00+02:00");
        assert_eq!(decoded("2020-01-01T00:00:00.5+02:00"), "2020-01-01T00:00:00.5+02:00");
        assert_eq!(decoded("result+lt+1e+5"), "result lt 1e+5");
        assert_eq!(decoded("name+eq+'a%2Bb'"), "name eq 'a+b'");
        assert_eq!(decoded("result+eq+5+and+result+eq+2"), "result eq 5 and result eq 2");
    }

    #[test]
    fn what_is_no_encoding_is_refused() {
        for raw in ["%", "%2", "%zz", "a%+5"] {
            assert!(decode_query("query", raw, Span::new(0, raw.len())).is_err(), "{raw}");
        }
        let fault = decode_path("path", "%ff", Span::new(0, 3)).unwrap_err();
        assert!(fault.what.contains("UTF-8"));
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let text = "name eq 'a+b & c%d #蜀锦'";
        assert_eq!(decoded(&encode_query(text).to_string()), text);
    }
}
