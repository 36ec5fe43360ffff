"""MQTT over a served city: said by devices, kept, refused with reasons, heard by those who may."""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from browser import Browser
from conftest import add_user, ask, free_port, import_file, serve, shujin, token_of
from test_sta import FACILITY, MEASUREMENT, REQUIREMENT, STA, get, made, station

PATIENCE_SECONDS = 30
# Nothing is waited for longer that is not to come.
QUIET_SECONDS = 0.7
USERS = {
    "air": ("ecology_environment", ["data_steward"]),
    "zhao": ("market_regulation", ["data_steward"]),
    "lin": ("ecology_environment", ["analyst"]),
}
VERSIONS = {"3.1.1": paho.MQTTv311, "5": paho.MQTTv5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mqtt")


@pytest.fixture(scope="module")
def city(folder):
    """A city with two departments, served with MQTT in clear."""
    file, data = folder / "facility.csv", folder / "city"
    file.write_text(FACILITY, encoding="utf-8")
    import_file(data, "place.facility", file)
    for name, (organisation, roles) in USERS.items():
        add_user(data, name, organisation, *roles)
    tokens = {name: token_of(data, name) for name in USERS}
    server = serve(data, folder / "server.log", mqtt_port=free_port())
    server.tokens = tokens
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stream(city):
    return stream_of(city, "草堂寺")


def stream_of(city, name, user="air", **properties):
    """The path of the Datastream of a new station."""
    thing = made(city, "Things", station(name, **properties), user)
    [datastream] = get(city, f"{thing}/Datastreams", user)["value"]
    return f"Datastreams({datastream['@iot.id']})"


class Client:
    """A client that remembers what it is told."""

    def __init__(self, city, user="air", version="5", name="", clean=True, **how):
        self.told, self.acks, self.subs = queue.Queue(), queue.Queue(), queue.Queue()
        self.connected, self.gone = queue.Queue(), queue.Queue()
        five = VERSIONS[version] == paho.MQTTv5
        options = {} if five else {"clean_session": clean}
        self.client = client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, name, protocol=VERSIONS[version], **options
        )
        client.on_connect = lambda _c, _u, flags, code, _p: self.connected.put((flags, code))
        client.on_disconnect = lambda _c, _u, _f, code, _p: self.gone.put(code)
        client.on_message = lambda _c, _u, message: self.told.put(message)
        client.on_publish = lambda _c, _u, mid, code, props: self.acks.put((mid, code, props))
        client.on_subscribe = lambda _c, _u, _m, codes, props: self.subs.put((codes, props))
        password = how.get("password", city.tokens.get(user))
        if user and password:
            client.username_pw_set(user, password)
        if "tls" in how:
            client.tls_set(**how["tls"])
        if "will" in how:
            client.will_set(*how["will"])
        properties = None
        if five and how.get("expiry_s"):
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = how["expiry_s"]
        began = {"clean_start": clean, "properties": properties} if five else {}
        client.connect("127.0.0.1", how.get("port", city.mqtt_port), keepalive=60, **began)
        client.loop_start()
        self.flags, self.code = self.connected.get(timeout=how.get("patience", PATIENCE_SECONDS))

    def publish(self, topic, body, qos=1):
        """The reason code of the acknowledgement, and its words."""
        payload = body if isinstance(body, (str, bytes)) else json.dumps(body)
        sent = self.client.publish(topic, payload, qos)
        while True:
            mid, code, properties = self.acks.get(timeout=PATIENCE_SECONDS)
            if mid == sent.mid:
                return code.value, getattr(properties, "ReasonString", "")

    def subscribe(self, topic, qos=1, **options):
        """What was granted, or why not."""
        if options:
            self.client.subscribe(topic, options=SubscribeOptions(qos=qos, **options))
        else:
            self.client.subscribe(topic, qos)
        codes, properties = self.subs.get(timeout=PATIENCE_SECONDS)
        return codes[0].value, getattr(properties, "ReasonString", "")

    def next(self):
        message = self.told.get(timeout=PATIENCE_SECONDS)
        return message.topic, json.loads(message.payload), bool(message.retain)

    def hears_nothing(self):
        with pytest.raises(queue.Empty):
            raise AssertionError(self.told.get(timeout=QUIET_SECONDS).payload)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def client(city, user="air", **how):
    one = Client(city, user, **how)
    try:
        yield one
    finally:
        one.close()


def said(result, minute=None):
    body = {"result": result}
    if minute is not None:
        body["phenomenonTime"] = f"2026-02-01T{minute // 60:02}:{minute % 60:02}:00Z"
    return body


