"""Signing in as a browser does: cookies, CSRF tokens, lock-out, second factors, an OpenID provider."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import time
import urllib.parse
from datetime import datetime

import psycopg
import pytest
from browser import Browser, code_of
from conftest import PASSWORD, ROOT, SHUJIN, add_user, free_port, import_file, serve, shujin

FAILURES_OF_NAME_AND_ADDRESS = 10
SESSION_HOURS = 12

PEOPLE = {
    "sun": ("chengdu", ["security_officer"]),
    "qian": ("jinjiang", ["security_officer"]),
    "wu": ("data", ["administrator"]),
    "zhou": ("audit_office", ["auditor"]),
    "lin": ("ecology_environment", ["analyst"]),
    "he": ("ecology_environment", ["reader"]),
    "feng": ("ecology_environment", ["reader"]),
    "unverified": ("ecology_environment", ["reader"]),
}
SECRET = "between-the-two-of-us"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small city with people of several roles, never served."""
    folder = tmp_path_factory.mktemp("signin")
    file = folder / "readings.csv"
    file.write_text("监测点,观测时间,PM2.5\n某站,2024-01-01T00:00:00+08:00,5\n", encoding="utf-8")
    import_file(folder / "city", "air.pm25", file)
    for name, (organisation, roles) in PEOPLE.items():
        add_user(folder / "city", name, organisation, *roles)
    return folder


@pytest.fixture
def data(folder, tmp_path):
    """A copy of that city for one test."""
    shutil.copytree(folder / "city", tmp_path / "city")
    return tmp_path / "city"


@pytest.fixture
def server(data, tmp_path):
    server = serve(data, tmp_path / "server.log")
    yield server
    server.stop()
    said = (tmp_path / "server.log").read_text()
    assert PASSWORD not in said and SECRET not in said


def audit(server, data, action):
    """What the audit says of an action, oldest first."""
    server.stop()
    rows = sqlite3.connect(data / "records.sqlite").execute(
        "SELECT actor, outcome, detail FROM audit_entry WHERE action = ? ORDER BY seq", [action]
    )
    return [(actor, outcome, json.loads(detail)) for actor, outcome, detail in rows]


def test_a_browser_signs_in_asks_and_signs_out(server):
    browser = Browser(server)
    status, page = browser.send("GET", "/api/sign-in")
    assert status == 200 and page["password"] and page["demo"] is None and page["oidc"] == []
    assert page["city"]["name"]["zh"] == "成都市"
    assert browser.send("GET", "/api/session")[0] == 401

    status, me = browser.sign_in("lin")
    assert status == 200, me
    (cookie,) = browser.raw_cookies
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie
    assert me["user"] == "lin" and me["organisation"]["id"] == "ecology_environment"
    assert me["roles"] == [{"id": "analyst", "title": {"zh": "数据分析员", "en": "Analyst"}}]
    assert "query" in me["permissions"] and "manage_users" not in me["permissions"]
    assert me["areas"][0]["code"] == "510100000000" and me["areas"][0]["level"] == "city"
    hours = datetime.fromisoformat(me["expires_at"]).timestamp() - time.time()
    assert SESSION_HOURS - 0.1 < hours / 3600 <= SESSION_HOURS
    assert browser.send("GET", "/api/session") == (200, me)

    sql = {"sql": "SELECT count(*) AS n FROM air.pm25"}
    assert browser.send("POST", "/api/sql", sql)[0] == 200
    assert browser.send("GET", "/api/datasets")[0] == 200

    stolen = dict(browser.cookies)
    assert browser.send("DELETE", "/api/session")[0] == 204
    assert browser.cookies == {}
    browser.cookies = stolen
    assert browser.send("GET", "/api/session")[0] == 401, "the cookie is worth nothing now"


def test_a_request_that_changes_something_shows_its_pages_token(server):
    browser, other = Browser(server), Browser(server)
    browser.sign_in("lin")
    other.sign_in("lin")
    sql = {"sql": "SELECT 1"}
    status, problem = browser.send("POST", "/api/sql", sql, csrf=False)
    assert (status, problem["code"]) == (403, "csrf")
    browser.csrf = other.csrf
    assert browser.send("POST", "/api/sql", sql)[1]["code"] == "csrf", "another session's"
    assert browser.send("DELETE", "/api/session")[1]["code"] == "csrf"
    assert browser.send("GET", "/api/session")[0] == 200, "reading needs none"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    stranger = Browser(server)
    signing_in = stranger.send("POST", "/api/session", f"user=lin&password={PASSWORD}", form)
    assert signing_in[0] == 400, "no form of another site signs anybody in"


