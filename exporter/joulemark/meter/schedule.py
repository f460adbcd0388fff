"""When a device is to be read next: slowly, and fast only around transitions and to learn the counter's beat."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from ..attribution.attribution import DeviceAccount
from ..attribution.ticks import GAP, TickTracker

# Reading steps while the beat is learnt, and while a new sample of the power gauge is waited for, in seconds.
TRAINING_STEP = 0.002
GAUGE_STEP = 0.01
# Samples of a gauge are not wanted closer than this, in seconds.
_LEAST_SAMPLE = 0.015
# A beat known better than this part of a tick needs no close look around a boundary.
_EVEN = 0.015
# Where else looks may lie where the place that does for most devices is too near a tick, as parts of the beat from it.
_PLACES = (0.0, 0.5, 0.25, 0.75)
# A wake-up may be late but never early: looks are nearer to the tick before them, by this part of what is between two.
_NEARER = 0.35
# A place with so much of the room that a look should have does: what others share is not left for the rest of it.
_CLEAR = 0.75
# Where looks lie between the ticks is found anew after so many seconds, or when they have slid by so much.
_ROW_SECONDS, _ROW_SLIDE_SECONDS = 1.0, 0.001
# How far a look must be from the tick before it and from the next: for what a call takes, and a late wake-up.
_AFTER_SECONDS, _BEFORE_SECONDS, _BEFORE_PART = 0.001, 0.001, 0.05


class Next(NamedTuple):
    """When a device is to be read beside the regular readings, None when those will do.

    `waits` says that the latest reading may be booked later, as the instant does not depend on what it shows.
    `close` is one of many looks at the counter alone, to see it tick. With a `step` more follow, so many seconds apart.
    Up to `quiet_until` this holds whatever readings show, unless one fails or is booked, or the device is handed over.
    """

    instant: float | None = None
    waits: bool = False
    close: bool = False
    step: float = 0.0
    quiet_until: float = -math.inf


REGULAR = Next(waits=True)


class _OnBeat(NamedTuple):
    """Where ticks lie on the beat, and the room that there should be after and before one; all as parts of it."""

    place: float
    after: float
    before: float


def common_place(beats: Iterable[TickTracker], now: float) -> float:
    """Where on the beat looks are clear of the ticks of most devices, as a part of it: where the most room is."""
    ticks = sorted(_on_beat(x, now) for x in beats if x.locked)
    if not ticks:
        return 0.0
    first = ticks[0]
    following = [*ticks[1:], first._replace(place=first.place + 1.0)]
    # What is left between two ticks of what should be there after the one and before the other.
    room = [(b.place - b.before - a.place - a.after, a) for a, b in zip(ticks, following, strict=True)]
    left, tick = max(room)
    return (tick.place + tick.after + _NEARER * left) % 1.0


def next_reading(account: DeviceAccount, looked: float, place: float = 0.0, longest: float = math.inf) -> Next:
    """What comes after a reading made at an instant of the steady clock.

    `place` is the common one; for `longest` seconds a device may go without a reading, else a regular one is made.
    """
    ticks = account.ticks
    if account.failing:
        return Next()
    if not account.counting:
        return Next(_next_sample(account, looked))
    if ticks.training:
        return Next(looked + TRAINING_STEP)
    if ticks.declared:
        return REGULAR._replace(quiet_until=math.inf)
    if ticks.locked and account.coming.proof.wants_looks(looked) and (proving := _next_of_proof(account, looked)):
        return proving
    if account.unsettled:
        return _next_at_boundary(account, looked, place, longest)
    if _is_even(ticks) and account.coming.see_a_tick:
        return REGULAR._replace(quiet_until=math.inf)
    coming = ticks.due_tick(looked) if ticks.wants_check(looked) else None
    return _next_of_check(account, looked, *coming) if coming else REGULAR._replace(quiet_until=ticks.sure_until)


def _next_of_proof(account: DeviceAccount, looked: float) -> Next | None:
    """Looks after a tick, before the next, and after that and the one that follows; None where they have no room."""
    ticks = account.ticks
    since = ticks.since_tick(looked)
    after, before = _clearance(ticks, ticks.deviation(looked))
    room = GAP * ticks.seconds
    if max(after, before) + ticks.call_seconds > room:
        return None
    following = looked - since + ticks.seconds
    in_gap = since < room and not account.coming.proof.gap_seen
    return Next(following - before - ticks.call_seconds if in_gap else following + after, waits=True, close=True)


def _next_of_check(account: DeviceAccount, looked: float, tick: float, deviation: float) -> Next:
    """Close looks at a tick that is due.

    One tells enough of an even beat: what it shows is booked later, if it shows the tick.
    """
    ticks = account.ticks
    step = ticks.check_step(looked)
    begin = _just_before(ticks, tick, deviation)
    missed = looked < begin and looked - tick + ticks.seconds < 3 * deviation + 2 * step
    waits = _is_even(ticks) and not missed and not account.coming.see_an_odd_tick
    return Next(max(looked + step, begin), waits=waits, close=True)


def _next_at_boundary(account: DeviceAccount, looked: float, place: float, longest: float) -> Next:
    """Close looks for the ticks around a boundary, or one a tick where the beat tells their instants by itself."""
    ticks = account.ticks
    coming, step = ticks.due_tick(looked), min(max(ticks.seconds / 40, 0.001), 0.005)
    if coming is None:
        return Next(looked + step)
    tick, deviation = coming
    if deviation <= _EVEN * ticks.seconds or (_is_even(ticks) and account.coming.see_a_tick):
        instant, step = _between_ticks(ticks, looked, deviation, place, longest), _step(ticks)
        slides = abs(step - ticks.seconds) / step
        lasts = min(_ROW_SECONDS, _ROW_SLIDE_SECONDS / slides if slides else math.inf)
        return Next(instant, waits=True, step=step, quiet_until=looked + lasts)
    if _is_even(ticks):
        # The beat alone is not known well any more.
        return _next_of_check(account, looked, tick, deviation)
    return Next(max(looked + step, _just_before(ticks, tick, deviation)))


def _is_even(ticks: TickTracker) -> bool:
    """Whether the beat, where it is known well, tells the instant of a tick."""
    return ticks.jitter <= _EVEN * ticks.seconds / 2


def _just_before(ticks: TickTracker, tick: float, deviation: float) -> float:
    """When the first of close looks at a tick is to begin, so that its call has returned before the tick can come."""
    return tick - 3 * deviation - ticks.call_seconds


def _next_sample(account: DeviceAccount, looked: float) -> float:
    """Where power is booked every refresh of its gauge counts, as far as they are not too many."""
    if account.gauge.wants_training(looked):
        return looked + TRAINING_STEP
    return account.gauge.next_look(looked, GAUGE_STEP if account.power.waiting else _LEAST_SAMPLE)


def _between_ticks(ticks: TickTracker, looked: float, deviation: float, place: float, longest: float) -> float:
    """The next of one look a tick, clear of it, so that every tick is seen alone: its instant the beat knows.

    Looks are on a grid that all devices of about one beat share, most of them at the same place of it: what is due
    together is read together, and a processor that sleeps is woken once.
    """
    step = _step(ticks)
    after, before = _clearance(ticks, deviation)
    best, found = -math.inf, looked
    for other in _PLACES:
        at = _next_on(looked, step, (place + other) % 1.0)
        behind = ticks.since_tick(at)
        clear = min(behind / after, (ticks.seconds - behind) / before)
        if clear > best:
            best, found = clear, at
        if best >= _CLEAR:
            break
    # A look with no tick since the one before would show nothing new; but a regular one by itself would cost more.
    empty = ticks.since_tick(found) > found - looked
    return found + step if empty and found + step <= looked + longest else found


def _clearance(ticks: TickTracker, deviation: float) -> tuple[float, float]:
    """How many seconds a look should be after one tick and before the next."""
    after = 4 * deviation + _AFTER_SECONDS
    return after, after - _AFTER_SECONDS + _BEFORE_SECONDS + _BEFORE_PART * ticks.seconds


def _on_beat(ticks: TickTracker, now: float) -> _OnBeat:
    step = _step(ticks)
    after, before = _clearance(ticks, ticks.deviation(now))
    return _OnBeat((now - ticks.since_tick(now)) / step % 1.0, after / step, before / step)


def _step(ticks: TickTracker) -> float:
    """The beat in whole milliseconds, so that devices whose beats are nearly the same share one."""
    return max(0.001, round(ticks.seconds, 3))


def _next_on(looked: float, step: float, place: float) -> float:
    return (math.floor(looked / step - place + 1e-9) + 1 + place) * step
