"""What every whole-program test needs: the program, a folder for a city, and a running server.

The tests drive `shujin` as its users do: through its command line, psql, Python clients and HTTP.
They know nothing of the code. Servers listen on loopback, on ports the system chose, in folders
of their own, and are stopped by their own process id.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHUJIN = Path(os.environ.get("SHUJIN", ROOT / "target/debug/shujin")).resolve()
START_SECONDS_MAX = 90
FILL_SECONDS_MAX = 600
COMMAND_SECONDS_MAX = 300
PASSWORD = "brocade-by-the-river"


def shujin(*arguments, given=None, code=0):
    """Runs a command to its end, checks its exit code and returns what it printed."""
    done = subprocess.run(
        [SHUJIN, *map(str, arguments)],
        input=given,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        cwd=ROOT,
    )
    assert done.returncode == code, (
        f"shujin {' '.join(map(str, arguments))} ended with {done.returncode}, not {code}\n"
        f"{done.stdout}{done.stderr}"
    )
    return done.stdout if code == 0 else done.stdout + done.stderr


def import_file(data, dataset, file, *options, **how):
    return json.loads(shujin("import", "--data", data, "--json", dataset, file, *options, **how))


def ask(data, sql, user=None, **how):
    """Asks through the command line and returns rows as dictionaries."""
    by = ["--as", user] if user else []
    return json.loads(shujin("sql", "--data", data, "--format", "json", *by, sql, **how))


def add_user(data, name, organisation, *roles, areas=()):
    arguments = ["user", "add", "--data", data, name, "--organisation", organisation, "--password"]
    for role in roles:
        arguments += ["--role", role]
    for area in areas:
        arguments += ["--area", area]
    shujin(*arguments, given=PASSWORD + "\n")


GIVEN_PORTS = set()


def free_port():
    """A port that nobody listens on, and that was not given before."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        if port not in GIVEN_PORTS:
            GIVEN_PORTS.add(port)
            return port


