"""Books what a counter gained from tick to tick, and decides how a tick across a hand-over is split."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable

from .booking import Bookings
from .boundary import NEAREST, Power, Stretch, power_of, split
from .hand_overs import Boundary, HandOvers
from .hole import Hole
from .power_integral import PowerIntegral
from .recent_power import MAX_BRIDGE_SECONDS
from .ticks import Tick, TickTracker

# Ticks after a boundary that tell the power of the new stage, and how long to wait for them at most.
_TELLING_TICKS = 3
_SETTLE_SECONDS = 2.0
# So many ticks before what is settled are kept through a restart, to tell the power up to it.
_KEPT_TICKS = 2
# A tick of the beat that is placed worse than this part of it may be the one before or after: so long the next is
# waited for instead, in seconds.
_ANOTHER = 0.12
_DOUBT_SECONDS = 0.5


class Settling:
    """The ticks of one counter: the one up to which all is booked, and those ahead of it that wait.

    `settled` is None until there is one, and while the counter is not what is booked; `shown` are ticks around it.
    `latest` is the latest tick that was seen, None without any.
    """

    def __init__(
        self, ticks: TickTracker, power: PowerIntegral, hand_overs: HandOvers, hole: Hole, settled: Tick | None,
        shown: Iterable[Tick],
    ) -> None:  # fmt: skip
        self.settled = settled
        self._ticks, self._power, self._hand_overs, self._hole = ticks, power, hand_overs, hole
        known = [] if settled is None else sorted([*shown, settled], key=lambda tick: tick.joules)
        upto = known.index(settled) + 1 if settled else 0
        self._ahead = known[upto:]
        self.latest: Tick | None = known[-1] if known else None
        # The stretches of one stage up to what is settled, the nearest first.
        self._clean: deque[Stretch] = deque(maxlen=NEAREST)
        self._clean.extendleft(Stretch.between(a, b) for a, b in itertools.pairwise(known[:upto]))
        # Where the counter was begun with between two ticks: what is not known of the energy since the first of them.
        self._baseline_variance = self._baseline_bound = 0.0

    @property
    def shown(self) -> list[Tick]:
        """The tick up to which all is booked, and those ahead of it."""
        return [*filter(None, (self.settled,)), *self._ahead]

    @property
    def before(self) -> list[Tick]:
        """The latest ticks of the same stage before the one up to which all is booked."""
        found: list[Tick] = []
        following = self.settled
        for stretch in itertools.islice(self._clean, _KEPT_TICKS):
            if stretch.end != following:
                break
            following = stretch.begin
            found.insert(0, following)
        return found

    @property
    def power_before(self) -> Power | None:
        """The power up to what is settled, by the counter; None where it does not tell."""
        return power_of(list(self._clean))

    def start(
        self, at: float, now: float, energy: float, watts: float, lag: tuple[float, float], bound: float = 0.0
    ) -> None:
        """Go on from an instant, at `watts`, with a counter that shows `energy` now.

        `lag` is how old that is in seconds, with its standard deviation; `bound` the joules by which `energy` may be
        off beside that. Whatever is wrong of it, those have who hold the device up to the next tick.
        """
        self.stop()
        (behind, spread), varied = lag, max(self._power.variations[1], 0.02 * watts)
        # What the counter would have shown at that instant, had it refreshed then.
        self.settled = self.latest = Tick(at, spread, energy + watts * (behind - now + at))
        self._baseline_variance = (watts * spread) ** 2 + (varied * (now - at + behind)) ** 2
        self._baseline_bound = bound

    def stop(self) -> None:
        """The counter is not read on."""
        self.settled = self.latest = None
        self._ahead.clear()
        self._clean.clear()

    def add(self, tick: Tick) -> None:
        """The next tick."""
        self._ahead.append(tick)
        self.latest = tick

    def settle(self, books: Bookings, *, force: bool) -> None:
        """Book up to the last tick whose boundaries can be decided."""
        if len(self._ahead) > 1:
            self._ahead = [tick for tick in self._ahead[:-1] if not self._doubtful(tick)] + self._ahead[-1:]
        while self._ahead and self.settled is not None:
            tick = self._ahead[0]
            if not force and self._may_be_another(tick) and tick.at - self.settled.at < _DOUBT_SECONDS:
                break
            inside = self._hand_overs.inside(tick.at) if self._hand_overs.boundaries else []
            if not inside:
                self._book_whole(self.settled, tick, books)
            elif force or self._decided(inside):
                self._split(self.settled, tick, inside, books)
            else:
                break
            self.settled = tick
            self._baseline_variance = self._baseline_bound = 0.0
            self._ahead.pop(0)

    def _book_whole(self, begin: Tick, end: Tick, books: Bookings) -> None:
        stretch = Stretch.between(begin, end)
        books.add(
            self._hand_overs.settled, stretch.joules, variance=self._baseline_variance, bound=self._baseline_bound
        )
        if stretch.seconds < MAX_BRIDGE_SECONDS:
            self._clean.appendleft(stretch)

    def _doubtful(self, tick: Tick) -> bool:
        """Whether a tick tells nothing that the next one does not tell better."""
        if self._may_be_another(tick):
            return True
        if tick.spread > 0.0005:
            near = 2 * tick.spread
            for at, _ in self._hand_overs.boundaries:
                if abs(tick.at - at) < near:
                    return True
        return False

    def _may_be_another(self, tick: Tick) -> bool:
        """Whether it is in doubt which tick of the beat this is, as one was due just when it was looked for."""
        return self._ticks.locked and tick.spread > _ANOTHER * self._ticks.seconds

    def _clean_after(self, boundaries: int) -> list[Stretch]:
        """The stretches after the first tick ahead that lie wholly before the next boundary."""
        until = self._hand_overs.after(boundaries)
        ticks = [tick for tick in self._ahead if tick.at <= until]
        return [Stretch.between(a, b) for a, b in itertools.pairwise(ticks) if b.at - a.at < MAX_BRIDGE_SECONDS]

    def _decided(self, inside: list[Boundary]) -> bool:
        """Whether nothing more will be learnt of the power on the far side soon."""
        latest = self._ahead[-1].at
        if latest >= self._hand_overs.after(len(inside)) or latest - inside[-1][0] > _SETTLE_SECONDS:
            return True
        return len(self._ahead) > _TELLING_TICKS and len(self._clean_after(len(inside))) >= _TELLING_TICKS

    def _split(self, begin: Tick, end: Tick, inside: list[Boundary], books: Bookings) -> None:
        varied, shown = self._power.variations, self._power.recent.last_watts
        before = power_of(list(self._clean), varied[0], shown(inside[0][0]))
        after = power_of(self._clean_after(len(inside)), varied[1], shown(self._hand_overs.after(len(inside))))
        unseen = end.at - begin.at > MAX_BRIDGE_SECONDS or self._hole.overlaps(begin.at, end.at)
        if unseen:
            # Over seconds that nobody saw, power may have been anything.
            before, after = _doubtful(before), _doubtful(after)
        parts = split(begin, end, [at for at, _ in inside], before, after, self._hole.most_watts)
        held = [self._hand_overs.settled, *(holders for _, holders in inside)]
        for holders, part in zip(held, parts, strict=True):
            books.add(holders, part.joules, variance=self._baseline_variance + (0.0 if unseen else part.variance))
        for holders in dict.fromkeys(held):
            # However often they held it, they had no more than all of it.
            books.add(holders, bound=self._baseline_bound + (end.joules - begin.joules if unseen else 0.0))
        self._hand_overs.settle(len(inside))
        self._clean.clear()


def _doubtful(power: Power | None) -> Power | None:
    return Power(power.watts, max(power.deviation, 0.5 * power.watts)) if power else None
