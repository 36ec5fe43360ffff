//! Looks a workbook over before it is read: what its parts unpack to, and what they claim to hold.
//!
//! A workbook is a ZIP archive of XML parts, and the library that reads it believes them: a few
//! kilobytes may unpack to terabytes, or claim so many texts that the room for them cannot be had
//! and the whole process ends. So every part is unpacked once for its length alone. It knows
//! nothing of sheets and cells.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use memchr::{memchr2, memmem};
use zip::ZipArchive;

use crate::bounds::{
    EXCEL_CELLS_MAX, EXCEL_PART_BYTES_MAX, EXCEL_PARTS_MAX, EXCEL_TEXTS_BYTES_MAX,
    EXCEL_UNPACKED_BYTES_MAX,
};

/// How every part of an archive, and so every workbook, begins.
const ZIP_MAGIC: [u8; 4] = *b"PK\x03\x04";
/// How old workbooks begin, and those with a password (MS-CFB, 2.2).
const COMPOUND_MAGIC: [u8; 4] = [0xd0, 0xcf, 0x11, 0xe0];
const TEXTS_PART: &str = "sharedstrings.xml";
/// Parts with as many bytes as there are rows or pivoted rows.
const LONG_PARTS: [&str; 2] = ["worksheets/", "pivotcache/"];
/// The attribute that says for how many texts to make room (ECMA-376-1, 18.4.9).
const CLAIM: &[u8] = b"uniqueCount";
/// White space that may stand between the attribute's name and its value.
const GAP_BYTES_MAX: usize = 1024;
/// Digits of a claim, and what may stand around them.
const CLAIM_BYTES_MAX: usize = CLAIM.len() + GAP_BYTES_MAX + 32;
const READ_BYTES: usize = 64 * 1024;

/// Refuses, with a reason, what would not fit in memory.
pub fn check(path: &Path) -> Result<(), String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut magic = [0; 4];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == ZIP_MAGIC => {}
        Ok(()) if magic == COMPOUND_MAGIC => {
            return Err("it has a password or is an .xls: save it as .xlsx without one".to_owned());
        }
        _ => return Err("it is no workbook".to_owned()),
    }
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| error.to_string())?;
    if archive.len() > EXCEL_PARTS_MAX {
        return Err(format!("it has more than {EXCEL_PARTS_MAX} parts"));
    }
    let mut left = EXCEL_UNPACKED_BYTES_MAX;
    for number in 0..archive.len() {
        let part = archive.by_index(number).map_err(|error| error.to_string())?;
        let name = part.name().map_err(|error| error.to_string())?.to_lowercase();
        left -= unpacked(part, &name, left)?;
    }
    Ok(())
}

/// The bytes that a part unpacks to, at most `left`.
fn unpacked(mut part: impl Read, name: &str, left: u64) -> Result<u64, String> {
    let has_texts = name.ends_with(TEXTS_PART);
    let (mut bytes, mut is_xml) = (0u64, false);
    // The chunk, and before it what of the last one may be the beginning of a claim.
    let mut window: Vec<u8> = Vec::new();
    loop {
        let before = window.len();
        let count = (&mut part)
            .take(READ_BYTES as u64)
            .read_to_end(&mut window)
            .map_err(|error| format!("its part {name}: {error}"))?;
        if bytes == 0 {
            is_xml = begins_as_xml(&window);
        }
        bytes += count as u64;
        let max = limit(name, is_xml).min(left);
        if bytes > max {
            return Err(format!(
                "its part {name} unpacks to more than {max} bytes: save it as CSV"
            ));
        }
        if has_texts {
            if memchr2(0, 0x1b, &window[before..]).is_some() {
                return Err(format!("its part {name} is not text in UTF-8"));
            }
            check_claims(&window, count == 0)?;
            window.drain(..window.len().saturating_sub(CLAIM_BYTES_MAX));
        } else {
            window.clear();
        }
        if count == 0 {
            return Ok(bytes);
        }
    }
}

fn begins_as_xml(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    // In UTF-16 the byte order mark is two bytes, and `<` has a zero on one side.
    let mark = [b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| head.starts_with(*mark));
    mark || head.trim_ascii_start().first() == Some(&b'<') || head.starts_with(b"\0<")
}

fn limit(name: &str, is_xml: bool) -> u64 {
    if name.ends_with(TEXTS_PART) {
        EXCEL_TEXTS_BYTES_MAX
    } else if !is_xml || LONG_PARTS.iter().any(|part| name.contains(part)) {
        EXCEL_UNPACKED_BYTES_MAX
    } else {
        EXCEL_PART_BYTES_MAX
    }
}

/// Refuses a claim of more texts than there may be cells. A claim at the window's end is left to
/// the next window, unless this is the `last`.
fn check_claims(window: &[u8], last: bool) -> Result<(), String> {
    for at in memmem::find_iter(window, CLAIM) {
        let rest = &window[at + CLAIM.len()..];
        if !last && rest.len() < CLAIM_BYTES_MAX - CLAIM.len() {
            continue;
        }
        let gap =
            |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'=' | b'"' | b'\'' | b'+');
        let value = rest.iter().position(|byte| !gap(byte)).unwrap_or(rest.len());
        let digits = rest[value..].iter().take_while(|byte| byte.is_ascii_digit());
        let claimed = digits.fold(0u64, |claimed, digit| {
            claimed.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        });
        if value > GAP_BYTES_MAX || claimed > EXCEL_CELLS_MAX as u64 {
            return Err(format!("it claims more than {EXCEL_CELLS_MAX} texts: save it as CSV"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, text: &str) -> Result<u64, String> {
        unpacked(text.as_bytes(), name, EXCEL_UNPACKED_BYTES_MAX)
    }

    #[test]
    fn claims_are_found_wherever_they_stand() {
        let name = "xl/sharedstrings.xml";
        for claim in ["uniqueCount=\"99999999999\"", "uniqueCount \n = '99999999999999999999999'"] {
            for before in [0, 10, READ_BYTES - 20, READ_BYTES - 11, READ_BYTES, 3 * READ_BYTES - 5]
            {
                let text = format!("<sst {}{claim}>", " ".repeat(before));
                assert!(part(name, &text).is_err(), "{claim} after {before}");
            }
        }
        assert!(part(name, &format!("<sst uniqueCount{}='9'>", " ".repeat(5000))).is_err());
        assert!(part(name, "<sst uniqueCount=\"12\">").is_ok());
        assert!(part(name, "<sst u\0n\0").is_err(), "UTF-16");
        assert!(part("xl/styles.xml", "<x uniqueCount=\"99999999999\">").is_ok());
    }

    #[test]
    fn parts_are_bounded_by_what_they_are() {
        let long = format!("<x{}", " ".repeat(usize::try_from(EXCEL_PART_BYTES_MAX).unwrap()));
        assert!(part("xl/styles.xml", &long).is_err());
        assert!(part("xl/worksheets/sheet1.xml", &long).is_ok());
        assert!(part("xl/media/image1.png", &long[1..]).is_ok());
        assert!(unpacked(long.as_bytes(), "xl/worksheets/sheet1.xml", 5).is_err());
    }
}
