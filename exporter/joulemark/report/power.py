"""Power of runs over time, by stage, from the watts that Prometheus scraped."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from .. import promql
from ..promql import LOOKBACK, Curve

# More raw samples than this are not fetched; a curve is drawn with no more points than that.
_MOST_SAMPLES = 2_000_000
_POINTS = 600


@dataclass(frozen=True)
class PowerCurve:
    """Mean watts of a run in equal bins of time, by stage, all its devices together.

    `times` are the bins' beginnings in Unix seconds; None is a bin in which the stage held no device.
    """

    run: str
    step_seconds: float
    times: tuple[float, ...]
    watts: dict[str, tuple[float | None, ...]]


def power_curves(url: str, runs: Sequence[str], lookback: str = LOOKBACK) -> list[PowerCurve]:
    """The curves of those runs that Prometheus has samples of, in the order of `runs`. Raises PromQLError."""
    curves = []
    for run in runs:
        selector = f"joulemark_power_watts{{{promql.run_matcher([run])}}}"
        counted = promql.instant(url, f"sum(count_over_time({selector}[{lookback}]))")
        if counted and counted[0][1] <= _MOST_SAMPLES:
            curves += _curve(run, _once(promql.raw(url, f"{selector}[{lookback}]")))
    return curves


def _once(scraped: Sequence[Curve]) -> list[Curve]:
    """Each device's watts in each stage once, however many jobs scraped the exporter: the fullest series of each."""
    fullest: dict[tuple[str, ...], Curve] = {}
    for labels, points in scraped:
        host = labels.get("instance", "")
        key = (host, labels.get("device", ""), labels.get("stage", ""), labels.get("phase", ""))
        if key not in fullest or len(points) > len(fullest[key][1]):
            fullest[key] = (labels, points)
    return list(fullest.values())


def _curve(run: str, series: Sequence[Curve]) -> list[PowerCurve]:
    begin = min((points[0][0] for _, points in series if points), default=None)
    end = max((points[-1][0] for _, points in series if points), default=None)
    if begin is None or end is None or end <= begin:
        return []
    step = max(_usual_interval(series), (end - begin) / _POINTS)
    bins = math.floor((end - begin) / step) + 1
    watts: dict[str, list[float | None]] = {}
    for labels, points in series:
        sums = watts.setdefault(labels.get("stage", ""), [None] * bins)
        for index, value in _binned(points, begin, step).items():
            sums[index] = (sums[index] or 0.0) + value
    times = tuple(begin + number * step for number in range(bins))
    return [PowerCurve(run, step, times, {stage: tuple(values) for stage, values in watts.items()})]


def _binned(points: Sequence[tuple[float, float]], begin: float, step: float) -> dict[int, float]:
    """Mean by bin."""
    found: dict[int, list[float]] = {}
    for at, value in points:
        found.setdefault(math.floor((at - begin) / step), []).append(value)
    return {index: sum(values) / len(values) for index, values in found.items()}


def _usual_interval(series: Sequence[Curve]) -> float:
    """The usual time between two scrapes in seconds."""
    gaps = sorted(b[0] - a[0] for _, points in series for a, b in itertools.pairwise(points))
    return max(0.001, gaps[len(gaps) // 2]) if gaps else 1.0
