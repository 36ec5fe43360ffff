"""SensorThings over a served city: changed, corrected, taken away, and asked in batches."""

import json
import re
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

import frost_sta_client as frost
import pytest

from conftest import add_user, answer, import_file, serve, token_of

STA = "/sta/v1.1"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
COMPLEX = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation"
NO_UNIT = {"name": None, "symbol": None, "definition": None}
JSON_PATCH = "application/json-patch+json"
USERS = {
    "air": ("ecology_environment", ["data_steward"]),
    "lin": ("ecology_environment", ["analyst"]),
    "zhao": ("market_regulation", ["data_steward"]),
    "owner": ("data", ["data_steward"]),
}
FACILITY = (
    "编号,类型,名称,所在网格,主管部门,容量,容量单位,服务年龄下限,服务年龄上限,"
    "开放时间,关闭时间,开放日,建筑面积,位置\nf1,clinic,诊所,510104017001,,10,,,,,,,,POINT(104.01 30.65)\n"
)
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def sensing(tmp_path_factory):
    """A city with one facility, a few users and a server."""
    folder = tmp_path_factory.mktemp("sta_change")
    file, data = folder / "facility.csv", folder / "city"
    file.write_text(FACILITY, encoding="utf-8")
    import_file(data, "place.facility", file)
    for name, (organisation, roles) in USERS.items():
        add_user(data, name, organisation, *roles)
    tokens = {name: token_of(data, name) for name in USERS}
    server = serve(data, folder / "server.log")
    server.tokens = tokens
    yield server
    server.stop()


