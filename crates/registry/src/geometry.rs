//! Well-known text, as packs write it, to well-known binary, as everybody reads it.

use std::str::FromStr;

use wkb::writer::{WriteOptions, write_geometry};
use wkt::Wkt;

/// Little-endian ISO WKB in the text's own coordinates (WGS-84 by the pack's rule).
pub(crate) fn wkb_of(text: &str) -> Result<Vec<u8>, String> {
    let geometry: Wkt<f64> = Wkt::from_str(text).map_err(str::to_owned)?;
    let mut bytes = Vec::new();
    write_geometry(&mut bytes, &geometry, &WriteOptions::default())
        .map_err(|cause| cause.to_string())?;
    Ok(bytes)
}
