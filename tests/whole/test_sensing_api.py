"""What screens ask of sensors: the census, devices, series, findings, coverage, map and ingest.

A small city: one district of two streets with known people, devices that report, are silent or
never spoke, of two departments.
"""

import json
import math
import time
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest

from conftest import add_user, import_file, serve, token_of

STA = "/sta/v1.1"
API = "/api/sensing"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
CITY, DISTRICT = "510100000000", "510116000000"
WEST, EAST = "510116001000", "510116002000"
USERS = {
    "air": ("ecology_environment", ["data_steward"]),
    "zhao": ("market_regulation", ["data_steward"]),
    "he": ("general_office", ["auditor"]),
}
BOUNDARY = """代码,级别,上级代码,名称,英文名称,专属网格,面积,人口数,户数,边界
510116000000,district,510100000000,双流区,Shuangliu,false,425000000,10000,4000,"{all}"
510116001000,street,510116000000,东升街道,,false,212000000,1000,400,"{west}"
510116002000,street,510116000000,西航港街道,,false,212000000,9000,3600,"{east}"
"""
SOUTH, NORTH = 30.6, 30.8
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=2)
KM_PER_DEGREE = 111.195
RANGE_KM = 2.0
SETTLED_SECONDS_MAX = 60


def rectangle(west, east):
    corners = [(west, SOUTH), (east, SOUTH), (east, NORTH), (west, NORTH), (west, SOUTH)]
    return f"POLYGON(({', '.join(f'{x} {y}' for x, y in corners)}))"


def stamp(moment):
    return moment.isoformat().replace("+00:00", "Z")


def thing(name, place, period_s=86_400, **properties):
    """A Thing with one Datastream; periods of a day, so that what reports goes on reporting."""
    return {
        "name": name,
        "description": "试验",
        "properties": properties,
        "Locations": [
            {
                "name": name,
                "description": "杆上",
                "encodingType": "application/geo+json",
                "location": {"type": "Point", "coordinates": place},
            }
        ],
        "Datastreams": [
            {
                "name": f"{name} PM2.5",
                "description": "PM2.5",
                "observationType": MEASUREMENT,
                "properties": {"period_s": period_s},
                "unitOfMeasurement": {
                    "name": "microgram per cubic metre",
                    "symbol": "ug/m3",
                    "definition": "http://unitsofmeasure.org/ucum.html#ug/m3",
                },
                "Sensor": {
                    "name": "BAM-1020",
                    "description": "beta attenuation",
                    "encodingType": "text/html",
                    "metadata": "https://metone.com",
                },
                "ObservedProperty": {
                    "name": "PM2.5",
                    "definition": "http://dd.eionet.europa.eu/vocabulary/aq/pollutant/6001",
                    "description": "fine particles",
                },
            }
        ],
    }


class Town:
    """The server, and the numbers of what was made in it."""

    def __init__(self, server):
        self.server = server
        self.things, self.streams = {}, {}

    def add(self, user, name, place, **properties):
        status, headers, body = self.server.post(
            f"{STA}/Things", thing(name, place, **properties), user
        )
        assert status == 201, body
        number = int(headers["location"].rsplit("(", 1)[1].rstrip(")"))
        status, _, body = self.server.get(f"{STA}/Things({number})/Datastreams", user)
        assert status == 200, body
        [stream] = json.loads(body)["value"]
        self.things[name], self.streams[name] = number, stream["@iot.id"]

    def observe(self, user, name, readings):
        group = {
            "Datastream": {"@iot.id": self.streams[name]},
            "components": ["phenomenonTime", "result"],
            "dataArray@iot.count": len(readings),
            "dataArray": [[stamp(at), value] for at, value in readings],
        }
        status, _, body = self.server.post(f"{STA}/CreateObservations", [group], user)
        assert status == 201 and b"error" not in body, body

    def ask(self, path, user="air", code=200, **asked):
        query = urllib.parse.urlencode(asked)
        status, _, body = self.server.get(f"{API}/{path}" + (f"?{query}" if query else ""), user)
        assert status == code, body
        return json.loads(body)

    def settled(self, holds, path, **asked):
        """What is answered once it holds: states are kept for a few seconds."""
        deadline = time.monotonic() + SETTLED_SECONDS_MAX
        while True:
            found = self.ask(path, **asked)
            if holds(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.2)


