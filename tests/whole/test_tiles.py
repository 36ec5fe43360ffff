"""Tiles, the map and its areas: drawn from what whoever asks may see, and from nothing else."""

import json
import math
import time
from urllib.parse import quote

import mapbox_vector_tile
import pytest
from conftest import rows_of, shujin

MVT = "application/vnd.mapbox-vector-tile"
CENTRE = (104.066, 30.657)


def tile_of(lon, lat, zoom):
    """The slippy map's published formula."""
    side = 2**zoom
    x = int((lon + 180) / 360 * side)
    y = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * side)
    return zoom, x, y


def degrees(zoom, x, y, unit_x, unit_y):
    """Longitude and latitude of a place in a tile, of 4096 units, y to the south."""
    side = 2**zoom
    lon = (x + unit_x / 4096) / side * 360 - 180
    lat = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * (y + unit_y / 4096) / side))))
    return lon, lat


def tile(server, user, layer, zoom, x, y):
    """The features of a tile."""
    status, headers, body = server.get(f"/tiles/{layer}/{zoom}/{x}/{y}", user)
    if status == 204:
        assert body == b""
        return []
    assert status == 200, body
    assert headers["content-type"] == MVT
    assert headers["cache-control"].startswith("private")
    layers = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})
    assert list(layers) == [layer]
    assert (layers[layer]["extent"], layers[layer]["version"]) == (4096, 2)
    return layers[layer]["features"]


def tiles(server, user, layer, zoom, bounds):
    """The features of all tiles that cover a box, by their key's properties."""
    west, south, east, north = bounds
    _, x0, y0 = tile_of(west, north, zoom)
    _, x1, y1 = tile_of(east, south, zoom)
    found = []
    for x in range(x0, x1 + 1):
        for y in range(y0, y1 + 1):
            found += tile(server, user, layer, zoom, x, y)
    return found


def area(server, code, user="lin"):
    status, _, body = server.get(f"/api/areas?code={code}", user)
    assert status == 200, body
    return json.loads(body)


def layers_of(server, user):
    status, _, body = server.get("/api/map", user)
    assert status == 200, body
    view = json.loads(body)
    return {layer["id"]: layer for layer in view["base"] + view["layers"]}


def test_the_map_lists_what_may_be_seen(mapped):
    everybody = {"area", "park", "street", "metro_line", "metro_station", "facility", "venue"}
    planner, ecology, officer = (layers_of(mapped, user) for user in ("plan", "lin", "chen"))
    assert everybody <= set(planner) and everybody <= set(ecology) and everybody <= set(officer)
    assert "parcel" in planner and "parcel" in officer and "parcel" not in ecology
    # Groups have no places, and the statistics bureau is not shown them either.
    assert "enterprise" not in layers_of(mapped, "stat")
    assert mapped.get("/api/map", "he")[0] == 403, "who may not query sees no rows"
    facility = ecology["facility"]
    assert facility["dataset"] == "place.facility" and facility["geometry"] == "point"
    assert facility["key"] == ["id"] and facility["title_field"] == "name"
    assert {"id", "name", "kind", "capacity"} <= {field["name"] for field in facility["fields"]}
    assert facility["title"]["en"] and facility["group"]["zh"] and facility["style"]["kind"]
    [kind] = [field for field in facility["fields"] if field["name"] == "kind"]
    assert kind["labels"]["bus_stop"] == {"zh": "公交车站", "en": "Bus stop"}
    street = ecology["street"]
    assert street["minzoom"] == 6, "the widest streets come first"


def test_a_tile_holds_the_rows_of_its_place(mapped):
    rows = rows_of(mapped, "lin", "SELECT id, name, kind, ST_X(geometry) AS x, ST_Y(geometry) AS y"
                                  " FROM place.facility")  # fmt: skip
    zoom, x, y = tile_of(*CENTRE, 10)
    features = tile(mapped, "lin", "facility", zoom, x, y)
    found = {feature["properties"]["id"]: feature for feature in features}
    here = [row for row in rows if tile_of(row["x"], row["y"], zoom) == (zoom, x, y)]
    assert len(here) > 10
    for row in here:
        feature = found[row["id"]]
        assert feature["properties"]["name"] == row["name"]
        assert feature["properties"]["kind"] == row["kind"]
        lon, lat = degrees(zoom, x, y, *feature["geometry"]["coordinates"])
        # A unit of a tile at zoom 10 is about 9.5 m.
        assert abs(lon - row["x"]) < 9e-5 and abs(lat - row["y"]) < 9e-5
    ids = [feature["id"] for feature in features]
    assert len(set(ids)) == len(ids) and max(ids) < 2**53


