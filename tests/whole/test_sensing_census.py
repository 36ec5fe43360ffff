"""The census of devices: states, flags by rule, who sends, and counts that outlive a crash."""

import json
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from conftest import add_user, answer, import_file, serve, shujin, token_of

STA = "/sta/v1.1"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
USERS = {
    "air": ("ecology_environment", ["data_steward"]),
    "zhao": ("market_regulation", ["data_steward"]),
    "owner": ("data", ["data_steward"]),
}
FACILITY = (
    "编号,类型,名称,所在网格,主管部门,容量,容量单位,服务年龄下限,服务年龄上限,"
    "开放时间,关闭时间,开放日,建筑面积,位置\nf1,clinic,诊所,510104017001,,10,,,,,,,,POINT(104.01 30.65)\n"
)
# Tables of the census are made anew after 5 seconds at the latest, on a small city.
CENSUS_SECONDS_MAX = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("census")
    file, data = folder / "facility.csv", folder / "city"
    file.write_text(FACILITY, encoding="utf-8")
    import_file(data, "place.facility", file)
    for name, (organisation, roles) in USERS.items():
        add_user(data, name, organisation, *roles, areas=["510100000000"])
    return folder


@pytest.fixture(scope="module")
def census(folder):
    """A served city. Tests that end it start another in its place."""
    tokens = {name: token_of(folder / "city", name) for name in USERS}

    def start():
        server = serve(folder / "city", folder / "server.log")
        server.tokens = tokens
        return server

    running = {"server": start(), "start": start}
    yield running
    running["server"].stop()


def post(census, path, body, user="air", code=201):
    request = urllib.request.Request(
        f"{census['server'].http}{STA}/{path}", data=json.dumps(body).encode(), method="POST"
    )
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {census['server'].tokens[user]}")
    status, headers, text = answer(request)
    assert status == code, text
    return headers, json.loads(text) if text else None


def ask(census, sql, user="air", code=200, **more):
    status, answered = census["server"].send("POST", "/api/sql", {"sql": sql, **more}, user)
    assert status == code, answered
    return answered["rows"] if code == 200 else answered


def until(census, sql, wanted, user="air"):
    """Asks until the answer is what is wanted: the census is kept for a few seconds."""
    deadline = time.monotonic() + CENSUS_SECONDS_MAX
    while True:
        rows = ask(census, sql, user)
        if rows == wanted:
            return
        assert time.monotonic() < deadline, f"{rows}\nand not\n{wanted}"
        time.sleep(0.5)


def ago(**span):
    return (datetime.now(UTC) - timedelta(**span)).isoformat().replace("+00:00", "Z")


def device(name, streams, **properties):
    """A Thing with Datastreams: of each, what its properties are."""
    return {
        "name": name,
        "description": "监测站",
        "properties": {"kind": "air", **properties},
        "Locations": [
            {
                "name": name,
                "description": "楼顶",
                "encodingType": "application/geo+json",
                "location": {"type": "Point", "coordinates": [104.06, 30.67]},
            }
        ],
        "Datastreams": [
            {
                "name": f"{name} {place}",
                "description": "读数",
                "observationType": MEASUREMENT,
                "unitOfMeasurement": {"name": unit, "symbol": unit, "definition": unit},
                "properties": own,
                "Sensor": {
                    "name": "BAM-1020",
                    "description": "beta attenuation",
                    "encodingType": "text/html",
                    "metadata": "https://metone.com",
                },
                "ObservedProperty": {
                    "name": observed,
                    "definition": f"http://example.org/{observed}",
                    "description": observed,
                },
            }
            for place, (observed, unit, own) in enumerate(streams)
        ],
    }


def made(census, name, streams, user="air", **properties):
    """The numbers of a new device and of its Datastreams, in order."""
    headers, _ = post(census, "Things", device(name, streams, **properties), user)
    thing = int(headers["location"].rsplit("(", 1)[1].rstrip(")"))
    sql = f"SELECT id FROM sensing.datastream WHERE thing = {thing} ORDER BY name"
    rows = ask(census, sql, user)
    return thing, [row["id"] for row in rows]


