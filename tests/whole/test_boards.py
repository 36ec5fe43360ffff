"""Boards: every role of the city comes in to a home whose every tile has an answer for it."""

import json
import time

import pytest
from conftest import DISTRICT_GRID_WORKER, PEOPLE, ROOT, WORKERS, shujin


def board(peopled, role, name, area=None):
    query = f"?area={area}" if area else ""
    status, page = peopled.send("GET", f"/api/boards/{name}{query}", user=f"the_{role}")
    assert status == 200, page
    return page


def homes(peopled, role):
    status, boards = peopled.send("GET", "/api/boards", user=f"the_{role}")
    assert status == 200, boards
    return [item["id"] for item in boards["items"] if role in item["home_for"]]


@pytest.mark.parametrize("role", WORKERS)
def test_every_tile_of_every_home_answers(peopled, role):
    [home] = homes(peopled, role)
    for area in (None, "510104000000"):
        page = board(peopled, role, home, area)
        assert page["tiles"]
        for tile in page["tiles"]:
            what = f"{home}.{tile['id']} for {role} in {area}: {json.dumps(tile)[:600]}"
            assert "error" not in tile, what
            assert tile["title"]["zh"] and tile["title"]["en"] and tile["note"]["zh"], what
            assert tile["sources"] and all(source["title"]["zh"] for source in tile["sources"]), what
            for source in tile["sources"]:
                # Both may have no rows yet: nothing was refused, no sensor has told a reading.
                empty = source["dataset"] in ("system.quarantine", "sensing.observation")
                assert empty or source["freshness"]["state"] != "never", what
            names = [column["name"] for column in tile["columns"]]
            assert all(sorted(row) == sorted(names) for row in tile["rows"]), what
            for column in tile["columns"]:
                assert column["title"]["zh"] and column["title"]["en"], what
                assert column["title"]["zh"] != column["name"], what
                if labels := column.get("labels"):
                    told = {row[column["name"]] for row in tile["rows"]}
                    assert told - {None} <= set(labels), what
            if tile["kind"] == "number":
                assert len(tile["rows"]) == 1, what
                assert tile["unit"]["zh"] and tile["unit"]["en"], what
            assert "$area" not in tile["sql"], what


def test_a_board_is_offered_to_whom_it_is_for(peopled):
    status, boards = peopled.send("GET", "/api/boards", user="the_resident")
    assert status == 200
    assert {item["id"] for item in boards["items"]} == {"resident", "city"}
    status, problem = peopled.send("GET", "/api/boards/duty", user="the_resident")
    assert status == 404 and problem["code"] == "not_found"
    assert peopled.send("GET", "/api/boards")[0] == 401


def test_a_tile_is_narrowed_to_an_area_and_can_be_asked_again(peopled):
    def people(area=None):
        [tile] = [t for t in board(peopled, "planner", "planner", area)["tiles"] if t["id"] == "people"]
        assert tile["by_area"]
        return tile

    whole, part = people(), people("510104000000")
    assert whole["rows"] == [{"people": PEOPLE}]
    assert 0 < part["rows"][0]["people"] < PEOPLE
    status, again = peopled.send("POST", "/api/sql", {"sql": part["sql"]}, "the_planner")
    assert status == 200 and again["rows"] == part["rows"]
    status, problem = peopled.send("GET", "/api/boards/planner?area=5'--", user="the_planner")
    assert status == 400 and problem["code"] == "invalid"


def test_coded_values_are_called_as_their_fields_call_them(peopled):
    for role, tile, column in [
        ("planner", "facilities", "kind"),
        ("planner", "land", "land_use"),
        ("policy_office", "sections", "section"),
        ("data_steward", "sharing", "sharing"),
    ]:
        [home] = homes(peopled, role)
        [shown] = [one for one in board(peopled, role, home)["tiles"] if one["id"] == tile]
        [labels] = [one["labels"] for one in shown["columns"] if one["name"] == column]
        assert shown["rows"] and {row[column] for row in shown["rows"]} <= set(labels), (role, tile)


def test_an_answer_is_shared_with_nobody_who_sees_something_else(peopled):
    """Answers are kept; what decides whose they are is what each may see."""

    def people(name):
        status, page = peopled.send("GET", "/api/boards/grid", user=name)
        assert status == 200, page
        [tile] = [tile for tile in page["tiles"] if tile["id"] == "people"]
        return tile["rows"][0]["people"], tile["sql"]

    asked = []
    for _ in range(3):
        for name in ("the_grid_worker", DISTRICT_GRID_WORKER):
            shown, statement = people(name)
            status, own = peopled.send("POST", "/api/sql", {"sql": statement}, name)
            assert status == 200 and own["rows"] == [{"people": shown}]
            asked.append(shown)
    assert asked[0] != asked[1] and asked == asked[:2] * 3


