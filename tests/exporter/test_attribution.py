"""Conservation and honest splitting, over generated schedules: sum over stages == device, always."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joulemark.attribution import DeviceAccount
from joulemark.clock import ManualClock
from joulemark.errors import RequestError
from joulemark.ledger import UNCLAIMED, Ledger
from joulemark.sources.base import Device, Reading
from joulemark.sources.replay import ReplaySource, Trace
from joulemark.state import StageRequest, State
from joulemark.windows import SeriesKey

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
            self.ledger.attach(device)
        self.read()

    def read(self) -> None:
        for device in self.source.devices:
            if device.name in self.lost:
                self.ledger.fail(device, self.clock.steady(), self.clock.wall())
                continue
            seen = self.source.read(device)
            assert seen.energy_joules is not None
            energy = max(0.0, seen.energy_joules - self.offset)
            reading = Reading(seen.steady, energy, seen.watts, sensor=True)
            self.ledger.apply(device, reading, self.clock.wall())
        self.ledger.expire(self.clock.steady(), self.clock.wall())

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


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STAGES), st.floats(0.05, 4.0)), min_size=1, max_size=12))
def test_the_stated_bound_holds_against_the_exact_joules(schedule: list[tuple[str, float]]) -> None:
    bench = Bench()
    truth: dict[str, float] = {}
    for stage, seconds in schedule:
        bench.read()
        bench.ledger.begin(StageRequest("r", stage), bench.clock.steady(), bench.clock.wall())
        began = bench.clock.steady()
        bench.wait(seconds)
        for trace in TRACES.values():
            gained = trace.joules(bench.clock.steady() - 1000.0) - trace.joules(began - 1000.0)
            truth[stage] = truth.get(stage, 0.0) + gained
    bench.ledger.end(bench.ledger.active()[0].id, {}, bench.clock.steady(), bench.clock.wall())
    bench.wait(0.5)
    for key, totals in bench.ledger.state.series.items():
        if key != UNCLAIMED:
            error = abs(sum(totals.joules.values()) - truth[key.stage])
            assert error <= totals.uncertainty_joules + 1e-6


def test_a_tick_across_a_boundary_is_split_by_power_not_given_to_whoever_holds_the_device() -> None:
    account = DeviceAccount(Device("gpu0", "u", "nvml_counter", tick_seconds=0.1))
    account.apply(Reading(0.0, 100.0, 100.0, sensor=True))
    account.change_holders(("low",))
    account.apply(Reading(0.05, 100.0, 100.0, sensor=True))
    account.change_holders(("high",))
    settled = account.apply(Reading(0.1, 120.0, 500.0, sensor=True))
    joules = {booking.holder: booking.joules for booking in settled.bookings if booking.joules}
    # 100 W x 50 ms against (100 + 500) / 2 W x 50 ms.
    assert joules == {"low": pytest.approx(5.0), "high": pytest.approx(15.0)}
    assert settled.joules == pytest.approx(20.0)


def test_a_counter_reset_is_a_gap_and_never_a_delta() -> None:
    account = DeviceAccount(Device("gpu0", "u", "nvml_counter", power_limit_watts=700, tick_seconds=0.1))
    account.apply(Reading(0.0, 5000.0, 300.0, sensor=True))
    settled = account.apply(Reading(1.0, 20.0, 300.0, sensor=True))
    assert (settled.joules, settled.gap_seconds, settled.gap_reason) == (0.0, 1.0, "counter_reset")
    assert account.apply(Reading(2.0, 320.0, 300.0, sensor=True)).joules == pytest.approx(300.0)


def test_an_absurd_delta_is_a_gap() -> None:
    account = DeviceAccount(Device("gpu0", "u", "nvml_counter", power_limit_watts=700, tick_seconds=0.1))
    account.apply(Reading(0.0, 0.0, 300.0, sensor=True))
    settled = account.apply(Reading(1.0, 1e9, 300.0, sensor=True))
    assert (settled.joules, settled.gap_reason) == (0.0, "absurd_delta")


def test_a_wrapped_rapl_counter_loses_nothing() -> None:
    account = DeviceAccount(
        Device("cpu0", "z", "rapl", power_limit_watts=400, wrap_joules=65_536.0, tick_seconds=0.001)
    )
    account.apply(Reading(0.0, 65_500.0, None))
    assert account.apply(Reading(1.0, 14.0, None)).joules == pytest.approx(50.0)


def test_without_a_counter_sampled_power_is_booked_and_a_hole_is_not_guessed() -> None:
    account = DeviceAccount(Device("gpu0", "u", "nvml_power", power_limit_watts=700))
    account.apply(Reading(0.0, None, 100.0, sensor=True))
    assert account.apply(Reading(0.1, None, 200.0, sensor=True)).joules == pytest.approx(15.0)
    settled = account.apply(Reading(5.1, None, 200.0, sensor=True))
    assert settled.joules == 0.0
    assert settled.gap_seconds == pytest.approx(5.0)


def test_replay_joules_are_the_integral_of_its_watts() -> None:
    trace = TRACES["gpu0"]
    steps = 24_000
    integral = sum(trace.watts((i + 0.5) * 2.4 / steps) * 2.4 / steps for i in range(steps))
    assert trace.joules(2.4) == pytest.approx(integral, rel=1e-4)
    assert trace.joules(4.8) == pytest.approx(2 * trace.joules(2.4))
