"""How often an energy counter refreshes: watched closely for some seconds."""

from __future__ import annotations

import itertools
import statistics
import time

from ..attribution.ticks import TickTracker
from ..errors import ReadFailed
from ..sources.base import Device, Reading, Source
from .facts import TickTimes

# The counter is asked so often: several times in the shortest refresh known, 10 ms.
_STEP_SECONDS = 0.001
# Intervals between refreshes that a period needs.
_LEAST_INTERVALS = 3
# Looks that are further apart than this part of the time between refreshes do not tell it.
_TELLING = 0.55
# Seen for too short a time to be learnt, a beat is even when its intervals stray by less than this part of it.
_EVEN = 0.1


def watch_ticks(source: Source, device: Device, seconds: float) -> TickTimes | None:
    """Watch the counter of a device; None where it does not refresh often enough to tell, or cannot be read."""
    if device.tick_seconds:
        return TickTimes(device.tick_seconds, declared=True)
    readings = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            reading = source.read(device, power=False)
        except ReadFailed:
            time.sleep(0.05)
            continue
        if reading.energy_joules is not None:
            readings.append(reading)
        time.sleep(_STEP_SECONDS)
    return tick_times(readings)


def tick_times(readings: list[Reading]) -> TickTimes | None:
    """Period and jitter from close looks at a counter, as the meter itself learns them."""
    tracker = TickTracker()
    seen: list[tuple[float, float]] = []
    for before, reading in itertools.pairwise([None, *readings]):
        assert reading is not None
        assert reading.energy_joules is not None
        moved = tracker.see(reading.begin, reading.end, reading.energy_joules) is not None
        if moved and before is not None:
            seen.append(((before.begin + reading.end) / 2, reading.end - before.begin))
    intervals = [b - a for (a, _), (b, _) in itertools.pairwise(seen)]
    if len(intervals) < _LEAST_INTERVALS:
        return None
    period, spread = statistics.median(intervals), statistics.stdev(intervals)
    resolution = statistics.median(width for _, width in seen)
    return TickTimes(
        seconds=period if resolution < _TELLING * period else None,
        jitter_seconds=tracker.jitter if tracker.locked else spread,
        even=tracker.locked or (tracker.training and spread < _EVEN * period),
        ticks=len(seen),
        resolution_seconds=resolution,
    )