def asked(server, method, path, body=None, user="air", media="application/json", **headers):
    """Status, headers and text of a request to the service."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.http}{STA}/{path}", data=data, method=method)
    if data is not None:
        request.add_header("Content-Type", media)
    request.add_header("Authorization", f"Bearer {server.tokens[user]}")
    for name, value in headers.items():
        request.add_header(name, value)
    return answer(request)


def sent(server, method, path, body=None, user="air", code=200, media="application/json"):
    """The JSON that a request is answered with."""
    status, _, text = asked(server, method, path, body, user, media)
    assert status == code, f"{method} {path}: {status} {text}"
    return json.loads(text) if text else None


def get(server, path, user="air", code=200, **options):
    query = urllib.parse.urlencode({f"${name}": value for name, value in options.items()})
    return sent(server, "GET", f"{path}?{query}" if query else path, user=user, code=code)


def made(server, path, body, user="air"):
    """The path of what was posted, below the root."""
    status, headers, text = asked(server, "POST", path, body, user)
    assert status == 201, text
    return headers["location"].split(f"{STA}/", 1)[1]


def number(path):
    return int(re.search(r"\((\d+)\)$", path)[1])


def at(minutes):
    return (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def sql(server, statement, user="air", **more):
    status, answered = server.send("POST", "/api/sql", {"sql": statement, **more}, user)
    assert status == 200, answered
    return answered["rows"]


def history(server, dataset, key, user="air"):
    key = urllib.parse.quote(str(key), safe="")
    status, answered = server.send("GET", f"/api/registers/{dataset}/rows/{key}/history", user=user)
    assert status == 200, answered
    return answered["items"]


def place(name, longitude=104.06, latitude=30.67):
    return {
        "name": name,
        "description": "离地 15 米",
        "encodingType": "application/geo+json",
        "location": {"type": "Point", "coordinates": [longitude, latitude]},
    }


def sensor(name="BAM-1020"):
    return {
        "name": name,
        "description": "beta attenuation",
        "encodingType": "text/html",
        "metadata": "https://metone.com",
    }


def observed(name="PM2.5"):
    return {
        "name": name,
        "definition": "http://dd.eionet.europa.eu/vocabulary/aq/pollutant/6001",
        "description": "fine particles",
    }


def stream(name="PM2.5", **more):
    return {
        "name": name,
        "description": "每分钟一次",
        "observationType": MEASUREMENT,
        "unitOfMeasurement": {"name": "ug/m3", "symbol": "ug/m3", "definition": "ucum:ug/m3"},
        "Sensor": sensor(),
        "ObservedProperty": observed(),
        **more,
    }


def station(name, **properties):
    return {
        "name": name,
        "description": "空气质量监测站",
        "properties": {"site": name, **properties},
        "Locations": [place(f"{name} 楼顶")],
        "Datastreams": [stream()],
    }


def new_station(server, name, user="air", **properties):
    """The paths of a Thing and of its Datastream."""
    thing = made(server, "Things", station(name, **properties), user)
    [datastream] = get(server, f"{thing}/Datastreams", user)["value"]
    return thing, f"Datastreams({datastream['@iot.id']})"


def values(server, path, user="air"):
    found = get(server, f"{path}/Observations", user, orderby="phenomenonTime,id")
    return [each["result"] for each in found["value"]]


# --- PATCH, PUT, JSON Patch -----------------------------------------------------------------------


def test_a_patch_changes_what_it_gives_and_answers_200_with_the_entity(sensing):
    thing, datastream = new_station(sensing, "草堂寺")
    changed = sent(sensing, "PATCH", thing, {"description": "迁址"})
    assert (changed["name"], changed["description"]) == ("草堂寺", "迁址")
    assert changed["properties"] == {"site": "草堂寺"} and changed == get(sensing, thing)
    changed = sent(sensing, "PATCH", datastream, {"unitOfMeasurement": {"symbol": "µg/m³"}})
    assert changed["unitOfMeasurement"] == {
        "name": "ug/m3",
        "symbol": "µg/m³",
        "definition": "ucum:ug/m3",
    }
    # An id in the body is ignored, and nothing given changes nothing.
    assert sent(sensing, "PATCH", thing, {"@iot.id": 99})["@iot.id"] == number(thing)
    for path in ("Sensor", "ObservedProperty"):
        kept = sent(sensing, "PATCH", f"{datastream}/{path}", {"name": "新名"})
        assert kept["name"] == "新名" and get(sensing, f"{datastream}/{path}")["name"] == "新名"
    sent(sensing, "PATCH", "Things(999999)", {"name": "x"}, code=404)
    sent(sensing, "PATCH", thing, {"name": None}, code=400)
    problem = sent(sensing, "PATCH", thing, {"nmae": "x"}, code=400)
    assert "did you mean `name`" in problem["title"]


def test_an_inline_entity_in_an_update_is_400_and_a_link_moves_the_relation(sensing):
    thing, datastream = new_station(sensing, "梁家巷")
    for method in ("PATCH", "PUT"):
        body = {**stream(), "Sensor": sensor("inline")}
        problem = sent(sensing, method, datastream, body, code=400)
        assert "/Sensor" in problem["title"]
    problem = sent(sensing, "PATCH", thing, {"Locations": [place("inline")]}, code=400)
    assert "/Locations/0" in problem["title"]

    other = made(sensing, "Sensors", sensor("SHARP-5030"))
    sent(sensing, "PATCH", datastream, {"Sensor": {"@iot.id": number(other)}})
    assert get(sensing, f"{datastream}/Sensor")["name"] == "SHARP-5030"
    assert len(get(sensing, f"{other}/Datastreams")["value"]) == 1
    sent(sensing, "PATCH", datastream, {"Sensor": {"@iot.id": 999_999}}, code=400)
    # From the other end, and to a Thing.
    elsewhere, _ = new_station(sensing, "沙河铺")
    sent(sensing, "PATCH", elsewhere, {"Datastreams": [{"@iot.id": number(datastream)}]})
    assert get(sensing, f"{datastream}/Thing")["@iot.id"] == number(elsewhere)
    assert get(sensing, f"{thing}/Datastreams")["value"] == []


def test_a_put_stands_in_place_of_what_was(sensing):
    thing, datastream = new_station(sensing, "三瓦窑")
    put = sent(sensing, "PUT", thing, {"name": "三瓦窑", "description": "新站"})
    assert put["description"] == "新站" and put.get("properties") is None
    assert len(get(sensing, f"{thing}/Datastreams")["value"]) == 1, "relations stay"
    problem = sent(sensing, "PUT", thing, {"name": "三瓦窑"}, code=400)
    assert "description" in problem["title"]
    path = made(sensing, f"{datastream}/Observations", {"phenomenonTime": at(0), "result": 1})
    body = {
        "phenomenonTime": at(0),
        "result": 99,
        "resultTime": at(5),
        "parameters": {"param1": "some value"},
    }
    put = sent(sensing, "PUT", path, body)
    assert (put["result"], put["resultTime"]) == (99, at(5)) and put["parameters"]
    assert values(sensing, datastream) == [99]
    sent(sensing, "PUT", path, {"result": 3}, code=400)


def test_a_json_patch_is_applied_as_a_whole_or_not_at_all(sensing):
    thing, datastream = new_station(sensing, "十里店", tags=["a"])
    operations = [
        {"op": "test", "path": "/name", "value": "十里店"},
        {"op": "add", "path": "/properties/tags/-", "value": "b"},
        {"op": "copy", "from": "/name", "path": "/description"},
    ]
    patched = sent(sensing, "PATCH", thing, operations, media=JSON_PATCH)
    assert patched["properties"]["tags"] == ["a", "b"] and patched["description"] == "十里店"
    failing = [
        {"op": "replace", "path": "/name", "value": "x"},
        {"op": "test", "path": "/description", "value": "y"},
    ]
    sent(sensing, "PATCH", thing, failing, media=JSON_PATCH, code=409)
    assert get(sensing, thing)["name"] == "十里店"
    sent(sensing, "PATCH", thing, [{"op": "remove", "path": "/name"}], media=JSON_PATCH, code=400)
    path = made(sensing, f"{datastream}/Observations", {"phenomenonTime": at(0), "result": 1})
    raise_it = [{"op": "replace", "path": "/result", "value": 7}]
    assert sent(sensing, "PATCH", path, raise_it, media=JSON_PATCH)["result"] == 7


# --- Where Things are -----------------------------------------------------------------------------


def test_a_thing_that_is_linked_to_another_location_leaves_a_historical_location(sensing):
    thing, _ = new_station(sensing, "流动车")
    square = made(sensing, "Locations", place("天府广场", 104.0657, 30.6574))
    link = {"Locations": [{"@iot.id": number(square)}]}
    sent(sensing, "PATCH", thing, link)
    [now] = get(sensing, f"{thing}/Locations")["value"]
    assert now["name"] == "天府广场"
    notes = get(sensing, f"{thing}/HistoricalLocations", expand="Locations", orderby="time")
    names = [[each["name"] for each in note["Locations"]] for note in notes["value"]]
    assert names == [["流动车 楼顶"], ["天府广场"]]
    sent(sensing, "PATCH", thing, link)
    assert len(get(sensing, f"{thing}/HistoricalLocations")["value"]) == 2, "it has not moved"
    [row] = sql(sensing, f"SELECT st_x(geometry) AS x FROM sensing.thing WHERE id = {number(thing)}")
    assert row["x"] == 104.0657
    # A Location that is corrected takes its Things along.
    moved = {"location": {"type": "Point", "coordinates": [104.1, 30.7]}}
    sent(sensing, "PATCH", square, moved)
    [row] = sql(sensing, f"SELECT st_x(geometry) AS x FROM sensing.thing WHERE id = {number(thing)}")
    assert row["x"] == 104.1


def test_a_historical_location_that_is_newer_says_where_the_thing_is(sensing):
    thing, _ = new_station(sensing, "浮标")
    north = made(sensing, "Locations", place("北湖", 104.2, 30.8))
    south = made(sensing, "Locations", place("南湖", 104.05, 30.5))

    def noted(location, time):
        body = {
            "time": time,
            "Thing": {"@iot.id": number(thing)},
            "Locations": [{"@iot.id": number(location)}],
        }
        return made(sensing, "HistoricalLocations", body)

    noted(north, "2019-01-01T00:00:00Z")
    assert get(sensing, f"{thing}/Locations")["value"][0]["name"] == "浮标 楼顶", "that is long ago"
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    noted(south, later)
    assert [each["name"] for each in get(sensing, f"{thing}/Locations")["value"]] == ["南湖"]
    assert len(get(sensing, f"{thing}/HistoricalLocations")["value"]) == 3
    [row] = sql(sensing, f"SELECT st_x(geometry) AS x FROM sensing.thing WHERE id = {number(thing)}")
    assert row["x"] == 104.05


# --- DELETE and what hangs on it ------------------------------------------------------------------


def test_a_delete_answers_exactly_200_and_then_404(sensing):
    sensor_path = made(sensing, "Sensors", sensor("gone"))
    status, _, text = asked(sensing, "DELETE", sensor_path)
    assert (status, text) == (200, b"")
    get(sensing, sensor_path, code=404)
    sent(sensing, "DELETE", sensor_path, code=404)
    sent(sensing, "DELETE", "Sensors", code=400)


def test_a_thing_goes_with_its_datastreams_observations_and_history(sensing):
    thing, datastream = new_station(sensing, "拆除站")
    [location] = get(sensing, f"{thing}/Locations")["value"]
    [note] = get(sensing, f"{thing}/HistoricalLocations")["value"]
    for minute in range(3):
        body = {"phenomenonTime": at(minute), "result": minute}
        path = made(sensing, f"{datastream}/Observations", body)
    feature = get(sensing, f"{path}/FeatureOfInterest")["@iot.id"]
    before = datetime.now(UTC).isoformat()
    count = f"SELECT count(*) AS n FROM sensing.observation WHERE datastream = {number(datastream)}"
    assert sql(sensing, count) == [{"n": 3}]

    sent(sensing, "DELETE", thing)
    for gone in (thing, datastream, path, f"HistoricalLocations({note['@iot.id']})"):
        get(sensing, gone, code=404)
    get(sensing, f"{datastream}/Observations", code=404)
    assert get(sensing, f"Locations({location['@iot.id']})")["name"] == "拆除站 楼顶", "it stays"
    assert get(sensing, f"FeaturesOfInterest({feature})/Observations")["value"] == []
    assert sql(sensing, count) == [{"n": 0}], "in SQL as well"
    assert sql(sensing, count, as_of=before) == [{"n": 3}], "and what was is still there"
    [row] = sql(
        sensing, f"SELECT name FROM sensing.thing WHERE id = {number(thing)}", as_of=before
    )
    assert row["name"] == "拆除站"
    body = {"phenomenonTime": at(9), "result": 1}
    sent(sensing, "POST", f"{datastream}/Observations", body, code=404)


@pytest.mark.parametrize("way", ["Sensor", "ObservedProperty"])
def test_a_sensor_or_a_property_goes_with_its_datastreams(sensing, way):
    thing, datastream = new_station(sensing, f"无{way}")
    path = made(sensing, f"{datastream}/Observations", {"phenomenonTime": at(0), "result": 1})
    far = get(sensing, f"{datastream}/{way}")
    sent(sensing, "DELETE", f"{datastream}/{way}")
    get(sensing, urllib.parse.urlsplit(far["@iot.selfLink"]).path.split(f"{STA}/")[1], code=404)
    get(sensing, datastream, code=404)
    get(sensing, path, code=404)
    assert get(sensing, thing)["name"] == f"无{way}"


def test_a_multi_datastream_goes_with_one_of_its_properties(sensing):
    thing, _ = new_station(sensing, "多参数")
    body = {
        "name": "风",
        "description": "风速风向",
        "observationType": COMPLEX,
        "multiObservationDataTypes": [MEASUREMENT, MEASUREMENT],
        "unitOfMeasurements": [NO_UNIT, NO_UNIT],
        "Sensor": sensor(),
        "ObservedProperties": [observed("speed"), observed("direction")],
    }
    multi = made(sensing, f"{thing}/MultiDatastreams", body)
    speed, direction = get(sensing, f"{multi}/ObservedProperties")["value"]
    swapped = [{"@iot.id": direction["@iot.id"]}, {"@iot.id": speed["@iot.id"]}]
    sent(sensing, "PATCH", multi, {"ObservedProperties": swapped})
    names = [each["name"] for each in get(sensing, f"{multi}/ObservedProperties")["value"]]
    assert names == ["direction", "speed"]
    sent(sensing, "PATCH", multi, {"ObservedProperties": swapped[:1]}, code=400)
    path = made(sensing, f"{multi}/Observations", {"phenomenonTime": at(0), "result": [1, 2]})
    assert sent(sensing, "PATCH", path, {"result": [3, 4]})["result"] == [3, 4]
    sent(sensing, "PATCH", path, {"result": 3}, code=400)
    sent(sensing, "DELETE", f"ObservedProperties({speed['@iot.id']})")
    get(sensing, multi, code=404)
    get(sensing, path, code=404)


def test_a_location_goes_with_its_historical_locations_and_a_feature_with_its_observations(sensing):
    thing, datastream = new_station(sensing, "无地点")
    path = made(sensing, f"{datastream}/Observations", {"phenomenonTime": at(0), "result": 1})
    feature = f"FeaturesOfInterest({get(sensing, f'{path}/FeatureOfInterest')['@iot.id']})"
    [location] = get(sensing, f"{thing}/Locations")["value"]
    sent(sensing, "DELETE", f"Locations({location['@iot.id']})")
    assert get(sensing, f"{thing}/Locations")["value"] == []
    assert get(sensing, f"{thing}/HistoricalLocations")["value"] == []
    [row] = sql(sensing, f"SELECT geometry FROM sensing.thing WHERE id = {number(thing)}")
    assert row.get("geometry") is None
    assert values(sensing, datastream) == [1], "observations stay"
    sent(sensing, "DELETE", feature)
    assert values(sensing, datastream) == []
    get(sensing, path, code=404)
    # Another feature may be observed in the same moment.
    again = {"phenomenonTime": at(0), "result": 2}
    again["FeatureOfInterest"] = {
        "name": "f",
        "description": "d",
        "encodingType": "application/geo+json",
        "feature": {"type": "Point", "coordinates": [104.06, 30.67]},
    }
    assert made(sensing, f"{datastream}/Observations", again) != path
    assert values(sensing, datastream) == [2]


# --- Corrections of observations ------------------------------------------------------------------


def test_a_corrected_observation_is_corrected_everywhere_and_leaves_history(sensing):
    _, datastream = new_station(sensing, "更正")
    body = {"phenomenonTime": at(0), "result": 12.5, "resultTime": None}
    path = made(sensing, f"{datastream}/Observations", body)
    made(sensing, f"{datastream}/Observations", {"phenomenonTime": at(1), "result": 40})
    before = datetime.now(UTC).isoformat()
    reason = urllib.parse.quote("零点漂移，校准单 2026-7")
    corrected = sent(sensing, "PATCH", f"{path}?reason={reason}", {"result": 11})
    assert corrected["result"] == 11 and corrected["phenomenonTime"] == at(0)
    assert "resultTime" in corrected and corrected["resultTime"] is None, "an explicit null"
    assert get(sensing, path) == corrected

    assert values(sensing, datastream) == [11, 40]
    high = get(sensing, f"{datastream}/Observations", filter="result gt 12", count="true")
    assert high["@iot.count"] == 1
    rows = (
        "SELECT result_number AS r FROM sensing.observation "
        f"WHERE datastream = {number(datastream)} ORDER BY phenomenon_time"
    )
    assert [row["r"] for row in sql(sensing, rows)] == [11, 40]
    assert [row["r"] for row in sql(sensing, rows, as_of=before)] == [12.5, 40]
    [row] = sql(
        sensing,
        "SELECT corrected_by, reason, result_number, removed FROM sensing.observation_correction "
        f"WHERE datastream = {number(datastream)}",
    )
    assert row == {
        "corrected_by": "air",
        "reason": "零点漂移，校准单 2026-7",
        "result_number": 11,
        "removed": False,
    }
    sent(sensing, "PATCH", path, {"result": 10})
    [key] = sql(
        sensing,
        "SELECT datastream, phenomenon_time, ordinal FROM sensing.observation_correction "
        f"WHERE datastream = {number(datastream)}",
    )
    assert key["ordinal"] == 0
    assert sql(sensing, "SELECT count(*) AS n FROM sensing.observation_correction", "zhao") == [
        {"n": 0}
    ]
    get(sensing, path, "zhao", code=404)


def test_an_observation_is_taken_away_and_its_place_is_not_given_again(sensing):
    _, datastream = new_station(sensing, "剔除")
    observations = f"{datastream}/Observations"
    body = {"phenomenonTime": at(0), "result": 1}
    first, second = made(sensing, observations, body), made(sensing, observations, body)
    status, _, text = asked(sensing, "DELETE", first)
    assert (status, text) == (200, b"")
    get(sensing, first, code=404)
    sent(sensing, "DELETE", first, code=404)
    sent(sensing, "PATCH", first, {"result": 2}, code=404)
    assert values(sensing, datastream) == [1]
    third = made(sensing, observations, body)
    assert third not in (first, second) and values(sensing, datastream) == [1, 1]
    assert get(sensing, second)["result"] == 1


def test_an_observation_of_another_time_is_found_by_both_of_its_ids(sensing):
    _, datastream = new_station(sensing, "错时")
    path = made(sensing, f"{datastream}/Observations", {"phenomenonTime": at(0), "result": 5})
    moved = sent(sensing, "PATCH", path, {"phenomenonTime": at(30)})
    assert moved["phenomenonTime"] == at(30) and moved["result"] == 5
    assert get(sensing, path) == moved, "the id that it had leads to it"
    assert values(sensing, datastream) == [5], "it is there once"
    again = sent(sensing, "PATCH", path, {"result": 6})
    assert again["@iot.id"] == moved["@iot.id"] and values(sensing, datastream) == [6]
    _, other = new_station(sensing, "错流")
    sent(sensing, "PATCH", path, {"Datastream": {"@iot.id": number(other)}})
    assert values(sensing, datastream) == [] and values(sensing, other) == [6]
    sent(sensing, "DELETE", path)
    assert values(sensing, other) == []


def test_a_new_entity_takes_what_is_there_to_itself(sensing):
    """Links to existing entities, also from the end that does not hold them."""
    thing, datastream = new_station(sensing, "链接")
    path = made(sensing, f"{datastream}/Observations", {"phenomenonTime": at(0), "result": 5})
    taken = {**sensor("换"), "Datastreams": [{"@iot.id": number(datastream)}]}
    made(sensing, "Sensors", taken)
    assert get(sensing, f"{datastream}/Sensor")["name"] == "换"
    feature = {
        "name": "河段",
        "description": "d",
        "encodingType": "application/geo+json",
        "feature": {"type": "Point", "coordinates": [104.0, 30.6]},
        "Observations": [{"@iot.id": get(sensing, path)["@iot.id"]}],
    }
    feature = made(sensing, "FeaturesOfInterest", feature)
    assert get(sensing, f"{path}/FeatureOfInterest")["name"] == "河段"
    assert len(get(sensing, f"{feature}/Observations")["value"]) == 1
    body = {"name": "t", "description": "d", "Datastreams": [{"@iot.id": number(datastream)}]}
    other = made(sensing, "Things", body)
    assert get(sensing, f"{datastream}/Thing")["@iot.id"] == number(other)
    assert get(sensing, f"{thing}/Datastreams")["value"] == []


# --- Whose they are -------------------------------------------------------------------------------


def test_another_department_changes_nothing(sensing):
    thing, datastream = new_station(sensing, "本部门")
    path = made(sensing, f"{datastream}/Observations", {"phenomenonTime": at(0), "result": 1})
    for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        for target in (thing, datastream, f"{thing}/Locations({first_location(sensing, thing)})"):
            sent(sensing, method, target, body, "zhao", 404)
            sent(sensing, method, target, body, "owner", 403)
        sent(sensing, method, path, body and {"result": 2}, "zhao", 404)
        sent(sensing, method, path, body and {"result": 2}, "owner", 403)
        sent(sensing, method, thing, body, "lin", 403)
    shared, shared_stream = new_station(sensing, "共享", sharing="open")
    assert get(sensing, shared, "zhao")["name"] == "共享"
    sent(sensing, "PATCH", shared, {"name": "x"}, "zhao", 403)
    sent(sensing, "DELETE", shared_stream, None, "zhao", 403)
    sent(sensing, "PATCH", shared, {"properties": {"owner": "data"}}, code=403)
    assert get(sensing, thing)["name"] == "本部门" and values(sensing, datastream) == [1]


def first_location(server, thing):
    return get(server, f"{thing}/Locations")["value"][0]["@iot.id"]


def test_what_others_use_is_not_taken_from_them(sensing):
    """A sensor that is open may be another department's, too."""
    shared = made(sensing, "Sensors", {**sensor("共用"), "properties": {"sharing": "open"}})
    body = station("借用")
    body["Datastreams"][0]["Sensor"] = {"@iot.id": number(shared)}
    thing = made(sensing, "Things", body, "zhao")
    problem = sent(sensing, "DELETE", shared, code=409)
    assert "belong to others" in problem["title"]
    sent(sensing, "DELETE", thing, user="zhao")
    sent(sensing, "DELETE", shared)


