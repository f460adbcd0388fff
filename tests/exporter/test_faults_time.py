"""Time that nobody saw pass, and clocks that are set: no joule moves, and what was not seen is a gap."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nvml_mock import Constant, Gpu, Square, VirtualBench

from joulemark.ledger.state import StageRequest

MakeBench = Callable[..., VirtualBench]
WAVE = Square(100.0, 650.0, 2.7)
HOUR = 3600.0


def suspend(bench: VirtualBench, seconds: float, *, reset: bool = False, after: float = 400.0) -> None:
    """The machine sleeps, its GPU without power; CLOCK_BOOTTIME goes on and nobody reads."""
    now = bench.clock.steady()
    bench.script.power(now, Constant(0.0))
    bench.script.power(now + seconds, Constant(after))
    if reset:
        bench.script.reset(now + seconds)
    bench.script.save()
    bench.clock.move_to(now + seconds)


def view_of(bench: VirtualBench) -> tuple[float, str]:
    (view,) = bench.meter.snapshot().devices
    return view.gap_seconds, view.source


def test_a_suspended_machine_is_a_gap_and_costs_no_joule(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu({"limit": 700}))
    bench.wait(5.0)
    bench.begin("a", WAVE)
    bench.wait(5.0)
    suspend(bench, HOUR)
    bench.wait(5.0)
    bench.begin("b", WAVE)
    bench.wait(5.0)
    bench.end(Constant(60.0))
    bench.wait(3.0)
    a, b = bench.errors()
    assert a.truth == pytest.approx(5 * 375 + 5 * 400, rel=0.02)
    for error in (a, b):
        assert error.ratio < 0.002, error
        assert error.holds, error
        assert error.bound < 35.0, error
    assert view_of(bench)[0] == pytest.approx(HOUR, abs=0.2)
    assert abs(bench.residual()) < 1e-8


def test_a_counter_that_slept_away_its_value_is_a_gap_with_a_bound(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu({"limit": 700}))
    bench.wait(5.0)
    bench.begin("a", Constant(500.0))
    bench.wait(5.0)
    suspend(bench, HOUR, reset=True)
    bench.wait(5.0)
    bench.end()
    bench.wait(3.0)
    (error,) = bench.errors()
    assert error.error == pytest.approx(0.0, abs=500 * 0.25)
    assert error.holds
    # The power limit, with its headroom, for the time that was not seen.
    assert 700 * HOUR < error.bound < 1.5 * 700 * HOUR + 500
    assert view_of(bench)[0] == pytest.approx(HOUR, abs=0.3)


def test_sampled_power_is_not_drawn_through_a_night(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu({"limit": 700, "counter": 0}))
    bench.wait(5.0)
    bench.begin("a", Constant(500.0))
    bench.wait(5.0)
    suspend(bench, HOUR, after=500.0)
    bench.wait(5.0)
    bench.end()
    bench.wait(3.0)
    (error,) = bench.errors()
    assert error.joules == pytest.approx(5000.0, abs=500 * 0.3)
    assert error.holds
    gap, source = view_of(bench)
    assert gap == pytest.approx(HOUR, abs=0.3)
    assert source == "nvml_power"


def test_a_lease_that_ends_in_the_night_ends_then(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu({"limit": 700}))
    bench.wait(5.0)
    bench.meter.begin(StageRequest("run", "a", ttl_seconds=60.0))
    now = bench.clock.steady()
    bench.script.power(now, Constant(300.0))
    bench.wait(10.0)
    suspend(bench, HOUR)
    bench.wait(5.0)
    assert bench.meter.active() == []
    totals = next(totals for key, totals in bench.meter.ledger.state.series.items() if key.stage == "a")
    assert totals.seconds == pytest.approx(60.0)
    # All of it was drawn before the night: what the window holds less went to nobody, and is within its bound.
    assert sum(totals.joules.values()) == pytest.approx(3000.0, abs=totals.uncertainty_joules)
    assert abs(bench.residual()) < 1e-8


@pytest.mark.parametrize("step", [86_400.0, -86_400.0, 0.7, -0.7])
def test_a_step_of_the_wall_clock_moves_no_joule(make_bench: MakeBench, step: float) -> None:
    assert joules_with_steps(make_bench(Gpu(), seed=4), step) == joules_with_steps(make_bench(Gpu(), seed=4), 0.0)


def joules_with_steps(bench: VirtualBench, step: float) -> dict[tuple[str, float | None], dict[str, float]]:
    """Seconds and joules of two stages in which the wall clock is set, forth and twice as far back."""
    bench.wait(3.0)
    bench.begin("a", WAVE)
    bench.wait(2.0)
    bench.clock.wall_offset += step
    bench.wait(2.0)
    bench.begin("b", Constant(500.0))
    bench.clock.wall_offset -= 2 * step
    bench.wait(3.0)
    bench.end(Constant(60.0))
    bench.wait(3.0)
    snapshot = bench.meter.snapshot()
    assert snapshot.devices[0].gap_seconds == 0.0
    return {(x.key.stage, x.seconds): dict(x.joules) for x in snapshot.series}


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_a_step_of_the_wall_clock_turns_no_nested_stage_inside_out(make_bench: MakeBench, step: float) -> None:
    bench = make_bench(Gpu())
    bench.wait(3.0)
    bench.meter.begin(StageRequest("run", "student"))
    bench.clock.wall_offset += step
    bench.wait(1.0)
    bench.meter.begin(StageRequest("run", "eval", nest=True))
    bench.wait(1.0)
    bench.stop()
    bench.start()
    bench.wait(1.0)
    assert {x["stage"]: x["state"] for x in bench.meter.active()} == {"student": "suspended", "eval": "active"}


def test_a_lease_runs_on_the_steady_clock(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu())
    bench.wait(3.0)
    bench.meter.begin(StageRequest("run", "a", ttl_seconds=60.0))
    bench.clock.wall_offset += 86_400.0
    bench.wait(50.0)
    assert len(bench.meter.active()) == 1
    bench.clock.wall_offset -= 2 * 86_400.0
    bench.wait(11.0)
    assert bench.meter.active() == []
