"""What a holder has used that is not booked yet: an estimate, with how far it may be off."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from .boundary import Stretch
from .hand_overs import Stint
from .ticks import Tick

# What is left of a stretch so short is float rounding.
_NOTHING_SECONDS = 1e-9


class Estimate(NamedTuple):
    """Joules, and by how many they may be more or less."""

    joules: float = 0.0
    bound_joules: float = 0.0


def estimate(stints: Sequence[Stint], shown: Sequence[Tick], watts: float, most_watts: float) -> Estimate:
    """What somebody has used in the time that he held the device, since the first of the ticks that its counter showed.

    Between two ticks the whole is known; the part of one of several holders is anything between 0 and the whole. What
    the counter has not shown yet is told by the latest power, in watts, and is between 0 and the most of late.
    """
    joules = bound = 0.0
    for begin, end in itertools.pairwise(shown):
        if end.at <= stints[0].begin:
            continue
        stretch = Stretch.between(begin, end)
        inside = _inside(stints, begin.at, end.at)
        part = stretch.joules * _own_seconds(inside) / stretch.seconds
        joules += part
        if inside and not _is_all_alike(inside, begin.at, end.at):
            bound += max(part, stretch.joules - part)
    seconds = _own_seconds(_inside(stints, shown[-1].at, stints[-1].end))
    return Estimate(joules + watts * seconds, bound + max(watts, most_watts - watts) * seconds)


def _inside(stints: Sequence[Stint], begin: float, end: float) -> list[Stint]:
    """What of the stints lies in a stretch."""
    overlapping = [stint for stint in stints if stint.begin < end and stint.end > begin]
    return [Stint(max(stint.begin, begin), min(stint.end, end), stint.of) for stint in overlapping]


def _own_seconds(stints: Sequence[Stint]) -> float:
    """How long they last; where a device is shared, the holder's part of it."""
    return sum([(stint.end - stint.begin) / stint.of for stint in stints])


def _is_all_alike(stints: Sequence[Stint], begin: float, end: float) -> bool:
    """Whether the stints take all of a stretch, shared by as many all the time."""
    seconds, first = sum([stint.end - stint.begin for stint in stints]), stints[0]
    return seconds >= end - begin - _NOTHING_SECONDS and all(stint.of == first.of for stint in stints)
