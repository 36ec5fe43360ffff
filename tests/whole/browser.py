"""What a browser is to a server: cookies that it keeps, a CSRF token that it sends; and the device
that shows codes of a second factor."""

import base64
import hashlib
import hmac
import http.client
import http.cookies
import json
import struct
import time

from conftest import PASSWORD


class Browser:
    """Keeps cookies, and sends the CSRF token that it was told."""

    def __init__(self, server):
        self.authority = server if isinstance(server, str) else server.http.removeprefix("http://")
        self.cookies, self.csrf = {}, None

    def send(self, method, path, body=None, headers=None, csrf=True):
        host, port = self.authority.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        headers = dict(headers or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if csrf and self.csrf:
            headers["X-CSRF-Token"] = self.csrf
        if isinstance(body, dict):
            headers.setdefault("Content-Type", "application/json")
            body = json.dumps(body)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        self.raw_cookies = response.headers.get_all("Set-Cookie") or []
        for line in self.raw_cookies:
            for name, morsel in http.cookies.SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        text = response.read()
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        connection.close()
        is_json = "json" in self.headers.get("content-type", "")
        return response.status, json.loads(text) if is_json and text else text

    def sign_in(self, user, password=PASSWORD, **more):
        status, answer = self.send(
            "POST", "/api/session", {"user": user, "password": password, **more}
        )
        if status == 200:
            self.csrf = answer["csrf"]
        return status, answer


def code_of(secret, at=None):
    """RFC 6238 with SHA-1, six digits, thirty seconds."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    step = struct.pack(">Q", int((at or time.time()) // 30))
    digest = hmac.new(key, step, hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