def test_a_sharing_term_reaches_all_that_hangs_on_a_thing(sensing):
    thing, datastream = new_station(sensing, "开放")
    path = made(sensing, f"{datastream}/Observations", {"phenomenonTime": at(0), "result": 1})
    get(sensing, thing, "zhao", code=404)
    sent(sensing, "PATCH", thing, {"properties": {"sharing": "open"}})
    seen = get(sensing, thing, "zhao", expand="Datastreams,HistoricalLocations")
    assert seen["Datastreams"] and seen["HistoricalLocations"]
    get(sensing, path, "zhao", code=404)
    later = {"phenomenonTime": at(1), "result": 2}
    made(sensing, f"{datastream}/Observations", later)
    assert values(sensing, datastream, "zhao") == [2], "older ones keep what they were written with"
    sent(sensing, "PATCH", thing, {"name": "开放站"})
    assert get(sensing, thing, "zhao")["name"] == "开放站", "what is not said stays"
    sent(sensing, "PATCH", thing, {"properties": {"sharing": "own"}})
    get(sensing, thing, "zhao", code=404)
    get(sensing, datastream, "zhao", code=404)
    sent(sensing, "PATCH", thing, {"properties": {"sharing": "perhaps"}}, code=400)
    versions = history(sensing, "sensing.thing", number(thing))
    assert len(versions) >= 4 and versions[0]["by"] == "air"


