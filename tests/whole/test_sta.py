"""SensorThings over a served city: made by deep insert, observed, asked, and closed to others."""

import json
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

import frost_sta_client as frost
import pytest

from conftest import add_user, answer, import_file, serve, token_of

STA = "/sta/v1.1"
REQUIREMENT = "http://www.opengis.net/spec/iot_sensing/1.1/req/"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
SETS = {
    "Things",
    "Locations",
    "HistoricalLocations",
    "Datastreams",
    "MultiDatastreams",
    "Sensors",
    "ObservedProperties",
    "Observations",
    "FeaturesOfInterest",
}
USERS = {
    "air": ("ecology_environment", ["data_steward"]),
    "lin": ("ecology_environment", ["analyst"]),
    "zhao": ("market_regulation", ["data_steward"]),
    "owner": ("data", ["data_steward"]),
    "he": ("general_office", ["auditor"]),
}
FACILITY = (
    "编号,类型,名称,所在网格,主管部门,容量,容量单位,服务年龄下限,服务年龄上限,"
    "开放时间,关闭时间,开放日,建筑面积,位置\nf1,clinic,诊所,510104017001,,10,,,,,,,,POINT(104.01 30.65)\n"
)
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def sensing(tmp_path_factory):
    """A city with one facility, a few users and a server."""
    folder = tmp_path_factory.mktemp("sta")
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


def get(server, path, user="air", code=200, **options):
    """The JSON of a path; options are given without their `$`."""
    query = urllib.parse.urlencode({f"${name}": value for name, value in options.items()})
    url = f"{STA}/{path}" + (f"?{query}" if query else "")
    status, _, body = server.get(url, user)
    assert status == code, body
    return json.loads(body) if body else None


def follow(server, link, user="air"):
    """The JSON that a whole link leads to."""
    parts = urllib.parse.urlsplit(link)
    status, _, body = server.get(f"{parts.path}?{parts.query}" if parts.query else parts.path, user)
    assert status == 200, body
    return json.loads(body)


def post(server, path, body, user="air", code=201):
    """Headers and JSON of what was posted."""
    request = urllib.request.Request(
        f"{server.http}{STA}/{path}", data=json.dumps(body).encode(), method="POST"
    )
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {server.tokens[user]}")
    status, headers, text = answer(request)
    assert status == code, text
    return headers, json.loads(text) if text else None


def made(server, path, body, user="air"):
    """The path of what was posted, below the root."""
    headers, _ = post(server, path, body, user)
    return headers["location"].split(f"{STA}/", 1)[1]


