"""What a holder has used that is not booked yet: an estimate, with how far it may be off."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from .hand_overs import Stint
from .ticks import Tick

# What is left of a stretch so short is float rounding.
_NOTHING_SECONDS = 1e-9


class Estimate(NamedTuple):
    """Joules, and by how many they may be more or less."""

    joules: float = 0.0
    bound_joules: float = 0.0


def estimate(stints: Sequence[Stint], shown: Sequence[Tick], watts: float) -> Estimate:
    """What somebody has used in the time that he held the device, since the first of the ticks that its counter showed.

    Between two ticks the whole is known; the part of one of several holders is anything between 0 and the whole. What
    the counter has not shown yet is told by the latest power, in watts.
    """
    joules = bound = 0.0
    for begin, end in itertools.pairwise(shown):
        if end.at <= stints[0].begin:
            continue
        seconds, own = _within(stints, begin.at, end.at)
        gained, whole = end.joules - begin.joules, end.at - begin.at
        part = gained * own / whole
        joules += part
        bound += max(part, gained - part) if 0.0 < seconds < whole - _NOTHING_SECONDS else 0.0
    rest = watts * _within(stints, shown[-1].at, stints[-1].end)[1]
    return Estimate(joules + rest, bound + rest)


def _within(stints: Sequence[Stint], begin: float, end: float) -> tuple[float, float]:
    """How many seconds of a stretch the stints take, and how many of them are the holder's own where it is shared."""
    seconds = own = 0.0
    for stint in stints:
        both = min(stint.end, end) - max(stint.begin, begin)
        if both > 0:
            seconds += both
            own += both / stint.of
    return seconds, own
