"""A window: one stretch of one stage of one run on a set of devices. And what all windows of a series add up to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from ..attribution.booking import Booking

ACTIVE, SUSPENDED = "active", "suspended"
ENDED, FAILED, REPLACED, EXPIRED = "ended", "failed", "replaced", "expired"
OPEN_STATES = (ACTIVE, SUSPENDED)


class SeriesKey(NamedTuple):
    """What energy is counted by, beside the device."""

    run: str
    stage: str
    phase: str


@dataclass
class Totals:
    """Energy of a window or a series: joules by device key, seconds, tokens by kind.

    `variance` (joules squared) is what errors of either sign leave unknown, `bound_joules` what may be missing: without
    end for imported energy, of which nobody here knows how sure it is.
    """

    joules: dict[str, float] = field(default_factory=dict)
    integral_joules: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    variance: float = 0.0
    bound_joules: float = 0.0
    peak_watts: float = 0.0
    tokens: dict[str, int] = field(default_factory=dict)

    @property
    def uncertainty_joules(self) -> float:
        """The bound y of `x ± y J`: three standard deviations and all that may be missing, in joules."""
        return 3.0 * math.sqrt(max(0.0, self.variance)) + max(0.0, self.bound_joules)

    @property
    def known_bound_joules(self) -> float | None:
        """The bound, None for imported energy."""
        return self.uncertainty_joules if math.isfinite(self.uncertainty_joules) else None

    @property
    def known_seconds(self) -> float | None:
        """The seconds, None for imported energy whose source does not say how long it took."""
        return None if self.known_bound_joules is None and not self.seconds else self.seconds

    def book(self, device: str, booking: Booking, *, sensor: bool) -> None:
        """Add energy of one device; `sensor` says that it has a second estimator."""
        self.joules[device] = self.joules.get(device, 0.0) + booking.joules
        if sensor:
            self.integral_joules[device] = self.integral_joules.get(device, 0.0) + booking.integral_joules
        self.variance += booking.variance
        self.bound_joules += booking.bound_joules


@dataclass
class Window:
    """One window. Steady times are the clock's, `_at` times are Unix time for display."""

    id: str
    key: SeriesKey
    devices: list[str]
    started_at: float
    state: str = ACTIVE
    share: bool = False
    shared: bool = False
    parent: str | None = None
    lease_seconds: float | None = None
    lease_until: float | None = None
    ended_at: float | None = None
    # Since when it holds a device without a break; None while suspended or ended.
    running_since: float | None = None
    totals: Totals = field(default_factory=Totals)

    @property
    def is_open(self) -> bool:
        """Whether it can still hold a device."""
        return self.state in OPEN_STATES

    def run_for(self, steady: float) -> float:
        """Count the seconds up to `steady` and return those added."""
        if self.running_since is None:
            return 0.0
        seconds = max(0.0, steady - self.running_since)
        self.running_since = max(steady, self.running_since)
        self.totals.seconds += seconds
        return seconds

    def renew(self, steady: float) -> None:
        """Put the lease's end off by its full length."""
        if self.lease_seconds is not None:
            self.lease_until = steady + self.lease_seconds
