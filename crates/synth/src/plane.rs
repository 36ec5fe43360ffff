//! The flat plane that the city is drawn on, and what can be said of points and convex rings there.
//!
//! Metres east and north of the city's centre, in Lambert's cylindrical equal-area projection with
//! the centre's parallel true to scale: an area in the plane is the area on the ground.

/// Metres east, metres north.
pub type Point = [f64; 2];

/// WGS-84.
const SEMI_MAJOR_M: f64 = 6_378_137.0;
const ECCENTRICITY_SQUARED: f64 = 0.006_694_379_990_14;

#[derive(Debug, Clone, Copy)]
pub struct Plane {
    lon: f64,
    lat: f64,
    /// Metres to a radian: that of the sphere whose areas agree with the ellipsoid's here.
    radius_m: f64,
}

impl Plane {
    pub fn new(lon: f64, lat: f64) -> Self {
        let sin = lat.to_radians().sin();
        // The Gaussian radius sqrt(M N); within a degree of the centre it is right to 1 in 10,000.
        let gauss = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_SQUARED).sqrt()
            / (1.0 - ECCENTRICITY_SQUARED * sin * sin);
        Self { lon, lat, radius_m: gauss }
    }

    pub fn place(&self, lon: f64, lat: f64) -> Point {
        let true_cos = self.lat.to_radians().cos();
        let sines = lat.to_radians().sin() - self.lat.to_radians().sin();
        [self.radius_m * true_cos * (lon - self.lon).to_radians(), self.radius_m * sines / true_cos]
    }

    /// Longitude and latitude.
    pub fn degrees(&self, point: Point) -> Point {
        let true_cos = self.lat.to_radians().cos();
        let sin = self.lat.to_radians().sin() + point[1] * true_cos / self.radius_m;
        [self.lon + (point[0] / (self.radius_m * true_cos)).to_degrees(), sin.asin().to_degrees()]
    }
}

pub fn distance(a: Point, b: Point) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

pub fn toward(from: Point, to: Point, share: f64) -> Point {
    [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share]
}

/// Twice the signed area of a triangle; positive where it turns left.
pub fn cross(a: Point, b: Point, c: Point) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

/// Area of a ring, which is not closed by its first point; positive where it runs leftwards.
pub fn area(ring: &[Point]) -> f64 {
    let Some(first) = ring.first() else { return 0.0 };
    ring.windows(2).map(|pair| cross(*first, pair[0], pair[1])).sum::<f64>() / 2.0
}

pub fn centroid(ring: &[Point]) -> Point {
    let first = ring[0];
    let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
    for pair in ring.windows(2) {
        let part = cross(first, pair[0], pair[1]);
        sum += part;
        x += part * (pair[0][0] + pair[1][0] - 2.0 * first[0]);
        y += part * (pair[0][1] + pair[1][1] - 2.0 * first[1]);
    }
    if sum == 0.0 {
        return first;
    }
    [first[0] + x / (3.0 * sum), first[1] + y / (3.0 * sum)]
}

/// Whether a convex ring holds a point.
pub fn holds(ring: &[Point], point: Point) -> bool {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).all(|(a, b)| cross(*a, *b, point) >= 0.0)
}

/// The convex hull, leftwards (Andrew 1979).
pub fn hull(points: &[Point]) -> Vec<Point> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let mut ring: Vec<Point> = Vec::new();
    let half = |ring: &mut Vec<Point>, points: &mut dyn Iterator<Item = &Point>| {
        let start = ring.len();
        for point in points {
            while ring.len() >= start + 2
                && cross(ring[ring.len() - 2], ring[ring.len() - 1], *point) <= 0.0
            {
                ring.pop();
            }
            ring.push(*point);
        }
        ring.pop();
    };
    half(&mut ring, &mut sorted.iter());
    half(&mut ring, &mut sorted.iter().rev());
    ring
}

/// A point of a convex ring, evenly spread, from two numbers between 0 and 1 and one to choose the
/// triangle by.
pub fn inside(ring: &[Point], rng: &mut crate::rng::Rng) -> Point {
    let corner = ring[0];
    let triangles = crate::apportion::totals(
        ring.windows(2).skip(1).map(|pair| cross(corner, pair[0], pair[1]).max(0.0)),
    );
    let at = rng.pick_by(&triangles) + 1;
    let (mut u, mut v) = (rng.unit(), rng.unit());
    if u + v > 1.0 {
        (u, v) = (1.0 - u, 1.0 - v);
    }
    let (b, c) = (ring[at], ring[at + 1]);
    [
        corner[0] + u * (b[0] - corner[0]) + v * (c[0] - corner[0]),
        corner[1] + u * (b[1] - corner[1]) + v * (c[1] - corner[1]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, Topic};

    #[test]
    fn degrees_come_back_and_areas_are_true() {
        let plane = Plane::new(104.0657, 30.6574);
        let point = plane.place(103.1, 31.3);
        let [lon, lat] = plane.degrees(point);
        assert!((lon - 103.1).abs() < 1e-12 && (lat - 31.3).abs() < 1e-12);
        // One hundredth of a degree each way at 30.6574 N on WGS-84: 1.0625 km2
        // (a degree of latitude there is 110.863 km, one of longitude 95.843 km).
        let corner = |lon, lat| plane.place(lon, lat);
        let square = [
            corner(104.0, 30.65),
            corner(104.01, 30.65),
            corner(104.01, 30.66),
            corner(104.0, 30.66),
        ];
        let exact = 1_108.63 * 958.43;
        assert!((area(&square) / exact - 1.0).abs() < 5e-4, "{}", area(&square));
    }

    #[test]
    fn hulls_hold_their_points() {
        let mut rng = Rng::of(1, Topic::Sites, 0);
        let points: Vec<Point> =
            (0..50).map(|_| [rng.between(-9.0, 9.0), rng.between(-9.0, 9.0)]).collect();
        let ring = hull(&points);
        assert!(area(&ring) > 0.0);
        let middle = centroid(&ring);
        assert!(points.iter().all(|point| holds(&ring, toward(*point, middle, 1e-9))));
        assert!((0..200).all(|_| holds(&ring, toward(inside(&ring, &mut rng), middle, 1e-9))));
    }
}