# Six of `air`: two that report, three of one network that are silent, one that never spoke. One of
# another department.
DEVICES = {
    "西一": ([104.05, 30.7], {"kind": "air", "area_code": WEST}),
    "西二": ([104.051, 30.7], {"kind": "noise", "area_code": WEST}),
    "网一": ([104.15, 30.65], {"kind": "air", "area_code": EAST, "network": "lora-1"}),
    "网二": ([104.16, 30.65], {"kind": "air", "area_code": EAST, "network": "lora-1"}),
    "网三": ([104.17, 30.65], {"kind": "air", "area_code": EAST, "network": "lora-1"}),
    "新来": ([104.18, 30.78], {"kind": "air", "area_code": EAST}),
}
SILENT = ["网一", "网二", "网三"]
OTHERS = "市监"


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sensing_api")
    file, data = folder / "boundary.csv", folder / "city"
    file.write_text(
        BOUNDARY.format(
            all=rectangle(104.0, 104.2), west=rectangle(104.0, 104.1), east=rectangle(104.1, 104.2)
        ),
        encoding="utf-8",
    )
    summary = import_file(data, "place.boundary", file)
    assert summary["rows_quarantined"] == 0, summary
    for name, (organisation, roles) in USERS.items():
        add_user(data, name, organisation, *roles, areas=[CITY])
    tokens = {name: token_of(data, name) for name in USERS}
    server = serve(data, folder / "server.log")
    server.tokens = tokens
    town = Town(server)
    try:
        for name, (place, properties) in DEVICES.items():
            period_s = 60 if name in SILENT else 86_400
            town.add("air", name, place, period_s=period_s, **properties)
        town.add("zhao", OTHERS, [104.02, 30.62], kind="smoke", area_code=WEST)
        for name in ("西一", "西二"):
            town.observe("air", name, [(NOW, 12.5)])
        for name in SILENT:
            town.observe("air", name, [(LONG_AGO, 12.5)])
        town.observe("zhao", OTHERS, [(NOW, 1)])
        settled = {"devices": 6, "reporting": 2, "silent": 3, "registered": 1}
        town.settled(
            lambda census: census["whole"] and settled.items() <= census["total"].items(), "census"
        )
        yield town
    finally:
        server.stop()


def test_the_census_counts_the_devices_that_one_sees(town):
    total = town.ask("census")["total"]
    assert total["connected"] == total["retired"] == total["maintenance_due"] == 0
    assert total["connected_share"] == pytest.approx(5 / 6)
    [row] = town.ask("census", by="department")["rows"]
    assert row["key"] == "ecology_environment" and row["title"]["zh"] and row["devices"] == 6
    kinds = {row["key"]: row["devices"] for row in town.ask("census", by="kind")["rows"]}
    assert kinds == {"air": 5, "noise": 1}
    areas = {row["key"]: row for row in town.ask("census", by="area")["rows"]}
    assert areas[DISTRICT]["devices"] == 6 and areas[DISTRICT]["title"]["zh"] == "双流区"
    assert sum(row["devices"] for row in areas.values()) == 6
    streets = {r["key"]: r["devices"] for r in town.ask("census", by="area", area=DISTRICT)["rows"]}
    assert streets[WEST] == 2 and streets[EAST] == 4
    assert town.ask("census", area=EAST)["total"]["silent"] == 3
    others = town.ask("census", by="kind", user="zhao")
    assert [(row["key"], row["devices"]) for row in others["rows"]] == [("smoke", 1)]


def test_devices_are_paged_and_narrowed(town):
    page = town.ask("devices", limit=4)
    assert page["total"] == 6 and len(page["devices"]) == 4
    rest = town.ask("devices", limit=4, after=page["next"])
    assert len(rest["devices"]) == 2 and rest["next"] is None
    names = [device["name"] for device in page["devices"] + rest["devices"]]
    assert names == list(DEVICES)
    device = page["devices"][0]
    assert device["thing"] == town.things["西一"] and device["state"] == "reporting"
    assert device["geometry"] == pytest.approx([104.05, 30.7]) and device["datastreams"] == 1
    assert device["period_s"] == 86_400 and device["newest_at"]

    def found(**asked):
        return {device["name"] for device in town.ask("devices", **asked)["devices"]}

    assert found(state="silent") == set(SILENT)
    assert found(kind="noise") == {"西二"}
    assert found(area=WEST) == {"西一", "西二"}
    assert found(q="网") == set(SILENT)
    assert found(department="market_regulation") == set()
    assert found(user="zhao") == {OTHERS}


