"""The synthetic city: made by the program, taken in by it, and asked about."""

import json
from datetime import datetime, timedelta

import pytest

from conftest import ROOT, ask, import_file, shujin

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
    assert len(made) == 17, made
    for file in made:
        dataset = file.name.removesuffix(".parquet")
        summary = import_file(data, dataset, file)
        assert summary["rows_taken"] > 0 and summary["rows_quarantined"] == 0, summary
        again = import_file(data, dataset, file)
        assert again["rows_taken"] == 0, again
    [city] = ask(data, "SELECT sum(people) AS n FROM place.boundary WHERE level = 'district'")
    assert city == {"n": PEOPLE}


def test_readings_are_taken_in_and_their_truth_is_told(files, tmp_path):
    readings, truth = tmp_path / "readings.csv", tmp_path / "truth.jsonl"
    shujin("synth", "stream", "--people", PEOPLE, "--seed", 5, "--hours", 2,
           "--from", "2024-01-31T00:00:00+08:00", "--out", readings, "--truth", truth)  # fmt: skip
    summary = import_file(tmp_path / "city", "sensing.reading", readings)
    assert summary["rows_taken"] == len(readings.read_text().splitlines()) - 1, summary
    assert summary["rows_quarantined"] == 0
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    assert {line["truth"] for line in told} <= {"incident", "fault"} and told
    printed = shujin("synth", "stream", "--people", PEOPLE, "--seed", 5, "--hours", 0.05,
                     "--from", "2024-01-31T00:00:00+08:00", "--format", "json",
                     "--speed", 1000)  # fmt: skip
    first = json.loads(printed.splitlines()[0])
    assert set(first) == {"device", "observed_at", "value"}
    begin = datetime.fromisoformat("2024-01-31T00:00:00+08:00")
    assert datetime.fromisoformat(first["observed_at"]) - begin < timedelta(minutes=3)


def test_wrong_wishes_are_refused_with_a_reason(tmp_path):
    few = shujin("synth", "--out", tmp_path, "--people", 5, code=1)
    assert "10000" in few
    when = shujin("synth", "stream", "--from", "yesterday", code=1)
    assert "yesterday" in when
    shujin("synth", "--people", 10_000, code=2)
