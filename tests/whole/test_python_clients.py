"""psycopg and SQLAlchemy: what programs use."""

import datetime

import psycopg
import sqlalchemy
from conftest import PASSWORD


def test_psycopg_reads_types_and_binds_parameters(city):
    with psycopg.connect(city.dsn("lin")) as connection:
        row = connection.execute(
            "SELECT site, observed_at, pm25 FROM air.pm25 WHERE site = %s "
            "ORDER BY observed_at LIMIT 1",
            ("草堂寺",),
        ).fetchone()
    assert row[0] == "草堂寺"
    # A time with its zone, shown in the city's.
    assert isinstance(row[1], datetime.datetime) and row[1].tzinfo is not None
    assert isinstance(row[2], float)


def test_psycopg_asks_twice_on_one_connection(city):
    with psycopg.connect(city.dsn("lin"), autocommit=True) as connection:
        for _ in range(8):
            # From the sixth time psycopg prepares the statement on the server.
            assert connection.execute("SELECT count(*) FROM transit.station").fetchone()[0] > 300
        try:
            connection.execute("SELECT no_such_column FROM air.pm25")
        except psycopg.Error as refusal:
            assert refusal.sqlstate == "42703"
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_sqlalchemy_reflects_and_asks(city):
    engine = sqlalchemy.create_engine(
        f"postgresql+psycopg://lin:{PASSWORD}@127.0.0.1:{city.pg_port}/city"
    )
    with engine.connect() as connection:
        assert "air" in sqlalchemy.inspect(connection).get_schema_names()
        assert "pm25" in sqlalchemy.inspect(connection).get_table_names(schema="air")
        columns = sqlalchemy.inspect(connection).get_columns("pm25", schema="air")
        assert [column["name"] for column in columns] == ["site", "observed_at", "pm25"]
        mean = connection.execute(
            sqlalchemy.text("SELECT avg(pm25) FROM air.pm25 WHERE site = :site"),
            {"site": "沙河铺"},
        ).scalar_one()
        assert 20 < mean < 300


def test_psycopg_prepares_more_statements_than_it_keeps(city):
    with psycopg.connect(city.dsn("lin"), autocommit=True) as connection:
        # Beyond `prepared_max` psycopg deallocates the oldest, by name.
        connection.prepared_max = 10
        for number in range(30):
            sql = f"SELECT count(*) + {number} FROM transit.station WHERE name <> %s"
            assert connection.execute(sql, ("",), prepare=True).fetchone()[0] > 300
