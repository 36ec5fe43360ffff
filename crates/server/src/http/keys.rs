//! Keys of objects in addresses: the fields of a key joined by `~`, each percent-encoded.

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Characters that stand for themselves in a key (RFC 3986's unreserved ones, but for `~`).
fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

pub fn join(parts: &[String]) -> String {
    let mut key = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            key.push('~');
        }
        for byte in part.bytes() {
            if plain(byte) {
                key.push(char::from(byte));
            } else {
                key.push('%');
                key.push(char::from(HEX[usize::from(byte >> 4)]));
                key.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    key
}

/// The parts of a key as it stands in an address, not decoded yet; `None` where it is none.
pub fn split(key: &str) -> Option<Vec<String>> {
    key.split('~').map(decode).collect()
}

fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_whatever_is_in_it() {
        for parts in [&["S-0001"][..], &["1号线", "12"], &["a~b", "c%d", ""], &["a/b?c#d", "é 1"]]
        {
            let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            let key = join(&parts);
            assert!(key.bytes().all(|byte| plain(byte) || matches!(byte, b'%' | b'~')), "{key}");
            assert_eq!(split(&key), Some(parts));
        }
        assert_eq!(join(&["1号线".into(), "12".into()]), "1%E5%8F%B7%E7%BA%BF~12");
        assert_eq!(split("%"), None);
        assert_eq!(split("%zz"), None);
        assert_eq!(split("%ff"), None, "not UTF-8");
    }
}
