"""One look at a device: what is wanted of it, and what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from .clock import Clock
from .errors import ReadFailed
from .sources.base import Device, Reading, Source, Vitals

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What is wanted of a device: its counter, and its power gauge or its vitals where they are asked for."""

    device: Device
    source: Source
    power: bool = True
    vitals: bool = False


@dataclass(frozen=True)
class Found:
    """What came of a look, and how long the reading took in seconds."""

    device: Device
    outcome: Reading | ReadFailed
    seconds: float


# Takes what was found; and a device's vitals, which come after its reading so that they cannot hold that up.
Sink = Callable[[Found], None]
VitalsSink = Callable[[Device, Vitals | None], None]


def make(look: Look, clock: Clock) -> Found:
    """Make the reading that a look wants; whatever goes wrong with it is its outcome."""
    began = clock.steady()
    outcome: Reading | ReadFailed
    try:
        outcome = look.source.read(look.device, power=look.power)
    except ReadFailed as error:
        outcome = error
    except Exception as error:
        log.exception("device=%s reading failed in a way that nobody expects", look.device.name)
        outcome = ReadFailed("unexpected", repr(error))
    return Found(look.device, outcome, clock.steady() - began)