def at(minutes):
    return (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def station(name, **properties):
    """A Thing with a place, a Datastream, a Sensor and an ObservedProperty: all in one."""
    return {
        "name": name,
        "description": "空气质量监测站",
        "properties": {"site": name, **properties},
        "Locations": [
            {
                "name": f"{name} 楼顶",
                "description": "离地 15 米",
                "encodingType": "application/geo+json",
                "location": {"type": "Point", "coordinates": [104.06, 30.67]},
            }
        ],
        "Datastreams": [
            {
                "name": f"{name} PM2.5",
                "description": "每分钟一次",
                "observationType": MEASUREMENT,
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


@pytest.fixture(scope="module")
def stream(sensing):
    """The path of the Datastream of a station that was made whole."""
    thing = made(sensing, "Things", station("草堂寺"))
    [datastream] = get(sensing, f"{thing}/Datastreams")["value"]
    return f"Datastreams({datastream['@iot.id']})"


def test_the_root_lists_the_sets_and_what_is_held_of_the_standard(sensing):
    status, _, body = sensing.get(STA, "lin")
    document = json.loads(body)
    assert status == 200 and {each["name"] for each in document["value"]} == SETS
    assert all(each["url"].endswith(f"{STA}/{each['name']}") for each in document["value"])
    claimed = document["serverSettings"]["conformance"]
    assert all(uri.startswith(REQUIREMENT) for uri in claimed)
    assert f"{REQUIREMENT}create-update-delete/delete-entity" in claimed
    assert f"{REQUIREMENT}receive-updates-via-mqtt/receive-updates" in claimed
    assert sensing.get(STA)[0] == 401
    assert sensing.get(f"{STA}/nothing")[0] == 401, "a stranger does not learn what is not there"


def test_a_deep_insert_makes_all_of_it_and_says_where(sensing):
    headers, _ = post(sensing, "Things", station("梁家巷"))
    assert headers["location"].endswith(")") and f"{STA}/Things(" in headers["location"]
    thing = follow(sensing, headers["location"])
    assert thing["name"] == "梁家巷" and thing["properties"]["site"] == "梁家巷"
    path = thing["@iot.selfLink"].split(f"{STA}/", 1)[1]
    whole = get(
        sensing,
        path,
        expand="Locations,HistoricalLocations($expand=Locations),"
        "Datastreams($expand=Sensor,ObservedProperty)",
    )
    [location], [historical] = whole["Locations"], whole["HistoricalLocations"]
    assert location["location"]["coordinates"] == [104.06, 30.67]
    assert [each["@iot.id"] for each in historical["Locations"]] == [location["@iot.id"]]
    [datastream] = whole["Datastreams"]
    assert datastream["Sensor"]["name"] == "BAM-1020"
    assert datastream["ObservedProperty"]["name"] == "PM2.5"
    assert datastream["unitOfMeasurement"]["symbol"] == "ug/m3"
    back = get(sensing, f"Datastreams({datastream['@iot.id']})/Thing")
    assert back["@iot.id"] == thing["@iot.id"]
    assert get(sensing, f"{path}/name")["name"] == "梁家巷"
    status, headers, body = sensing.get(f"{STA}/{path}/name/$value", "air")
    assert status == 200 and body.decode() == "梁家巷"
    assert headers["content-type"].startswith("text/plain")
    get(sensing, "Things(999999)", code=404)
    get(sensing, "Things(999999)/Datastreams", code=404)
    get(sensing, "Things", code=400, filter="name eq")


def test_observations_come_in_one_by_one_and_are_asked(sensing, stream):
    for minute, value in enumerate([12.5, 40, 7.25, 80]):
        body = {"phenomenonTime": at(minute), "result": value, "resultTime": None}
        path = made(sensing, f"{stream}/Observations", body)
        assert get(sensing, path)["result"] == value
    number = int(stream[len("Datastreams(") : -1])
    made(
        sensing,
        "Observations",
        {"phenomenonTime": at(4), "result": 5, "Datastream": {"@iot.id": number}},
    )
    observations = f"{stream}/Observations"
    high = get(sensing, observations, filter="result gt 10", orderby="result desc", count="true")
    assert [each["result"] for each in high["value"]] == [80, 40, 12.5] and high["@iot.count"] == 3
    assert "resultTime" in high["value"][0] and high["value"][0]["resultTime"] is None

    first = get(sensing, observations, orderby="phenomenonTime", top=2, count="true")
    assert len(first["value"]) == 2 and first["@iot.count"] == 5
    assert observations in urllib.parse.unquote(first["@iot.nextLink"]), "the parent path is kept"
    found, page = first["value"], first
    while "@iot.nextLink" in page:
        page = follow(sensing, page["@iot.nextLink"])
        found += page["value"]
    assert [each["result"] for each in found] == [12.5, 40, 7.25, 80, 5]

    newest = get(
        sensing, stream, expand="Observations($orderby=phenomenonTime desc;$top=1;$select=result)"
    )
    assert newest["Observations"] == [{"result": 5}] and "Observations@iot.nextLink" in newest
    one = get(sensing, observations, top=1, expand="FeatureOfInterest,Datastream")["value"][0]
    assert one["FeatureOfInterest"]["feature"]["coordinates"] == [104.06, 30.67]
    assert one["Datastream"]["@iot.id"] == number
    features = {
        each["FeatureOfInterest"]["@iot.id"]
        for each in get(sensing, observations, expand="FeatureOfInterest")["value"]
    }
    assert len(features) == 1, "made once from the Thing's Location"
    # A second observation of one moment is another one.
    body = {"phenomenonTime": at(9), "result": 1}
    assert made(sensing, observations, body) != made(sensing, observations, body)


def test_observations_come_in_bulk_with_an_answer_for_each_row(sensing):
    thing = made(sensing, "Things", station("青羊宫"))
    [datastream] = get(sensing, f"{thing}/Datastreams")["value"]
    rows = [[at(minute), minute / 2] for minute in range(250)]
    body = [
        {
            "Datastream": {"@iot.id": datastream["@iot.id"]},
            "components": ["phenomenonTime", "result"],
            "dataArray@iot.count": len(rows) + 1,
            "dataArray": [*rows, ["no time", 5]],
        },
        {
            "Datastream": {"@iot.id": 999_999},
            "components": ["phenomenonTime", "result"],
            "dataArray": [[at(0), 1]],
        },
    ]
    _, links = post(sensing, "CreateObservations", body)
    assert len(links) == len(rows) + 2 and links[-2:] == ["error", "error"]
    assert follow(sensing, links[3])["result"] == 1.5
    observations = f"Datastreams({datastream['@iot.id']})/Observations"
    assert get(sensing, observations, count="true", top=0)["@iot.count"] == len(rows)
    found = get(sensing, observations, top=200, resultFormat="dataArray", count="true")
    [group] = found["value"]
    assert group["dataArray@iot.count"] == 200 and found["@iot.count"] == len(rows)
    assert group["Datastream@iot.navigationLink"].endswith(f"Datastreams({datastream['@iot.id']})")
    place = group["components"].index("result")
    assert [row[place] for row in group["dataArray"]][:3] == [0, 0.5, 1]
    # The same rows by SQL, at once.
    status, answered = sensing.send(
        "POST",
        "/api/sql",
        {
            "sql": "SELECT count(*) AS n, max(result_number) AS most FROM sensing.observation "
            f"WHERE datastream = {datastream['@iot.id']}"
        },
        "air",
    )
    assert status == 200 and answered["rows"] == [{"n": 250, "most": 124.5}], answered


def test_another_department_sees_what_is_open_and_nothing_else(sensing, stream):
    thing = get(sensing, f"{stream}/Thing")["@iot.id"]
    assert get(sensing, f"Things({thing})", "lin")["@iot.id"] == thing, "colleagues see it"
    assert get(sensing, f"Things({thing})", "owner")["@iot.id"] == thing, "who runs it sees all"
    get(sensing, f"Things({thing})", "zhao", code=404)
    get(sensing, f"{stream}/Observations", "zhao", code=404)
    seen = get(sensing, "Things", "zhao", count="true")
    assert thing not in [each["@iot.id"] for each in seen["value"]]
    for links in ("HistoricalLocations", "Locations", "Sensors", "FeaturesOfInterest"):
        assert get(sensing, links, "zhao", count="true")["@iot.count"] == 0, links
    assert sensing.get(f"{STA}/Things", "he")[0] == 403, "an auditor asks for no rows"

    observation = {"phenomenonTime": at(0), "result": 1}
    post(sensing, f"{stream}/Observations", observation, "lin", code=403)
    post(sensing, f"{stream}/Observations", observation, "zhao", code=404)
    number = int(stream[len("Datastreams(") : -1])
    linked = {**observation, "Datastream": {"@iot.id": number}}
    post(sensing, "Observations", linked, "zhao", code=400)
    post(sensing, "Observations", linked, "owner", code=403)
    post(sensing, "Things", station("偷", owner="ecology_environment"), "zhao", code=403)

    shared = made(sensing, "Things", station("人民公园", sharing="open"))
    for user in ("zhao", "lin", "owner"):
        found = get(sensing, shared, user, expand="Locations,Datastreams($expand=ObservedProperty)")
        assert found["Locations"] and found["Datastreams"][0]["ObservedProperty"]["name"] == "PM2.5"
    post(sensing, "Things", station("乱", sharing="maybe"), code=400)


def test_a_thing_moves_and_its_history_stays(sensing):
    thing = made(sensing, "Things", station("流动车"))
    made(
        sensing,
        f"{thing}/Locations",
        {
            "name": "天府广场",
            "description": "市中心",
            "encodingType": "application/geo+json",
            "location": {"type": "Point", "coordinates": [104.0657, 30.6574]},
        },
    )
    [now] = get(sensing, f"{thing}/Locations")["value"]
    assert now["name"] == "天府广场"
    assert len(get(sensing, f"{thing}/HistoricalLocations")["value"]) == 2


def test_what_a_body_does_wrong_is_said_with_its_place(sensing, stream):
    _, problem = post(sensing, "Things", {"name": "x"}, code=400)
    assert "description" in problem["title"]
    body = {"phenomenonTime": at(0), "result": "warm"}
    _, problem = post(sensing, f"{stream}/Observations", body, code=400)
    assert "/result" in problem["title"]
    nobody = {"Datastream": {"@iot.id": 999_999}, "phenomenonTime": at(0), "result": 1}
    post(sensing, "Observations", nobody, code=400)
    post(sensing, "Nothings", {}, code=404)
    for method in ("DELETE", "PUT", "PATCH"):
        status, problem = sensing.send(method, f"{STA}/Things", {"name": "x"}, "air")
        assert status == 400 and "its own address" in problem["title"]


def test_frost_s_client_makes_and_reads(sensing):
    """PyPI's `frost-sta-client`."""
    service = frost.SensorThingsService(f"{sensing.http}{STA}")
    execute = service.execute

    def with_token(method, url, **options):
        headers = {**options.pop("headers", {}), "Authorization": f"Bearer {sensing.tokens['air']}"}
        return execute(method, url, headers=headers, **options)

    service.execute = with_token
    thing = frost.Thing(name="FROST", description="made by a client")
    service.create(thing)
    assert service.things().find(thing.id).name == "FROST"
    found = service.things().query().filter("name eq 'FROST'").list()
    assert [each.id for each in found] == [thing.id]
