//! Geometries of files — well-known text, GeoJSON, well-known binary — to WKB in WGS-84.
//!
//! One walk does it all: whatever the form, coordinates are read one pair at a time, checked,
//! converted and written. Heights and measures are dropped from text forms and kept in binary.

use serde_json::Value;

use crate::bounds::GEOMETRY_DEPTH_MAX;
use crate::crs::{self, Crs};
use crate::text::found;

const POINT: u32 = 1;
const LINE: u32 = 2;
const POLYGON: u32 = 3;
const COLLECTION: u32 = 7;
/// Names by type number less one.
const NAMES: [&str; 7] = [
    "Point",
    "LineString",
    "Polygon",
    "MultiPoint",
    "MultiLineString",
    "MultiPolygon",
    "GeometryCollection",
];
const LITTLE_ENDIAN: u8 = 1;

/// A point as WKB.
pub fn point(lon: f64, lat: f64, crs: Crs) -> Result<Vec<u8>, String> {
    let mut wkb = Vec::with_capacity(21);
    head(&mut wkb, POINT);
    pair(&mut wkb, lon, lat, crs)?;
    Ok(wkb)
}

/// A cell as WKB: WKB itself (by its byte order mark, which no text begins with), GeoJSON, WKB in
/// hexadecimal, or well-known text.
pub fn parse(cell: &[u8], crs: Crs) -> Result<Vec<u8>, String> {
    if matches!(cell.first(), Some(0 | 1)) {
        return from_wkb(cell, crs);
    }
    let text =
        std::str::from_utf8(cell).map_err(|_| "expected text, found other bytes".to_owned())?;
    if text.starts_with('{') {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("expected a GeoJSON geometry, found no JSON: {error}"))?;
        return from_json(&value, crs);
    }
    if text.len() > 8 && text.len() % 2 == 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let wkb: Option<Vec<u8>> = cell.chunks(2).map(byte).collect();
        return from_wkb(&wkb.ok_or("expected hexadecimal WKB")?, crs);
    }
    from_wkt(text, crs)
}

fn head(wkb: &mut Vec<u8>, kind: u32) {
    wkb.push(LITTLE_ENDIAN);
    wkb.extend_from_slice(&kind.to_le_bytes());
}

/// Checks, converts and writes one position.
fn pair(wkb: &mut Vec<u8>, lon: f64, lat: f64, crs: Crs) -> Result<(), String> {
    let (lon, lat) = convert(lon, lat, crs)?;
    wkb.extend_from_slice(&lon.to_le_bytes());
    wkb.extend_from_slice(&lat.to_le_bytes());
    Ok(())
}

fn convert(lon: f64, lat: f64, crs: Crs) -> Result<(f64, f64), String> {
    if !(-180.0..=180.0).contains(&lon) || !(-90.0..=90.0).contains(&lat) {
        let swapped = (-180.0..=180.0).contains(&lat) && (-90.0..=90.0).contains(&lon);
        let hint = if swapped { "; longitude and latitude look swapped" } else { "" };
        return Err(format!(
            "expected longitude within ±180 and latitude within ±90, found {lon} {lat}{hint}"
        ));
    }
    Ok(crs::to_wgs84(crs, lon, lat))
}

/// Writes a count that is known only after what it counts: returns where it stands.
fn open_count(wkb: &mut Vec<u8>) -> usize {
    let at = wkb.len();
    wkb.extend_from_slice(&[0; 4]);
    at
}

fn close_count(wkb: &mut [u8], at: usize, count: usize) -> Result<(), String> {
    let count = u32::try_from(count).map_err(|_| "too many parts".to_owned())?;
    wkb[at..at + 4].copy_from_slice(&count.to_le_bytes());
    Ok(())
}

/// A GeoJSON geometry object (RFC 7946).
pub fn from_json(value: &Value, crs: Crs) -> Result<Vec<u8>, String> {
    let mut wkb = Vec::new();
    json_geometry(value, crs, &mut wkb, 0)?;
    Ok(wkb)
}

