//! Unified social credit codes (GB 32100-2015) of firms that do not exist: right in form and
//! checksum, with an organisation code (GB 11714-1997) of a block that nobody was given.

/// Digits and capitals without I, O, S, V, Z (GB 32100-2015, table 1).
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const ORGANISATION_CHARS: usize = 8;
/// GB 11714-1997, 3.3.
const ORGANISATION_WEIGHTS: [usize; ORGANISATION_CHARS] = [3, 7, 9, 10, 5, 8, 4, 2];

/// `form`: two characters for the registering authority and the kind; the district's code is cut
/// to six digits.
pub fn credit_code(form: &str, district: &str, prefix: &str, number: usize) -> String {
    let mut organisation = prefix.to_owned();
    let room = ORGANISATION_CHARS.saturating_sub(prefix.len());
    for place in (0..room).rev() {
        let step = ALPHABET.len().pow(crate::num::index(place));
        organisation.push(char::from(ALPHABET[number / step % ALPHABET.len()]));
    }
    let check = organisation_check(&organisation);
    let mut code = format!("{form}{}{organisation}{check}", &district[..6]);
    code.push(pack::codes::credit_code_check(&code).expect("the alphabet is the standard's"));
    code
}

fn organisation_check(organisation: &str) -> char {
    let value =
        |byte: u8| usize::from(if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' + 10 });
    let sum: usize =
        organisation.bytes().zip(ORGANISATION_WEIGHTS).map(|(byte, w)| value(byte) * w).sum();
    match 11 - sum % 11 {
        10 => 'X',
        11 => '0',
        digit => char::from(b'0' + u8::try_from(digit).expect("below ten")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_valid_and_apart() {
        // The example of GB 11714-1997, 3.3: D2143569 has the check character X.
        assert_eq!(organisation_check("D2143569"), 'X');
        let codes: Vec<String> =
            (0..2_000).map(|n| credit_code("91", "510104000000", "XX", n * 1_777)).collect();
        assert!(codes.iter().all(|code| pack::codes::valid_credit_code(code)));
        let apart: std::collections::BTreeSet<&String> = codes.iter().collect();
        assert_eq!(apart.len(), codes.len());
    }
}