# --- $batch ---------------------------------------------------------------------------------------


def part(text, content_id=None):
    head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
    if content_id:
        head += f"Content-ID: {content_id}\r\n"
    return f"{head}\r\n{text}\r\n"


def request(method, url, body=None):
    if body is None:
        return f"{method} {url} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    text = json.dumps(body)
    length = len(text.encode())
    head = f"{method} {url} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {length}"
    return f"{head}\r\n\r\n{text}"


def mixed(boundary, parts):
    return "".join(f"--{boundary}\r\n{each}\r\n" for each in parts) + f"--{boundary}--\r\n"


def change_set(*parts):
    return f"Content-Type: multipart/mixed;boundary=set\r\n\r\n{mixed('set', parts)}"


def split(text, media):
    boundary = re.search(r'boundary="?([^";]+)', media)[1]
    pieces = text.split(f"--{boundary}")
    assert pieces[-1].strip() == "--"
    return [piece.lstrip("\r\n") for piece in pieces[1:-1]]


def answered(piece):
    """Status, headers and JSON of a part of an answer; a list of them for a change set."""
    head, _, rest = piece.partition("\r\n\r\n")
    media = re.search(r"(?i)content-type: (.*)", head)[1].strip()
    if media.startswith("multipart/mixed"):
        return [answered(each) for each in split(rest, media)]
    assert media == "application/http"
    inner, _, body = rest.partition("\r\n\r\n")
    status, *lines = inner.split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    body = body.strip()
    return int(status.split()[1]), headers, json.loads(body) if body else None


