"""The demonstration: one command, a city, logins that see different things."""

import json
import os
import re
import subprocess
import time
import urllib.parse

import pytest
from browser import Browser
from conftest import ROOT, SHUJIN, filled, free_port, import_file, shujin, started

READING_SECONDS_MAX = 60


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    log, http, pg = folder / "log", f"127.0.0.1:{free_port()}", free_port()
    environment = {name: value for name, value in os.environ.items() if name != "CITY_DATA"}
    command = [SHUJIN, "demo", "--data", folder / "city", "--people", "10000"]
    process = subprocess.Popen(
        [*command, "--http", http, "--pg", f"127.0.0.1:{pg}", "--mqtt", "127.0.0.1:0"],
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=environment,
    )
    server = started(folder / "city", process, http, pg, log)
    yield filled(server, log), log
    server.stop()


def ask(server, user, sql):
    return server.psql(user, "-At", "-c", sql, password=f"{user}-of-shujin").strip()


def test_it_says_where_it_is_and_who_may_come_in(demo):
    server, log = demo
    said = log.read_text()
    assert server.http in said and str(server.pg_port) in said
    assert re.search(r"\bmqtt://127\.0\.0\.1:\d+", said), said
    for user in ("steward", "market", "tax", "health"):
        assert re.search(rf"\b{user}-of-shujin\b", said), said


def test_its_logins_see_different_things(demo):
    server, _ = demo
    owner = ask(server, "market", "SELECT count(*), count(legal_person) FROM market.enterprise")
    masked = ask(server, "tax", "SELECT count(*), count(legal_person) FROM market.enterprise")
    rows, names = owner.split("|")
    assert int(rows) > 0 and rows == names
    assert masked == f"{rows}|0"
    refusal = server.psql(
        "health", "-c", "SELECT * FROM market.enterprise", code=1, password="health-of-shujin"
    )
    assert "does not exist, or you have no access" in refusal
    assert int(ask(server, "health", "SELECT count(*) FROM air.pm25")) > 0


def sta(server, path, user):
    status, _, body = server.get(f"/sta/v1.1/{path}", user)
    assert status == 200, body
    return json.loads(body)


def test_its_sensors_tell_what_they_see_now(demo):
    server, _ = demo
    late = (
        "SELECT count(*) FROM sensing.observation"
        " WHERE phenomenon_time > now() - interval '5 minutes'"
    )
    until = time.monotonic() + READING_SECONDS_MAX
    while not int(ask(server, "steward", late)):
        assert time.monotonic() < until, "no reading has come in"
        time.sleep(0.5)
    unknown = (
        "SELECT count(*) FROM sensing.observation o"
        " LEFT JOIN sensing.datastream d ON d.id = o.datastream"
        " LEFT JOIN sensing.feature_of_interest f ON f.id = o.feature_of_interest"
        " WHERE d.id IS NULL OR f.id IS NULL OR o.owner <> d.owner OR o.sharing <> d.sharing"
    )
    assert ask(server, "steward", unknown) == "0"
    twice = (
        "SELECT count(*) FROM (SELECT 1 FROM sensing.observation"
        " GROUP BY datastream, phenomenon_time HAVING count(*) > 1) AS doubled"
    )
    assert ask(server, "steward", twice) == "0"


