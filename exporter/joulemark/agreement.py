"""Whether a device's two estimators agree: the energy counter against its power gauge integrated."""

from __future__ import annotations

from collections import deque

# Over which time the two are compared, and which is the least that says anything.
WINDOW_SECONDS = 60.0
LEAST_SECONDS = 10.0
# From here on somebody should look: far above sampling error, at the size of a sensor's gain error.
ALERT_RATIO = 0.05


class Agreement:
    """Compares two totals of one device over the last minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float, float]] = deque()

    def note(self, steady: float, energy_joules: float, integral_joules: float) -> None:
        """Take both totals at an instant; about once a second."""
        self._seen.append((steady, energy_joules, integral_joules))
        while steady - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def disagreement_ratio(self) -> float | None:
        """|integrated power / counter - 1| over the last minute; None before there is enough to compare."""
        if not self._seen:
            return None
        first, last = self._seen[0], self._seen[-1]
        energy, integral = last[1] - first[1], last[2] - first[2]
        if last[0] - first[0] < LEAST_SECONDS or energy <= 0:
            return None
        return abs(integral / energy - 1)
