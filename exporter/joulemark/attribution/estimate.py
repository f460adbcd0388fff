"""What a holder has used that is not booked yet: an estimate, with how far it may be off."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .hand_overs import HandOvers
from .power_integral import Holders
from .ticks import Tick


class Estimate(NamedTuple):
    """Joules, and by how many they may be more or less."""

    joules: float = 0.0
    bound_joules: float = 0.0


def estimate(holder: str, hand_overs: HandOvers, shown: Sequence[Tick], until: float, watts: float) -> Estimate:
    """What a holder has used since the first of the ticks that the counter has shown, up to an instant.

    Between two ticks the whole is known; the part of one of several holders is anything between 0 and the whole. What
    the counter has not shown yet is told by the latest power, in watts.
    """
    joules = bound = 0.0
    for begin, end in itertools.pairwise(shown):
        spans, gained = list(hand_overs.held(begin.at, end.at)), end.joules - begin.joules
        part = gained * _held_seconds(spans, holder) / (end.at - begin.at)
        joules += part
        bound += max(part, gained - part) if part and len(spans) > 1 else 0.0
    rest = watts * _held_seconds(hand_overs.held(shown[-1].at, until), holder)
    return Estimate(joules + rest, bound + rest)


def _held_seconds(spans: Iterable[tuple[Holders, float]], holder: str) -> float:
    """How long a holder held the device; where it shared it, its part."""
    return sum([seconds / len(holders) for holders, seconds in spans if holder in holders])
