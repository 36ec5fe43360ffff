"""Devices that speak something else: endpoints that are asked, and topics that are mapped.

A small server in the test plays the endpoints; the pack is Chengdu's with sources of the test's
own. Nothing is asserted about how long something took, but for lower bounds on waits.
"""

import json
import shutil
import threading
import time
import urllib.request
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import paho.mqtt.client as paho
import pytest

from conftest import ROOT, add_user, answer, free_port, rows_of, serve, shujin, token_of

STA = "/sta/v1.1"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
SECRET = "s3cret-of-the-gauges"
WAIT_SECONDS_MAX = 60
EVERY_S = 1
NOW = int(time.time()) // 60 * 60


class Endpoints:
    """What each path answers, and when it was asked."""

    def __init__(self):
        self.asked = defaultdict(list)
        self.headers = {}
        self.answers = {}
        endpoints = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.split("?")[0]
                endpoints.asked[path].append(time.monotonic())
                endpoints.headers[path] = dict(self.headers)
                status, body, headers, delay_s = endpoints.answers[path](self.headers)
                time.sleep(delay_s)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, path, body, status=200, delay_s=0, **headers):
        body = body if isinstance(body, bytes) else body.encode()
        self.answers[path] = lambda asked: (status, body, headers, delay_s)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def item(station, minute, level):
    return {"id": station, "t": NOW - 60 * minute, "level": level, "temp": 50.0}


JSON_SOURCE = """
id = "gauges"
title = {{ zh = "水位站", en = "Gauges" }}
owner = "water"
format = "json"
records = "$.data.items[*]"
device = {{ path = "$.id" }}

[poll]
url = "{url}/json?key=in-the-address"
user = "gauges"
every_s = {every}
timeout_s = 1
headers = {{ Authorization = {{ secret = "gauges", prefix = "Bearer " }} }}

[time]
path = "$.t"
format = "epoch_s"

[[reading]]
key = "level"
path = "$.level"
unit = "cm"

[[reading]]
key = "temperature"
path = "$.temp"
unit = "[degF]"
"""

CSV_SOURCE = """
id = "lines"
title = {{ zh = "雨量站", en = "Rain gauges" }}
owner = "water"
format = "csv"
device = {{ column = "站号" }}

[csv]
separator = ";"

[poll]
url = "{url}/csv"
user = "gauges"
every_s = {every}
timeout_s = 1

[time]
column = "时间"
format = "%Y-%m-%d %H:%M"

[[reading]]
key = "level"
column = "水位"
unit = "mm"
missing = ["-"]
"""

PLAIN_SOURCE = """
id = "{id}"
title = {{ zh = "{id}", en = "{id}" }}
owner = "water"
format = "json"
device = {{ path = "$.id" }}

[poll]
url = "{url}/{id}"
user = "{user}"
every_s = {every}
timeout_s = 1

[[reading]]
key = "level"
path = "$.level"
"""


def gauge(name):
    def stream(key, symbol):
        return {
            "name": f"{name} {key}",
            "description": key,
            "observationType": MEASUREMENT,
            "unitOfMeasurement": {"name": symbol, "symbol": symbol, "definition": symbol},
            "properties": {"source_key": key},
            "Sensor": {
                "name": "s",
                "description": "s",
                "encodingType": "text/html",
                "metadata": "m",
            },
            "ObservedProperty": {"name": key, "definition": "http://a.example", "description": key},
        }

    return {
        "name": name,
        "description": "gauge",
        "properties": {"source_id": name},
        "Locations": [
            {
                "name": f"{name} bank",
                "description": "bank",
                "encodingType": "application/geo+json",
                "location": {"type": "Point", "coordinates": [104.06, 30.67]},
            }
        ],
        "Datastreams": [stream("level", "m"), stream("temperature", "°C")],
    }


def post(server, path, body, user):
    request = urllib.request.Request(
        f"{server.http}{STA}/{path}", data=json.dumps(body).encode(), method="POST"
    )
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {server.tokens[user]}")
    status, _, text = answer(request)
    assert status == 201, text


def write_pack(folder, url):
    pack = folder / "pack"
    shutil.copytree(ROOT / "packs/chengdu", pack)
    sources = pack / "sources"
    sources.mkdir(exist_ok=True)
    made = {
        "gauges": JSON_SOURCE.format(url=url, every=EVERY_S),
        "lines": CSV_SOURCE.format(url=url, every=EVERY_S),
    }
    for name in ["broken", "garbage", "slow", "moved"]:
        made[name] = PLAIN_SOURCE.format(id=name, url=url, every=EVERY_S, user="gauges")
    made["stranger"] = PLAIN_SOURCE.format(id="stranger", url=url, every=EVERY_S, user="nobody")
    for name, text in made.items():
        (sources / f"{name}.toml").write_text(text, encoding="utf-8")
    return pack


