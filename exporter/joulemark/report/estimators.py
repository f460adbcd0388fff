"""Which devices' two estimators, energy counter and sampled power, are further apart than sampling explains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from ..attribution.agreement import ALERT_RATIO
from ..run_record import RunRecord, StageRecord
from .rows import TOTAL

# A gauge may be refreshed this seldom: power that goes up and down about its mean is told that much worse.
_REFRESH_SECONDS = 0.1
# A gauge may average over so long (nvmlDeviceGetPowerUsage from Ampere on, NVML's documentation); no record says which
# do. The meter holds the first sample that tells of a window alone back to its beginning; a window that is shorter has
# none, so that all of its power may be of what ran before.
_AVERAGING_SECONDS = 1.0


class Apart(NamedTuple):
    """A stage (or TOTAL), the devices whose estimators are apart in it, and how far the worst of them are."""

    stage: str
    devices: tuple[str, ...]
    ratio: float


class _Held(NamedTuple):
    """What a device drew in a stage by either estimator, and for how long.

    `variance` in joules squared is what power that goes up and down leaves unknown where it is sampled, `bound_joules`
    the bound of `joules`; in `blurred_seconds` the gauge may have shown what ran before.
    """

    seconds: float
    joules: float
    integral_joules: float
    variance: float
    bound_joules: float
    blurred_seconds: float


def apart(record: RunRecord) -> list[Apart]:
    """Each stage with devices that are apart in it, then the run as a whole; each device by itself, so none hides."""
    by_stage: dict[str, dict[str, list[_Held]]] = {}
    whole: dict[str, list[_Held]] = {}
    for stage in record.stages:
        others = (other.windows for other in record.stages if other is not stage)
        for device, held in _held(stage, max(others, default=0)):
            by_stage.setdefault(stage.stage, {}).setdefault(device, []).append(held)
            whole.setdefault(device, []).append(held)
    most = {device: max(held.joules / held.seconds for held in all_held) for device, all_held in whole.items()}
    found = [_apart(name, devices, most) for name, devices in (*by_stage.items(), (TOTAL, whole))]
    return [one for one in found if one.devices]


def _held(stage: StageRecord, nested: int) -> Iterator[tuple[str, _Held]]:
    """The devices of a stage that have both estimators; up to `nested` windows of another stage may be inside it."""
    varied, bound = _variation(stage), stage.uncertainty_joules or 0.0
    for device, integral in stage.power_integral_joules_by_device.items():
        joules = stage.joules_by_device.get(device, 0.0)
        if stage.seconds and joules > 0:
            variance = varied * joules**2 * _REFRESH_SECONDS / stage.seconds
            # An average is late by half its length: at a window's end it lacks what power has risen by since.
            late = _AVERAGING_SECONDS / 2 * varied * joules / stage.seconds
            variance += max(1, stage.windows) * late**2
            blurred = _blurred_seconds(stage.seconds, stage.windows, nested)
            yield device, _Held(stage.seconds, joules, integral, variance, bound * joules / stage.joules, blurred)


def _blurred_seconds(seconds: float, windows: int, nested: int) -> float:
    """Seconds that windows shorter than an average may hold: of several all but one may be as short as that."""
    if seconds < _AVERAGING_SECONDS * (windows + nested):
        return seconds
    return _AVERAGING_SECONDS * max(0, windows - 1)


def _variation(stage: StageRecord) -> float:
    """How much power varied, as variance in parts of its mean squared: what its peak by the same gauge has room for."""
    sampled = math.fsum({**stage.joules_by_device, **stage.power_integral_joules_by_device}.values())
    if stage.peak_watts is None or not stage.seconds or sampled <= 0:
        return 1.0
    return max(0.0, stage.peak_watts * stage.seconds / sampled - 1)


def _apart(stage: str, devices: dict[str, list[_Held]], most: dict[str, float]) -> Apart:
    ratios = {device: _unexplained(held, most[device]) for device, held in devices.items()}
    found = {device: ratio for device, ratio in ratios.items() if ratio is not None}
    return Apart(stage, tuple(sorted(found)), max(found.values(), default=0.0))


def _unexplained(held: list[_Held], most_watts: float) -> float | None:
    """How far the two are apart, None where the threshold, bounds and what sampling may have missed leave room."""
    joules = math.fsum(one.joules for one in held)
    ratio = abs(math.fsum(one.integral_joules for one in held) / joules - 1)
    missed = math.sqrt(math.fsum(one.variance for one in held))
    missed += math.fsum(one.bound_joules + most_watts * one.blurred_seconds for one in held)
    return ratio if ratio > ALERT_RATIO + missed / joules else None
