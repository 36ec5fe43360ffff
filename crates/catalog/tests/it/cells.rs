//! Minimum cell size: what a researcher may ask of people, and the ways around it that are shut.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};
use catalog::SqlError;
use datafusion::common::ScalarValue;

use crate::support::{
    AIR, PEOPLE, catalog, catalog_with, city_pack, options, refusal, rows, session, table, value,
};

async fn refused(sql: &str) {
    let error = refusal(&catalog(), &session("university"), sql).await;
    assert!(matches!(error, SqlError::Refused { .. }), "{sql}: {error:?}");
    let text = error.to_string();
    let why = ["groups of at least 3", "minimum cell", "can single out a row"];
    assert!(why.iter().any(|why| text.contains(why)), "{text}");
}

#[tokio::test]
async fn rows_are_refused() {
    for sql in [
        "SELECT * FROM people.person",
        "SELECT income FROM people.person WHERE id = '510104198001010000'",
        "SELECT income FROM people.person LIMIT 1",
        "SELECT income FROM people.person ORDER BY income",
        "SELECT DISTINCT income FROM people.person",
        "SELECT DISTINCT ON (area_code) income FROM people.person",
        "SELECT income FROM people.person UNION SELECT income FROM people.person",
        "SELECT income FROM people.person EXCEPT SELECT 1",
        "SELECT income FROM people.person INTERSECT SELECT 1000",
        "SELECT row_number() OVER (ORDER BY income) FROM people.person",
        "SELECT sum(income) OVER () FROM people.person",
        "WITH p AS (SELECT * FROM people.person) SELECT * FROM p",
        "SELECT 1 FROM people.person",
        "SELECT unnest([income]) FROM people.person",
    ] {
        refused(sql).await;
    }
}

#[tokio::test]
async fn aggregates_that_show_a_row_are_refused() {
    for call in [
        "max(income)",
        "min(born)",
        "array_agg(income)",
        "string_agg(name, ',')",
        "first_value(income ORDER BY id)",
        "last_value(income)",
        "nth_value(income, 2)",
        "any_value(name)",
        "median(income)",
        "percentile_cont(income, 0.99)",
        "approx_percentile_cont(income, 0.99)",
        "bool_or(income > 7000)",
        "bit_xor(income)",
    ] {
        refused(&format!("SELECT {call} FROM people.person")).await;
    }
}

#[tokio::test]
async fn singling_out_a_row_inside_a_large_group_is_refused() {
    for sql in [
        "SELECT sum(CASE WHEN id = '510104198001010002' THEN income ELSE 0 END) FROM people.person",
        "SELECT sum(income * CAST(id = '510104198001010002' AS INT)) FROM people.person",
        "SELECT sum(income) FILTER (WHERE id = '510104198001010002') FROM people.person",
        "SELECT avg(nullif(income, 1000)) FROM people.person",
        "SELECT sum(x) FROM (SELECT income * CAST(id LIKE '%2' AS INT) AS x FROM people.person) p",
        "SELECT sum(p.x) FROM (SELECT CASE WHEN name = '张敏' THEN income END x FROM people.person) p",
        "WITH p AS (SELECT income % 7 AS x FROM people.person) SELECT count(x) FROM p",
    ] {
        refused(sql).await;
    }
}

#[tokio::test]
async fn multiplying_a_row_into_a_group_is_refused() {
    for sql in [
        "SELECT sum(income) FROM people.person, generate_series(1, 10) WHERE name = '张敏'",
        "SELECT sum(income) FROM people.person JOIN (VALUES (1), (2), (3)) v(x) ON true \
         WHERE name = '张敏'",
        "SELECT sum(income) FROM (SELECT * FROM people.person UNION ALL SELECT * FROM \
         people.person UNION ALL SELECT * FROM people.person) p WHERE name = '张敏'",
        "SELECT sum(income) FROM (SELECT income, unnest([1, 2, 3]) FROM people.person \
         WHERE name = '张敏') p",
        "SELECT count(*) FROM people.person a JOIN people.person b ON a.area_code = b.area_code",
        "SELECT sum(income) FROM people.person p, LATERAL (SELECT 1) x",
        "SELECT sum(income) FROM (SELECT income FROM people.person ORDER BY income LIMIT 1) p",
    ] {
        refused(sql).await;
    }
}

