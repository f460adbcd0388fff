"""Learns the beat of a counter from the first ticks that are seen closely."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from .beat import USEFUL, Beat

# Ticks that must be seen closely before the beat is taken as known: the spread of so many is good to a sixth.
_TICKS = 20
# For so long they are looked for, or longer where they are seen but come slowly.
_SECONDS, _SLOW_SECONDS, _SLOW_TICKS = 3.0, 12.0, 5
# Where looks saw it move so much oftener than a beat has it, they are too far apart to tell.
_OFTENER = 1.1
# What brackets ticks by more than this part of the time between them tells only roughly of the beat in few ticks: then
# all are taken that come in so many seconds.
_ROUGHLY, _ROUGH_SECONDS = 0.1, 2.5
# The ticks that a beat is learnt from may happen to look even: what they say is taken for less by so much.
_FEW = 1.5
# Ticks whose brackets are wider than these parts of the time between them are told apart only where an even beat lies
# in all brackets, and never.
_SURELY_TELLING, _TELLING = 0.3, 0.65
# Steps of a search for a period.
_NARROWINGS = 12


class Training:
    """The ticks of a counter whose beat is not known, as they are seen."""

    def __init__(self) -> None:
        self._begun: float | None = None
        # Of each tick seen closely the instants between which it came, and how often the counter had moved by then.
        self._brackets: list[tuple[float, float]] = []
        self._moved: list[int] = []
        self._moves = 0
        # Whether so many as a beat is learnt from had none.
        self._uneven = False

    def wanted(self, now: float) -> bool:
        """Whether close looks are wanted to learn the beat."""
        slowly = len(self._brackets) >= _SLOW_TICKS and not self._uneven
        return self._begun is None or now - self._begun < (_SLOW_SECONDS if slowly else _SECONDS)

    def look(self, at: float) -> None:
        """It is looked at; the first time begins the training."""
        if self._begun is None:
            self._begun = at

    def move(self, low: float, high: float, *, closely: bool) -> tuple[float | None, Beat | None] | None:
        """The counter has moved between two instants, which are close to each other, or too far apart to learn from.

        Returns the time between ticks in seconds and their beat as `learnt` does once there are enough, else None.
        """
        self._moves += 1
        if not closely:
            return None
        self._brackets.append((low, high))
        self._moved.append(self._moves)
        seen, span = self._brackets, high - self._brackets[0][1]
        if len(seen) < _TICKS:
            return None
        told = (high - low) / (low - seen[-2][0])
        if told > _ROUGHLY and span < _ROUGH_SECONDS and self.wanted(low):
            # Each tells little: the more of them there are.
            return None
        period, beat = learnt(seen)
        if period and (self._moved[-1] - self._moved[0] - 1) * period > _OFTENER * span:
            period = beat = None
        # Without a beat it goes on with what is seen.
        self._uneven = not beat
        self._brackets, self._moved = seen[1:], self._moved[1:]
        return period, beat


def learnt(brackets: Sequence[tuple[float, float]]) -> tuple[float | None, Beat | None]:
    """The time between ticks in seconds, and their beat: of each tick the instants between which it came, in order.

    The first is None where the looks were too far apart to tell it, the second where the ticks have no even beat.
    """
    widest, middles = max(high - low for low, high in brackets), [(low + high) / 2 for low, high in brackets]
    steps = [b - a for a, b in itertools.pairwise(middles)]
    typical = sorted(steps)[len(steps) // 2]
    # From each to the next: over many, what is wrong with the typical step would add up.
    counts = list(itertools.accumulate((round(step / typical) for step in steps), initial=0))
    phase, period = _line(counts, middles)
    even = widest < _TELLING * period and _has_room(brackets, counts, period)
    if widest > _SURELY_TELLING * period and not even:
        return None, None
    residuals = [at - phase - n * period for n, at in zip(counts, middles, strict=True)]
    spread = math.sqrt(sum(r * r for r in residuals) / (len(residuals) - 2))
    if spread > USEFUL * period:
        return period, None
    sight = widest / math.sqrt(12.0)
    jitter_square = (_FEW * spread) ** 2 - sight**2
    if even:
        # They came exactly as an even beat wants it: much less even, one of so many would have been seen elsewhere.
        jitter_square = min(jitter_square, (widest / len(brackets)) ** 2)
    last, middle = counts[-1], sum(counts) / len(counts)
    variance = max(spread, sight) ** 2
    tt = variance / sum((n - middle) ** 2 for n in counts)
    pp, pt = variance / len(counts) + tt * (last - middle) ** 2, tt * (last - middle)
    return period, Beat(phase + last * period, period, jitter_square, (pp, pt, tt))


def _has_room(brackets: Sequence[tuple[float, float]], counts: list[int], around: float) -> bool:
    """Whether an even beat of about a period lies within all brackets."""
    farthest = max(high - low for low, high in brackets) / counts[-1]
    low, high = around - farthest, around + farthest
    for _ in range(_NARROWINGS):
        # The room is a concave function of the period.
        one, other = low + (high - low) / 3, high - (high - low) / 3
        rooms = _room(brackets, counts, one), _room(brackets, counts, other)
        if max(rooms) >= 0:
            return True
        low, high = (one, high) if rooms[0] < rooms[1] else (low, other)
    return False


def _room(brackets: Sequence[tuple[float, float]], counts: list[int], period: float) -> float:
    """How far the phases are apart between which a beat lies within all brackets, in seconds; less than 0 without."""
    latest = min(high - n * period for (_, high), n in zip(brackets, counts, strict=True))
    return latest - max(low - n * period for (low, _), n in zip(brackets, counts, strict=True))


def _line(x: list[int], y: list[float]) -> tuple[float, float]:
    """Least squares: intercept and slope."""
    mx, my = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)
    return my - slope * mx, slope