def test_a_device_s_page_says_what_it_is_and_who_sees_it(town):
    number = town.things["西一"]
    page = town.ask(f"devices/{number}")
    assert page["device"]["name"] == "西一" and page["description"] == "试验"
    assert page["properties"]["kind"] == "air"
    assert page["location"]["coordinates"] == [104.05, 30.7]
    [stream] = page["datastreams"]
    assert stream["id"] == town.streams["西一"] and stream["unit"] == "ug/m3"
    assert stream["result"] == 12.5 and stream["count"] == 1 and stream["state"] == "reporting"
    [place] = page["places"]
    assert place["location"]["coordinates"] == [104.05, 30.7] and place["since"]
    assert page["history"][0]["kind"] == "created" and page["gateway"] is None
    seers = [seer["zh"] for seer in page["visible_to"]]
    assert len(seers) == 2 and "全市各部门" not in seers
    town.ask(f"devices/{number}", user="zhao", code=404)
    town.ask("devices/999999", code=404)


def test_a_series_shows_what_is_flagged_and_where_nothing_came(town):
    town.add("air", "曲线", [104.12, 30.72], period_s=60, kind="water", area_code=EAST)
    minutes = [minute for minute in range(60) if not 20 <= minute < 40]
    readings = [
        (START + timedelta(minutes=minute), 5_000 if minute == 10 else minute) for minute in minutes
    ]
    town.observe("air", "曲线", readings)
    stream = town.streams["曲线"]
    span = {"from": stamp(START), "to": stamp(START + timedelta(hours=1))}

    def series(**asked):
        [one] = town.ask("series", datastream=stream, **span, **asked)["series"]
        return one

    def ms(minute):
        return round((START + timedelta(minutes=minute)).timestamp() * 1_000)

    town.settled(lambda page: page["total"] == 1, "devices", q="曲线")
    raw = series(points=200)
    assert raw["raw"] and raw["unit"] == "ug/m3" and len(raw["points"]) == 40
    assert [point[0] for point in raw["points"]] == [ms(minute) for minute in minutes]
    assert raw["points"][9][1:5] == [9, 9, 9, 1]
    flagged = raw["points"][10]
    assert flagged[1:5] == [None, None, None, 0] and flagged[5] & 63, "the spike is out of range"
    assert raw["gaps"] == [[ms(19), ms(40)]]

    coarse = series(points=10)
    assert not coarse["raw"] and coarse["step_ms"] == 360_000
    points = {point[0]: point[1:] for point in coarse["points"]}
    assert len(points) == 8, "no point where nothing came in"
    low, high, mean, count, flags = points[ms(6)]
    assert (low, high, count) == (6, 11, 5) and flags & 63, "the spike is told of, and left out"
    assert mean == pytest.approx((6 + 7 + 8 + 9 + 11) / 5)
    assert points[ms(0)][4] & 63 == 0 and points[ms(54)][:2] == [54, 59]
    assert coarse["gaps"] == [[ms(19), ms(40)]], "to the moment, whatever the buckets"

    both = town.ask("series", datastream=f"{stream},{town.streams['西一']}", **span)["series"]
    assert [one["datastream"] for one in both] == [stream, town.streams["西一"]]
    assert both[1]["points"] == [] and both[1]["gaps"] == []
    town.ask("series", datastream=stream, user="zhao", code=404, **span)


def test_a_silent_network_is_one_finding(town):
    findings = town.ask("findings")["findings"]
    [network] = [found for found in findings if found["kind"] == "network"]
    assert network["key"] == "lora-1" and network["devices"] == 3 and network["since"]
    assert network["owner"] == "ecology_environment" and network["area_code"] == EAST
    assert {device["name"] for device in network["sample"]} == set(SILENT)
    alone = {found["key"] for found in findings if found["kind"] == "device"}
    assert not alone & {str(town.things[name]) for name in SILENT}
    assert town.ask("findings", user="zhao")["findings"] == []


def test_coverage_is_what_can_be_worked_out_by_hand(town):
    coverage = town.ask("coverage", kind="air")
    assert coverage["range_m"] == RANGE_KM * 1_000
    areas = {area["id"]: area for area in coverage["areas"]}
    area = areas["airport"]
    degrees = 0.2 * math.cos(math.radians((SOUTH + NORTH) / 2))
    area_km2 = degrees * KM_PER_DEGREE * 0.2 * KM_PER_DEGREE
    disc_km2 = math.pi * RANGE_KM**2
    assert area["area_km2"] == pytest.approx(area_km2, rel=0.01)
    assert area["covered_km2"] == pytest.approx(disc_km2, rel=0.01)
    assert area["covered_share"] == pytest.approx(disc_km2 / area_km2, rel=0.02)
    assert area["population"] == pytest.approx(10_000, rel=0.01)
    people = 1_000 * disc_km2 / (area_km2 / 2)
    assert area["covered_population"] == pytest.approx(people, rel=0.03), "silent ones do not cover"
    assert areas["centre"]["covered_share"] is None, "nobody knows where it is"
    states = sorted(state for _, _, state in coverage["devices"])
    assert states == ["registered", "reporting", "silent", "silent", "silent"]
    [blind] = coverage["blind"]["features"]
    assert blind["id"] == "airport" and blind["geometry"]["type"] == "MultiPolygon"
    [polygon] = blind["geometry"]["coordinates"]
    assert len(polygon) == 2, "one hole: where the one sensor sees"
    assert all(ring[0] == ring[-1] for ring in polygon)
    others = town.ask("coverage", user="zhao", kind="air")
    assert all(area["covered_km2"] == 0 for area in others["areas"])


