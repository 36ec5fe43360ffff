//! Chinese map coordinates to WGS-84.
//!
//! Chinese web maps show GCJ-02, an obfuscation of WGS-84 that moves points by 100–700 m inside
//! China; Baidu's BD-09 is a further shift of that. Neither has a published closed inverse, but
//! both shift so smoothly (the shift changes by less than 1 % of the distance moved) that
//! `x ← y − shift(x)` contracts by a factor of a hundred a step: a handful of steps reaches the
//! limit of `f64`.
//!
//! CGCS2000 geographic coordinates are taken as they are. Its ellipsoid has WGS-84's semi-major
//! axis, and its flattening (1/298.257222101 beside 1/298.257223563) differs by 1.6e-11, which is
//! 0.1 mm at the pole. Its frame is ITRF97 at epoch 2000.0: what separates it from today's WGS-84
//! is the movement of the plates since, 3–4 cm a year in China, about a metre by now. That cannot be
//! undone without the epoch of each survey, is far below what maps and addresses resolve, and
//! leaves neighbouring points of one file where they are to each other.
//!
//! The constants of GCJ-02 are those in common public use since 2013: the Krasovsky 1940 ellipsoid
//! (a = 6 378 245 m, e² = 0.00669342162296594323) and two trigonometric polynomials around
//! 105° E, 35° N.

use std::f64::consts::PI;

pub use pack::Crs;

const KRASOVSKY_AXIS_M: f64 = 6_378_245.0;
const KRASOVSKY_E2: f64 = 0.006_693_421_622_965_943;
const BD_PI: f64 = PI * 3000.0 / 180.0;
/// A step this small moves nothing: 1e-10° is 0.01 mm.
const CONVERGED_DEGREES: f64 = 1e-10;
/// Each step gains two digits; ten exhaust an `f64`.
const STEPS_MAX: usize = 20;

/// A generous outline of China (lon, lat), anticlockwise from the far west: some tenths of a
/// degree outside the border, so that no Chinese point is missed. Within that margin abroad a
/// point is converted too.
const OUTLINE: &[(f64, f64)] = &[
    (73.2, 39.4),
    (74.6, 36.9),
    (77.6, 35.2),
    (78.2, 32.2),
    (80.0, 30.4),
    (81.3, 29.8),
    (83.2, 29.0),
    (85.2, 28.0),
    (86.9, 27.7),
    (88.8, 27.1),
    (90.4, 27.95),
    (91.6, 26.6),
    (95.2, 26.7),
    (97.2, 27.4),
    (98.2, 25.8),
    (97.2, 24.2),
    (98.7, 23.2),
    (99.0, 21.9),
    (101.1, 20.9),
    (102.0, 21.2),
    (102.1, 22.2),
    (103.9, 22.3),
    (105.3, 22.9),
    (106.6, 22.4),
    (106.6, 21.8),
    (107.9, 21.3),
    (107.6, 17.6),
    (111.0, 17.4),
    (117.8, 20.6),
    (120.6, 21.4),
    (123.0, 24.0),
    (123.6, 31.0),
    (123.3, 37.4),
    (124.1, 39.5),
    (126.6, 40.9),
    (128.5, 41.2),
    (129.6, 42.1),
    (130.8, 42.2),
    (131.5, 43.5),
    (131.4, 44.9),
    (133.3, 44.9),
    (135.3, 48.6),
    (130.9, 49.0),
    (127.7, 50.3),
    (126.3, 53.2),
    (121.0, 53.8),
    (119.6, 52.6),
    (115.2, 48.3),
    (114.5, 45.7),
    (111.6, 45.5),
    (111.0, 44.3),
    (109.3, 42.8),
    (105.0, 41.9),
    (101.5, 42.9),
    (97.0, 43.1),
    (95.6, 44.6),
    (91.2, 45.6),
    (91.2, 47.2),
    (88.2, 49.5),
    (86.6, 49.4),
    (85.2, 48.6),
    (84.8, 47.4),
    (82.7, 47.4),
    (82.0, 45.8),
    (79.7, 45.2),
    (80.0, 42.5),
    (76.2, 40.9),
    (73.6, 40.2),
];

