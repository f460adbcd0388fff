"""Conservation and honest splitting, over generated schedules: sum over stages == device, always."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meter_rig import apply

from joulemark.attribution.attribution import DeviceAccount
from joulemark.attribution.boundary import Power, split
from joulemark.attribution.ticks import Tick
from joulemark.clock import ManualClock
from joulemark.errors import RequestError
from joulemark.ledger.ledger import Ledger
from joulemark.ledger.state import StageRequest, State
from joulemark.ledger.windows import SeriesKey
from joulemark.sources.base import Device, Reading
from joulemark.sources.replay import ReplaySource, Trace

STAGES = ("data", "teacher", "student", "eval")
TRACES = {
    "gpu0": Trace(((0.7, 60.0), (0.4, 650.0), (1.3, 310.0))),
    "gpu1": Trace(((0.31, 90.0), (0.52, 400.0))),
}

step = st.one_of(
    st.tuples(st.just("wait"), st.floats(0.001, 3.0)),
    st.tuples(st.just("begin"), st.sampled_from("ab"), st.sampled_from(STAGES), st.booleans(), st.booleans(),
              st.sampled_from([None, ["gpu0"], ["gpu1"]]), st.sampled_from([None, 1.0, 5.0])),
    st.tuples(st.just("end"), st.integers(0, 5)),
    st.tuples(st.just("reset")),
    st.tuples(st.just("lose"), st.sampled_from(["gpu0", "gpu1"])),
)  # fmt: skip


class Bench:
    """A ledger on two scripted devices and a clock that moves when told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.source = ReplaySource(self.clock, TRACES)
        self.ledger = Ledger(State())
        self.offset = 0.0
        self.lost: set[str] = set()
        for device in self.source.devices:
            self.ledger.attach(device, self.clock.steady(), self.clock.wall())
        self.read()

    def read(self) -> None:
        self.ledger.expire(self.clock.steady(), self.clock.wall())
        for device in self.source.devices:
            if device.name in self.lost:
                self.ledger.fail(device, self.clock.steady(), self.clock.wall())
                continue
            seen = self.source.read(device)
            assert seen.energy_joules is not None
            energy = max(0.0, seen.energy_joules - self.offset)
            reading = Reading(seen.steady, energy, seen.watts, sensor=True)
            self.ledger.take(device, reading, self.clock.wall())
        self.ledger.book()

    def wait(self, seconds: float) -> None:
        whole, rest = divmod(seconds, 0.1)
        for part in [0.1] * int(whole) + [rest]:
            self.clock.advance(part)
            self.read()

    def run(self, step: tuple[object, ...]) -> None:
        match step:
            case ("wait", float(seconds)):
                self.wait(seconds)
            case ("begin", str(run), str(stage), bool(share), bool(nest), devices, ttl):
                self.read()
                request = StageRequest(run, stage, "", devices, ttl, share, nest)  # type: ignore[arg-type]
                with contextlib.suppress(RequestError):
                    self.ledger.begin(request, self.clock.steady(), self.clock.wall())
            case ("end", int(index)):
                self.read()
                active = self.ledger.active()
                if active:
                    window = active[index % len(active)]
                    self.ledger.end(window.id, {}, self.clock.steady(), self.clock.wall())
            case ("reset",):
                elapsed = self.clock.steady() - 1000.0
                self.offset = max(trace.joules(elapsed) for trace in TRACES.values())
            case ("lose", str(name)):
                self.lost ^= {name}

    def residual(self, device: str) -> float:
        series = self.ledger.state.series.values()
        return math.fsum(totals.joules.get(device, 0.0) for totals in series) - self.total(device)

    def total(self, device: str) -> float:
        return self.ledger.state.accounts[device].total_joules


@settings(max_examples=300, deadline=None)
@given(st.lists(step, max_size=25))
def test_every_joule_of_a_device_is_in_exactly_one_stage_and_no_counter_goes_down(
    steps: list[tuple[object, ...]],
) -> None:
    bench = Bench()
    before: dict[tuple[SeriesKey, str], float] = {}
    for one in steps:
        bench.run(one)
        for device in ("replay-gpu0", "replay-gpu1"):
            assert abs(bench.residual(device)) <= 1e-9 * max(1.0, bench.total(device))
        now = {(k, d): j for k, totals in bench.ledger.state.series.items() for d, j in totals.joules.items()}
        assert all(now[key] >= joules for key, joules in before.items())
        before = now


def account_of(**device: object) -> DeviceAccount:
    return DeviceAccount(Device("gpu0", "u", "nvml_counter", power_limit_watts=700, **device))  # type: ignore[arg-type]


def polled(account: DeviceAccount, start: float, seconds: float, step: float, *, watts: float, base: float) -> None:
    """A GPU of constant power whose counter refreshes every 0.1 s, looked at every `step`."""
    for count in range(1, round(seconds / step) + 1):
        at = start + count * step
        ticked = math.floor(at / 0.1 + 1e-9) * 0.1
        apply(account, Reading(at, base + watts * ticked, watts, sensor=True))


