"""A hub that is out of reach fails the phase that needs it, with the remedy; when it is back the next start goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from exporter_process import Exporter
from fake_hub import COMMIT, MODEL, Hub

from joulemark_workloads.config import cells_of, read_document
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.phases.record import Record
from joulemark_workloads.phases.sequence import run_phases


def test_a_hub_that_is_away_and_comes_back(
    make_exporter: Callable[..., Exporter],
    experiment_file: Callable[..., Path],
    tmp_path: Path,
    hub: ThreadingHTTPServer,
    asked: str,
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    (cell,) = cells_of(read_document(experiment_file("kd"), [f"teacher.model={MODEL}"]))

    def start() -> Record:
        return run_phases(cell, "r", tmp_path / "work", url=exporter.url)

    def failed(phase: str, stage: str) -> float:
        assert exporter.http.get("/api/v1/stage").json() == []
        windows = exporter.http.get("/api/v1/windows?run=r").json()
        assert {w["state"] for w in windows if f"{w['stage']}/{w['phase']}" == stage} == {"failed"}
        return float(exporter.http.get("/api/v1/runs/r").json()["joules"])

    with pytest.raises(
        WorkloadError, match=rf"{MODEL}' is not at hand, .*{asked} .* give a folder, .*the same command"
    ):
        start()
    spent = [failed("data", "data/")]

    hub.server_activate()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    Hub.lost = (".safetensors",)
    with pytest.raises(WorkloadError, match=rf"teacher: the hub at {asked} did not deliver .*goes on from there"):
        start()
    spent.append(failed("teacher", "teacher/load"))

    Hub.lost = ()
    record = start()
    assert record.has("eval")
    assert record.facts("data")["teacher"] == f"{MODEL}@{COMMIT}"
    spent.append(float(exporter.http.get("/api/v1/runs/r").json()["joules"]))
    assert 0 < spent[0] < spent[1] < spent[2]
    hub.shutdown()
