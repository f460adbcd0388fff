"""Time as the meter sees it, injected so that tests never sleep."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """A steady clock for attribution and a wall clock for display."""

    def steady(self) -> float:
        """Seconds that never go back and include suspended time; comparable within one boot."""

    def wall(self) -> float:
        """Seconds since the Unix epoch."""

    def boot(self) -> str:
        """The identity of the boot during which `steady` is comparable."""


class SystemClock:
    """CLOCK_BOOTTIME for attribution, so that a step of the wall clock moves no joule."""

    wall = staticmethod(time.time)

    def __init__(self) -> None:
        # They are looked at some times with every reading: a function of Python's own in between would cost more.
        self.steady = functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME)
        path = Path("/proc/sys/kernel/random/boot_id")
        self._boot = path.read_text().strip() if path.exists() else "unknown"

    def boot(self) -> str:
        return self._boot


class ManualClock:
    """A clock that moves only when told: for tests and scripted traces."""

    def __init__(self, start: float = 1000.0, boot: str = "boot-1") -> None:
        self.now = start
        self.boot_id = boot

    def steady(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def boot(self) -> str:
        return self.boot_id

    def advance(self, seconds: float) -> None:
        """Move both clocks on by so many seconds."""
        self.now += seconds
