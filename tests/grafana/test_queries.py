"""Every query of every board, as committed, is read by a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from exporter_process import free_port

BOARDS = Path(__file__).parents[2] / "grafana" / "dashboards"
# What Grafana puts in for a variable: all values, one value, several values.
CHOICES = (".*", "kd-1", "(kd-1|sft-1)")

pytestmark = [
    pytest.mark.prometheus,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is not installed: apt-get install prometheus"
    ),
]


def panel_queries() -> list[str]:
    boards = [json.loads(path.read_text()) for path in sorted(BOARDS.glob("*.json"))]
    return [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]


def variable_selectors() -> list[str]:
    """The selectors inside `label_values(selector, label)`."""
    boards = [json.loads(path.read_text()) for path in sorted(BOARDS.glob("*.json"))]
    variables = [variable for board in boards for variable in board["templating"]["list"]]
    asked = [str(variable["query"]) for variable in variables if variable["type"] == "query"]
    return [re.fullmatch(r"label_values\((.+), \w+\)", query)[1] for query in asked]  # type: ignore[index]


def substituted(query: str, choice: str) -> str:
    for name, value in (("$__range", "3600s"), ("$__rate_interval", "15s")):
        query = query.replace(name, value)
    return re.sub(r"\$\{?(run|job|instance)\b\}?", choice, query)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus that has scraped nothing."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text("{}\n")
    port = free_port()
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
            _wait_until_ready(client, process)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "prometheus ended"
        try:
            if client.get("/-/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("prometheus not ready in 30 s")


def ask(prometheus: httpx.Client, query: str) -> dict[str, Any]:
    answer: dict[str, Any] = prometheus.get("/api/v1/query", params={"query": query}).json()
    return answer


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("query", [*panel_queries(), *variable_selectors()])
def test_prometheus_reads_the_query(prometheus: httpx.Client, query: str, choice: str) -> None:
    asked = substituted(query, choice)
    assert "$" not in asked, asked
    answer = ask(prometheus, asked)
    assert answer["status"] == "success", (asked, answer)


def test_a_broken_query_would_be_found(prometheus: httpx.Client) -> None:
    assert ask(prometheus, "sum by (run (x)")["status"] == "error"
