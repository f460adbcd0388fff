"""What memory a day of work takes: twenty-four hours in virtual time, memory told every few hours.

    python -m benchmarks.reliability.day [--hours 24] [--gpus 2]

A job switches stages every minute and sends token counts, a new run begins every ten minutes, everything is read once
a second, committed once a second and scraped every fifteen. Memory must be flat after the first hours: it ends with 1
when the last reading is more than a tenth above that after a quarter of the time.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from pathlib import Path

from joulemark.clock import ManualClock
from joulemark.exposition.page import Page
from joulemark.ledger.state import StageRequest
from joulemark.meter.meter import Meter
from joulemark.sources.replay import ReplaySource, load_traces

from .exporter import write_trace
from .killed_load import STAGES
from .record import keep, show, table
from .scrape import resident_megabytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--gpus", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="keep the figures in results/reliability.md")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trace = write_trace(Path(folder) / "trace.yml", options.gpus)
        clock = ManualClock()
        meter = Meter([ReplaySource(clock, load_traces(trace))], Path(folder) / "ledger", clock)
        day = Day(meter, clock)
        found = []
        rows = []
        for hour in range(options.hours):
            day.hour()
            found.append(resident_megabytes())
            if hour % max(1, options.hours // 8) == 0 or hour == options.hours - 1:
                page = f"{day.page_bytes / 1e3:.0f} kB"
                rows.append((f"after {hour + 1} h", f"{found[-1]:.1f} MB resident, page {page}"))
                show(rows[-1:])
        windows = len(meter.windows(100_000))
        size = (Path(folder) / "ledger" / "ledger.sqlite").stat().st_size
        meter.close()
    ends = [
        ("ledger", f"{windows} windows of {day.runs} runs, {size / 1e6:.1f} MB on disk"),
        ("residual", f"stages missed their device by at most {day.worst_residual:.2g} J at any scrape"),
        ("took", f"{time.monotonic() - began:.0f} s for {options.hours} h"),
    ]
    show(ends)
    if options.record:
        keep(f"Memory over {options.hours} hours in virtual time", table([*rows, *ends]))
    sys.exit(found[-1] > 1.1 * found[len(found) // 4])


class Day:
    """The work of a node, hour by hour."""

    def __init__(self, meter: Meter, clock: ManualClock) -> None:
        self.runs = 0
        self.page_bytes = 0
        self.worst_residual = 0.0
        self._meter = meter
        self._clock = clock
        self._page = Page("0.0.0")
        self._window = ""

    def hour(self) -> None:
        """One hour of it."""
        for second in range(3600):
            self._clock.advance(1.0)
            self._meter.sample()
            self._meter.keep_up()
            if second % 600 == 0:
                self._begin_run()
            if second % 60 == 0:
                self._switch(second)
            if second % 15 == 7:
                self._scrape()
        gc.collect()

    def _begin_run(self) -> None:
        if self._window:
            self._meter.end(self._window, {})
        self.runs += 1

    def _switch(self, second: int) -> None:
        stage = STAGES[second // 60 % len(STAGES)]
        window, _ = self._meter.begin(StageRequest(f"run-{self.runs}", stage, ttl_seconds=300))
        self._window = str(window["id"])
        self._meter.heartbeat(self._window, {"trained": second})

    def _scrape(self) -> None:
        snapshot = self._meter.snapshot()
        self.page_bytes = len(self._page.text(snapshot, openmetrics=True))
        self._meter.saw(snapshot)
        for device in snapshot.devices:
            stages = sum(view.joules.get(device.device.name, 0.0) for view in snapshot.series)
            self.worst_residual = max(self.worst_residual, abs(stages - device.joules))


if __name__ == "__main__":
    main()
