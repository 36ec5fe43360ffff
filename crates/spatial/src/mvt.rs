//! Mapbox vector tiles 2.1 as bytes: values, geometries and layers in protocol buffers.
//!
//! The format is small and its hot path is this crate's, so it is written here: values arrive
//! encoded, geometries go straight into the feature's bytes, nothing is built up to be walked again.

use crate::clip::Unit;
use crate::column::Value;
use crate::grid::EXTENT;
use crate::shape::ShapeKind;

/// Of the specification.
const VERSION: u64 = 2;

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;

const MOVE_TO: u32 = 1;
const LINE_TO: u32 = 2;
const CLOSE_PATH: u32 = 7;

const fn key(field: u64, wire: u64) -> u64 {
    field << 3 | wire
}

#[expect(clippy::cast_possible_truncation)]
pub(crate) fn varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[expect(clippy::cast_sign_loss)]
fn zigzag_64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[expect(clippy::cast_sign_loss)]
fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

fn bytes(field: u64, content: &[u8], into: &mut Vec<u8>) {
    varint(key(field, BYTES), into);
    varint(content.len() as u64, into);
    into.extend_from_slice(content);
}

pub(crate) fn text_value(text: &str, into: &mut Vec<u8>) {
    bytes(1, text.as_bytes(), into);
}

pub(crate) fn number_value(number: f64, into: &mut Vec<u8>) {
    varint(key(3, FIXED_64), into);
    into.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn integer_value(integer: i64, into: &mut Vec<u8>) {
    match u64::try_from(integer) {
        Ok(natural) => {
            varint(key(4, VARINT), into);
            varint(natural, into);
        }
        Err(_) => {
            varint(key(6, VARINT), into);
            varint(zigzag_64(integer), into);
        }
    }
}

pub(crate) fn boolean_value(truth: bool, into: &mut Vec<u8>) {
    varint(key(7, VARINT), into);
    into.push(u8::from(truth));
}

/// Reads back what the four functions above have written.
pub(crate) fn value(encoded: &[u8]) -> Option<Value<'_>> {
    let (tag, rest) = read_varint(encoded)?;
    match tag >> 3 {
        1 => {
            let (length, rest) = read_varint(rest)?;
            let text = rest.get(..usize::try_from(length).ok()?)?;
            Some(Value::Text(std::str::from_utf8(text).ok()?))
        }
        3 => Some(Value::Number(f64::from_le_bytes(rest.try_into().ok()?))),
        4 => Some(Value::Integer(i64::try_from(read_varint(rest)?.0).ok()?)),
        6 => {
            let (zigzag, _) = read_varint(rest)?;
            let half = i64::try_from(zigzag >> 1).ok()?;
            Some(Value::Integer(if zigzag & 1 == 0 { half } else { -half - 1 }))
        }
        7 => Some(Value::Boolean(read_varint(rest)?.0 == 1)),
        _ => None,
    }
}

/// The geometry of one feature, written command by command; the cursor goes on from part to part.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    pub bytes: Vec<u8>,
    cursor: Unit,
}

impl Commands {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.cursor = (0, 0);
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn command(&mut self, id: u32, count: usize) {
        varint(u64::from(id) | (count as u64) << 3, &mut self.bytes);
    }

    fn step(&mut self, unit: Unit) {
        varint(zigzag(unit.0.wrapping_sub(self.cursor.0)), &mut self.bytes);
        varint(zigzag(unit.1.wrapping_sub(self.cursor.1)), &mut self.bytes);
        self.cursor = unit;
    }

    pub fn points(&mut self, points: &[Unit]) {
        self.command(MOVE_TO, points.len());
        for point in points {
            self.step(*point);
        }
    }

    /// A line of two places and more.
    pub fn line(&mut self, line: &[Unit]) {
        let Some((first, rest)) = line.split_first() else { return };
        self.command(MOVE_TO, 1);
        self.step(*first);
        self.command(LINE_TO, rest.len());
        for unit in rest {
            self.step(*unit);
        }
    }

