//! Distance, within, intersects and area in SQL, against distances and areas known from elsewhere.

use crate::support::{catalog, refusal, session, value};

async fn number(sql: &str) -> f64 {
    let text = value(&catalog(), &session("admin"), sql).await;
    text.parse().unwrap_or_else(|_| panic!("{sql} gave {text}"))
}

fn near(found: f64, expected: f64, share: f64) {
    assert!((found - expected).abs() <= expected.abs() * share, "{found} is not {expected}");
}

#[tokio::test]
async fn distances_are_in_metres() {
    // One degree along the equator and along a meridian of a sphere of 6,371,008.8 m.
    near(
        number("SELECT st_distance_sphere(st_point(0.0, 0.0), st_point(1.0, 0.0))").await,
        111_195.08,
        1e-6,
    );
    near(
        number("SELECT st_distance_sphere(st_point(104.0, 30.0), st_point(104.0, 31.0))").await,
        111_195.08,
        1e-6,
    );
    // Tianfu Square to Chunxi Road, by text and by binary.
    let text = "SELECT st_distance_sphere('POINT(104.0657 30.6574)', 'POINT(104.0779 30.6553)')";
    let binary = "SELECT st_distance_sphere(st_asbinary(st_geomfromtext('POINT(104.0657 30.6574)')), st_point(104.0779, 30.6553))";
    near(number(text).await, 1_190.0, 0.01);
    near(number(binary).await, number(text).await, 1e-9);
    // A point to a line, and to itself.
    let line = "SELECT st_distance_sphere('POINT(104.5 30.5)', 'LINESTRING(104 30, 104 31)')";
    near(number(line).await, 111_195.08 * 0.5 * 30.5_f64.to_radians().cos(), 0.01);
    near(1.0 + number("SELECT st_distance_sphere('POINT(1 1)', 'POINT(1 1)')").await, 1.0, 1e-9);
}

#[tokio::test]
async fn areas_are_in_square_metres() {
    // One degree by one degree at the equator on the WGS-84 ellipsoid (Karney's planimeter).
    let square = "SELECT st_area_sphere('POLYGON((0 0, 1 0, 1 1, 0 1, 0 0))')";
    near(number(square).await, 12_308_778_361.469, 1e-6);
    let turned = "SELECT st_area_sphere('POLYGON((0 0, 0 1, 1 1, 1 0, 0 0))')";
    near(number(turned).await, 12_308_778_361.469, 1e-6);
}

#[tokio::test]
async fn relations_and_coordinates() {
    let catalog = catalog();
    let admin = session("admin");
    for (sql, expected) in [
        (
            "SELECT st_within(st_geomfromtext('POINT(1 1)'), st_geomfromtext('POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))'))",
            "true",
        ),
        (
            "SELECT st_within(st_geomfromtext('POINT(3 1)'), st_geomfromtext('POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))'))",
            "false",
        ),
        (
            "SELECT st_intersects(st_geomfromtext('LINESTRING(0 0, 2 2)'), st_geomfromtext('LINESTRING(0 2, 2 0)'))",
            "true",
        ),
        (
            "SELECT st_dwithin_sphere(st_point(104.0657, 30.6574), st_point(104.0779, 30.6553), 1500)",
            "true",
        ),
        (
            "SELECT st_dwithin_sphere(st_point(104.0657, 30.6574), st_point(104.0779, 30.6553), 500.0)",
            "false",
        ),
        ("SELECT st_x(st_point(104.5, 30.5))", "104.5"),
        ("SELECT st_y(st_asbinary(st_geomfromtext('POINT(104.5 30.5)')))", "30.5"),
        ("SELECT st_x('LINESTRING(0 0, 1 1)') IS NULL", "true"),
        ("SELECT st_distance_sphere(NULL, 'POINT(1 1)') IS NULL", "true"),
        ("SELECT st_astext(st_point(1.0, 2.0))", "POINT(1 2)"),
        ("SELECT st_area(st_geomfromtext('POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))'))", "4.0"),
        ("SELECT st_x(st_geomfromgeojson(st_asgeojson(st_point(104.5, 30.5))))", "104.5"),
        ("SELECT st_relate('POINT(1 1)', st_point(1.0, 1.0), '0FFFFFFF2')", "true"),
    ] {
        assert_eq!(value(&catalog, &admin, sql).await, expected, "{sql}");
    }
    let nonsense =
        refusal(&catalog, &admin, "SELECT st_distance_sphere(site, 'POINT(1 1)') FROM air.pm25")
            .await;
    assert!(!nonsense.to_string().contains("site 1"), "{nonsense}");
}
