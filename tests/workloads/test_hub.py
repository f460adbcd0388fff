"""A hub that is out of reach fails the phase that needs it, with the remedy; when it is back the next start goes on."""

from __future__ import annotations

import hashlib
import threading
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from exporter_process import Exporter

from joulemark_workloads.config import cells_of, read_document
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.phases.record import Record
from joulemark_workloads.phases.sequence import run_phases

MODEL = "somebody/tiny-teacher"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """One model of a hub, as far as downloads ask for it; what is in `lost` breaks the connection."""

    folder: ClassVar[Path]
    lost: ClassVar[tuple[str, ...]] = ()

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        file = self.folder / self.path.rpartition("/")[2]
        if file.suffix in self.lost:
            self.close_connection = True
            return
        if not self.path.startswith(f"/{MODEL}/resolve/") or not file.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = file.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def hub(teacher_folder: Path) -> Iterator[ThreadingHTTPServer]:
    """A hub that has a port and does not answer there until it is served."""
    Hub.folder, Hub.lost = teacher_folder, ()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub, bind_and_activate=False)
    server.server_bind()
    yield server
    server.server_close()


@pytest.fixture
def asked(hub: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """This process asks that hub, keeps nothing elsewhere, and does not wait between two tries."""
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.utils._http.time", types.SimpleNamespace(sleep=lambda _: None))
    return endpoint


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
