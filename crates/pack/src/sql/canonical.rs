//! JSON written so that equal values are equal texts: members in the order of their names, the
//! last of two that have the same, texts with no more escapes than they need, no spaces.
//!
//! Like RFC 8785, but for numbers: they are decimals of any length, not doubles, so that two that
//! differ in the last of twenty digits do not become one. They are laid out as ECMAScript does.

use std::collections::BTreeMap;

use super::json::{DEPTH_MAX, text_of};

/// An exponent beyond these is of no number that anybody meant.
const EXPONENT_MAX: u64 = 1_000_000_000;

/// Where the decimal point of a number written without an exponent may stand: ECMAScript's
/// bounds (ECMA-262, 6.1.6.1.20), 0.000001 to 21 digits.
const PLAIN_POINTS: std::ops::RangeInclusive<i64> = -5..=21;

/// Digits that have no other form, whatever they are.
const PLAIN_DIGITS_MAX: usize = 21;

/// The value anew. Null where it is nested too deep, has a text with half a surrogate pair or a
/// number of an absurd size.
///
/// It reads JSON that is known to be some; of other text the answer means nothing.
pub(super) fn canonical(json: &str) -> Option<String> {
    let mut out = String::with_capacity(json.len());
    Reader { rest: json }.value(&mut out, 0)?;
    Some(out)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self, out: &mut String, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.space();
        match self.rest.as_bytes().first()? {
            b'{' => self.object(out, depth),
            b'[' => self.array(out, depth),
            b'"' => {
                push_text(out, &text_of(self.string()?)?);
                Some(())
            }
            b't' | b'f' | b'n' => {
                out.push_str(self.take_while(|byte| byte.is_ascii_lowercase()));
                Some(())
            }
            _ => {
                let of_number =
                    |byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                push_number(out, self.take_while(of_number))
            }
        }
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Option<()> {
        self.eat('[')?;
        out.push('[');
        if self.eat(']').is_none() {
            loop {
                self.value(out, depth + 1)?;
                if self.eat(']').is_some() {
                    break;
                }
                self.eat(',')?;
                out.push(',');
            }
        }
        out.push(']');
        Some(())
    }

    fn object(&mut self, out: &mut String, depth: usize) -> Option<()> {
        let mut members = BTreeMap::new();
        self.eat('{')?;
        if self.eat('}').is_none() {
            loop {
                self.space();
                let name = text_of(self.string()?)?;
                self.eat(':')?;
                let mut value = String::new();
                self.value(&mut value, depth + 1)?;
                members.insert(name, value);
                if self.eat('}').is_some() {
                    break;
                }
                self.eat(',')?;
            }
        }
        out.push('{');
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_text(out, name);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        Some(())
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<&'a str> {
        let bytes = self.rest.as_bytes();
        let mut end = 1;
        loop {
            match bytes.get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        Some(self.take(end + 1))
    }

    fn take_while(&mut self, of: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(|byte| !of(byte));
        self.take(end.unwrap_or(self.rest.len()))
    }

    fn take(&mut self, end: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn eat(&mut self, character: char) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(character)?;
        Some(())
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\r', '\t']);
    }
}

fn push_text(out: &mut String, text: &str) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("every text is a JSON string"));
    }
}