def test_who_edits_a_register_sees_it_on_the_board_at_once(peopled):
    def facilities():
        [tile] = [t for t in board(peopled, "planner", "city")["tiles"] if t["id"] == "facilities"]
        return tile["rows"][0]["facilities"]

    rows = "/api/registers/place.facility/rows"
    place = {"type": "Point", "coordinates": [104.08, 30.65]}
    fields = {"kind": "chs", "name": "看板诊所", "area_code": "510104017001"}
    fields |= {"capacity": 12, "geometry": place}
    before = facilities()
    for count in range(1, 6):
        new = {"fields": {"id": f"board-{count}", **fields}, "reason": "新建，验收文号 2024-18"}
        status, made = peopled.send("POST", rows, new, "the_planner")
        assert status in (200, 201), made
        assert facilities() == before + count
        status, page = peopled.send("GET", "/api/datasets/place.facility", user="the_planner")
        assert status == 200, page


def test_what_is_kept_is_used_by_whoever_reads_it(peopled):
    def reads():
        status, page = peopled.send("GET", "/api/datasets/place.facility", user="the_data_steward")
        assert status == 200 and page["usage"], page
        return page["usage"]["queries"]

    before = reads()
    for _ in range(10):
        board(peopled, "planner", "city")
    for _ in range(100):
        if reads() >= before + 10:
            break
        time.sleep(0.1)
    assert reads() >= before + 10


def test_sources_are_those_of_the_plan_and_say_how_new_they_are(peopled):
    tiles = {tile["id"]: tile for tile in board(peopled, "planner", "planner")["tiles"]}
    sources = {source["dataset"]: source for source in tiles["per_thousand"]["sources"]}
    assert set(sources) == {"place.boundary", "place.facility"}
    assert sources["place.facility"]["freshness"]["last_at"]
    assert not sources["place.facility"]["freshness"]["stale"]
    air = board(peopled, "resident", "resident")["tiles"][0]["sources"][0]
    assert air["dataset"] == "air.pm25" and air["freshness"]["stale"]


def test_a_tile_that_one_may_not_ask_says_so_and_fails_nothing_else(peopled):
    """A wall shows what its reader may see: the same board, another reader."""
    pack = (ROOT / "packs/chengdu/boards/security.toml").read_text()
    assert "system.user" in pack
    status, problem = peopled.send(
        "POST", "/api/sql", {"sql": "SELECT count(*) FROM system.user"}, "the_reader"
    )
    assert status == 404, problem


def test_the_platform_answers_about_itself_in_sql(peopled):
    def ask(user, sql):
        status, answer = peopled.send("POST", "/api/sql", {"sql": sql}, user)
        return answer["rows"] if status == 200 else answer["code"]

    assert ask("the_planner", "SELECT * FROM system.audit") == "not_found"
    assert ask("the_planner", "SELECT * FROM system.user") == "not_found"
    users = ask("the_administrator", "SELECT name FROM system.user WHERE roles = 'planner'")
    assert users == "not_found" or {"name": "the_planner"} in users
    known = ask("the_resident", "SELECT id FROM system.dataset WHERE sharing = 'not_shared'")
    assert known == []
    late = ask("the_data_steward", "SELECT stale FROM system.dataset WHERE id = 'air.pm25'")
    assert late == [{"stale": True}]


def test_who_may_ask_nothing_of_their_own_has_a_home_too(peopled):
    """An auditor and a security officer do not work with data: they read what the pack asks."""
    for user in ("the_auditor", "the_security_officer"):
        status, problem = peopled.send("POST", "/api/sql", {"sql": "SELECT 1"}, user)
        assert status == 403, problem
    tiles = {tile["id"]: tile for tile in board(peopled, "auditor", "audit")["tiles"]}
    done = {row["action"]: row["entries"] for row in tiles["actions"]["rows"]}
    assert done["import"] >= 15 and tiles["entries"]["rows"][0]["entries"] > 15
    tiles = {tile["id"]: tile for tile in board(peopled, "security_officer", "security")["tiles"]}
    held = {row["role"]: row["users"] for row in tiles["roles"]["rows"]}
    assert held["planner"] == 3, "the demonstration's, and two of these tests"
    assert "the_planner" in [row["name"] for row in tiles["users"]["rows"]]


def test_a_board_that_does_not_plan_fails_where_it_is_written(tmp_path):
    import shutil

    pack = tmp_path / "pack"
    shutil.copytree(ROOT / "packs/chengdu", pack)
    file = pack / "boards/duty.toml"
    file.write_text(file.read_text().replace("round(avg(pm25), 1)", "round(avg(pm52), 1)", 1))
    said = shujin("check", pack, code=1)
    assert "boards/duty.toml:" in said and "pm52" in said, said
