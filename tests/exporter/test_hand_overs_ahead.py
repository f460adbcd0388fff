"""A transition does not wait for readings to be booked; whoever held the device when they were made gets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meter_rig import TRACES, apply
from nvml_mock import Constant, Gpu, Square, VirtualBench

from joulemark.attribution.attribution import DeviceAccount
from joulemark.attribution.booking import Booking, Settlement
from joulemark.attribution.estimate import estimate
from joulemark.attribution.hand_overs import Stint
from joulemark.attribution.ticks import Tick
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
        settled = self.device.fail(reading) if isinstance(reading, float) else apply(self.device, reading)
        self.note(settled)

    def take_together(self, readings: list[Reading | float]) -> None:
        """Take readings of which some may have failed, and book what they settled together."""
        for reading in readings:
            if isinstance(reading, float):
                self.note(self.device.fail(reading))
            else:
                self.gaps += self.device.take(reading).gap_seconds
        self.note(self.device.settle())

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
    in_turn, late, batched = Account(source), Account(source), Account(source)
    waiting: list[Reading | float] = []
    at = counted = shown = 0.0
    for step, (seconds, event) in enumerate(happened):
        at += seconds
        if isinstance(event, tuple):
            in_turn.device.change_holders(event, at)
            in_turn.device.take_over()
            late.device.change_holders(event, at)
            batched.device.change_holders(event, at)
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
            batched.take_together(waiting)
            waiting.clear()
    for reading in waiting:
        late.take(reading)
    batched.take_together(waiting)
    for account in (in_turn, late, batched):
        account.note(account.device.let_go())
    assert late.booked == in_turn.booked
    assert late.gaps == in_turn.gaps
    assert late.device.total_joules == in_turn.device.total_joules
    assert batched.device.gap_seconds == batched.gaps == in_turn.gaps
    assert batched.device.total_joules == pytest.approx(in_turn.device.total_joules)
    # What cancels out within a batch is no booking.
    for holder in {*batched.booked, *in_turn.booked}:
        one, other = (account.booked.get(holder, Booking(holder)) for account in (batched, in_turn))
        assert one[1:] == pytest.approx(other[1:], abs=1e-6)


def as_a_service(bench: VirtualBench) -> VirtualBench:
    """A bench whose transitions are not preceded by a reading, as those of an exporter with threads."""
    bench.meter.fleet.threads = True
    bench.wait(5.0)
    return bench


@pytest.mark.parametrize("shape", [Constant(400.0), Square(120.0, 650.0, 2.7)])
def test_what_an_ended_stage_is_said_to_have_used_counts_what_waits_to_be_booked(
    make_bench: MakeBench, shape: Constant | Square
) -> None:
    bench = as_a_service(make_bench(Gpu({"phase": 0.03}), Gpu({"phase": 0.07})))
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
    bench = as_a_service(make_bench(Gpu()))
    began, _ = bench.meter.begin(StageRequest("run", "teacher"))
    assert began["joules"] == 0.0
    assert not began["settled"]


@pytest.mark.parametrize(("quiet", "loud"), [(100.0, 600.0), (600.0, 100.0)])
@pytest.mark.parametrize("away", [0.4, 5.0])
@pytest.mark.parametrize("seconds", [4.5, 4.55, 4.6, 4.65, 4.7, 4.9])
def test_what_was_read_is_kept_though_the_exporter_is_killed_before_it_is_booked(
    make_bench: MakeBench, seconds: float, quiet: float, loud: float, away: float
) -> None:
    bench = as_a_service(make_bench(Gpu({"phase": 0.03})))
    bench.begin("before", Constant(quiet))
    bench.go_on_until(bench.clock.steady() + seconds)
    bench.begin("after", Constant(loud))
    bench.stop()
    bench.clock.move_to(bench.clock.steady() + away)
    bench.start()
    bench.wait(3.0)
    bench.end(Constant(60.0))
    bench.wait(3.0)
    errors = {error.stage: error for error in bench.errors()}
    assert set(errors) == {"before", "after"}
    assert all(error.holds for error in errors.values()), errors
    # The power of the ticks before it tells what was drawn up to it. It would be up to 50 J without these, and up to
    # 100 J after five seconds without what was read and not booked.
    assert abs(errors["before"].error) < 3.0, errors
    assert abs(bench.residual()) < 1e-6


def test_what_was_read_is_kept_though_the_driver_is_loaded_anew_after_a_kill(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    module = tmp_path / "module"
    module.touch()
    bench = as_a_service(make_bench(Gpu({"phase": 0.03}), module=module))
    bench.begin("before", Constant(300.0))
    bench.go_on_until(bench.clock.steady() + 4.7)
    bench.begin("after")
    bench.stop()
    module.rename(tmp_path / "as_it_was")
    module.touch()
    bench.clock.move_to(bench.clock.steady() + 2.0)
    bench.start()
    bench.wait(3.0)
    before = next(error for error in bench.errors() if error.stage == "before")
    # A tick, and up to one look.
    assert -0.25 * 300.0 < before.error <= 0.0
    assert before.holds
    assert abs(bench.residual()) < 1e-6


def test_a_device_that_was_never_read_goes_to_who_holds_it_when_it_comes() -> None:
    account = Account("nvml_counter")
    account.device.change_holders(("first",), 10.0)
    device = account.device.gone_on_with(account.device.device)
    device.change_holders(("second",), 20.0)
    account.device = device
    for count in range(100):
        account.take(Reading(21.0 + 0.1 * count, 1000.0 + 30.0 * count, 300.0, sensor=True))
    assert set(account.booked) == {"second"}
    assert "second" in device.referenced


SECOND = [Tick(0.0, 0.0, 0.0), Tick(1.0, 0.0, 300.0)]


@pytest.mark.parametrize(
    ("stints", "joules", "bound"),
    [
        ([Stint(0.0, 1.0)], 300.0, 0.0),
        ([Stint(0.0, 1.0, 2)], 150.0, 0.0),
        # All of the second's joules may have been drawn while it held the device, or none.
        ([Stint(0.5, 1.0)], 150.0, 150.0),
        ([Stint(0.75, 1.0)], 75.0, 225.0),
        # Alone for one half and one of two for the other it had between a half and all of it.
        ([Stint(0.0, 0.5), Stint(0.5, 1.0, 2)], 225.0, 225.0),
        # What came after the last tick is told by power alone, 100 W now and at most 250 W of late.
        ([Stint(0.0, 1.2)], 320.0, 30.0),
    ],
)
def test_an_estimate_knows_the_whole_between_two_ticks_and_bounds_a_part_of_it(
    stints: list[Stint], joules: float, bound: float
) -> None:
    assert estimate(stints, SECOND, 100.0, 250.0) == pytest.approx((joules, bound))


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
