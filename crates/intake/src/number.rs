//! Numbers as files write them.
//!
//! The fast paths read plain ASCII decimals straight from the bytes. What they refuse goes to
//! [`decimal`], which knows full-width digits, thousands separators, 万 and 亿, percent signs,
//! currency signs and Chinese numerals. Both are exact: a decimal is kept as digits and a power of
//! ten until the target type is known.

use super::text::half_width;

/// Powers of ten that an `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// So many digits are exact in an `f64` (10^15 < 2^53).
const EXACT_DIGITS: usize = 15;
/// So many digits always fit an `i64`.
const INTEGER_DIGITS: usize = 18;
/// Longer texts are no number.
const NUMBER_BYTES_MAX: usize = 64;
/// The power of ten of one part in a hundred.
const PERCENT: i32 = 2;
/// Powers of ten beyond which nothing that a city counts lies.
const EXPONENT_MAX: i32 = 400;

/// A plain ASCII integer. `None`: ask [`decimal`].
#[inline]
pub fn fast_integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes.first()? {
        b'-' => (true, &bytes[1..]),
        _ => (false, bytes),
    };
    if digits.is_empty() || digits.len() > INTEGER_DIGITS {
        return None;
    }
    let mut value = 0i64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// A plain ASCII decimal of at most 15 digits: mantissa and power of ten are both exact, so that
/// one division rounds correctly (Clinger 1990). `None`: ask [`decimal`].
#[inline]
pub fn fast_float(bytes: &[u8]) -> Option<f64> {
    let (negative, digits) = match bytes.first()? {
        b'-' => (true, &bytes[1..]),
        _ => (false, bytes),
    };
    if digits.len() > EXACT_DIGITS + 1 {
        return None;
    }
    let mut mantissa = 0u64;
    let mut count = 0usize;
    let mut decimals = None;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + u64::from(digit);
            count += 1;
        } else if byte == b'.' && decimals.is_none() {
            decimals = Some(count);
        } else {
            return None;
        }
    }
    if count == 0 || count > EXACT_DIGITS {
        return None;
    }
    let value = mantissa as f64 / POWERS[decimals.map_or(0, |before| count - before)];
    Some(if negative { -value } else { value })
}

/// A decimal number: `digits × 10^exponent`, and whether a percent sign stood behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    digits: i128,
    exponent: i32,
    /// 2 for %, 3 for ‰, 0 for neither.
    parts_of: i32,
}

impl Decimal {
    fn plain(digits: i128, exponent: i32) -> Self {
        Self { digits, exponent, parts_of: 0 }
    }

    /// The nearest `f64`. In a field whose unit is percent, 12.5% is 12.5 and 5‰ is 0.5.
    pub fn to_f64(self, in_percent: bool) -> Option<f64> {
        let kept = if in_percent && self.parts_of > 0 { PERCENT } else { 0 };
        let exponent = self.exponent - self.parts_of + kept;
        let value: f64 = format!("{}e{exponent}", self.digits).parse().ok()?;
        value.is_finite().then_some(value)
    }

    /// Whether it is a share of something: not what an amount of money is.
    pub fn is_share(self) -> bool {
        self.parts_of > 0
    }

    /// `self × 10^scale` where that is an integer: 0 for counts, 2 for cents.
    pub fn to_scaled(self, scale: i32) -> Option<i64> {
        let (mut digits, mut exponent) = (self.digits, self.exponent - self.parts_of + scale);
        if digits == 0 {
            return Some(0);
        }
        while exponent < 0 && digits % 10 == 0 {
            digits /= 10;
            exponent += 1;
        }
        if exponent < 0 {
            return None;
        }
        let factor = 10i128.checked_pow(u32::try_from(exponent).ok()?)?;
        i64::try_from(digits.checked_mul(factor)?).ok()
    }
}

/// Any way to write a number that we know; `None` where it is none.
pub fn decimal(text: &str) -> Option<Decimal> {
    if text.len() > NUMBER_BYTES_MAX {
        return None;
    }
    let text = half_width(text);
    let text = text.trim();
    let text = text.strip_prefix(['¥', '$', '€']).map_or(text, str::trim_start);
    let (text, parts_of) = percent(text);
    let text = text.strip_suffix('元').unwrap_or(text).trim_end();
    let (negative, text) = match text.strip_prefix(['-', '−', '负']) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut value = western(text).or_else(|| chinese(text))?;
    if negative {
        value.digits = -value.digits;
    }
    value.parts_of = parts_of;
    Some(value)
}

