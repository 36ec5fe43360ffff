"""Sensing under faults: nothing that was acknowledged is lost or doubled, others are unharmed, and
memory is bounded.

Longer runs by environment: `STA_KILL_ROUNDS` (2 by itself) for kills while producers publish,
`STA_CONNECTIONS` (300) for connections that come and go. The kills' seed is printed, and
`STA_KILL_SEED` repeats a run.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.client import HTTPException
from pathlib import Path

import pytest

import producers
from conftest import ROOT, SHUJIN, add_user, ask, free_port, import_file, started, token_of
from producers import REFUSED_FROM, Ledger, Mqtt, at, by_http, by_mqtt, reading, send, topic_of
from test_sta import FACILITY

KILL_ROUNDS = int(os.environ.get("STA_KILL_ROUNDS", "2"))
KILL_AFTER_SECONDS = (0.3, 1.5)
CONNECTIONS = int(os.environ.get("STA_CONNECTIONS", "300"))
CONNECTIONS_AT_ONCE = 24
STREAMS = 8
WINDOW = 16
ROWS_A_BODY = 25
# Room on the small disk beside the city and the ballast.
ROOM_MIB, BALLAST_MIB = 24, 16
FULL_BODIES_MAX = 400
SLOW_MS = 400
# What a server may take more of under a fault than before it; a queue without a bound takes more.
GROWN_MIB_MAX = 512
LIVE_READINGS = 60
HISTORY_STREAMS, HISTORY_HOURS = 3, 8_760
SETTLED_SECONDS_MAX = 60


@contextmanager
def served(data, log, environment=None):
    """A city with an MQTT address, ended by its own process id."""
    http, pg, mqtt = (free_port() for _ in range(3))
    process = subprocess.Popen(
        [SHUJIN, "serve", "--data", data, "--http", f"127.0.0.1:{http}"]
        + ["--pg", f"127.0.0.1:{pg}", "--mqtt", f"127.0.0.1:{mqtt}"]
        + ["--http-rate", "100000", "--http-rate-address", "100000"],
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=dict(os.environ, **(environment or {})),
    )
    try:
        server = started(data, process, f"127.0.0.1:{http}", pg, log)
        server.mqtt = ("127.0.0.1", mqtt)
        server.tokens = json.loads((Path(data).parent / "tokens.json").read_text())
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a city of one Thing and some Datastreams, and these."""
    folder = tmp_path_factory.mktemp("sensing-faults")
    file, data = folder / "facility.csv", folder / "city"
    file.write_text(FACILITY, encoding="utf-8")
    import_file(data, "place.facility", file)
    add_user(data, "air", "ecology_environment", "data_steward")
    (folder / "tokens.json").write_text(json.dumps({"air": token_of(data, "air")}))
    with served(data, folder / "made.log") as server:
        status, headers, body = send(server, "Things", producers.thing(STREAMS + 1))
        assert status == 201, body
        path = headers["location"].removeprefix(server.http)
        _, _, body = server.get(f"{path}/Datastreams?$orderby=id&$select=id", "air")
        streams = [stream["@iot.id"] for stream in json.loads(body)["value"]]
        # The Feature of Interest is made with the first observation: the faults are not about it.
        assert producers.http_took(server, streams.pop(), range(1))
    assert len(streams) == STREAMS
    return folder, streams


@pytest.fixture
def copied(made, tmp_path):
    """A city of the test's own."""
    folder, streams = made
    shutil.copytree(folder / "city", tmp_path / "city")
    shutil.copy(folder / "tokens.json", tmp_path)
    return tmp_path / "city", streams


@pytest.fixture(scope="module")
def standing(made):
    """The city served, for faults that it has to stand without a restart. Each test has streams of
    its own."""
    folder, streams = made
    with served(folder / "city", folder / "standing.log") as server:
        server.given = list(streams)
        yield server


def rows_there(data, streams):
    """Of each of these streams and numbers, how many observations there are."""
    listed = ", ".join(map(str, streams))
    return ask(
        data,
        "SELECT datastream, result_number AS seq, count(*) AS n FROM sensing.observation "
        f"WHERE datastream IN ({listed}) GROUP BY datastream, result_number",
    )


def rows_of(server, stream):
    """The same of one stream of a served city."""
    sql = (
        "SELECT datastream, result_number AS seq, count(*) AS n FROM sensing.observation "
        f"WHERE datastream = {stream} GROUP BY datastream, result_number"
    )
    status, _, body = server.post("/api/sql", {"sql": sql}, "air")
    assert status == 200, body
    return json.loads(body)["rows"]


