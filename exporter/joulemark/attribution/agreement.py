"""Whether a device's two estimators agree: the energy counter against its power gauge integrated."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

# Over which time the two are compared, and which is the least that says anything.
WINDOW_SECONDS = 60.0
LEAST_SECONDS = 10.0
# From here on somebody should look: far above sampling error, at the size of a sensor's gain error.
ALERT_RATIO = 0.05
# What sampling may have missed is allowed for beside that, with so many standard deviations.
_SIGMAS = 3.0
# It must last for so long: power that nearly keeps step with its gauge looks wrong for moments.
_LASTING_SECONDS = 5.0


class Seen(NamedTuple):
    """Both totals in joules at an instant, and in joules squared what sampling left unknown of the integral."""

    steady: float
    energy_joules: float
    integral_joules: float
    variance: float = 0.0


class Agreement:
    """Compares two totals of one device over the last minute."""

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque()
        self._gap_seconds = 0.0
        self._alert = False
        # Since when it is not as was said last.
        self._otherwise: float | None = None

    def restart(self) -> None:
        """Begin anew: what was seen does not compare with what comes."""
        self._seen.clear()

    def note(self, seen: Seen | None, gap_seconds: float = 0.0) -> bool:
        """Take both totals, about once a second; true when they begin or cease to disagree. None: there are no two now.

        Over a gap the counter counts on and the gauge does not: it begins anew after one.
        """
        if seen is None:
            self.restart()
            return False
        if gap_seconds > self._gap_seconds:
            self.restart()
        self._gap_seconds = gap_seconds
        self._seen.append(seen)
        while seen.steady - self._seen[0].steady > WINDOW_SECONDS:
            self._seen.popleft()
        if self._disagree() == self._alert:
            self._otherwise = None
            return False
        self._otherwise = seen.steady if self._otherwise is None else self._otherwise
        if seen.steady - self._otherwise < _LASTING_SECONDS:
            return False
        self._alert, self._otherwise = not self._alert, None
        return True

    def _disagree(self) -> bool:
        """As before while nothing is known; back below well under the threshold only, so that it does not flap."""
        ratio, sampling = self.disagreement_ratio, self.sampling_ratio
        if ratio is None or sampling is None:
            return self._alert
        return ratio - sampling > ALERT_RATIO * (0.8 if self._alert else 1.0)

    @property
    def disagreement_ratio(self) -> float | None:
        """|integrated power / counter - 1| over the last minute; None before there is enough to compare."""
        gained = self._gained
        return None if gained is None else abs(gained.integral_joules / gained.energy_joules - 1)

    @property
    def sampling_ratio(self) -> float | None:
        """By how much of the energy of the last minute sampling alone may have the two apart; None as above."""
        gained = self._gained
        return None if gained is None else _SIGMAS * math.sqrt(max(0.0, gained.variance)) / gained.energy_joules

    @property
    def _gained(self) -> Seen | None:
        """What came in the last minute, `steady` being how long that was; None before there is enough to compare."""
        if not self._seen:
            return None
        gained = Seen(*(last - first for first, last in zip(self._seen[0], self._seen[-1], strict=True)))
        return gained if gained.steady >= LEAST_SECONDS and gained.energy_joules > 0 else None

    def __str__(self) -> str:
        return f"{'disagree' if self._alert else 'agree'} ratio={self.disagreement_ratio or 0.0:.3f}"
