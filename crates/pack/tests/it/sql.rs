//! The registry of functions runs: what plans here is what the catalogue executes.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionContext;
use pack::sql::{EXPRESSION_CHAIN_MAX, Scope, functions, plan_predicate_over, planning_state};

async fn answer(sql: &str) -> RecordBatch {
    let context = SessionContext::new_with_state(planning_state(Scope::Row).clone());
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    batches.into_iter().next().unwrap()
}

async fn number(sql: &str) -> Option<f64> {
    let batch = answer(sql).await;
    let column = batch.column(0).as_primitive::<Float64Type>();
    column.is_valid(0).then(|| column.value(0))
}

#[tokio::test]
async fn points_come_in_every_form() {
    let text = "st_geomfromtext('POINT(104.06 30.67)')";
    assert_eq!(number(&format!("SELECT st_x({text})")).await, Some(104.06));
    assert_eq!(number(&format!("SELECT st_y(st_asbinary({text}))")).await, Some(30.67));
    assert_eq!(number("SELECT st_x(st_point(104.06, 30.67))").await, Some(104.06));
    assert_eq!(number("SELECT st_x(st_geomfromtext('LINESTRING(0 0, 1 1)'))").await, None);
    let metres =
        number(&format!("SELECT st_distancesphere({text}, st_point(104.06, 31.67))")).await;
    assert!((metres.unwrap() - 111_195.08).abs() < 0.1);
}

#[tokio::test]
async fn codes_are_checked_in_sql() {
    let batch = answer(
        "SELECT valid_credit_code('91330100799655058B'), valid_identity_number('1'),
                valid_area_code(NULL), area_prefix('510104000000')",
    )
    .await;
    assert!(batch.column(0).as_boolean().value(0));
    assert!(!batch.column(1).as_boolean().value(0));
    assert!(batch.column(2).is_null(0));
    assert_eq!(batch.column(3).as_string::<i32>().value(0), "510104");
}

/// An expression comes from a pack, and from whoever asks for a dataset: none may be so deep that
/// it takes the program's stack down.
#[test]
fn chains_are_cut_before_they_are_a_tree() {
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
    let plan = |sql: &str| plan_predicate_over(&schema, sql, Scope::Row);
    for sql in [
        format!("a{} > 0", "+1".repeat(1_990)),
        format!("a{} > 0", "::int".repeat(790)),
        format!("a IS NULL{}", " IS NULL".repeat(450)),
        format!("a=1{}", " OR a=1".repeat(560)),
        format!("a{} > 0", "[1]".repeat(1_300)),
    ] {
        let fault = plan(&sql).expect_err("too long a chain");
        assert!(fault.problem.contains("chain"), "{fault}");
        assert!(fault.position.is_some_and(|at| at.column > 100), "{fault}");
    }
    let nested = format!("{}a{} > 0", "(".repeat(1_900), ")".repeat(1_900));
    assert!(plan(&nested).is_err());
    // What is just short enough is planned, on a thread of the usual size.
    plan(&format!("a{} > 0", "+1".repeat(EXPRESSION_CHAIN_MAX - 1))).expect("it plans");
    plan(&format!("a=1{}", " OR a=1".repeat((EXPRESSION_CHAIN_MAX - 1) / 2))).expect("it plans");
}

/// Names that must never come in with a new version of a library.
#[test]
fn what_is_out_stays_out() {
    let scalar: Vec<&str> = functions().scalar.iter().map(|function| function.name()).collect();
    for out in [
        "arrow_cast",
        "array_repeat",
        "array_resize",
        "generate_series",
        "input_file_name",
        "lpad",
        "random",
        "range",
        "repeat",
        "rpad",
        "uuid",
        "version",
    ] {
        assert!(!scalar.contains(&out), "{out}");
    }
    for wanted in [
        "date_trunc",
        "json_boolean",
        "json_instant",
        "json_number",
        "json_text",
        "json_type",
        "json_value",
        "lower",
        "st_area",
        "st_asgeojson",
        "st_distance",
        "st_geomfromgeojson",
        "st_intersects",
        "st_relate",
        "st_within",
    ] {
        assert!(scalar.contains(&wanted), "{wanted}");
    }
    let state = planning_state(Scope::Row);
    assert!(state.table_functions().is_empty());
}