def test_the_next_sensors_stand_where_most_people_are(town):
    found = town.ask("coverage/next", kind="air", k=3)
    assert found["by"] == "population" and len(found["chosen"]) == 3
    assert all(place["lon"] > 104.1 for place in found["chosen"])
    disc_km2 = math.pi * RANGE_KM**2
    half_km2 = town.ask("coverage", kind="air")["areas"][1]["area_km2"] / 2
    east, west = 9_000 * disc_km2 / half_km2, 1_000 * disc_km2 / half_km2
    for place in found["chosen"]:
        assert place["gain_population"] == pytest.approx(east, rel=0.03)
        assert place["gain_population"] > (east + west) / 2, "better than anywhere"
        assert place["gain_km2"] == pytest.approx(disc_km2, rel=0.03)
    shares = [place["total_share"] for place in found["chosen"]]
    assert found["covered_share"] < shares[0] < shares[1] < shares[2] <= found["bound_share"]
    assert found["bound_share"] <= shares[2] * 1.1, "the bound is close where discs do not meet"


def test_every_device_is_on_the_map_once(town):
    total = town.ask("devices")["total"]
    for zoom in (0, 8, 11, 14, 16, 20):
        shown = town.ask("map", bbox="103,30,105,31", zoom=zoom)
        clustered = sum(cluster["n"] for cluster in shown["clusters"])
        assert clustered + len(shown["devices"]) == total, zoom
        for cluster in shown["clusters"]:
            assert cluster["n"] == sum(cluster["states"].values())
    near = town.ask("map", bbox="103,30,105,31", zoom=8)
    assert len(near["clusters"]) < total and near["clusters"][0]["n"] > 1
    assert town.ask("map", bbox="103,30,105,31", zoom=16)["clusters"] == []
    west = town.ask("map", bbox="104.04,30.69,104.06,30.71", zoom=18)
    assert {device["name"] for device in west["devices"]} == {"西一", "西二"}
    noise = town.ask("map", bbox="103,30,105,31", zoom=8, kind="noise")
    assert [device["name"] for device in noise["devices"]] == ["西二"]
    assert town.ask("map", bbox="103,30,105,31", zoom=8, user="zhao")["devices"]


def test_ingest_says_who_sends(town):
    def sends(ingest):
        return any(row["rows"] >= 5 for row in ingest["producers"])

    ingest = town.settled(sends, "ingest")
    row = max(ingest["producers"], key=lambda row: row["rows"])
    assert row["face"] == "http" and row["refused"] >= 0 and row["last_at"]
    assert ingest["rate_per_s"] >= 0 and ingest["rows_minute"] >= ingest["flagged_minute"]


@pytest.mark.parametrize(
    "path",
    [
        "census?by=colour",
        "census?area=51%27",
        "devices?limit=0",
        "devices?limit=1001",
        "devices?state=asleep",
        f"devices?q={'a' * 201}",
        f"devices?kind={'a' * 65}",
        "devices/x",
        "series",
        "series?datastream=x",
        "series?datastream=1,2,3,4,5,6,7",
        "series?datastream=1&points=2001",
        "series?datastream=1&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "series?datastream=1&from=1026-01-02T00:00:00Z",
        "coverage",
        "coverage/next?kind=air&k=0",
        "coverage/next?kind=air&k=51",
        "map?bbox=1,2,3&zoom=3",
        "map?bbox=105,30,103,31&zoom=3",
        "map?bbox=103,30,105,31&zoom=23",
    ],
)
def test_what_is_out_of_bounds_is_refused_in_words(town, path):
    status, _, body = town.server.get(f"{API}/{path}", "air")
    assert status == 400, body
    assert json.loads(body)["title"]


def test_a_kind_without_a_range_is_not_there(town):
    assert "air" in town.ask("coverage", kind="nothing", code=404)["title"]


def test_strangers_and_auditors_are_kept_out(town):
    for path in ("census", "devices", "findings", "map?bbox=1,2,3,4&zoom=1", "ingest"):
        assert town.server.get(f"{API}/{path}")[0] == 401
        assert town.server.get(f"{API}/{path}", "he")[0] == 403
