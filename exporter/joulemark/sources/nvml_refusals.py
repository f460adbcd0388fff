"""GPUs whose energy counter this user may not read: told once each, until the counter answers."""

from __future__ import annotations

import logging

import pynvml

from .base import Device
from .nvml_calls import REFUSED, reason

log = logging.getLogger(__name__)

_REMEDY = (
    "power is sampled and integrated instead, with a wider bound, until the counter may be read: run as a user that "
    "may, give the container what it lacks, or ask whoever runs the vGPU host or cloud; see 'joulemark doctor'"
)


class Refusals:
    """Which GPUs' counters are refused, by key."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def reason(self, device: Device, error: pynvml.NVMLError) -> str:
        """Why a counter failed, as a label value; that it is refused goes to the log too."""
        why = reason(error)
        if why == REFUSED and device.key not in self.keys:
            self.keys.add(device.key)
            log.warning("device=%s event=counter_refused reason=%s: %s", device.name, why, _REMEDY)
        return why
