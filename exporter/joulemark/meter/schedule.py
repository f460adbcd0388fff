"""When a device is to be read next: slowly, and fast only around transitions and to learn the counter's beat."""

from __future__ import annotations

from ..attribution.attribution import DeviceAccount
from ..attribution.ticks import TickTracker

# Reading steps while the beat is learnt, and while a new sample of the power gauge is waited for, in seconds.
TRAINING_STEP = 0.002
GAUGE_STEP = 0.01
# Samples of a gauge are not wanted closer than this, in seconds.
_LEAST_SAMPLE = 0.015
# A beat known better than this part of a tick needs no close look around a boundary.
_EVEN = 0.02
# How far the regular interval is varied, and the step (golden ratio) that spreads it evenly.
_DITHER = 0.3
_GOLDEN = 0.6180339887498949


def dithered(interval: float, count: int) -> float:
    """The length in seconds of the interval number `count`, around `interval`.

    Readings at an even beat would fall into step with the counter's ticks, or with the training's own steps.
    """
    return interval * (1 + _DITHER * (count * _GOLDEN % 1.0 - 0.5))


def next_reading(account: DeviceAccount) -> float | None:
    """The instant of the next reading beside the regular ones, of the steady clock; None when those will do."""
    ticks, looked = account.ticks, account.looked
    if looked is None or account.failing:
        return None
    if not account.counting:
        return _next_sample(account, looked)
    if ticks.training:
        return looked + TRAINING_STEP
    if ticks.declared:
        return None
    coming = ticks.due_tick(looked)
    if account.unsettled:
        if coming is not None and ticks.proven and coming[1] <= _EVEN * ticks.seconds:
            return _between_ticks(ticks, looked)
        step = min(max(ticks.seconds / 40, 0.001), 0.005)
        if coming is None:
            return looked + step
        return max(looked + step, coming[0] - 3 * coming[1])
    if coming is not None and ticks.wants_check(looked):
        return max(looked + ticks.check_step(looked), coming[0] - 3 * coming[1])
    return None


def _next_sample(account: DeviceAccount, looked: float) -> float:
    """Where power is booked every refresh of its gauge counts, as far as they are not too many."""
    if account.gauge.wants_training(looked):
        return looked + TRAINING_STEP
    return account.gauge.next_look(looked, GAUGE_STEP if account.power.waiting else _LEAST_SAMPLE)


def _between_ticks(ticks: TickTracker, looked: float) -> float:
    """The next of one look a tick, well clear of it, so that every tick is seen alone: its instant the beat knows.

    Looks are on a grid that all devices of about one beat share, at a whole or a half step of it: what is due together
    is read together, and a processor that sleeps is woken once.
    """
    step = max(0.001, round(ticks.seconds, 3))
    behind, _ = ticks.lag((looked // step + 1) * step)
    clear = min(behind, ticks.seconds - behind) >= ticks.seconds / 4
    offset = 0.0 if clear else step / 2
    return ((looked - offset) // step + 1) * step + offset