def send(census, stream, rows, user="air", parameters=None):
    """Takes (time, result) pairs in one request; the links of what was made."""
    components = ["phenomenonTime", "result"] + (["parameters"] if parameters else [])
    array = [list(row) + ([parameters[at]] if parameters else []) for at, row in enumerate(rows)]
    body = [
        {
            "Datastream": {"@iot.id": stream},
            "components": components,
            "dataArray@iot.count": len(rows),
            "dataArray": array,
        }
    ]
    return post(census, "CreateObservations", body, user)[1]


def flags(census, stream):
    sql = f"""SELECT flags FROM sensing.observation WHERE datastream = {stream}
              ORDER BY phenomenon_time, ordinal"""
    return [row["flags"] for row in ask(census, sql)]


def test_a_device_is_in_the_state_that_its_readings_say(census):
    plain, each_hour = ("PM2.5", "ug/m3", {}), ("PM2.5", "ug/m3", {"period_s": 3600})
    each_second = ("PM2.5", "ug/m3", {"period_s": 1})
    battery = ("Battery", "%", {"role": "battery"})
    things = {
        "registered": made(census, "s-registered", [each_hour]),
        "connected": made(census, "s-connected", [plain, battery]),
        "reporting": made(
            census, "s-reporting", [each_hour, each_second], area_code="510104000000"
        ),
        "silent": made(census, "s-silent", [each_second], maintenance_due="2026-12-31"),
        "retired": made(census, "s-retired", [each_hour], retired_on="2020-01-01"),
    }
    send(census, things["connected"][1][0], [(ago(days=3), 12)])
    send(census, things["connected"][1][1], [(ago(days=3), 87.5)])
    send(census, things["reporting"][1][0], [(ago(minutes=150), 10), (ago(minutes=30), 11)])
    send(census, things["silent"][1][0], [(ago(minutes=10), 10)])
    send(census, things["retired"][1][0], [(ago(minutes=10), 10)])
    streams = {state: len(streams) for state, (_, streams) in things.items()}
    wanted = [{"state": state, "n": count} for state, count in sorted(streams.items())]
    sql = """SELECT state, max(datastreams) AS n FROM sensing.device_state
             WHERE name LIKE 's-%' GROUP BY state ORDER BY state"""
    until(census, sql, wanted)

    [row] = ask(census, "SELECT * FROM sensing.device_state WHERE name = 's-connected'")
    assert (row["battery_percent"], row["kind"]) == (87.5, "air")
    assert row.get("uptime_share") is None, "nobody knows what was expected"
    assert row["owner"] == "ecology_environment" and row["valid_share"] == 1
    [row] = ask(census, "SELECT * FROM sensing.device_state WHERE name = 's-reporting'")
    assert row["area_code"] == "510104000000" and row["period_s"] == 1
    # Two hours and a half, two readings: two of two and a half were expected of an hour each.
    assert 0.7 <= row["uptime_share"] <= 0.9, row
    [row] = ask(census, "SELECT * FROM sensing.device_state WHERE name = 's-silent'")
    assert row["maintenance_due"] == "2026-12-31" and row["since"]
    [row] = ask(census, "SELECT * FROM sensing.datastream_state WHERE name = 's-reporting 0'")
    assert (row["state"], row["count"], row["result"], row["unit"]) == ("reporting", 2, 11, "ug/m3")
    [row] = ask(census, "SELECT * FROM sensing.datastream_state WHERE name = 's-reporting 1'")
    assert (row["state"], row["count"], row.get("newest_at")) == ("registered", 0, None)


