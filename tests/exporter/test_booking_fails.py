"""A reading that cannot be booked harms nobody: not who asked, not the readings that wait with it, not the next."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from nvml_mock import Constant, Gpu, VirtualBench

from joulemark.attribution.attribution import DeviceAccount
from joulemark.attribution.booking import Settlement
from joulemark.ledger.state import StageRequest
from joulemark.sources.base import Device, Reading

MakeBench = Callable[..., VirtualBench]


class Failing:
    """A ledger's `take` that raises for one device so many times, and what came in after each."""

    def __init__(self, bench: VirtualBench, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._take = bench.meter.ledger.take
        self._name = name
        self.left = 0
        self.after: list[str] = []
        monkeypatch.setattr(bench.meter.ledger, "take", self.take)

    def take(self, device: Device, reading: Reading, wall: float) -> Settlement:
        if self.left and device.name == self._name:
            self.left -= 1
            self.after = []
            raise ZeroDivisionError("cannot be booked")
        self.after.append(device.name)
        return self._take(device, reading, wall)


Call = Callable[[VirtualBench, str], object]
CALLS: dict[str, Call] = {
    "begin": lambda bench, _: bench.meter.begin(StageRequest("run", "b")),
    "heartbeat": lambda bench, window: bench.meter.heartbeat(window, {"trained": 10}),
    "end": lambda bench, window: bench.meter.end(window, {}),
    "active": lambda bench, _: bench.meter.active(),
    "devices": lambda bench, _: bench.meter.devices(),
    "scrape": lambda bench, _: bench.meter.snapshot(),
    "run": lambda bench, _: bench.meter.run_record("run"),
}
# Those who do not wait for readings to be booked.
TRANSITIONS = {"begin", "end"}


class Load:
    """Two GPUs at 400 W after none, and between two stages none again: all that they draw is known in the end."""

    def __init__(self, bench: VirtualBench) -> None:
        self.bench = bench
        bench.wait(5.0)
        self.draw(0.0, 3.0)
        self._before = self.totals()
        self._start = bench.clock.steady()
        self.window = str(bench.meter.begin(StageRequest("run", "a"))[0]["id"])
        self.draw(400.0, 5.0)

    def draw(self, watts: float, seconds: float) -> None:
        self.bench.script.power(self.bench.clock.steady(), Constant(watts))
        self.bench.script.save()
        self.bench.wait(seconds)

    def totals(self) -> list[float]:
        return [view.joules for view in self.bench.meter.devices()]

    def read(self) -> None:
        """The next regular reading; it is not asked for, and waits to be booked."""
        self.bench.clock.move_to(self.bench.meter.fleet.next_reading())
        self.bench.meter.fleet.look(self.bench.clock.steady())

    def assert_all_is_booked(self) -> None:
        self.bench.wait(5.0)
        self.draw(0.0, 3.0)
        now = self.bench.clock.steady()
        for gpu, before, after in zip(self.bench.gpus, self._before, self.totals(), strict=True):
            assert after - before == pytest.approx(gpu.joules(self._start, now), abs=0.1)
        assert all(view.health.up and not view.gap_seconds for view in self.bench.meter.devices())
        assert abs(self.bench.residual()) < 1e-8


@pytest.mark.parametrize("name", CALLS)
def test_who_has_readings_booked_gets_his_answer_all_the_same(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    bench = make_bench(Gpu({"limit": 700}), Gpu({"limit": 700}))
    load = Load(bench)
    failing = Failing(bench, "gpu0", monkeypatch)
    load.read()
    failing.left = 1
    load.read()
    assert failing.left == 1
    assert CALLS[name](bench, load.window)
    assert failing.left == (name in TRANSITIONS)
    bench.meter.keep_up()
    assert failing.left == 0
    assert "gpu1" in failing.after
    (logged,) = [record for record in caplog.records if record.exc_info]
    assert (logged.levelno, logged.getMessage()) == (
        logging.ERROR,
        "device=gpu0 reading could not be booked; going on",
    )
    load.assert_all_is_booked()


def test_the_sampler_goes_on_though_every_reading_of_a_device_fails_for_a_while(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(Gpu({"limit": 700}), Gpu({"limit": 700}))
    load = Load(bench)
    failing = Failing(bench, "gpu0", monkeypatch)
    failing.left = 12
    bench.wait(3.0)
    assert failing.left == 0
    load.assert_all_is_booked()


def test_energy_that_cannot_be_booked_holds_up_neither_other_devices_nor_who_looks(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(Gpu({"limit": 700}), Gpu({"limit": 700}))
    load = Load(bench)
    bookings = bench.meter.ledger._bookings
    book_all, booked = bookings.book_all, list[str]()

    def failing(account: DeviceAccount, settlement: Settlement) -> None:
        if account.device.name == "gpu0":
            raise ZeroDivisionError("cannot be booked")
        booked.append(account.device.name)
        book_all(account, settlement)

    monkeypatch.setattr(bookings, "book_all", failing)
    load.read()
    assert bench.meter.heartbeat(load.window, {"trained": 10})
    assert booked == ["gpu1"]
    assert "device=gpu0 energy could not be booked; going on" in caplog.text