def test_polygons_are_wound_and_named_in_both_languages(mapped):
    zoom, x, y = tile_of(*CENTRE, 10)
    features = tile(mapped, "lin", "area", zoom, x, y)
    names = {f["properties"]["name"]: f["properties"].get("name_en") for f in features}
    assert names["锦江区"].startswith("Jinjiang")
    for feature in features:
        shape = feature["geometry"]
        polygons = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
        for polygon in polygons:
            for index, ring in enumerate(polygon):
                doubled = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1]))
                # y grows to the south: outer rings run clockwise on the screen, holes against.
                assert doubled > 0 if index == 0 else doubled < 0
                assert all(-64 <= value <= 4160 for place in ring for value in place)


def test_finer_areas_and_smaller_streets_come_in_deeper(mapped):
    # A small city's streets end with these.
    [lane] = rows_of(mapped, "lin", "SELECT ST_XMin(geometry) AS x, ST_YMin(geometry) AS y FROM"
                                    " road.edge WHERE class = 'secondary' LIMIT 1")  # fmt: skip
    levels = {}
    classes = {}
    for zoom in (8, 10, 11, 12, 14, 15):
        where = tile_of(lane["x"], lane["y"], zoom)
        levels[zoom] = {f["properties"]["level"] for f in tile(mapped, "lin", "area", *where)}
        classes[zoom] = {f["properties"]["class"] for f in tile(mapped, "lin", "street", *where)}
    assert levels[8] <= {"city", "district"} and "street" in levels[10] | levels[12]
    assert "grid" in levels[14] and "micro_grid" in levels[15] and "micro_grid" not in levels[14]
    assert classes[8] <= {"expressway", "trunk"}
    assert "secondary" in classes[11] and "secondary" not in classes[10]


def test_an_officer_s_tile_holds_no_other_district_s_rows(mapped):
    bounds = area(mapped, "510100000000")["items"][0]["bbox"]

    def codes(user):
        rows = rows_of(mapped, user, "SELECT id, area_code FROM place.parcel")
        return {row["id"]: row["area_code"] for row in rows}

    def drawn(user):
        return {f["properties"]["id"] for f in tiles(mapped, user, "parcel", 11, bounds)}

    allowed, everything = codes("chen"), codes("plan")
    assert 0 < len(allowed) < len(everything)
    assert all(code.startswith("510104") for code in allowed.values())
    # Each twice: first made, then from memory; and one after another's layer was made.
    for _ in range(2):
        of_owner = drawn("plan")
        of_chen = drawn("chen")
        of_wuhou = drawn("wuhou")
        assert of_chen and of_chen <= set(allowed)
        assert {everything[id][:6] for id in of_owner} > {"510104", "510107"}
        assert of_chen == {id for id in of_owner if everything[id].startswith("510104")}
        assert all(everything[id].startswith("510107") for id in of_wuhou)
        assert of_chen.isdisjoint(of_wuhou)
    # A colleague with the same scope sees the same; the ecologist no parcel at all.
    of_chen2 = drawn("chen2")
    assert of_chen2 == of_chen
    status, _, body = mapped.get("/tiles/parcel/14/12923/6715", "lin")
    assert status == 403 and json.loads(body)["code"] == "refused"


def test_a_row_filter_of_values_holds_in_tiles(mapped):
    """Devices of homes and mains are their owners' alone."""
    owners = "SELECT DISTINCT owner FROM sensing.thing"
    seen = {r["owner"] for r in rows_of(mapped, "lin", owners)}
    assert "ecology_environment" in seen and "emergency" not in seen
    bounds = area(mapped, "510104000000")["items"][0]["bbox"]
    drawn = {f["properties"]["owner"] for f in tiles(mapped, "lin", "thing", 12, bounds)}
    assert drawn and drawn <= seen
    everybody = {f["properties"]["owner"] for f in tiles(mapped, "owner", "thing", 12, bounds)}
    assert "emergency" in everybody


def test_what_is_not_there_is_said_so(mapped):
    zoom, x, y = tile_of(*CENTRE, 12)
    assert mapped.get(f"/tiles/facility/{zoom}/{x}/{y}")[0] == 401
    assert mapped.get("/tiles/nothing/12/1/1", "lin")[0] == 403
    assert mapped.get("/tiles/enterprise/12/1/1", "stat")[0] == 403
    assert mapped.get("/tiles/facility/2/4/0", "lin")[0] == 400
    assert mapped.get("/tiles/facility/2/-1/0", "lin")[0] == 400
    assert mapped.get("/tiles/facility/18/1/0", "lin")[0] == 400
    assert mapped.get("/tiles/facility/12/0/0", "lin")[0] == 204
    assert mapped.get(f"/tiles/facility/{zoom}/{x}/{y}", "he")[0] == 403


