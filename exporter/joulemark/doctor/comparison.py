"""The energy counter against the power gauge integrated, over exactly the same time."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..errors import ReadFailed
from ..sources.base import Device, Reading, Source
from .facts import Comparison, Condition

_STEP_SECONDS = 0.02
# A gauge may be refreshed this seldom.
_REFRESH_SECONDS = 0.1
# What sampling may have missed is told with so many standard deviations.
_SIGMAS = 3.0


def watch(source: Source, device: Device, seconds: float, condition: Condition) -> Comparison:
    """Read counter and gauge side by side for so long, and compare what they say."""
    readings: list[Reading] = []
    failed = Counter[str]()
    made = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        made += 1
        try:
            reading = source.read(device)
            readings.append(reading)
            failed.update([reading.failed] if reading.failed else [])
        except ReadFailed as error:
            failed[error.reason] += 1
        time.sleep(_STEP_SECONDS)
    return replace(compare(readings, device.averaging_seconds, condition), readings=made, failed=dict(failed))


def compare(readings: Sequence[Reading], averaging: float, condition: Condition) -> Comparison:
    """Compare from the first refresh of the counter to the last; without one, integrate all that was sampled.

    A gauge that averages over `averaging` seconds speaks of the middle of them.
    """
    samples = [(r.steady - averaging / 2, r.watts) for r in readings if r.sensor and r.watts is not None]
    ticks = _ticks([r for r in readings if r.energy_joules is not None])
    if samples:
        ticks = [tick for tick in ticks if samples[0][0] <= tick[0] <= samples[-1][0]]
    counted = ticks[-1][1] - ticks[0][1] if len(ticks) > 1 else None
    begin, end = (ticks[0][0], ticks[-1][0]) if counted is not None else (_first(samples), _last(samples))
    integral = _integral(samples, begin, end)
    return Comparison(
        condition=condition,
        seconds=end - begin,
        counter_joules=counted,
        integral_joules=integral,
        sampling_joules=_sampling(samples),
        mean_watts=None if integral is None else integral / (end - begin),
        counter_read=any(r.energy_joules is not None for r in readings),
        readings=len(readings),
        answered=len(readings),
    )


def _sampling(samples: Sequence[tuple[float, float]]) -> float:
    """What the integral may be off by, in joules: power went from one sample's to the next at any time between."""
    pairs = itertools.pairwise(samples)
    steps = [(w1 - w0) * max(t1 - t0, _REFRESH_SECONDS) for (t0, w0), (t1, w1) in pairs]
    return _SIGMAS * math.sqrt(math.fsum(step**2 for step in steps) / 12)


def _ticks(readings: Sequence[Reading]) -> list[tuple[float, float]]:
    """Instants at which the counter was seen to move, midway between the looks around, and what it showed."""
    return [
        ((before.begin + after.end) / 2, after.energy_joules)
        for before, after in itertools.pairwise(readings)
        if after.energy_joules is not None and after.energy_joules != before.energy_joules
    ]


def _first(samples: Sequence[tuple[float, float]]) -> float:
    return samples[0][0] if samples else 0.0


def _last(samples: Sequence[tuple[float, float]]) -> float:
    return samples[-1][0] if samples else 0.0


def _integral(samples: Sequence[tuple[float, float]], begin: float, end: float) -> float | None:
    """Trapezoids between samples, cut at both ends; None without any time between."""
    if len(samples) < 2 or end <= begin:
        return None
    joules = 0.0
    for (t0, w0), (t1, w1) in itertools.pairwise(samples):
        a, b = max(t0, begin), min(t1, end)
        if b > a:
            slope = (w1 - w0) / (t1 - t0)
            joules += (b - a) * (w0 + slope * ((a + b) / 2 - t0))
    return joules