def test_a_reading_is_flagged_for_what_is_wrong_with_it(census):
    own = {
        "plausible": {
            "min": 0, "max": 1000, "stuck_readings": 3, "spike": 50, "rate_per_h": 600,
            "ahead_s": 60, "late_s": 86400,
        }
    }  # fmt: skip
    dust, other = ("PM2.5", "ug/m3", own), ("PM2.5", "µg/m³", {})
    _, [ranged, stuck, spiky, unit, clock] = made(
        census, "f", [dust, dust, dust, other, ("x", "m", own)]
    )
    past = [ago(minutes=60 - 10 * at) for at in range(6)]
    send(census, ranged, [(past[0], 12), (past[1], -1), (past[2], 1001), (past[3], 13)])
    assert [found & 1 for found in flags(census, ranged)] == [0, 1, 1, 0]
    # One by one, as a device sends them.
    for at in range(4):
        send(census, stuck, [(past[at], 12.5)])
    assert flags(census, stuck) == [0, 0, 4, 4]
    send(census, spiky, list(zip(past, [10, 11, 95, 12, 13, 14])))
    assert [found & 8 for found in flags(census, spiky)] == [0, 0, 8, 0, 0, 0]
    _, [steep] = made(census, "g", [("x", "m", {"plausible": {"rate_per_h": 60}})])
    send(census, steep, list(zip(past, [10, 11, 95, 12, 13, 14])))
    assert flags(census, steep) == [0, 0, 2, 0, 0, 0]
    send(census, unit, [(past[0], 35), (past[1], 0.035)])
    assert flags(census, unit) == [0, 16]
    send(census, clock, [(ago(days=2), 1), (ago(minutes=1), 2), (ago(hours=-2), 3)])
    assert flags(census, clock) == [64, 0, 32]
    # Late alone leaves nothing out.
    sql = f"SELECT count, flagged FROM sensing.datastream_state WHERE datastream = {clock}"
    until(census, sql, [{"count": 3, "flagged": 1}])


def test_history_is_judged_by_its_own_order(census):
    own = {"plausible": {"spike": 50}}
    _, [stream] = made(census, "h", [("x", "m", own)])
    send(census, stream, [(ago(minutes=1), 10)])
    old = [(ago(days=9 - at), value) for at, value in enumerate([200, 201, 300, 202])]
    send(census, stream, old)
    assert [found & 8 for found in flags(census, stream)] == [0, 0, 8, 0, 0]


def test_who_sends_is_known_with_what_became_of_it(census):
    _, [stream] = made(census, "p", [("x", "m", {"plausible": {"max": 100}})], user="zhao")
    times = [ago(seconds=400 - at) for at in range(300)]
    numbers = [{"sequence": at} for at in range(300) if at not in (10, 11, 12)]
    rows = [(times[number["sequence"]], 5) for number in numbers]
    rows[7] = (rows[7][0], 500)
    send(census, stream, rows, "zhao", numbers)
    send(census, stream, [(times[20], 5)], "zhao", [{"sequence": 300}])
    links = send(census, stream, [("no time", 5), (times[0], "no number")], "zhao")
    assert links == ["error", "error"]
    wanted = {
        "rows": 298, "refused": 2, "flagged": 1, "duplicates": 1, "lost": 3, "face": "http",
    }  # fmt: skip
    until(
        census,
        f"SELECT {', '.join(wanted)} FROM sensing.producer WHERE producer = 'zhao'",
        [wanted],
        "zhao",
    )
    [row] = ask(census, "SELECT * FROM sensing.producer WHERE producer = 'zhao'", "zhao")
    assert 100_000 <= row["lag_p50_ms"] <= row["lag_p99_ms"] <= 600_000, row
    assert row["owner"] == "market_regulation" and row["since"] <= row["last_at"]
    assert ask(census, "SELECT * FROM sensing.producer WHERE producer = 'zhao'", "air") == []


def test_another_department_sees_what_is_open(census):
    made(census, "o-own", [("x", "m", {})])
    made(census, "o-open", [("x", "m", {})], sharing="open")
    for dataset in ("device_state", "datastream_state"):
        sql = f"SELECT name FROM sensing.{dataset} WHERE name LIKE 'o-%' ORDER BY name"
        place = "" if dataset == "device_state" else " 0"
        both = [{"name": f"{name}{place}"} for name in ("o-open", "o-own")]
        until(census, sql, both, "air")
        assert ask(census, sql, "zhao") == both[:1]
        assert ask(census, sql, "owner") == both, "who runs the platform"