def test_a_tile_that_did_not_change_is_not_sent_again(mapped):
    zoom, x, y = tile_of(*CENTRE, 12)
    path = f"/tiles/facility/{zoom}/{x}/{y}"
    _, headers, first = mapped.get(path, "lin")
    status, again, body = mapped.get(path, "lin", If_None_Match=headers["etag"])
    assert (status, body, again["etag"]) == (304, b"", headers["etag"])
    status, _, second = mapped.get(path, "lin", If_None_Match='"another"')
    assert status == 200 and second == first


def test_a_moment_before_the_rows_came_shows_none(mapped):
    zoom, x, y = tile_of(*CENTRE, 12)
    path = f"/tiles/facility/{zoom}/{x}/{y}?as_of="
    assert mapped.get(path + quote("2020-01-01T00:00:00Z"), "lin")[0] == 204
    assert mapped.get(path + "soon", "lin")[0] == 400


def test_rows_that_come_in_are_drawn(mapped, tmp_path):
    corners = [[104.06, 30.65], [104.07, 30.65], [104.07, 30.66], [104.06, 30.66], [104.06, 30.65]]
    park = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {"id": "new-park", "name": "新公园", "area_code": "510104000000",
                       "area_m2": 1000000.0, "opened_year": 2026},
    }  # fmt: skip
    file = tmp_path / "parks.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [park]}))
    where = tile_of(104.065, 30.655, 13)

    def ids():
        return {f["properties"]["id"] for f in tile(mapped, "lin", "park", *where)}

    before, tag = ids(), mapped.get("/tiles/park/13/%d/%d" % where[1:], "lin")[1]["etag"]
    assert "new-park" not in before
    shujin("import", "--server", mapped.http, "--token", mapped.tokens["parks"], "place.park", file)
    deadline = time.monotonic() + 10
    while "new-park" not in ids() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ids() == before | {"new-park"}
    status, headers, _ = mapped.get("/tiles/park/13/%d/%d" % where[1:], "lin", If_None_Match=tag)
    assert status == 200 and headers["etag"] != tag


def test_a_layer_describes_itself(mapped):
    status, _, body = mapped.get("/tiles/facility", "lin")
    assert status == 200
    described = json.loads(body)
    assert described["tilejson"] == "3.0.0" and described["vector_layers"][0]["id"] == "facility"
    assert "{z}/{x}/{y}" in described["tiles"][0]


def test_areas_lead_from_the_city_to_a_micro_grid(mapped):
    status, _, body = mapped.get("/api/areas", "lin")
    top = json.loads(body)["items"]
    assert status == 200 and [item["code"] for item in top] == ["510100000000"]
    item, path = top[0], []
    while item["children"]:
        path.append(item["code"])
        status, _, body = mapped.get(f"/api/areas?parent={item['code']}", "lin")
        below = json.loads(body)["items"]
        assert status == 200 and len(below) == item["children"]
        assert {each["parent"] for each in below} == {item["code"]}
        item = next(each for each in below if each["bbox"])
        west, south, east, north = item["bbox"]
        assert west < east and south < north
    assert item["level"] == "micro_grid" and len(path) == 5
    found = area(mapped, item["code"])
    assert [step["code"] for step in found["path"]] == [*path, item["code"]]
    district = area(mapped, "510104000000")["items"][0]
    assert district["name"] == {"zh": "锦江区", "en": "Jinjiang District"} and district["people"] > 0
    assert mapped.get("/api/areas?code=999", "lin")[0] == 404
    assert mapped.get("/api/areas?code=1&parent=2", "lin")[0] == 400


@pytest.mark.parametrize("words", ["锦江", "jinjiang"])
def test_search_finds_areas_by_either_name(mapped, words):
    found = json.loads(mapped.get(f"/api/search?q={quote(words)}", "lin")[2])
    assert found["places"][0]["code"] == "510104000000"


def test_search_finds_objects_that_may_be_seen(mapped):
    [row] = rows_of(mapped, "lin", "SELECT id, name FROM place.venue ORDER BY id LIMIT 1")
    found = json.loads(mapped.get(f"/api/search?q={quote(row['name'])}", "lin")[2])
    assert any(o["dataset"] == "place.venue" and o["key"] == row["id"] for o in found["objects"])
    [own] = rows_of(mapped, "chen", "SELECT min(id) AS id FROM place.parcel")
    for user, seen in (("chen", True), ("plan", True), ("wuhou", False), ("lin", False)):
        found = json.loads(mapped.get(f"/api/search?q={own['id']}", user)[2])
        assert any(o["key"] == own["id"] for o in found["objects"]) == seen, user
    found = json.loads(mapped.get(f"/api/search?q={quote('设施')}", "lin")[2])
    assert any(d["id"] == "place.facility" for d in found["datasets"])
    assert mapped.get("/api/search?q=%20", "lin")[0] == 400
    assert mapped.get("/api/search?q=" + "a" * 500, "lin")[0] == 413