fn json_geometry(value: &Value, crs: Crs, wkb: &mut Vec<u8>, depth: usize) -> Result<(), String> {
    let name = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let kind = NAMES.iter().position(|known| *known == name).ok_or_else(|| {
        format!("expected a GeoJSON geometry type, found {}", found(name.as_bytes()))
    })?;
    if depth > GEOMETRY_DEPTH_MAX {
        return Err(format!("collections nested more than {GEOMETRY_DEPTH_MAX} deep"));
    }
    let kind = u32::try_from(kind).expect("seven kinds") + 1;
    head(wkb, kind);
    if kind == COLLECTION {
        let parts = array(value.get("geometries"), "geometries")?;
        let count = open_count(wkb);
        for part in parts {
            json_geometry(part, crs, wkb, depth + 1)?;
        }
        return close_count(wkb, count, parts.len());
    }
    let coordinates = value.get("coordinates");
    match kind {
        POINT => json_pair(coordinates, crs, wkb),
        LINE => json_line(coordinates, crs, wkb),
        POLYGON => json_rings(coordinates, crs, wkb),
        multi => {
            let parts = array(coordinates, "coordinates")?;
            let count = open_count(wkb);
            for part in parts {
                head(wkb, multi - 3);
                match multi - 3 {
                    POINT => json_pair(Some(part), crs, wkb)?,
                    LINE => json_line(Some(part), crs, wkb)?,
                    _ => json_rings(Some(part), crs, wkb)?,
                }
            }
            close_count(wkb, count, parts.len())
        }
    }
}

fn array<'a>(value: Option<&'a Value>, what: &str) -> Result<&'a [Value], String> {
    let items = value.and_then(Value::as_array).map(Vec::as_slice);
    items.ok_or_else(|| format!("expected an array of {what}"))
}

fn json_pair(value: Option<&Value>, crs: Crs, wkb: &mut Vec<u8>) -> Result<(), String> {
    let numbers = array(value, "numbers")?;
    match (numbers.first().and_then(Value::as_f64), numbers.get(1).and_then(Value::as_f64)) {
        (Some(lon), Some(lat)) => pair(wkb, lon, lat, crs),
        _ => Err("expected a position of two numbers".to_owned()),
    }
}

fn json_line(value: Option<&Value>, crs: Crs, wkb: &mut Vec<u8>) -> Result<(), String> {
    let positions = array(value, "positions")?;
    let count = open_count(wkb);
    for position in positions {
        json_pair(Some(position), crs, wkb)?;
    }
    close_count(wkb, count, positions.len())
}

fn json_rings(value: Option<&Value>, crs: Crs, wkb: &mut Vec<u8>) -> Result<(), String> {
    let rings = array(value, "rings")?;
    let count = open_count(wkb);
    for ring in rings {
        json_line(Some(ring), crs, wkb)?;
    }
    close_count(wkb, count, rings.len())
}

/// Well-known text; `SRID=4326;` in front is passed over.
pub fn from_wkt(text: &str, crs: Crs) -> Result<Vec<u8>, String> {
    let body = match text.split_once(';') {
        Some((srid, rest)) if srid.to_ascii_uppercase().starts_with("SRID=") => rest,
        _ => text,
    };
    let mut wkt = Wkt { rest: body, crs };
    let mut wkb = Vec::new();
    wkt.geometry(&mut wkb, 0).map_err(|problem| {
        format!("expected a geometry as WKT, found {}: {problem}", found(text.as_bytes()))
    })?;
    if wkt.rest.trim().is_empty() {
        Ok(wkb)
    } else {
        Err(format!(
            "expected a geometry as WKT, found text behind it: {}",
            found(wkt.rest.as_bytes())
        ))
    }
}

struct Wkt<'a> {
    rest: &'a str,
    crs: Crs,
}