@pytest.fixture(scope="module")
def endpoints():
    endpoints = Endpoints()
    items = {"data": {"items": [item("G-1", 3, 812.5), item("G-2", 3, 90)]}}
    endpoints.says("/json", json.dumps(items), ETag='"one"')
    stamp = time.strftime("%Y-%m-%d %H:%M", time.gmtime(NOW - 600 + 8 * 3600))
    endpoints.says("/csv", f"\ufeff站号;时间;水位\nG-1;{stamp};1500\nG-2;{stamp};-\n")
    endpoints.says("/broken", "no", status=500)
    endpoints.says("/garbage", b"\x00\xff<html>", status=200)
    endpoints.says("/slow", json.dumps({"id": "G-1", "level": 1}), delay_s=3)
    endpoints.says("/moved", "", status=302, Location=f"{endpoints.url}/elsewhere")
    endpoints.says("/elsewhere", json.dumps({"id": "G-1", "level": 1}))
    endpoints.says("/stranger", json.dumps({"id": "G-1", "level": 1}))
    yield endpoints
    endpoints.stop()


@pytest.fixture(scope="module")
def city(endpoints, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mapped")
    pack, data, log = write_pack(folder, endpoints.url), folder / "city", folder / "server.log"
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "gauges").write_text(SECRET + "\n")
    # Things first: the city is made without sources asking before it has any.
    options = ["--pack", pack, "--source-secrets", secrets]
    mqtt = free_port()
    serve(data, log, "--pack", pack).stop()
    for name, organisation, role in [
        ("gauges", "water", "data_steward"),
        ("other", "transport", "data_steward"),
        ("admin", "data", "administrator"),
    ]:
        add_user(data, name, organisation, role)
    tokens = {name: token_of(data, name) for name in ["gauges", "other", "admin"]}
    server = serve(data, log, *options, mqtt_port=mqtt)
    server.tokens, server.log, server.mqtt, server.options = tokens, log, mqtt, options
    for name in ["G-1", "G-2"]:
        post(server, "Things", gauge(name), "gauges")
    yield server
    server.stop()


def sources(server, user="gauges"):
    status, _, body = server.get("/api/sensing/sources", user)
    assert status == 200, body
    return {source["id"]: source for source in json.loads(body)["items"]}


