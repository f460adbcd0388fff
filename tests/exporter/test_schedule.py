"""Looks at a boundary: one a tick, clear of it, and of all devices together; a doubtful beat is looked at closely."""

from __future__ import annotations

import math
import random

import pytest
from meter_rig import apply

from joulemark.attribution.attribution import DeviceAccount
from joulemark.attribution.ticks import TickTracker
from joulemark.meter.schedule import REGULAR, Next, common_place, next_reading
from joulemark.sources.base import Device, Reading

PERIOD = 0.1
WATTS = 400.0
# As devices in one machine: their ticks are not in step, and there is not much room between any two.
PHASES = [0.013 * index for index in range(8)]


def counter_at(at: float, phase: float) -> float:
    """What a counter that refreshes at an even beat shows."""
    return WATTS * PERIOD * int((at - phase) / PERIOD)


def trained(phase: float) -> DeviceAccount:
    """A device whose beat has been learnt, looked at until second 3, and was handed over then."""
    account = DeviceAccount(Device("gpu", "gpu", "nvml_counter", fallback="nvml_power"))
    at = 0.5
    while at < 3.0:
        apply(account, Reading(at, counter_at(at, phase), WATTS, True, at, at))
        at += 0.00213
    assert account.ticks.locked
    account.change_holders(("w",), 3.0)
    return account


@pytest.fixture(scope="module")
def devices() -> list[DeviceAccount]:
    return [trained(phase) for phase in PHASES]


def test_all_devices_are_looked_at_together_though_their_ticks_are_not_in_step(devices: list[DeviceAccount]) -> None:
    place = common_place((device.ticks for device in devices), 3.0)
    looks = [next_reading(device, 3.001, place, 0.13) for device in devices]
    assert all(look.waits for look in looks)
    assert len({round(look.instant or 0.0, 3) for look in looks}) == 1
    # And clear of every tick, the one before it and the one that comes.
    for device, look in zip(devices, looks, strict=True):
        assert look.instant is not None
        assert 0.001 < device.ticks.since_tick(look.instant) < PERIOD - 0.001


@pytest.mark.parametrize("seconds_after_a_tick", [0.01, 0.03, 0.05, 0.07, 0.09])
def test_a_look_that_would_show_nothing_new_is_left_out_unless_a_regular_one_would_be_made_for_it(
    seconds_after_a_tick: float,
) -> None:
    account = trained(0.0)
    looked = 3.0 + seconds_after_a_tick
    place = common_place([account.ticks], looked)
    left_out, in_company = (next_reading(account, looked, place, longest).instant for longest in (1.0, 0.0))
    assert left_out is not None
    assert in_company is not None
    # Where it may wait for so long a tick has come before it is looked at again; else it is looked at with the others.
    assert account.ticks.since_tick(left_out) < left_out - looked
    assert 0 < in_company - looked <= PERIOD + 1e-9
    nothing_new = account.ticks.since_tick(in_company) > in_company - looked
    assert nothing_new == (seconds_after_a_tick <= 0.03)
    assert left_out - in_company == pytest.approx(PERIOD if nothing_new else 0.0, abs=1e-6)


def test_an_even_beat_that_is_not_known_well_any_more_is_looked_at_closely_and_as_a_counter_alone() -> None:
    account = trained(0.0)
    at = 3.0
    while account.ticks.deviation(at) <= 0.015 * PERIOD:
        at += 1.0
    following = next_reading(account, at, 0.0, 0.13)
    assert following == Next(following.instant, waits=True, close=True)


@pytest.mark.parametrize(("call_seconds", "most"), [(0.0, 0.12), (0.001, 0.12), (0.003, 0.12), (0.01, 0.4)])
def test_a_beat_stays_known_with_few_looks_beside_the_regular_ones_however_long_a_call_takes(
    call_seconds: float, most: float
) -> None:
    rng, account = random.Random(1), trained(0.0)
    account.change_holders((), 3.0)
    minutes, begin, regular, looks, unknown = 3, 3.1, 3.1, 0, 0
    while begin < 3.1 + 60 * minutes:
        regular = regular if begin < regular else begin + PERIOD * (0.85 + 0.3 * rng.random())
        # The value is of the middle of the call; a wake-up is late by 0.1 ms.
        middle, end = begin + call_seconds / 2, begin + call_seconds
        apply(account, Reading(end, counter_at(middle, 0.0), WATTS, True, begin, end))
        looks += 1
        unknown += account.ticks.deviation(end) > 0.015 * PERIOD
        wanted = next_reading(account, end, 0.0, 0.13).instant
        begin = max(end, min(regular, wanted if wanted is not None else regular)) + 0.0001
    # At rest ten a second are made anyhow: what is made to know the beat is a part of that.
    assert looks < (1 + most) * 60 * minutes / PERIOD
    # A boundary can be placed by the beat at any time, but where calls take too long to know one so well.
    assert call_seconds >= 0.01 or unknown < 0.01 * looks


