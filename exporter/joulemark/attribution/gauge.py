"""When a power gauge refreshes, so that each value it shows is placed at the instant for which it stands."""

from __future__ import annotations

import math
import statistics
from collections import deque

from .ticks import TickTracker

# Values that change further apart than this are not neighbouring refreshes: power stood still between them.
_NEIGHBOURS_SECONDS = 0.25
# A refresh whose instant is known no better than this part of the time between two is not told apart from the next.
_PLACED = 0.1
# So many of the latest changes tell the time between refreshes.
_CHANGES = 8


class Gauge:
    """Follows the refreshes of one power gauge by the changes of its value.

    `refresh` is the time between refreshes in seconds, assumed until it is measured; `between_changes` that by what was
    seen of them, at most `refresh`.
    """

    def __init__(self, refresh: float) -> None:
        self._assumed = refresh
        self.refresh = self.between_changes = refresh
        self._beat = TickTracker()
        # When the value was last seen to change; nothing before the first reading is of any concern.
        self._changed = -math.inf
        self._begun: float | None = None
        self._apart: deque[float] = deque(maxlen=_CHANGES)

    def wants_training(self, now: float) -> bool:
        """Whether close readings would teach the beat: where nothing moves there is nothing to see."""
        return self._beat.training and self._moving(now)

    def see(self, at: float, watts: float) -> tuple[float, bool] | None:
        """Take a value read at an instant; returns the instant for which it stands, and whether that is its refresh.

        None when the value may be of either of two refreshes.
        """
        self._begun = at if self._begun is None else self._begun
        tick = self._beat.see(at, at, watts)
        if tick is not None:
            if not self._beat.locked and not self._moving(at):
                self._beat.restart()
                self._beat.see(at, at, watts)
            self._apart.append(at - self._changed)
            self._changed = at
            least = 2 * min(self._apart)
            typically_apart = statistics.median([one for one in self._apart if one <= least])
            self.refresh = self._beat.seconds if self._beat.locked else self._assumed
            self.between_changes = min(self.refresh, typically_apart)
        behind, spread = self._beat.lag(at)
        if not self._beat.locked or spread > _PLACED * self.refresh:
            # A value stands from its refresh to the next: when it is looked at, that was half of the time ago.
            return max(at - self.between_changes / 2, self._changed, self._begun), False
        if tick is not None:
            return (tick.at, True) if tick.spread < _PLACED * self.refresh else None
        return (at - behind, True) if 4 * spread < behind < self.refresh - 4 * spread else None

    def next_look(self, looked: float, least_seconds: float) -> float:
        """When to look next: half-way between two refreshes, or closely around one where the beat wants a check."""
        coming = self._beat.due_tick(looked)
        if coming is None:
            return looked + least_seconds
        if self._moving(looked) and self._beat.wants_check(looked):
            return max(looked + self._beat.check_step(looked), coming[0] - 3 * coming[1])
        behind, _ = self._beat.lag(looked + least_seconds)
        half = self._beat.seconds / 2
        return looked + least_seconds + (half - behind) % self._beat.seconds

    def _moving(self, now: float) -> bool:
        return now - self._changed < _NEIGHBOURS_SECONDS