def test_its_sensors_have_a_past_and_some_have_nothing_else(demo):
    server, _ = demo
    test_its_sensors_tell_what_they_see_now(demo)
    long = (
        "SELECT datastream FROM sensing.observation GROUP BY datastream"
        " HAVING max(phenomenon_time) > min(phenomenon_time) + interval '300 days'"
    )
    assert len(ask(server, "steward", long).split()) >= 2
    # Of a gateway that is gone hang devices that told something once and have stopped since.
    gone = (
        "WITH newest AS (SELECT d.thing, max(o.phenomenon_time) AS at FROM sensing.datastream d"
        " LEFT JOIN sensing.observation o ON o.datastream = d.id GROUP BY d.thing)"
        " SELECT count(*) FROM sensing.thing t JOIN newest ON newest.thing = t.id"
        " WHERE json_number(t.properties, '/gateway') IS NOT NULL"
        " GROUP BY json_number(t.properties, '/gateway')"
        " HAVING count(*) >= 5 AND max(at) < now() - interval '1 day'"
    )
    assert ask(server, "steward", gone).split(), "a silent network"
    never = (
        "SELECT count(*) FROM sensing.thing t JOIN sensing.datastream d ON d.thing = t.id"
        " WHERE json_text(t.properties, '/retired_on') IS NULL"
        " AND d.id NOT IN (SELECT datastream FROM sensing.observation)"
    )
    assert int(ask(server, "steward", never)) > 0
    retired = "SELECT count(*) FROM sensing.thing WHERE json_text(properties, '/retired_on') < '2026'"
    assert int(ask(server, "steward", retired)) >= 2


def test_its_sensors_are_things_and_others_are_numbered_after_them(demo):
    server, log = demo
    [line] = [line for line in log.read_text().splitlines() if line.startswith("head ")]
    server.tokens["head"] = line.split()[2]
    expand = "Locations,Datastreams($expand=Sensor,ObservedProperty,Observations($top=1))"
    query = urllib.parse.urlencode({"$top": 1, "$expand": expand})
    [thing] = sta(server, f"Things?{query}", "head")["value"]
    assert thing["@iot.id"] == 1 and thing["properties"]["kind"] == "air", thing
    assert thing["Locations"][0]["location"]["type"] == "Point"
    [stream] = thing["Datastreams"]
    assert stream["properties"]["period_s"] == 3600 and stream["Sensor"] and stream["Observations"]
    assert stream["ObservedProperty"]["name"] == "PM2.5"
    own = {"name": "自建站", "description": "a station of one's own"}
    status, headers, body = server.post("/sta/v1.1/Things", own, "head")
    assert status == 201, body
    number = int(re.search(r"Things\((\d+)\)", headers["location"])[1])
    assert number > int(ask(server, "steward", "SELECT max(id) FROM sensing.thing WHERE name <> '自建站'"))


def test_its_sign_in_page_offers_a_login_for_each_role(demo):
    server, _ = demo
    browser = Browser(server)
    logins = browser.send("GET", "/api/sign-in")[1]["demo"]
    by_role = {login["role"]: login for login in logins}
    assert browser.sign_in("steward", "steward-of-shujin")[0] == 200
    roles = {role["id"] for role in browser.send("GET", "/api/roles")[1]["items"]}
    assert set(by_role) == roles
    for role, login in by_role.items():
        status, me = Browser(server).sign_in(login["user"], login["password"])
        assert status == 200 and not me["must_enrol"], me
        assert [held["id"] for held in me["roles"]] == [role]
        assert me["title"] == login["title"] and me["title"]["zh"] and me["areas"]
    assert ask(server, "admin", "SELECT 1") == "1", "no role asks for a second factor here"


def test_its_logins_go_into_no_real_city(tmp_path):
    data, file = tmp_path / "city", tmp_path / "readings.csv"
    file.write_text("监测点,观测时间,PM2.5\n某站,2024-01-01T00:00:00+08:00,5\n", encoding="utf-8")
    import_file(data, "air.pm25", file)
    refusal = shujin("demo", "--data", data, code=1)
    assert "no demonstration" in refusal
    names = [line.split("\t")[0] for line in shujin("user", "list", "--data", data).splitlines()]
    assert "operator" in names and "steward" not in names


def test_it_stays_on_loopback(tmp_path):
    refusal = shujin("demo", "--data", tmp_path / "city", "--http", "0.0.0.0:0", code=1)
    assert "loopback" in refusal and not (tmp_path / "city").exists()
