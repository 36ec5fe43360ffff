//! Small text work shared by the parsers: full-width forms, trimming, showing what was found.

use std::borrow::Cow;

use crate::bounds::FOUND_CHARS_MAX;

/// Full-width ASCII (U+FF01–U+FF5E), the ideographic space and 。 for a point to half width.
pub fn half_width(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(half_width_char).collect())
}

fn half_width_char(character: char) -> char {
    const SHIFT: u32 = 0xFEE0;
    match character {
        '\u{FF01}'..='\u{FF5E}' => {
            char::from_u32(u32::from(character) - SHIFT).expect("maps into printable ASCII")
        }
        '\u{3000}' | '\u{00A0}' => ' ',
        '￥' => '¥',
        other => other,
    }
}

/// Without ASCII white space at the ends.
#[inline]
pub fn trim(bytes: &[u8]) -> &[u8] {
    match bytes {
        [first, .., last] if *first > b' ' && *last > b' ' => bytes,
        _ => bytes.trim_ascii(),
    }
}

/// A cell as a message shows it: quoted, cut, unreadable bytes replaced.
pub fn found(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(FOUND_CHARS_MAX * 4)]);
    let mut shown: String = text.chars().take(FOUND_CHARS_MAX).collect();
    if shown.len() < bytes.len() && text.chars().count() > FOUND_CHARS_MAX {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A header name by which columns and fields meet: half width, lower case, no spaces, hyphens or
/// underscores.
pub fn normal_name(name: &str) -> String {
    half_width(name)
        .chars()
        .filter(|character| {
            !character.is_whitespace() && !matches!(character, '-' | '_' | '\u{FEFF}')
        })
        .flat_map(char::to_lowercase)
        .collect()
}

/// The same without a trailing unit in brackets: `PM2.5 (µg/m³)`, `面积（平方公里）`, `temp[℃]`.
pub fn bare_name(name: &str) -> String {
    let normal = normal_name(name);
    for (open, close) in [('(', ')'), ('[', ']'), ('【', '】')] {
        if let Some(inner) = normal.strip_suffix(close)
            && let Some((bare, _)) = inner.rsplit_once(open)
            && !bare.is_empty()
        {
            return bare.to_owned();
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_meet() {
        assert_eq!(normal_name(" Observed_At "), normal_name("observedat"));
        assert_eq!(bare_name("ＰＭ２．５（μg/m³）"), bare_name("pm2.5"));
        assert_eq!(bare_name("面积(平方公里)"), "面积");
        assert_eq!(bare_name("(only)"), "(only)");
    }
}
