"""Who holds a device, and since when: what is settled already, and the hand-overs after it."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .power_integral import Holders

Boundary = tuple[float, Holders]


class Stint(NamedTuple):
    """From when to when somebody held a device, and of how many that did."""

    begin: float
    end: float
    of: int = 1


@dataclass
class HandOvers:
    """`settled` held the device up to what is booked, `boundaries` are the instants after it and who holds it then.

    `current` holds it as far as readings are taken; empty when nobody does. `coming` are hand-overs after that: there
    may still be readings to take from before them.
    """

    settled: Holders = ()
    boundaries: list[Boundary] = field(default_factory=list)
    current: Holders = field(init=False)
    coming: deque[Boundary] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.current = self.boundaries[-1][1] if self.boundaries else self.settled

    @property
    def latest(self) -> Holders:
        """Who holds it after all hand-overs."""
        return self.coming[-1][1] if self.coming else self.current

    @property
    def ahead(self) -> list[Boundary]:
        """All hand-overs after what is settled."""
        return [*self.boundaries, *self.coming]

    @property
    def latest_at(self) -> float:
        """When the latest hand-over after what is settled is; minus infinity without any."""
        last = self.coming or self.boundaries
        return last[-1][0] if last else -math.inf

    @property
    def all(self) -> set[Holders]:
        """Whoever holds it after what is settled, up to the latest reading."""
        return {self.settled, *(held for _, held in self.boundaries)}

    @property
    def referenced(self) -> set[str]:
        """The holders to whom energy may still be booked."""
        return set(self.settled).union(*[held for _, held in self.ahead])

    def announce(self, holders: Holders, at: float) -> None:
        """A hand-over at an instant, or at that of the latest one if that is later."""
        self.coming.append((max(at, self.latest_at), holders))

    def come(self, before: float) -> Iterator[Boundary]:
        """Those that come before an instant; each must be added."""
        while self.coming and self.coming[0][0] < before:
            yield self.coming.popleft()

    def add(self, holders: Holders, at: float, start: float | None) -> None:
        """Hand over at an instant; `start` is up to when is booked, None where nothing is."""
        if self.boundaries and self.boundaries[-1][0] == at:
            # Whoever holds a device for no time is not there.
            self.boundaries.pop()
        if start is None:
            self.settled, self.boundaries = holders, []
        else:
            self.boundaries.append((max(at, start), holders))
        self.current = holders

    def held(self, begin: float, end: float) -> Iterator[tuple[Holders, float]]:
        """Who held the device between two instants after what is settled, and for how many seconds of it."""
        cuts = [(-math.inf, self.settled), *self.ahead, (math.inf, ())]
        for (since, holders), (until, _) in itertools.pairwise(cuts):
            if min(until, end) > max(since, begin):
                yield holders, min(until, end) - max(since, begin)

    def stints(self, holder: str, begin: float, end: float) -> list[Stint]:
        """When a holder held the device between two instants after what is settled."""
        found, at, holders = [], begin, self.settled
        for until, following in (*self.ahead, (end, ())):
            until = min(until, end)
            if holder in holders and until > at:
                found.append(Stint(at, until, len(holders)))
            at, holders = max(at, until), following
        return found

    def inside(self, until: float) -> list[Boundary]:
        """The hand-overs up to an instant."""
        return [boundary for boundary in self.boundaries if boundary[0] <= until]

    def after(self, count: int) -> float:
        """When the hand-over after so many of them comes; infinity where there is none."""
        return self.boundaries[count][0] if count < len(self.boundaries) else math.inf

    def settle(self, count: int) -> None:
        """So many of them are booked."""
        if count:
            self.settled = self.boundaries[count - 1][1]
            self.boundaries = self.boundaries[count:]

    def pass_until(self, until: float) -> None:
        """All of them up to an instant are booked."""
        self.settle(len(self.inside(until)))

    def fold(self, begin: float, end: float, most: int) -> list[tuple[Holders, float]]:
        """Keep so many hand-overs at most, as far as the oldest of a stretch can be spared: nobody holds it then.

        Who did is returned, and for how many seconds. What was drawn in that time is nobody's, should it ever be known.
        """
        first = sum(1 for at, _ in self.boundaries if at < begin)
        over = sum(1 for at, _ in self.boundaries[first + 1 :] if at <= end)
        count = min(len(self.boundaries) - most + 1, over)
        if count < 2:
            return []
        folded = self.boundaries[first : first + count]
        ends = [at for at, _ in self.boundaries[first + 1 : first + count + 1]]
        self.boundaries[first : first + count] = [(folded[0][0], ())]
        return [(holders, until - at) for (at, holders), until in zip(folded, ends, strict=True) if holders]

    def clear(self) -> None:
        """Nobody holds it."""
        self.settled, self.boundaries, self.current = (), [], ()
        self.coming.clear()