#[tokio::test]
async fn subqueries_are_no_way_out() {
    for sql in [
        "SELECT EXISTS (SELECT 1 FROM people.person WHERE name = '张敏' AND income > 2000)",
        "SELECT 3000 IN (SELECT income FROM people.person)",
        "SELECT (SELECT income FROM people.person LIMIT 1)",
        "SELECT hour FROM air.pm25 WHERE hour = ANY (SELECT income FROM people.person)",
        "SELECT hour, (SELECT count(*) FROM people.person p WHERE p.income > a.hour) FROM air.pm25 a",
        "SELECT * FROM air.pm25 a, LATERAL (SELECT sum(income) FROM people.person p \
         WHERE p.income = a.hour) x",
        "SELECT hour FROM air.pm25 WHERE EXISTS (SELECT 1 FROM people.person WHERE income = hour)",
    ] {
        refused(sql).await;
    }
}

/// Whether such a question fails would answer it for one person.
#[tokio::test]
async fn what_could_fail_for_one_row_is_refused() {
    for predicate in [
        "id = '510104198001010007' AND 1 / (income - 8000) > 0",
        "1 / (CASE WHEN name = '黄丽' AND income > 5000 THEN 0 ELSE 1 END) = 1",
        "7 % (CASE WHEN income > 5000 THEN 0 ELSE 1 END) = 1",
        // Text compared with a number is cast to one, though nobody wrote a cast.
        "CASE WHEN income > 5000 THEN 'x' ELSE '1' END = 1",
        "CASE WHEN income > 5000 THEN CAST('x' AS INT) ELSE 1 END = 1",
        "CAST(CASE WHEN income > 5000 THEN 'x' ELSE '1' END AS INT) = 1",
        "CAST(name AS INT) > 0",
        "CAST(CASE WHEN income > 5000 THEN 100000 ELSE 1 END AS SMALLINT) = 1",
        "substr(name, 1, 4999 - income) = ''",
        "name SIMILAR TO '('",
        "name ~ '('",
        "regexp_like(name, CASE WHEN income > 5000 THEN '(' ELSE 'x' END)",
        "length(repeat(name, CASE WHEN income > 5000 THEN 1000000000 ELSE 1 END)) > 1",
        "abs(CASE WHEN income > 5000 THEN -9223372036854775808 ELSE 1 END) = 1",
        "born + CASE WHEN income > 5000 THEN INTERVAL '3000000 years' ELSE INTERVAL '1 day' END \
         > now()",
        "date_trunc(CASE WHEN income > 5000 THEN 'century of' ELSE 'year' END, born) < now()",
        "EXISTS (SELECT 1 FROM air.pm25 a WHERE a.hour = 1 / (income - 8000))",
        "(SELECT max(a.hour) FROM air.pm25 a WHERE a.hour = 1 / (income - 8000)) > 0",
    ] {
        refused(&format!("SELECT count(*) FROM people.person WHERE {predicate}")).await;
    }
    for sql in [
        "SELECT count(*) FROM people.person GROUP BY 1 / (income - 8000)",
        "SELECT count(CAST(name AS INT)) FROM people.person",
        "SELECT count(*) FROM (SELECT 1 / (income - 8000) AS x FROM people.person) p WHERE x > 0",
        "SELECT hour FROM air.pm25 WHERE hour < (SELECT count(*) FROM people.person \
         WHERE 1 / (income - 8000) > 0)",
    ] {
        refused(sql).await;
    }
    let sql = "SELECT count(*) FROM people.person WHERE \
               CASE WHEN income > 5000 THEN 'x' ELSE '1' END = $1";
    let one = [ScalarValue::Int64(Some(1))];
    let asked = catalog().query(&session("university"), sql, &one).await;
    assert!(matches!(asked, Err(SqlError::Refused { .. })), "a parameter brings the cast in");
}

