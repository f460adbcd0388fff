"""Readings are made when they are due: not before, not for nothing, and together where they can be."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from joulemark.clock import SystemClock
from joulemark.meter.alarm import Alarm
from joulemark.meter.sampler import Sampler
from joulemark.meter.schedule import REGULAR, Next
from joulemark.meter.timetable import Timetable

INTERVAL = 0.1


def read_once(now: float = 10.0) -> Timetable:
    """The timetable of one device after its first reading."""
    table = Timetable(INTERVAL, now)
    table.add("gpu")
    assert table.take(now) == {"gpu": True}
    table.want("gpu", REGULAR)
    return table


def test_a_device_in_an_even_row_is_due_once_a_step_and_every_look_of_the_row_is_a_whole_reading() -> None:
    table, looked = read_once(), []
    table.want("gpu", Next(10.04, step=INTERVAL, quiet_until=11.0))
    for _ in range(10):
        due = table.wait_for_next()
        taken = table.take(due)
        looked.append((round(due, 6), taken))
        # Until its reading has come nothing else is due.
        assert table.wait_for_next() >= due + INTERVAL - 1e-9
        table.want("gpu", Next(due + INTERVAL, step=INTERVAL, quiet_until=due + 1.0))
    assert looked == [(round(10.04 + INTERVAL * step, 6), {"gpu": True}) for step in range(10)]


def test_a_device_whose_reading_never_comes_is_due_once_an_interval_and_not_all_the_time() -> None:
    table, looks = read_once(), 0
    table.want("gpu", Next(10.04, step=INTERVAL / 5, quiet_until=11.0))
    now = 10.0
    while now < 11.0:
        now = max(now + 1e-6, table.wait_for_next())
        looks += bool(table.take(now))
    # A row goes on by itself, but only as long as it was known to be one.
    assert looks == pytest.approx(5 / INTERVAL, rel=0.1)
    looks, now = 0, 11.1
    while now < 21.1:
        now = max(now + 1e-6, table.wait_for_next())
        looks += bool(table.take(now))
    assert 0.7 / INTERVAL * 10 <= looks <= 1.5 / INTERVAL * 10


def test_a_row_goes_on_where_its_looks_lie_though_one_was_made_late() -> None:
    table = read_once()
    table.want("gpu", Next(10.04, step=0.02, quiet_until=11.0))
    table.take(10.065)
    assert table.wait_for_next() == pytest.approx(10.08)


def test_a_close_look_is_of_the_counter_alone_and_puts_off_no_regular_reading() -> None:
    table = read_once()
    regular = table.wait_for_next()
    table.want("gpu", Next(regular - 0.002, close=True))
    assert table.take(regular - 0.002) == {"gpu": False}
    table.want("gpu", Next(regular + 0.02, close=True))
    assert table.wait_for_next() == regular
    assert table.take(regular) == {"gpu": True}


def test_who_is_woken_early_makes_no_look_before_it_is_due() -> None:
    looks: list[float] = []
    clock, alarm, due = SystemClock(), Alarm(), threading.Event()
    at = clock.steady() + 0.3

    def look(now: float) -> None:
        looks.append(now)
        due.set()

    fleet = SimpleNamespace(next_reading=lambda: at if not looks else at + 60, look=look, sample=None)
    meter = SimpleNamespace(fleet=fleet, alarm=alarm, commit=lambda: None)
    sampler = Sampler(cast("Any", meter), clock)
    sampler.start()
    for _ in range(20):
        alarm.wake()
        time.sleep(0.005)
    assert due.wait(10)
    sampler.stop()
    assert len(looks) == 1
    assert looks[0] >= at