def test_the_census_keeps_no_past(census):
    said = ask(census, "SELECT * FROM sensing.device_state", code=400, as_of=ago(minutes=5))
    assert "keeps no past" in json.dumps(said, ensure_ascii=False), said


def test_no_file_goes_into_the_census(folder, census):
    file = folder / "states.csv"
    file.write_text("thing,name\n1,x\n", encoding="utf-8")
    census["server"].stop()
    said = shujin("import", "--data", folder / "city", "sensing.device_state", file, code=1)
    assert "platform's own" in said, said
    census["server"] = census["start"]()


def figures(census, stream):
    """SQL that counts in the memory and in the rows, and what both say."""
    sql = f"""SELECT count, flagged, newest_at, result FROM sensing.datastream_state
              WHERE datastream = {stream}"""
    rows = f"""SELECT count(*) AS count, count(*) FILTER (WHERE (flags & 63) <> 0) AS flagged,
                      max(phenomenon_time) AS newest_at,
                      (SELECT result_number FROM sensing.observation WHERE datastream = {stream}
                       ORDER BY phenomenon_time DESC LIMIT 1) AS result
               FROM sensing.observation WHERE datastream = {stream}"""
    return sql, ask(census, rows)


def test_counts_outlive_a_stop_and_a_crash(census):
    _, [stream] = made(census, "c", [("x", "m", {"plausible": {"max": 100}})])
    times = [ago(minutes=500 - at) for at in range(400)]
    send(census, stream, [(times[at], at) for at in range(100)])
    census["server"].stop()
    census["server"] = census["start"]()
    until(census, *figures(census, stream))
    # What comes after the file was written is found in the log.
    send(census, stream, [(times[at], at) for at in range(100, 300)])
    census["server"].process.kill()
    census["server"].process.wait()
    census["server"] = census["start"]()
    send(census, stream, [(times[at], at) for at in range(300, 310)])
    sql, rows = figures(census, stream)
    assert (rows[0]["count"], rows[0]["flagged"]) == (310, 209)
    until(census, sql, rows)


def test_deletions_and_corrections_correct_the_count(census):
    _, [stream] = made(census, "d", [("x", "m", {"plausible": {"max": 100}})])
    times = [ago(minutes=50 - at) for at in range(5)]
    links = send(census, stream, [(times[at], 10 * at) for at in range(5)])

    def change(link, method, body=None):
        path = urllib.parse.urlsplit(link).path
        status, text = census["server"].send(method, path, body, "air")
        assert status == 200, text

    change(links[4], "DELETE")
    sql, rows = figures(census, stream)
    assert (rows[0]["count"], rows[0]["result"]) == (4, 30), "the newest is gone"
    until(census, sql, rows)
    change(links[3], "PATCH", {"result": 300})
    sql, rows = figures(census, stream)
    assert (rows[0]["count"], rows[0]["flagged"], rows[0]["result"]) == (4, 1, 300)
    until(census, sql, rows)
    change(links[3], "PATCH", {"result": 33})
    # A correction moves one to another time.
    change(links[0], "PATCH", {"phenomenonTime": ago(seconds=5)})
    sql, rows = figures(census, stream)
    assert (rows[0]["count"], rows[0]["flagged"], rows[0]["result"]) == (4, 0, 0)
    until(census, sql, rows)
    # All of it holds after a crash, too: the file is from before the corrections.
    census["server"].process.kill()
    census["server"].process.wait()
    census["server"] = census["start"]()
    until(census, sql, rows)


def test_the_duty_officer_s_board_counts_departments(folder, census):
    census["server"].stop()
    add_user(folder / "city", "duty", "emergency", "duty_officer", areas=["510100000000"])
    token = token_of(folder / "city", "duty")
    census["server"] = census["start"]()
    census["server"].tokens["duty"] = token
    status, board = census["server"].send("GET", "/api/boards/duty", user="duty")
    assert status == 200, board
    tiles = {tile["id"]: tile for tile in board["tiles"]}
    rows = {row["department"]: row for row in tiles["connected"]["rows"]}
    assert rows["成都市生态环境局"]["devices"] > 1, "of all, whether their readings are open or not"
