"""How large /metrics is and how long a scrape takes on a node with hundreds of runs; the exporter on one core.

    python -m benchmarks.reliability.scrape [--runs 200] [--stages 6] [--gpus 8] [--scrapes 200]

The ledger is filled by a meter in virtual time: every run has every stage, every stage energy on every GPU, tokens,
a score and an artifact. Then a real exporter is started on it, one run is active on all GPUs, and it is scraped as
Prometheus does: OpenMetrics, with and without gzip. A switch before each scrape makes it write new text as well.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from joulemark.clock import ManualClock
from joulemark.ledger.state import StageRequest
from joulemark.meter.meter import Meter
from joulemark.sources.replay import ReplaySource, load_traces

from .exporter import Exporter, write_trace
from .record import Row, keep, show, table

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--stages", type=int, default=6)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--scrapes", type=int, default=200)
    parser.add_argument("--record", action="store_true", help="keep the figures in results/reliability.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trace = write_trace(Path(folder) / "trace.yml", options.gpus)
        fill(Path(folder) / "ledger", trace, options.runs, options.stages)
        exporter = Exporter(Path(folder), trace, "--keep-runs", str(options.runs))
        exporter.spawn()
        # One core, as promised; it must come before the threads do.
        os.sched_setaffinity(exporter.process.pid, {min(os.sched_getaffinity(0))})
        exporter.wait_until_ready()
        try:
            rows = _measure(exporter, options.scrapes)
        finally:
            exporter.stop()
    show(rows)
    if options.record:
        size = f"{options.runs} runs x {options.stages} stages x {options.gpus} GPUs"
        keep(f"A scrape of {size}, the exporter on one core", table(rows))


def fill(folder: Path, trace: Path, runs: int, stages: int) -> None:
    """A ledger of finished runs, made as an exporter makes it but in virtual time."""
    clock = ManualClock()
    meter = Meter([ReplaySource(clock, load_traces(trace), epoch="filled")], folder, clock, keep_runs=runs)
    for run in range(runs):
        name = f"distil-olmo2-1b-from-32b-seed{run:04d}"
        meter.declare(name, {"pipeline": "kd", "teacher": "OLMo-2-32B", "student": "OLMo-2-1B", "dataset": "tulu-3"})
        for stage in range(stages):
            window, _ = meter.begin(StageRequest(name, f"stage{stage}", phase="logit_caching"))
            for _ in range(8):
                clock.advance(0.1)
                meter.sample()
            meter.end(str(window["id"]), {"trained": 1000 + stage, "cached": 10})
        meter.score(name, "gsm8k", 0.41, 0.62, 1319)
        meter.artifact(name, f"sha256:{run:064x}", "logit_cache", "produced")
    for _ in range(40):
        clock.advance(0.1)
        meter.sample()
    meter.close()


def _measure(exporter: Exporter, scrapes: int) -> list[Row]:
    began = time.perf_counter()
    size, _ = _scrape(exporter.port, gzip=False)
    first = (time.perf_counter() - began) * 1e3
    exporter.ask("PUT", "/api/v1/stage", {"run": "active", "stage": "student"})
    rows = [
        ("page", f"{size / 1e6:.2f} MB, {len(exporter.scrape())} samples"),
        ("first scrape", f"{first:.0f} ms, all of it written anew"),
    ]
    for gzip in (False, True):
        times = []
        sent = 0
        for number in range(scrapes):
            exporter.ask("PUT", "/api/v1/stage", {"run": "active", "stage": f"stage{number % 5}"})
            sent, took = _scrape(exporter.port, gzip=gzip)
            times.append(took)
        times.sort()
        median, high = statistics.median(times), times[len(times) * 99 // 100]
        way = f"gzip, {sent / 1e6:.2f} MB" if gzip else "plain"
        rows.append((f"scrape, {way}", f"median {median:.1f} ms, 99th percentile {high:.1f} ms of {scrapes}"))
    return [*rows, ("memory", f"{resident_megabytes(exporter.process.pid):.0f} MB resident")]


def _scrape(port: int, *, gzip: bool) -> tuple[int, float]:
    """Bytes and milliseconds of one scrape, from the request to the last byte."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip" if gzip else "identity"}
    began = time.perf_counter()
    connection.request("GET", "/metrics", headers=headers)
    answer = connection.getresponse()
    raw = answer.read()
    took = (time.perf_counter() - began) * 1e3
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"/metrics answered {answer.status}: {json.dumps(raw.decode()[:300])}")
    return len(raw), took


def resident_megabytes(pid: int | str = "self") -> float:
    """Memory that a process has resident now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
