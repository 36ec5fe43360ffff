//! The key of a row as one text: what an address or a history names a row by.
//!
//! Values are joined by `~`. What would be mistaken for the joint, or for a part of an address, is
//! percent-encoded; everything else stands as it is, so that a person can read it. Whoever puts a
//! key into an address encodes it once more, like any text.

const JOINT: char = '~';

/// The key's values, in the contract's order, as one text.
pub fn join<T: AsRef<str>>(values: &[T]) -> String {
    let mut key = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            key.push(JOINT);
        }
        for character in value.as_ref().chars() {
            match character {
                JOINT | '%' | '/' | '?' | '#' => push_encoded(&mut key, character),
                c if c.is_control() || c.is_whitespace() => push_encoded(&mut key, c),
                c => key.push(c),
            }
        }
    }
    key
}

fn push_encoded(key: &mut String, character: char) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut buffer = [0; 4];
    for byte in character.encode_utf8(&mut buffer).bytes() {
        key.push('%');
        key.push(char::from(DIGITS[usize::from(byte >> 4)]));
        key.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The values of a key of so many fields; `None` where the text is none.
pub fn split(key: &str, fields: usize) -> Option<Vec<String>> {
    // One value needs no joint, so a text that somebody typed may have one in it.
    let parts: Vec<&str> = if fields == 1 { vec![key] } else { key.split(JOINT).collect() };
    let values: Vec<String> = parts.iter().map(|part| decoded(part)).collect::<Option<_>>()?;
    (values.len() == fields && fields > 0).then_some(values)
}

fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (pair, after) = rest.split_at_checked(2)?;
        pair.iter().all(u8::is_ascii_hexdigit).then_some(())?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_whatever_is_in_them() {
        for values in [
            vec!["a~b/c %", "草堂寺"],
            vec!["", "?#"],
            vec!["51010400 1"],
            vec!["1号线:a@(b)", "é%41"],
        ] {
            let key = join(&values);
            assert!(!key.contains([' ', '/', '?', '#']), "{key}");
            assert_eq!(split(&key, values.len()).unwrap(), values, "{key}");
        }
        assert_eq!(join(&["草堂寺", "2024-01-31T16:00:00Z"]), "草堂寺~2024-01-31T16:00:00Z");
    }

    #[test]
    fn what_is_no_key_is_none() {
        assert_eq!(split("a~b", 3), None);
        assert_eq!(split("a%2", 1), None);
        assert_eq!(split("a%zz", 1), None);
        assert_eq!(split("a%+1", 1), None);
        assert_eq!(split("%FF", 1), None);
        assert_eq!(split("a~b", 1).unwrap(), ["a~b"]);
    }
}