def batch(server, *parts, user="air", **headers):
    body = mixed("b", parts).encode()
    status, head, text = asked(
        server, "POST", "$batch", body, user, "multipart/mixed;boundary=b", **headers
    )
    assert status == 200, text
    return [answered(piece) for piece in split(text.decode(), head["content-type"])]


def test_a_batch_answers_each_part_in_order(sensing):
    thing, datastream = new_station(sensing, "批量")
    found = batch(
        sensing,
        part(request("GET", thing)),
        part(request("GET", f"{STA}/Things?$filter=name eq '批量'&$select=name")),
        part(request("GET", "Things(999999)")),
        part(request("PATCH", f"{sensing.http}{STA}/{thing}", {"description": "由批量改"})),
        part(request("POST", f"{datastream}/Observations", {"result": 3})),
        "Content-Type: text/plain\r\n\r\nhello",
        part(request("GET", f"{datastream}/Observations?$select=result")),
    )
    assert [each[0] for each in found] == [200, 200, 404, 200, 201, 400, 200]
    assert found[0][2]["name"] == "批量" and found[1][2]["value"] == [{"name": "批量"}]
    assert found[3][2]["description"] == "由批量改"
    assert "observations(" in found[4][1]["location"]
    assert found[6][2]["value"] == [{"result": 3}]
    stopped = batch(
        sensing,
        part(request("GET", "Things(999999)")),
        part(request("GET", thing)),
        Prefer="continue-on-error=false",
    )
    assert [each[0] for each in stopped] == [404]


