"""Exporter, a real Prometheus and this repository's rules together: PromQL knows what the ledger knows."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from board_files import boards, defaults, queries, substituted
from exporter_process import free_port

ROOT = Path(__file__).parents[1]
BINARY = str(Path(sys.executable).with_name("joulemark"))

pytestmark = [
    pytest.mark.prometheus,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is not installed: apt-get install prometheus"
    ),
]


class Checkout:
    """A folder with this repository's Prometheus configuration, in which a stack runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "prometheus").symlink_to(ROOT / "prometheus")
        self.port = free_port()
        self.env = {**os.environ, "JOULEMARK_PORT": str(self.port), "JOULEMARK_SOURCE": "replay", "COLUMNS": "200"}
        self.env["PROMETHEUS_PORT"] = str(free_port())
        self.http = httpx.Client(timeout=10, trust_env=False)

    def stack(self, command: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "joulemark_workloads.stack", command]
        return subprocess.run(argv, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=90)

    @property
    def running(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.folder / ".joulemark" / "stack.json").read_text())
        return state

    def api(self, method: str, path: str, **fields: Any) -> Any:
        answer = self.http.request(method, f"http://127.0.0.1:{self.port}/api/v1{path}", json=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def query(self, text: str) -> list[dict[str, Any]]:
        answer = self.http.get(f"{self.running['prometheus_url']}/api/v1/query", params={"query": text}).json()
        assert answer["status"] == "success", answer
        rows: list[dict[str, Any]] = answer["data"]["result"]
        return rows

    def wait_for(self, text: str, value: float) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            rows = self.query(text)
            if rows and float(rows[0]["value"][1]) == pytest.approx(value, rel=1e-9):
                return
            time.sleep(0.2)
        raise AssertionError(f"{text} is {self.query(text)}, not {value}")

    def wait_for_any(self, text: str) -> None:
        """Wait for an answer: some groups of rules follow only every 15 s, and some of those on others."""
        deadline = time.monotonic() + 60
        while not self.query(text):
            assert time.monotonic() < deadline, text
            time.sleep(0.2)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path)
    yield checkout
    checkout.http.close()
    checkout.stack("down")


