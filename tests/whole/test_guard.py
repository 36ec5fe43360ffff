"""What stands in front of a city: TLS, access rules, rate limits, headers, figures, log lines.

The server here is a city of its own with a certificate of its own, asked by curl and by Python's
HTTP client as a browser, a scraper and a stranger would.
"""

import http.client
import http.server
import json
import re
import shutil
import signal
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import (
    PASSWORD,
    ROOT,
    SHUJIN,
    START_SECONDS_MAX,
    add_user,
    enterprises,
    free_port,
    import_file,
    shujin,
    token_of,
)

RATE = 20
BURST_SECONDS = 5
USERS = {
    "zhao": ("market_regulation", "data_steward"),
    "ana": ("transport", "analyst"),
    "busy": ("transport", "analyst"),
    "he": ("general_office", "auditor"),
    "adm": ("data", "administrator"),
}
SECRET_WORD = "绝密词"


@dataclass
class Guarded:
    data: Path
    folder: Path
    tokens: dict
    certificate: Path
    key: Path

    def copy(self, folder):
        """The same city in a folder of its own, as it was before anybody served it."""
        data = folder / "city"
        shutil.copytree(self.folder / "never-served", data)
        return Guarded(data, folder, self.tokens, self.certificate, self.key)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A small city with users, and a certificate for this machine."""
    folder = tmp_path_factory.mktemp("guarded")
    data = folder / "city"
    file = folder / "enterprises.csv"
    file.write_text(enterprises(10), encoding="utf-8")
    assert import_file(data, "market.enterprise", file)["rows_quarantined"] == 0
    for name, (organisation, role) in USERS.items():
        add_user(data, name, organisation, role)
    tokens = {name: token_of(data, name) for name in USERS}
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-nodes", "-days", "2", "-subj", "/CN=shujin test"]
        + ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    shutil.copytree(data, folder / "never-served")
    return Guarded(data, folder, tokens, certificate, key)


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans and keeps what it was sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, self.headers["Content-Type"], body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def fields(message):
    """A protobuf message's fields: number and value, those of a length as bytes."""

    def varint(at):
        value = shift = 0
        while True:
            byte = message[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value, at

    at, found = 0, []
    while at < len(message):
        key, at = varint(at)
        kind = key & 7
        if kind == 0:
            value, at = varint(at)
        elif kind == 2:
            length, at = varint(at)
            value, at = message[at : at + length], at + length
        else:
            length = {1: 8, 5: 4}[kind]
            value, at = message[at : at + length], at + length
        found.append((key >> 3, value))
    return found


def inner(message, *path):
    """The messages at a path of field numbers."""
    messages = [message]
    for number in path:
        messages = [value for one in messages for n, value in fields(one) if n == number]
    return messages


class Served:
    """A running server, and how it is asked."""

    def __init__(self, city, name, *options, tls=True):
        self.city, self.port, self.pg_port = city, free_port(), free_port()
        self.tls, self.log = tls, city.folder / f"{name}.log"
        self.scheme = "https" if tls else "http"
        arguments = ["--log-format", "json", "serve", "--data", city.data]
        arguments += ["--http", f"127.0.0.1:{self.port}", "--pg", f"127.0.0.1:{self.pg_port}"]
        arguments += ["--mqtt", "127.0.0.1:0"]
        if tls:
            arguments += ["--http-tls-cert", city.certificate, "--http-tls-key", city.key]
        self.process = subprocess.Popen(
            [SHUJIN, *map(str, arguments), *map(str, options)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.log.open("w"),
            cwd=ROOT,
        )
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()}"
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def connect(self):
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        trust = ssl.create_default_context(cafile=str(self.city.certificate))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=trust)

    def ask(self, method, path, user=None, body=None, headers=None, connection=None):
        """Status, headers and body of a request."""
        sent = dict(headers or {})
        if user:
            sent["Authorization"] = f"Bearer {self.city.tokens[user]}"
        if body is not None:
            sent["Content-Type"], body = "application/json", json.dumps(body)
        own = connection or self.connect()
        own.request(method, path, body, sent)
        answer = own.getresponse()
        text = answer.read()
        if connection is None:
            own.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, text

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@pytest.fixture(scope="module")
def server(guarded):
    served = Served(guarded, "server", "--http-rate", RATE, "--metrics-on-loopback")
    yield served
    served.stop()