/// Takes off a percent or per-mille sign, 百分之 and 千分之 among them.
fn percent(text: &str) -> (&str, i32) {
    const SIGNS: [(&str, i32); 2] = [("%", PERCENT), ("‰", 3)];
    const WORDS: [(&str, i32); 2] = [("百分之", PERCENT), ("千分之", 3)];
    for (sign, parts) in SIGNS {
        if let Some(rest) = text.strip_suffix(sign) {
            return (rest.trim_end(), parts);
        }
    }
    for (word, parts) in WORDS {
        if let Some(rest) = text.strip_prefix(word) {
            return (rest, parts);
        }
    }
    (text, 0)
}

/// Digits with a point, thousands separators, an exponent, and 千, 万, 亿, 万亿 behind.
fn western(text: &str) -> Option<Decimal> {
    const UNITS: [(&str, i32); 5] = [("万亿", 12), ("亿", 8), ("千万", 7), ("万", 4), ("千", 3)];
    let (text, unit) = UNITS
        .iter()
        .find_map(|(unit, power)| Some((text.strip_suffix(unit)?.trim_end(), *power)))
        .unwrap_or((text, 0));
    let (text, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
        None => (text, 0),
    };
    if power.abs() > EXPONENT_MAX {
        return None;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut digits = 0i128;
    let groups: Vec<&str> = whole.split(',').collect();
    let grouped = groups.len() > 1;
    for (at, group) in groups.iter().enumerate() {
        let fits = match (grouped, at) {
            (false, _) => true,
            (true, 0) => (1..=3).contains(&group.len()),
            (true, _) => group.len() == 3,
        };
        if !fits {
            return None;
        }
        digits = push_digits(digits, group)?;
    }
    digits = push_digits(digits, fraction)?;
    Some(Decimal::plain(digits, unit + power - i32::try_from(fraction.len()).ok()?))
}

fn push_digits(before: i128, text: &str) -> Option<i128> {
    text.bytes().try_fold(before, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(i128::from(digit))
    })
}

/// 一百二十三, 十五, 两万三, 一点五亿, 二〇二四; the formal 壹贰叁 too.
fn chinese(text: &str) -> Option<Decimal> {
    let (body, unit) = match text.strip_suffix("亿") {
        Some(rest) if rest.contains('点') => (rest, 8),
        _ => match text.strip_suffix('万') {
            Some(rest) if rest.contains('点') => (rest, 4),
            _ => (text, 0),
        },
    };
    let (whole, fraction) = body.split_once('点').unwrap_or((body, ""));
    if body.contains('点') && fraction.is_empty() {
        return None;
    }
    let mut digits = chinese_integer(whole)?;
    let mut decimals = 0;
    for character in fraction.chars() {
        digits = digits.checked_mul(10)?.checked_add(chinese_digit(character)?)?;
        decimals += 1;
    }
    Some(Decimal::plain(digits, unit - decimals))
}

/// Reads 千, 百, 十 within a section, and sections by 万 and 亿. Texts of digits alone are read
/// digit by digit, as years and numbers of houses are written. Units fall within a section and
/// from section to section, and each but 十 has a digit before it: 万元 alone is no number.
fn chinese_integer(text: &str) -> Option<i128> {
    if text.is_empty() {
        return None;
    }
    if text.chars().all(|character| chinese_digit(character).is_some()) {
        return text.chars().try_fold(0i128, |value, character| {
            value.checked_mul(10)?.checked_add(chinese_digit(character)?)
        });
    }
    // What lies above 亿, above 万, and below; `None`: there is nothing.
    let (mut high, mut middle, mut section) = (None::<i128>, None::<i128>, None::<i128>);
    let (mut digit, mut last_unit) = (None, i128::MAX);
    let mut after_zero = false;
    for character in text.chars() {
        if let Some(value) = chinese_digit(character) {
            if digit.is_some_and(|before| before != 0) {
                return None;
            }
            digit = Some(value);
            after_zero |= value == 0;
            continue;
        }
        let unit: i128 = match character {
            '十' | '拾' => 10,
            '百' | '佰' => 100,
            '千' | '仟' => 1000,
            '万' | '萬' => 10_000,
            '亿' | '億' => 100_000_000,
            _ => return None,
        };
        let given = digit.take().filter(|value| *value != 0);
        if unit < 10_000 {
            let factor = given.or((unit == 10).then_some(1))?;
            if unit >= last_unit {
                return None;
            }
            section = Some(section.unwrap_or(0) + factor * unit);
            last_unit = unit;
        } else {
            section = match (section, given) {
                (None, given) => given,
                (section, given) => Some(section.unwrap_or(0) + given.unwrap_or(0)),
            };
            if unit == 10_000 {
                if middle.is_some() {
                    return None;
                }
                middle = Some(section.take()?.checked_mul(unit)?);
            } else {
                if high.is_some() || (middle.is_none() && section.is_none()) {
                    return None;
                }
                let above = middle.take().unwrap_or(0).checked_add(section.take().unwrap_or(0))?;
                high = Some(above.checked_mul(unit)?);
            }
            last_unit = unit;
        }
        after_zero = false;
    }
    // A lone digit after a unit counts the next unit down: 两万三 is 23 000. After 零 it is ones.
    let next = if last_unit >= 100 && !after_zero { last_unit / 10 } else { 1 };
    let tail = digit.unwrap_or(0) * next;
    let sections = [high, middle, section].into_iter().map(|value| value.unwrap_or(0));
    sections.chain([tail]).try_fold(0i128, i128::checked_add)
}

