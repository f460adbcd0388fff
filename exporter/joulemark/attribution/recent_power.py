"""What a device drew of late, by samples that tell of one set of holders alone; and several devices together."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable

# Samples further apart than this are not bridged: what happened between them is not known.
MAX_BRIDGE_SECONDS = 2.0
# So many samples of one device may come before another's next.
_MOST_SAMPLES = 64
# So many hand-overs may come before the counter's ticks around one are known.
_MOST_ENDS = 64


class RecentPower:
    """The latest samples of one device since it was handed over, oldest first.

    `latest` is when the latest of them was; minus infinity where none tells of these holders.
    """

    def __init__(self) -> None:
        self._held_since = self.latest = -math.inf
        self._samples: deque[tuple[float, float]] = deque(maxlen=_MOST_SAMPLES)
        self._mean_until = -math.inf
        # When those who held it before were followed by others, each with the last sample that tells of them.
        self._ends: deque[tuple[float, tuple[float, float] | None]] = deque(maxlen=_MOST_ENDS)

    def hand_over(self, at: float) -> None:
        """Others hold it from an instant on: what was drawn before is none of theirs."""
        self._ends.append((at, self._last))
        self._held_since, self.latest = at, -math.inf
        self._samples.clear()

    def see(self, at: float, watts: float, *, since: float) -> None:
        """Take a sample of an instant, which tells of the time since another."""
        if since < self._held_since or at <= self.latest:
            return
        if at - self.latest > MAX_BRIDGE_SECONDS:
            self._samples.clear()
        self._samples.append((at, watts))
        self.latest = at

    def see_mean(self, at: float, watts: float) -> None:
        """Take what was drawn on average since this was called before."""
        since, self._mean_until = self._mean_until, at
        self.see(at, watts, since=since)

    def last_watts(self, until: float) -> float | None:
        """The last sample of a gauge under whoever held the device until an instant, which may lie ahead.

        None where no sample tells of them, or only one of long before; and without a gauge.
        """
        last = next((sample for at, sample in self._ends if at >= until), self._last)
        if last is None or self._mean_until > -math.inf:
            return None
        age = until - last[0]
        return last[1] if 0 <= age <= MAX_BRIDGE_SECONDS or until == math.inf else None

    @property
    def _last(self) -> tuple[float, float] | None:
        return self._samples[-1] if self._samples else None

    @property
    def most_watts(self) -> float:
        """The highest of them, 0 without any."""
        return max([watts for _, watts in self._samples], default=0.0)

    def watts(self, at: float) -> float:
        """The power at an instant, linear between two samples; before the first and after the last the nearest."""
        later = self._samples[-1]
        for sample in itertools.islice(reversed(self._samples), 1, None):
            if later[0] <= at:
                break
            if sample[0] <= at:
                return sample[1] + (later[1] - sample[1]) * (at - sample[0]) / (later[0] - sample[0])
            later = sample
        return later[1]


def watts_together(devices: Iterable[RecentPower]) -> float:
    """The power of devices at the latest instant of which all tell; what tells nothing any more is left out.

    The latest samples of all of them would not do: of two devices that take turns both may have been high by then.
    """
    known = list(devices)
    newest = max([device.latest for device in known], default=-math.inf)
    heard_of = [device for device in known if newest - device.latest <= MAX_BRIDGE_SECONDS]
    at = min([device.latest for device in heard_of], default=0.0)
    return sum([device.watts(at) for device in heard_of])