def test_curl_trusts_the_certificate_and_gets_its_answer(server):
    url = f"https://127.0.0.1:{server.port}"
    curl = ["curl", "-sS", "--max-time", "30"]
    trusted = [*curl, "--cacert", server.city.certificate, f"{url}/healthz"]
    assert subprocess.run(trusted, capture_output=True, check=True).stdout == b"ok\n"
    both = [*trusted, "-w", "%{http_version}"]
    for version, flag in (("2", "--http2"), ("1.1", "--http1.1")):
        spoken = subprocess.run([*both, flag], capture_output=True, check=True).stdout
        assert spoken == f"ok\n{version}".encode()
    stranger = subprocess.run([*curl, f"{url}/healthz"], capture_output=True)
    assert stranger.returncode == 60, "a certificate that nobody vouches for"
    clear = subprocess.run([*curl, f"http://127.0.0.1:{server.port}/healthz"], capture_output=True)
    assert clear.returncode != 0 and b"ok" not in clear.stdout


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_not_spoken(server):
    trust = ssl.create_default_context(cafile=str(server.city.certificate))
    trust.minimum_version = ssl.TLSVersion.TLSv1
    trust.maximum_version = ssl.TLSVersion.TLSv1_1
    trust.set_ciphers("ALL:@SECLEVEL=0")
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=trust)
    with pytest.raises(OSError):
        connection.request("GET", "/healthz")
        connection.getresponse()


def test_a_certificate_that_cannot_be_used_stops_the_start(guarded, tmp_path):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("-----BEGIN NOTHING-----\n")
    data = guarded.copy(tmp_path).data
    said = shujin(
        *("serve", "--data", data, "--http", "127.0.0.1:0", "--pg", "127.0.0.1:0"),
        *("--mqtt", "127.0.0.1:0"),
        *("--http-tls-cert", guarded.certificate, "--http-tls-key", wrong),
        code=1,
    )
    assert "private key" in said and "wrong.pem" in said
    said = shujin(
        *("serve", "--data", data, "--http", "0.0.0.0:0", "--pg", "127.0.0.1:0"), code=1
    )
    assert "--http-tls-cert" in said
    said = shujin(
        *("serve", "--data", data, "--http", "127.0.0.1:0", "--pg", "127.0.0.1:0"),
        *("--mqtt", "0.0.0.0:0"),
        code=1,
    )
    assert "--mqtt-tls-cert" in said


@pytest.mark.parametrize(
    ("method", "path", "user", "status"),
    [
        ("GET", "/healthz", None, 200),
        ("GET", "/api/openapi.json", None, 200),
        ("GET", "/api/datasets", None, 401),
        ("GET", "/api/datasets", "ana", 200),
        ("GET", "/api/no-such-thing", "ana", 404),
        ("GET", "/api/audit", "ana", 403),
        ("PUT", "/api/audit", "ana", 405),
        ("GET", "/metrics", None, 200),
    ],
)
def test_every_answer_carries_the_headers(server, method, path, user, status):
    answered, headers, _ = server.ask(method, path, user)
    assert answered == status
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "permissions-policy" in headers
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-request-id"])
    if path.startswith("/api"):
        assert headers["cache-control"] == "no-store"


