"""The synthetic city: made by the program, taken in by it, and asked about."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from conftest import ROOT, SHUJIN, add_user, ask, import_file, shujin

PEOPLE = 12_000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synth") / "files"
    printed = shujin("synth", "--pack", ROOT / "packs/chengdu", "--out", folder,
                     "--people", PEOPLE, "--seed", 5)  # fmt: skip
    assert f"{PEOPLE} people in" in printed
    return folder


def test_every_file_is_taken_in_whole(files, tmp_path):
    data = tmp_path / "city"
    made = sorted(files.glob("*.parquet"))
    assert len(made) == 25, made
    for file in made:
        dataset = file.name.removesuffix(".parquet")
        summary = import_file(data, dataset, file)
        assert summary["rows_taken"] > 0 and summary["rows_quarantined"] == 0, summary
        again = import_file(data, dataset, file)
        assert again["rows_taken"] == 0, again
    [city] = ask(data, "SELECT sum(people) AS n FROM place.boundary WHERE level = 'district'")
    assert city == {"n": PEOPLE}
    # The question that docs/coverage.md puts to a synthetic city.
    text = (ROOT / "docs/coverage.md").read_text(encoding="utf-8")
    sql = re.search(r'\*\*Q3\*\*.*?```sh\nshujin sql --data city-data --as planner "(.*?)"\n```', text, re.S)[1]
    add_user(data, "planner", "planning_natural_resources", "analyst")
    rows = ask(data, sql, user="planner")
    assert len(rows) == 20
    [old] = ask(data, "SELECT sum(people) AS n FROM people.census_2020 WHERE age_from >= 65")
    assert sum(row["people"] for row in rows) == old["n"]
    assert any(row.get("beds") for row in rows)


def test_readings_are_taken_in_and_their_truth_is_told(files, tmp_path):
    readings, truth = tmp_path / "readings.csv", tmp_path / "truth.jsonl"
    shujin("synth", "stream", "--people", PEOPLE, "--seed", 5, "--hours", 2,
           "--from", "2024-01-31T00:00:00+08:00", "--out", readings, "--truth", truth)  # fmt: skip
    data = tmp_path / "city"
    for dataset in ("sensing.thing", "sensing.datastream"):
        import_file(data, dataset, files / f"{dataset}.parquet")
    summary = import_file(data, "sensing.observation", readings)
    assert summary["rows_taken"] == len(readings.read_text().splitlines()) - 1, summary
    assert summary["rows_quarantined"] == 0
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    assert {line["truth"] for line in told} <= {"incident", "fault"} and told
    faults = {line["datastream"]: line for line in told if line["truth"] == "fault"}
    assert {"gone", "unheard", "retired", "stuck", "spiking"} <= {f["fault"] for f in faults.values()}
    assert any("gateway" in fault for fault in faults.values())
    heard = {row["datastream"] for row in ask(data, "SELECT DISTINCT datastream FROM sensing.observation")}
    quiet = {id for id, fault in faults.items() if fault["fault"] in ("gone", "unheard", "retired")}
    assert heard and quiet and not heard & quiet
    names = ask(data, "SELECT id, json_text(properties, '/device') AS device FROM sensing.thing")
    names = {row["id"]: row["device"] for row in names}
    assert all(names[id] == fault["device"] for id, fault in faults.items())
    printed = shujin("synth", "stream", "--people", PEOPLE, "--seed", 5, "--hours", 0.05,
                     "--from", "2024-01-31T00:00:00+08:00", "--format", "json",
                     "--speed", 1000)  # fmt: skip
    first = json.loads(printed.splitlines()[0])
    assert set(first) == {"Datastream", "FeatureOfInterest", "phenomenonTime", "result"}
    begin = datetime.fromisoformat("2024-01-31T00:00:00+08:00")
    assert datetime.fromisoformat(first["phenomenonTime"]) - begin < timedelta(minutes=3)


def test_wrong_wishes_are_refused_with_a_reason(tmp_path):
    few = shujin("synth", "--out", tmp_path, "--people", 5, code=1)
    assert "10000" in few
    when = shujin("synth", "stream", "--from", "yesterday", code=1)
    assert "yesterday" in when
    still = shujin("synth", "stream", "--people", PEOPLE, "--speed", 0, code=1)
    assert "--speed 0" in still


def test_without_a_moment_readings_come_from_now_on_as_time_goes_by():
    command = [SHUJIN, "synth", "stream", "--people", str(PEOPLE), "--format", "json"]
    begin = datetime.now(UTC)
    # A minute in a second, or the test would wait for the next whole minute.
    with subprocess.Popen([*command, "--speed", "60"], stdout=subprocess.PIPE, cwd=ROOT) as process:
        moments = []
        while len(set(moments)) < 3:
            moments.append(datetime.fromisoformat(json.loads(process.stdout.readline())["phenomenonTime"]))
        took = datetime.now(UTC) - begin
        process.terminate()
    assert begin <= moments[0] <= begin + timedelta(minutes=2), (begin, moments[0])
    # Two whole minutes lie between the first moment and the third.
    assert took >= timedelta(seconds=2), took


def test_who_has_read_enough_ends_it_without_a_fault():
    line = f"{SHUJIN} synth stream --people {PEOPLE} --from 2024-01-31T00:00:00Z | head -n 2"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], cwd=ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("datastream,phenomenon_time,ordinal,result_number,")
