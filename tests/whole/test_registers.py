"""Registers: imported, browsed, edited with a reason against a version, and the past kept."""

import json
import threading
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

from conftest import DISTRICT_PLANNER, add_user, ask, import_file, serve, shujin, token_of

ROWS = "/api/registers/place.facility/rows"
PLANNER = "the_planner"


def sql(peopled, statement, user=PLANNER, **more):
    status, answer = peopled.send("POST", "/api/sql", {"sql": statement, **more}, user)
    assert status == 200, answer
    return answer["rows"]


def facility(**fields):
    return {
        "id": "test-1",
        "kind": "chs",
        "name": "锦江测试诊所",
        "area_code": "510104017001",
        "capacity": 12,
        "geometry": {"type": "Point", "coordinates": [104.08, 30.65]},
        **fields,
    }


def path(key):
    return f"{ROWS}/{urllib.parse.quote(key, safe='')}"


def test_registers_are_listed_with_what_a_form_needs(peopled):
    status, listed = peopled.send("GET", "/api/registers", user=PLANNER)
    assert status == 200, listed
    registers = {item["dataset"]: item for item in listed["items"]}
    assert {"place.facility", "place.venue", "place.parcel", "place.park"} <= set(registers)
    assert registers["place.facility"]["editable"] and registers["place.parcel"]["editable"]
    assert not registers["place.park"]["editable"], "parks are another department's"
    assert not registers["place.area"]["editable"], "areas are the pack's"
    assert not any(name.startswith("system.") for name in registers)
    [uses] = [f for f in registers["place.parcel"]["fields"] if f["name"] == "land_use"]
    assert uses["required"] and "vacant" in uses["codes"]
    assert uses["labels"]["vacant"] == {"zh": "空闲地", "en": "Vacant"}
    assert sorted(uses["labels"]) == sorted(uses["codes"])
    [name] = [f for f in registers["place.park"]["fields"] if f["name"] == "name"]
    assert "labels" not in name, "what is not coded has none"
    [count] = sql(peopled, "SELECT count(*) AS n FROM place.facility")
    assert registers["place.facility"]["count"] == count["n"] > 50
    page = peopled.send("GET", "/api/datasets/place.facility", user=PLANNER)[1]
    assert page["freshness"]["state"] != "never", "it says when it was last changed"


def test_rows_are_searched_narrowed_sorted_and_paged(peopled):
    def page(query):
        status, found = peopled.send("GET", f"{ROWS}?{urllib.parse.urlencode(query)}", user=PLANNER)
        assert status == 200, found
        return found

    whole = page({"limit": 3})
    assert len(whole["items"]) == 3 and whole["total"] > 50
    assert all(row["version"] == 1 and row["key"] for row in whole["items"])
    schools = page({"q": "kindergarten", "limit": 200})
    assert 0 < schools["total"] < whole["total"]
    assert all(row["values"]["kind"] == "kindergarten" for row in schools["items"])
    called = page({"q": "community canteen", "limit": 200})
    assert called["total"] > 0, "rows have no such word, but what their code is called has"
    assert all(row["values"]["kind"] == "canteen" for row in called["items"])
    near = page({"area": "510104000000", "limit": 200})
    assert 0 < near["total"] < whole["total"]
    assert all(row["values"]["area_code"].startswith("510104") for row in near["items"])
    largest = page({"sort": "-capacity", "limit": 5})["items"]
    sizes = [row["values"]["capacity"] for row in largest]
    assert sizes == sorted(sizes, reverse=True)
    first, second = page({"limit": 5})["items"], page({"limit": 5, "offset": 5})["items"]
    assert not {row["key"] for row in first} & {row["key"] for row in second}
    status, problem = peopled.send("GET", f"{ROWS}?sort=capacity;drop", user=PLANNER)
    assert status == 400 and problem["code"] == "invalid"


