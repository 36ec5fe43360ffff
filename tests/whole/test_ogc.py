"""OGC API Features and Tiles: as the standard has it, as GDAL reads it, as QGIS asks."""

import json
import os
import shutil
import subprocess
from urllib.parse import quote, urlsplit

import mapbox_vector_tile
import pytest
from conftest import rows_of

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
FACILITIES = "/ogc/collections/place.facility/items"


def page(server, path, user="lin", status=200):
    found, headers, body = server.get(path, user)
    assert found == status, body
    return json.loads(body), headers


def link(document, rel):
    found = [each["href"] for each in document["links"] if each["rel"] == rel]
    assert len(found) <= 1, found
    return found[0] if found else None


def path_of(href):
    parts = urlsplit(href)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def gdal(server, user, *arguments):
    """Runs ogrinfo with the user's token in the head of each request."""
    program = shutil.which("ogrinfo")
    assert program, "gdal-bin is not installed: run scripts/setup test"
    environment = dict(
        os.environ,
        GDAL_HTTP_HEADERS=f"Authorization: Bearer {server.tokens[user]}",
        CPL_CURL_VERBOSE="NO",
    )
    done = subprocess.run(
        [program, "-ro", *arguments], env=environment, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def test_the_landing_page_leads_everywhere(mapped):
    landing, _ = page(mapped, "/ogc")
    assert page(mapped, "/ogc/")[0]["links"] == landing["links"]
    for rel in ("self", "service-desc", "conformance", "data"):
        assert mapped.get(path_of(link(landing, rel)), "lin")[0] == 200, rel
    conforms = page(mapped, path_of(link(landing, "conformance")))[0]["conformsTo"]
    assert any(each.endswith("ogcapi-features-1/1.0/conf/core") for each in conforms)
    assert any(each.endswith("ogcapi-features-2/1.0/conf/crs") for each in conforms)
    api, headers = page(mapped, path_of(link(landing, "service-desc")))
    assert api["openapi"].startswith("3.0")
    assert headers["content-type"].startswith("application/vnd.oai.openapi+json")
    assert api["components"]["parameters"]["limit"]["schema"]["maximum"] == 5000
    assert mapped.get("/ogc")[0] == 401 and mapped.get("/ogc/collections")[0] == 401


def test_collections_are_the_datasets_that_may_be_read(mapped):
    def ids(user):
        return {each["id"] for each in page(mapped, "/ogc/collections", user)[0]["collections"]}

    assert {"place.facility", "place.boundary", "road.edge"} <= ids("lin")
    assert "place.parcel" in ids("plan") & ids("chen") and "place.parcel" not in ids("lin")
    assert "market.enterprise_profile" not in ids("stat"), "groups have no places"
    assert mapped.get("/ogc/collections", "he")[0] == 403, "who may not query sees none"
    one, _ = page(mapped, "/ogc/collections/place.facility")
    west, south, east, north = one["extent"]["spatial"]["bbox"][0]
    assert 102 < west < east < 106 and 29 < south < north < 32
    assert set(one["crs"]) == {CRS84, EPSG + "4326", EPSG + "3857", EPSG + "4490"}
    assert one["storageCrs"] == CRS84
    page(mapped, "/ogc/collections/place.parcel", "lin", 404)
    page(mapped, "/ogc/collections/place.parcel/items", "lin", 404)
    page(mapped, "/ogc/collections/nothing.here", "lin", 404)


def test_pages_lead_through_all_features_once(mapped):
    [row] = rows_of(mapped, "lin", "SELECT count(*) AS n FROM place.facility")
    path, found, pages = f"{FACILITIES}?limit=300", [], 0
    while path:
        document, headers = page(mapped, path)
        assert headers["content-type"] == "application/geo+json"
        assert headers["content-crs"] == f"<{CRS84}>"
        assert document["numberMatched"] == row["n"]
        assert document["numberReturned"] == len(document["features"])
        found += [feature["id"] for feature in document["features"]]
        pages += 1
        following = link(document, "next")
        path = path_of(following) if following else None
    assert len(found) == len(set(found)) == row["n"] and pages == -(-row["n"] // 300)
    back, _ = page(mapped, f"{FACILITIES}?limit=10&offset=20")
    before, _ = page(mapped, path_of(link(back, "prev")))
    assert [f["id"] for f in before["features"]] == found[10:20]
    assert page(mapped, f"{FACILITIES}?offset=4000000")[0]["features"] == []


def test_one_feature_by_its_key(mapped):
    [row] = rows_of(mapped, "lin", "SELECT id, name, ST_X(geometry) AS x, ST_Y(geometry) AS y"
                                   " FROM place.facility ORDER BY id LIMIT 1")  # fmt: skip
    feature, _ = page(mapped, f"{FACILITIES}/{row['id']}")
    assert feature["type"] == "Feature" and feature["id"] == row["id"]
    assert feature["properties"]["name"] == row["name"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [row["x"], row["y"]]}
    assert link(feature, "collection").endswith("/ogc/collections/place.facility")
    page(mapped, f"{FACILITIES}/nothing", status=404)
    # A key of several fields, one of them Chinese; and one that is a number.
    [stop] = rows_of(mapped, "lin", "SELECT line, seq FROM transit.station ORDER BY 1, 2 LIMIT 1")
    key = f"{stop['line']}~{stop['seq']}"
    for part in (quote(key, safe=""), f"{quote(stop['line'], safe='')}~{stop['seq']}"):
        station, _ = page(mapped, f"/ogc/collections/transit.station/items/{part}")
        assert station["properties"]["line"] == stop["line"] and station["id"] == key
    page(mapped, f"/ogc/collections/transit.station/items/{quote(stop['line'])}", status=404)
    [edge] = rows_of(mapped, "lin", "SELECT min(id) AS id FROM road.edge")
    assert page(mapped, f"/ogc/collections/road.edge/items/{edge['id']}")[0]["id"] == edge["id"]


def test_a_box_in_each_system_finds_the_same(mapped):
    west, south, east, north = 104.0, 30.55, 104.2, 30.75
    rows = rows_of(mapped, "lin", "SELECT id FROM place.facility WHERE ST_X(geometry) BETWEEN"
                   f" {west} AND {east} AND ST_Y(geometry) BETWEEN {south} AND {north}")  # fmt: skip
    wanted = {row["id"] for row in rows}
    assert len(wanted) > 5

    def ids(query):
        return {f["id"] for f in page(mapped, f"{FACILITIES}?limit=5000&{query}")[0]["features"]}

    assert ids(f"bbox={west},{south},{east},{north}") == wanted
    assert ids(f"bbox={west},{south},-5,{east},{north},900") == wanted
    for code in ("4326", "4490"):
        assert ids(f"bbox={south},{west},{north},{east}&bbox-crs={quote(EPSG + code)}") == wanted
    # EPSG:3857 of the corners, by the projection's published formula.
    assert ids("bbox=11577227.043,3574444.944,11599490.941,3600324.268"
               f"&bbox-crs={quote(EPSG + '3857')}") == wanted  # fmt: skip
    # Found by SQL, together with a filter, it is the same box.
    kinds = rows_of(mapped, "lin", "SELECT kind, count(*) AS n FROM place.facility"
                                   " GROUP BY kind ORDER BY n DESC LIMIT 1")  # fmt: skip
    kind = kinds[0]["kind"]
    filtered = ids(f"bbox={west},{south},{east},{north}&kind={kind}")
    assert filtered == {
        f["id"]
        for f in page(mapped, f"{FACILITIES}?limit=5000&bbox={west},{south},{east},{north}")[0]["features"]
        if f["properties"]["kind"] == kind
    }


def test_lines_and_polygons_are_found_by_their_shape_not_their_box(mapped):
    for dataset in ("road.edge", "place.boundary"):
        box = "104.0601,30.6571,104.0602,30.6572"
        west, south, east, north = box.split(",")
        polygon = f"POLYGON(({west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}))"
        key = "id" if dataset == "road.edge" else "code"
        rows = rows_of(mapped, "lin", f"SELECT {key} AS key FROM {dataset} WHERE"
                       f" ST_Intersects(geometry, ST_GeomFromText('{polygon}'))")  # fmt: skip
        found, _ = page(mapped, f"/ogc/collections/{dataset}/items?bbox={box}&limit=5000")
        assert {f["id"] for f in found["features"]} == {row["key"] for row in rows}
        if dataset == "place.boundary":
            assert len(rows) >= 5, "the city, a district, a street, a community and a grid"


def test_values_of_fields_choose(mapped):
    rows = rows_of(mapped, "lin", "SELECT id FROM road.edge WHERE class = 'trunk' ORDER BY id")
    found, _ = page(mapped, "/ogc/collections/road.edge/items?class=trunk&limit=5000")
    assert [f["id"] for f in found["features"]] == [row["id"] for row in rows][:5000]
    assert found["numberMatched"] == len(rows)
    assert "class=trunk" in link(found, "self")
    for wrong in ("colour=red", "limit=0", "limit=x", "bbox=1,2,3", "geometry=x", "from_node=x",
                  "datetime=soon", "crs=urn:x", "limit=1&limit=2", "f=html"):  # fmt: skip
        page(mapped, f"/ogc/collections/road.edge/items?{wrong}", status=400)
    # A dataset without a time has every moment.
    every, _ = page(mapped, "/ogc/collections/road.edge/items?limit=1&datetime=2024-01-01")
    assert every["numberMatched"] > len(rows)


def test_coordinates_come_in_the_system_that_was_asked_for(mapped):
    [row] = rows_of(mapped, "lin", "SELECT id, ST_X(geometry) AS x, ST_Y(geometry) AS y"
                                   " FROM place.facility ORDER BY id LIMIT 1")  # fmt: skip

    def place(code):
        feature, headers = page(mapped, f"{FACILITIES}/{row['id']}?crs={quote(EPSG + code)}")
        assert headers["content-crs"] == f"<{EPSG}{code}>"
        return feature["geometry"]["coordinates"]

    assert place("4326") == place("4490") == [row["y"], row["x"]]
    x, y = place("3857")
    assert abs(x - row["x"] * 111319.49079327358) < 0.01 and 3_500_000 < y < 3_700_000


def test_an_officer_reads_the_own_district_alone(mapped):
    rows = rows_of(mapped, "chen", "SELECT id FROM place.parcel")
    own, _ = page(mapped, "/ogc/collections/place.parcel/items?limit=5000", "chen")
    assert {f["id"] for f in own["features"]} == {row["id"] for row in rows}
    [all_rows] = rows_of(mapped, "plan", "SELECT count(*) AS n FROM place.parcel")
    other, _ = page(mapped, "/ogc/collections/place.parcel/items?limit=1", "plan")
    assert other["numberMatched"] == all_rows["n"] > len(rows)
    [stranger] = rows_of(mapped, "plan", "SELECT min(id) AS id FROM place.parcel"
                                         " WHERE area_code NOT LIKE '510104%'")  # fmt: skip
    page(mapped, f"/ogc/collections/place.parcel/items/{stranger['id']}", "chen", 404)


def test_tiles_of_a_collection(mapped):
    tilesets, _ = page(mapped, "/ogc/collections/place.facility/tiles")
    assert tilesets["tilesets"][0]["dataType"] == "vector"
    page(mapped, "/ogc/collections/place.facility/tiles/WebMercatorQuad")
    quad, _ = page(mapped, "/ogc/tileMatrixSets/WebMercatorQuad")
    assert abs(quad["tileMatrices"][0]["scaleDenominator"] - 559082264.0287178) < 1e-3
    path = "/ogc/collections/place.facility/tiles/WebMercatorQuad/12/1681/3232"
    status, headers, body = mapped.get(path, "lin")
    assert status == 200 and headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert mapbox_vector_tile.decode(body)["place.facility"]["features"]
    assert mapped.get("/ogc/collections/place.parcel/tiles/WebMercatorQuad/12/1681/3232", "lin")[0] == 404


def test_gdal_opens_it(mapped):
    [row] = rows_of(mapped, "lin", "SELECT count(*) AS n FROM place.facility")
    code, said = gdal(mapped, "lin", f"OAPIF:{mapped.http}/ogc")
    assert code == 0 and "place.facility" in said and "place.parcel" not in said, said
    code, said = gdal(mapped, "lin", "-so", f"OAPIF:{mapped.http}/ogc", "place.facility")
    assert code == 0 and f"Feature Count: {row['n']}" in said and "Geometry: Point" in said, said
    # A box, which GDAL hands on, and its answer read to the end.
    rows = rows_of(mapped, "lin", "SELECT count(*) AS n FROM place.facility WHERE ST_X(geometry)"
                   " BETWEEN 104.0 AND 104.2 AND ST_Y(geometry) BETWEEN 30.55 AND 30.75")  # fmt: skip
    code, said = gdal(mapped, "lin", "-al", "-q", "-spat", "104.0", "30.55", "104.2", "30.75",
                      f"OAPIF:{mapped.http}/ogc/collections/place.facility")  # fmt: skip
    assert code == 0 and said.count("OGRFeature(") == rows[0]["n"], said[-2000:]
    # Pages of a large collection, polygons, and another coordinate system.
    [edges] = rows_of(mapped, "lin", "SELECT count(*) AS n FROM road.edge")
    code, said = gdal(mapped, "lin", "-al", "-q", "-geom=NO",
                      f"OAPIF:{mapped.http}/ogc/collections/road.edge")  # fmt: skip
    assert code == 0 and said.count("OGRFeature(") == edges["n"], said[-2000:]
    code, said = gdal(mapped, "chen", "-so", f"OAPIF:{mapped.http}/ogc", "place.parcel")
    [own] = rows_of(mapped, "chen", "SELECT count(*) AS n FROM place.parcel")
    assert code == 0 and f"Feature Count: {own['n']}" in said and "Polygon" in said, said
    code, said = gdal(mapped, "lin", "-so", f"OAPIF:{mapped.http}/ogc", "place.parcel")
    assert code != 0 or "Couldn't fetch" in said, said


@pytest.mark.parametrize("user", ["lin", "plan"])
def test_what_qgis_asks_is_answered(mapped, user):
    """The requests of QGIS's provider, in its order, with its media types."""
    accept = "application/geo+json, application/json"
    steps = [
        ("/ogc", "application/json"),
        ("/ogc/conformance", "application/json"),
        ("/ogc/api", "application/vnd.oai.openapi+json;version=3.0, application/json"),
        ("/ogc/collections", "application/json"),
        ("/ogc/collections/place.boundary", "application/json"),
        ("/ogc/collections/place.boundary/items?limit=10", accept),
        ("/ogc/collections/place.boundary/items?limit=1000&bbox=103.9,30.5,104.2,30.8", accept),
        (
            "/ogc/collections/place.boundary/items?limit=1000&crs="
            + quote(EPSG + "3857")
            + "&bbox-crs="
            + quote(EPSG + "3857")
            + "&bbox=11580000,3580000,11590000,3600000",
            accept,
        ),
    ]
    for path, media in steps:
        status, headers, body = mapped.get(path, user, Accept=media)
        assert status == 200 and json.loads(body), (path, body)
        if "/items" in path:
            assert headers["content-type"] == "application/geo+json"
            assert json.loads(body)["features"], path