fn chinese_digit(character: char) -> Option<i128> {
    Some(match character {
        '零' | '〇' | '○' => 0,
        '一' | '壹' => 1,
        '二' | '贰' | '两' => 2,
        '三' | '叁' => 3,
        '四' | '肆' => 4,
        '五' | '伍' => 5,
        '六' | '陆' => 6,
        '七' | '柒' => 7,
        '八' | '捌' => 8,
        '九' | '玖' => 9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(text: &str) -> Option<f64> {
        fast_float(text.as_bytes()).or_else(|| decimal(text)?.to_f64(false))
    }

    fn integer(text: &str) -> Option<i64> {
        fast_integer(text.as_bytes()).or_else(|| decimal(text)?.to_scaled(0))
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, expect) in [
            ("1234.5", 1234.5),
            ("1,234.5", 1234.5),
            ("１，２３４．５", 1234.5),
            ("-0.5", -0.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("3.5万", 35_000.0),
            ("1.2亿", 120_000_000.0),
            ("2万亿", 2e12),
            ("12.5%", 0.125),
            ("百分之十二", 0.12),
            ("5‰", 0.005),
            ("千分之五", 0.005),
            ("一百二十三", 123.0),
            ("一点五亿", 1.5e8),
            ("负三", -3.0),
            ("1e-3", 0.001),
            ("¥1,000.00", 1000.0),
            ("3万元", 30_000.0),
            ("0.1", 0.1),
            ("123456789012345678", 123_456_789_012_345_678.0),
        ] {
            assert_eq!(float(text), Some(expect), "{text}");
        }
    }

    #[test]
    fn chinese_numerals() {
        for (text, expect) in [
            ("十五", 15),
            ("二十", 20),
            ("一百零五", 105),
            ("一百一十", 110),
            ("三千五百万", 35_000_000),
            ("两万三", 23_000),
            ("一万零三", 10_003),
            ("二〇二四", 2024),
            ("一亿二千万", 120_000_000),
            ("一万亿", 1_000_000_000_000),
            ("一百二十万三千", 1_203_000),
            ("一亿零五", 100_000_005),
            ("二万五千三", 25_300),
            ("一百二", 120),
            ("一百十五", 115),
            ("三万零五十", 30_050),
            ("壹佰贰拾叁", 123),
            ("２０２４", 2024),
            ("12.0", 12),
            ("3.5万", 35_000),
        ] {
            assert_eq!(integer(text), Some(expect), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1,23",
            "12,34.5",
            "1.2.3",
            "abc",
            "一二百",
            "点五",
            "nan",
            "inf",
            "1e999",
            "--1",
            // A unit is no number, nor are units in an order that no number has.
            "万",
            "亿",
            "千万",
            "万元",
            "百",
            "一万一万",
            "一亿二亿",
            "三十百",
            "二千三千",
            "零万",
        ] {
            assert_eq!(float(text), None, "{text}");
        }
        assert_eq!(integer("12.5"), None);
        assert_eq!(integer("9223372036854775808"), None);
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
    }

    #[test]
    fn shares_are_read_in_the_unit_of_their_field() {
        let read = |text| decimal(text).and_then(|value| value.to_f64(true));
        for (text, percent) in [("12.5%", 12.5), ("12.5", 12.5), ("5‰", 0.5), ("百分之三", 3.0)]
        {
            assert_eq!(read(text), Some(percent), "{text}");
        }
    }

    #[test]
    fn money_is_exact_in_cents() {
        assert_eq!(decimal("1,234.56元").and_then(|value| value.to_scaled(2)), Some(123_456));
        assert_eq!(decimal("0.1").and_then(|value| value.to_scaled(2)), Some(10));
        assert_eq!(decimal("0.001").and_then(|value| value.to_scaled(2)), None);
    }

    proptest::proptest! {
        #[test]
        fn the_fast_float_is_the_standard_float(
            whole in 0u64..1_000_000_000, fraction in "[0-9]{0,6}", negative: bool,
        ) {
            let text = format!("{}{whole}.{fraction}", if negative { "-" } else { "" });
            let expect: f64 = text.parse().expect("a decimal");
            proptest::prop_assert_eq!(fast_float(text.as_bytes()), Some(expect));
        }

        #[test]
        fn the_lenient_number_never_panics(text in "\\PC{0,40}") {
            let _ = decimal(&text).map(|value| (value.to_f64(true), value.to_scaled(2)));
        }
    }
}
