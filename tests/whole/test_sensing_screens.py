"""The screens of sensing, walked through as a duty officer does: what is silent is found from the
overview, opened and seen on its chart, compared, looked for on the map; coverage and ingest."""

import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from conftest import PASSWORD, add_user, import_file, serve, token_of
from screens import PHONE, Visitor, assert_fits, browser  # noqa: F401

STA = "/sta/v1.1"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
USER = "air"
CITY, STREET = "510100000000", "510116001000"
CORNERS = "POLYGON((104.0 30.6, 104.2 30.6, 104.2 30.8, 104.0 30.8, 104.0 30.6))"
BOUNDARY = f"""代码,级别,上级代码,名称,英文名称,专属网格,面积,人口数,户数,边界
510116000000,district,{CITY},双流区,Shuangliu,false,425000000,10000,4000,"{CORNERS}"
{STREET},street,510116000000,东升街道,Dongsheng,false,425000000,10000,4000,"{CORNERS}"
"""
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
DAY_S = 86_400
SETTLED_SECONDS_MAX = 60
NETWORK = "fuhe-1"
# Name, place, expected period, what its results are in, and what it says of itself.
DEVICES = {
    "锦江站": ([104.05, 30.7], DAY_S, "ug/m3", {"kind": "air"}),
    "望江站": ([104.06, 30.71], DAY_S, "Cel", {"kind": "air"}),
    "府河一": ([104.15, 30.65], 60, "ug/m3", {"kind": "air", "network": NETWORK}),
    "府河二": ([104.16, 30.65], 60, "ug/m3", {"kind": "air", "network": NETWORK}),
    "府河三": ([104.17, 30.65], 60, "ug/m3", {"kind": "air", "network": NETWORK}),
    "独一": ([104.1, 30.78], 60, "ug/m3", {"kind": "noise"}),
    "新来": ([104.18, 30.78], 60, "ug/m3", {"kind": "noise"}),
}
REPORTING, SILENT = ["锦江站", "望江站"], ["府河一", "府河二", "府河三", "独一"]


def stamp(moment):
    return moment.isoformat().replace("+00:00", "Z")