def test_who_guesses_waits_and_the_audit_tells(server, data):
    browser = Browser(server)
    for _ in range(FAILURES_OF_NAME_AND_ADDRESS - 1):
        status, problem = browser.sign_in("lin", "wrong but long enough")
        assert (status, problem["code"]) == (401, "unauthenticated")
    unknown = browser.sign_in("nobody-here", "wrong but long enough")[1]
    assert (unknown["code"], unknown["title"]) == (problem["code"], problem["title"])
    # The PostgreSQL wire counts with it.
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn("lin").replace(PASSWORD, "wrong"))
    status, problem = browser.sign_in("lin")
    assert (status, problem["code"]) == (429, "throttled"), "even with the right password"
    assert 0 < int(browser.headers["retry-after"]) <= 900
    with pytest.raises(psycopg.OperationalError, match="too many failed"):
        psycopg.connect(server.dsn("lin"))
    assert Browser(server).sign_in("he")[0] == 200, "others sign in"

    told = audit(server, data, "sign_in")
    refused = [detail for actor, outcome, detail in told if (actor, outcome) == ("lin", "denied")]
    assert len(refused) == FAILURES_OF_NAME_AND_ADDRESS
    assert all(detail["address"] == "127.0.0.1" for detail in refused)
    assert [actor for actor, _, _ in told if actor not in PEOPLE] == ["(unknown)"]
    assert told[-1][:2] == ("he", "done")


def test_who_is_there_and_who_is_not_take_as_long(server):
    def seconds(user):
        started = time.monotonic()
        assert Browser(server).sign_in(user, "wrong but long enough")[0] == 401
        return time.monotonic() - started

    seconds("he"), seconds("nobody-1")
    # The quickest of each: what else runs on the machine only adds.
    known = min(seconds("he") for _ in range(5))
    unknown = min(seconds(f"nobody-{number}") for number in range(5))
    # Both wait the same fixed while; what they differ by must be far less than one hash.
    assert abs(known - unknown) < 0.15, (known, unknown)