@contextmanager
def restarted(checkout: Checkout) -> Iterator[None]:
    """An exporter on the ledger that the killed one has left."""
    process = subprocess.Popen(
        [BINARY, "serve", "--web.listen-address", f"127.0.0.1:{checkout.port}", "--state-dir", ".joulemark/ledger"],
        cwd=checkout.folder,
        env=checkout.env,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                checkout.http.get(f"http://127.0.0.1:{checkout.port}/-/ready")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def assert_promql_agrees(checkout: Checkout, record: dict[str, Any]) -> None:
    """Prometheus knows of the run what its record says, and counted on through the kill."""
    for stage in record["stages"]:
        query = f'run_stage:joulemark_energy_joules:sum{{run="kd-1",stage="{stage["stage"]}"}}'
        checkout.wait_for(query, stage["joules"])
    checkout.wait_for('run:joulemark_energy_joules:sum{run="kd-1"}', record["joules"])
    checkout.wait_for('run:joulemark_energy_joules_per_token:ratio{run="kd-1"}', record["joules"] / 1000)
    (row,) = checkout.query("joulemark_build_info")
    assert row["metric"]["instance"] == "127.0.0.1:9871"
    checkout.wait_for("max(device:joulemark_energy_residual_joules:abs) < bool 1e-6", 1.0)
    (row,) = checkout.query('resets(joulemark_device_energy_joules_total{device="gpu0"}[1m])')
    assert float(row["value"][1]) == 0


def assert_board_answers(checkout: Checkout) -> None:
    board = boards()["pipelines"]
    for asked in queries("pipelines", board):
        # Curves of stages that do not run are empty, and no zone and no price are configured.
        if asked.instant and asked.ref_id not in ("F", "G"):
            checkout.wait_for_any(substituted(asked.expr, defaults(board)))


def assert_reported(checkout: Checkout) -> None:
    argv = [BINARY, "report", "kd-1", "--url", f"http://127.0.0.1:{checkout.port}", "--output", "report"]
    argv += ["--prometheus", checkout.running["prometheus_url"]]
    report = subprocess.run(argv, cwd=checkout.folder, env=checkout.env, capture_output=True, text=True)
    assert report.returncode == 0, report.stderr
    assert "100.00" in report.stdout
    assert "MODELLED" in report.stdout
    for name in ("index.html", "stage_breakdown.png", "energy_quality.png"):
        assert (checkout.folder / "report" / name).stat().st_size > 1000


def test_promql_knows_each_stage_as_the_ledger_does_through_a_killed_exporter(checkout: Checkout) -> None:
    up = checkout.stack("up")
    assert up.returncode == 0, up.stdout + up.stderr
    assert up.stdout.count("Queries worth trying") == 1
    checkout.api("PUT", "/runs/kd-1", pipeline="kd")
    checkout.api("PUT", "/stage", run="kd-1", stage="teacher", phase="logit_caching", ttl_seconds=60)
    time.sleep(3)
    window = checkout.api("PUT", "/stage", run="kd-1", stage="student", ttl_seconds=60)["id"]
    time.sleep(2)
    os.kill(checkout.running["exporter_pid"], signal.SIGKILL)
    time.sleep(1)
    with restarted(checkout):
        time.sleep(2)
        checkout.api("DELETE", f"/stage/{window}", tokens={"trained": 1000})
        checkout.api("POST", "/runs/kd-1/scores", benchmark="gsm8k", score=0.41, reference=0.62, n=1319)
        time.sleep(0.5)
        record = checkout.api("GET", "/runs/kd-1")
        assert [stage["stage"] for stage in record["stages"]] == ["teacher", "student"]
        assert_promql_agrees(checkout, record)
        assert_board_answers(checkout)
        assert_reported(checkout)


def test_a_prometheus_that_cannot_listen_is_named_and_nothing_is_left_running(checkout: Checkout) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(checkout.env["PROMETHEUS_PORT"])))
        taken.listen()
        up = checkout.stack("up")
    assert up.returncode == 2
    assert "set PROMETHEUS_PORT to another" in up.stdout
    assert not (checkout.folder / ".joulemark" / "stack.json").exists()
    with pytest.raises(httpx.TransportError):
        checkout.http.get(f"http://127.0.0.1:{checkout.port}/-/ready")


def test_without_prometheus_the_stack_goes_on_and_says_how_to_get_one(checkout: Checkout) -> None:
    checkout.env["PATH"] = str(Path(sys.executable).parent)
    up = checkout.stack("up")
    assert up.returncode == 0
    assert "apt-get install prometheus" in up.stdout
    assert checkout.running["prometheus_url"] is None
    down = checkout.stack("down")
    assert "ledger is committed" in down.stdout


def test_a_stopped_demo_stops_everything_it_started(checkout: Checkout) -> None:
    (checkout.folder / "configs").symlink_to(ROOT / "configs")
    # As a script's job in the background is started.
    command = ["sh", "-c", 'trap "" INT QUIT; exec "$@"', "background", sys.executable, "-m"]
    demo = subprocess.Popen(
        [*command, "joulemark_workloads.demo", "--config", "configs/tiny.yaml"],
        cwd=checkout.folder,
        env=checkout.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert demo.stdout
    for line in demo.stdout:
        if b"sft-1 (1 of" in line:
            break
    pids = [checkout.running["exporter_pid"], checkout.running["prometheus_pid"]]
    time.sleep(3)
    demo.send_signal(signal.SIGTERM)
    output = demo.stdout.read().decode()
    demo.stdout.close()
    assert demo.wait(timeout=60) == 130
    assert "What was measured is in the ledger" in output
    assert "Traceback" not in output
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert (checkout.folder / ".joulemark" / "ledger" / "ledger.sqlite").exists()
