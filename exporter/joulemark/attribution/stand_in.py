"""Sampled power kept beside a counter, to stand in for it from its last tick on when it fails."""

from __future__ import annotations

import math
from collections import deque

from .booking import Bookings
from .hand_overs import HandOvers
from .hole import Hole
from .power_integral import PowerIntegral, Slice

# A counter that stands still for seconds is judged within so many slices; more are never needed.
_MOST_SLICES = 4096
# A sample this old tells nothing of the power now.
_STALE_SECONDS = 0.5


class StandIn:
    """The slices of sampled power after the last tick."""

    def __init__(self, power: PowerIntegral, hand_overs: HandOvers, hole: Hole) -> None:
        self._power, self._hand_overs, self._hole = power, hand_overs, hole
        self._slices: deque[Slice] = deque(maxlen=_MOST_SLICES)

    def keep(self, one: Slice) -> None:
        """The next slice."""
        self._slices.append(one)

    def forget(self, until: float) -> None:
        """The counter told what was drawn up to an instant."""
        while self._slices and self._slices[0].end <= until:
            self._slices.popleft()

    def sampled_until(self, at: float) -> float:
        """Up to when power has been sampled; now, where that was so long ago that it is of no use."""
        until = self._power.until
        return at if until is None or at - until > _STALE_SECONDS else until

    def book(self, since: float | None, at: float, books: Bookings) -> tuple[float, float]:
        """Book sampled power since the last tick as energy and bound what has none, up to now.

        Returns the joules, and how many of them are of time that a hole has bound already.
        """
        known, total, bound = math.inf if since is None else since, 0.0, 0.0
        for one in self._slices:
            part = one if since is None else one.after(since)
            if part:
                self._bind(known, part.begin, books)
                bound += part.joules - self._hole.book(part, self._hand_overs, books)
                known = part.end
                total += part.joules
        until = self.sampled_until(at)
        self._bind(known, until, books)
        self._slices.clear()
        self._hand_overs.pass_until(until)
        return total, bound

    def _bind(self, begin: float, end: float, books: Bookings) -> None:
        """Bound what was drawn in a stretch of which nothing is known, but for that which is bound already."""
        for first, last in self._hole.outside(begin, end):
            for holders, seconds in self._hand_overs.held(first, last):
                if holders:
                    books.add(holders, bound=self._hole.most_watts * seconds)