    /// A ring of three places and more, its first one not repeated at its end.
    pub fn ring(&mut self, ring: &[Unit]) {
        self.line(ring);
        self.command(CLOSE_PATH, 1);
    }
}

/// Appends a feature to a layer's features.
pub(crate) fn feature(
    id: u64,
    tags: &[u8],
    kind: ShapeKind,
    commands: &Commands,
    scratch: &mut Vec<u8>,
    into: &mut Vec<u8>,
) {
    scratch.clear();
    varint(key(1, VARINT), scratch);
    varint(id, scratch);
    if !tags.is_empty() {
        bytes(2, tags, scratch);
    }
    varint(key(3, VARINT), scratch);
    scratch.push(kind as u8);
    bytes(4, &commands.bytes, scratch);
    bytes(2, scratch, into);
}

/// Appends a value to a layer's values.
pub(crate) fn layer_value(encoded: &[u8], into: &mut Vec<u8>) {
    bytes(4, encoded, into);
}

/// A tile's layer, as bytes of the tile: tiles of several layers are their bytes joined.
pub(crate) fn layer<'a>(
    name: &str,
    features: &[u8],
    keys: impl Iterator<Item = &'a str>,
    values: &[u8],
) -> Vec<u8> {
    let mut head = Vec::new();
    bytes(1, name.as_bytes(), &mut head);
    let mut tail = Vec::new();
    for name in keys {
        bytes(3, name.as_bytes(), &mut tail);
    }
    let mut ends = Vec::new();
    varint(key(5, VARINT), &mut ends);
    varint(u64::from(EXTENT), &mut ends);
    varint(key(15, VARINT), &mut ends);
    varint(VERSION, &mut ends);

    let length = head.len() + features.len() + tail.len() + values.len() + ends.len();
    let mut tile = Vec::with_capacity(length + 8);
    varint(key(3, BYTES), &mut tile);
    varint(length as u64, &mut tile);
    for part in [&head[..], features, &tail, values, &ends] {
        tile.extend_from_slice(part);
    }
    tile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_the_specification() {
        // The examples of the specification, 4.3.5.
        let mut commands = Commands::default();
        commands.points(&[(25, 17)]);
        assert_eq!(commands.bytes, [9, 50, 34]);
        commands.clear();
        commands.points(&[(5, 7), (3, 2)]);
        assert_eq!(commands.bytes, [17, 10, 14, 3, 9]);
        commands.clear();
        commands.line(&[(2, 2), (2, 10), (10, 10)]);
        assert_eq!(commands.bytes, [9, 4, 4, 18, 0, 16, 16, 0]);
        commands.clear();
        commands.line(&[(2, 2), (2, 10), (10, 10)]);
        commands.line(&[(1, 1), (3, 5)]);
        assert_eq!(commands.bytes, [9, 4, 4, 18, 0, 16, 16, 0, 9, 17, 17, 10, 4, 8]);
        commands.clear();
        commands.ring(&[(3, 6), (8, 12), (20, 34)]);
        assert_eq!(commands.bytes, [9, 6, 12, 18, 10, 12, 24, 44, 15]);
    }

    #[test]
    fn values_are_read_as_they_were_written() {
        let mut bytes = Vec::new();
        for integer in [0, 1, -1, 127, 128, i64::MAX, i64::MIN] {
            bytes.clear();
            integer_value(integer, &mut bytes);
            assert_eq!(value(&bytes), Some(Value::Integer(integer)));
        }
        bytes.clear();
        text_value("锦江区", &mut bytes);
        assert_eq!(value(&bytes), Some(Value::Text("锦江区")));
        bytes.clear();
        number_value(-0.25, &mut bytes);
        assert_eq!(value(&bytes), Some(Value::Number(-0.25)));
        assert_eq!(value(&[]), None);
        assert_eq!(value(&[0xff; 12]), None);
    }
}