def look_until_it_is_due(account: DeviceAccount, ticks: bool) -> list[Next]:
    """Readings wait to be booked while a beat that has become doubtful is checked; what was wanted after each."""
    at, wanted = 3.05, list[Next]()
    while account.unsettled or at < 4.0:
        apply(account, Reading(at, counter_at(at, 0.0), WATTS, True, at, at))
        at += 0.1
    while not account.ticks.wants_check(at):
        at += 0.1
    end, shown = at + 0.5, counter_at(at, 0.0)
    while at < end:
        account.coming.add(Reading(at, counter_at(at, 0.0) if ticks else shown, None, False, at, at))
        wanted.append(next_reading(account, at, 0.0, 0.13))
        if wanted[-1].instant is None or not wanted[-1].waits:
            break
        at = wanted[-1].instant + 0.0001
    return wanted


def test_a_check_of_an_even_beat_is_booked_later_when_it_has_seen_the_tick() -> None:
    account = trained(0.0)
    *looks, last = look_until_it_is_due(account, ticks=True)
    assert looks
    assert all(look.waits and look.close for look in looks)
    assert account.coming.see_a_tick
    # Until that is booked no other is wanted, whatever regular readings show.
    assert last == REGULAR._replace(quiet_until=math.inf)
    # A hand-over wants looks, and who has the readings booked knows more.
    account.quiet_until = last.quiet_until
    account.change_holders(("x",), 60.0)
    assert account.quiet_until == -math.inf


@pytest.mark.parametrize("behind_seconds", [None, 0.02])
def test_a_check_that_has_not_seen_the_tick_of_the_beat_is_booked_at_once(behind_seconds: float | None) -> None:
    account = trained(0.0)
    *looks, last = look_until_it_is_due(account, ticks=False)
    if behind_seconds:
        # The counter has moved, but not when it should have.
        at = last.instant or 0.0
        tick = at - account.ticks.since_tick(at) + behind_seconds
        for look in (tick - 0.001, tick + 0.001):
            shown = counter_at(at, 0.0) + 40.0 * (look > tick)
            account.coming.add(Reading(look, shown, None, False, look, look))
        assert not account.coming.see_a_tick
        last = next_reading(account, tick + 0.001, 0.0, 0.13)
    assert looks
    assert all(look.waits and look.close for look in looks)
    assert last.close
    assert not last.waits


@pytest.mark.parametrize("seed", range(5))
def test_a_beat_that_is_seen_closely_now_and_then_is_not_taken_for_uneven(seed: int) -> None:
    rng, ticks, at = random.Random(seed), TickTracker(), 0.5
    while not ticks.locked:
        ticks.see(at, at, counter_at(at, 0.0))
        at += 0.00213
    learnt = ticks.jitter
    for _ in range(300):
        # Half a minute of looks a tick apart, and then one tick seen between two looks that are 2.5 ms from each other.
        at += 4.0 + rng.random()
        tick = (int(at / PERIOD) + 1) * PERIOD
        before = tick - 0.0025 * rng.random()
        for look in (tick - PERIOD / 2, before, before + 0.0025):
            ticks.see(look, look, counter_at(look, 0.0))
        at = tick
    assert ticks.locked
    # It was even all the time: what was seen must not make it look less so than its training did.
    assert ticks.jitter <= learnt + 0.0005


def test_a_beat_that_has_changed_is_learnt_anew_though_most_looks_have_a_tick_between_them() -> None:
    account = trained(0.0)
    ticks, moved = account.ticks, 0.04
    # The counter refreshes 40 ms later than it did; every two seconds one tick is seen closely.
    for at in (4.0, 6.0, 8.0):
        assert ticks.locked
        for look in (at - 0.05, at + moved - 0.001, at + moved + 0.001):
            ticks.see(look, look, counter_at(look, moved))
    assert not ticks.locked