def thing(name):
    place, period_s, unit, properties = DEVICES[name]
    return {
        "name": name,
        "description": "立杆安装",
        "properties": {"area_code": STREET, **properties},
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
                "name": f"{name}读数",
                "description": "读数",
                "observationType": MEASUREMENT,
                "properties": {"period_s": period_s},
                "unitOfMeasurement": {"name": unit, "symbol": unit, "definition": unit},
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


def fill(server):
    """Makes the devices and lets them speak; the numbers of things and Datastreams by name."""
    numbers = {}
    for name in DEVICES:
        status, headers, body = server.post(f"{STA}/Things", thing(name), USER)
        assert status == 201, body
        number = int(headers["location"].rsplit("(", 1)[1].rstrip(")"))
        [stream] = json.loads(server.get(f"{STA}/Things({number})/Datastreams", USER)[2])["value"]
        numbers[name] = (number, stream["@iot.id"])
    for name in [*REPORTING, *SILENT]:
        until = NOW if name in REPORTING else NOW - 12 * HOUR
        rows = [[stamp(until - hour * HOUR), 20 + hour] for hour in range(10)]
        group = {
            "Datastream": {"@iot.id": numbers[name][1]},
            "components": ["phenomenonTime", "result"],
            "dataArray@iot.count": len(rows),
            "dataArray": rows,
        }
        status, _, body = server.post(f"{STA}/CreateObservations", [group], USER)
        assert status == 201 and b"error" not in body, body
    return numbers


def wait_for_states(server):
    """States are kept for a few seconds: until they are those of what was made."""
    wanted = {"reporting": len(REPORTING), "silent": len(SILENT), "registered": 1}
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while True:
        status, _, body = server.get("/api/sensing/census", USER)
        found = json.loads(body)
        if status == 200 and found["whole"] and wanted.items() <= found["total"].items():
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


@pytest.fixture(scope="module")
def sensed(tmp_path_factory):
    """A city whose devices all came through SensorThings, and their numbers."""
    folder = tmp_path_factory.mktemp("sensing_screens")
    file, data = folder / "boundary.csv", folder / "city"
    file.write_text(BOUNDARY, encoding="utf-8")
    summary = import_file(data, "place.boundary", file)
    assert summary["rows_quarantined"] == 0, summary
    add_user(data, USER, "ecology_environment", "data_steward", areas=[CITY])
    token = token_of(data, USER)
    server = serve(data, folder / "server.log")
    server.tokens = {USER: token}
    try:
        numbers = fill(server)
        wait_for_states(server)
        yield server, numbers
    finally:
        server.stop()


@pytest.fixture
def visit(sensed, browser):  # noqa: F811
    """Opens a screen as somebody who looks after the air; all leave when the test ends."""
    visitors = []

    def visit(path, **how):
        visitor = Visitor(browser, sensed[0].http, **how)
        visitors.append(visitor)
        visitor.sign_in(USER, PASSWORD).page.goto(path)
        return visitor

    yield visit
    for visitor in visitors:
        visitor.close()


def test_a_silent_device_is_found_opened_and_compared(visit, sensed):
    _, numbers = sensed
    visitor = visit("/sensing")
    page = visitor.page
    # A network that is silent is one line; the device that is silent by itself another.
    findings = page.get_by_role("region", name="失联告警")
    expect(findings.get_by_text(f"网络“{NETWORK}”整体失联")).to_be_visible()
    expect(findings.get_by_text("3 台设备")).to_be_visible()
    expect(findings.locator(".findings > li")).to_have_count(2)
    census = page.get_by_role("region", name="设备普查")
    expect(census.get_by_role("row", name=re.compile("双流区"))).to_contain_text("6 / 7")
    visitor.take("sensing")
    census.get_by_role("link", name="双流区").click()
    expect(page).to_have_url(re.compile("area=510116000000"))
    expect(census.get_by_role("navigation", name="所在位置")).to_contain_text("双流区")
    states = page.get_by_role("region", name="各状态设备数")
    states.get_by_role("link", name=re.compile("^失联")).click()
    expect(page.get_by_role("status").filter(has_text="共 4 台设备")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(len(SILENT))
    visitor.take("sensing-devices")

    page.get_by_role("link", name="独一").click()
    expect(page.get_by_role("heading", level=1, name="独一")).to_be_visible()
    expect(page.get_by_role("region", name="设备情况")).to_contain_text("失联")
    chart = page.locator(".chart")
    expect(chart).to_have_attribute("aria-label", re.compile("最低 20 μg/m³，最高 29 μg/m³"))
    page.get_by_role("button", name="近一周").click()
    expect(page).to_have_url(re.compile("span=week"))
    expect(chart.locator("svg")).to_be_visible()
    page.get_by_role("button", name="看数据表").click()
    expect(page.get_by_role("columnheader", name="平均")).to_be_visible()
    visitor.take("sensing-device")

    page.get_by_role("link", name="与其他数据对比").click()
    finding = page.get_by_role("region", name="添加数据")
    finding.get_by_label("按名称查找设备").fill("望江")
    finding.get_by_role("button", name=re.compile("望江站$")).click()
    finding.get_by_role("button", name="添加望江站读数").click()
    ids = f"{numbers['独一'][1]}(,|%2C){numbers['望江站'][1]}"
    expect(page).to_have_url(re.compile(f"ids={ids}"))
    expect(page.get_by_role("list", name="正在对比").get_by_role("listitem")).to_have_count(2)
    visitor.take("sensing-compare")


def test_the_map_shows_devices_and_lists_them(visit, sensed):
    _, numbers = sensed
    visitor = visit("/sensing/map?state=silent")
    page = visitor.page
    expect(page.locator(".map[data-state=idle]")).to_be_visible(timeout=60_000)
    expect(page.locator(".map-mark").first).to_be_visible()
    listed = page.get_by_role("region", name="设备清单")
    expect(listed.locator(".devices li")).to_have_count(len(SILENT))
    visitor.take("sensing-map")
    # By keys alone: the list leads where the signs do.
    listed.get_by_role("link", name="独一").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/sensing/devices/{numbers['独一'][0]}"))


def test_coverage_and_ingest_in_english(visit):
    visitor = visit("/sensing/coverage?kind=air", language="en", theme="dark")
    page = visitor.page
    areas = page.get_by_role("region", name="Key areas")
    expect(areas.get_by_role("row").nth(1)).to_be_visible()
    page.get_by_label("How many").fill("2")
    page.get_by_role("button", name="Compute").click()
    expect(page.get_by_text(re.compile("no other choice of as many"))).to_be_visible()
    visitor.take("sensing-coverage")
    page.get_by_label("Kind").select_option("noise")
    expect(page).to_have_url(re.compile("kind=noise"))
    page.goto("/sensing/ingest")
    producers = page.get_by_role("region", name="Producers")
    expect(producers.get_by_role("row", name=re.compile(USER))).to_be_visible()
    visitor.take("sensing-ingest")


def test_each_screen_fits_a_telephone(visit):
    visitor = visit("/sensing", size=PHONE)
    for path in ("", "/map", "/devices", "/compare", "/coverage", "/ingest"):
        visitor.page.goto(f"/sensing{path}")
        visitor.settled()
        assert_fits(visitor.page)