def test_a_change_set_refers_to_what_it_makes(sensing):
    thing = {"name": "新站", "description": "d", "Locations": [place("新站")]}
    datastream = stream(Sensor={"@iot.id": "$sensor1"})
    [made_set, seen] = batch(
        sensing,
        change_set(
            part(request("POST", "Sensors", sensor("由批量")), "sensor1"),
            part(request("POST", "Things", thing), "thing1"),
            part(request("POST", "$thing1/Datastreams", datastream), "stream1"),
            part(request("POST", "$stream1/Observations", {"result": 8}), "4"),
            part(request("PATCH", "$thing1", {"description": "改过"}), "5"),
        ),
        part(request("GET", "Things?$filter=name eq '新站'&$expand=Datastreams($expand=Sensor)")),
    )
    assert [each[0] for each in made_set] == [201, 201, 201, 201, 200]
    [found] = seen[2]["value"]
    assert found["description"] == "改过"
    assert found["Datastreams"][0]["Sensor"]["name"] == "由批量"


def test_a_change_set_that_fails_leaves_nothing(sensing):
    thing, datastream = new_station(sensing, "原样")
    count = get(sensing, "Things", count="true", top=0)["@iot.count"]
    failed, after = batch(
        sensing,
        change_set(
            part(request("POST", "Things", {"name": "半途", "description": "d"}), "1"),
            part(request("PATCH", thing, {"name": "改名"}), "2"),
            part(request("POST", f"{datastream}/Observations", {"result": 1}), "3"),
            part(request("POST", "$1/Datastreams", {"name": "缺字段"}), "4"),
        ),
        part(request("GET", thing)),
    )
    assert failed[0] == 400, "one answer stands for the whole set"
    assert after[0] == 200 and after[2]["name"] == "原样"
    assert get(sensing, "Things", count="true", top=0)["@iot.count"] == count
    assert values(sensing, datastream) == []
    versions = history(sensing, "sensing.thing", number(thing))
    assert len(versions) == 3, "both are in the history: what was done, and that it was taken back"
    [reading] = batch(sensing, change_set(part(request("GET", thing))))
    assert reading[0] == 400, "a change set only changes"


