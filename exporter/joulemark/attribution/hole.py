"""Time that no reading covers: all that may have been drawn in it is uncertain until the counter tells."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .booking import Bookings
from .hand_overs import HandOvers
from .power_integral import Holders, Slice
from .recent_power import MAX_BRIDGE_SECONDS

# Readings that fail for longer than this are an outage; one that fails is not.
_OUTAGE_SECONDS = 0.3
# No time between two readings that is shorter is a hole.
LEAST_HOLE_SECONDS = min(_OUTAGE_SECONDS, MAX_BRIDGE_SECONDS)
# So many hand-overs wait for what the counter tells in the end; what was drawn before them is only bound.
_MOST_HAND_OVERS = 64


def is_hole(seconds: float, *, failed: bool) -> bool:
    """Whether nothing tells of time between two readings that are so far apart; `failed`: those between failed."""
    return seconds > (_OUTAGE_SECONDS if failed else MAX_BRIDGE_SECONDS)


class Hole:
    """The latest stretch of a device that no reading covers, up to `end`, and what was bound for it."""

    def __init__(self, most_watts: float) -> None:
        # What the device may draw at most; 0 where nobody knows.
        self.most_watts = most_watts
        # Since when it is, up to when it was counted, and how many seconds of it since the reading before.
        self._begin, self.end = math.inf, -math.inf
        self._counted: float | None = None
        self.seconds = 0.0
        # Whether readings failed in it, and it was not only that nobody looked.
        self._failed = False
        self._bounds: dict[Holders, float] = {}
        # Whether all of it is still bound, and whether the counter may still tell what was drawn in it.
        self._bound = self.is_open = False

    @property
    def referenced(self) -> set[str]:
        """The holders for whom what was bound may still turn out to be known."""
        return set().union(*self._bounds)

    def grow(self, known: float, at: float, hand_overs: HandOvers, books: Bookings, *, failed: bool) -> float:
        """Nothing is known from one instant to another; returns the seconds of it that were not counted yet."""
        begin = max(known, self._counted or known)
        self._counted = at
        self.seconds += at - begin
        self._begin, self.end, self._failed = known, at, failed
        self._bound, self.is_open = self.most_watts > 0, True
        for holders, seconds in hand_overs.held(begin, at):
            bound = self.most_watts * seconds if holders else 0.0
            books.add(holders, bound=bound)
            self._bounds[holders] = self._bounds.get(holders, 0.0) + bound
        for holders, _ in hand_overs.fold(known, at, _MOST_HAND_OVERS):
            # Nothing is booked to them of what the counter may show later, so that their bound stays.
            self._bounds.pop(holders, None)
        return at - begin

    def stand_still(self, since: float, at: float, hand_overs: HandOvers, books: Bookings) -> None:
        """The counter is read and shows nothing: bound what is too long ago for hand-overs to wait for more of it."""
        for holders, seconds in hand_overs.fold(since, at - MAX_BRIDGE_SECONDS, _MOST_HAND_OVERS):
            books.add(holders, bound=self.most_watts * seconds)

    def read_again(self) -> bool:
        """A reading came; whether it is the first since a hole."""
        counted, self._counted = self._counted, None
        return counted is not None

    def close(self, energy: float, tick: float, books: Bookings) -> None:
        """The counter knows what was drawn in the hole: what was bound for it is known after all.

        Not so where the device was away, and shows no more than it may have counted since a reset meanwhile.
        """
        if not self._failed or energy > self.most_watts * (self.end - self._begin + 2 * tick):
            for holders, bound in self._bounds.items():
                books.add(holders, bound=-bound)
            self._bound = False
        self.is_open = self._bound
        self.keep()

    def keep(self) -> None:
        """What was bound stays so."""
        self._bounds.clear()

    def book(self, one: Slice, hand_overs: HandOvers, books: Bookings) -> float:
        """Book sampled power as energy; returns the joules of it that are not of the hole, and not bound by it.

        In T seconds of the hole between 0 and P T joules were drawn: J booked for them are off by max(J, P T - J) at
        most, whatever power did meanwhile. So much stays of the bound P T, and no variance is needed beside it.
        """
        begin, end = max(one.begin, self._begin), min(one.end, self.end)
        held = hand_overs.held(begin, end) if self._bound and begin < end else ()
        seconds = math.fsum(seconds for holders, seconds in held if holders == one.holders)
        part = seconds / (one.end - one.begin) if seconds else 0.0
        inside, most = one.joules * part, self.most_watts * seconds
        # A gauge that shows more than can be drawn is wrong by nobody knows how much.
        if not part or not 0.0 <= inside <= most:
            books.add(one.holders, one.joules, variance=one.variance + one.late)
            return one.joules
        # A counter does not tell of it any more.
        self.keep()
        known = min(inside, most - inside) if one.holders else 0.0
        books.add(one.holders, one.joules, variance=(1 - part) * one.variance + one.late, bound=-known)
        return one.joules - inside

    def overlaps(self, begin: float, end: float) -> bool:
        """Whether it lies in a stretch."""
        return self._begin < end and begin < self.end

    def outside(self, begin: float, end: float) -> Iterator[tuple[float, float]]:
        """The parts of a stretch before and after it."""
        first, last = (self._begin, self.end) if self._begin < self.end else (end, end)
        for one in ((begin, min(end, first)), (max(begin, last), end)):
            if one[0] < one[1]:
                yield one
