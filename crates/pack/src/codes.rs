//! Official codes and their checksums: enterprises and organisations (GB 32100), people
//! (GB 11643), areas (GB/T 2260 with the statistics bureau's street and community digits).
//!
//! Pure functions over text. Knows no register: a code that passes here is well formed, not
//! necessarily given out.

use chrono::NaiveDate;

/// Digits of a full area code: province 2, city 2, district 2, street 3, community 3.
pub const AREA_CODE_DIGITS: usize = 12;

/// Where an official area code may end: province, city, district, street, community.
const AREA_CODE_STEPS: [usize; 5] = [2, 4, 6, 9, 12];

/// GB 32100-2015, table 1: digits and capitals without I, O, S, V, Z, which are easily misread.
const CREDIT_CODE_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

const CREDIT_CODE_CHARS: usize = 18;

/// GB 32100-2015, 5.2: 3^(i-1) mod 31 for i = 1 … 17.
const CREDIT_CODE_WEIGHTS: [usize; 17] =
    [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];

const IDENTITY_NUMBER_CHARS: usize = 18;

/// GB 11643-1999, ISO 7064 MOD 11-2: 2^(18-i) mod 11 for i = 1 … 17.
const IDENTITY_NUMBER_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/// GB 11643-1999: the check character for each remainder of 11.
const IDENTITY_NUMBER_CHECKS: &[u8; 11] = b"10X98765432";

/// The check character that the first 17 characters of a unified social credit code call for, or
/// `None` where one of them cannot stand in such a code or there are fewer.
pub fn credit_code_check(code: &str) -> Option<char> {
    let body = code.as_bytes().get(..CREDIT_CODE_WEIGHTS.len())?;
    let mut sum = 0;
    for (byte, weight) in body.iter().zip(CREDIT_CODE_WEIGHTS) {
        sum += weight * CREDIT_CODE_ALPHABET.iter().position(|known| known == byte)?;
    }
    let modulus = CREDIT_CODE_ALPHABET.len();
    Some(char::from(CREDIT_CODE_ALPHABET[(modulus - sum % modulus) % modulus]))
}

/// Whether a text is a unified social credit code with the right checksum (GB 32100-2015).
pub fn valid_credit_code(code: &str) -> bool {
    code.len() == CREDIT_CODE_CHARS
        && code.is_ascii()
        && credit_code_check(code) == code.chars().next_back()
}

/// Whether a text is an identity number with a real birth date and the right checksum
/// (GB 11643-1999). The check character may be `X` only as a capital.
pub fn valid_identity_number(number: &str) -> bool {
    let bytes = number.as_bytes();
    if bytes.len() != IDENTITY_NUMBER_CHARS || !bytes[..17].iter().all(u8::is_ascii_digit) {
        return false;
    }
    if NaiveDate::parse_from_str(&number[6..14], "%Y%m%d").is_err() {
        return false;
    }
    let sum: u32 =
        bytes.iter().zip(IDENTITY_NUMBER_WEIGHTS).map(|(b, w)| u32::from(b - b'0') * w).sum();
    IDENTITY_NUMBER_CHECKS[(sum % 11) as usize] == bytes[17]
}

/// An official area code in its full 12 digits, from any form in which files carry it: 2, 4, 6,
/// 9 or 12 digits, perhaps read as a number (`510104.0`). `None` where it is no area code.
pub fn area_code(text: &str) -> Option<String> {
    let digits = text.trim();
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    let known = AREA_CODE_STEPS.contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    known.then(|| format!("{digits:0<AREA_CODE_DIGITS$}"))
}

/// Whether a text is an area code in the form in which it is stored: 12 digits, or more for the
/// grids below a community.
pub fn valid_area_code(code: &str) -> bool {
    code.len() >= AREA_CODE_DIGITS
        && !code.starts_with('0')
        && code.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits that every area below this one begins with: `510104000000` gives `510104`. Grids,
/// longer than 12 digits, are their own prefix.
pub fn area_prefix(code: &str) -> &str {
    if code.len() != AREA_CODE_DIGITS {
        return code;
    }
    let end = AREA_CODE_STEPS
        .into_iter()
        .find(|&step| code.as_bytes()[step..].iter().all(|&byte| byte == b'0'))
        .unwrap_or(AREA_CODE_DIGITS);
    &code[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_codes_are_checked_to_the_last_character() {
        // Tencent's and Alibaba's published codes.
        assert!(valid_credit_code("9144030071526726XG"));
        assert!(valid_credit_code("91330100799655058B"));
        assert!(!valid_credit_code("9144030071526726XH"));
        assert!(!valid_credit_code("9144030071526726X"));
        assert!(!valid_credit_code("9144030071526726xg"));
        assert!(!valid_credit_code("91440300I1526726XG"));
        assert!(!valid_credit_code("蜀锦蜀锦蜀锦"));
    }

    #[test]
    fn identity_numbers_are_checked_with_their_birth_date() {
        // The worked example of GB 11643-1999, annex A.
        assert!(valid_identity_number("11010519491231002X"));
        assert!(valid_identity_number("440524188001010014"));
        assert!(!valid_identity_number("11010519491231002x"));
        assert!(!valid_identity_number("110105194912310021"));
        assert!(!valid_identity_number("110105194913310021"));
        assert!(!valid_identity_number(""));
    }

    #[test]
    fn area_codes_are_padded_and_cut_back() {
        assert_eq!(area_code("510104.0").as_deref(), Some("510104000000"));
        assert_eq!(area_code("510104017").as_deref(), Some("510104017000"));
        assert_eq!(area_code("51010"), None);
        assert_eq!(area_code("成都"), None);
        assert_eq!(area_prefix("510000000000"), "51");
        assert_eq!(area_prefix("510100000000"), "5101");
        assert_eq!(area_prefix("510104000000"), "510104");
        assert_eq!(area_prefix("510104017000"), "510104017");
        assert_eq!(area_prefix("510104017001"), "510104017001");
        assert_eq!(area_prefix("51010401700103"), "51010401700103");
        assert_eq!(area_prefix(""), "");
    }
}