/// Of a number as JSON spells it: the same value in its one form.
fn push_number(out: &mut String, number: &str) -> Option<()> {
    if number.len() <= PLAIN_DIGITS_MAX && number.bytes().all(|byte| byte.is_ascii_digit()) {
        out.push_str(number);
        return Some(());
    }
    let (minus, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    if exponent.unsigned_abs() > EXPONENT_MAX {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let zeros = digits.len() - significant.len();
    // The value is 0.significant × 10^point.
    let point = signed(whole.len())? - signed(zeros)? + exponent;
    let significant = significant.trim_end_matches('0');
    if significant.is_empty() {
        out.push('0');
        return Some(());
    }
    if minus {
        out.push('-');
    }
    lay_out(out, significant, point)
}

/// Writes 0.digits × 10^point. What came without an exponent never becomes longer: it gets one
/// only where that is shorter.
fn lay_out(out: &mut String, digits: &str, point: i64) -> Option<()> {
    let count = signed(digits.len())?;
    let exponent = (point - 1).to_string();
    let length_plain = match point {
        ..=0 => 2 - point + count,
        _ if point < count => count + 1,
        _ => point,
    };
    let length_short = count + i64::from(count > 1) + 1 + signed(exponent.len())?;
    if !PLAIN_POINTS.contains(&point) && length_short < length_plain {
        let (first, others) = digits.split_at(1);
        out.push_str(first);
        if !others.is_empty() {
            out.push('.');
            out.push_str(others);
        }
        out.push('e');
        out.push_str(&exponent);
        return Some(());
    }
    let zeros = |count: i64| usize::try_from(count).ok().map(|count| "0".repeat(count));
    if point <= 0 {
        out.push_str("0.");
        out.push_str(&zeros(-point)?);
        out.push_str(digits);
    } else if point < count {
        let (whole, fraction) = digits.split_at(usize::try_from(point).ok()?);
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    } else {
        out.push_str(digits);
        out.push_str(&zeros(point - count)?);
    }
    Some(())
}

fn signed(length: usize) -> Option<i64> {
    i64::try_from(length).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn check(json: &str, expected: &str) {
        let written = canonical(json).unwrap();
        assert_eq!(written, expected, "{json}");
        assert_eq!(canonical(&written).as_deref(), Some(expected), "{json}: its own answer");
        assert!(serde_json::from_str::<&RawValue>(&written).is_ok(), "{json}");
    }

    #[test]
    fn members_are_in_order() {
        check(
            r#" { "b" : 1 , "a" : [ true , false , null ] } "#,
            r#"{"a":[true,false,null],"b":1}"#,
        );
        check(r#"{"锦":{},"a":[],"\u8700":"x","":0}"#, r#"{"":0,"a":[],"蜀":"x","锦":{}}"#);
        check(r#"{"a":1,"b":2,"\u0061":3}"#, r#"{"a":3,"b":2}"#);
        check(r#"[{"z":[{"y":1,"x":2}]}]"#, r#"[{"z":[{"x":2,"y":1}]}]"#);
        check("[ ]", "[]");
        check("{ }", "{}");
    }

    #[test]
    fn texts_have_one_form() {
        check(r#""\u8700\/\u0041""#, r#""蜀/A""#);
        check(r#""\"\\\b\f\n\r\t\u0001""#, r#""\"\\\b\f\n\r\t\u0001""#);
        check(r#""\u000a\u0022""#, r#""\n\"""#);
        check(r#"["a]}\\\",","b"]"#, r#"["a]}\\\",","b"]"#);
        assert_eq!(canonical(r#"["\ud800"]"#), None);
    }

    #[test]
    fn numbers_have_one_form() {
        for (number, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0e9", "0"),
            ("1", "1"),
            ("1.0", "1"),
            ("10E-1", "1"),
            ("-1.50", "-1.5"),
            ("1e3", "1000"),
            ("1000", "1000"),
            ("12.5e+01", "125"),
            ("0.001", "0.001"),
            ("1e-6", "0.000001"),
            ("0.0000001", "1e-7"),
            ("0.00000012", "1.2e-7"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e21"),
            ("1000000000000000000000", "1e21"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("9007199254740993", "9007199254740993"),
            ("-18446744073709551616", "-18446744073709551616"),
            ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
            ("1e400", "1e400"),
            ("-2.50E-400", "-2.5e-400"),
        ] {
            check(number, expected);
        }
        for number in ["1e9999999999", "1e-9999999999", "1e99999999999999999999999"] {
            assert_eq!(canonical(number), None, "{number}");
        }
    }

    #[test]
    fn numbers_without_an_exponent_do_not_grow() {
        for digits in 1..60 {
            for zeros in 0..60 {
                let (nines, noughts) = ("9".repeat(digits), "0".repeat(zeros));
                for number in [format!("{nines}{noughts}"), format!("0.{noughts}{nines}")] {
                    let written = canonical(&number).unwrap();
                    assert!(written.len() <= number.len(), "{number} became {written}");
                }
            }
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(DEPTH_MAX), &nested(DEPTH_MAX));
        assert_eq!(canonical(&nested(DEPTH_MAX + 1)), None);
        assert_eq!(canonical(&nested(1_000_000)), None);
    }
}