impl<'a> Wkt<'a> {
    fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    fn sign(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn geometry(&mut self, wkb: &mut Vec<u8>, depth: usize) -> Result<(), String> {
        let name = self.word();
        let kind = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
        let kind = u32::try_from(kind.ok_or("unknown geometry type")?).expect("seven kinds") + 1;
        if depth > GEOMETRY_DEPTH_MAX {
            return Err("nested too deep".to_owned());
        }
        head(wkb, kind);
        let before = self.rest;
        let mut mark = self.word();
        if matches!(mark.to_ascii_uppercase().as_str(), "Z" | "M" | "ZM") {
            mark = self.word();
        }
        if mark.eq_ignore_ascii_case("EMPTY") {
            if kind == POINT {
                wkb.extend_from_slice(&f64::NAN.to_le_bytes());
                wkb.extend_from_slice(&f64::NAN.to_le_bytes());
            } else {
                open_count(wkb);
            }
            return Ok(());
        }
        if !mark.is_empty() {
            self.rest = before;
            return Err("expected ( or EMPTY".to_owned());
        }
        match kind {
            POINT => {
                self.open()?;
                self.position(wkb)?;
                self.close()
            }
            LINE => self.line(wkb),
            POLYGON => self.list(wkb, |wkt, wkb| wkt.line(wkb)),
            COLLECTION => self.list(wkb, |wkt, wkb| wkt.geometry(wkb, depth + 1)),
            4 => self.list(wkb, |wkt, wkb| {
                head(wkb, POINT);
                let bracketed = wkt.sign('(');
                wkt.position(wkb)?;
                if bracketed { wkt.close() } else { Ok(()) }
            }),
            5 => self.list(wkb, |wkt, wkb| {
                head(wkb, LINE);
                wkt.line(wkb)
            }),
            _ => self.list(wkb, |wkt, wkb| {
                head(wkb, POLYGON);
                wkt.list(wkb, |wkt, wkb| wkt.line(wkb))
            }),
        }
    }

    fn open(&mut self) -> Result<(), String> {
        if self.sign('(') { Ok(()) } else { Err("expected (".to_owned()) }
    }

    fn close(&mut self) -> Result<(), String> {
        if self.sign(')') { Ok(()) } else { Err("expected )".to_owned()) }
    }

    fn line(&mut self, wkb: &mut Vec<u8>) -> Result<(), String> {
        self.list(wkb, |wkt, wkb| wkt.position(wkb))
    }

    /// `( item, item … )`, each item at least a character long.
    fn list(
        &mut self,
        wkb: &mut Vec<u8>,
        mut item: impl FnMut(&mut Self, &mut Vec<u8>) -> Result<(), String>,
    ) -> Result<(), String> {
        self.open()?;
        let count_at = open_count(wkb);
        let mut count = 0;
        loop {
            item(self, wkb)?;
            count += 1;
            if !self.sign(',') {
                break;
            }
        }
        self.close()?;
        close_count(wkb, count_at, count)
    }

    fn position(&mut self, wkb: &mut Vec<u8>) -> Result<(), String> {
        const NUMBERS_MAX: usize = 4;
        let mut numbers = [0.0; NUMBERS_MAX];
        let mut count = 0;
        while let Some(number) = self.number() {
            *numbers.get_mut(count).ok_or("a position of more than four numbers")? = number;
            count += 1;
        }
        if count < 2 {
            return Err("expected a position of two numbers".to_owned());
        }
        pair(wkb, numbers[0], numbers[1], self.crs)
    }

    fn number(&mut self) -> Option<f64> {
        let rest = self.rest.trim_start();
        let end = rest.find([' ', ',', '(', ')', '\t', '\n', '\r']).unwrap_or(rest.len());
        let number = rest[..end].parse().ok()?;
        self.rest = &rest[end..];
        Some(number)
    }
}

/// Well-known binary of either byte order, ISO or extended, to the same with its coordinates
/// checked and converted.
pub fn from_wkb(wkb: &[u8], crs: Crs) -> Result<Vec<u8>, String> {
    let mut walk = Walk { rest: wkb, out: Vec::with_capacity(wkb.len()), crs };
    walk.geometry(0)?;
    if walk.rest.is_empty() {
        Ok(walk.out)
    } else {
        Err(format!("expected the end of the WKB, found {} bytes more", walk.rest.len()))
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
    crs: Crs,
}

impl Walk<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (head, rest) =
            self.rest.split_first_chunk::<N>().ok_or("expected more WKB, found its end")?;
        self.rest = rest;
        Ok(*head)
    }

