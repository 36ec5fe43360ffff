"""Grafana, Metabase, DBeaver, JDBC and SQLAlchemy look around before they ask anything: what they
ask of the system catalogues is answered, and names only what their user may know of."""

import psycopg
import pytest
import sqlalchemy
from conftest import PASSWORD
from tool_queries import DBEAVER, GRAFANA, JDBC, METABASE


def run(city, user, statement, extended=False):
    """Rows of a statement, through the simple or the extended protocol."""
    with psycopg.connect(city.dsn(user), autocommit=True) as connection:
        cursor = connection.execute(
            statement if extended else statement.encode(), prepare=extended or None
        )
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize(
    "tool, name",
    [(tool, name)
     for tool, statements in
     [("grafana", GRAFANA), ("metabase", METABASE), ("jdbc", JDBC), ("dbeaver", DBEAVER)]
     for name in statements],
)  # fmt: skip
def test_every_statement_of_the_tools_is_answered(city, tool, name, extended):
    statements = {"grafana": GRAFANA, "metabase": METABASE, "jdbc": JDBC, "dbeaver": DBEAVER}
    run(city, "lin", statements[tool][name], extended)


def test_grafana_finds_version_tables_and_columns(city):
    assert run(city, "lin", GRAFANA["version"]) == [(1500,)]
    assert run(city, "lin", GRAFANA["timescale"]) == []
    schemas = [row[0] for row in run(city, "lin", GRAFANA["schemas"])]
    assert "air" in schemas and "information_schema" not in schemas
    tables = [row[0] for row in run(city, "lin", GRAFANA["tables"])]
    assert "air.pm25" in tables and "people.resident" not in tables
    assert run(city, "lin", GRAFANA["columns"]) == [
        ("site", "text"),
        ("observed_at", "timestamp with time zone"),
        ("pm25", "double precision"),
    ]
    assert len(run(city, "lin", GRAFANA["panel"])) > 29


def test_metabase_syncs_tables_and_fields(city):
    assert [row[:3] for row in run(city, "lin", METABASE["tables"])] == [("air", "pm25", "TABLE")]
    fields = run(city, "lin", METABASE["fields"])
    by_name = {row[0]: row for row in fields}
    assert list(by_name) == ["site", "observed_at", "pm25"]
    assert [row[1] for row in fields] == ["text", "timestamptz", "float8"]
    assert [row[5] for row in fields] == [True, True, False], "which are of the primary key"
    assert all(row[6] for row in fields), "each has its comment"
    privileges = run(city, "lin", METABASE["privileges"])
    mine = next(row for row in privileges if row[1:3] == ("air", "pm25"))
    assert mine[3:] == (False, True, False, False), "update, select, insert, delete"
    assert run(city, "lin", METABASE["foreign keys"]) == []
    assert len(run(city, "lin", METABASE["question"])) == 10


def test_jdbc_finds_tables_columns_and_keys(city):
    tables = run(city, "lin", JDBC["tables"])
    assert [(row[1], row[2], row[3]) for row in tables] == [("air", "pm25", "TABLE")]
    assert tables[0][4], "its title is the table's remark"
    columns = run(city, "lin", JDBC["columns"])
    assert [row[3] for row in columns] == ["site", "observed_at", "pm25"]
    keys = run(city, "lin", JDBC["primary keys"])
    assert [(row[3], row[4], row[5]) for row in keys] == [
        ("site", 1, "pm25_pkey"),
        ("observed_at", 2, "pm25_pkey"),
    ]


def test_system_catalogues_name_only_what_their_reader_may_know(city):
    asked = {
        "pg_class": "SELECT relname FROM pg_class WHERE relkind = 'r'",
        "pg_tables": "SELECT tablename FROM pg_tables",
        "information_schema": "SELECT table_name FROM information_schema.tables",
        "columns": "SELECT DISTINCT table_name FROM information_schema.columns",
        "attributes": "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid",
        "comments": "SELECT description FROM pg_description",
        "indexes": "SELECT tablename FROM pg_indexes",
    }
    for name, statement in asked.items():
        theirs = {row[0] for row in run(city, "zhao", statement)}
        others = {row[0] for row in run(city, "wang", statement)}
        assert any("enterprise" in text or "企业" in text for text in theirs), name
        assert not any("enterprise" in text or "市场主体" in text for text in others), name
    hidden = "SELECT 'market.enterprise'::regclass"
    assert run(city, "zhao", hidden)
    with pytest.raises(psycopg.errors.UndefinedTable):
        run(city, "wang", hidden)


def test_system_catalogues_and_datasets_do_not_mix(city):
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        run(city, "lin", "SELECT * FROM pg_class, air.pm25")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(city, "lin", "SELECT repeat(relname, 1000000000) FROM pg_class")


def test_sqlalchemy_inspects_a_table_whole(city):
    engine = sqlalchemy.create_engine(
        f"postgresql+psycopg://lin:{PASSWORD}@127.0.0.1:{city.pg_port}/city"
    )
    inspector = sqlalchemy.inspect(engine)
    assert "air" in inspector.get_schema_names()
    assert inspector.get_table_names("air") == ["pm25"]
    assert inspector.get_view_names("air") == []
    columns = {column["name"]: column for column in inspector.get_columns("pm25", "air")}
    assert isinstance(columns["site"]["type"], sqlalchemy.TEXT)
    assert isinstance(columns["pm25"]["type"], sqlalchemy.DOUBLE_PRECISION)
    assert columns["observed_at"]["type"].timezone is True
    assert columns["site"]["nullable"] is False and columns["pm25"]["comment"]
    key = inspector.get_pk_constraint("pm25", "air")
    assert key["constrained_columns"] == ["site", "observed_at"]
    assert inspector.get_foreign_keys("pm25", "air") == []
    assert inspector.get_check_constraints("pm25", "air") == []
    assert inspector.get_unique_constraints("pm25", "air") == []
    assert inspector.get_table_comment("pm25", "air")["text"]
    assert inspector.has_table("pm25", "air") and not inspector.has_table("none", "air")

    table = sqlalchemy.Table("pm25", sqlalchemy.MetaData(), schema="air", autoload_with=engine)
    question = (
        sqlalchemy.select(table.c.site, sqlalchemy.func.count())
        .where(table.c.pm25 > 300)
        .group_by(table.c.site)
        .order_by(table.c.site)
    )
    with engine.connect() as connection:
        assert len(connection.execute(question).all()) == 3
