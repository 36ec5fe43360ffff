"""The HTTP interface keeps to its own description, whatever it is sent.

Schemathesis makes requests up from `/api/openapi.json`, fitting and unfitting ones, and holds the
answers against it: no status of 500, none that is not described, no body of another shape.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import serve, token_of

SECONDS = int(os.environ.get("OPENAPI_SECONDS", 40))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# A backup goes to a folder that the sender names, and events never end.
LEFT_OUT = ("/api/backup", "/api/events")


@pytest.mark.parametrize("user", ["admin", "zhao"])
def test_whatever_is_sent_the_answer_is_as_described(user, furnished, tmp_path):
    token = token_of(furnished, user)
    server = serve(furnished, tmp_path / "server.log")
    try:
        left_out = [part for path in LEFT_OUT for part in ("--exclude-path", path)]
        done = subprocess.run(
            [Path(sys.executable).with_name("st"), "run", f"{server.http}/api/openapi.json"]
            + ["--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS)]
            + ["--phases", "examples,coverage,fuzzing", "--max-time", str(SECONDS)]
            + ["--continue-on-failure", "--no-color", *left_out],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=SECONDS * 5,
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
        assert " generated" in done.stdout, done.stdout
        assert server.get("/readyz")[0] == 200
    finally:
        server.stop()
