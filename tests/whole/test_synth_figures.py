"""The synthetic city's figures held against the published ones, by a reader that is not ours.

Looks at a small city made here, or at the files of any other: with SYNTH_FILES naming a folder that
`shujin synth` filled, however large the city, the same must hold.
"""

import csv
import os
from pathlib import Path

import duckdb
import pytest
from conftest import ROOT, shujin

PEOPLE = 30_000
FACTS = ROOT / "packs/chengdu/synth"
ENTERPRISES_FULL = 3_890_000
FULL_SCALE = 0.99


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    folder = os.environ.get("SYNTH_FILES")
    if not folder:
        folder = tmp_path_factory.mktemp("synth") / "files"
        shujin("synth", "--out", folder, "--people", PEOPLE, "--seed", 9)
    connection = duckdb.connect()
    for file in sorted(Path(folder).glob("*.parquet")):
        name = file.name.removesuffix(".parquet").replace(".", "_")
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{file}')")
    return lambda sql: connection.execute(sql).fetchall()


def published(table):
    with (FACTS / table).open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


@pytest.fixture(scope="module")
def scale(ask):
    [(people,)] = ask("SELECT sum(people) FROM place_boundary WHERE level = 'city'")
    return people / sum(int(row["people"]) for row in published("population.csv"))


def test_people_by_district_sex_and_age(ask, scale):
    rows = ask(
        "SELECT substr(area_code, 1, 6) || '000000', sex, age_from, sum(people)"
        " FROM people_by_building GROUP BY ALL"
    )
    found = {row[:3]: int(row[3]) for row in rows}
    for row in published("population.csv"):
        exact = int(row["people"]) * scale
        key = (row["district"], row["sex"], int(row["age_from"]))
        # A district is rounded, then its groups.
        assert abs(found.pop(key, 0) - exact) <= 1.1, (key, exact)
    assert not found


def test_residents_are_those_of_the_buildings(ask):
    people = "SELECT area_code, sum(people) AS n FROM people_by_building GROUP BY 1"
    residents = "SELECT area_code, count(*) AS n FROM people_resident GROUP BY 1"
    [(apart,)] = ask(
        f"SELECT count(*) FROM (SELECT substr(area_code, 1, 12) AS area_code, sum(n) AS n"
        f" FROM ({people}) GROUP BY 1) b FULL JOIN ({residents}) r USING (area_code)"
        " WHERE b.n IS DISTINCT FROM r.n"
    )
    assert apart == 0
    [(twice,)] = ask("SELECT count(*) - count(DISTINCT identity_number) FROM people_resident")
    assert twice == 0


def test_areas_of_districts(ask):
    found = dict(ask("SELECT code, area_m2 FROM place_boundary WHERE level = 'district'"))
    for row in published("districts.csv"):
        assert found.pop(row["district"]) == pytest.approx(float(row["area_km2"]) * 1e6, rel=1e-6)
    assert not found


def test_households(ask, scale):
    # Places to live in are more than households where a city is very small.
    tolerance = 0.002 if scale > 0.1 else 0.02
    [(households, single)] = ask(
        "SELECT count(*), count(*) FILTER (people = 1) FROM people_household WHERE kind = 'family'"
    )
    rows = published("districts.csv")
    exact = sum(int(row["households"]) for row in rows) * scale
    assert households == pytest.approx(exact, rel=tolerance)
    exact = sum(int(row["single_households"]) for row in rows) * scale
    assert single == pytest.approx(exact, rel=3 * tolerance)


def test_enterprises(ask, scale):
    [(firms, codes)] = ask(
        "SELECT count(*), count(DISTINCT credit_code) FROM market_enterprise_profile"
    )
    assert firms == codes and abs(firms - ENTERPRISES_FULL * scale) <= 1
    # By district in proportion to the workers of each section: the census decides, not the firms.
    rows = ask("SELECT substr(area_code, 1, 6), section, count(*) FROM market_enterprise_profile"
               " GROUP BY ALL")  # fmt: skip
    found = {row[:2]: row[2] for row in rows}
    employed = {(r["district"][:6], r["section"]): int(r["employed"])
                for r in published("employment.csv")}  # fmt: skip
    for section in sorted({section for _, section in employed}):
        firms = sum(count for (_, own), count in found.items() if own == section)
        workers = sum(count for (_, own), count in employed.items() if own == section)
        for (district, own), count in employed.items():
            if own == section:
                exact = count / workers * firms
                assert abs(found.get((district, own), 0) - exact) <= 2.0, (district, section)


def test_a_city_of_full_scale_is_as_large_as_it_should_be(ask, scale):
    full = min(scale, 1.0)
    [(nodes,)] = ask("SELECT count(*) FROM road_node")
    assert nodes >= 400_000 * full
    [(venues,)] = ask("SELECT count(*) FROM place_venue")
    assert venues >= 5_000 * full - 1
    [(kinds,)] = ask("SELECT count(DISTINCT observed_property) FROM sensing_datastream")
    assert kinds == 8, "seven kinds of devices, and batteries"
    if scale < FULL_SCALE:
        return
    [(kept, grids)] = ask(
        "SELECT count(*) FILTER (households BETWEEN 300 AND 500), count(*) FROM place_boundary"
        " WHERE level = 'grid' AND NOT dedicated"
    )
    assert kept >= 0.95 * grids, (kept, grids)
    [(kept, micros)] = ask(
        "SELECT count(*) FILTER (households BETWEEN 30 AND 100), count(*) FROM place_boundary"
        " WHERE level = 'micro_grid'"
    )
    assert kept >= 0.998 * micros, (kept, micros)
    # Chengdu counts 126,449 micro grids.
    assert micros == pytest.approx(126_449, rel=0.05)
