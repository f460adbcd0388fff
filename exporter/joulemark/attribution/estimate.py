"""What a holder has used that is not booked yet: an estimate, with how far it may be off."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from .hand_overs import Stint
from .ticks import Tick

# What is left of a stretch so short is float rounding.
_NOTHING_SECONDS = 1e-9
# No two ticks are nearer to each other.
_LEAST_SECONDS = 1e-6


class Estimate(NamedTuple):
    """Joules, and by how many they may be more or less."""

    joules: float = 0.0
    bound_joules: float = 0.0


class _Held(NamedTuple):
    """For how long stints hold a device in a stretch: in all, and the holder's part where it is shared.

    `all_alike` says that as many shared it all the time.
    """

    seconds: float
    own_seconds: float
    all_alike: bool


def estimate(stints: Sequence[Stint], shown: Sequence[Tick], watts: float, most_watts: float) -> Estimate:
    """What somebody has used in the time that he held the device, since the first of the ticks that its counter showed.

    Between two ticks the whole is known; the part of one of several holders is anything between 0 and the whole. What
    the counter has not shown yet is told by the latest power, in watts, and is between 0 and the most of late.
    """
    joules = bound = 0.0
    for begin, end in itertools.pairwise(shown):
        if end.at <= stints[0].begin:
            continue
        gained, seconds = end.joules - begin.joules, end.at - begin.at
        held = _held(stints, begin.at, end.at)
        part = gained * held.own_seconds / max(_LEAST_SECONDS, seconds)
        joules += part
        if held.seconds and not (held.all_alike and held.seconds >= seconds - _NOTHING_SECONDS):
            bound += max(part, gained - part)
    own_seconds = _held(stints, shown[-1].at, stints[-1].end).own_seconds
    return Estimate(joules + watts * own_seconds, bound + max(watts, most_watts - watts) * own_seconds)


def _held(stints: Sequence[Stint], begin: float, end: float) -> _Held:
    seconds = own_seconds = 0.0
    first, all_alike = 0, True
    for stint in stints:
        inside = min(stint.end, end) - max(stint.begin, begin)
        if inside > 0:
            seconds += inside
            own_seconds += inside / stint.of
            first = first or stint.of
            all_alike = all_alike and stint.of == first
    return _Held(seconds, own_seconds, all_alike)