def resident_mib(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def files_open(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


@contextmanager
def steady(server, ledger, streams):
    """Two producers that go on meanwhile; what was acknowledged to them is there at the end. The
    streams may have older readings, of other tests."""
    first, gone = dict(ledger.sent), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        running = [
            pool.submit(by_http, server, ledger, streams[0], ROWS_A_BODY, gone),
            pool.submit(by_mqtt, server, ledger, streams[1], WINDOW, gone),
        ]
        try:
            yield
        finally:
            gone.set()
        for one in running:
            one.result()
    for stream in streams:
        assert ledger.kept[stream], "the steady producers were held up"
        rows = [row for row in rows_of(server, stream) if row["seq"] >= first[stream]]
        ledger.holds(rows, [stream])


def kill_while_they_publish(data, folder, ledger, streams, wait_seconds):
    gone = threading.Event()
    with served(data, folder / "serve.log") as server, ThreadPoolExecutor(len(streams)) as pool:
        half = len(streams) // 2
        running = [
            pool.submit(by_http, server, ledger, stream, ROWS_A_BODY, gone)
            for stream in streams[:half]
        ] + [pool.submit(by_mqtt, server, ledger, stream, WINDOW, gone) for stream in streams[half:]]
        gone.wait(wait_seconds)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        gone.set()
        for one in running:
            one.result()


def test_a_killed_server_keeps_what_it_acknowledged(copied, tmp_path):
    data, streams = copied
    seed = int(os.environ.get("STA_KILL_SEED", random.randrange(1 << 32)))
    print(f"STA_KILL_SEED={seed} STA_KILL_ROUNDS={KILL_ROUNDS}")
    dice, ledger = random.Random(seed), Ledger(streams)
    for _ in range(KILL_ROUNDS):
        wait_seconds = dice.uniform(*KILL_AFTER_SECONDS)
        kill_while_they_publish(data, tmp_path, ledger, streams, wait_seconds)
        ledger.holds(rows_there(data, streams))
    count = ledger.holds(rows_there(data, streams))
    assert all(ledger.kept[stream] for stream in (streams[0], streams[-1])), "on both faces"
    print(f"{count} observations acknowledged, none lost or doubled")


@pytest.fixture
def small_disk(tmp_path, made):
    """A disk with little room beyond a city, in memory. Making one needs root."""
    if os.geteuid() != 0:
        pytest.skip("a small disk is a mount, which needs root")
    folder, _ = made
    files = (folder / "city").rglob("*")
    city_mib = sum(file.stat().st_size for file in files if file.is_file()) // (1 << 20) + 1
    disk = tmp_path / "disk"
    disk.mkdir()
    size = city_mib + ROOM_MIB + BALLAST_MIB
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        shutil.copytree(folder / "city", disk / "city")
        shutil.copy(folder / "tokens.json", disk)
        (disk / "ballast").write_bytes(bytes(BALLAST_MIB << 20))
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def heavy(stream, seq):
    """One observation of about a hundred kilobytes, which no compression makes small."""
    noise = random.Random(seq).randbytes(50_000).hex()
    return {**reading(seq), "parameters": {"noise": noise}, "Datastream": {"@iot.id": stream}}


def test_a_full_disk_refuses_and_loses_nothing(small_disk, made, tmp_path):
    _, streams = made
    ledger, [stream, other] = Ledger(streams), streams[:2]
    data = small_disk / "city"
    with served(data, tmp_path / "full.log") as server:

        def post():
            [seq] = ledger.next(stream, 1)
            status, _, body = send(server, "Observations", heavy(stream, seq))
            if status == 201:
                ledger.keep(stream, [seq])
            return status, body

        for _ in range(FULL_BODIES_MAX):
            status, body = post()
            if status != 201:
                break
        assert status in (500, 503, 507), (status, body)
        # It is refused by an answer, reading goes on, and so does asking for life.
        assert server.get("/healthz")[0] == 200
        path = f"{producers.STA}/Datastreams({stream})/Observations?$top=1&$select=result"
        status, _, body = server.get(path, "air")
        assert status == 200 and len(json.loads(body)["value"]) == 1, body
        client = Mqtt(server, "full")
        try:
            [seq] = ledger.next(other, 1)
            payload = {**reading(seq), "parameters": heavy(other, seq)["parameters"]}
            # Where it still finds room it is kept, and otherwise it says no.
            if client.took(topic_of(other), payload) < REFUSED_FROM:
                ledger.keep(other, [seq])
        except ConnectionError:
            pass
        finally:
            client.close()
        # With room again it takes readings again, by itself.
        (small_disk / "ballast").unlink()
        deadline = time.monotonic() + SETTLED_SECONDS_MAX
        while post()[0] != 201:
            assert time.monotonic() < deadline, "there is room, and nothing is taken"
            time.sleep(0.2)
    # Looked at where there is room.
    shutil.copytree(data, tmp_path / "after")
    count = ledger.holds(rows_there(tmp_path / "after", streams))
    print(f"{count} observations acknowledged around a full disk, none lost or doubled")


@pytest.fixture(scope="module")
def slow_fsync(tmp_path_factory):
    """A library that makes a disk slow."""
    library = tmp_path_factory.mktemp("slow") / "slow_fsync.so"
    source = Path(__file__).with_name("slow_fsync.c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return library


def test_a_slow_disk_is_waited_for(copied, slow_fsync, tmp_path):
    data, streams = copied
    ledger, delay = Ledger(streams), tmp_path / "delay_ms"
    environment = {"LD_PRELOAD": str(slow_fsync), "SLOW_FSYNC_FILE": str(delay)}
    with served(data, tmp_path / "slow.log", environment) as server:
        seqs = ledger.next(streams[0], 1)
        assert producers.http_took(server, streams[0], seqs)
        ledger.keep(streams[0], seqs)
        before = resident_mib(server)
        delay.write_text(str(SLOW_MS))
        # An answer is no earlier than its fsync, on either face.
        client = Mqtt(server, "slow")
        for seq in ledger.next(streams[1], 3):
            asked = time.monotonic()
            assert client.took(topic_of(streams[1]), reading(seq)) < REFUSED_FROM
            assert time.monotonic() - asked >= SLOW_MS / 1000, "acknowledged before its fsync"
            ledger.keep(streams[1], [seq])
        client.close()
        seqs = ledger.next(streams[0], 1)
        asked = time.monotonic()
        assert producers.http_took(server, streams[0], seqs)
        assert time.monotonic() - asked >= SLOW_MS / 1000, "acknowledged before its fsync"
        ledger.keep(streams[0], seqs)
        # Many producers wait together: the server holds no more than it may.
        gone = threading.Event()
        with ThreadPoolExecutor(len(streams) - 2) as pool:
            running = [
                pool.submit(by_http, server, ledger, stream, 1_000, gone)
                if number % 2
                else pool.submit(by_mqtt, server, ledger, stream, 200, gone)
                for number, stream in enumerate(streams[2:])
            ]
            gone.wait(20 * SLOW_MS / 1000)
            grown = resident_mib(server) - before
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            gone.set()
            for one in running:
                one.result()
    assert grown <= GROWN_MIB_MAX, f"{grown:.0f} MiB more while the disk was slow"
    assert all(ledger.kept[stream] for stream in streams), "each was served in its turn"
    ledger.holds(rows_there(data, streams))


def test_connections_that_come_and_go_harm_nobody(standing):
    streams = standing.given[:2]
    ledger, extra = Ledger(standing.given), standing.given[2]
    dice = random.Random(7)
    with Mqtt(standing, "warm").socket:
        files, before = files_open(standing), resident_mib(standing)

    def come_and_go(number, kind):
        if kind == 0:
            # Only a greeting, or half of one.
            with socket.create_connection(standing.mqtt, timeout=60) as stranger:
                stranger.sendall(bytes([0x10, 0x40]) + b"\0\4MQTT")
        elif kind == 1:
            host, port = standing.http.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=60) as stranger:
                stranger.sendall(b"POST /sta/v1.1/Observations HTTP/1.1\r\nHost: x\r\nContent-Le")
        elif kind == 2:
            client = Mqtt(standing, f"visitor-{number}")
            # Half of a message, and gone.
            client.socket.sendall(bytes([0x32, 0x7F]) + b"\0\5v1.1/")
            client.close()
        else:
            client = Mqtt(standing, f"visitor-{number}")
            [seq] = ledger.next(extra, 1)
            assert client.took(topic_of(extra), reading(seq)) < REFUSED_FROM
            ledger.keep(extra, [seq])
            client.close()

    with steady(standing, ledger, streams), ThreadPoolExecutor(CONNECTIONS_AT_ONCE) as pool:
        kinds = [dice.randrange(4) for _ in range(CONNECTIONS)]
        for one in [pool.submit(come_and_go, *visit) for visit in enumerate(kinds)]:
            one.result()
    ledger.holds(rows_of(standing, extra), [extra])
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while files_open(standing) > files + CONNECTIONS_AT_ONCE:
        assert time.monotonic() < deadline, f"{files_open(standing)} files are open, {files} were"
        time.sleep(0.2)
    grown = resident_mib(standing) - before
    print(f"{CONNECTIONS} connections came and went: {grown:.0f} MiB more")
    assert grown <= GROWN_MIB_MAX


GARBAGE = [
    b"",
    b"\0",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe{}",
    b'{"result":}',
    b'{"result":"no number","phenomenonTime":"2026-01-01T00:00:00Z"}',
    b'{"result":1,"phenomenonTime":"yesterday"}',
    b'{"result":1,"phenomenonTime":"2026-02-30T00:00:00Z"}',
    b'{"result":1,"resutl":2}',
    b'{"result":1,"result":2}' + b" " * 100_000 + b"x",
    b"[" * 10_000,
    b'{"a":' * 10_000,
]


def test_garbage_is_refused_and_harms_nobody(standing):
    streams, victim = standing.given[:2], standing.given[3]
    ledger, dice = Ledger(standing.given), random.Random(11)
    # Numbers of the streams went on in other tests: what is theirs was looked at there.
    for stream in streams:
        ledger.sent[stream] = 1_000_000_000
    before = resident_mib(standing)
    with steady(standing, ledger, streams):
        for body in GARBAGE + [dice.randbytes(dice.randrange(1, 4_000)) for _ in range(20)]:
            path = f"Datastreams({victim})/Observations"
            status, _, answered = send(standing, path, body)
            assert 400 <= status < 500, (body[:40], status)
            assert answered, "a refusal says why"
            status, _, _ = send(standing, "CreateObservations", body if body != b"[]" else b"{}")
            assert 400 <= status < 500, (body[:40], status)
        # A row that is none is refused alone.
        rows = [[at(0), 0], ["yesterday", 1], [at(2)], [at(3), "x"], None, [at(5), 5]]
        group = {
            "Datastream": {"@iot.id": victim},
            "components": ["phenomenonTime", "result"],
            "dataArray": rows,
        }
        status, _, body = send(standing, "CreateObservations", [group])
        told = [one == "error" for one in json.loads(body)]
        assert (status, told) == (201, [False, True, True, True, True, False]), body
        # More than a body may be. The server may hang up on what it will not read.
        try:
            status, _, _ = send(standing, "CreateObservations", b"[" + b" " * (33 << 20))
            assert status == 413
        except (OSError, HTTPException):
            pass
        garbage_by_mqtt(standing, victim, dice)
    found = sorted(round(row["seq"]) for row in rows_of(standing, victim))
    assert found == [0, 5], "nothing of the garbage was kept"
    grown = resident_mib(standing) - before
    assert grown <= GROWN_MIB_MAX, f"{grown:.0f} MiB more"


def garbage_by_mqtt(server, victim, dice):
    # Payloads: each is refused with a reason, and the connection stays.
    client = Mqtt(server, "garbage")
    for body in [body for body in GARBAGE if body != b"[]"]:
        assert client.took(topic_of(victim), body) >= REFUSED_FROM, body[:40]
    for topic in ["", "v1.1", "v1.1/Datastreams(999999999)/Observations", "v1.1/Things(1)/name"]:
        try:
            assert client.took(topic, b'{"result":1}') >= REFUSED_FROM, topic
        except ConnectionError:
            # An empty topic is no topic: the protocol has the connection closed.
            client.close()
            client = Mqtt(server, "garbage")
    client.close()
    # Bytes: no packets at all. The server ends each of these connections by itself.
    for first in [b"GET / HTTP/1.1\r\n\r\n", bytes(64), bytes([0x10, 0xFF, 0xFF, 0xFF, 0xFF, 1])] + [
        dice.randbytes(256) for _ in range(20)
    ]:
        with socket.create_connection(server.mqtt, timeout=60) as stranger:
            try:
                stranger.sendall(first)
                stranger.shutdown(socket.SHUT_WR)
                while stranger.recv(4_096):
                    pass
            except ConnectionError:
                pass
    # A message that claims a quarter of a gigabyte: memory is for what came, not what was claimed.
    client = Mqtt(server, "claims")
    try:
        client.socket.sendall(bytes([0x32, 0xFF, 0xFF, 0xFF, 0x7F]) + b"\0\5v1.1/")
        client.socket.sendall(bytes(1 << 20))
    except ConnectionError:
        pass
    client.close()


def observations(server, stream, **options):
    query = "&".join(f"${name}={value}" for name, value in options.items()).replace(" ", "%20")
    status, _, body = server.get(
        f"{producers.STA}/Datastreams({stream})/Observations?{query}", "air"
    )
    assert status == 200, body
    return json.loads(body)


def test_clocks_that_jump_and_late_readings_are_kept_in_their_place(standing):
    stream, other = standing.given[4], standing.given[5]
    now = datetime(2026, 6, 1)
    moments = [
        now,
        now + timedelta(days=365 * 70),
        now - timedelta(days=365 * 40),
        now - timedelta(days=9),
        now + timedelta(hours=1),
        datetime(1969, 7, 20),
    ]
    client = Mqtt(standing, "jumps")
    for seq, moment in enumerate(moments):
        body = {"phenomenonTime": moment.isoformat() + "Z", "result": seq}
        if seq % 2:
            assert client.took(topic_of(stream), body) < REFUSED_FROM
        else:
            assert send(standing, f"Datastreams({stream})/Observations", body)[0] == 201
    seqs = range(10)
    assert producers.http_took(standing, other, seqs)
    client.close()
    # Each stands where its clock said, whenever it came.
    found = observations(standing, stream, orderby="phenomenonTime asc", select="result")
    in_order = sorted(range(len(moments)), key=lambda seq: moments[seq])
    assert [round(one["result"]) for one in found["value"]] == in_order
    # A day that was over is asked with what came late.
    day = (now - timedelta(days=9)).strftime("%Y-%m-%dT00:00:00Z")
    end = (now - timedelta(days=8)).strftime("%Y-%m-%dT00:00:00Z")
    late = observations(
        standing, stream, filter=f"phenomenonTime ge {day} and phenomenonTime lt {end}"
    )
    assert [round(one["result"]) for one in late["value"]] == [3]
    # Another's newest reading is its own newest.
    newest = observations(standing, other, orderby="phenomenonTime desc", top=1)
    assert round(newest["value"][0]["result"]) == max(seqs)


def test_two_readings_of_one_moment_are_two(standing):
    stream = standing.given[6]
    places = set()
    for seq in range(3):
        body = {"phenomenonTime": at(0), "result": seq}
        status, headers, answered = send(standing, f"Datastreams({stream})/Observations", body)
        assert status == 201, answered
        places.add(headers["location"])
    assert len(places) == 3, "each acknowledged reading has a place of its own"
    ledger = Ledger([stream])
    ledger.keep(stream, ledger.next(stream, 3))
    ledger.holds(rows_of(standing, stream))


def percentile(values, percent):
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def test_a_year_of_history_comes_in_beside_live_readings(standing):
    live, history = standing.given[7], standing.given[4:7]
    history = history[:HISTORY_STREAMS]

    def live_ms(first):
        taken = []
        for seq in range(first, first + LIVE_READINGS):
            asked = time.monotonic()
            status, _, body = send(standing, f"Datastreams({live})/Observations", reading(seq))
            assert status == 201, body
            taken.append((time.monotonic() - asked) * 1000)
        return taken

    def fill():
        year = datetime(2020, 1, 1)
        for stream in history:
            rows = [
                [(year + timedelta(hours=hour)).isoformat() + "Z", 1_000_000 + hour]
                for hour in range(HISTORY_HOURS)
            ]
            group = {
                "Datastream": {"@iot.id": stream},
                "components": ["phenomenonTime", "result"],
                "dataArray": rows,
            }
            status, _, body = send(standing, "CreateObservations", [group])
            assert status == 201 and "error" not in json.loads(body)

    live_ms(10_000)
    alone = live_ms(20_000)
    with ThreadPoolExecutor(1) as pool:
        filling = pool.submit(fill)
        beside, first = [], 30_000
        while not filling.done() or not beside:
            beside += live_ms(first)
            first += LIVE_READINGS
        filling.result()
    told = [f"p99 {percentile(taken, 99):.0f} ms" for taken in (alone, beside)]
    print(f"live readings: {told[0]} alone, {told[1]} beside a year of history")
    for stream in history:
        rows = [row for row in rows_of(standing, stream) if row["seq"] >= 1_000_000]
        assert len(rows) == HISTORY_HOURS and all(row["n"] == 1 for row in rows)
    found = rows_of(standing, live)
    assert len(found) == 2 * LIVE_READINGS + len(beside)
    assert all(row["n"] == 1 for row in found)