    fn u32(&mut self, little: bool) -> Result<u32, String> {
        let bytes = self.bytes()?;
        Ok(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn f64(&mut self, little: bool) -> Result<f64, String> {
        let bytes = self.bytes()?;
        Ok(if little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
    }

    /// Writes little-endian ISO WKB, whatever came in.
    fn geometry(&mut self, depth: usize) -> Result<(), String> {
        const EWKB_Z: u32 = 0x8000_0000;
        const EWKB_M: u32 = 0x4000_0000;
        const EWKB_SRID: u32 = 0x2000_0000;
        if depth > GEOMETRY_DEPTH_MAX {
            return Err(format!("collections nested more than {GEOMETRY_DEPTH_MAX} deep"));
        }
        let little = match self.bytes::<1>()? {
            [0] => false,
            [1] => true,
            [other] => return Err(format!("expected a byte order of 0 or 1, found {other}")),
        };
        let code = self.u32(little)?;
        if code & EWKB_SRID != 0 {
            self.u32(little)?;
        }
        let plain = code & !(EWKB_Z | EWKB_M | EWKB_SRID);
        let (kind, dimensions) = (plain % 1000, plain / 1000);
        let z = code & EWKB_Z != 0 || matches!(dimensions, 1 | 3);
        let m = code & EWKB_M != 0 || matches!(dimensions, 2 | 3);
        if !(POINT..=COLLECTION).contains(&kind) || dimensions > 3 {
            return Err(format!("expected a WKB geometry type of 1 to 7, found {plain}"));
        }
        let extra = u32::from(z) + u32::from(m);
        head(&mut self.out, kind + 1000 * u32::from(z) + 2000 * u32::from(m));
        match kind {
            POINT => self.position(little, extra),
            LINE => self.line(little, extra),
            POLYGON => {
                for _ in 0..self.count(little)? {
                    self.line(little, extra)?;
                }
                Ok(())
            }
            _ => {
                for _ in 0..self.count(little)? {
                    self.geometry(depth + 1)?;
                }
                Ok(())
            }
        }
    }

    fn count(&mut self, little: bool) -> Result<u32, String> {
        let count = self.u32(little)?;
        self.out.extend_from_slice(&count.to_le_bytes());
        Ok(count)
    }

    fn line(&mut self, little: bool, extra: u32) -> Result<(), String> {
        for _ in 0..self.count(little)? {
            self.position(little, extra)?;
        }
        Ok(())
    }

    fn position(&mut self, little: bool, extra: u32) -> Result<(), String> {
        let (lon, lat) = (self.f64(little)?, self.f64(little)?);
        if lon.is_nan() && lat.is_nan() {
            // The empty point.
            self.out.extend_from_slice(&lon.to_le_bytes());
            self.out.extend_from_slice(&lat.to_le_bytes());
        } else {
            pair(&mut self.out, lon, lat, self.crs)?;
        }
        for _ in 0..extra {
            let value = self.f64(little)?;
            self.out.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_agree() {
        for (wkt, json) in [
            ("POINT (104.06 30.67)", r#"{"type":"Point","coordinates":[104.06,30.67]}"#),
            (
                "LINESTRING(104 30,105 31)",
                r#"{"type":"LineString","coordinates":[[104,30],[105,31,500]]}"#,
            ),
            (
                "polygon z ((104 30 1, 105 30 1, 105 31 1, 104 30 1))",
                r#"{"type":"Polygon","coordinates":[[[104,30],[105,30],[105,31],[104,30]]]}"#,
            ),
            (
                "SRID=4326;MULTIPOINT((104 30),(105 31))",
                r#"{"type":"MultiPoint","coordinates":[[104,30],[105,31]]}"#,
            ),
            (
                "GEOMETRYCOLLECTION(POINT(1 2),MULTIPOLYGON(((0 0,1 0,1 1,0 0))))",
                r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]},
                {"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]}]}"#,
            ),
        ] {
            let wkb = parse(wkt.as_bytes(), Crs::Wgs84).expect(wkt);
            assert_eq!(parse(json.as_bytes(), Crs::Wgs84).as_ref(), Ok(&wkb), "{wkt}");
            let hex: String = wkb.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(parse(hex.as_bytes(), Crs::Wgs84), Ok(wkb), "{wkt}");
        }
    }

    #[test]
    fn what_is_no_geometry_is_refused() {
        for text in
            ["POINT", "POINT(1)", "POINT(1 2", "POINT(1 2) x", "CIRCLE(1 2)", "{}", "0101", ""]
        {
            assert!(parse(text.as_bytes(), Crs::Wgs84).is_err(), "{text}");
        }
        let swapped = parse(b"POINT(30.67 104.06)", Crs::Wgs84).expect_err("latitude of 104");
        assert!(swapped.contains("swapped"), "{swapped}");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text in "(POINT|POLYGON)[ (),0-9.]{0,20}") {
            let _ = from_wkb(&bytes, Crs::Gcj02);
            let _ = parse(text.as_bytes(), Crs::Gcj02);
        }
    }
}
