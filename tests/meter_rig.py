"""A meter on scripted devices with exactly known joules, whose clock moves when told."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joulemark.attribution.attribution import DeviceAccount
from joulemark.attribution.booking import Settlement
from joulemark.clock import ManualClock
from joulemark.exposition.page import Page
from joulemark.ledger.snapshot import Snapshot
from joulemark.ledger.state import StageRequest
from joulemark.meter.meter import Meter
from joulemark.sources.base import Reading
from joulemark.sources.replay import ReplaySource, Trace

WATTS = 200.0
TRACES = {"gpu0": Trace(((1.0, WATTS),)), "gpu1": Trace(((1.0, WATTS),))}


class Rig:
    """A meter on devices of 200 W each."""

    def __init__(self, folder: Path, traces: dict[str, Trace] | None = None, **options: Any) -> None:
        self.folder = folder
        self.traces = traces or TRACES
        self.clock = ManualClock()
        # What was added to the clock's boot when the driver was loaded anew, and when the counters began at 0.
        self.driver_loads = 0
        self.counter_start = 0.0
        self.page = Page("0.0.0")
        self.start(**options)

    def start(self, **options: Any) -> None:
        epoch = f"{self.clock.boot()}.{self.driver_loads}"
        source = ReplaySource(self.clock, self.traces, start=self.counter_start, epoch=epoch)
        self.meter = Meter([source], self.folder, self.clock, **options)

    def crash(self) -> None:
        """End without a last reading or commit, as SIGKILL does."""
        self.meter._store.close()

    def restart(self, **options: Any) -> None:
        self.crash()
        self.start(**options)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.clock.advance(0.1)
            self.meter.sample()
        self.meter.keep_up()

    def begin(self, run: str, stage: str, **fields: object) -> str:
        summary, _ = self.meter.begin(StageRequest(run, stage, **fields))  # type: ignore[arg-type]
        return str(summary["id"])

    def scrape(self) -> Snapshot:
        """What Prometheus does: get a picture and have seen it."""
        snapshot = self.meter.snapshot()
        self.meter.saw(snapshot)
        return snapshot

    def samples(self) -> dict[str, float]:
        """Every sample of /metrics by its text `name{labels}`."""
        lines = self.page.text(self.meter.snapshot(), openmetrics=False).decode().splitlines()
        rows = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}

    def joules(self) -> dict[tuple[str, str], float]:
        series = self.meter.snapshot().series
        return {(view.key.run, view.key.stage): sum(view.joules.values()) for view in series}

    def residual(self) -> float:
        return residual(self.meter.snapshot())


def apply(account: DeviceAccount, reading: Reading) -> Settlement:
    """Have an account take one reading and book it at once."""
    account.coming.add(reading)
    return account.settle(account.take(reading))


def residual(snapshot: Snapshot) -> float:
    """What the stages of any device miss of it, in joules."""
    worst = 0.0
    for device in snapshot.devices:
        stages = math.fsum(view.joules.get(device.device.name, 0.0) for view in snapshot.series)
        worst = max(worst, abs(stages - device.joules))
    return worst


def in_threads(*actions: Callable[[], object]) -> None:
    """Run actions side by side; an exception in one of them is raised here."""
    failed: list[BaseException] = []

    def guarded(action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
