"""How many transitions a second an exporter makes durable for so many clients at once, and whether every joule stays.

    python -m benchmarks.reliability.transitions [--clients 16] [--seconds 20]

Each client is a job with a device and a connection of its own that does nothing but switch its stage; each answer
means that the transition is on disk. Ends with 1 when a counter fell, stages miss their device, or a transition that
was answered is not in the ledger.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from .exporter import Exporter, write_trace
from .killed_load import STAGES, residual
from .record import Row, keep, show, table


class Switcher(threading.Thread):
    """Switches one run's stage until the deadline; keeps how long each answer took."""

    def __init__(self, port: int, number: int, deadline: float) -> None:
        super().__init__(name=f"switcher-{number}")
        self.milliseconds: list[float] = []
        self.windows: list[str] = []
        self._port = port
        self._number = number
        self._deadline = deadline

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        body = {"run": f"run-{self._number}", "devices": [f"gpu{self._number}"], "ttl_seconds": 60}
        while time.monotonic() < self._deadline:
            began = time.perf_counter()
            stage = STAGES[len(self.windows) % len(STAGES)]
            connection.request("PUT", "/api/v1/stage", json.dumps({**body, "stage": stage}))
            answer = connection.getresponse()
            raw = answer.read()
            if answer.status != 200:
                raise SystemExit(f"PUT /stage answered {answer.status}: {raw.decode()}")
            self.milliseconds.append((time.perf_counter() - began) * 1e3)
            self.windows.append(json.loads(raw)["id"])
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--record", action="store_true", help="keep the figures in results/reliability.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        exporter = Exporter(Path(folder), write_trace(Path(folder) / "trace.yml", options.clients))
        exporter.spawn()
        exporter.wait_until_ready()
        try:
            rows, faults = _measure(exporter, options.clients, options.seconds)
        finally:
            exporter.stop()
    show([*rows, *(("FAULT", fault) for fault in faults[:10])])
    if options.record:
        keep("Transitions", table(rows))
    sys.exit(bool(faults))


def _measure(exporter: Exporter, clients: int, seconds: float) -> tuple[list[Row], list[str]]:
    before, began = exporter.scrape(), time.monotonic()
    switchers = [Switcher(exporter.port, number, began + seconds) for number in range(clients)]
    for switcher in switchers:
        switcher.start()
    for switcher in switchers:
        switcher.join()
    took = time.monotonic() - began
    after = exporter.scrape()
    times = sorted(ms for switcher in switchers for ms in switcher.milliseconds)
    windows = [window for switcher in switchers for window in switcher.windows]
    faults = _faults(exporter.ledger, windows, before, after)
    high = times[len(times) * 99 // 100]
    rows = [
        ("transitions", f"{len(times) / took:.0f} a second from {clients} clients, {len(times)} in {took:.0f} s"),
        ("answers", f"median {statistics.median(times):.1f} ms, 99th percentile {high:.1f} ms"),
        ("conservation", f"stages miss their device by {residual(after):.2g} J at most; {len(faults)} faults"),
    ]
    return rows, faults


def _faults(ledger: Path, windows: list[str], before: dict[str, float], after: dict[str, float]) -> list[str]:
    """What does not hold of the ledger and of two scrapes."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        kept = {row[0] for row in db.execute("SELECT id FROM window")}
    faults = [f"window {window} was answered and is not there" for window in windows if window not in kept]
    if len(kept) != len(windows):
        faults.append(f"{len(windows)} transitions were answered, {len(kept)} windows are in the ledger")
    if residual(after) > 1e-3:
        faults.append(f"stages miss their device by {residual(after)} J")
    counters = (name for name in before if name.partition("{")[0].endswith("_total"))
    return faults + [f"{name} fell" for name in counters if after.get(name, 0.0) < before[name]]


if __name__ == "__main__":
    main()
