"""Readings wait to be booked together, those of a slow driver for less long; and nobody has to ask for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually
from meter_rig import TRACES, WATTS
from nvml_mock import Gpu, VirtualBench

from joulemark.attribution.attribution import DeviceAccount
from joulemark.clock import ManualClock
from joulemark.ledger.state import StageRequest
from joulemark.meter import fleet, schedule
from joulemark.meter.durable import DurableLedger
from joulemark.meter.meter import Meter
from joulemark.meter.schedule import Next
from joulemark.sources.base import Device, Reading
from joulemark.sources.replay import ReplaySource


class Driver(ReplaySource):
    """Takes so many seconds of a clock that nothing else moves for a reading, and keeps count."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, TRACES)
        self.clock, self.seconds = clock, 0.0
        self.made: list[Device] = []

    @property
    def devices(self) -> tuple[Device, ...]:
        """Of a known beat, so that no reading is needed to know when the next is to be made."""
        return tuple(replace(device, tick_seconds=0.1) for device in super().devices)

    def read(self, device: Device, *, power: bool = True) -> Reading:
        reading = super().read(device, power=power)
        self.clock.advance(self.seconds)
        self.made.append(device)
        return reading


class Rounds:
    """A meter whose readings are made in rounds, in threads; nobody looks at what they book."""

    def __init__(self, seconds: float, folder: Path) -> None:
        self.clock = ManualClock()
        self.driver = Driver(self.clock)
        self.meter = Meter([self.driver], folder, self.clock, threads=True)
        self.driver.seconds = seconds
        self._before = 0
        self._before = self.booked()

    def booked(self) -> int:
        """How many readings of the first device are booked since."""
        return next(iter(self.meter.fleet.views())).health.reads - self._before

    def have_booked(self, count: int) -> bool:
        """Whether it is so many."""
        return self.booked() == count

    def make(self) -> None:
        """One round, until all its readings are there."""
        self.driver.made.clear()
        self.clock.advance(0.2)
        self.meter.fleet.look(self.clock.steady())
        self._all_are_made()

    def begin(self, stage: str) -> Any:
        """A transition, until the readings are there that it triggers; what was answered."""
        self.driver.made.clear()
        answer = self.meter.begin(StageRequest("kd-1", stage))
        self._all_are_made()
        return answer

    def _all_are_made(self) -> None:
        eventually(lambda: len(self.driver.made) == len(self.driver.devices))


def test_readings_of_a_quick_driver_wait_until_somebody_looks(tmp_path: Path) -> None:
    rounds = Rounds(0.0, tmp_path)
    for _ in range(5):
        rounds.make()
        # What a round does at its end comes after the last of its readings.
        time.sleep(0.05)
        assert rounds.booked() == 0
    rounds.meter.active()
    assert rounds.booked() == 6
    rounds.meter.close()


def test_readings_of_a_slow_driver_are_booked_with_their_round(tmp_path: Path) -> None:
    rounds = Rounds(0.04, tmp_path)
    for number in range(1, 4):
        rounds.make()
        eventually(partial(rounds.have_booked, number))
    rounds.meter.close()


def two_stages(folder: Path, monkeypatch: pytest.MonkeyPatch, *, amid: bool) -> list[dict[str, Any]]:
    """A stage of 20 rounds as it ended, then it and the 5 rounds of the next; it ends amid the booking or after it."""
    rounds, turns = Rounds(0.0, folder), list[int]()
    answers: list[Any] = []

    def somebody_s_turn(_: DurableLedger) -> None:
        turns.append(rounds.booked())
        if amid and len(turns) == 1:
            answers.append(rounds.begin("student"))

    monkeypatch.setattr(DurableLedger, "give_way", somebody_s_turn)
    rounds.begin("teacher")
    for _ in range(20):
        rounds.make()
    rounds.meter.keep_up()
    assert turns == [8, 16]
    if not amid:
        answers.append(rounds.begin("student"))
    for _ in range(5):
        rounds.make()
    [(_, ended)] = answers
    found: list[Any] = [*ended, *rounds.meter.windows(2)]
    rounds.meter.close()
    return found


def test_a_transition_amid_the_booking_is_as_one_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after, amid = (two_stages(tmp_path / str(x), monkeypatch, amid=x) for x in (False, True))
    assert amid[0]["joules"] == pytest.approx(after[0]["joules"], abs=after[0]["uncertainty_joules"])
    for one, other in zip(after[1:], amid[1:], strict=True):
        assert other["joules"] == pytest.approx(one["joules"], rel=1e-9)
        assert other["joules"] == pytest.approx(len(TRACES) * WATTS * one["seconds"], rel=0.02)


def test_few_readings_at_rest_are_asked_what_is_to_be_read_next(
    make_bench: Callable[..., VirtualBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def counted(account: DeviceAccount, looked: float, place: float, longest: float) -> Next:
        asked.append(looked)
        return schedule.next_reading(account, looked, place, longest)

    bench = make_bench(*[Gpu({"phase": 0.013 * index}) for index in range(8)])
    bench.wait(5.0)
    before = sum(view.health.reads for view in bench.meter.fleet.views())
    monkeypatch.setattr(fleet, "next_reading", counted)
    bench.wait(30.0)
    made = sum(view.health.reads for view in bench.meter.fleet.views()) - before
    assert made > 30 * 8 / 0.13
    assert len(asked) < made / 3
    # A hand-over is seen by the next reading, whatever was known before.
    bench.go_on_until(bench.clock.steady() + 0.5)
    bench.begin("s")
    asked.clear()
    bench.go_on_until(bench.clock.steady() + 0.2)
    assert len(asked) >= 8
