"""Chengdu's real files go in by `import` and come out by SQL. What comes out is compared with
what plain Python reads from the same files."""

import csv
import gzip
from collections import defaultdict
from datetime import datetime, timedelta

import pytest
from conftest import ask, import_file

SITES = {"PM_Caotangsi": "草堂寺", "PM_Shahepu": "沙河铺", "PM_US Post": "US Post"}


def readings(folder):
    """Site, local time parts and value of every reading that is there."""
    with gzip.open(folder / "chengdu_pm25_2010_2015.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            for column, site in SITES.items():
                if row[column] != "NA":
                    yield site, int(row["year"]), int(row["month"]), float(row[column])


def test_every_reading_is_taken(imported, real_files):
    data, summaries = imported
    expected = sum(1 for _ in readings(real_files))
    assert summaries["air.pm25"]["rows_taken"] == expected == 77_914
    assert ask(data, "SELECT count(*) AS n FROM air.pm25") == [{"n": expected}]


def test_monthly_means_agree_with_the_file(imported, real_files):
    data, _ = imported
    sums = defaultdict(lambda: [0, 0.0])
    for site, year, month, value in readings(real_files):
        sums[site, year, month][0] += 1
        sums[site, year, month][1] += value
    rows = ask(
        data,
        """SELECT site, date_part('year', observed_at + INTERVAL '8 hours') AS year,
                  date_part('month', observed_at + INTERVAL '8 hours') AS month,
                  count(*) AS n, avg(pm25) AS mean
           FROM air.pm25 GROUP BY 1, 2, 3""",
    )
    assert len(rows) == len(sums)
    for row in rows:
        count, total = sums[row["site"], int(row["year"]), int(row["month"])]
        assert row["n"] == count
        assert row["mean"] == pytest.approx(total / count, rel=1e-9)


def test_local_time_is_stored_as_utc(imported, real_files):
    data, _ = imported
    with gzip.open(real_files / "chengdu_pm25_2010_2015.csv.gz", "rt") as file:
        first = next(row for row in csv.DictReader(file) if row["PM_US Post"] != "NA")
    local = datetime(*(int(first[part]) for part in ("year", "month", "day", "hour")))
    expected = (local - timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")
    rows = ask(
        data,
        f"""SELECT count(*) AS n FROM air.pm25 WHERE site = 'US Post'
            AND observed_at = TIMESTAMP '{expected}' AND pm25 = {first["PM_US Post"]}""",
    )
    assert rows == [{"n": 1}]


def test_the_same_file_twice_changes_nothing(imported, real_files):
    data, summaries = imported
    again = import_file(data, "air.pm25", real_files / "chengdu_pm25_2010_2015.csv.gz")
    assert again["rows_taken"] == 0
    assert again["rows_unchanged"] == summaries["air.pm25"]["rows_taken"]
    again = import_file(data, "people.census_2020", real_files / "chengdu_census_2020.csv")
    assert again["rows_taken"] == 0
    assert ask(data, "SELECT count(*) AS n FROM air.pm25") == [{"n": 77_914}]


def test_the_census_adds_up_to_the_city(imported, real_files):
    data, _ = imported
    with open(real_files / "chengdu_census_2020.csv", encoding="utf-8-sig") as file:
        districts = [row for row in csv.DictReader(file)]
    city = next(row for row in districts if row["区县"] == "成都市")
    rows = ask(
        data,
        """SELECT sum(people) AS people,
                  sum(CASE WHEN age_from >= 65 THEN people ELSE 0 END) AS old
           FROM people.census_2020""",
    )
    assert rows[0]["people"] == int(city["人口数_合计"]) == 20_937_757
    assert round(100 * rows[0]["old"] / rows[0]["people"], 2) == float(city["人口比重_65岁及以上"])


def test_the_share_of_old_people_stands_next_to_its_district(imported):
    data, _ = imported
    rows = ask(
        data,
        """SELECT a.name, 100.0 * sum(CASE WHEN c.age_from >= 65 THEN c.people ELSE 0 END)
                          / sum(c.people) AS share
           FROM people.census_2020 c JOIN place.area a ON a.code = c.area_code
           GROUP BY a.name ORDER BY share""",
    )
    assert len(rows) == 20
    assert all(5 < row["share"] < 30 for row in rows), rows


def test_the_nearest_station_is_the_one_on_the_square(imported):
    data, _ = imported
    # Tianfu Square, WGS-84. GCJ-02 taken for WGS-84 would be some 500 m off.
    rows = ask(
        data,
        """SELECT name, min(st_distancesphere(geometry, st_point(104.0634, 30.6598))) AS metres
           FROM transit.station GROUP BY name ORDER BY metres LIMIT 1""",
    )
    assert rows[0]["name"] == "天府广场"
    assert rows[0]["metres"] < 250
