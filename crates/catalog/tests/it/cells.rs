//! Minimum cell size: what a researcher may ask of people, and the ways around it that are shut.

use catalog::SqlError;

use crate::support::{PEOPLE, catalog, refusal, session, table, value};

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