def test_a_tick_across_a_boundary_is_split_by_power_not_given_to_whoever_holds_the_device() -> None:
    account = account_of()
    account.change_holders(("low",), 0.0)
    polled(account, 0.0, 0.95, 0.005, watts=100.0, base=0.0)
    # At 0.95 s a stage of 500 W begins; the tick from 0.9 s to 1.0 s gains 50 ms of either.
    account.change_holders(("high",), 0.95)
    joules: dict[str | None, float] = {}
    for count in range(1, 101):
        at = 0.95 + count * 0.005
        shown = math.floor(at / 0.1 + 1e-9) * 0.1
        energy = 100.0 * min(shown, 0.95) + 500.0 * max(0.0, shown - 0.95)
        for booking in apply(account, Reading(at, energy, 500.0, sensor=True)).bookings:
            joules[booking.holder] = joules.get(booking.holder, 0.0) + booking.joules
    # What was booked before 0.95 s lies in the account's total; the tick itself is split 5 J to 25 J.
    # Looks every 5 ms place a tick to about 1 ms: half a joule between 100 W and 500 W.
    assert joules["low"] == pytest.approx(5.0, abs=0.5)
    assert account.total_joules == pytest.approx(100.0 * 0.95 + 500.0 * (joules["high"] / 500.0), abs=1.0)


def test_a_counter_reset_is_a_gap_filled_from_power_and_never_a_delta() -> None:
    account = account_of()
    apply(account, Reading(0.0, 5000.0, 300.0, sensor=True))
    apply(account, Reading(1.0, 5300.0, 300.0, sensor=True))
    settled = apply(account, Reading(2.0, 20.0, 300.0, sensor=True))
    assert "counter_reset" in settled.events
    assert settled.gap_seconds > 0
    # The counter was last seen to move less than two ticks before 1.0 s: from there on it is power.
    assert settled.joules == pytest.approx(315.0, rel=0.05)
    total = account.total_joules
    apply(account, Reading(3.0, 320.0, 300.0, sensor=True))
    apply(account, Reading(4.0, 620.0, 300.0, sensor=True))
    assert account.total_joules - total == pytest.approx(600.0, rel=0.1)


def test_a_counter_reset_without_a_gauge_books_nothing_and_bounds_it() -> None:
    account = account_of(tick_seconds=0.01)
    account.change_holders(("stage",), 0.0)
    apply(account, Reading(0.0, 5000.0, None))
    settled = apply(account, Reading(1.0, 20.0, None))
    assert settled.joules == 0.0
    assert settled.gap_seconds == pytest.approx(1.0)
    (booking,) = settled.bookings
    assert booking.bound_joules == pytest.approx(700.0)


def test_an_absurd_delta_is_never_booked() -> None:
    account = account_of()
    apply(account, Reading(0.0, 0.0, 300.0, sensor=True))
    apply(account, Reading(0.5, 150.0, 300.0, sensor=True))
    settled = apply(account, Reading(1.0, 1e9, 300.0, sensor=True))
    assert "absurd_delta" in settled.events
    assert settled.joules < 400.0


def test_a_wrapped_rapl_counter_loses_nothing() -> None:
    account = DeviceAccount(
        Device("cpu0", "z", "rapl", power_limit_watts=400, wrap_joules=65_536.0, tick_seconds=0.001)
    )
    apply(account, Reading(0.0, 65_500.0, None))
    assert apply(account, Reading(1.0, 14.0, None)).joules == pytest.approx(50.0)
    assert apply(account, Reading(2.0, 64.0, None)).joules == pytest.approx(50.0)


def test_without_a_counter_sampled_power_is_booked_and_a_hole_is_not_guessed() -> None:
    account = DeviceAccount(Device("gpu0", "u", "nvml_power", power_limit_watts=700, fallback="nvml_power"))
    apply(account, Reading(0.0, None, 100.0, sensor=True))
    assert apply(account, Reading(0.1, None, 200.0, sensor=True)).joules == pytest.approx(15.0)
    settled = apply(account, Reading(5.1, None, 200.0, sensor=True))
    assert settled.joules == 0.0
    assert settled.gap_seconds == pytest.approx(5.0)


@given(
    st.lists(st.floats(0.0, 700.0), min_size=1, max_size=5),
    st.lists(st.floats(0.001, 0.09), min_size=1, max_size=4),
    st.floats(0.0, 70.0),
)
def test_a_split_is_the_whole_and_nothing_but_the_whole(watts: list[float], gaps: list[float], gained: float) -> None:
    begin = Tick(10.0, 0.001, 500.0)
    cuts = [10.0 + sum(gaps[: index + 1]) for index in range(len(gaps))]
    end = Tick(max(10.1, cuts[-1] + 0.01), 0.001, 500.0 + gained)
    before, after = Power(watts[0], 5.0), Power(watts[-1], 5.0) if len(watts) > 1 else None
    parts = split(begin, end, cuts, before, after)
    assert len(parts) == len(cuts) + 1
    assert math.fsum(part.joules for part in parts) == pytest.approx(gained, abs=1e-9)
    assert all(part.joules >= 0 and part.variance >= 0 for part in parts)


def test_replay_joules_are_the_integral_of_its_watts() -> None:
    trace = TRACES["gpu0"]
    steps = 24_000
    integral = sum(trace.watts((i + 0.5) * 2.4 / steps) * 2.4 / steps for i in range(steps))
    assert trace.joules(2.4) == pytest.approx(integral, rel=1e-4)
    assert trace.joules(4.8) == pytest.approx(2 * trace.joules(2.4))