/// By the name that people write, whatever its case and hyphens.
pub fn of_name(name: &str) -> Option<Crs> {
    match name.to_lowercase().replace(['-', '_', ' '], "").as_str() {
        "wgs84" => Some(Crs::Wgs84),
        "gcj02" => Some(Crs::Gcj02),
        "bd09" => Some(Crs::Bd09),
        "cgcs2000" => Some(Crs::Cgcs2000),
        _ => None,
    }
}

/// Longitude and latitude in degrees to WGS-84.
pub fn to_wgs84(crs: Crs, lon: f64, lat: f64) -> (f64, f64) {
    match crs {
        Crs::Wgs84 | Crs::Cgcs2000 => (lon, lat),
        _ if !in_china(lon, lat) => (lon, lat),
        Crs::Gcj02 => invert(gcj02_of_wgs84, lon, lat),
        Crs::Bd09 => {
            let (lon, lat) = invert(bd09_of_gcj02, lon, lat);
            invert(gcj02_of_wgs84, lon, lat)
        }
    }
}

/// WGS-84 longitude and latitude in degrees to `crs`.
pub fn of_wgs84(crs: Crs, lon: f64, lat: f64) -> (f64, f64) {
    match crs {
        Crs::Wgs84 | Crs::Cgcs2000 => (lon, lat),
        _ if !in_china(lon, lat) => (lon, lat),
        Crs::Gcj02 => gcj02_of_wgs84(lon, lat),
        Crs::Bd09 => {
            let (lon, lat) = gcj02_of_wgs84(lon, lat);
            bd09_of_gcj02(lon, lat)
        }
    }
}

/// The point that `forward` moves to (lon, lat): a fixed-point iteration, see the file's head.
fn invert(forward: fn(f64, f64) -> (f64, f64), lon: f64, lat: f64) -> (f64, f64) {
    let (mut x, mut y) = (lon, lat);
    for _ in 0..STEPS_MAX {
        let (moved_x, moved_y) = forward(x, y);
        let (dx, dy) = (moved_x - lon, moved_y - lat);
        x -= dx;
        y -= dy;
        if dx.abs() < CONVERGED_DEGREES && dy.abs() < CONVERGED_DEGREES {
            break;
        }
    }
    (x, y)
}

fn gcj02_of_wgs84(lon: f64, lat: f64) -> (f64, f64) {
    let (x, y) = (lon - 105.0, lat - 35.0);
    let root = x.abs().sqrt();
    let waves = (20.0 * (6.0 * x * PI).sin() + 20.0 * (2.0 * x * PI).sin()) * 2.0 / 3.0;
    let north_m = -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + 0.1 * x * y
        + 0.2 * root
        + waves
        + (20.0 * (y * PI).sin() + 40.0 * (y / 3.0 * PI).sin()) * 2.0 / 3.0
        + (160.0 * (y / 12.0 * PI).sin() + 320.0 * (y * PI / 30.0).sin()) * 2.0 / 3.0;
    let east_m = 300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + 0.1 * x * y
        + 0.1 * root
        + waves
        + (20.0 * (x * PI).sin() + 40.0 * (x / 3.0 * PI).sin()) * 2.0 / 3.0
        + (150.0 * (x / 12.0 * PI).sin() + 300.0 * (x / 30.0 * PI).sin()) * 2.0 / 3.0;
    let latitude = lat.to_radians();
    let squash = 1.0 - KRASOVSKY_E2 * latitude.sin() * latitude.sin();
    let meridian_m = KRASOVSKY_AXIS_M * (1.0 - KRASOVSKY_E2) / (squash * squash.sqrt());
    let parallel_m = KRASOVSKY_AXIS_M / squash.sqrt() * latitude.cos();
    (lon + (east_m / parallel_m).to_degrees(), lat + (north_m / meridian_m).to_degrees())
}

fn bd09_of_gcj02(lon: f64, lat: f64) -> (f64, f64) {
    let radius = lon.hypot(lat) + 0.000_02 * (lat * BD_PI).sin();
    let angle = lat.atan2(lon) + 0.000_003 * (lon * BD_PI).cos();
    (radius * angle.cos() + 0.0065, radius * angle.sin() + 0.006)
}