def test_a_password_of_before_signs_in_and_is_hashed(data, tmp_path):
    records = sqlite3.connect(data / "records.sqlite")
    records.execute("UPDATE registry_user SET password_hash = NULL WHERE name = 'lin'")
    records.commit()
    records.close()
    server = serve(data, tmp_path / "log")
    assert Browser(server).sign_in("lin", "wrong but long enough")[0] == 401
    assert Browser(server).sign_in("lin")[0] == 200
    server.stop()
    (kept,) = sqlite3.connect(data / "records.sqlite").execute(
        "SELECT password_hash FROM registry_user WHERE name = 'lin'"
    )
    assert kept[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_session_outlives_a_restart_but_not_its_time(data, tmp_path):
    server = serve(data, tmp_path / "log")
    used, idle, old = Browser(server), Browser(server), Browser(server)
    for browser in (used, idle, old):
        assert browser.sign_in("lin")[0] == 200
    ids = [item["id"] for item in used.send("GET", "/api/sessions")[1]["items"]]
    assert len(ids) == 3
    server.stop()

    records = sqlite3.connect(data / "records.sqlite")
    hour_us = 3_600_000_000
    for browser, column in ((idle, "seen_us"), (old, "expires_us")):
        (cookie,) = browser.cookies.values()
        hash_ = hashlib.sha256(cookie.encode()).hexdigest()
        moved = records.execute(
            f"UPDATE registry_session SET {column} = {column} - ? WHERE hash = ?",
            [hour_us * SESSION_HOURS, hash_],
        )
        assert moved.rowcount == 1
    records.commit()
    records.close()

    server = serve(data, tmp_path / "log", http=used.authority)
    assert used.send("GET", "/api/session")[0] == 200
    assert idle.send("GET", "/api/session")[0] == 401
    assert old.send("GET", "/api/session")[0] == 401
    assert len(used.send("GET", "/api/sessions")[1]["items"]) == 1
    server.stop()


def test_ones_password_and_ones_other_sessions(server):
    here, there = Browser(server), Browser(server)
    here.sign_in("lin")
    there.sign_in("lin")
    new = "another brocade by the river"
    wrong = here.send("POST", "/api/session/password", {"old": "not this one", "new": new})
    assert (wrong[0], wrong[1]["code"]) == (400, "invalid")
    short = here.send("POST", "/api/session/password", {"old": PASSWORD, "new": "short"})
    assert short[0] == 400
    changed = here.send("POST", "/api/session/password", {"old": PASSWORD, "new": new})
    assert changed[0] == 204
    assert here.send("GET", "/api/session")[0] == 200
    assert there.send("GET", "/api/session")[0] == 401
    assert there.sign_in("lin")[0] == 401
    assert there.sign_in("lin", new)[0] == 200
    server.psql("lin", "-c", "SELECT 1", password=new)

    sessions = here.send("GET", "/api/sessions")[1]["items"]
    assert sorted(item["current"] for item in sessions) == [False, True]
    (other,) = [item["id"] for item in sessions if not item["current"]]
    assert here.send("DELETE", f"/api/sessions/{other}")[0] == 204
    assert there.send("GET", "/api/session")[0] == 401


def test_a_second_factor(server):
    browser = Browser(server)
    browser.sign_in("lin")
    status, made = browser.send("POST", "/api/session/second-factor")
    assert status == 200 and made["uri"].startswith("otpauth://totp/Shujin%20")
    assert made["secret"] in made["uri"]
    confirm = ("PUT", "/api/session/second-factor")
    assert browser.send(*confirm, {"code": "000000"})[0] == 400
    # Codes of neighbouring steps count as well, and each once: three for three sign-ins.
    if time.time() % 30 > 25:
        time.sleep(6)
    now = time.time()
    codes = [code_of(made["secret"], now + shift) for shift in (-30, 0, 30)]
    assert browser.send(*confirm, {"code": codes[0]})[0] == 204
    assert browser.send("GET", "/api/session")[1]["second_factor"]

    status, problem = Browser(server).sign_in("lin")
    assert (status, problem["code"]) == (401, "second_factor")
    assert Browser(server).sign_in("lin", code=codes[0])[1]["code"] == "second_factor", "used"
    assert Browser(server).sign_in("lin", "wrong but long enough", code=codes[1])[1]["code"] == (
        "unauthenticated"
    ), "a code is no password"
    again = Browser(server)
    assert again.sign_in("lin", code=codes[1])[0] == 200
    assert Browser(server).sign_in("lin", code=codes[1])[0] == 401, "no code twice"
    refused = server.psql("lin", "-c", "SELECT 1", code=1)
    assert "second factor" in refused, "the PostgreSQL wire carries none"

    status, problem = again.send("POST", "/api/session/second-factor")
    assert (status, problem["code"]) == (409, "conflict"), "one at a time"
    assert again.send("DELETE", "/api/session/second-factor", {"code": codes[2]})[0] == 204
    assert Browser(server).sign_in("lin")[0] == 200
    server.psql("lin", "-c", "SELECT 1")


def test_a_role_asks_for_a_second_factor_and_a_lost_device_is_replaced(server):
    officer, admin = Browser(server), Browser(server)
    for name, browser in (("sun", officer), ("wu", admin)):
        refused = server.psql(name, "-c", "SELECT 1", code=1)
        assert "second factor" in refused, "no way round by the PostgreSQL wire"
        status, me = browser.sign_in(name)
        assert status == 200 and me["must_enrol"] and me["permissions"] == []
        status, problem = browser.send("GET", "/api/datasets")
        assert status == 403 and "second factor" in problem["title"]
        assert browser.send("POST", "/api/sql", {"sql": "SELECT 1"})[0] == 403
        assert browser.send("GET", "/api/tokens")[0] == 403
        secret = browser.send("POST", "/api/session/second-factor")[1]["secret"]
        code = {"code": code_of(secret)}
        assert browser.send("PUT", "/api/session/second-factor", code)[0] == 204
        me = browser.send("GET", "/api/session")[1]
        assert not me["must_enrol"] and me["permissions"]
    next_code = {"code": code_of(secret, time.time() + 30)}
    status, problem = admin.send("DELETE", "/api/session/second-factor", next_code)
    assert (status, problem["code"]) == (403, "refused"), "the role keeps it"
    assert officer.send("PATCH", "/api/users/wu", {"second_factor": True})[0] == 400
    status, user = officer.send("PATCH", "/api/users/wu", {"second_factor": False})
    assert status == 200 and user["second_factor"] is False
    assert admin.send("GET", "/api/session")[0] == 401, "whoever has the device may sit there"
    assert admin.sign_in("wu")[0] == 200
    assert admin.send("GET", "/api/datasets")[0] == 403, "another device first"


def enrolled(server, name):
    browser = Browser(server)
    assert browser.sign_in(name)[0] == 200
    secret = browser.send("POST", "/api/session/second-factor")[1]["secret"]
    code = {"code": code_of(secret)}
    assert browser.send("PUT", "/api/session/second-factor", code)[0] == 204
    return browser


def test_the_security_officer_makes_users_and_nobody_makes_themselves(server, data):
    sun, wu = enrolled(server, "sun"), enrolled(server, "wu")
    new = {"name": "gu", "organisation": "water", "roles": ["dispatcher"], "password": PASSWORD}
    assert wu.send("POST", "/api/users", new)[0] == 403, "the administrator does not"
    assert wu.send("GET", "/api/users")[0] == 403
    status, user = sun.send("POST", "/api/users", new)
    assert status == 201 and user["active"] and user["has_password"]
    assert sun.send("POST", "/api/users", new)[0] == 409
    found = sun.send("GET", "/api/users?q=" + urllib.parse.quote("水务"))[1]
    assert [item["name"] for item in found["items"]] == ["gu"] and found["total"] == 1
    gu = Browser(server)
    assert gu.sign_in("gu")[0] == 200
    assert sun.send("GET", "/api/users?q=gu")[1]["items"][0]["last_sign_in_at"]

    status, problem = sun.send("PATCH", "/api/users/sun", {"roles": ["data_steward"]})
    assert status == 403 and "their own" in problem["title"]
    both = {"roles": ["auditor", "administrator"]}
    status, problem = sun.send("PATCH", "/api/users/gu", both)
    assert status == 400 and "at once" in problem["title"]
    assert sun.send("PATCH", "/api/users/gu", {"roles": ["emperor"]})[0] == 400
    assert sun.send("PATCH", "/api/users/nobody", {"active": False})[0] == 404
    assert sun.send("PATCH", "/api/users/gu", {})[0] == 400
    assert sun.send("PATCH", "/api/users/gu", {"roles": ["analyst"]})[1]["roles"] == ["analyst"]
    assert "scenario" in gu.send("GET", "/api/session")[1]["permissions"], "at once"
    assert sun.send("GET", "/api/sessions?user=gu")[1]["items"][0]["user"] == "gu"
    assert gu.send("GET", "/api/sessions?user=sun")[0] == 403
    assert sun.send("PATCH", "/api/users/gu", {"active": False})[0] == 200
    assert gu.send("GET", "/api/session")[0] == 401
    assert gu.sign_in("gu")[0] == 401

    roles = sun.send("GET", "/api/roles")[1]["items"]
    (auditor,) = [role for role in roles if role["id"] == "auditor"]
    assert auditor["excludes"] == ["administrator", "security_officer"]
    organisations = sun.send("GET", "/api/organisations")[1]["items"]
    assert {"id", "name", "kind", "parent", "area"} <= set(organisations[0])

    denied = audit(server, data, "http.denied")
    assert [(actor, outcome) for actor, outcome, _ in denied].count(("wu", "denied")) == 2


def test_a_districts_security_officer_keeps_to_the_district(server):
    qian = enrolled(server, "qian")
    assert [item["name"] for item in qian.send("GET", "/api/users")[1]["items"]] == ["qian"]
    new = {"name": "gu", "organisation": "jinjiang", "roles": ["grid_worker"]}
    assert qian.send("POST", "/api/users", new)[0] == 201
    away = {**new, "name": "gu2", "organisation": "water"}
    assert qian.send("POST", "/api/users", away)[0] == 403
    above = {**new, "name": "gu3", "roles": ["administrator"]}
    status, problem = qian.send("POST", "/api/users", above)
    assert status == 403 and "whole city" in problem["title"]
    assert qian.send("PATCH", "/api/users/lin", {"active": False})[0] == 403
    assert qian.send("GET", "/api/tokens?user=lin")[0] == 404
    unknown = qian.send("GET", "/api/tokens?user=nobody-here")[1]["title"]
    assert unknown == qian.send("GET", "/api/tokens?user=lin")[1]["title"], "not told apart"


def test_tokens_are_made_by_their_owner_for_no_more_than_they_may(server):
    lin = Browser(server)
    lin.sign_in("lin")
    status, made = lin.send("POST", "/api/tokens", {"label": "a script", "days": 30})
    assert status == 201 and made["token"].startswith("shujin_")
    narrow = {"label": "catalogue", "days": 1, "scope": ["read_catalogue", "administer"]}
    narrow = lin.send("POST", "/api/tokens", narrow)[1]
    for days in (0, 733):
        assert lin.send("POST", "/api/tokens", {"label": "x", "days": days})[0] == 400
    unknown = {"label": "x", "days": 1, "scope": ["fly"]}
    assert lin.send("POST", "/api/tokens", unknown)[0] == 400
    listed = lin.send("GET", "/api/tokens")[1]["items"]
    assert [item["label"] for item in listed] == ["catalogue", "a script"], "the newest first"
    assert all("token" not in item for item in listed)

    def by(token, method, path, body=None):
        return Browser(server).send(method, path, body, {"Authorization": f"Bearer {token}"})

    sql = {"sql": "SELECT 1 AS one"}
    assert by(made["token"], "POST", "/api/sql", sql)[0] == 200, "a token needs no CSRF token"
    status, me = by(made["token"], "GET", "/api/session")
    assert status == 200 and me["user"] == "lin" and me["csrf"] == "" and me["expires_at"] is None
    assert by(narrow["token"], "POST", "/api/sql", sql)[0] == 403
    assert by(narrow["token"], "GET", "/api/session")[1]["permissions"] == ["read_catalogue"]
    more = by(made["token"], "POST", "/api/tokens", {"label": "more", "days": 30})
    assert more[0] == 403, "a token makes no tokens"
    assert by(made["token"], "POST", "/api/session/second-factor")[0] == 403
    (session,) = [item["id"] for item in lin.send("GET", "/api/sessions")[1]["items"]]
    for path in (f"/api/sessions/{session}", f"/api/tokens/{made['id']}"):
        assert by(narrow["token"], "DELETE", path)[0] == 403, "it was made for less"

    he = Browser(server)
    he.sign_in("he")
    assert he.send("DELETE", f"/api/tokens/{made['id']}")[0] == 404, "another's"
    assert lin.send("DELETE", f"/api/tokens/{made['id']}")[0] == 204
    assert by(made["token"], "GET", "/api/session")[0] == 401
    revoked = [item["revoked_at"] for item in lin.send("GET", "/api/tokens")[1]["items"]]
    assert revoked[0] is None and revoked[1]


def test_behind_tls_the_cookie_is_secure(data, tmp_path):
    server = serve(data, tmp_path / "log", "--public-url", "https://data.example")
    browser = Browser(server)
    assert browser.sign_in("lin")[0] == 200
    (cookie,) = browser.raw_cookies
    assert cookie.startswith("__Host-shujin_session=") and cookie.endswith("; Secure")
    assert browser.send("GET", "/api/session")[0] == 200
    server.stop()


@pytest.fixture(scope="module")
def openid(folder):
    """A city that people sign in to by a real OpenID provider, and that provider."""
    modules = SHUJIN.parents[1] / "oidc"
    if not (modules / "node_modules/oidc-provider").is_dir():
        modules = ROOT / "target/oidc"
    if not (modules / "node_modules/oidc-provider").is_dir():
        pytest.fail("the OpenID provider is not installed: run scripts/setup test")
    shutil.copy(ROOT / "tests/whole/oidc/provider.mjs", modules)
    data, log = folder / "openid", folder / "openid.log"
    shutil.copytree(folder / "city", data)
    address, port = f"127.0.0.1:{free_port()}", free_port()
    issuer, (secret, config) = f"http://127.0.0.1:{port}", (folder / "secret", folder / "oidc.toml")
    secret.write_text(SECRET + "\n")
    doors = ""
    for door, more in (("city", 'scopes = ["profile"]'), ("mail", 'scopes = ["email"]\nclaim = "email"')):
        doors += f"""
[[provider]]
id = "{door}"
title = {{ zh = "统一身份认证", en = "City sign-on" }}
issuer = "{issuer}"
client_id = "shujin"
client_secret_file = "{secret}"
{more}
"""
    config.write_text(doors)
    provider = subprocess.Popen(
        ["node", modules / "provider.mjs", str(port), *(f"http://{address}/api/oidc/{door}/callback" for door in ("city", "mail"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=modules,
    )
    try:
        for line in provider.stdout:
            if line.startswith("ready"):
                break
        server = serve(data, log, "--oidc", config, http=address)
        yield server, f"127.0.0.1:{port}"
        server.stop()
        assert SECRET not in log.read_text()
    finally:
        provider.terminate()
        provider.wait(timeout=30)


def at_the_provider(authority, location, name):
    """Signs in there as `name`; where that sends the browser."""
    browser = Browser(authority)
    path = location.removeprefix(f"http://{authority}")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.send("GET", path)[0] == 303
    for prompt in (f"prompt=login&login={name}&password=x", "prompt=consent"):
        interaction = browser.headers["location"]
        assert interaction.startswith("/interaction/"), interaction
        assert browser.send("POST", interaction, prompt, form)[0] == 303
        resume = browser.headers["location"].removeprefix(f"http://{authority}")
        assert browser.send("GET", resume)[0] == 303
    return browser.headers["location"].removeprefix("http://")


def through(openid, name, door="city", to="/map?area=5101"):
    """Signs in by the provider; the browser that has been there, and where it ended."""
    server, provider = openid
    browser = Browser(server)
    asked = browser.send("GET", f"/api/oidc/{door}/start?to={urllib.parse.quote(to, safe='')}")
    assert asked[0] == 302, asked
    back = at_the_provider(provider, browser.headers["location"], name)
    back = back.removeprefix(browser.authority)
    status, _ = browser.send("GET", back)
    assert status == 302
    return browser, browser.headers["location"], back


def test_one_signs_in_by_an_openid_provider(openid):
    browser, ended, back = through(openid, "lin")
    assert ended == "/map?area=5101"
    status, me = browser.send("GET", "/api/session")
    assert status == 200 and me["user"] == "lin"
    assert browser.send("GET", "/api/sessions")[1]["items"][0]["method"] == "city"
    assert [door["id"] for door in browser.send("GET", "/api/sign-in")[1]["oidc"]] == ["city", "mail"]
    # An answer counts once, and where it was asked for.
    browser.send("GET", back)
    assert browser.headers["location"] == "/sign-in?problem=expired"


def test_an_openid_answer_counts_in_its_own_browser_alone(openid):
    server, provider = openid
    victim, thief = Browser(server), Browser(server)
    thief.send("GET", "/api/oidc/city/start")
    back = at_the_provider(provider, thief.headers["location"], "lin")
    back = back.removeprefix(thief.authority)
    victim.send("GET", back)
    assert victim.headers["location"] == "/sign-in?problem=expired"
    assert victim.send("GET", "/api/session")[0] == 401, "not signed in as somebody else"


def test_an_openid_provider_gives_nobody_rights(openid):
    for name, problem in (("stranger", "unknown"), ("wu", "second_factor")):
        browser, ended, _ = through(openid, name)
        assert ended == f"/sign-in?problem={problem}"
        assert browser.send("GET", "/api/session")[0] == 401
    browser, ended, _ = through(openid, "unverified", door="mail")
    assert ended == "/sign-in?problem=failed", "an address that was never verified"
    browser, ended, _ = through(openid, "lin", door="mail")
    assert ended == "/sign-in?problem=unknown", "lin's name here is no address"


def test_an_openid_sign_in_goes_where_it_should(openid):
    server, provider = openid
    browser = Browser(server)
    for to in ("//evil.example", "https://evil.example", "/\\evil.example"):
        path = "/api/oidc/city/start?to=" + urllib.parse.quote(to, safe="")
        assert browser.send("GET", path)[0] == 400, to
    assert browser.send("GET", "/api/oidc/nowhere/start")[0] == 404
    browser.send("GET", "/api/oidc/city/start")
    asked = urllib.parse.urlsplit(browser.headers["location"])
    assert asked.netloc == provider
    parameters = urllib.parse.parse_qs(asked.query)
    assert parameters["code_challenge_method"] == ["S256"] and parameters["response_type"] == ["code"]
    assert len(parameters["state"][0]) >= 16 and len(parameters["nonce"][0]) >= 16
    refused = f"/api/oidc/city/callback?error=access_denied&state={parameters['state'][0]}"
    browser.send("GET", refused)
    assert browser.headers["location"] == "/sign-in?problem=refused"


def test_a_provider_that_cannot_be_used_is_told_at_the_start(data, tmp_path):
    config = tmp_path / "oidc.toml"
    config.write_text(
        '[[provider]]\nid = "x"\ntitle = { zh = "甲", en = "A" }\n'
        'issuer = "http://id.example"\nclient_id = "shujin"\n'
    )
    said = shujin("serve", "--data", data, "--oidc", config, code=1)
    assert "https" in said