def until(what, *arguments):
    """What is asked for, once it is there."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        found = what(*arguments)
        if found:
            return found
        assert time.monotonic() < deadline, f"{what.__name__} {arguments} did not come"
        time.sleep(0.1)


def readings(server, user="gauges"):
    sql = (
        "SELECT d.name, o.phenomenon_time, o.ordinal, o.result_number FROM sensing.observation o "
        "JOIN sensing.datastream d ON d.id = o.datastream ORDER BY 1, 2, 3"
    )
    return rows_of(server, user, sql)


def results(server, stream):
    return [row["result_number"] for row in readings(server) if row["name"] == stream]


def test_answers_become_observations_in_the_datastreams_units(city, endpoints):
    assert until(results, city, "G-2 level") == [0.9]
    assert until(results, city, "G-1 temperature") == [10.0]
    # 812.5 cm by JSON, 1500 mm by a line ten minutes before.
    until(lambda: len(results(city, "G-1 level")) == 2)
    assert sorted(results(city, "G-1 level")) == [1.5, 8.125]
    found = rows_of(
        city,
        "gauges",
        "SELECT DISTINCT feature_of_interest, owner FROM sensing.observation",
    )
    assert all(row["feature_of_interest"] and row["owner"] == "water" for row in found), found


def test_the_same_again_is_a_duplicate_and_another_value_is_kept(city, endpoints):
    until(results, city, "G-2 level")
    # It said that it wants the same only where it has changed, and the line has no version.
    until(lambda: sources(city)["lines"]["duplicates"] > 0)
    assert len(results(city, "G-1 level")) >= 1
    changed = {"data": {"items": [item("G-2", 3, 91), item("G-2", 2, 92)]}}
    endpoints.says("/json", json.dumps(changed), ETag='"two"')
    until(lambda: len(results(city, "G-2 level")) == 3)
    rows = [row for row in readings(city) if row["name"] == "G-2 level"]
    assert [(row["ordinal"], row["result_number"]) for row in rows] == [
        (0, 0.9),
        (1, 0.91),
        (0, 0.92),
    ]


def test_a_version_is_asked_for_again_only_where_it_changed(city, endpoints):
    def unchanged(asked):
        if asked.get("If-None-Match") == '"three"':
            return 304, b"", {"ETag": '"three"'}, 0
        body = json.dumps({"data": {"items": [item("G-1", 1, 100)]}}).encode()
        return 200, body, {"ETag": '"three"'}, 0

    endpoints.answers["/json"] = unchanged
    until(lambda: sources(city)["gauges"]["unchanged"] > 1)
    assert sources(city)["gauges"]["state"] == "well"


def test_who_fails_is_asked_later_and_later(city, endpoints):
    for name in ["broken", "garbage", "moved", "slow"]:
        until(lambda name=name: sources(city)[name]["failures"] >= 2)
        state = sources(city)[name]
        assert state["state"] == "failing" and state["error"], state
    until(lambda: len(endpoints.asked["/broken"]) >= 4)
    asked = endpoints.asked["/broken"]
    gaps = [later - earlier for earlier, later in zip(asked, asked[1:], strict=False)]
    # Half of what is doubled each time is certain, the rest is chance: 1 s, 2 s, 4 s at least.
    for doubled, gap in zip([1, 2, 4], gaps, strict=False):
        assert gap > doubled * 0.9, gaps
    assert "500" in sources(city)["broken"]["error"]
    assert "redirection" in sources(city)["moved"]["error"]
    assert not endpoints.asked["/elsewhere"], "a redirection was followed"


def test_garbage_waits_in_quarantine_with_its_source(city):
    kept = "SELECT file, reason, raw FROM system.quarantine WHERE file = 'source:garbage'"
    until(lambda: sources(city)["garbage"]["refused"] > 1)
    [row] = rows_of(city, "gauges", kept)
    assert row["reason"] == "json" and "<html>" in row["raw"], row
    assert rows_of(city, "other", kept) == [], "whose it is not"


def test_a_user_that_is_not_there_stops_its_source(city, endpoints):
    state = until(lambda: sources(city).get("stranger"))
    until(lambda: sources(city)["stranger"]["state"] == "stopped")
    assert not endpoints.asked["/stranger"], state


def test_each_sees_its_own_sources(city):
    assert "gauges" in sources(city) and "gauges" in sources(city, "admin")
    assert not sources(city, "other")


def test_secrets_are_sent_and_told_to_nobody(city, endpoints):
    until(lambda: "/json" in endpoints.headers)
    assert endpoints.headers["/json"]["Authorization"] == f"Bearer {SECRET}"
    text = city.log.read_text() + json.dumps(sources(city))
    assert SECRET not in text and "in-the-address" not in text


def test_after_a_restart_what_is_there_is_not_taken_again(city, endpoints, tmp_path):
    endpoints.says("/json", json.dumps({"data": {"items": [item("G-1", 1, 100)]}}))
    until(lambda: len([level for level in results(city, "G-1 level") if level == 1.0]) == 1)
    city.stop()
    log = tmp_path / "again.log"
    again = serve(city.data, log, *city.options[2:], mqtt_port=city.mqtt)
    city.process, city.http, city.pg_port, city.log = again.process, again.http, again.pg_port, log
    until(lambda: sources(city)["gauges"]["duplicates"] > 0)
    assert len([level for level in results(city, "G-1 level") if level == 1.0]) == 1


def test_mistakes_in_sources_are_told_with_their_places(tmp_path):
    pack = tmp_path / "pack"
    shutil.copytree(ROOT / "packs/chengdu", pack)
    (pack / "sources").mkdir(exist_ok=True)
    wrong = PLAIN_SOURCE.format(id="wrong", url="ftp://a.example", every=5, user="x")
    wrong = wrong.replace('path = "$.level"', 'path = "$.a[*]"').replace('"water"', '"watr"')
    (pack / "sources/wrong.toml").write_text(wrong, encoding="utf-8")
    said = shujin("check", pack, code=1)
    assert "sources/wrong.toml:16:8: the path leads to many values" in said, said
    assert "unknown organisation `watr`" in said, said
    wrong = PLAIN_SOURCE.format(id="wrong", url="http://169.254.169.254", every=5, user="x")
    wrong += 'unit = "cm"\nto = "Cel"\n'
    (pack / "sources/wrong.toml").write_text(wrong, encoding="utf-8")
    said = shujin("check", pack, code=1)
    assert "an address of the link alone" in said, said
    assert "`cm` does not become `Cel`" in said, said


def test_topics_are_mapped(city):
    thing = gauge("W-7")
    thing["Datastreams"] = thing["Datastreams"][:1]
    post(city, "Things", thing, "gauges")
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set("gauges", city.tokens["gauges"])
    client.connect("127.0.0.1", city.mqtt)
    client.loop_start()
    try:
        said = {"seq": 1, "ts": NOW - 60, "level_cm": 321}
        for _ in range(2):
            sent = client.publish("city/water/W-7/telemetry", json.dumps(said), qos=1)
            sent.wait_for_publish(WAIT_SECONDS_MAX)
        until(lambda: sources(city)["water_level"]["duplicates"] == 1)
        assert results(city, "W-7 level") == [3.21]
    finally:
        client.loop_stop()
        client.disconnect()
