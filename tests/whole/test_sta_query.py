"""SensorThings asked: filters and functions of the standard, members of JSON, groups, GeoJSON, the
newest of each Datastream, counts, and what there was.

Sentences and examples are those of OGC 18-088, clause 9.3; `$apply` is a part of OData's extension
for data aggregation, GeoJSON the format that FROST's server has.
"""

import json
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from conftest import add_user, answer, import_file, serve, token_of

STA = "/sta/v1.1"
REQUIREMENT = "http://www.opengis.net/spec/iot_sensing/1.1/req/"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
CATEGORY = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_CategoryObservation"
USERS = {
    "air": ("ecology_environment", ["data_steward"]),
    "zhao": ("market_regulation", ["data_steward"]),
    "owner": ("data", ["data_steward"]),
}
FACILITY = (
    "编号,类型,名称,所在网格,主管部门,容量,容量单位,服务年龄下限,服务年龄上限,"
    "开放时间,关闭时间,开放日,建筑面积,位置\nf1,clinic,诊所,510104017001,,10,,,,,,,,POINT(104.01 30.65)\n"
)
# 00:00 in Chengdu.
START = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=8)
HOURS = 72
KNOWN_SECONDS_MAX = 60


def at(hours):
    return (START + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def asked(server, method, path, body=None, user="air"):
    """Status, headers and text of a request to the service."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.http}{STA}/{path}", data=data, method=method)
    if data is not None:
        request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {server.tokens[user]}")
    return answer(request)


def get(server, path, user="air", code=200, plain=None, **options):
    """The JSON of a path; options are given without their `$`, those of ours in `plain`."""
    given = {f"${name}": value for name, value in options.items()} | (plain or {})
    query = urllib.parse.urlencode(given)
    status, _, text = asked(server, "GET", f"{path}?{query}" if query else path, user=user)
    assert status == code, f"{path}?{query}: {status} {text}"
    return json.loads(text) if text else None


def follow(server, link, user="air"):
    parts = urllib.parse.urlsplit(link)
    path = parts.path.split(f"{STA}/", 1)[1]
    status, _, text = asked(server, "GET", f"{path}?{parts.query}", user=user)
    assert status == 200, text
    return json.loads(text)


def made(server, path, body, user="air"):
    status, headers, text = asked(server, "POST", path, body, user)
    assert status == 201, text
    return headers["location"].split(f"{STA}/", 1)[1]


def number(path):
    return int(path[path.index("(") + 1 : -1])


def place(name, longitude, latitude):
    return {
        "name": name,
        "description": "楼顶",
        "encodingType": "application/geo+json",
        "location": {"type": "Point", "coordinates": [longitude, latitude]},
    }


def datastream(name, kind=MEASUREMENT, **properties):
    return {
        "name": name,
        "description": "每小时一次",
        "observationType": kind,
        "unitOfMeasurement": {
            "name": "Celsius",
            "symbol": "degree",
            "definition": "http://unitsofmeasure.org/ucum.html#para-30",
        },
        "properties": properties,
        "Sensor": {
            "name": "BAM-1020",
            "description": "beta attenuation",
            "encodingType": "text/html",
            "metadata": "https://metone.com",
        },
        "ObservedProperty": {
            "name": "温度",
            "definition": "http://www.qudt.org/qudt/owl/1.0.0/quantity#Temperature",
            "description": "air temperature",
        },
    }


def bulk(server, stream, rows):
    """Observations of a Datastream: time and result of each."""
    body = [
        {
            "Datastream": {"@iot.id": stream},
            "components": ["phenomenonTime", "result"],
            "dataArray@iot.count": len(rows),
            "dataArray": rows,
        }
    ]
    status, _, text = asked(server, "POST", "CreateObservations", body)
    assert status == 201 and "error" not in json.loads(text), text


@pytest.fixture(scope="module")
def sensing(tmp_path_factory):
    """A city with three Things, three days of hourly readings and a server."""
    folder = tmp_path_factory.mktemp("sta_query")
    file, data = folder / "facility.csv", folder / "city"
    file.write_text(FACILITY, encoding="utf-8")
    import_file(data, "place.facility", file)
    for name, (organisation, roles) in USERS.items():
        add_user(data, name, organisation, *roles, areas=["510104000000"])
    tokens = {name: token_of(data, name) for name in USERS}
    server = serve(data, folder / "server.log")
    server.tokens = tokens
    fill(server)
    yield server
    server.stop()


def fill(server):
    first = {
        "name": "甲",
        "description": "Sensor Things",
        "properties": {
            "kind": "air",
            "floor": 3,
            "on": True,
            "a": {"b": 7, "c d": "x"},
            "tags": ["x", "y"],
            "since": "2020-05-01T00:00:00+08:00",
            "area_code": "510104000000",
        },
        "Locations": [place("甲处", 104.06, 30.67)],
        "Datastreams": [datastream("甲温"), datastream("甲态", CATEGORY)],
    }
    second = {
        "name": "乙",
        "description": " other ",
        "properties": {"kind": "water", "floor": "3", "on": False},
        "Locations": [place("乙处", 105, 31)],
        "Datastreams": [datastream("乙温")],
    }
    server.things = [made(server, "Things", body) for body in (first, second)]
    server.things.append(made(server, "Things", {"name": "丙", "description": "x"}))
    streams = get(server, "Datastreams", orderby="name")["value"]
    server.streams = {each["name"]: each["@iot.id"] for each in streams}
    warm = server.streams["甲温"]
    # Of hour h the result is h at minute 0 and h + 1 at minute 30.
    rows = [[at(hour + half / 2), hour + half] for hour in range(HOURS) for half in (0, 1)]
    bulk(server, warm, rows)
    bulk(server, server.streams["甲态"], [[at(0), "on"], [at(1), "off"], [at(2), "on"]])
    body = {
        "phenomenonTime": "2015-02-07T18:02:00.000Z/2015-02-07T19:02:00.000Z",
        "resultTime": "2015-02-07T19:59:59.100+01:00",
        "validTime": "2016-01-01T00:00:00Z/2016-01-02T00:00:00Z",
        "result": 31.6,
        "parameters": {"run": 1},
    }
    made(server, f"Datastreams({server.streams['乙温']})/Observations", body)


def names(server, path, **options):
    return [each["name"] for each in get(server, path, orderby="name", **options)["value"]]


def test_the_filters_are_claimed(sensing):
    status, _, text = answer(with_token(sensing, STA))
    claimed = json.loads(text)["serverSettings"]["conformance"]
    for requirement in ("filter", "built-in-filter-operations", "built-in-query-functions"):
        assert f"{REQUIREMENT}request-data/{requirement}" in claimed


def with_token(server, path):
    request = urllib.request.Request(server.http + path)
    request.add_header("Authorization", f"Bearer {server.tokens['air']}")
    return request


# Tables 22 and 23: what is true of the Thing `甲`, and of nobody else unless it says so.
@pytest.mark.parametrize(
    "condition",
    [
        "name eq '甲'",
        "name ne '乙' and name ne '丙'",
        "name gt '乙'",
        "not (name lt '甲')",
        "name ge '甲' and name le '甲'",
        "name eq '甲' or 1 eq 2",
        "(3 add 5) sub 1 eq 7 and 3 mul 2 eq 6 and 6 div 4 eq 1.5 and 7 mod 4 eq 3"
        " and id eq {id}",
        "substringof('Sensor Things',description)",
        "endswith(description,'Things')",
        "startswith(description,'Sensor')",
        "length(description) eq 13",
        "indexof(description,'Sensor') eq 1",
        "substring(description,1) eq 'ensor Things'",
        "substring(description,2,4) eq 'nsor'",
        "tolower(description) eq 'sensor things'",
        "toupper(description) eq 'SENSOR THINGS'",
        "trim(description) eq 'Sensor Things'",
        "concat(concat(Datastreams/unitOfMeasurement/symbol,', '),"
        "Datastreams/unitOfMeasurement/name) eq 'degree, Celsius' and name eq '甲'",
        "geo.intersects(Locations/location,geography'POLYGON((104 30,104.5 30,104.5 31,104 31,"
        "104 30))')",
        "geo.distance(Locations/location,geography'POINT(104.06 30.67)') lt 0.001",
        "st_within(Locations/location,geography'POLYGON((104 30,104.5 30,104.5 31,104 31,"
        "104 30))')",
        "st_equals(Locations/location,geography'POINT(104.06 30.67)')",
        "st_relate(Locations/location,geography'POLYGON((104 30,104.5 30,104.5 31,104 31,"
        "104 30))','T*F**F***')",
        "not st_disjoint(Locations/location,geography'POINT(104.06 30.67)') and name ne '丙'",
        "Datastreams/Observations/result gt 60",
        "Datastreams/name eq '甲态' and Datastreams/Observations/result eq 'off'",
        "Locations/location/type eq 'Point' and Locations/name eq '甲处'",
        # Members of JSON, each by the type of what it meets.
        "properties/kind eq 'air'",
        "properties/floor eq 3",
        "properties/floor lt 3.5",
        "properties/on eq true",
        "properties/on",
        "properties/a/b gt 5",
        "properties/a/'c d' eq 'x'",
        "properties/tags[1] eq 'y'",
        "startswith(properties/kind,'ai')",
        "properties/since lt 2021-01-01T00:00:00Z",
        "properties/area_code eq '510104000000'",
        "startswith(properties/area_code,'510104')",
        "properties/kind ne 'water' and properties/kind ne null",
    ],
)
def test_a_filter_finds_the_one_thing(sensing, condition):
    condition = condition.replace("{id}", str(number(sensing.things[0])))
    assert names(sensing, "Things", filter=condition) == ["甲"], condition


@pytest.mark.parametrize(
    "condition",
    [
        "result eq 31.6 and round(result) eq 32 and floor(result) eq 31 and ceiling(result) eq 32",
        "year(resultTime) eq 2015 and month(resultTime) eq 2 and day(resultTime) eq 7",
        "hour(resultTime) eq 18 and minute(resultTime) eq 59 and second(resultTime) eq 59",
        "fractionalseconds(resultTime) gt 0.09 and fractionalseconds(resultTime) lt 0.11",
        "date(resultTime) ne date(validTime)",
        "time(resultTime) gt time(validTime)",
        "totaloffsetminutes(resultTime) eq 0",
        "resultTime lt now() and resultTime gt mindatetime() and resultTime lt maxdatetime()",
        "resultTime add duration'PT1H' gt 2015-02-07T19:00:00Z and resultTime ne null",
        "phenomenonTime ge 2015-02-07T18:02:00Z and phenomenonTime le 2015-02-07T19:02:00Z",
        "during(phenomenonTime,2015-02-07T00:00:00Z/2015-02-08T00:00:00Z)",
        "before(phenomenonTime,2016-01-01T00:00:00Z)",
        "overlaps(validTime,2016-01-01T12:00:00Z/2017-01-01T00:00:00Z)",
        "parameters/run eq 1",
        "Datastream/name eq '乙温'",
        "Datastream/Thing/properties/kind eq 'water'",
    ],
)
def test_a_filter_finds_the_one_observation(sensing, condition):
    found = get(sensing, "Observations", filter=condition, count="true")
    assert [each["result"] for each in found["value"]] == [31.6], condition
    assert found["@iot.count"] == 1


def test_members_of_json_put_things_in_order_and_are_selected(sensing):
    found = get(sensing, "Things", orderby="properties/kind desc,name", select="name")["value"]
    assert [each["name"] for each in found] == ["乙", "甲", "丙"], "null is the least"
    found = get(sensing, "Things", filter="name eq '甲'", select="properties/a/b,properties/kind")
    assert found["value"] == [{"properties": {"kind": "air", "a": {"b": 7}}}]
    # A text is not the number that it looks like.
    assert names(sensing, "Things", filter="properties/floor eq '3'") == ["乙"]
    assert names(sensing, "Things", filter="properties/nothing eq null") == ["丙", "乙", "甲"]


def groups(server, stream, apply, **options):
    path = f"Datastreams({server.streams[stream]})/Observations" if stream else "Observations"
    return get(server, path, apply=apply, **options)


def test_hours_have_their_means(sensing):
    apply = (
        "groupby((window(phenomenonTime,'PT1H') as hour),aggregate(result with average as mean,"
        "result with min as least,result with max as most,result with sum as total,$count as n,"
        "result with countdistinct as kinds))"
    )
    found = groups(sensing, "甲温", apply, count="true")
    assert found["@iot.count"] == HOURS and len(found["value"]) == HOURS
    assert found["value"][5] == {
        "hour": f"{at(5)}/{at(6)}",
        "mean": 5.5,
        "least": 5,
        "most": 6,
        "total": 11,
        "n": 2,
        "kinds": 2,
    }
    # What is found is put in order and chosen like anything else.
    most = groups(sensing, "甲温", apply, orderby="mean desc", top=2, filter="least lt 50")
    assert [each["least"] for each in most["value"]] == [49, 48]
    found, page = [], groups(sensing, "甲温", apply, top=30)
    while True:
        found += [each["least"] for each in page["value"]]
        if "@iot.nextLink" not in page:
            break
        page = follow(sensing, page["@iot.nextLink"])
    assert found == list(range(HOURS))
    some = "filter(phenomenonTime ge 2025-12-31T20:00:00Z and result lt 8)/aggregate($count as n)"
    assert groups(sensing, "甲温", some)["value"] == [{"n": 7}]


def test_days_are_the_city_s_and_months_are_whole(sensing):
    days = "groupby((window(phenomenonTime,'P1D') as day),aggregate(result with min as least))"
    found = groups(sensing, "甲温", days)["value"]
    assert [each["least"] for each in found] == [0, 24, 48]
    assert found[0]["day"] == f"{at(0)}/{at(24)}", "from midnight to midnight in Chengdu"
    utc = days.replace("'P1D'", "'P1D','+00:00'")
    assert len(groups(sensing, "甲温", utc)["value"]) == 4
    months = "groupby((window(phenomenonTime,'P1M')),aggregate($count as n))"
    [month] = groups(sensing, "甲温", months)["value"]
    assert month == {"window": f"{at(0)}/{at(31 * 24)}", "n": 2 * HOURS}
    minutes = "groupby((window(phenomenonTime,'PT1M')),aggregate($count as n))"
    assert len(groups(sensing, "甲温", minutes, top=5)["value"]) == 5


def test_groups_go_by_what_paths_lead_to(sensing):
    apply = "groupby((Datastream/Thing/name,Datastream/id),aggregate($count as n))"
    found = groups(sensing, None, apply, filter="n gt 2", orderby="n")["value"]
    assert found == [
        {
            "Datastream": {"Thing": {"name": "甲"}, "@iot.id": sensing.streams[name]},
            "n": count,
        }
        for name, count in (("甲态", 3), ("甲温", 2 * HOURS))
    ]
    kinds = "groupby((properties/kind),aggregate($count as n))"
    found = get(sensing, "Things", apply=kinds)["value"]
    assert {(each["properties"]["kind"], each["n"]) for each in found} == {
        (None, 1),
        ("air", 1),
        ("water", 1),
    }


def test_results_that_are_no_numbers_have_no_mean(sensing):
    apply = (
        "aggregate(result with average as mean,result with last as newest,"
        "result with countdistinct as kinds)"
    )
    [found] = groups(sensing, "甲态", apply)["value"]
    assert found == {"mean": None, "newest": "on", "kinds": 2}
    apply = "groupby((phenomenonTime),aggregate(result with max as most))"
    [found] = groups(sensing, "乙温", apply)["value"]
    interval = "2015-02-07T18:02:00Z/2015-02-07T19:02:00Z"
    assert found == {"phenomenonTime": interval, "most": 31.6}


def test_groups_are_of_what_one_may_see(sensing):
    apply = "aggregate($count as n)"
    assert groups(sensing, None, apply, user="zhao")["value"] == [{"n": 0}]
    assert groups(sensing, None, apply, user="owner")["value"] == [{"n": 2 * HOURS + 4}]
    groups(sensing, "甲温", apply, user="zhao", code=404)
    groups(sensing, "甲温", "groupby(nothing)", code=400)
    get(sensing, "Observations", apply=apply, select="result", code=400)
    get(sensing, "Observations", apply=apply, resultFormat="GeoJSON", code=400)


def features(server, path, **options):
    query = urllib.parse.urlencode(
        {f"${name}": value for name, value in ({"resultFormat": "GeoJSON"} | options).items()}
    )
    status, headers, text = asked(server, "GET", f"{path}?{query}")
    assert status == 200, text
    assert headers["content-type"] == "application/geo+json"
    found = json.loads(text)
    assert found["type"] == "FeatureCollection"
    assert all(each["type"] == "Feature" for each in found["features"])
    return found


def test_things_are_features_where_they_stand(sensing):
    found = features(sensing, "Things", orderby="name", count="true")
    assert found["@iot.count"] == 3
    nowhere, second, first = found["features"]
    assert nowhere["geometry"] is None
    assert second["geometry"] == {"type": "Point", "coordinates": [105, 31]}
    assert first["geometry"] == {"type": "Point", "coordinates": [104.06, 30.67]}
    assert first["properties"]["properties/a/b"] == 7
    assert first["properties"]["id"] == number(sensing.things[0])
    assert not [name for name in first["properties"] if "Link" in name or "Locations" in name]
    [one] = features(
        sensing, sensing.things[0], select="name", expand="Datastreams($select=name;$orderby=name)"
    )["features"]
    assert one["properties"] == {
        "name": "甲",
        "Datastreams/0/name": "甲态",
        "Datastreams/1/name": "甲温",
    }
    assert one["geometry"]["coordinates"] == [104.06, 30.67]
    page = features(sensing, "Things", top=1)
    parts = urllib.parse.urlsplit(page["@iot.nextLink"])
    status, headers, _ = asked(
        sensing, "GET", f"{parts.path.split(f'{STA}/', 1)[1]}?{parts.query}"
    )
    assert status == 200 and headers["content-type"] == "application/geo+json"


@pytest.mark.parametrize(
    "path",
    ["Locations", "FeaturesOfInterest", "Datastreams", "Observations", "HistoricalLocations"],
)
def test_what_belongs_to_a_place_is_a_feature_there(sensing, path):
    found = features(sensing, path, top=2)["features"]
    assert found and all(each["geometry"]["type"] == "Point" for each in found), found
    assert all("location/type" not in each["properties"] for each in found)
    [one] = features(sensing, path, top=1, select="id")["features"]
    assert list(one["properties"]) == ["id"] and one["geometry"]["type"] == "Point"


def newest(server, user="air", **options):
    """The newest result of each Datastream, by name."""
    found = get(
        server,
        "Datastreams",
        user,
        expand="Observations($orderby=phenomenonTime desc;$top=1)",
        orderby="name",
        **options,
    )
    return {
        each["name"]: [observation["result"] for observation in each["Observations"]]
        for each in found["value"]
    }


def test_the_newest_of_each_datastream_is_true_whatever_happens(sensing):
    thing = made(
        sensing,
        "Things",
        {
            "name": "丁",
            "description": "x",
            "properties": {"kind": "noise"},
            "Locations": [place("丁处", 104, 30)],
            "Datastreams": [datastream("丁一"), datastream("丁二"), datastream("丁三")],
        },
    )
    streams = {
        each["name"]: each["@iot.id"] for each in get(sensing, f"{thing}/Datastreams")["value"]
    }
    mine = {"filter": "Thing/properties/kind eq 'noise'"}
    observations = f"Datastreams({streams['丁一']})/Observations"
    first = made(sensing, observations, {"phenomenonTime": at(0), "result": 1})
    second = made(sensing, observations, {"phenomenonTime": at(2), "result": 2})
    body = {"phenomenonTime": at(1), "result": 20}
    made(sensing, f"Datastreams({streams['丁二']})/Observations", body)
    assert newest(sensing, **mine) == {"丁一": [2], "丁二": [20], "丁三": []}
    # What comes in late is not the newest; what is ahead of the clock is.
    made(sensing, observations, {"phenomenonTime": at(1), "result": 3})
    assert newest(sensing, **mine)["丁一"] == [2]
    ahead = (datetime.now(UTC) + timedelta(days=400)).isoformat().replace("+00:00", "Z")
    future = made(sensing, observations, {"phenomenonTime": ahead, "result": 4})
    assert newest(sensing, **mine)["丁一"] == [4]
    assert asked(sensing, "DELETE", future)[0] == 200
    assert newest(sensing, **mine)["丁一"] == [2]
    assert asked(sensing, "PATCH", second, {"result": 2.5})[0] == 200
    assert newest(sensing, **mine)["丁一"] == [2.5]
    assert newest(sensing, plain={"flagged": "exclude"}, **mine)["丁一"] == [2.5]
    assert newest(sensing, plain={"flagged": "only"}, **mine)["丁一"] == []
    for each in (second, f"Observations('{streams['丁一']}-{micros(1)}-0')"):
        assert asked(sensing, "DELETE", each)[0] == 200
    assert newest(sensing, **mine)["丁一"] == [1]
    assert newest(sensing, "owner", **mine) == {"丁一": [1], "丁二": [20], "丁三": []}
    assert newest(sensing, "zhao", **mine) == {}

    counted = get(
        sensing,
        "Datastreams",
        "owner",
        expand="Observations($count=true;$top=0)",
        orderby="name",
        **mine,
    )
    counts = {each["name"]: each["Observations@iot.count"] for each in counted["value"]}
    assert counts == {"丁一": 1, "丁二": 1, "丁三": 0}
    for user in ("air", "owner"):
        found = get(sensing, observations, user, count="true", top=0)
        assert found["@iot.count"] == 1, user
    assert asked(sensing, "DELETE", first)[0] == 200
    for user in ("air", "owner"):
        assert get(sensing, observations, user, count="true", top=0)["@iot.count"] == 0, user
    assert newest(sensing, **mine)["丁一"] == []
    assert asked(sensing, "DELETE", thing)[0] == 200


def micros(hours):
    return int((START + timedelta(hours=hours)).timestamp()) * 1_000_000


def test_another_s_newest_is_the_newest_that_one_sees(sensing):
    body = {
        "name": "戊",
        "description": "x",
        "properties": {"kind": "smoke", "sharing": "open"},
        "Locations": [place("戊处", 104, 30)],
        "Datastreams": [datastream("戊一")],
    }
    thing = made(sensing, "Things", body)
    [stream] = get(sensing, f"{thing}/Datastreams")["value"]
    observations = f"Datastreams({stream['@iot.id']})/Observations"
    mine = {"filter": "Thing/properties/kind eq 'smoke'"}
    made(sensing, observations, {"phenomenonTime": at(0), "result": 1})
    closed = {"properties": {**body["properties"], "sharing": "own"}}
    assert asked(sensing, "PATCH", thing, closed)[0] == 200
    made(sensing, observations, {"phenomenonTime": at(1), "result": 2})
    assert newest(sensing, "zhao", **mine) == {}
    assert asked(sensing, "PATCH", thing, {"properties": body["properties"]})[0] == 200
    assert newest(sensing, **mine) == {"戊一": [2]}
    assert newest(sensing, "zhao", **mine) == {"戊一": [1]}, "the second was its owner's alone"
    assert get(sensing, observations, "zhao", count="true", top=0)["@iot.count"] == 1
    assert get(sensing, observations, "owner", count="true", top=0)["@iot.count"] == 2


def test_the_newest_hundred_are_the_newest_and_in_order(sensing):
    stream = sensing.streams["甲温"]
    path = f"Datastreams({stream})/Observations"
    found = get(sensing, path, orderby="phenomenonTime desc", top=3, select="result", count="true")
    assert [each["result"] for each in found["value"]] == [HOURS, HOURS - 1, HOURS - 1]
    assert found["@iot.count"] == 2 * HOURS
    rest, page = [], found
    while "@iot.nextLink" in page and len(rest) < 20:
        page = follow(sensing, page["@iot.nextLink"])
        rest += [each["result"] for each in page["value"]]
    assert rest[:3] == [HOURS - 2, HOURS - 2, HOURS - 3], "the next pages go on"


def test_a_datastream_says_what_its_observations_cover(sensing):
    """Told from memory, which is made up in the background."""
    path = f"Datastreams({sensing.streams['甲温']})"
    deadline = time.monotonic() + KNOWN_SECONDS_MAX
    while "phenomenonTime" not in get(sensing, path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert get(sensing, path)["phenomenonTime"] == f"{at(0)}/{at(HOURS - 0.5)}"
    empty = made(sensing, f"{sensing.things[2]}/Datastreams", datastream("丙温"))
    assert "phenomenonTime" not in get(sensing, empty)


def test_what_there_was_is_asked_for_by_its_moment(sensing):
    thing = made(sensing, "Things", {"name": "己", "description": "before"})
    stream = made(sensing, f"{thing}/Datastreams", datastream("己温"))
    made(sensing, f"{stream}/Observations", {"phenomenonTime": at(0), "result": 1})
    time.sleep(0.05)
    then = {"as_of": datetime.now(UTC).isoformat()}
    time.sleep(0.05)
    made(sensing, f"{stream}/Observations", {"phenomenonTime": at(1), "result": 2})
    assert asked(sensing, "PATCH", thing, {"description": "after"})[0] == 200
    assert get(sensing, thing)["description"] == "after"
    assert get(sensing, thing, plain=then)["description"] == "before"
    results = get(sensing, f"{stream}/Observations", plain=then, count="true")
    assert [each["result"] for each in results["value"]] == [1] and results["@iot.count"] == 1
    whole = get(
        sensing,
        stream,
        plain=then,
        expand="Observations($orderby=phenomenonTime desc;$top=1;$count=true)",
    )
    assert [each["result"] for each in whole["Observations"]] == [1]
    assert whole["Observations@iot.count"] == 1
    page = get(sensing, "Things", plain=then, top=1)
    assert "as_of=" in page["@iot.nextLink"], "the next page is of the same moment"
    get(sensing, "Things", plain={"as_of": "yesterday"}, code=400)
    assert number(stream) > 0
