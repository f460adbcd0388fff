"""The API is what /openapi.json says: every status, every answer, every refusal, for valid and broken requests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from exporter_process import Exporter

from joulemark.api.answers import WindowSummary

ROOT = Path(__file__).parents[2]


def test_no_request_gets_a_server_error_or_an_answer_off_the_schema() -> None:
    command = [sys.executable, "-m", "benchmarks.reliability.fuzz", "--requests", "400", "--seed", "7"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " 0 server errors" in ran.stdout
    assert re.search(r"conservation +holds", ran.stdout)


def test_every_call_documents_how_it_refuses(exporter: Exporter) -> None:
    spec = exporter.http.get("/openapi.json").json()
    for path, calls in spec["paths"].items():
        for method, call in calls.items():
            wanted = {"200", "401", "403", "429", "503"}
            wanted |= {"400", "408", "413", "422"} if method != "get" else set()
            assert wanted <= set(call["responses"]), (method, path)
            bodiless = method == "get" or (method, path) == ("delete", "/api/v1/runs/{run}")
            assert ("requestBody" in call) == (not bodiless), (method, path)
            assert call["responses"]["200"]["content"]["application/json"]["schema"], (method, path)


def test_an_answer_leaves_nothing_of_a_window_out(exporter: Exporter) -> None:
    window = exporter.put_stage("kd", "teacher")
    assert set(window) == {*WindowSummary.model_fields, "ended", "also_ended"}
    listed = exporter.http.get("/api/v1/windows").json()
    assert [set(x) for x in listed] == [set(WindowSummary.model_fields)]


def test_405_names_all_that_may_be_done_there(exporter: Exporter) -> None:
    for path, allowed in (("/api/v1/stage", "GET, PUT"), ("/api/v1/runs/kd", "DELETE, GET, PUT"), ("/metrics", "GET")):
        answer = exporter.http.patch(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_the_last_windows_are_listed_newest_first_and_by_run(exporter: Exporter) -> None:
    for run, stage in (("a", "data"), ("a", "teacher"), ("a", "student")):
        exporter.put_stage(run, stage)
    found = exporter.http.get("/api/v1/windows").json()
    assert [x["stage"] for x in found] == ["student", "teacher", "data"]
    assert [x["state"] for x in found] == ["active", "replaced", "replaced"]
    assert [x["stage"] for x in exporter.http.get("/api/v1/windows?limit=1").json()] == ["student"]
    assert exporter.http.get("/api/v1/windows?run=b").json() == []
    refused = exporter.http.get("/api/v1/windows?limit=0")
    assert (refused.status_code, refused.json()["field"]) == (422, "limit")
