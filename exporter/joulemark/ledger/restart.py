"""What became of a device's counter while the exporter was away: read on, or a gap, and why."""

from __future__ import annotations

from dataclasses import dataclass

from ..attribution.attribution import DeviceAccount
from ..sources.base import Device
from .state import State


@dataclass(frozen=True)
class Gap:
    """A stretch whose energy no counter tells; reason is reboot, driver_reload or source_changed."""

    reason: str
    seconds: float


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
    return Gap(reason, max(0.0, seconds))
