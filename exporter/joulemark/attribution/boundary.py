"""Splits what a counter gained across stage boundaries: by the power on each side, weighted by how well it is known.

Of a stretch between two ticks the total is exact, its parts are not. Each part j has an expected energy m_j (power of
its stage times its time) and a variance v_j (how much that power varies, how well the ticks are placed). The least
squares answer under the one constraint that the parts add up to the total E is

    e_j = m_j + (E - sum m) v_j / sum v        with variance        v_j (1 - v_j / sum v)

so that next to a stage of steady power nearly all that is unknown goes to the other side. That is the posterior mean
of independent Gaussians given their sum.

A load does not change at the very instant at which its stage does. How much later or earlier shows in what E misses of
the sum of m, where power is steady: that is then in the part where power was another than its stage's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from .ticks import Tick

# How many stretches next to a boundary tell its power.
NEAREST = 4
# No power is taken as steadier than this: a load that happened to look even may not be inside one tick.
_LEAST_VARIATION = 0.02
# A single stretch tells a power but not how much it varies.
_LONE_VARIATION = 0.15
# Inside a tick power varies more than the means of whole ticks do.
_WITHIN = 2.5
# A stretch whose length is known no better than this part of it tells no power.
_TIMED = 0.25
# How far, as a part of it, the energy of a part of a tick may be from even power without that anything shows it:
# the standard deviation of a square wave between half and one and a half of its mean is about this.
_INSIDE = 0.2
# How well the instant is known at which a stage's power really changed.
_INSTANT_SECONDS = 0.0003
# How much later or earlier than its stage a load changes, as a standard deviation and at most.
_LAG_SECONDS, _MOST_LAG_SECONDS = 0.02, 0.05
# Variance of either of two answers, as a part of the square of their difference, where one is as likely as the other.
_EITHER = 0.25
# A gain further from what is expected than so many standard deviations is a surprise.
_SURPRISE = 3.0
# The square of the same for a tick that lies between two looks, at any instant alike: it cannot be outside.
_BETWEEN = 3.0
# A tick whose instant is known worse than this part of the stretch was placed by two looks, and not by its beat.
_LOOSE = 0.05
_MICROJOULES = 1e-6


class Stretch(NamedTuple):
    """What the counter gained from one tick to a later one, in joules, and how many seconds lie between the two."""

    begin: Tick
    end: Tick
    joules: float
    seconds: float

    @classmethod
    def between(cls, begin: Tick, end: Tick) -> Stretch:
        """The stretch between two ticks."""
        return cls(begin, end, end.joules - begin.joules, max(1e-6, end.at - begin.at))

    @property
    def well_timed(self) -> bool:
        """Whether its ticks are placed well enough for its mean power to mean something."""
        return self.begin.spread**2 + self.end.spread**2 < (_TIMED * self.seconds) ** 2


class Power(NamedTuple):
    """A power in watts with the standard deviation of it over a stretch."""

    watts: float
    deviation: float


class Part(NamedTuple):
    """What one part of a split got in joules, with its variance in joules squared."""

    joules: float
    variance: float


class _Lag(NamedTuple):
    """Which of two parts holds what power drew that changed late or early: its variance, and the most it can be."""

    part: int
    variance: float
    most: float


def power_of(stretches: Sequence[Stretch], varied: float = 0.0, shown: float | None = None) -> Power | None:
    """The power of a stage from its stretches, nearest to the boundary first; None without any.

    `varied` is the standard deviation in watts that a gauge saw from sample to sample, if there is one; `shown` is a
    single sample of it: power that repeats with the ticks is seen only in how far that is from the mean, and only where
    the gauge does not average.
    """
    near = [stretch for stretch in stretches[:NEAREST] if stretch.well_timed] or stretches[:NEAREST]
    if not near:
        return None
    seconds = sum([stretch.seconds for stretch in near])
    watts = sum([stretch.joules for stretch in near]) / seconds
    first, last = near[0], near[-1]
    # The ticks between cancel out: only the outermost two count.
    ends = (
        (first.begin.spread, last.end.spread)
        if first.begin.at < last.begin.at
        else (last.begin.spread, first.end.spread)
    )
    timing = watts * math.hypot(*ends) / seconds
    if len(near) == 1:
        varies = _LONE_VARIATION * watts
    else:
        squares = [(stretch.joules / stretch.seconds - watts) ** 2 for stretch in near]
        varies = _WITHIN * math.sqrt(sum(squares) / (len(squares) - 1))
    inside = 0.0 if shown is None else abs(shown - watts)
    return Power(watts, math.hypot(max(varies, varied, inside), timing, _LEAST_VARIATION * watts))


def split(
    begin: Tick, end: Tick, cuts: Sequence[float], before: Power | None, after: Power | None, most_watts: float = 0.0
) -> list[Part]:
    """Split what the counter gained between two ticks at the instants `cuts`; one part more than cuts.

    `before` and `after` are the powers of the stages around; what is between two cuts is not known beforehand.
    `most_watts` is what the device may draw, 0 where nobody knows. The parts are 0 or more and add up to the gain.
    """
    gained = end.joules - begin.joules
    instants = [begin.at, *(min(max(cut, begin.at), end.at) for cut in cuts), end.at]
    seconds = [b - a for a, b in itertools.pairwise(instants)]
    powers = _powers(gained, end.at - begin.at, before, after, len(cuts))
    expected = [power.watts * time for power, time in zip(powers, seconds, strict=True)]
    variances = [(power.deviation * time) ** 2 + _MICROJOULES**2 for power, time in zip(powers, seconds, strict=True)]
    most = max([power.watts for power in powers])
    for index, tick, cut in ((0, begin, instants[1]), (-1, end, instants[-2])):
        # A tick this close to the cut may lie on the far side of it, where power is another.
        watts = most if abs(tick.at - cut) < 2 * tick.spread else powers[index].watts
        variances[index] += (watts * tick.spread) ** 2 + (most * _INSTANT_SECONDS) ** 2
    missing = gained - sum(expected)
    room = expected
    if missing > 0 and most_watts > most:
        # More can only be where power was not yet what the device draws at most.
        room = [(most_watts - power.watts) * time for power, time in zip(powers, seconds, strict=True)]
    loose = sum([tick.spread**2 for tick in (begin, end) if tick.spread > _LOOSE * (end.at - begin.at)])
    in_step = _as_surprising(variances, expected, missing, room, most**2 * loose)
    unseen = _unseen_inside(expected, in_step)
    lag = _lag(missing, seconds, powers, variances)
    if lag:
        told = [*variances]
        told[lag.part] += lag.variance
        told = _as_surprising(told, expected, missing, room, most**2 * loose)
        other = min(lag.most, abs(missing) * (1 - in_step[lag.part] / sum(in_step)))
        return _parts(gained, expected, told, [x + _EITHER * other * other for x in unseen])
    return _parts(gained, expected, in_step, unseen)


def _parts(gained: float, expected: Sequence[float], variances: Sequence[float], unseen: Sequence[float]) -> list[Part]:
    """What each part has, by its variance, of what is missing; with what is in its bound alone."""
    whole, missing = sum(variances), gained - sum(expected)
    parts = [max(0.0, m + missing * v / whole) for m, v in zip(expected, variances, strict=True)]
    scale = gained / sum(parts) if sum(parts) > 0 else 0.0
    parts = [part * scale for part in parts]
    # Float rounding must not make a joule: the largest part takes what is left.
    largest = parts.index(max(parts))
    parts[largest] += gained - sum(parts)
    return [
        Part(e, min(v * (1 - v / whole) + more, gained**2)) for e, v, more in zip(parts, variances, unseen, strict=True)
    ]


def _as_surprising(
    variances: list[float], expected: Sequence[float], missing: float, room: Sequence[float], placed: float
) -> list[float]:
    """The variances of the parts where what is missing is more than they explain."""
    beyond = _beyond(missing, sum(variances), placed)
    return _spread(_less_sure(variances, expected, missing), room, beyond)


def _lag(missing: float, seconds: Sequence[float], powers: Sequence[Power], variances: Sequence[float]) -> _Lag | None:
    """How power that changes later or earlier than its stage explains what is missing; None where that cannot be told.

    Power of the stage before that goes on for a while is in the part after the cut, power of the next stage that has
    come already in the part before: which of them it is, shows in whether something is missing or too much.
    """
    if len(powers) != 2:
        return None
    rise, varies = powers[1].watts - powers[0].watts, powers[0].deviation + powers[1].deviation
    part = int(missing * rise < 0)
    told = rise * min(_LAG_SECONDS, seconds[part])
    unexplained = max(0.0, missing * missing - sum(variances))
    return _Lag(part, min(told * told, unexplained), (abs(rise) + varies) * min(_MOST_LAG_SECONDS, seconds[part]))


def _less_sure(variances: list[float], expected: Sequence[float], missing: float) -> list[float]:
    """The variances where the gain is not what was expected: a power is not what it was, any by the same part of it.

    Without this a part of a millisecond, known badly, would take the joules of a tenth of a second.
    """
    return _spread(variances, expected, max(0.0, missing**2 - _SURPRISE**2 * sum(variances)))


def _beyond(missing: float, whole: float, placed: float) -> float:
    """What of a surprise ticks cannot explain that lie between two looks, in joules squared.

    `placed` is how much of the variance at most is of where they are.
    """
    surprise, placed = missing**2 - _SURPRISE**2 * whole, min(placed, whole)
    return max(0.0, surprise + (_SURPRISE**2 - _BETWEEN) * placed) - max(0.0, surprise)


def _spread(variances: list[float], room: Sequence[float], more: float) -> list[float]:
    """The variances with more, of each the same part of the square of what room it has."""
    if not more:
        return variances
    squares = [joules * joules for joules in room]
    whole = sum(squares) or 1.0
    return [variance + more * square / whole for variance, square in zip(variances, squares, strict=True)]


def _unseen_inside(expected: Sequence[float], variances: Sequence[float]) -> list[float]:
    """Variances of the parts by what power may do inside a tick while every whole tick gains the same.

    A load that repeats with the ticks looks even in what they show; it is in the bound, not in the split. What part i
    moves by when every m_j may be off by u_j = _INSIDE m_j is sum over j of (delta_ij - v_i / sum v) u_j, if no lag is
    told: by how much that moves it is known apart.
    """
    whole = sum(variances)
    squares = [(_INSIDE * joules) ** 2 for joules in expected]
    all_of_them = sum(squares)
    shares = [variance / whole for variance in variances]
    return [
        share * share * all_of_them + (1 - 2 * share) * square for share, square in zip(shares, squares, strict=True)
    ]


def _powers(gained: float, seconds: float, before: Power | None, after: Power | None, cuts: int) -> list[Power]:
    """The power of each part, as far as it is known beforehand."""
    if before and after and cuts == 1:
        return [before, after]
    unknown = _unknown(gained, seconds, before, after)
    return [before or unknown, *[unknown] * (cuts - 1), after or unknown]


def _unknown(gained: float, seconds: float, before: Power | None, after: Power | None) -> Power:
    mean = gained / seconds if seconds > 0 else 0.0
    known = [power.watts for power in (before, after) if power] or [mean]
    return Power(sum(known) / len(known), max(*known, mean))
