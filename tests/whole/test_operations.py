"""Backup of a running city, restore, the audit, one owner a folder, and the lake from outside."""

import json
import re
import sqlite3

import duckdb
from conftest import ask, enterprises, shujin
from deltalake import DeltaTable

QUESTIONS = [
    "SELECT site, count(*) AS n, sum(pm25) AS total FROM air.pm25 GROUP BY site ORDER BY site",
    "SELECT sum(people) AS people FROM people.census_2020",
    "SELECT count(*) AS n FROM transit.station",
    "SELECT level, count(*) AS n FROM place.area GROUP BY level ORDER BY level",
]


def answers(data):
    return [ask(data, sql, user="lin") for sql in QUESTIONS]


def test_a_restored_city_answers_the_same(city, furnished, tmp_path):
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    by_admin = ["--server", city.http, "--token", city.tokens["admin"]]
    shujin("backup", "--data", city.data, *by_admin, backup)
    shujin("restore", backup, "--data", restored)
    assert answers(restored) == answers(furnished)
    # A user who may not administer may not take everything away either.
    by_lin = ["--server", city.http, "--token", city.tokens["lin"]]
    shujin("backup", "--data", city.data, *by_lin, tmp_path / "stolen", code=1)
    assert not (tmp_path / "stolen").exists()


def test_a_damaged_backup_is_not_restored(furnished, tmp_path):
    backup = tmp_path / "backup"
    shujin("backup", "--data", furnished, backup)
    victim = max(backup.rglob("*.parquet"), key=lambda path: path.stat().st_size)
    damaged = bytearray(victim.read_bytes())
    damaged[len(damaged) // 2] ^= 0x40
    victim.write_bytes(damaged)
    refusal = shujin("restore", backup, "--data", tmp_path / "restored", code=1)
    assert victim.name in refusal


def test_a_folder_has_one_owner(city):
    refusal = shujin("sql", "--data", city.data, "SELECT 1", code=1)
    assert "in use" in refusal


def test_the_command_line_goes_through_a_server(city):
    through = ["--server", city.http, "--token", city.tokens["lin"], "--format", "json"]
    rows = json.loads(shujin("sql", *through, "SELECT count(*) AS n FROM air.pm25"))
    assert rows == [{"n": 77_914}]


def test_a_changed_audit_row_is_found(furnished):
    shujin("audit", "verify", "--data", furnished)
    with sqlite3.connect(furnished / "records.sqlite") as records:
        # The database refuses changes to the audit; whoever owns the file can get past that.
        triggers = records.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entry'"
        ).fetchall()
        for (trigger,) in triggers:
            records.execute(f'DROP TRIGGER "{trigger}"')
        changed = records.execute("UPDATE audit_entry SET actor = 'nobody' WHERE seq = 3")
        assert changed.rowcount == 1
    records.close()
    report = shujin("audit", "verify", "--data", furnished, code=1)
    assert re.search(r"\b3\b", report), report


def test_duckdb_and_deltalake_read_the_lake(furnished):
    shujin("maintain", "--data", furnished)
    table = furnished / "lake" / "tables" / "air.pm25"
    delta = DeltaTable(str(table))
    assert delta.to_pyarrow_table().num_rows == 77_914
    files = [uri.removeprefix("file://") for uri in delta.file_uris()]
    rows = duckdb.execute("SELECT count(*), count(DISTINCT site) FROM read_parquet(?)", [files])
    assert rows.fetchone() == (77_914, 3)


def test_a_cut_off_end_of_the_audit_stays_found(furnished):
    shujin("audit", "verify", "--data", furnished)
    with sqlite3.connect(furnished / "records.sqlite") as records:
        triggers = records.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entry'"
        ).fetchall()
        for (trigger,) in triggers:
            records.execute(f'DROP TRIGGER "{trigger}"')
        records.execute("DELETE FROM audit_entry WHERE seq > 2")
        (end,) = records.execute("SELECT hash FROM audit_entry WHERE seq = 2").fetchone()
        records.execute("UPDATE audit_head SET count = 2, hash = ?", (end,))
    records.close()
    # Whatever runs in between, and the verification itself, does not make it good.
    ask(furnished, "SELECT count(*) AS n FROM transit.station", user="lin")
    for _ in range(2):
        report = shujin("audit", "verify", "--data", furnished, code=1)
        assert "anchor" in report, report


def test_options_of_an_import_hold_through_a_server_too(city, tmp_path):
    file = tmp_path / "list.csv"
    lines = enterprises(2).replace(",", ";").replace("028-80000000", "无").splitlines()
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    through = ["--server", city.http, "--token", city.tokens["zhao"]]
    summary = json.loads(
        shujin(
            "import", "--data", city.data, *through, "market.enterprise", file,
            "--separator", ";", "--null", "无", "--null", "不详",
        )
    )  # fmt: skip
    # One of the two is there already, the other has lost its telephone number.
    assert (summary["rows_taken"], summary["rows_unchanged"]) == (1, 1), summary
    assert summary["file"] == "list.csv"
    assert summary["quality"]["passed"] in (True, False)
    # As it was.
    file.write_text(enterprises(2), encoding="utf-8")
    shujin("import", "--data", city.data, *through, "market.enterprise", file)