/// Whether a point is within the outline: even–odd rule along a ray to the east.
fn in_china(lon: f64, lat: f64) -> bool {
    let mut inside = false;
    let mut from = OUTLINE[OUTLINE.len() - 1];
    for &to in OUTLINE {
        if (from.1 > lat) != (to.1 > lat) {
            let crossing = from.0 + (lat - from.1) / (to.1 - from.1) * (to.0 - from.0);
            inside ^= lon < crossing;
        }
        from = to;
    }
    inside
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METRES_PER_DEGREE: f64 = 111_320.0;

    fn metres(a: (f64, f64), b: (f64, f64)) -> f64 {
        let east = (a.0 - b.0) * METRES_PER_DEGREE * a.1.to_radians().cos();
        east.hypot((a.1 - b.1) * METRES_PER_DEGREE)
    }

    /// The worked example of the coordtransform library (wandergis, 2015), whose forward formulas
    /// are the common ones.
    #[test]
    fn published_points() {
        for (from, forward, expect) in [
            (
                (116.404, 39.915),
                gcj02_of_wgs84 as fn(f64, f64) -> (f64, f64),
                (116.410_244_499_169_38, 39.916_404_281_501_64),
            ),
            ((116.404, 39.915), bd09_of_gcj02, (116.410_369_493_710_29, 39.921_336_993_510_21)),
        ] {
            let found = forward(from.0, from.1);
            assert!(metres(found, expect) < 0.001, "{found:?} for {expect:?}");
        }
    }

    #[test]
    fn points_abroad_stay_where_they_are() {
        for (city, lon, lat) in [
            ("Tokyo", 139.69, 35.69),
            ("Seoul", 126.98, 37.57),
            ("Pyongyang", 125.75, 39.02),
            ("Hanoi", 105.85, 21.03),
            ("Delhi", 77.21, 28.61),
            ("Kathmandu", 85.32, 27.71),
            ("Ulaanbaatar", 106.92, 47.92),
            ("Almaty", 76.95, 43.24),
            ("Vladivostok", 131.89, 43.12),
            ("Mandalay", 96.08, 21.97),
            ("London", -0.13, 51.51),
        ] {
            for crs in [Crs::Gcj02, Crs::Bd09] {
                assert_eq!(to_wgs84(crs, lon, lat), (lon, lat), "{city}");
            }
        }
    }

    #[test]
    fn every_corner_of_china_is_converted() {
        for (place, lon, lat) in [
            ("成都", 104.066, 30.573),
            ("乌恰", 73.97, 39.72),
            ("喀什", 75.99, 39.47),
            ("霍尔果斯", 80.41, 44.21),
            ("满洲里", 117.38, 49.60),
            ("漠河", 122.54, 52.97),
            ("抚远", 134.31, 48.36),
            ("绥芬河", 131.15, 44.41),
            ("珲春", 130.37, 42.86),
            ("长白", 128.20, 41.42),
            ("丹东", 124.38, 40.12),
            ("上海", 121.47, 31.23),
            ("台北", 121.56, 25.04),
            ("香港", 114.17, 22.30),
            ("三亚", 109.51, 18.25),
            ("东兴", 107.97, 21.55),
            ("河口", 103.94, 22.53),
            ("磨憨", 101.69, 21.19),
            ("瑞丽", 97.85, 24.01),
            ("樟木", 85.98, 27.99),
            ("日土", 79.73, 33.38),
            ("塔什库尔干", 75.23, 37.78),
            ("二连浩特", 111.98, 43.65),
        ] {
            let there = of_wgs84(Crs::Gcj02, lon, lat);
            assert!(metres(there, (lon, lat)) > 50.0, "{place} is taken to be abroad");
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_point(lon in 74.0..135.0, lat in 18.5..53.5) {
            prop_assume!(in_china(lon, lat));
            for crs in [Crs::Gcj02, Crs::Bd09, Crs::Cgcs2000] {
                let there = of_wgs84(crs, lon, lat);
                // Within a shift of the outline, a point may leave China by being shifted.
                prop_assume!(in_china(there.0, there.1));
                let back = to_wgs84(crs, there.0, there.1);
                prop_assert!(metres(back, (lon, lat)) < 0.001, "{crs:?} {back:?}");
                prop_assert!(metres(there, (lon, lat)) < 2500.0);
            }
        }
    }
}
