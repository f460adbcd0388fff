"""Learns the beat of a counter from the first ticks that are seen closely."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from .beat import USEFUL, Beat

# Ticks that must be seen closely before the beat is taken as known: the spread of so many is good to a sixth.
_TICKS = 20
# For so long they are looked for, or longer where they are seen but come slowly, and again after so many seconds.
_SECONDS, _SLOW_SECONDS, _SLOW_TICKS, _AGAIN_SECONDS = 3.0, 12.0, 5, 600.0
# What brackets ticks by more than this part of the time between them tells only roughly of the beat in few ticks: then
# all are taken that come in so many seconds.
_ROUGHLY, _ROUGH_SECONDS = 0.1, 2.5
# After looks that are so much further apart than those that teach, how many ticks came is not known.
_BROKEN = 1.5
# Brackets so much wider than most are left out: somebody was late for a look.
_LATE = 2.0
# The ticks that a beat is learnt from may happen to look even: what they say is taken for less by so much.
_FEW = 1.5
# Ticks whose brackets are wider than these parts of the time between them are told apart only where an even beat lies
# in all brackets, and never.
_SURELY_TELLING, _TELLING = 0.3, 0.55
# No ticks are closer than this, in seconds.
_LEAST_STEP = 1e-6
# Steps of a search for a period.
_NARROWINGS = 12


class Seen(NamedTuple):
    """A tick: the instants between which it came, and how often the counter was seen to move up to it.

    In one `part` no looks were so far apart that it may have moved twice between them.
    """

    low: float
    high: float
    moves: int
    part: int


class Training:
    """The ticks of a counter whose beat is not known, as they are seen; `begun` is when it was first looked at."""

    def __init__(self) -> None:
        self.begun: float | None = None
        self._seen: list[Seen] = []
        self._moves = self._part = 0
        # Whether so many as a beat is learnt from had none.
        self._uneven = False

    def wanted(self, now: float) -> bool:
        """Whether close looks are wanted to learn the beat."""
        if self.begun is None:
            return True
        slowly = len(self._seen) >= _SLOW_TICKS and not self._uneven
        return (now - self.begun) % _AGAIN_SECONDS < (_SLOW_SECONDS if slowly else _SECONDS)

    def move(self, low: float, high: float, *, closest: float, alone: bool) -> tuple[float | None, Beat | None] | None:
        """The counter has moved between two instants, `alone` where it had not just before.

        What is not closer than `closest` seconds teaches nothing. Returns the time between ticks in seconds and their
        beat as `learnt` does once there are enough, else None.
        """
        self._moves += 1
        if high - low > _BROKEN * closest:
            self._part += 1
        if high - low > closest or not alone:
            return None
        self._seen = [tick for tick in self._seen if high - tick.high < _SLOW_SECONDS]
        self._seen.append(Seen(low, high, self._moves, self._part))
        ticks = self._seen
        if len(ticks) > 1 and high - low > _ROUGHLY * (low - ticks[-2].low):
            # Each tells little: the more of them there are.
            ticks = [tick for tick in ticks if tick.part == self._part]
            if high - ticks[0].high < _ROUGH_SECONDS and self.wanted(low):
                return None
        if len(ticks) < _TICKS:
            return None
        found = learnt(ticks)
        # Without a beat it goes on with what is seen.
        self._uneven = not found[1]
        self._seen = self._seen[1:]
        return found


def learnt(ticks: Sequence[Seen]) -> tuple[float | None, Beat | None]:
    """The time between ticks in seconds, and their beat, from ticks in the order in which they came.

    The first is None where the looks were too far apart to tell it, the second where the ticks have no even beat.
    """
    widths = sorted(tick.high - tick.low for tick in ticks)
    most = _LATE * widths[len(widths) // 2]
    ticks = [tick for tick in ticks if tick.high - tick.low <= most]
    widest, middles = max(tick.high - tick.low for tick in ticks), [(tick.low + tick.high) / 2 for tick in ticks]
    steps = [b - a for a, b in itertools.pairwise(middles)]
    # Some were not seen closely, but moved the counter.
    times = sorted(step / (b.moves - a.moves) for step, (a, b) in zip(steps, itertools.pairwise(ticks), strict=True))
    typical = max(times[len(times) // 2], _LEAST_STEP)
    # From each to the next: over many, what is wrong with the typical step would add up.
    counts = list(itertools.accumulate((round(step / typical) for step in steps), initial=0))
    roughly = widest > _SURELY_TELLING * typical
    if roughly:
        # Which tick of the beat it was cannot be told from when it was seen; but between two looks came one at most.
        counts = [tick.moves - ticks[0].moves for tick in ticks]
    if not counts[-1]:
        return None, None
    phase, period = _line(counts, middles)
    even = widest < _TELLING * period and _has_room(ticks, counts, period)
    if roughly and not even:
        return None, None
    residuals = [at - phase - n * period for n, at in zip(counts, middles, strict=True)]
    spread = math.sqrt(sum(r * r for r in residuals) / (len(residuals) - 2))
    if spread > USEFUL * period:
        return (None if roughly else period), None
    sight = widest / math.sqrt(12.0)
    jitter_square = (_FEW * spread) ** 2 - sight**2
    if even:
        # They came exactly as an even beat wants it: much less even, one of so many would have been seen elsewhere.
        jitter_square = min(jitter_square, (2 * widest / len(ticks)) ** 2)
    last, middle = counts[-1], sum(counts) / len(counts)
    variance = max(spread, sight) ** 2
    tt = variance / sum((n - middle) ** 2 for n in counts)
    pp, pt = variance / len(counts) + tt * (last - middle) ** 2, tt * (last - middle)
    return period, Beat(phase + last * period, period, jitter_square, (pp, pt, tt))


def _has_room(ticks: Sequence[Seen], counts: list[int], around: float) -> bool:
    """Whether an even beat of about a period lies within all brackets."""
    farthest = max(tick.high - tick.low for tick in ticks) / counts[-1]
    low, high = around - farthest, around + farthest
    for _ in range(_NARROWINGS):
        # The room is a concave function of the period.
        one, other = low + (high - low) / 3, high - (high - low) / 3
        rooms = _room(ticks, counts, one), _room(ticks, counts, other)
        if max(rooms) >= 0:
            return True
        low, high = (one, high) if rooms[0] < rooms[1] else (low, other)
    return False


def _room(ticks: Sequence[Seen], counts: list[int], period: float) -> float:
    """How far the phases are apart between which a beat lies within all brackets, in seconds; less than 0 without."""
    latest = min(tick.high - n * period for tick, n in zip(ticks, counts, strict=True))
    return latest - max(tick.low - n * period for tick, n in zip(ticks, counts, strict=True))


def _line(x: list[int], y: list[float]) -> tuple[float, float]:
    """Least squares: intercept and slope."""
    mx, my = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)
    return my - slope * mx, slope
