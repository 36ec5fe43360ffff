"""A server that is killed while files come in: what it acknowledged is there, and nothing twice.

`KILL_ROUNDS` sets how often (4 by itself); the seed is printed, and `KILL_SEED` repeats a run.
"""

import json
import os
import random
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from conftest import add_user, ask, enterprises, import_file, serve, shujin, token_of

ROUNDS = int(os.environ.get("KILL_ROUNDS", "4"))
SENDERS = 3
ROWS_A_FILE = 400
ENTERPRISES = 60
KILL_AFTER_SECONDS_MAX = 1.5
CARRIED_THROUGH_SECONDS_MAX = 60


def readings(number):
    """A file of one station of its own: which rows are there tells which files were taken."""
    rows = ["监测点,观测时间,PM2.5"]
    for hour in range(ROWS_A_FILE):
        day, hour_of_day = hour // 24 + 1, hour % 24
        rows.append(f"站{number:05d},2024-01-{day:02d}T{hour_of_day:02d}:00:00+08:00,{hour % 300}")
    return ("\n".join(rows) + "\n").encode()


def send(server, token, dataset, name, body):
    """The summary of an acknowledged import; None where the server was gone before it answered."""
    request = urllib.request.Request(
        f"{server.http}/api/datasets/{dataset}/import?file={name}", data=body, method="POST"
    )
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "application/octet-stream")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as refusal:
        raise AssertionError(f"{name}: {refusal.code} {refusal.read().decode()}") from refusal
    except (OSError, HTTPException):
        return None


def round_of(server, tokens, todo, dice):
    """Sends files until the server is killed; returns the numbers of those it acknowledged."""
    acknowledged = []
    gone = threading.Event()

    def sender():
        while not gone.is_set():
            number = next(todo)
            summary = send(server, tokens["lin"], "air.pm25", f"{number}.csv", readings(number))
            if summary is None:
                return
            assert summary["rows_quarantined"] == 0, summary
            # Rows of an earlier attempt that a kill cut short count as unchanged.
            assert summary["rows_taken"] + summary["rows_unchanged"] == ROWS_A_FILE, summary
            acknowledged.append(number)

    def registrar():
        # A snapshot beside the stream: the same keys again and again.
        while not gone.is_set():
            body = enterprises(ENTERPRISES).encode()
            if send(server, tokens["zhao"], "market.enterprise", "enterprises.csv", body) is None:
                return

    with ThreadPoolExecutor(SENDERS + 1) as pool:
        running = [pool.submit(sender) for _ in range(SENDERS)] + [pool.submit(registrar)]
        gone.wait(dice.uniform(0.05, KILL_AFTER_SECONDS_MAX))
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        gone.set()
        for one in running:
            one.result()
    return acknowledged


class Numbers:
    """Files to send, each by one sender; those without an answer come again."""

    def __init__(self):
        self.lock, self.again, self.fresh = threading.Lock(), [], 0
        self.given = set()

    def __iter__(self):
        return self

    def __next__(self):
        with self.lock:
            if self.again:
                number = self.again.pop()
            else:
                number, self.fresh = self.fresh, self.fresh + 1
            self.given.add(number)
            return number

    def settle(self, acknowledged):
        """After a round: what was given and not acknowledged is due again."""
        self.again = sorted(self.given.union(self.again) - set(acknowledged))
        self.given.clear()
        return self.again


def test_a_killed_server_keeps_what_it_acknowledged(tmp_path):
    seed = int(os.environ.get("KILL_SEED", random.randrange(1 << 32)))
    print(f"KILL_SEED={seed} KILL_ROUNDS={ROUNDS}")
    dice, data, numbers = random.Random(seed), tmp_path / "city", Numbers()
    shujin("import", "--data", data, "air.pm25", empty(tmp_path), "--json")
    add_user(data, "lin", "ecology_environment", "data_steward")
    add_user(data, "zhao", "market_regulation", "data_steward")
    tokens = {user: token_of(data, user) for user in ("lin", "zhao")}
    there = set()
    for number in range(ROUNDS):
        server = serve(data, tmp_path / f"serve-{number % 2}.log")
        there.update(round_of(server, tokens, numbers, dice))
        due = numbers.settle(there)
        check(data, there, due)
    # Whatever was cut short is sent once more, and then every row is there once.
    server = serve(data, tmp_path / "serve-last.log")
    try:
        for number in due:
            assert send(server, tokens["lin"], "air.pm25", f"{number}.csv", readings(number))
            there.add(number)
    finally:
        server.stop()
    check(data, there, [])
    assert len(there) > 0
    shujin("audit", "verify", "--data", data)
    print(f"{len(there)} files acknowledged, {len(there) * ROWS_A_FILE} rows, none lost or doubled")