def test_a_row_lives_from_its_creation_to_after_its_end(peopled):
    [before] = sql(peopled, "SELECT count(*) AS n, now() AS at FROM place.facility")
    new = {"fields": facility(), "reason": "新建，验收文号 2024-17"}
    status, made = peopled.send("POST", ROWS, new, PLANNER)
    assert status == 201 and made == {"key": "test-1", "version": 1}, made
    status, problem = peopled.send("POST", ROWS, new, PLANNER)
    assert status == 409 and problem["code"] == "conflict"

    change = {"fields": {"capacity": 20, "opens": "08:00"}, "reason": "扩建", "version": 1}
    status, changed = peopled.send("PUT", path("test-1"), change, PLANNER)
    assert status == 200 and changed["version"] == 2, changed
    status, problem = peopled.send("PUT", path("test-1"), change, PLANNER)
    assert status == 409 and problem["code"] == "conflict" and "version 2" in problem["title"]

    status, thing = peopled.send("GET", "/api/objects/place.facility/test-1", user=PLANNER)
    assert status == 200, thing
    values = {field["name"]: field["value"] for field in thing["fields"]}
    assert values["capacity"] == 20 and values["opens"] == "08:00" and values["kind"] == "chs"
    [kind] = [field for field in thing["fields"] if field["name"] == "kind"]
    assert kind["labels"]["chs"]["zh"] == "社区卫生服务站"
    assert thing["geometry"] == {"type": "Point", "coordinates": [104.08, 30.65]}
    assert thing["editable"] and thing["name"] == "锦江测试诊所" and thing["version"] == 2
    assert [link["dataset"] for link in thing["links"]][:1] == ["place.area"]
    newest = thing["history"][0]
    assert (newest["kind"], newest["by"], newest["reason"]) == ("changed", PLANNER, "扩建")
    assert {"field": "capacity", "from": 12, "to": 20} in newest["changes"]
    assert len(newest["changes"]) == 2

    gone = {"reason": "拆除", "version": 2}
    assert peopled.send("DELETE", path("test-1"), gone, PLANNER)[0] == 204
    assert peopled.send("GET", "/api/objects/place.facility/test-1", user=PLANNER)[0] == 404
    [after] = sql(peopled, "SELECT count(*) AS n FROM place.facility")
    assert after["n"] == before["n"]
    status, history = peopled.send("GET", path("test-1") + "/history", user=PLANNER)
    assert status == 200
    assert [item["kind"] for item in history["items"]] == ["deleted", "changed", "created"]
    at = history["items"][1]["at"]
    then = sql(
        peopled, "SELECT capacity FROM place.facility WHERE id = 'test-1'", as_of=at
    )
    assert then == [{"capacity": 20}]
    status, past = peopled.send(
        "GET", f"/api/objects/place.facility/test-1?as_of={urllib.parse.quote(at)}", user=PLANNER
    )
    assert status == 200 and not past["editable"], past

    status, audit = peopled.send("GET", "/api/audit?limit=100", user="the_auditor")
    assert status == 200
    mine = [entry for entry in audit["entries"] if entry["actor"] == PLANNER]
    verbs = [entry["action"] for entry in mine if entry["action"].startswith("register.")]
    assert verbs[:3] == ["register.delete", "register.change", "register.create"], verbs
    assert not any("锦江测试诊所" in entry["detail"] for entry in mine), "values stay in the register"


def test_an_edit_keeps_the_contract(peopled):
    def refusal(fields, reason="为什么不"):
        body = {"fields": facility(id="test-2", **fields), "reason": reason}
        status, problem = peopled.send("POST", ROWS, body, PLANNER)
        assert status == 400, problem
        return problem["title"]

    assert "some_capacity" in refusal({"capacity": 0})
    assert "capacity" in refusal({"capacity": "many"})
    assert "name" in refusal({"name": None})
    assert "colour" in refusal({"colour": "red"})
    assert "kind" in refusal({"kind": "社区食堂"}), "a label is no code"
    assert "area_code" in refusal({"area_code": "锦江"})
    assert "geometry" in refusal({"geometry": {"type": "Point", "coordinates": ["x"]}})
    assert "why" in refusal({}, reason="  ")
    parcel = {"fields": {"land_use": "casino"}, "reason": "x", "version": 1}
    [row] = sql(peopled, "SELECT id FROM place.parcel LIMIT 1")
    status, problem = peopled.send(
        "PUT", f"/api/registers/place.parcel/rows/{row['id']}", parcel, PLANNER
    )
    assert status == 400 and "land_use" in problem["title"], problem
    key = {"fields": {"id": "other"}, "reason": "x", "version": 1}
    status, problem = peopled.send(
        "PUT", f"/api/registers/place.parcel/rows/{row['id']}", key, PLANNER
    )
    assert status == 400 and "names the row" in problem["title"]
    assert peopled.send("GET", "/api/objects/place.facility/test-2", user=PLANNER)[0] == 404


def test_only_who_keeps_a_register_edits_it_and_only_in_their_areas(peopled):
    new = {"fields": facility(id="test-3"), "reason": "x"}
    for user in ("the_reader", "the_department_head", "the_resident"):
        status, problem = peopled.send("POST", ROWS, new, user)
        assert status == 403 and problem["code"] == "refused", (user, problem)
    elsewhere = {"fields": facility(id="test-3", area_code="510105005001"), "reason": "x"}
    status, problem = peopled.send("POST", ROWS, elsewhere, DISTRICT_PLANNER)
    assert status == 403 and "area" in problem["title"], problem
    assert peopled.send("POST", ROWS, new, DISTRICT_PLANNER)[0] == 201
    moved = {"fields": {"area_code": "510105005001"}, "reason": "x", "version": 1}
    status, problem = peopled.send("PUT", path("test-3"), moved, DISTRICT_PLANNER)
    assert status == 403, problem
    [other] = sql(
        peopled, "SELECT id FROM place.facility WHERE starts_with(area_code, '510105') LIMIT 1"
    )
    status, problem = peopled.send(
        "DELETE", path(other["id"]), {"reason": "x", "version": 1}, DISTRICT_PLANNER
    )
    assert status == 403, problem
    areas = {"fields": {"name": "x"}, "reason": "x", "version": 1}
    status, problem = peopled.send(
        "PUT", "/api/registers/place.area/rows/510104000000", areas, PLANNER
    )
    assert status == 403 and problem["action"] == "registers.change", "the pack's own text"
    assert peopled.send("DELETE", path("test-3"), {"reason": "x", "version": 1}, PLANNER)[0] == 204


