"""psql, as a person at a terminal uses it."""

import subprocess
import time

from conftest import PASSWORD


def test_tables_and_their_columns_are_listed(city):
    tables = city.psql("lin", "-At", "-c", r"\dt *.*")
    for table in ("pm25", "census_2020", "area", "station"):
        assert table in tables
    columns = city.psql("lin", "-c", r"\d air.pm25")
    for column in ("site", "observed_at", "pm25"):
        assert column in columns
    # What the asker may not query is not listed at all.
    assert "resident" not in tables


def test_a_question_and_its_answer(city):
    rows = city.psql("lin", "-At", "-c", "SELECT count(*) FROM air.pm25")
    assert rows.strip() == "77914"


def test_json_and_geojson(city):
    place = '{"type":"Point","coordinates":[104.06,30.67]}'
    doc = f'{{"name":"蜀\\u9526","size":[12.50],"where":{place}}}'
    question = (
        "SELECT json_text(doc, '/name'), json_number(doc, '/size/0'),"
        " st_asgeojson(st_geomfromgeojson(json_value(doc, '/where')))"
        f" FROM (VALUES ('{doc}')) AS t(doc)"
    )
    assert city.psql("lin", "-At", "-c", question).strip() == f"蜀锦|12.5|{place}"
    refusal = city.psql("lin", "-c", "SELECT json_text('{}', 'name')", code=1)
    assert "JSON Pointer" in refusal


def test_prepared_statements(city):
    script = (
        "PREPARE q (text) AS SELECT count(*) FROM air.pm25 WHERE site = $1;"
        "EXECUTE q('草堂寺'); EXECUTE q('沙河铺'); DEALLOCATE q;"
    )
    numbers = [line for line in city.psql("lin", "-Atq", "-c", script).split() if line.isdigit()]
    assert len(numbers) == 2 and numbers[0] != numbers[1]


def test_copy_out(city):
    out = city.psql("lin", "-c", r"\copy (SELECT name FROM place.area WHERE level = 'district') TO STDOUT CSV")
    assert len(out.strip().splitlines()) == 20


def test_a_wrong_password_is_refused(city):
    done = subprocess.run(
        ["psql", "-X", "-h", "127.0.0.1", "-p", str(city.pg_port), "-U", "lin", "-d", "city"]
        + ["-c", "SELECT 1"],
        env={"PGPASSWORD": PASSWORD + "x", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "authentication failed" in done.stderr


def test_a_long_query_can_be_cancelled(city):
    import psycopg

    with psycopg.connect(city.dsn("lin"), autocommit=True) as connection:
        import threading

        timer = threading.Timer(1.0, connection.cancel)
        timer.start()
        started = time.monotonic()
        try:
            connection.execute(
                "SELECT count(*) FROM air.pm25 a, air.pm25 b WHERE a.pm25 + b.pm25 > 1"
            ).fetchall()
            raise AssertionError("the cross join ended before it was cancelled")
        except psycopg.errors.QueryCanceled:
            assert time.monotonic() - started < 20
        finally:
            timer.cancel()
        assert connection.execute("SELECT 1").fetchone() == (1,)
