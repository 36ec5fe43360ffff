"""Producers of observations as faults are tested with: over HTTP and over MQTT, told to the row
what was acknowledged.

The MQTT client is a few lines of version 5 of its own: it can also say what no library would.
"""

import itertools
import json
import socket
import struct
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from http.client import HTTPException

from conftest import answer

STA = "/sta/v1.1"
START = datetime(2026, 1, 1, tzinfo=UTC)
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
CONNACK, PUBLISH, PUBACK, SUBACK, DISCONNECT = 0x20, 0x30, 0x40, 0x90, 0xE0
REFUSED_FROM = 0x80
# Not now: the server is busy, or the producer has sent enough.
LATER = (0x89, 0x97)


def at(seq):
    """A moment of its own for each number."""
    moment = START + timedelta(milliseconds=seq)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def topic_of(stream):
    return f"v1.1/Datastreams({stream})/Observations"


def reading(seq):
    return {"phenomenonTime": at(seq), "result": seq}


def thing(streams):
    """A Thing at a place with so many Datastreams."""
    unit = {"name": "number", "symbol": "1", "definition": "http://unitsofmeasure.org/ucum.html#1"}
    sensor = {"name": "s", "description": "s", "encodingType": "text/html", "metadata": "s"}
    observed = {"name": "n", "definition": "http://example.org/n", "description": "n"}
    place = {"type": "Point", "coordinates": [104.06, 30.67]}
    return {
        "name": "试验台",
        "description": "a bench of counters",
        "Locations": [
            {
                "name": "l",
                "description": "l",
                "encodingType": "application/geo+json",
                "location": place,
            }
        ],
        "Datastreams": [
            {
                "name": f"counter {number}",
                "description": "counts",
                "observationType": MEASUREMENT,
                "unitOfMeasurement": unit,
                "Sensor": sensor,
                "ObservedProperty": observed,
            }
            for number in range(streams)
        ],
    }


def send(server, path, body, user="air"):
    """Status, headers and body of a POST of bytes or of JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.http}{STA}/{path}", data=data, method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {server.tokens[user]}")
    return answer(request)


def bulk(stream, seqs):
    """A body of CreateObservations."""
    return [
        {
            "Datastream": {"@iot.id": stream},
            "components": ["phenomenonTime", "result"],
            "dataArray": [[at(seq), seq] for seq in seqs],
        }
    ]


def http_took(server, stream, seqs):
    """Whether the rows were acknowledged; False where the server was gone before it answered, None
    where it was busy."""
    try:
        status, _, body = send(server, "CreateObservations", bulk(stream, seqs))
    except (OSError, HTTPException):
        return False
    if status == 503:
        # Not now: nothing of it was taken.
        return None
    assert status == 201, body
    assert "error" not in json.loads(body), body
    return True


def length(number):
    """The length of what follows, as MQTT writes it."""
    out = bytearray()
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def packet(kind, body):
    return bytes([kind]) + length(len(body)) + body


# How long the values of a CONNACK's properties are, in bytes; the others are texts.
LONG = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
RECEIVE_MAX, USER_PROPERTY = 0x21, 0x26


def receive_max(properties):
    """How many messages the server lets a producer have on the way."""
    while properties:
        name, properties = properties[0], properties[1:]
        if name == RECEIVE_MAX:
            return struct.unpack(">H", properties[:2])[0]
        for _ in range(2 if name == USER_PROPERTY else 1):
            size = LONG.get(name) or 2 + struct.unpack(">H", properties[:2])[0]
            properties = properties[size:]
    return 65_535


class Mqtt:
    """One connection."""

    def __init__(self, server, client, user="air", timeout=60):
        self.socket = socket.create_connection(server.mqtt, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ids = itertools.cycle(range(1, 65_536))
        # Version 5, a clean start, user name and password.
        head = text("MQTT") + bytes([5, 0xC2]) + struct.pack(">H", 0) + b"\0"
        token = server.tokens[user]
        self.socket.sendall(packet(0x10, head + text(client) + text(user) + text(token)))
        kind, body = self.read()
        assert kind == CONNACK and body[1] == 0, (kind, body)
        self.receive_max = receive_max(body[3:])

    def read(self):
        """The next packet's kind and body."""
        kind = self.exactly(1)[0]
        size = shift = 0
        while True:
            digit = self.exactly(1)[0]
            size |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                break
        body = self.exactly(size)
        if kind & 0xF0 == DISCONNECT:
            raise ConnectionError(f"disconnected with {body.hex()}")
        return kind & 0xF0, body

    def exactly(self, count):
        data = bytearray()
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return bytes(data)

    def publish(self, topic, payload, duplicate=False, number=None):
        """Sends with QoS 1; the packet's number."""
        number = number or next(self.ids)
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        kind = PUBLISH | 0x02 | (0x08 if duplicate else 0)
        self.socket.sendall(packet(kind, text(topic) + struct.pack(">H", number) + b"\0" + data))
        return number

    def acknowledged(self):
        """The next acknowledgement: its number and its reason."""
        kind, body = self.read()
        assert kind == PUBACK, (kind, body)
        return struct.unpack(">H", body[:2])[0], body[2] if len(body) > 2 else 0

    def took(self, topic, payload):
        """The reason that a message was answered with."""
        number = self.publish(topic, payload)
        told, reason = self.acknowledged()
        assert told == number
        return reason

    def close(self):
        self.socket.close()


class Ledger:
    """What was sent and what of it was acknowledged, by stream."""

    def __init__(self, streams):
        self.lock = threading.Lock()
        self.sent = {stream: 0 for stream in streams}
        self.kept = {stream: set() for stream in streams}

    def next(self, stream, count):
        """Numbers that were never sent."""
        with self.lock:
            first = self.sent[stream]
            self.sent[stream] += count
        return range(first, first + count)

    def keep(self, stream, seqs):
        with self.lock:
            self.kept[stream].update(seqs)

    def holds(self, rows, streams=None):
        """Holds what is there of these streams, or of all, against what was acknowledged; `rows`:
        stream, result, time, n."""
        found = {stream: set() for stream in self.sent}
        for row in rows:
            stream, seq = row["datastream"], round(row["seq"])
            assert row["n"] == 1, f"doubled: {row}"
            assert seq < self.sent[stream], f"nobody sent it: {row}"
            found[stream].add(seq)
        for stream in streams or self.kept:
            lost = sorted(self.kept[stream] - found[stream])
            assert not lost, f"{len(lost)} acknowledged are lost of {stream}: {lost[:5]}"
        return sum(map(len, self.kept.values()))


def by_http(server, ledger, stream, rows, gone):
    """Sends until the server is gone."""
    while not gone.is_set():
        seqs = ledger.next(stream, rows)
        took = http_took(server, stream, seqs)
        if took is False:
            return
        if took:
            ledger.keep(stream, seqs)
        else:
            time.sleep(0.05)


def by_mqtt(server, ledger, stream, window, gone):
    """Keeps so many messages on the way until the server is gone."""
    try:
        client, under_way = Mqtt(server, f"producer-{stream}"), {}
    except OSError:
        return
    try:
        while not gone.is_set():
            while len(under_way) < min(window, client.receive_max):
                [seq] = ledger.next(stream, 1)
                under_way[client.publish(topic_of(stream), reading(seq))] = seq
            number, reason = client.acknowledged()
            seq = under_way.pop(number)
            if reason in LATER:
                time.sleep(0.05)
                continue
            assert reason < REFUSED_FROM, f"refused with {reason:#x}"
            ledger.keep(stream, [seq])
    except OSError:
        # What is under way is in doubt: it may be there, once.
        pass
    finally:
        client.close()
