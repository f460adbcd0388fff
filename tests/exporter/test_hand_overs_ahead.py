"""A transition does not wait for readings to be booked; whoever held the device when they were made gets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meter_rig import TRACES
from nvml_mock import Constant, Gpu, Square, VirtualBench

from joulemark.attribution.attribution import DeviceAccount
from joulemark.attribution.booking import Booking, Settlement
from joulemark.clock import ManualClock
from joulemark.ledger.state import StageRequest
from joulemark.meter.meter import Meter
from joulemark.sources.base import Device, Reading
from joulemark.sources.replay import ReplaySource

MakeBench = Callable[..., VirtualBench]

TICK = 0.1
# Seconds since the event before, and what it is: a hand-over to a holder, a failed reading, or a reading at a power.
events = st.lists(
    st.tuples(
        st.floats(0.001, 0.4),
        st.one_of(
            st.sampled_from([("a",), ("b",), ("a", "b"), (), None]),
            st.floats(0.0, 700.0),
        ),
    ),
    max_size=60,
)


class Account:
    """One device's account and what it has booked to whom."""

    def __init__(self, source: str) -> None:
        self.device = DeviceAccount(Device("gpu0", "u", source, power_limit_watts=700, fallback="nvml_power"))
        self.booked: dict[str | None, Booking] = {}
        self.gaps = 0.0

    def take(self, reading: Reading | float) -> None:
        """Book a reading, or one that failed at an instant."""
        settled = self.device.fail(reading) if isinstance(reading, float) else self.device.apply(reading)
        self.note(settled)

    def note(self, settled: Settlement) -> None:
        self.gaps += settled.gap_seconds
        for one in settled.bookings:
            known = self.booked.get(one.holder, Booking(one.holder))
            sums = [a + b for a, b in zip(known[1:], one[1:], strict=True)]
            self.booked[one.holder] = Booking(one.holder, *sums)


@given(events, st.sampled_from(["nvml_counter", "nvml_power"]), st.integers(2, 20))
def test_hand_overs_that_come_before_older_readings_change_nothing(
    happened: list[tuple[float, tuple[str, ...] | float | None]], source: str, together: int
) -> None:
    in_turn, late = Account(source), Account(source)
    waiting: list[Reading | float] = []
    at = counted = shown = 0.0
    for step, (seconds, event) in enumerate(happened):
        at += seconds
        if isinstance(event, tuple):
            in_turn.device.change_holders(event, at)
            in_turn.device.take_over()
            late.device.change_holders(event, at)
        else:
            counted += seconds * (event or 300.0)
            shown = counted if int(at / TICK) > int((at - seconds) / TICK) else shown
            energy = None if source == "nvml_power" else shown
            reading = at if event is None else Reading(at, energy, event, sensor=True)
            in_turn.take(reading)
            waiting.append(reading)
        if step % together == 0:
            for reading in waiting:
                late.take(reading)
            waiting.clear()
    for reading in waiting:
        late.take(reading)
    for account in (in_turn, late):
        account.note(account.device.let_go())
    assert late.booked == in_turn.booked
    assert late.gaps == in_turn.gaps
    assert late.device.total_joules == in_turn.device.total_joules


@pytest.mark.parametrize("shape", [Constant(400.0), Square(120.0, 650.0, 2.7)])
def test_what_an_ended_stage_is_said_to_have_used_counts_what_waits_to_be_booked(
    make_bench: MakeBench, shape: Constant | Square
) -> None:
    bench = make_bench(Gpu({"phase": 0.03}), Gpu({"phase": 0.07}))
    bench.wait(5.0)
    for number in range(10):
        bench.begin(f"s{number}", shape)
        began = bench.clock.steady()
        bench.go_on_until(began + 3.0 + 0.13 * number)
        window = bench.meter.begin(StageRequest("run", f"after_s{number}"))[1][0]
        truth = sum(gpu.joules(began, bench.clock.steady()) for gpu in bench.gpus)
        bound = window["uncertainty_joules"]
        assert isinstance(window["joules"], float)
        assert isinstance(bound, float)
        assert abs(window["joules"] - truth) <= bound
        # A tick and the reading that shows it, of a stage of thirty ticks and more.
        assert bound < 0.1 * truth
        assert not window["settled"]


def test_a_stage_that_has_just_begun_has_nothing_and_is_not_settled(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu())
    bench.wait(5.0)
    began, _ = bench.meter.begin(StageRequest("run", "teacher"))
    assert began["joules"] == 0.0
    assert not began["settled"]


def test_a_hand_over_is_kept_though_the_exporter_is_killed_before_it_has_booked_what_was_read(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(Gpu())
    bench.wait(5.0)
    bench.begin("quiet", Constant(100.0))
    bench.go_on_until(bench.clock.steady() + 4.7)
    bench.begin("loud", Constant(600.0))
    bench.stop()
    bench.clock.move_to(bench.clock.steady() + 0.4)
    bench.start()
    bench.wait(3.0)
    bench.end(Constant(60.0))
    bench.wait(3.0)
    errors = {error.stage: error for error in bench.errors()}
    assert set(errors) == {"quiet", "loud"}
    assert all(error.holds for error in errors.values()), errors
    # Had the hand-over been lost, 240 J of the 0.4 s would be the quiet stage's.
    assert abs(errors["quiet"].error) < 30.0, errors
    assert abs(bench.residual()) < 1e-6


def test_a_lease_that_has_ended_does_not_keep_others_out_until_the_next_reading(tmp_path: Path) -> None:
    clock = ManualClock()
    meter = Meter([ReplaySource(clock, TRACES)], tmp_path, clock, threads=True)
    leased, _ = meter.begin(StageRequest("first", "teacher", ttl_seconds=10.0))
    clock.advance(10.5)
    meter.begin(StageRequest("second", "student"))
    (window,) = meter.windows(1, "first")
    assert window["id"] == leased["id"]
    assert window["state"] == "expired"
    assert window["ended_at"] == pytest.approx(clock.wall() - 0.5)
    meter.close()