#[tokio::test]
async fn what_cannot_fail_is_answered() {
    let catalog = catalog();
    for (predicate, count) in [
        ("date_part('year', born) < 1985", "4"),
        ("EXTRACT(year FROM born) < 1985", "4"),
        ("born >= '1985-01-01'", "4"),
        ("date_trunc('year', born) < now()", "8"),
        ("substr(area_code, 1, 6) = '510104'", "5"),
        ("area_code LIKE '510104%' OR area_code = '510105001'", "6"),
        ("TRY_CAST(name AS INT) IS NULL", "8"),
        ("CASE WHEN income > 5000 THEN 'high' ELSE 'low' END = 'low'", "6"),
        ("income * 2 + 1 > 4001 AND income / 1000 < 8 AND income / 2.5 > 0", "4"),
        ("coalesce(income, 0) IN (0, 1000, 2000)", "3"),
        ("lower(name) <> 'x' AND CAST(income AS TEXT) <> 'x'", "7"),
        ("json_text(name, '/a') IS NULL AND json_number(name, '/a') IS NULL", "8"),
        ("income IN (SELECT hour * 1000 FROM air.pm25)", "7"),
    ] {
        let sql = format!("SELECT count(*) FROM people.person WHERE {predicate}");
        assert_eq!(value(&catalog, &session("university"), &sql).await, count, "{predicate}");
    }
    let groups = "SELECT max(n) FROM (SELECT income / 4000 AS band, count(*) AS n \
                  FROM people.person GROUP BY income / 4000) g";
    assert_eq!(value(&catalog, &session("university"), groups).await, "3");
    let sql = "SELECT count(*) FROM people.person WHERE income > $1";
    let params = [ScalarValue::Int64(Some(2_000))];
    let answer = catalog.query(&session("university"), sql, &params).await.expect("it plans");
    assert_eq!(answer.collect().await.expect("it runs")[0].num_rows(), 1);
}

#[tokio::test]
async fn what_is_computed_of_groups_meets_none_that_is_left_out() {
    let catalog = catalog();
    let university = session("university");
    // Each would fail over the group of one person that has this income.
    for sql in [
        "SELECT count(*) FROM people.person GROUP BY id HAVING 1 / (sum(income) - 8000) > 0",
        "SELECT count(*) FROM people.person GROUP BY income HAVING 1 / (income - 8000) > 0",
        "SELECT count(*) AS n, 1 / (sum(income) - 8000) AS x FROM people.person GROUP BY id",
        "SELECT count(*) AS n, 1 / (income - 8000) AS x FROM people.person GROUP BY income",
        "SELECT count(*) FROM people.person WHERE id = '510104198001010007' \
         HAVING 1 / (sum(income) - 8000) > 0",
        "SELECT * FROM (SELECT id, sum(income) AS s FROM people.person GROUP BY id) g \
         WHERE 1 / (s - 8000) > 0",
        "SELECT * FROM (SELECT income, count(*) AS n FROM people.person GROUP BY income) g \
         JOIN air.pm25 a ON 1 / (g.income - 8000) = a.hour",
    ] {
        let told = table(&catalog, &university, sql).await;
        assert!(told.lines().filter(|line| line.starts_with('|')).count() <= 1, "{sql}\n{told}");
    }
    let mean = "SELECT sum(income) / count(*) FROM people.person GROUP BY area_code \
                HAVING sum(income) / count(*) > 10";
    assert_eq!(value(&catalog, &university, mean).await, "3666");
}