def test_parcels_and_their_past_are_for_whom_they_are_shared_with(peopled):
    def parcel(number, area):
        square = [[104.0, 30.0], [104.001, 30.0], [104.001, 30.001], [104.0, 30.0]]
        fields = {
            "id": f"parcel-{number}",
            "land_use": "vacant",
            "area_code": area,
            "area_m2": 5000.5,
            "geometry": {"type": "Polygon", "coordinates": [square]},
        }
        new = {"fields": fields, "reason": "登记"}
        status, made = peopled.send("POST", "/api/registers/place.parcel/rows", new, PLANNER)
        assert status == 201, made
        return {"id": made["key"]}

    mine, other = parcel(1, "510104017001"), parcel(2, "510105005001")
    officer = "the_district_officer"
    base = "/api/registers/place.parcel/rows"
    assert peopled.send("GET", f"/api/objects/place.parcel/{mine['id']}", user=officer)[0] == 200
    assert peopled.send("GET", f"{base}/{mine['id']}/history", user=officer)[0] == 200
    assert peopled.send("GET", f"/api/objects/place.parcel/{other['id']}", user=officer)[0] == 404
    assert peopled.send("GET", f"{base}/{other['id']}/history", user=officer)[0] == 404
    assert peopled.send("GET", base, user="the_resident")[0] == 404
    status, page = peopled.send("GET", f"{base}?limit=200", user=officer)
    assert status == 200
    assert all(row["values"]["area_code"].startswith("510104") for row in page["items"])


def test_a_file_is_taken_into_a_register(tmp_path):
    data, file = tmp_path / "city", tmp_path / "facilities.csv"
    whole = "编号,类型,名称,所在网格,主管部门,容量,容量单位,服务年龄下限,服务年龄上限,开放时间,关闭时间,开放日,建筑面积,位置\n"

    def row(number, capacity, name="诊所"):
        return (
            f"f{number},chs,{name},510104017001,,{capacity},,,,,,,,"
            f"POINT(104.0{number} 30.65)\n"
        )

    file.write_text(whole + row(1, 10) + row(2, 20) + row(3, 0), encoding="utf-8")
    first = import_file(data, "place.facility", file)
    assert (first["rows_taken"], first["rows_quarantined"]) == (2, 1), first
    again = import_file(data, "place.facility", file)
    assert (again["rows_taken"], again["rows_unchanged"]) == (0, 2), again
    file.write_text(whole + row(1, 11) + row(2, 20) + row(4, 5), encoding="utf-8")
    second = import_file(data, "place.facility", file)
    assert (second["rows_taken"], second["rows_unchanged"]) == (2, 1), second
    rows = ask(data, "SELECT id, capacity FROM place.facility ORDER BY id")
    assert [(r["id"], r["capacity"]) for r in rows] == [("f1", 11), ("f2", 20), ("f4", 5)]

    # The row that broke a rule is mended in a browser, from its cells.
    add_user(data, "keeper", "planning_natural_resources", "data_steward")
    token = token_of(data, "keeper")
    server = serve(data, tmp_path / "server.log")
    server.tokens = {"keeper": token}
    try:
        status, listed = server.send("GET", "/api/quarantine?dataset=place.facility", user="keeper")
        assert status == 200 and listed["total"] == 1, listed
        [bad] = listed["rows"]
        assert bad["reason"] == "some_capacity" and bad["line"] == 4
        cells = {cell["field"]: cell for cell in bad["cells"]}
        assert cells["capacity"]["text"] == "0" and cells["capacity"]["column"] == "容量"
        at = f"/api/quarantine/{urllib.parse.quote(bad['id'], safe='')}"
        status, problem = server.send("POST", f"{at}/repair", {"corrections": {"容量": "-1"}}, "keeper")
        assert status >= 400 and "some_capacity" in problem["title"]
        status, _ = server.send("POST", f"{at}/repair", {"corrections": {"容量": "7"}}, "keeper")
        assert status == 204
        status, listed = server.send("GET", "/api/quarantine?state=repaired", user="keeper")
        assert status == 200 and listed["total"] == 1
        status, thing = server.send("GET", "/api/objects/place.facility/f3", user="keeper")
        assert status == 200 and thing["version"] == 1
        [line] = [f["value"] for f in thing["fields"] if f["name"] == "capacity"]
        assert line == 7
        status, history = server.send(
            "GET", "/api/registers/place.facility/rows/f1/history", user="keeper"
        )
        [newest, _] = history["items"]
        assert newest["changes"] == [{"field": "capacity", "from": 10, "to": 11}]
        assert "facilities.csv" in newest["reason"]
    finally:
        server.stop()
    backup = tmp_path / "backup"
    shujin("backup", "--data", data, backup)
    restored = tmp_path / "restored"
    shujin("restore", "--data", restored, backup)
    assert ask(restored, "SELECT count(*) AS n FROM place.facility") == [{"n": 4}]