/// A constant on the left of a column, on its right, and a null on either side.
#[tokio::test]
async fn a_constant_geometry_stands_on_either_side_of_a_column() {
    let square = "st_asbinary(st_geomfromtext('POLYGON((0 0, 4 0, 4 4, 0 4, 0 0))'))";
    let points = "(SELECT st_asbinary(st_point(x, 1)) AS g \
                  FROM (VALUES (1.0), (3.0), (9.0), (NULL)) AS t(x))";
    for (asked, expected) in [
        (format!("st_contains({square}, g)"), 2.0),
        (format!("st_within(g, {square})"), 2.0),
        (format!("st_covers({square}, g)"), 2.0),
        (format!("st_coveredby(g, {square})"), 2.0),
        (format!("st_intersects({square}, g)"), 2.0),
        (format!("st_intersects(g, {square})"), 2.0),
        (format!("st_disjoint({square}, g)"), 1.0),
        (format!("st_within({square}, g)"), 0.0),
        (format!("st_contains(g, {square})"), 0.0),
        (format!("st_coveredby({square}, g)"), 0.0),
        (format!("st_covers(g, {square})"), 0.0),
        ("st_contains(st_asbinary(st_geomfromtext(NULL)), g)".to_owned(), 0.0),
        ("st_within(g, st_asbinary(st_geomfromtext(NULL)))".to_owned(), 0.0),
    ] {
        let sql = format!("SELECT CAST(count(*) AS DOUBLE) FROM {points} WHERE {asked}");
        assert_eq!(number(&sql).await, Some(expected), "{asked}");
    }
}

/// geodatafusion's functions over the two forms in which geometries meet: stored well-known
/// binary, and values made in the query.
#[tokio::test]
async fn spatial_functions_take_stored_geometries() {
    let stored = |wkt: &str| format!("st_asbinary(st_geomfromtext('{wkt}'))");
    let square = stored("POLYGON((0 0, 4 0, 4 4, 0 4, 0 0))");
    assert_eq!(number(&format!("SELECT st_area({square})")).await, Some(16.0));
    let origin = stored("POINT(0 0)");
    assert_eq!(number(&format!("SELECT st_distance({origin}, st_point(3, 4))")).await, Some(5.0));
    for (sql, expected) in [
        (format!("SELECT st_within({}, {square})", stored("POINT(1 1)")), true),
        (format!("SELECT st_within(st_point(5, 5), {square})"), false),
        (format!("SELECT st_intersects({square}, {})", stored("LINESTRING(3 3, 9 9)")), true),
        (format!("SELECT st_contains({square}, st_geomfromtext('POINT(2 2)'))"), true),
    ] {
        assert_eq!(answer(&sql).await.column(0).as_boolean().value(0), expected, "{sql}");
    }
}

/// A column of an answer as texts; null is empty.
fn texts(batch: &RecordBatch, column: usize) -> Vec<String> {
    let column = batch.column(column);
    (0..column.len()).map(|row| array_value_to_string(column, row).unwrap()).collect()
}

async fn refused(sql: &str) -> String {
    let context = SessionContext::new_with_state(planning_state(Scope::Row).clone());
    context.sql(sql).await.expect_err("it does not plan").to_string()
}

