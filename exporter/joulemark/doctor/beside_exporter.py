"""What a running exporter books of a GPU, held against what its counter gains while the doctor is at work.

Both read the same counter, so they may only differ by what is counted and not booked yet. That is bounded without
knowing the power: at a scrape the exporter has booked up to some instant between two looks of the doctor's own, one
well before the scrape and one after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ..errors import ReadFailed
from ..sources import nvml
from ..sources.base import Device, Source
from .facts import Booked, ExporterFacts
from .side_by_side import side_by_side

# The exporter books a tick that straddles the end of a stage when the next ones have told of the new stage.
_BEHIND_SECONDS = 0.5
_BEHIND_TICKS = 4
# By then it must have read the device, so long at least before it was asked.
_FRESH_SECONDS = 0.25
_PATIENCE_SECONDS = 2.0

Asking = Callable[[], ExporterFacts]


@dataclass(frozen=True)
class Mark:
    """An exporter's page, and the joules of counters by key: at `wall` well before it was asked for, and after."""

    steady: float
    wall: float
    early: Mapping[str, float]
    exporter: ExporterFacts
    late: Mapping[str, float]


def take_mark(sources: Sequence[Source], ask: Asking, hung: frozenset[str] = frozenset()) -> Mark | None:
    """Ask the exporter between two looks at all counters but the hung ones; None where none answers."""
    counters = {
        device.key: partial(_counter, source, device)
        for source in sources
        for device in source.devices
        if device.source == nvml.COUNTER and device.key not in hung
    }
    known = ask() if counters else None
    if known is None or not known.reachable:
        return None
    early = _look(counters)
    wall = time.time()
    time.sleep(max(_BEHIND_SECONDS, _BEHIND_TICKS * max(known.tick_seconds.values(), default=0.0)))
    page, steady = ask(), time.monotonic()
    return Mark(steady, wall, early, page, _look(counters)) if page.reachable else None


def booked_between(first: Mark | None, last: Mark | None) -> list[Booked]:
    """What was booked from one mark to the other, of every GPU whose counter both sides read all the while."""
    if first is None or last is None:
        return []
    found = []
    for name, key in sorted(last.exporter.uuid.items()):
        if not (_compares(first, name, key) and _compares(last, name, key)):
            continue
        least, most = last.early[key] - first.late[key], last.late[key] - first.early[key]
        gained = last.exporter.total_joules[name] - first.exporter.total_joules[name]
        gap = last.exporter.gap_seconds.get(name, 0.0) - first.exporter.gap_seconds.get(name, 0.0)
        # A total that went down is another ledger's.
        if most > 0 and gained >= 0 and not gap:
            found.append(Booked(name, last.steady - first.steady, gained, max(0.0, least), most))
    return found


def _compares(mark: Mark, name: str, key: str) -> bool:
    """Whether exporter and doctor had the counter of the device of this name there, and had it fresh."""
    page = mark.exporter
    fresh = page.last_read_at.get(name, 0.0) >= mark.wall + _FRESH_SECONDS
    same = page.uuid.get(name) == key and page.source.get(name) == nvml.COUNTER and name in page.total_joules
    return fresh and same and key in mark.early and key in mark.late


def _look(counters: Mapping[str, Callable[[], float | None]]) -> dict[str, float]:
    found = side_by_side(counters, _PATIENCE_SECONDS)
    return {key: joules for key, joules in found.items() if joules is not None}


def _counter(source: Source, device: Device) -> float | None:
    try:
        return source.read(device, power=False).energy_joules
    except ReadFailed:
        return None
