"""What became of a device's counter while the exporter was away: read on, or a gap, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..attribution.attribution import DeviceAccount
from ..attribution.power_integral import Holders
from ..sources.base import Device
from .state import State


@dataclass(frozen=True)
class Gap:
    """A stretch whose energy no counter tells; reason is reboot, driver_reload or source_changed.

    `held` is who held the device for how many seconds since the counter showed something for the last time.
    """

    reason: str
    seconds: float
    held: tuple[tuple[Holders, float], ...] = ()


def unread(known: DeviceAccount, device: Device, state: State, steady: float, wall: float) -> Gap | None:
    """The gap since a device was last read; None where its counter goes on from where it was."""
    if known.device.epoch == device.epoch and known.device.source == device.source:
        return None
    if state.rebooted or known.steady is None:
        # The steady clock began anew with the machine, so the wall clock must do.
        seconds = wall - state.seen_at.get(device.key, wall)
    else:
        seconds = steady - known.steady
    if state.rebooted:
        reason = "reboot"
    elif known.device.source != device.source:
        reason = "source_changed"
    else:
        reason = "driver_reload"
    seconds = max(0.0, seconds)
    return Gap(reason, seconds, (*_not_shown(known), (known.hand_overs.latest, seconds)))


def _not_shown(known: DeviceAccount) -> Iterator[tuple[Holders, float]]:
    """Who held it from the latest tick that is known up to the latest reading, and for how long."""
    shown, seen = known.coming.shown(known.device), known.coming.until(known.steady)
    if shown and seen is not None:
        yield from known.hand_overs.held(shown[-1].at, max(seen, known.hand_overs.latest_at))
