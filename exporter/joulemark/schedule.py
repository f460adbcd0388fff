"""When a device is to be read next: slowly, and fast only around transitions and to learn the counter's beat."""

from __future__ import annotations

from .attribution import DeviceAccount

# Reading steps while the beat is learnt, and while a new sample of the power gauge is waited for, in seconds.
TRAINING_STEP = 0.002
GAUGE_STEP = 0.01
# A beat known better than this part of a tick needs no close look around a boundary.
_EVEN = 0.02


def next_reading(account: DeviceAccount) -> float | None:
    """The instant of the next reading beside the regular ones, of the steady clock; None when those will do."""
    ticks, looked = account.ticks, account.looked
    if looked is None or account.failing:
        return None
    if not account.counting:
        return looked + GAUGE_STEP if account.power.waiting else None
    if ticks.training:
        return looked + TRAINING_STEP
    if ticks.declared:
        return None
    coming = ticks.due_tick(looked)
    if account.unsettled:
        if coming is not None and coming[1] <= _EVEN * ticks.seconds:
            # Every tick is seen by two looks, and its instant is known without.
            half = ticks.seconds / 2
            return (looked // half + 1) * half
        step = min(max(ticks.seconds / 40, 0.001), 0.005)
        if coming is None:
            return looked + step
        return max(looked + step, coming[0] - 3 * coming[1])
    if coming is not None and ticks.wants_check(looked):
        return max(looked + ticks.check_step(looked), coming[0] - 3 * coming[1])
    return None
