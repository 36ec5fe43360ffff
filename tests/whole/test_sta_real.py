"""Five years of real PM2.5 come in through SensorThings, by the example of the documents, and answer
what real clients ask: SQL, QGIS's SensorThings provider and PyPI's `frost-sta-client`.

What comes out is compared with what plain Python reads from the same file.
"""

import importlib.util
import json
import os
import subprocess
import sys
import urllib.parse
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import frost_sta_client as frost
import pytest

from conftest import ROOT, add_user, import_file, serve, token_of

STA = "/sta/v1.1"
EXAMPLE = ROOT / "docs/examples/pm25_series.py"
FILE = "chengdu_pm25_2010_2015.csv.gz"
USERS = {
    "air": ("ecology_environment", ["data_steward"]),
    "zhao": ("market_regulation", ["data_steward"]),
}
LOCAL_HOURS = timedelta(hours=8)


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def example():
    return module_of(EXAMPLE)


@pytest.fixture(scope="module")
def file(real_files, example):
    """Of each column, what the file says."""
    return example.readings(real_files / FILE)


@pytest.fixture(scope="module")
def real(real_files, tmp_path_factory):
    """A served city; the series came in by the example's command."""
    folder = tmp_path_factory.mktemp("sta-real")
    data = folder / "city"
    import_file(data, "air.pm25", real_files / FILE)
    for name, (organisation, roles) in USERS.items():
        add_user(data, name, organisation, *roles)
    tokens = {name: token_of(data, name) for name in USERS}
    server = serve(data, folder / "server.log")
    server.tokens = tokens
    try:
        server.said = run(server, real_files)
        yield server
    finally:
        server.stop()


