"""Files that are wrong, strange, twice there or cut short."""

import random
import signal
import subprocess
import time

from conftest import ROOT, SHUJIN, add_user, ask, enterprises, import_file, shujin

HEADER = "监测点,观测时间,PM2.5\n"


def lines(count, site="某站"):
    for hour in range(count):
        yield f"{site},2024-01-{hour // 24 % 28 + 1:02d}T{hour % 24:02d}:00:00+08:00,{hour % 300}\n"


def test_an_old_encoding_and_chinese_headers(tmp_path):
    file = tmp_path / "gb.csv"
    file.write_text(enterprises(6), encoding="gb18030")
    summary = import_file(tmp_path / "city", "market.enterprise", file, "--encoding", "gb18030")
    assert (summary["rows_taken"], summary["rows_quarantined"]) == (6, 0), summary
    add_user(tmp_path / "city", "zhao", "market_regulation", "data_steward")
    question = "SELECT name FROM market.enterprise ORDER BY credit_code LIMIT 1"
    names = ask(tmp_path / "city", question, user="zhao")
    assert names == [{"name": "蜀锦第0纺织厂"}]


def test_bad_rows_wait_in_quarantine_and_can_be_mended(tmp_path):
    data, file = tmp_path / "city", tmp_path / "readings.csv"
    good = list(lines(10))
    bad = ["某站,2024-02-30T00:00:00+08:00,5\n", "某站,2024-02-01T00:00:00+08:00,many\n"]
    file.write_text(HEADER + "".join(good[:5] + bad + good[5:]), encoding="utf-8")
    summary = import_file(data, "air.pm25", file)
    assert (summary["rows_taken"], summary["rows_quarantined"]) == (10, 2), summary
    listed = shujin("quarantine", "list", "--data", data)
    assert "many" in listed and "2024-02-30" in listed
    # Three lines a row: its id and place, the reason, the raw text.
    lines_listed = listed.splitlines()
    raw = next(at for at, line in enumerate(lines_listed) if line.strip() == bad[1].strip())
    row = lines_listed[raw - 2].split()[0]
    shujin("quarantine", "repair", "--data", data, row, "--set", "pm25=42")
    assert ask(data, "SELECT count(*) AS n FROM air.pm25") == [{"n": 11}]


def test_a_row_that_breaks_a_rule_says_where_it_stands(tmp_path):
    data, file = tmp_path / "city", tmp_path / "readings.csv"
    good = list(lines(10))
    bad = "某站,2024-02-01T00:00:00+08:00,-7\n"
    file.write_text(HEADER + "".join(good[:5] + [bad] + good[5:]), encoding="utf-8")
    summary = import_file(data, "air.pm25", file)
    assert (summary["rows_taken"], summary["rows_quarantined"]) == (10, 1), summary
    add_user(data, "lin", "ecology_environment", "data_steward")
    question = "SELECT id, line, raw, reason FROM system.quarantine WHERE state = 'open'"
    (row,) = ask(data, question, user="lin")
    # One line of header and five of readings stand before it.
    assert (row["line"], row["raw"], row["reason"]) == (7, bad.strip(), "not_negative")
    refusal = shujin("quarantine", "repair", "--data", data, row["id"], "--set", "pm25=-1", code=1)
    assert "not_negative" in refusal
    shujin("quarantine", "repair", "--data", data, row["id"], "--set", "pm25=7")
    values = ask(data, "SELECT pm25 FROM air.pm25 WHERE observed_at >= '2024-01-31T16:00:00Z'")
    assert values == [{"pm25": 7.0}]
    assert ask(data, question, user="lin") == []
    assert import_file(data, "air.pm25", file)["rows_taken"] == 0


def test_a_row_that_waited_does_not_overwrite_a_newer_one(tmp_path):
    data, file = tmp_path / "city", tmp_path / "enterprises.csv"
    whole = enterprises(3)
    assert whole.count("2020年2月3日") == 1
    file.write_text(whole.replace("2020年2月3日", "2020年13月3日"), encoding="utf-8")
    summary = import_file(data, "market.enterprise", file)
    assert (summary["rows_taken"], summary["rows_quarantined"]) == (2, 1), summary
    add_user(data, "zhao", "market_regulation", "data_steward")
    question = "SELECT id FROM system.quarantine WHERE state = 'open'"
    (row,) = ask(data, question, user="zhao")
    file.write_text(whole, encoding="utf-8")
    assert import_file(data, "market.enterprise", file)["rows_taken"] == 1
    mended = ["--set", "成立日期=2020年2月4日"]
    refusal = shujin("quarantine", "repair", "--data", data, row["id"], *mended, code=1)
    assert "another row of this key was taken" in refusal, refusal
    days = "SELECT count(*) AS n FROM market.enterprise WHERE established_on = '2020-02-03'"
    assert ask(data, days, user="zhao") == [{"n": 1}]
    # The newer row itself is no other row: then there is nothing to take.
    same = ["--set", "成立日期=2020年2月3日"]
    shujin("quarantine", "repair", "--data", data, row["id"], *same)
    assert ask(data, question, user="zhao") == []


def test_a_file_with_unknown_columns_is_refused_by_name(tmp_path):
    file = tmp_path / "other.csv"
    file.write_text("colour,size\nred,1\n", encoding="utf-8")
    refusal = shujin("import", "--data", tmp_path / "city", "air.pm25", file, code=1)
    assert "observed_at" in refusal or "colour" in refusal


def test_a_killed_import_loses_and_doubles_nothing(tmp_path):
    data, file = tmp_path / "city", tmp_path / "long.csv"
    count = 200_000
    with file.open("w", encoding="utf-8") as out:
        out.write(HEADER)
        for number in range(count // 500):
            out.writelines(lines(500, site=f"第{number}站"))
    command = [SHUJIN, "import", "--data", data, "air.pm25", file]
    dice = random.Random(20_240_101)
    for _ in range(6):
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(dice.uniform(0.2, 3.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    summary = import_file(data, "air.pm25", file)
    assert summary["rows_quarantined"] == 0
    rows = ask(
        data,
        "SELECT count(*) AS n, count(DISTINCT site) AS sites, sum(pm25) AS total FROM air.pm25",
    )
    expected = sum(hour % 300 for hour in range(500)) * (count // 500)
    assert rows == [{"n": count, "sites": count // 500, "total": expected}]