def empty(folder):
    file = folder / "empty.csv"
    file.write_text("监测点,观测时间,PM2.5\n", encoding="utf-8")
    return file


def check(data, there, due):
    rows = ask(
        data,
        "SELECT site, count(*) AS n, count(DISTINCT observed_at) AS hours, sum(pm25) AS total "
        "FROM air.pm25 GROUP BY site",
    )
    found = {row["site"]: row for row in rows}
    total = sum(hour % 300 for hour in range(ROWS_A_FILE))
    for number in there:
        row = found.pop(f"站{number:05d}")
        assert (row["n"], row["hours"], row["total"]) == (ROWS_A_FILE, ROWS_A_FILE, total), row
    for site, row in found.items():
        # Of a file without an answer there may be rows, never one twice.
        assert int(site.removeprefix("站")) in due, site
        assert row["n"] == row["hours"] <= ROWS_A_FILE, row
    counts = "SELECT count(*) AS n, count(DISTINCT credit_code) AS codes FROM market.enterprise"
    codes = ask(data, counts, user="zhao")
    assert codes[0]["n"] == codes[0]["codes"] <= ENTERPRISES, codes


def readings_of(sites):
    """One file with the readings of many sites."""
    header = readings(0).partition(b"\n")[0]
    return b"\n".join([header] + [readings(site).partition(b"\n")[2].rstrip() for site in sites])


def test_an_import_goes_on_without_its_client(tmp_path):
    data, sites = tmp_path / "city", range(200)
    body = readings_of(sites)
    shujin("import", "--data", data, "air.pm25", empty(tmp_path), "--json")
    add_user(data, "lin", "ecology_environment", "data_steward")
    add_user(data, "zhao", "market_regulation", "data_steward")
    add_user(data, "he", "general_office", "auditor")
    tokens = {user: token_of(data, user) for user in ("lin", "he")}
    server = serve(data, tmp_path / "serve.log")
    server.tokens = tokens
    try:
        host, port = server.http.removeprefix("http://").split(":")
        head = (
            "POST /api/datasets/air.pm25/import?file=left.csv HTTP/1.1\r\n"
            f"Host: {host}\r\nAuthorization: Bearer {tokens['lin']}\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection((host, int(port))) as client:
            client.sendall(head.encode() + body)
            # The server has all of it, and is at work on it.
            time.sleep(1)
        deadline = time.monotonic() + CARRIED_THROUGH_SECONDS_MAX
        told = []
        while not told:
            assert time.monotonic() < deadline, "the import is not in the audit"
            time.sleep(0.2)
            _, audit = server.send("GET", "/api/audit?limit=100", user="he")
            told = [entry for entry in audit["entries"] if "left.csv" in entry["detail"]]
        assert [(entry["action"], entry["outcome"]) for entry in told] == [("import", "done")]
    finally:
        server.stop()
    check(data, set(sites), [])


def test_a_server_that_stops_lets_an_import_end_or_be_run_again(tmp_path):
    data, file = tmp_path / "city", tmp_path / "long.csv"
    shujin("import", "--data", data, "air.pm25", empty(tmp_path), "--json")
    add_user(data, "lin", "ecology_environment", "data_steward")
    add_user(data, "zhao", "market_regulation", "data_steward")
    token, sites = token_of(data, "lin"), 400
    file.write_bytes(readings_of(range(sites)))
    server = serve(data, tmp_path / "serve.log")
    with ThreadPoolExecutor(1) as pool:

        def sent():
            try:
                return send(server, token, "air.pm25", "long.csv", file.read_bytes())
            except AssertionError as refusal:
                assert "import it again" in str(refusal)
                return None

        under_way = pool.submit(sent)
        time.sleep(0.5)
        server.stop()
        under_way.result()
    summary = import_file(data, "air.pm25", file)
    assert summary["rows_quarantined"] == 0, summary
    assert summary["rows_taken"] + summary["rows_unchanged"] == sites * ROWS_A_FILE, summary
    check(data, set(range(sites)), [])
    shujin("audit", "verify", "--data", data)