#[tokio::test]
async fn aggregates_of_two_columns_count_the_rows_that_have_both() {
    let mut pack = city_pack();
    for policy in pack.policies.iter_mut().filter(|policy| policy.dataset == AIR) {
        policy.min_cell = Some(3);
    }
    let mut rows = rows();
    let hours = [Some(1), Some(2), Some(3), None, None, None];
    let values = [None, None, Some(7.5), Some(1.0), Some(2.0), Some(3.0)];
    let batch = RecordBatch::try_new(
        pack.datasets[AIR].arrow_schema(),
        vec![
            Arc::new(StringArray::from(vec!["x"; 6])),
            Arc::new(Int64Array::from(hours.to_vec())),
            Arc::new(Float64Array::from(values.to_vec())),
        ],
    );
    rows.0.insert(AIR.to_owned(), batch.expect("the columns fit the contract"));
    let catalog = catalog_with(pack, rows, options());
    // One row has both: its values are what these would be.
    for call in ["regr_avgx(hour, pm25)", "regr_avgy(hour, pm25)", "regr_count(hour, pm25)"] {
        let told = table(&catalog, &session("street"), &format!("SELECT {call} FROM {AIR}")).await;
        assert!(!told.contains("7.5") && !told.contains("| 3") && !told.contains("| 1"), "{told}");
    }
    let each = "SELECT count(hour) + count(pm25) FROM air.pm25";
    assert_eq!(value(&catalog, &session("street"), each).await, "7");
}

#[tokio::test]
async fn groups_under_the_minimum_are_left_out() {
    let catalog = catalog();
    let university = session("university");
    let groups = "SELECT area_code, count(*) AS n, sum(income) AS s FROM people.person \
                  GROUP BY area_code ORDER BY area_code";
    let told = table(&catalog, &university, groups).await;
    // 510104001 has three people; 510104002 two, the others one each.
    assert!(told.contains("510104001") && told.contains("11000"), "{told}");
    for small in ["510104002", "510105001", "510105002", "510107001"] {
        assert!(!told.contains(small), "{told}");
    }
    // One has no income: six with it among the seven would tell of that one by their count.
    assert_eq!(value(&catalog, &university, "SELECT count(income) FROM people.person").await, "7");
    for empty in [
        "SELECT count(*) FROM people.person WHERE name = '张敏'",
        "SELECT avg(income) FROM people.person WHERE area_code = '510107001'",
        "SELECT sum(income) FROM people.person WHERE name IN ('杨磊', '赵强', '黄丽')",
        "SELECT count(*) FROM people.person GROUP BY name",
        "SELECT count(*) FROM people.person GROUP BY ROLLUP (name) HAVING grouping(name) = 0",
        "SELECT * FROM (SELECT count(*) AS n FROM people.person GROUP BY id) g WHERE n = 1",
    ] {
        let told = table(&catalog, &university, empty).await;
        let rows = told.lines().filter(|line| line.starts_with('|')).count();
        assert!(rows <= 1, "{empty}\n{told}");
    }
}

#[tokio::test]
async fn honest_questions_are_answered() {
    let catalog = catalog();
    let university = session("university");
    for (sql, expected) in [
        ("SELECT count(*) FROM people.person", "8"),
        ("SELECT sum(income) FROM people.person", "30000"),
        ("SELECT count(*) FROM people.person WHERE income > 2000", "5"),
        ("SELECT round(avg(CAST(income AS DOUBLE))) FROM people.person", "4286.0"),
        ("SELECT count(DISTINCT area_code) FROM people.person", "5"),
        ("WITH p AS (SELECT income AS x FROM people.person) SELECT sum(x) FROM p", "30000"),
        ("SELECT sum(x) FROM (SELECT income AS x FROM people.person ORDER BY income) q", "30000"),
        (
            "SELECT max(n) FROM (SELECT area_code, count(*) AS n FROM people.person \
             GROUP BY area_code) g",
            "3",
        ),
        ("SELECT count(*) FROM air.pm25 WHERE hour < (SELECT count(*) FROM people.person)", "8"),
        (
            "SELECT g.n FROM (SELECT area_code, count(*) AS n FROM people.person GROUP BY \
             area_code) g JOIN (VALUES ('510104001')) v(a) ON g.area_code = v.a",
            "3",
        ),
        (
            "SELECT count(*) FROM people.person WHERE income > (SELECT avg(income) FROM \
             people.person)",
            "3",
        ),
    ] {
        assert_eq!(value(&catalog, &university, sql).await, expected, "{sql}");
    }
    // The owner is not held to it.
    let all = table(&catalog, &session("police"), &format!("SELECT name FROM {PEOPLE}")).await;
    assert!(all.contains("张敏"));
}
