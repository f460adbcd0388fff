"""The sampler reads by its own thread, and goes on by another when a driver call does not return."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from joulemark.clock import SystemClock
from joulemark.meter import Meter
from joulemark.sampler import Sampler
from joulemark.sources.base import Device, Reading, Vitals

PATIENCE_SECONDS = 20.0


class StuckSource:
    """Three devices of 100 W; a call for the middle one does not return while it is `stuck`."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self.stuck = threading.Event()
        self.released = threading.Event()
        self.reads = Counter[str]()
        self.threads = dict[str, str]()

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(Device(f"gpu{i}", f"GPU-{i}", "nvml_counter", tick_seconds=0.001) for i in range(3))

    def read(self, device: Device, *, power: bool = True) -> Reading:
        if device.name == "gpu1" and self.stuck.is_set():
            self.released.wait()
        self.reads[device.name] += 1
        self.threads[device.name] = threading.current_thread().name
        now = self._clock.steady()
        return Reading(now, 100.0 * now, 100.0, sensor=True)

    def vitals(self, device: Device) -> Vitals | None:
        return None

    def recover(self, failing: frozenset[str]) -> None:
        return None

    def close(self) -> None:
        return None


@pytest.fixture
def source() -> StuckSource:
    return StuckSource(SystemClock())


@pytest.fixture
def meter(source: StuckSource, tmp_path: Path) -> Iterator[Meter]:
    clock = SystemClock()
    meter = Meter([source], tmp_path, clock, threads=True)
    sampler = Sampler(meter, clock, 0.02)
    sampler.start()
    yield meter
    source.released.set()
    sampler.stop()
    meter.close()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def more_reads_of(source: StuckSource, *names: str) -> None:
    """Wait for ten more readings of each of these devices."""
    before = source.reads.copy()
    wait_until(lambda: all(source.reads[name] >= before[name] + 10 for name in names))


def test_quick_devices_are_read_by_the_sampler_itself(source: StuckSource, meter: Meter) -> None:
    more_reads_of(source, "gpu0", "gpu1", "gpu2")
    assert set(source.threads.values()) == {"joulemark-sampler"}


def test_a_call_that_does_not_return_holds_up_no_other_device(source: StuckSource, meter: Meter) -> None:
    more_reads_of(source, "gpu0", "gpu1", "gpu2")
    source.stuck.set()
    stuck_at = source.reads["gpu1"]
    more_reads_of(source, "gpu0", "gpu2")
    assert source.reads["gpu1"] <= stuck_at + 1
    wait_until(lambda: not {view.device.name: view.health.up for view in meter.fleet.views()}["gpu1"])
    assert sum(thread.name == "joulemark-sampler" for thread in threading.enumerate()) == 2


def test_when_the_call_returns_the_device_is_read_on_and_one_sampler_is_left(source: StuckSource, meter: Meter) -> None:
    more_reads_of(source, "gpu1")
    source.stuck.set()
    more_reads_of(source, "gpu0", "gpu2")
    source.stuck.clear()
    source.released.set()
    more_reads_of(source, "gpu0", "gpu1", "gpu2")
    wait_until(lambda: sum(thread.name == "joulemark-sampler" for thread in threading.enumerate()) == 1)
    views = {view.device.name: view for view in meter.fleet.views()}
    assert all(view.health.up for view in views.values())
    # Each was read on without a joule lost or doubled: all three counters show the same.
    meter.sample()
    joules = [view.joules for view in meter.fleet.views()]
    assert joules == pytest.approx([joules[0]] * 3, abs=20.0)