def run(server, real_files):
    """What the example prints: of each column, how many observations it took."""
    done = subprocess.run(
        [sys.executable, EXAMPLE, real_files / FILE, server.http],
        env={**os.environ, "SHUJIN_TOKEN": server.tokens["air"]},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    taken = {}
    for line in done.stdout.splitlines():
        column, rest = line.split(": ")
        taken[column] = int(rest.split()[0])
    return taken


def follow(server, link, user="air"):
    parts = urllib.parse.urlsplit(link)
    status, _, body = server.get(f"{parts.path}?{parts.query}" if parts.query else parts.path, user)
    assert status == 200, body
    return json.loads(body)


def sent(server, request, user="air"):
    """The answer to a request as a client writes it, blanks and all."""
    path, _, query = request.partition("?")
    query = urllib.parse.quote(query, safe="$=&(),'/;:")
    return follow(server, f"{STA}/{path}?{query}" if query else f"{STA}/{path}", user)


def pages(server, request, user="air"):
    """All entities of a request, page after page."""
    page = sent(server, request, user)
    found, count = page["value"], 1
    while "@iot.nextLink" in page:
        page = follow(server, page["@iot.nextLink"], user)
        found += page["value"]
        count += 1
    return found, count


@pytest.fixture(scope="module")
def streams(real, example):
    """The number of each column's Datastream."""
    found = sent(real, "Datastreams?$orderby=id&$expand=Thing")["value"]
    by_name = {each["name"]: each["@iot.id"] for each in found}
    return {site.column: by_name[f"{site.zh} PM2.5"] for site in example.SITES}


def by(series, part):
    """Count and mean of a series by a part of local time."""
    sums = defaultdict(lambda: [0, 0.0])
    for moment, value in series:
        key = part(moment + LOCAL_HOURS)
        sums[key][0] += 1
        sums[key][1] += value
    return {key: (count, total / count) for key, (count, total) in sums.items()}


def sql(server, statement, user="air"):
    status, answered = server.send("POST", "/api/sql", {"sql": statement}, user)
    assert status == 200, answered
    return answered["rows"]


def test_all_of_it_comes_in_and_what_is_missing_stays_out(real, real_files, file, streams):
    assert real.said == {column: len(series) for column, series in file.items()}
    assert sum(real.said.values()) == 77_914
    for column, series in file.items():
        observations = f"Datastreams({streams[column]})/Observations"
        assert sent(real, f"{observations}?$top=0&$count=true")["@iot.count"] == len(series)
        [first] = sent(real, f"{observations}?$orderby=phenomenonTime&$top=1")["value"]
        [last] = sent(real, f"{observations}?$orderby=phenomenonTime desc&$top=1")["value"]
        for found, (moment, value) in ((first, series[0]), (last, series[-1])):
            assert datetime.fromisoformat(found["phenomenonTime"]) == moment
            assert found["result"] == value
    assert run(real, real_files) == dict.fromkeys(file, 0), "a second time nothing is new"


def test_its_means_are_those_of_the_file(real, file, streams):
    rows = sql(
        real,
        """SELECT datastream, date_part('year', phenomenon_time + INTERVAL '8 hours') AS year,
                  date_part('month', phenomenon_time + INTERVAL '8 hours') AS month,
                  count(*) AS n, avg(result_number) AS mean
           FROM sensing.observation GROUP BY 1, 2, 3""",
    )
    column_of = {number: column for column, number in streams.items()}
    found = {
        (column_of[row["datastream"]], int(row["year"]), int(row["month"])): (row["n"], row["mean"])
        for row in rows
    }
    expected = {
        (column, *key): value
        for column, series in file.items()
        for key, value in by(series, lambda local: (local.year, local.month)).items()
    }
    assert found.keys() == expected.keys()
    for key, (count, mean) in expected.items():
        assert found[key][0] == count and found[key][1] == pytest.approx(mean, rel=1e-9), key


def test_it_is_the_same_as_what_import_took(real):
    """Two ways in, one truth: the file was imported into `air.pm25` as well."""
    [row] = sql(
        real,
        """SELECT count(*) AS n, sum(CASE WHEN p.pm25 = o.result_number THEN 0 ELSE 1 END) AS apart
           FROM sensing.observation o
           JOIN sensing.datastream d ON d.id = o.datastream
           JOIN air.pm25 p ON p.observed_at = o.phenomenon_time
            AND p.site = CASE WHEN d.name = '美国领事馆 PM2.5' THEN 'US Post'
                              ELSE replace(d.name, ' PM2.5', '') END""",
    )
    assert row == {"n": 77_914, "apart": 0}


def test_the_server_reckons_the_means_of_years(real, file, streams):
    for column, series in file.items():
        years = by(series, lambda local: local.year)
        apply = (
            "groupby((window(phenomenonTime,'P1Y','%2B08:00') as year),"
            "aggregate(result with average as mean,$count as n))"
        )
        query = urllib.parse.quote(apply, safe="$=&(),'/;:%")
        path = f"{STA}/Datastreams({streams[column]})/Observations"
        found = follow(real, f"{path}?$apply={query}&$orderby=year")["value"]
        assert [(row["n"], pytest.approx(row["mean"], rel=1e-9)) for row in found] == [
            years[year] for year in sorted(years)
        ], column


def test_another_department_reads_it_and_changes_nothing(real, streams):
    [number, *_] = streams.values()
    observations = f"Datastreams({number})/Observations"
    assert sent(real, f"{observations}?$top=1", "zhao")["value"]
    body = {"phenomenonTime": "2026-01-01T00:00:00Z", "result": 1}
    status, _, answered = real.post(f"{STA}/{observations}", body, "zhao")
    assert status == 403, answered


POINTS = "(location/type eq 'Point' or location/geometry/type eq 'Point')"


def square(lon, lat, side):
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    ring = ", ".join(f"{lon + x * side:.6f} {lat + y * side:.6f}" for x, y in corners)
    return f"geography'Polygon (({ring}))'"


def test_qgis_counts_finds_and_pages(real, example):
    """The requests of QGIS's SensorThings provider, in its order."""
    counted = sent(
        real,
        "Locations?$top=0&$count=true&$filter=location/type eq 'Point' or "
        "location/geometry/type eq 'Point'",
    )
    assert counted["@iot.count"] == 3 and counted["value"] == []
    for shape in ("Polygon", "LineString"):
        none = sent(
            real,
            f"Locations?$top=0&$count=true&$filter=location/type eq '{shape}' or "
            f"location/geometry/type eq '{shape}'",
        )
        assert none["@iot.count"] == 0
    features = sent(
        real,
        "FeaturesOfInterest?$top=0&$count=true&$filter=feature/type eq 'Point' or "
        "feature/geometry/type eq 'Point'",
    )
    assert features["@iot.count"] == 3, "one of each station's place"
    city = square(104.07, 30.65, 0.5)
    found, count = pages(
        real,
        f"Locations?$top=2&$count=false&$filter={POINTS} and (geo.intersects(location, {city}))",
    )
    assert {each["name"] for each in found} == {site.zh for site in example.SITES} and count == 2
    [site, *_] = example.SITES
    near = square(site.lon, site.lat, 0.01)
    found, _ = pages(
        real,
        f"Locations?$top=200&$count=false&$filter={POINTS} and (geo.intersects(location, {near}))",
    )
    assert [each["name"] for each in found] == [site.zh]
    # Zoomed out, the window shows more than the world.
    world = "geography'Polygon ((-271.3 -135, 271.3 -135, 271.3 135, -271.3 135, -271.3 -135))'"
    found, _ = pages(
        real, f"Locations?$top=200&$count=false&$filter={POINTS} and (geo.intersects(location, {world}))"
    )
    assert len(found) == 3


def test_qgis_expands_to_the_newest_observations(real, example, file):
    expand = (
        "Things($orderby=id asc;$top=100;$expand=Datastreams($filter=startswith(name,'{zh}');"
        "$orderby=name desc;$top=3;$expand=Observations($orderby=phenomenonTime desc;$top=10)))"
    )
    for site in example.SITES:
        found, _ = pages(
            real,
            f"Locations?$top=200&$count=false&$expand={expand.format(zh=site.zh)}"
            f"&$filter={POINTS}",
        )
        [location] = [each for each in found if each["name"] == site.zh]
        [thing] = location["Things"]
        [stream] = thing["Datastreams"]
        newest = [
            (datetime.fromisoformat(each["phenomenonTime"]), each["result"])
            for each in stream["Observations"]
        ]
        series = file[site.column]
        assert newest == series[:-11:-1]
        more = follow(real, stream["Observations@iot.nextLink"])
        first = more["value"][0]
        assert datetime.fromisoformat(first["phenomenonTime"]) == series[-11][0], "and so on"
    things, _ = pages(
        real,
        "Things?$top=2&$count=false&$expand=Locations($orderby=id desc;$top=3;"
        "$expand=HistoricalLocations($top=101))",
    )
    assert all(each["Locations"][0]["HistoricalLocations"] for each in things)


class Token(frost.AuthHandler):
    """What the client puts beside each request."""

    def __init__(self, token):
        super().__init__()
        self.token = token

    def add_auth_header(self):
        def sign(request):
            request.headers["Authorization"] = f"Bearer {self.token}"
            return request

        return sign


@pytest.fixture(scope="module")
def client(real):
    return frost.SensorThingsService(f"{real.http}{STA}", auth_handler=Token(real.tokens["air"]))


def test_frost_s_client_reads_it(client, file, streams):
    column, number = next(iter(streams.items()))
    series = file[column]
    stream = client.datastreams().find(number)
    assert stream.unit_of_measurement.symbol == "ug/m3"
    page = stream.get_observations().query().orderby("phenomenonTime", "ASC").count().top(500).list()
    assert page.count == len(series)
    values = []
    for observation in page:
        values.append(observation.result)
        if len(values) == 1_200:
            break
    assert values == [value for _, value in series[:1_200]], "over three pages"
    high = sum(1 for _, value in series if value > 400)
    found = stream.get_observations().query().filter("result gt 400").count().top(1).list()
    assert found.count == high
    named = client.things().query().filter("startswith(description,'Air station')").expand("Locations").list()
    assert len(named.entities) == 3
    assert all(each.locations.entities[0].location["type"] == "Point" for each in named.entities)
    # An id in quotes is the same entity.
    assert client.datastreams().find(str(number)).name == stream.name


def made(client):
    """A station of the client's own, part by part."""
    thing = frost.Thing(name="FROST", description="made by a client", properties={"run": 1})
    thing.locations = frost.EntityList("frost_sta_client.model.location.Location", [
        frost.Location(name="楼顶", description="on a roof", encoding_type="application/geo+json",
                       location={"type": "Point", "coordinates": [104.06, 30.67]})
    ])  # fmt: skip
    client.create(thing)
    sensor = frost.Sensor(name="BAM", description="beta attenuation", encoding_type="text/html",
                          metadata="https://metone.com")  # fmt: skip
    client.create(sensor)
    observed = frost.ObservedProperty(name="PM10", definition="urn:x:pm10", description="particles")
    client.create(observed)
    unit = frost.UnitOfMeasurement(name="ug/m3", symbol="ug/m3", definition="urn:x:unit")
    stream = frost.Datastream(
        name="PM10",
        description="by hour",
        observation_type="http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        unit_of_measurement=unit,
        properties={"period_s": 60},
        thing=frost.Thing(id=thing.id),
        sensor=frost.Sensor(id=sensor.id),
        observed_property=frost.ObservedProperty(id=observed.id),
    )
    client.create(stream)
    return thing, sensor, observed, stream


def test_frost_s_client_makes_changes_and_deletes(client):
    thing, sensor, observed, stream = made(client)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    one = frost.Observation(
        phenomenon_time=begin, result=5.5, datastream=frost.Datastream(id=stream.id)
    )
    client.create(one)
    assert client.observations().find(one.id).result == 5.5, one.id

    # PUT, of an entity as it was read.
    found = client.things().find(thing.id)
    found.description = "changed by a client"
    client.update(found)
    again = client.things().find(thing.id)
    assert again.description == "changed by a client" and again.properties == {"run": 1}
    put = client.datastreams().find(stream.id)
    put.name = "PM10 (hour)"
    client.update(put)
    assert client.datastreams().find(stream.id).name == "PM10 (hour)"
    # JSON Patch.
    client.patch(thing, [{"op": "replace", "path": "/properties/run", "value": 2}])
    assert client.things().find(thing.id).properties == {"run": 2}
    client.patch(one, [{"op": "replace", "path": "/result", "value": 6.5}])
    assert client.observations().find(one.id).result == 6.5

    # CreateObservations.
    array = frost.DataArrayValue()
    array.datastream = stream
    part = frost.DataArrayValue.Property
    array.components = {part.PHENOMENON_TIME, part.RESULT}
    for minute in range(1, 251):
        moment = (begin + timedelta(minutes=minute)).isoformat()
        array.add_observation(frost.Observation(phenomenon_time=moment, result=minute / 2))
    document = frost.DataArrayDocument()
    document.add_data_array_value(array)
    links = client.observations().create(document)
    assert len(links) == 250 and all("Observations(" in link.self_link for link in links)
    query = client.datastreams().find(stream.id).get_observations().query()
    listed = query.orderby("phenomenonTime", "ASC").list()
    values = [each.result for each in listed]
    assert values == [6.5, *(minute / 2 for minute in range(1, 251))]
    below = query.filter("result le 10 and phenomenonTime gt 2026-01-01T00:10:00Z").list()
    assert [each.result for each in below] == [minute / 2 for minute in range(11, 21)]

    # Deletion, of one and of all that hangs on a Thing.
    client.delete(one)
    remaining = query.filter("phenomenonTime lt 2026-01-01T00:01:00Z").list()
    assert remaining.entities == []
    client.delete(thing)
    for dao, number in ((client.things(), thing.id), (client.datastreams(), stream.id)):
        with pytest.raises(Exception, match="404"):
            dao.find(number)
    for entity in (sensor, observed):
        client.delete(entity)
