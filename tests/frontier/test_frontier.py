"""`joulemark frontier`: a real process between a Prometheus and whoever scrapes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest
from exporter_process import free_port
from hypothesis import given
from hypothesis import strategies as st
from prometheus_process import backfilled, sample
from scrape_headers import ACCEPT, is_taken

from joulemark import promql
from joulemark.frontier import frontier

# run -> origin, as_run and one_off joules, Q, tokens per second.
RUNS: dict[str, tuple[str, float, float | None, float | None, float | None]] = {
    "sft": ("measured", 100.0, 100.0, 0.5, 10.0),
    "kd": ("measured", 90.0, 150.0, 0.6, 20.0),
    "same": ("measured", 90.0, 150.0, 0.6, None),
    "dear": ("measured", 120.0, 160.0, 0.5, 30.0),
    "modelled": ("modelled", 1.0, 1.0, 0.1, None),
    "unscored": ("measured", 1.0, 1.0, None, None),
    "unknown": ("measured", 95.0, None, 0.9, None),
}
SCRAPED = {"site": "a"}


def page(at: float) -> str:
    lines = []
    for run, (origin, as_run, one_off, quality, rate) in RUNS.items():
        labels = {"run": run, **SCRAPED}
        values = [
            ("run_accounting:joulemark_energy_joules:sum", {"accounting": "as_run"}, as_run),
            ("run_accounting:joulemark_energy_joules:sum", {"accounting": "one_off"}, one_off),
            ("run:joulemark_quality:ratio", {}, quality),
            ("run:joulemark_tokens_per_second:ratio", {}, rate),
            ("run:joulemark_run_origin:info", {"origin": origin}, 1.0),
        ]
        lines += [sample(name, {**labels, **more}, value, at) for name, more, value in values if value is not None]
    return "\n".join(lines)


@contextmanager
def serving(prometheus: str, *options: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    address = f"127.0.0.1:{free_port()}"
    command = [
        sys.executable, "-c", "from joulemark.cli import main; main()", "frontier", "--prometheus", prometheus,
        "--web.listen-address", address, *options,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ})
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=30, trust_env=False) as http:
            _wait_until_ready(http, process)
            yield http, process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait_until_ready(http: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if http.get("/-/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the frontier is not ready")


def scrape(http: httpx.Client) -> dict[str, float]:
    lines = http.get("/metrics").raise_for_status().text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] not in "#")}


def flags(found: dict[str, float], accounting: str, metric: str = "joulemark_run_pareto_optimal") -> dict[str, float]:
    return {run: found[key] for run in RUNS if (key := f'{metric}{{accounting="{accounting}",run="{run}"}}') in found}


@pytest.mark.prometheus
def test_it_flags_each_accounting_apart_and_says_so_when_prometheus_goes(tmp_path: Path) -> None:
    with backfilled(tmp_path / "prometheus", page(time.time() - 5)) as url, serving(url) as (http, _):
        found = scrape(http)
        assert found["joulemark_frontier_up"] == 1
        assert flags(found, "as_run") == {"sft": 0, "kd": 1, "same": 1, "dear": 0, "modelled": 1, "unknown": 1}
        assert flags(found, "one_off") == {"sft": 1, "kd": 1, "same": 1, "dear": 0, "modelled": 1}
        third = flags(found, "one_off", "joulemark_run_pareto_optimal_with_throughput")
        assert third == {"sft": 1, "kd": 1, "dear": 1}, "the fastest is beaten by nobody"
        os.kill(_listener(url), signal.SIGSTOP)
        try:
            hung = scrape(http)
        finally:
            os.kill(_listener(url), signal.SIGCONT)
        assert hung == {"joulemark_frontier_up": 0}, "no flag of an earlier scrape"
        assert scrape(http)["joulemark_frontier_up"] == 1, "and it comes back by itself"


def _listener(url: str) -> int:
    """The process id of the test's own Prometheus, by the port it listens on."""
    port = url.rpartition(":")[2]
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "cmdline").read_bytes().decode()
            except OSError:
                continue
            if f"--web.listen-address=127.0.0.1:{port}" in text:
                return int(folder.name)
    raise AssertionError("no Prometheus")


def test_without_a_prometheus_it_serves_that_and_nothing_else() -> None:
    with serving(f"http://127.0.0.1:{free_port()}") as (http, process):
        assert scrape(http) == {"joulemark_frontier_up": 0}
        assert http.get("/").status_code == 200
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 0
    assert out.decode().count("up=0 reason=no Prometheus at") == 1


def test_every_prometheus_can_scrape_it_and_it_is_protected_as_configured(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(
        "basic_auth_users:\n  a: $2b$04$4SmCKvlyDdGeQ1PtQUFW5u4KCgAnxnPy4CoQKQkUdOVVZbAB8RHYG\n"
    )
    with serving(f"http://127.0.0.1:{free_port()}") as (http, _):
        for accept in ACCEPT.values():
            answer = http.get("/metrics", headers={"Accept": accept})
            assert is_taken(answer.headers["content-type"], answer.text)
    address = f"127.0.0.1:{free_port()}"
    command = [
        sys.executable, "-c", "from joulemark.cli import main; main()", "frontier", "--prometheus", "http://127.0.0.1:9",
        "--web.listen-address", address, "--web.config.file", str(tmp_path / "web.yml"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=30, trust_env=False) as http:
            deadline = time.monotonic() + 60
            status = 0
            while not status and process.poll() is None and time.monotonic() < deadline:
                try:
                    status = http.get("/metrics").status_code
                except httpx.TransportError:
                    time.sleep(0.05)
        assert status == 401
    finally:
        process.terminate()
        process.communicate(timeout=30)


rows = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=2),
    st.tuples(
        st.integers(0, 5), st.integers(0, 5) | st.none(), st.integers(0, 5) | st.none(), st.sampled_from(["m", "p"])
    ),
    max_size=10,
)


@given(rows)
def test_no_flagged_run_is_beaten_and_every_other_is(
    runs: dict[str, tuple[int, int | None, int | None, str]],
) -> None:
    def answer(url: str, query: str, timeout_seconds: float) -> list[promql.Sample]:
        del url, timeout_seconds
        if "run_accounting:" in query:
            return [({"run": run, "accounting": "one_off"}, float(row[0])) for run, row in runs.items()]
        if "origin" in query:
            return [({"run": run, "origin": row[3]}, 1.0) for run, row in runs.items()]
        axis = 1 if "quality" in query else 2
        return [({"run": run}, float(row[axis] or 0)) for run, row in runs.items() if row[axis] is not None]

    with patch.object(promql, "instant", answer):
        found = list(frontier.samples("http://prometheus", 1.0))
    for metric, axes in (("joulemark_run_pareto_optimal", 2), ("joulemark_run_pareto_optimal_with_throughput", 3)):
        flagged = {labels[0]: value for name, labels, value in found if name == metric}
        placed = {run: (row[:3][:axes], row[3]) for run, row in runs.items() if None not in row[:axes]}
        assert set(flagged) == set(placed)
        for run, (point, origin) in placed.items():
            rivals = [other for other, theirs in placed.values() if theirs == origin]
            assert flagged[run] == (not any(beats(other, point) for other in rivals))


def beats(one: tuple[int | None, ...], other: tuple[int | None, ...]) -> bool:
    pairs = [(a or 0, b or 0) for a, b in zip(one, other, strict=True)]
    gains = [pairs[0][1] - pairs[0][0], *(a - b for a, b in pairs[1:])]
    return min(gains) >= 0 and max(gains) > 0