@dataclass
class Server:
    """A city that is being served."""

    data: Path
    process: subprocess.Popen
    http: str
    pg_port: int
    tokens: dict = field(default_factory=dict)
    mqtt_port: int | None = None

    def dsn(self, user):
        return (
            f"host=127.0.0.1 port={self.pg_port} user={user} password={PASSWORD} dbname=city"
        )

    def psql(self, user, *arguments, code=0, password=PASSWORD):
        environment = dict(os.environ, PGPASSWORD=password, PGCONNECT_TIMEOUT="20")
        done = subprocess.run(
            ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.pg_port)]
            + ["-U", user, "-d", "city", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
        )
        assert (done.returncode == 0) == (code == 0), f"{arguments}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def post(self, path, body, user=None, accept="application/json"):
        """Status, headers and body of a request."""
        request = urllib.request.Request(
            self.http + path, data=json.dumps(body).encode(), method="POST"
        )
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", accept)
        if user:
            request.add_header("Authorization", f"Bearer {self.tokens[user]}")
        return answer(request)

    def send(self, method, path, body=None, user=None):
        """Status and JSON of a request, whatever its method."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.http + path, data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if user:
            request.add_header("Authorization", f"Bearer {self.tokens[user]}")
        status, _, text = answer(request)
        return status, json.loads(text) if text else None

    def get(self, path, user=None, **headers):
        request = urllib.request.Request(self.http + path)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        if user:
            request.add_header("Authorization", f"Bearer {self.tokens[user]}")
        return answer(request)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def answer(request):
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, lower(response.headers), response.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, lower(refusal.headers), refusal.read()


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def serve(data, log, *options, http=None, mqtt_port=0):
    """Serves a folder; MQTT on a port that nobody asks for, unless one is named."""
    http, pg_port = http or f"127.0.0.1:{free_port()}", free_port()
    faces = ["--http", http, "--pg", f"127.0.0.1:{pg_port}", "--mqtt", f"127.0.0.1:{mqtt_port}"]
    process = subprocess.Popen(
        [SHUJIN, "serve", "--data", data, *faces, *options],
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        cwd=ROOT,
    )
    server = started(data, process, http, pg_port, log)
    server.mqtt_port = mqtt_port
    return server


def started(data, process, http, pg_port, log):
    """Waits until a server answers."""
    server = Server(Path(data), process, f"http://{http}", pg_port)
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended:\n{log.read_text()}"
        try:
            if server.get("/readyz")[0] == 200:
                return server
        except OSError:
            pass
        time.sleep(0.1)
    server.stop()
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


def filled(server, log):
    """Waits until a demonstration that is served has all that it is filled with."""
    deadline = time.monotonic() + FILL_SECONDS_MAX
    while "The city is filled" not in log.read_text():
        assert server.process.poll() is None, f"the server ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"the city was not filled:\n{log.read_text()}"
        time.sleep(0.2)
    return server


@pytest.fixture(scope="session")
def real_files():
    """The folder of real files. Tests that need it are skipped, by name, where it is absent."""
    folder = Path(os.environ.get("CITY_DATA") or ROOT / "../shared/data").resolve()
    if not (folder / "chengdu_pm25_2010_2015.csv.gz").exists():
        pytest.skip(f"the real files are not in {folder}: set CITY_DATA")
    return folder


@pytest.fixture(scope="session")
def imported(real_files, tmp_path_factory):
    """A city with the real files in it, never served: what import said of each."""
    data = tmp_path_factory.mktemp("real") / "city"
    summaries = {
        "air.pm25": import_file(data, "air.pm25", real_files / "chengdu_pm25_2010_2015.csv.gz"),
        "people.census_2020": import_file(
            data, "people.census_2020", real_files / "chengdu_census_2020.csv"
        ),
        "transit.station": import_file(
            data, "transit.station", real_files / "chengdu_metro_stations.csv", "--crs", "gcj02"
        ),
    }
    return data, summaries


USERS = {
    "lin": ("ecology_environment", ["analyst"], []),
    "zhao": ("market_regulation", ["data_steward"], []),
    "wang": ("culture_tourism", ["analyst"], []),
    "chen": ("jinjiang", ["district_officer"], ["510104000000"]),
    "he": ("general_office", ["auditor"], []),
    "admin": ("data", ["administrator"], []),
}


def furnish(data, folder):
    """Adds made-up enterprises and the users."""
    file = folder / "enterprises.csv"
    file.write_text(enterprises(30), encoding="utf-8")
    summary = import_file(data, "market.enterprise", file)
    assert summary["rows_quarantined"] == 0, summary
    for name, (organisation, roles, areas) in USERS.items():
        add_user(data, name, organisation, *roles, areas=areas)


@pytest.fixture
def furnished(imported, tmp_path):
    """A city of the test's own, with users, that nobody serves."""
    data = tmp_path / "furnished"
    shutil.copytree(imported[0], data)
    furnish(data, tmp_path)
    return data


@pytest.fixture(scope="session")
def city(imported, tmp_path_factory):
    """The real files, a few made-up enterprises, the users, and a server over them."""
    folder = tmp_path_factory.mktemp("served")
    data = folder / "city"
    shutil.copytree(imported[0], data)
    furnish(data, folder)
    tokens = {name: token_of(data, name) for name in USERS}
    server = serve(data, folder / "server.log")
    server.tokens = tokens
    yield server
    server.stop()


MAP_USERS = {
    "plan": ("planning_natural_resources", ["analyst"], []),
    "chen": ("jinjiang", ["district_officer"], ["510104000000"]),
    "wuhou": ("wuhou", ["district_officer"], ["510107000000"]),
    "chen2": ("jinjiang", ["district_officer"], ["510104000000"]),
    "lin": ("ecology_environment", ["analyst"], []),
    "stat": ("statistics", ["analyst"], []),
    "owner": ("data", ["data_steward"], []),
    "he": ("general_office", ["auditor"], []),
    "parks": ("park_city", ["data_steward"], []),
}
MAP_DATASETS = [
    "place.boundary",
    "place.facility",
    "place.park",
    "place.parcel",
    "place.venue",
    "road.edge",
    "sensing.thing",
    "transit.line",
    "transit.station",
    "market.enterprise_profile",
]