def test_a_batch_asks_the_rules_for_each_part(sensing):
    thing, _ = new_station(sensing, "规则", sharing="open")
    found = batch(
        sensing,
        part(request("GET", thing)),
        part(request("PATCH", thing, {"name": "x"})),
        part(request("DELETE", thing)),
        user="lin",
    )
    assert [each[0] for each in found] == [200, 403, 403]
    assert found[1][2]["action"] == "sensing.change"
    [refused] = batch(sensing, part(request("DELETE", thing)), user="zhao")
    assert refused[0] == 403 and get(sensing, thing)["name"] == "规则"
    status, _, _ = asked(sensing, "POST", "$batch", b"nothing", media="multipart/mixed;boundary=b")
    assert status == 400
    parts = [part(request("GET", "Things?$top=0"))] * 1_001
    body = mixed("b", parts).encode()
    status, _, _ = asked(sensing, "POST", "$batch", body, media="multipart/mixed;boundary=b")
    assert status == 413


def test_a_batch_may_be_json(sensing):
    requests = [
        {
            "id": "t",
            "atomicityGroup": "g",
            "method": "post",
            "url": "Things",
            "body": {"name": "JSON 批量", "description": "d"},
        },
        {
            "id": "s",
            "atomicityGroup": "g",
            "method": "post",
            "url": "Datastreams",
            "body": stream(Thing={"@iot.id": "$t"}),
        },
        {"id": "g", "method": "get", "url": "$t/Datastreams?$count=true"},
        {"id": "n", "method": "get", "url": "Nothings"},
    ]
    found = sent(sensing, "POST", "$batch", {"requests": requests})["responses"]
    assert [(each["id"], each["status"]) for each in found] == [
        ("t", 201),
        ("s", 201),
        ("g", 200),
        ("n", 404),
    ]
    assert found[2]["body"]["@iot.count"] == 1
    failing = [
        {"id": "1", "atomicityGroup": "g", "method": "delete", "url": found_path(found[0])},
        {"id": "2", "atomicityGroup": "g", "method": "delete", "url": "Things(999999)"},
    ]
    found = sent(sensing, "POST", "$batch", {"requests": failing})["responses"]
    assert sorted((each["id"], each["status"]) for each in found) == [("1", 424), ("2", 404)]
    assert get(sensing, failing[0]["url"])["name"] == "JSON 批量", "it is back"
    assert len(get(sensing, f"{failing[0]['url']}/Datastreams")["value"]) == 1


def found_path(response):
    return response["headers"]["location"].split(f"{STA}/", 1)[1]


def test_frost_s_client_changes_and_deletes(sensing):
    """PyPI's `frost-sta-client`."""
    service = frost.SensorThingsService(f"{sensing.http}{STA}")
    execute = service.execute

    def with_token(method, url, **options):
        headers = {**options.pop("headers", {}), "Authorization": f"Bearer {sensing.tokens['air']}"}
        return execute(method, url, headers=headers, **options)

    service.execute = with_token
    thing = frost.Thing(name="FROST", description="made by a client")
    service.create(thing)
    thing.description = "changed by a client"
    service.update(thing)
    assert service.things().find(thing.id).description == "changed by a client"
    service.delete(thing)
    get(sensing, f"Things({thing.id})", code=404)
