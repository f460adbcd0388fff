"""A refused request says what would be accepted, and nothing of it reaches the ledger or /metrics."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from exporter_process import Exporter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LABELS = re.compile(r'(?:run|stage|phase|kind|benchmark|artifact|teacher)="([^"]*)"')


@pytest.fixture
def quiet(make_exporter: Callable[..., Exporter]) -> Exporter:
    exporter = make_exporter()
    exporter.put_stage("good", "teacher", phase="kd")
    exporter.http.post("/api/v1/runs/good/scores", json={"benchmark": "gsm8k", "score": 0.5, "reference": 0.6})
    return exporter


def labels_of(exporter: Exporter) -> set[str]:
    return set(LABELS.findall(exporter.http.get("/metrics").text))


def rows_of(exporter: Exporter) -> dict[str, list[object]]:
    """The ledger on disk without what moves by itself."""
    with sqlite3.connect(f"file:{exporter.state_dir / 'ledger.sqlite'}?mode=ro", uri=True) as db:
        columns = {"run": "run, declared", "window": "id, run, stage, phase, state", "series": "run, stage, phase"}
        columns |= {"score": "*", "artifact": "*"}
        found: dict[str, list[object]] = {
            table: db.execute(f"SELECT {names} FROM {table} ORDER BY 1, 2").fetchall()
            for table, names in columns.items()
        }
    db.close()
    return found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
# One field of each body with anything in it, among good ones: most of these are wrong.
GOOD: dict[tuple[str, str], dict[str, object]] = {
    ("PUT", "/api/v1/stage"): {"run": "bad", "stage": "student", "share": True},
    ("POST", "/api/v1/stage/{id}/heartbeat"): {"tokens": {}},
    ("PUT", "/api/v1/runs/bad"): {"pipeline": "kd", "idle_watts": {"gpu0": 1.0}, "labels": {}, "seed": 1},
    ("POST", "/api/v1/runs/bad/scores"): {"benchmark": "b", "score": 1.0, "n": 3},
    ("POST", "/api/v1/runs/bad/artifacts"): {"artifact": "a", "kind": "k", "role": "produced"},
}
CALLS = st.sampled_from(sorted(GOOD))


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """A call whose body is wrong in one place."""
    method, path = draw(CALLS)
    body = dict(GOOD[method, path])
    kind = draw(st.sampled_from(["field", "unknown", "cut", "name"]))
    if kind == "unknown":
        body[draw(st.text(min_size=1, max_size=10).map(lambda text: f"x_{text}"))] = draw(JSON)
    elif kind == "field":
        body[draw(st.sampled_from(sorted(body)))] = {"no": ["field", "takes", "this"], "n": draw(JSON)}
    elif kind == "name":
        path = path.replace("/bad", "/" + draw(st.sampled_from(["a%20b", "%00", "-x", "x" * 129, "%F0%9F%94%A5"])))
        path = path.replace("{id}", "nobody")
        body = {**body, "run": "a b"} if path == "/api/v1/stage" else body
    text = json.dumps(body).encode("utf-8", "surrogatepass")
    return method, path, text[: draw(st.integers(1, len(text) - 1))] if kind == "cut" else text


def test_nothing_of_a_refused_request_reaches_the_ledger_or_metrics(quiet: Exporter) -> None:
    window = quiet.http.get("/api/v1/stage").json()[0]["id"]
    before, labels = rows_of(quiet), labels_of(quiet)

    @given(asked=broken())
    @settings(
        max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    def refused(asked: tuple[str, str, bytes]) -> None:
        method, path, body = asked
        answer = quiet.http.request(method, path.replace("{id}", window), content=body)
        assert answer.status_code in (400, 404, 409, 422), (asked, answer.text)
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["detail"]
        assert problem["remedy"]
        assert len(answer.content) < 2000
        assert problem.get("field") or answer.status_code == 400, problem

    refused()
    assert labels_of(quiet) == labels
    assert rows_of(quiet) == before


@pytest.mark.parametrize(
    ("call", "body", "field", "words"),
    [
        ("PUT /api/v1/stage", {"stage": "teacher"}, "run", "use text"),
        ("PUT /api/v1/stage", {"run": "a", "stage": "Teacher"}, "stage", "prerun, data, teacher, student, eval"),
        ("PUT /api/v1/stage", {"run": "a", "stage": "unattributed"}, "stage", "a name of your own"),
        ("PUT /api/v1/stage", {"run": "a", "stage": "x", "ttl_seconds": 0}, "ttl_seconds", "1 to 86400"),
        ("PUT /api/v1/stage", {"run": "a", "stage": "x", "devices": []}, "devices", "a list of 1 to 256"),
        ("PUT /api/v1/stage", {"run": "a", "stage": "x", "devices": ["gpu7"]}, "devices", "use gpu0"),
        ("PUT /api/v1/stage", {"run": "a", "stage": "x", "share": "yes"}, "share", "true or false"),
        ("PUT /api/v1/stage", {"run": "a", "stage": "x", "tll": 1}, "tll", "run, stage, phase, devices, ttl_seconds"),
        ("PUT /api/v1/runs/kd", {"labels": {"a\n": "b"}}, "labels.a\\n", "without control characters"),
        ("PUT /api/v1/runs/kd", {"idle_watts": {"gpu0": -1}}, "idle_watts.gpu0", "0 to 1000000"),
        ("PUT /api/v1/runs/kd", {"student": "x" * 257}, "student", "0 to 256 characters"),
        ("PUT /api/v1/runs/a%20b", {}, "run", "1 to 128 letters"),
        ("POST /api/v1/runs/kd/scores", {"benchmark": "b", "score": "high"}, "score", "a number"),
        ("POST /api/v1/runs/kd/scores", {"benchmark": "b", "score": 1, "n": 1.5}, "n", "a whole number from 1"),
        ("POST /api/v1/runs/kd/artifacts", {"artifact": "a", "kind": "k", "role": "eaten"}, "role", "produced or"),
        ("POST /api/v1/stage/x/heartbeat", {"tokens": {"words": 1}}, "tokens", "prompt, generated, cached"),
        ("POST /api/v1/stage/x/heartbeat", {"tokens": {"cached": -1}}, "tokens.cached", "a whole number from 0"),
        ("DELETE /api/v1/stage/x", {}, "id", "GET /api/v1/stage"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_field_and_what_it_takes(
    shared_exporter: Exporter, call: str, body: object, field: str, words: str
) -> None:
    method, path = call.split()
    answer = shared_exporter.http.request(method, path, json=body)
    problem = answer.json()
    assert answer.status_code in (404, 422)
    assert (problem["field"], words in problem["remedy"]) == (field, True), problem


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"run":"a","run":"b","stage":"x"}', "'run' is there twice"),
        (b'{"run":"a","stage":"x","ttl_seconds":NaN}', "NaN is no JSON number"),
        (b"[" * 50_000, "nested too deeply"),
        (b'{"run":"\\ud800","stage":"x"}', "surrogates"),
        (b"\xff\xff", "not JSON"),
        (b"run=a&stage=x", 'send e.g. {"run":"kd-1b","stage":"teacher"}'),
    ],
)
def test_what_is_no_json_is_told_with_an_example(shared_exporter: Exporter, body: bytes, words: str) -> None:
    answer = shared_exporter.http.put("/api/v1/stage", content=body)
    assert answer.status_code == 400
    assert words in answer.json()["detail"] + answer.json()["remedy"]


@pytest.fixture(scope="module")
def shared_exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One for all refusals: they change nothing."""
    folder: Path = tmp_path_factory.mktemp("refusals")
    exporter = Exporter(folder / "state", "--source", "replay").start()
    yield exporter
    exporter.http.close()
    exporter.kill()