def test_saved_queries_are_lent_as_text_and_run_with_ones_own_rights(peopled):
    draft = {
        "title": "各区地块",
        "sql": "SELECT count(*) AS n FROM place.parcel",
        "chart": {"kind": "bar"},
        "shared": "everyone",
    }
    status, saved = peopled.send("POST", "/api/queries", draft, PLANNER)
    assert status == 201 and saved["mine"], saved
    at = f"/api/queries/{saved['id']}"
    status, found = peopled.send("GET", "/api/queries", user="the_resident")
    [lent] = [query for query in found["items"] if query["id"] == saved["id"]]
    assert lent["sql"] == draft["sql"] and lent["chart"] == draft["chart"] and not lent["mine"]
    status, refusal = peopled.send("POST", "/api/sql", {"sql": lent["sql"]}, "the_resident")
    assert status == 404, "lending a question lends no rows"
    assert peopled.send("PUT", at, {**draft, "title": "x"}, "the_resident")[0] == 403
    status, changed = peopled.send("PUT", at, {**draft, "shared": "private"}, PLANNER)
    assert status == 200 and changed["shared"] == "private"
    status, found = peopled.send("GET", "/api/queries", user="the_resident")
    assert saved["id"] not in [query["id"] for query in found["items"]]
    assert peopled.send("DELETE", at, user="the_resident")[0] == 404
    assert peopled.send("DELETE", at, user=PLANNER)[0] == 204


def listen(peopled, user, wanted, heard, ready):
    """Collects events until one says `wanted` or the stream says nothing for a while."""
    request = urllib.request.Request(peopled.http + "/api/events")
    request.add_header("Authorization", f"Bearer {peopled.tokens[user]}")
    with urllib.request.urlopen(request, timeout=20) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        ready.set()
        event = None
        for line in stream:
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                event = text.removeprefix("event: ")
            elif text.startswith("data: "):
                heard.append((event, json.loads(text.removeprefix("data: "))))
                if wanted(*heard[-1]):
                    return


def test_screens_hear_what_happens_if_it_is_theirs_to_know(peopled):
    last = lambda event, data: event == "dataset" and data["id"] == "place.facility"  # noqa: E731
    heard, threads = {}, []
    for user in (PLANNER, "the_resident", "the_department_head"):
        heard[user], ready = [], threading.Event()
        thread = threading.Thread(target=listen, args=(peopled, user, last, heard[user], ready))
        thread.start()
        threads.append(thread)
        assert ready.wait(20)
    # A parcel is not for a resident to know of; a facility is for everyone.
    [parcel] = sql(peopled, "SELECT id, area_m2 FROM place.parcel LIMIT 1")
    change = {"fields": {"plot_ratio": 1.25}, "reason": "核定", "version": 1}
    at = f"/api/registers/place.parcel/rows/{parcel['id']}"
    assert peopled.send("PUT", at, change, PLANNER)[0] == 200
    ask_for = {
        "dataset": "place.parcel",
        "fields": ["id", "land_use"],
        "purpose": "核对绿地",
        "legal_ground": "《条例》",
        "until": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
    }
    status, request = peopled.send("POST", "/api/sharing-requests", ask_for, "the_department_head")
    assert status == 201, request
    new = {"fields": facility(id="test-9"), "reason": "新建"}
    assert peopled.send("POST", ROWS, new, PLANNER)[0] == 201
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    ids = {user: [data["id"] for _, data in events] for user, events in heard.items()}
    assert ids["the_resident"] == ["place.facility"]
    assert ids[PLANNER] == ["place.parcel", request["id"], "place.facility"], "the planner's department decides"
    assert ids["the_department_head"] == [request["id"], "place.facility"]
    assert ("request", {"id": request["id"], "state": "requested"}) in heard[PLANNER]
    assert peopled.send("DELETE", path("test-9"), {"reason": "x", "version": 1}, PLANNER)[0] == 204