#[tokio::test]
async fn json_is_read_by_pointer() {
    let rows = r#"FROM (VALUES
        (1, '{"a":{"锦":"\u8700"},"n":[0,1.50],"b":true,"t":"1970-01-01T08:00:01+08:00"}', '/a/锦'),
        (2, '{"a":"x","n":[9007199254740993,15e-1],"b":"true","t":1}', '/n'),
        (3, 'no JSON', '/a'),
        (4, NULL, '/a'),
        (5, '{"a":null}', NULL)) AS t(id, doc, pointer) ORDER BY id"#;
    let batch = answer(&format!(
        "SELECT json_text(doc, '/a/锦'), json_number(doc, '/n/1'), json_boolean(doc, '/b'),
                json_instant(doc, '/t'), json_type(doc, '/a'), json_value(doc, '/n'),
                json_type(doc, pointer), json_value('[3, 2]', pointer), json_type('{{}}', '')
         {rows}"
    ))
    .await;
    assert_eq!(texts(&batch, 0), ["蜀", "", "", "", ""]);
    assert_eq!(texts(&batch, 1), ["1.5", "1.5", "", "", ""]);
    assert_eq!(texts(&batch, 2), ["true", "", "", "", ""]);
    let instants = batch.column(3).as_primitive::<TimestampMicrosecondType>();
    assert_eq!((instants.value(0), instants.null_count()), (1_000_000, 4));
    let utc = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(instants.data_type(), &utc);
    assert_eq!(texts(&batch, 4), ["object", "string", "", "", ""]);
    assert_eq!(texts(&batch, 5), ["[0,1.5]", "[9007199254740993,1.5]", "", "", ""]);
    assert_eq!(texts(&batch, 6), ["string", "array", "", "", ""]);
    assert_eq!(texts(&batch, 7), ["", "", "", "", ""]);
    assert_eq!(texts(&batch, 8), ["object"; 5]);
    let alone = r#"SELECT json_value(' {"b":1,"a":[]} ', ''), json_text(NULL, '/a'),
        json_text('{}', NULL)"#;
    let batch = answer(alone).await;
    assert_eq!(texts(&batch, 0), [r#"{"a":[],"b":1}"#]);
    assert!(batch.column(1).is_null(0) && batch.column(2).is_null(0));
    let refusal = refused("SELECT json_number('{}', 'a.b')").await;
    assert!(refusal.contains("JSON Pointer") && refusal.contains("a.b"), "{refusal}");
}

#[tokio::test]
async fn geometries_become_geojson_and_come_back() {
    let batch = answer(
        "SELECT st_asgeojson(st_asbinary(st_geomfromtext('LINESTRING(0 0, 1.5 -2)'))),
                st_asgeojson(st_point(104.06, 30.67)),
                st_asgeojson(NULL),
                st_asgeojson('POINT EMPTY'),
                st_asgeojson('no WKT'),
                st_astext(st_geomfromgeojson('{\"type\":\"Point\",\"coordinates\":[1,2]}')),
                st_geomfromgeojson(doc)
         FROM (VALUES ('POINT(1 2)')) AS t(doc)",
    )
    .await;
    let line = r#"{"type":"LineString","coordinates":[[0,0],[1.5,-2]]}"#;
    assert_eq!(texts(&batch, 0), [line]);
    assert_eq!(texts(&batch, 1), [r#"{"type":"Point","coordinates":[104.06,30.67]}"#]);
    assert_eq!(texts(&batch, 5), ["POINT(1 2)"]);
    for column in [2, 3, 4, 6] {
        assert!(batch.column(column).is_null(0), "{column}");
    }
    let schema = batch.schema();
    let extension = schema.field(6).metadata().get("ARROW:extension:name").cloned();
    assert_eq!(extension.as_deref(), Some("geoarrow.wkb"));
    assert!(refused("SELECT st_asgeojson(1)").await.contains("takes geometries"));
}

#[tokio::test]
async fn geometries_are_related_by_a_matrix() {
    let square = "st_geomfromtext('POLYGON((0 0, 4 0, 4 4, 0 4, 0 0))')";
    let rows = "FROM (VALUES
        (1, 'POINT(1 1)', 'T*F**F***'),
        (2, 'POINT(5 5)', 'T*F**F***'),
        (3, 'POINT(0 0)', 'F0FFFF212'),
        (4, NULL, 'T********'),
        (5, 'POINT(1 1)', NULL),
        (6, 'POINT(1 1)', 'T*X')) AS t(id, place, matrix) ORDER BY id";
    let batch = answer(&format!(
        "SELECT st_relate(place, {square}, matrix), st_relate({square}, place, '****T****'),
                st_relate(place, {square}, 'T*F**F***'), st_relate(place, place, '0FFFFFFF2'),
                st_relate({square}, NULL, 'T********'), st_relate({square}, {square}, '2FFF1FFF2')
         {rows}"
    ))
    .await;
    assert_eq!(texts(&batch, 0), ["true", "false", "true", "", "", ""]);
    assert_eq!(texts(&batch, 1), ["false", "false", "false", "", "false", "false"]);
    assert_eq!(texts(&batch, 2), ["true", "false", "false", "", "true", "true"]);
    assert_eq!(texts(&batch, 3), ["true", "true", "true", "", "true", "true"]);
    assert_eq!(texts(&batch, 4), [""; 6]);
    assert_eq!(texts(&batch, 5), ["true"; 6]);
    // What is within is not what contains, whichever side is the same for all rows.
    let inside = format!(
        "SELECT st_relate(place, {square}, 'T*F**F***'), st_relate({square}, place, 'T*F**F***')
         FROM (VALUES ('POINT(1 1)'), ('POINT(2 2)')) AS t(place)"
    );
    let batch = answer(&inside).await;
    assert_eq!(texts(&batch, 0), ["true", "true"]);
    assert_eq!(texts(&batch, 1), ["false", "false"]);
    let refusal = refused("SELECT st_relate('POINT(1 1)', 'POINT(1 1)', 'T*X')").await;
    assert!(refusal.contains("nine characters"), "{refusal}");
}
