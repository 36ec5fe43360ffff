//! The coordinate systems that features can be asked for in. Rows are stored in WGS-84, longitude
//! first.
//!
//! CGCS2000 (EPSG:4490) and WGS-84 differ by centimetres, less than a row's own accuracy: their
//! values are taken to be the same, as the national survey does for maps.

use spatial::{from_mercator, to_mercator};

use crate::fault::{Code, Fault};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crs {
    /// WGS-84, longitude first.
    Crs84,
    /// WGS-84, latitude first.
    Epsg4326,
    /// Web Mercator, metres.
    Epsg3857,
    /// CGCS2000, latitude first.
    Epsg4490,
}

pub const ALL: [Crs; 4] = [Crs::Crs84, Crs::Epsg4326, Crs::Epsg3857, Crs::Epsg4490];

impl Crs {
    pub fn uri(self) -> &'static str {
        match self {
            Self::Crs84 => "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
            Self::Epsg4326 => "http://www.opengis.net/def/crs/EPSG/0/4326",
            Self::Epsg3857 => "http://www.opengis.net/def/crs/EPSG/0/3857",
            Self::Epsg4490 => "http://www.opengis.net/def/crs/EPSG/0/4490",
        }
    }

    pub fn of(uri: &str) -> Result<Self, Fault> {
        ALL.into_iter().find(|crs| crs.uri() == uri).ok_or_else(|| {
            Fault::new(Code::Invalid, "features do not come in that coordinate system")
                .hint("the collection's `crs` lists those that they come in")
        })
    }

    /// A longitude and a latitude in this system's own order.
    pub fn to(self, lon: f64, lat: f64) -> (f64, f64) {
        match self {
            Self::Crs84 => (lon, lat),
            Self::Epsg4326 | Self::Epsg4490 => (lat, lon),
            Self::Epsg3857 => {
                let (x, y) = to_mercator(lon, lat);
                (millimetres(x), millimetres(y))
            }
        }
    }

    /// Longitude and latitude of a place given in this system.
    pub fn from(self, first: f64, second: f64) -> (f64, f64) {
        match self {
            Self::Crs84 => (first, second),
            Self::Epsg4326 | Self::Epsg4490 => (second, first),
            Self::Epsg3857 => from_mercator(first, second),
        }
    }
}

/// Metres to the millimetre: more digits would be noise.
fn millimetres(metres: f64) -> f64 {
    (metres * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_order_of_axes() {
        assert_eq!(Crs::Crs84.to(104.0, 30.0), (104.0, 30.0));
        assert_eq!(Crs::Epsg4326.to(104.0, 30.0), (30.0, 104.0));
        assert_eq!(Crs::Epsg4490.from(30.0, 104.0), (104.0, 30.0));
        let (x, y) = Crs::Epsg3857.to(104.0, 30.0);
        // By the projection's formula: 11,577,227.0425 and 3,503,549.8435.
        assert!((x - 11_577_227.042_5).abs() < 0.001 && (y - 3_503_549.843_5).abs() < 0.001);
        let (lon, lat) = Crs::Epsg3857.from(x, y);
        assert!((lon - 104.0).abs() < 1e-8 && (lat - 30.0).abs() < 1e-8);
        for crs in ALL {
            assert_eq!(Crs::of(crs.uri()).unwrap(), crs);
        }
        assert!(Crs::of("http://www.opengis.net/def/crs/EPSG/0/2154").is_err());
    }
}
