"""HTTP: one question, three forms of answer; tokens; the description of the API."""

import io
import json

import pyarrow.ipc

QUESTION = {"sql": "SELECT site, count(*) AS n FROM air.pm25 GROUP BY site ORDER BY site"}


def test_three_forms_of_one_answer(city):
    status, headers, body = city.post("/api/sql", QUESTION, "lin", "text/csv")
    assert status == 200 and headers["content-type"].startswith("text/csv"), body
    from_csv = [line.split(",") for line in body.decode().splitlines()[1:]]

    status, headers, body = city.post("/api/sql", QUESTION, "lin", "application/json")
    assert status == 200 and headers["content-type"].startswith("application/json"), body
    answer = json.loads(body)
    assert answer["row_count"] == len(answer["rows"])
    from_json = [[row["site"], str(row["n"])] for row in answer["rows"]]

    status, _, body = city.post("/api/sql", QUESTION, "lin", "application/vnd.apache.arrow.stream")
    assert status == 200
    table = pyarrow.ipc.open_stream(io.BytesIO(body)).read_all()
    from_arrow = [[row["site"], str(row["n"])] for row in table.to_pylist()]

    assert from_csv == from_json == from_arrow
    assert sum(int(n) for _, n in from_csv) == 77_914


def test_without_a_token_nothing_is_answered(city):
    status, _, body = city.post("/api/sql", QUESTION)
    assert status == 401
    assert "草堂寺" not in body.decode()


def test_a_wrong_question_is_answered_with_a_reason(city):
    status, _, body = city.post("/api/sql", {"sql": "SELECT nothing FROM nowhere.at_all"}, "lin")
    assert 400 <= status < 500
    assert json.loads(body)


def test_the_api_describes_itself(city):
    status, _, body = city.get("/api/openapi.json")
    assert status == 200
    assert "/api/sql" in json.loads(body)["paths"]


def test_it_says_whether_it_lives(city):
    assert city.get("/healthz")[0] == 200
    assert city.get("/readyz")[0] == 200
