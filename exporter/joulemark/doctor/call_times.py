"""How long the driver takes: each call of a reading alone, many times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from ..errors import ReadFailed
from .facts import CallTimes

# Calls that a median and a 99th percentile want, and the time that the driver is left alone between two of them.
_CALLS = 300
_PAUSE_SECONDS = 0.002


def time_calls(calls: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, CallTimes]:
    """Make each call up to 300 times, all of them in so many seconds at most."""
    return {name: _time_one(call, seconds / len(calls)) for name, call in calls.items()}


def _time_one(call: Callable[[], object], seconds: float) -> CallTimes:
    took: list[float] = []
    failed, reason = 0, ""
    until = time.monotonic() + seconds
    while len(took) + failed < _CALLS and time.monotonic() < until:
        began = time.perf_counter()
        try:
            call()
            took.append(time.perf_counter() - began)
        except ReadFailed as error:
            failed, reason = failed + 1, error.reason
        time.sleep(_PAUSE_SECONDS)
    if not took:
        return CallTimes(failed, failed, reason=reason)
    return CallTimes(len(took) + failed, failed, statistics.median(took), percentile(took, 0.99), reason)


def percentile(values: list[float], share: float) -> float:
    """The least value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.499) - 1))]