def results(city, stream, user="air"):
    page = get(city, f"{stream}/Observations", user, orderby="phenomenonTime", top="1000")
    return [each["result"] for each in page["value"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_observation_is_kept_on_every_topic(city, version):
    stream = stream_of(city, f"主题 {version}")
    number = int(stream[len("Datastreams(") : -1])
    with client(city, version=version) as device:
        assert device.publish(f"v1.1/{stream}/Observations", said(1, 1)) == (0, "")
        whole = {**said(2, 2), "Datastream": {"@iot.id": number}}
        assert device.publish("v1.1/Observations", whole)[0] == 0
        [first] = get(city, f"{stream}/Observations", expand="FeatureOfInterest", top="1")["value"]
        feature = first["FeatureOfInterest"]["@iot.id"]
        at_feature = {**said(3, 3), "Datastream": {"@iot.id": number}}
        topic = f"v1.1/FeaturesOfInterest({feature})/Observations"
        assert device.publish(topic, at_feature, qos=2)[0] == 0
        bulk = {
            "Datastream": {"@iot.id": number},
            "components": ["phenomenonTime", "result"],
            "dataArray": [["2026-02-01T00:04:00Z", 4], ["2026-02-01T00:05:00Z", 5]],
        }
        assert device.publish("v1.1/CreateObservations", [bulk])[0] == 0
        assert results(city, stream) == [1, 2, 3, 4, 5]


def test_what_is_refused_is_told_why(city, stream):
    number = int(stream[len("Datastreams(") : -1])
    topic = f"v1.1/{stream}/Observations"
    with client(city) as device:
        for where, body, code, word in [
            (topic, "no json", 0x99, ""),
            (topic, said("not a number", 1), 0x99, "result"),
            ("v1.1/Datastreams(999999)/Observations", said(1), 0x87, "999999"),
            ("v1.1/Observations", said(1), 0x99, "Datastream"),
            ("v1.1/Things", {"name": "x"}, 0x90, "v1.1/Things"),
            ("elsewhere/7", "x", 0x90, "elsewhere/7"),
        ]:
            found, words = device.publish(where, body)
            assert (found, word in words) == (code, True), (where, hex(found), words)
        bulk = {
            "Datastream": {"@iot.id": number},
            "components": ["phenomenonTime", "result"],
            "dataArray": [["2026-03-01T00:00:00Z", 70], ["2026-03-01T00:01:00Z", "x"]],
        }
        found, words = device.publish("v1.1/CreateObservations", [bulk])
        assert found == 0x99 and "1 of 2 rows" in words, words
        assert results(city, stream)[-1] == 70, "the others are kept"
    with client(city, version="3.1.1") as device:
        assert device.publish(topic, "no json")[0] == 0, "3.1.1 has no word for it"
        assert device.publish(topic, said(71, 2))[0] == 0
    with client(city, "zhao") as other:
        found, words = other.publish(topic, said(1, 3))
        assert found == 0x87, "another department's stream"
    with client(city, "lin") as analyst:
        assert analyst.publish(topic, said(1, 3))[0] == 0x87, "an analyst brings nothing in"
    assert 1 not in results(city, stream)


def test_nothing_is_echoed_and_each_hears_the_whole_entity_once(city):
    stream = stream_of(city, "回声")
    topic = f"v1.1/{stream}/Observations"
    # Its feature is made with the first one, and would be told of too.
    made(city, f"{stream}/Observations", said(1, 1))
    with client(city) as device, client(city, version="3.1.1") as listener:
        for filter in [topic, "v1.1/Observations", "v1.1/#"]:
            assert device.subscribe(filter, retainHandling=2)[0] == 1
        assert listener.subscribe(topic)[0] == 1
        assert listener.next()[2], "the newest before"
        assert device.publish(topic, said(12.5, 7))[0] == 0
        heard = [device.next() for _ in range(3)]
        assert sorted(where for where, _, _ in heard) == [topic] + ["v1.1/Observations"] * 2
        for _, entity, retained in heard:
            assert entity["result"] == 12.5 and entity["@iot.id"] and not retained
            assert entity["Datastream@iot.navigationLink"].startswith(city.http)
        where, entity, _ = listener.next()
        assert (where, entity["phenomenonTime"]) == (topic, "2026-02-01T00:07:00Z")
        device.hears_nothing()
        listener.hears_nothing()


def test_one_hears_of_every_face_but_not_of_oneself_where_asked(city):
    stream = stream_of(city, "各面")
    topic = f"v1.1/{stream}/Observations"
    number = int(stream[len("Datastreams(") : -1])
    with client(city) as device:
        assert device.subscribe(topic, noLocal=True)[0] == 1
        assert device.publish(topic, said(1, 1))[0] == 0
        made(city, f"{stream}/Observations", said(2, 2))
        assert device.next()[1]["result"] == 2
        bulk = [
            {
                "Datastream": {"@iot.id": number},
                "components": ["phenomenonTime", "result"],
                "dataArray": [["2026-02-01T00:03:00Z", 3]],
            }
        ]
        status, _ = city.send("POST", f"{STA}/CreateObservations", bulk, "air")
        assert status == 201
        assert device.next()[1]["result"] == 3
        device.hears_nothing()


def test_entities_properties_and_what_is_related_are_told_of(city):
    thing = made(city, "Things", station("变化"))
    with client(city) as listener:
        assert listener.subscribe("v1.1/Things")[0] == 1
        assert listener.subscribe(f"v1.1/{thing}")[0] == 1
        assert listener.next()[1]["name"] == "变化", "what is there now comes at once"
        assert listener.subscribe(f"v1.1/{thing}/name")[0] == 1
        assert listener.next() == (f"v1.1/{thing}/name", {"name": "变化"}, True)
        assert listener.subscribe(f"v1.1/{thing}/Datastreams")[0] == 1
        city.send("PATCH", f"{STA}/{thing}", {"description": "新的说明"}, "air")
        heard = {listener.next()[0] for _ in range(2)}
        assert heard == {"v1.1/Things", f"v1.1/{thing}"}, "the name has not changed"
        city.send("PATCH", f"{STA}/{thing}", {"name": "已变"}, "air")
        heard = dict(listener.next()[:2] for _ in range(3))
        assert heard[f"v1.1/{thing}/name"] == {"name": "已变"}
        body = station("x")["Datastreams"][0]
        made(city, f"{thing}/Datastreams", {**body, "observationType": MEASUREMENT})
        where, entity, _ = listener.next()
        assert (where, entity["name"]) == (f"v1.1/{thing}/Datastreams", "x PM2.5")
        for filter in ["v1.1/Nothings", "v1.1/Things?$top=1", "elsewhere/#"]:
            code, words = listener.subscribe(filter)
            assert code == 0x8F and words, (filter, code)
        assert listener.subscribe("v1.1/Things(999999)")[0] == 0x87


def test_what_is_selected_is_told_and_nothing_else(city):
    stream = stream_of(city, "选择")
    topic = f"v1.1/{stream}/Observations?$select=result,phenomenonTime"
    with client(city) as listener:
        assert listener.subscribe(topic)[0] == 1
        made(city, f"{stream}/Observations", said(5, 9))
        where, entity, _ = listener.next()
        assert (where, set(entity)) == (topic, {"result", "phenomenonTime"})


def test_who_comes_late_hears_the_newest_of_that_stream(city):
    stream, other = stream_of(city, "保留"), stream_of(city, "别的")
    for minute, result in [(1, 10), (3, 30), (2, 20)]:
        made(city, f"{stream}/Observations", said(result, minute))
    made(city, f"{other}/Observations", said(99, 50))
    with client(city, version="3.1.1") as listener:
        assert listener.subscribe(f"v1.1/{stream}/Observations")[0] == 1
        where, entity, retained = listener.next()
        assert (where, entity["result"], retained) == (f"v1.1/{stream}/Observations", 30, True)
        listener.hears_nothing()
    with client(city) as listener:
        assert listener.subscribe(f"v1.1/{stream}/Observations", retainHandling=2)[0] == 1
        listener.hears_nothing()


def test_a_group_shares_what_it_hears(city):
    stream = stream_of(city, "分担")
    topic = f"v1.1/{stream}/Observations"
    with client(city) as one, client(city) as two:
        for member in (one, two):
            assert member.subscribe(f"$share/workers/{topic}")[0] == 1
        for minute in range(10):
            made(city, f"{stream}/Observations", said(minute, minute))
        heard = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(heard) < 10 and time.monotonic() < deadline:
            for member in (one, two):
                while not member.told.empty():
                    heard.append((member is one, member.next()[1]["result"]))
            time.sleep(0.02)
        assert sorted(result for _, result in heard) == list(range(10))
        assert {is_one for is_one, _ in heard} == {True, False}, "both have some"


def test_another_department_hears_what_is_shared_with_it_and_nothing_else(city):
    own, shared = stream_of(city, "自有"), stream_of(city, "公开", sharing="open")
    for stream in (own, shared):
        # The feature is made with the first one, and would be told of too.
        made(city, f"{stream}/Observations", said(0, 0))
    with client(city, "zhao") as other:
        assert other.subscribe("v1.1/Observations")[0] == 1
        assert other.subscribe("v1.1/#")[0] == 1
        assert other.subscribe(f"v1.1/{own}/Observations")[0] == 0x87
        made(city, f"{own}/Observations", said(1, 1))
        made(city, f"{shared}/Observations", said(2, 2))
        made(city, f"{own}/Observations", said(3, 3))
        for _ in range(2):
            assert other.next()[1]["result"] == 2
        other.hears_nothing()


def test_who_is_not_known_does_not_come_in(city):
    for how in [
        {"password": "wrong"},
        {"user": "zhao", "password": city.tokens["air"]},
        {"user": ""},
    ]:
        user = how.pop("user", "air")
        five = Client(city, user, **how)
        assert five.code.value == 0x86, how
        three = Client(city, user, version="3.1.1", **how)
        assert three.code.is_failure
        for one in (five, three):
            one.client.loop_stop()


def test_a_token_that_is_revoked_ends_the_connection(city):
    person = Browser(city)
    assert person.sign_in("air")[0] == 200
    status, token = person.send("POST", "/api/tokens", {"label": "a device", "days": 1})
    assert status < 300, token
    with client(city, password=token["token"]) as device:
        assert device.code.value == 0
        assert person.send("DELETE", f"/api/tokens/{token['id']}")[0] < 300
        code = device.gone.get(timeout=15)
        assert code.value == 0x87
        device.client.loop_stop()


def test_a_will_is_an_observation_like_any_other(city):
    stream = stream_of(city, "遗言")
    topic = f"v1.1/{stream}/Observations"
    device = Client(city, will=(topic, json.dumps(said(-1, 5)), 1))
    # Hung up on without a goodbye.
    device.client.loop_stop()
    device.client.socket().shutdown(socket.SHUT_RDWR)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while results(city, stream) != [-1]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_session_waits_and_is_taken_over(city):
    stream = stream_of(city, "接管")
    topic = f"v1.1/{stream}/Observations"
    first = Client(city, name="lasting", clean=False, expiry_s=600)
    assert first.subscribe(topic)[0] == 1
    second = Client(city, name="lasting", clean=False, expiry_s=600)
    assert second.flags.session_present
    assert first.gone.get(timeout=PATIENCE_SECONDS).value == 0x8E
    first.client.loop_stop()
    second.close()
    made(city, f"{stream}/Observations", said(8, 8))
    with client(city, name="lasting", clean=False, expiry_s=600) as third:
        assert third.next()[1]["result"] == 8, "it was waiting"
    # Another user's session of that name is another session.
    with client(city, "zhao", name="lasting", clean=False, expiry_s=600) as other:
        assert not other.flags.session_present
    with client(city, name="lasting") as clean:
        assert not clean.flags.session_present


def test_garbage_harms_nobody(city, stream):
    with client(city) as device:
        for bytes_sent in [b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\x7f", os.urandom(4096)]:
            with socket.create_connection(("127.0.0.1", city.mqtt_port)) as broken:
                broken.sendall(bytes_sent)
                broken.settimeout(PATIENCE_SECONDS)
                try:
                    while broken.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        assert device.publish(f"v1.1/{stream}/Observations", said(17, 17))[0] == 0


def test_the_root_says_where(city):
    _, _, body = city.get(STA, "air")
    settings = json.loads(body)["serverSettings"]
    for requirement in [
        "create-observations-via-mqtt/observations-creation",
        "receive-updates-via-mqtt/receive-updates",
    ]:
        assert REQUIREMENT + requirement in settings["conformance"]
        endpoints = settings[REQUIREMENT + requirement]["endpoints"]
        assert endpoints == [f"mqtt://127.0.0.1:{city.mqtt_port}"]


@pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="no mosquitto-clients")
@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
def test_mosquitto_s_clients_say_and_hear(city, version):
    stream = stream_of(city, f"蚊子 {version}")
    topic = f"v1.1/{stream}/Observations"
    common = ["-h", "127.0.0.1", "-p", str(city.mqtt_port), "-u", "air", "-P", city.tokens["air"]]
    common += ["-V", version, "-t", topic, "-q", "1"]
    subprocess.run(
        ["mosquitto_pub", *common, "-m", json.dumps(said(41, 1))], check=True, timeout=30
    )
    assert results(city, stream) == [41]
    heard = subprocess.run(
        ["mosquitto_sub", *common, "-C", "1", "-W", "20"],
        check=True,
        timeout=30,
        capture_output=True,
    )
    assert json.loads(heard.stdout)["result"] == 41


def certificates(folder):
    """A server's certificate and key, an authority of clients, and a certificate of it for air."""

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["server", "authority", "client", "stranger"]
    certificate = {name: folder / f"{name}.pem" for name in names}
    key = {name: folder / f"{name}.key" for name in names}
    for name, subject in [("server", "localhost"), ("authority", "devices"), ("stranger", "air")]:
        openssl(
            *("req", "-x509", *new, "-days", "2", "-subj", f"/CN={subject}"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-out", certificate[name], "-keyout", key[name]),
        )
    request = folder / "client.csr"
    openssl("req", *new, "-subj", "/CN=air", "-out", request, "-keyout", key["client"])
    extensions = folder / "client.ext"
    extensions.write_text("extendedKeyUsage=clientAuth\nsubjectAltName=DNS:gateway-7\n")
    openssl(
        *("x509", "-req", "-in", request, "-days", "2", "-extfile", extensions),
        *("-CA", certificate["authority"], "-CAkey", key["authority"], "-CAcreateserial"),
        *("-out", certificate["client"]),
    )
    return certificate, key


def test_what_was_acknowledged_outlives_a_kill_and_certificates_let_in(city, folder):
    """Of a city of its own, which is killed and served again over TLS."""
    data = folder / "killed"
    file = folder / "facility.csv"
    import_file(data, "place.facility", file)
    add_user(data, "air", "ecology_environment", "data_steward")
    token = token_of(data, "air")
    server = serve(data, folder / "killed.log", mqtt_port=free_port())
    server.tokens = {"air": token}
    stream = stream_of(server, "断电")
    device = Client(server, version="3.1.1")
    acknowledged = 0
    topic = f"v1.1/{stream}/Observations"
    for minute in range(200):
        assert device.client.publish(topic, json.dumps(said(minute, minute)), 1).rc == 0
    while acknowledged < 60:
        device.acks.get(timeout=PATIENCE_SECONDS)
        acknowledged += 1
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(timeout=30)
    device.client.loop_stop()
    acknowledged += device.acks.qsize()
    [row] = ask(data, "SELECT count(*) AS kept FROM sensing.observation")
    assert row["kept"] >= acknowledged

    certificate, key = certificates(folder)
    secured = serve(
        data,
        folder / "secured.log",
        *("--mqtt-tls-cert", certificate["server"], "--mqtt-tls-key", key["server"]),
        *("--mqtt-client-ca", certificate["authority"]),
        mqtt_port=free_port(),
    )
    try:
        secured.tokens = {"air": token}
        trust = {"ca_certs": certificate["server"]}
        with client(secured, tls=trust) as by_token:
            assert by_token.publish(f"v1.1/{stream}/Observations", said(500, 300))[0] == 0
        shown = {**trust, "certfile": certificate["client"], "keyfile": key["client"]}
        with client(secured, "", tls=shown) as by_certificate:
            assert by_certificate.code.value == 0
            assert by_certificate.publish(f"v1.1/{stream}/Observations", said(501, 301))[0] == 0
        wrong = {**trust, "certfile": certificate["stranger"], "keyfile": key["stranger"]}
        with pytest.raises((OSError, queue.Empty)):
            Client(secured, "", tls=wrong, patience=3)
        with socket.create_connection(("127.0.0.1", secured.mqtt_port)) as clear:
            clear.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04name")
            clear.settimeout(PATIENCE_SECONDS)
            assert not clear.recv(64).startswith(b"\x20"), "no CONNACK in clear"
    finally:
        secured.stop()
    assert results_of(data) == [500, 501]


def results_of(data):
    sql = "SELECT result_number FROM sensing.observation WHERE result_number >= 500 ORDER BY 1"
    return [row["result_number"] for row in ask(data, sql)]


def test_the_address_has_to_be_safe(city, tmp_path):
    said_so = shujin(
        *("serve", "--data", city.data, "--http", "127.0.0.1:0", "--pg", "127.0.0.1:0"),
        *("--mqtt", "127.0.0.1:0", "--mqtt-client-ca", tmp_path / "ca.pem"),
        code=2,
    )
    assert "--mqtt-tls-cert" in said_so