@pytest.fixture(scope="session")
def mapped(tmp_path_factory):
    """A small synthetic city with places, its users, and a server over it."""
    folder = tmp_path_factory.mktemp("mapped")
    files, data = folder / "files", folder / "city"
    shujin("synth", "--pack", ROOT / "packs/chengdu", "--out", files, "--people", 40_000,
           "--seed", 3)  # fmt: skip
    for dataset in MAP_DATASETS:
        summary = import_file(data, dataset, files / f"{dataset}.parquet")
        assert summary["rows_taken"] > 0 and summary["rows_quarantined"] == 0, summary
    for name, (organisation, roles, areas) in MAP_USERS.items():
        add_user(data, name, organisation, *roles, areas=areas)
    tokens = {name: token_of(data, name) for name in MAP_USERS}
    server = serve(data, folder / "server.log")
    server.tokens = tokens
    yield server
    server.stop()


def rows_of(server, user, sql):
    """What SQL answers a user over HTTP."""
    status, _, body = server.post("/api/sql", {"sql": sql}, user)
    assert status == 200, body
    return json.loads(body)["rows"]


def token_of(data, user):
    return shujin("token", "create", "--data", data, user).strip()


CODE_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CODE_WEIGHTS = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28]


def credit_code(number):
    """A code of 17 characters and its check character (GB 32100-2015, 5.5)."""
    body = f"91510100MA{number:07d}"
    total = sum(CODE_CHARACTERS.index(c) * w for c, w in zip(body, CODE_WEIGHTS, strict=True))
    return body + CODE_CHARACTERS[(31 - total % 31) % 31]


STREETS = ["510104017000", "510104018000", "510105005000"]


def enterprises(count):
    """Made-up enterprises as a file with Chinese column names."""
    lines = ["统一社会信用代码,企业名称,法定代表人,电话,所在街道,注册资本,成立日期,登记状态,更新时间"]
    for number in range(count):
        lines.append(
            f"{credit_code(number)},蜀锦第{number}纺织厂,李{number},028-8{number:07d},"
            f"{STREETS[number % len(STREETS)]},{1000 + number}.50,2020年{number % 12 + 1}月3日,"
            f"active,2024-05-01T08:00:00+08:00"
        )
    return "\n".join(lines) + "\n"


# Who works in the demonstration city, a person for each role that has a home.
WORKERS = {
    "duty_officer": ("emergency", []),
    "dispatcher": ("government_services", []),
    "grid_worker": ("jinjiang", ["510104000000"]),
    "department_head": ("ecology_environment", []),
    "planner": ("planning_natural_resources", []),
    "enterprise": ("commerce", []),
    "resident": ("civil_affairs", []),
    "data_steward": ("planning_natural_resources", []),
    "policy_office": ("general_office", []),
    "administrator": ("data", []),
    "auditor": ("audit_office", []),
    "security_officer": ("chengdu", []),
    "reader": ("transport", []),
    "analyst": ("health", []),
    "researcher": ("statistics", []),
    "district_officer": ("jinjiang", ["510104000000"]),
}
PEOPLE = 30_000
# The same planner's desk, with nothing but one district to look after.
DISTRICT_PLANNER = "district_planner"
DISTRICT_GRID_WORKER = "the_grid_worker_of_chenghua"


@pytest.fixture(scope="session")
def peopled(tmp_path_factory):
    """The demonstration city with a user for each role, served."""
    folder = tmp_path_factory.mktemp("peopled")
    data, log = folder / "city", folder / "demo.log"
    http, pg = f"127.0.0.1:{free_port()}", free_port()
    environment = {name: value for name, value in os.environ.items() if name != "CITY_DATA"}
    process = subprocess.Popen(
        [SHUJIN, "demo", "--data", data, "--people", str(PEOPLE)]
        + ["--http", http, "--pg", f"127.0.0.1:{pg}", "--mqtt", "127.0.0.1:0"],
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=environment,
    )
    filled(started(data, process, http, pg, log), log).stop()
    for role, (organisation, areas) in WORKERS.items():
        add_user(data, f"the_{role}", organisation, role, areas=areas)
    add_user(
        data, DISTRICT_PLANNER, "planning_natural_resources", "planner", areas=["510104000000"]
    )
    add_user(data, DISTRICT_GRID_WORKER, "chenghua", "grid_worker", areas=["510108000000"])
    names = [f"the_{role}" for role in WORKERS] + [DISTRICT_PLANNER, DISTRICT_GRID_WORKER]
    tokens = {name: token_of(data, name) for name in names}
    server = serve(data, folder / "server.log")
    server.tokens = tokens
    yield server
    server.stop()