def test_a_denial_names_its_action_on_every_face(server):
    status, headers, body = server.ask("GET", "/api/audit", "ana")
    problem = json.loads(body)
    assert status == 403 and headers["content-type"] == "application/problem+json"
    assert problem["action"] == "audit.read" and "audit.read" in problem["title"]
    assert server.ask("GET", "/api/audit", "he")[0] == 200

    status, _, body = server.ask("POST", "/api/sql", "he", {"sql": "SELECT 1"})
    assert status == 403 and json.loads(body)["action"] == "sql.query"

    psql = subprocess.run(
        ["psql", "-X", "-h", "127.0.0.1", "-p", str(server.pg_port), "-U", "he", "-d", "city"]
        + ["-c", "SELECT count(*) FROM place.area"],
        env={"PGPASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert psql.returncode != 0 and "second factor" in psql.stderr, "an auditor's password is not enough"


def test_the_command_line_asks_the_rules_too(guarded, tmp_path):
    data = guarded.copy(tmp_path).data
    said = shujin("sql", "--data", data, "--as", "he", "SELECT count(*) FROM place.area", code=1)
    assert "may not `query`" in said
    assert "1" in shujin("sql", "--data", data, "--as", "ana", "SELECT 1 AS n")


def test_import_is_for_who_acts_for_the_owner(server):
    path = "/api/datasets/market.enterprise/import?file=a.csv"
    status, _, body = server.ask("POST", path, "adm", {})
    assert status == 403 and json.loads(body)["action"] == "datasets.import"
    # Whoever may not even know of a dataset is told that there is none.
    status, _, _ = server.ask("POST", "/api/datasets/people.resident/import?file=a", "zhao", {})
    assert status == 404


def test_who_asks_too_often_waits_and_nobody_else(server):
    connection = server.connect()
    seen, first = [], None
    for _ in range(RATE * BURST_SECONDS * 3):
        status, headers, body = server.ask("GET", "/api/scenarios", "busy", connection=connection)
        seen.append(status)
        if status == 429:
            first = (headers, json.loads(body))
            break
    assert first, f"{len(seen)} requests and none too many"
    headers, problem = first
    assert problem["code"] == "too_many_requests" and int(headers["retry-after"]) >= 1
    assert seen.count(200) >= RATE * BURST_SECONDS
    assert server.ask("GET", "/api/scenarios", "ana")[0] == 200
    time.sleep(int(headers["retry-after"]))
    assert server.ask("GET", "/api/scenarios", "busy")[0] == 200


def test_the_figures_add_up_and_name_nobody(server):
    def figures():
        text = server.ask("GET", "/metrics")[2].decode()
        assert text.endswith("# EOF\n")
        values = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values, text

    listed = 'shujin_http_requests_total{route="/api/datasets/{id}",method="GET",status="2xx"}'
    asked = 'shujin_queries_total{face="http",outcome="ok"}'
    before, _ = figures()
    assert server.ask("GET", "/api/datasets/market.enterprise", "zhao")[0] == 200
    assert server.ask("POST", "/api/sql", "zhao", {"sql": "SELECT 1"})[0] == 200
    file = enterprises(12).encode()
    connection = server.connect()
    connection.request(
        "POST",
        "/api/datasets/market.enterprise/import?file=more.csv",
        file,
        {"Authorization": f"Bearer {server.city.tokens['zhao']}"},
    )
    assert json.loads(connection.getresponse().read())["rows_taken"] == 2
    after, text = figures()
    assert after[listed] == before.get(listed, 0) + 1
    assert after[asked] == before.get(asked, 0) + 1
    rows = 'shujin_ingest_rows_total{dataset="market.enterprise",outcome="%s"}'
    assert after[rows % "taken"] == 2 and after[rows % "unchanged"] == 10
    buckets = [name for name in after if name.startswith("shujin_http_request_seconds_bucket")]
    assert any('route="/api/sql"' in name for name in buckets)
    assert after["shujin_http_requests_in_flight"] == 1, "this one"
    assert after["shujin_resident_memory_bytes"] > 10_000_000
    assert "shujin_build_info" in text
    assert not any(name in text for name in ("zhao", "ana", "more.csv"))


def test_figures_are_closed_unless_this_machine_was_let_in(guarded, tmp_path):
    plain = Served(guarded.copy(tmp_path), "plain", "--http-behind-proxy", "--http-rate-address", "4", tls=False)
    try:
        assert plain.ask("GET", "/metrics")[0] == 401
        assert plain.ask("GET", "/metrics", "ana")[0] == 403
        assert plain.ask("GET", "/metrics", "adm")[0] == 200
        # Behind a proxy the address is the one that the proxy names last.
        of = [
            plain.ask("GET", "/healthz", headers={"X-Forwarded-For": "10.9.9.9, 203.0.113.7"})[0]
            for _ in range(60)
        ]
        assert of.count(429) > 0, of
        elsewhere = {"X-Forwarded-For": "203.0.113.7, 203.0.113.8"}
        status, headers, _ = plain.ask("GET", "/healthz", headers=elsewhere)
        assert status == 200
        assert "strict-transport-security" in headers, "the proxy ends TLS"
        given = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "from-the-proxy-1"}
        assert plain.ask("GET", "/healthz", headers=given)[1]["x-request-id"] == "from-the-proxy-1"
    finally:
        plain.stop()


def test_a_line_for_each_request_and_no_secret_in_any(server):
    query = "".join(f"%{byte:02X}" for byte in SECRET_WORD.encode())
    status, headers, _ = server.ask("GET", f"/api/datasets?q={query}", "ana")
    assert status == 200
    server.ask("GET", f"/api/datasets/{query}", "ana")
    # A stranger's address or id is not taken from its headers.
    _, forged, _ = server.ask("GET", "/healthz", headers={"X-Request-Id": "forged-by-me"})
    assert forged["x-request-id"] != "forged-by-me"
    time.sleep(0.5)
    text = server.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    mine = [line for line in lines if line.get("id") == headers["x-request-id"]]
    assert len(mine) == 1, mine
    line = mine[0]
    assert line["route"] == "/api/datasets" and line["method"] == "GET" and line["status"] == 200
    assert line["user"] == "ana" and line["address"] == "127.0.0.1" and "ms" in line
    for secret in (SECRET_WORD, query, "forged-by-me", *server.city.tokens.values()):
        assert secret not in text


def test_spans_reach_the_collector(guarded, tmp_path):
    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    collector.taken = []
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{collector.server_port}/"
    served = Served(guarded.copy(tmp_path), "traced", "--otlp", url, tls=False)
    try:
        question = {"sql": "SELECT 4711 AS n"}
        status, headers, _ = served.ask("POST", "/api/sql", "ana", question)
        assert status == 200
    finally:
        assert served.stop() == 0
    collector.shutdown()
    collector.server_close()
    assert collector.taken, "no spans came"
    for path, media, body in collector.taken:
        assert path == "/v1/traces" and media == "application/x-protobuf"
        assert b"4711" not in body, "no statement leaves the house"
    spans = {}
    for _, _, body in collector.taken:
        # ExportTraceServiceRequest: resource_spans, scope_spans, spans.
        for span in inner(body, 1, 2, 2):
            spans.setdefault(inner(span, 5)[0].decode(), []).append(span)
    (request,) = spans["POST /api/sql"]
    (query,) = spans["query"]
    assert inner(query, 1) == inner(request, 1), "one trace"
    assert inner(query, 4) == inner(request, 2), "the question is part of the request"
    attributes = {inner(one, 1)[0].decode(): inner(one, 2)[0] for one in inner(request, 9)}
    assert headers["x-request-id"].encode() in attributes["id"]
    assert b"ana" in attributes["user"]


def test_a_mistake_in_the_rules_is_told_with_its_place(tmp_path):
    pack = tmp_path / "pack"
    shutil.copytree(ROOT / "packs/chengdu", pack)
    rules = pack / "access.cedar"
    lines = rules.read_text().splitlines()
    number = len(lines) + 1
    rules.write_text(
        "\n".join(lines) + '\npermit (principal in Role::"auditr", action, resource);\n'
    )
    said = shujin("check", pack, code=1)
    assert f"access.cedar:{number}:22: unknown role `auditr`; did you mean `auditor`?" in said, said
    rules.write_text("\n".join(lines) + "\npermit (principal, action, resource\n")
    assert re.search(r"access\.cedar:\d+:\d+: ", shujin("check", pack, code=1))
    rules.unlink()
    assert "access.cedar:1:1: the file is missing" in shujin("check", pack, code=1)
