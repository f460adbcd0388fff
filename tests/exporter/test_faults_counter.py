"""An energy counter that is not there, stands still, fails or starts anew: the source in use, and every joule of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from meter_rig import apply
from nvml_mock import Constant, Gpu, Noise, Shape, Square, StageError, VirtualBench

from joulemark.attribution.attribution import DeviceAccount
from joulemark.ledger.windows import SeriesKey
from joulemark.sources.base import Device, Reading

MakeBench = Callable[..., VirtualBench]
TICKS = pytest.mark.parametrize(("tick", "jitter"), [(0.1, 0.0), (0.02, 0.0), (0.05, 0.5)])
WATTS = 400.0
WAVE = Square(100.0, 650.0, 2.7)


def gpu(tick: float = 0.1, jitter: float = 0.0, **properties: float) -> Gpu:
    return Gpu({"tick": tick, "jitter": jitter, "limit": 700, **properties})


def source_of(bench: VirtualBench) -> str:
    """The source in use as a scrape shows it."""
    (view,) = bench.meter.snapshot().devices
    return view.source


def played(
    bench: VirtualBench, shapes: tuple[Shape, Shape, Shape], *faults: tuple[str, float, float]
) -> list[StageError]:
    """Three stages of 10 s, the first at second 0, with counter faults at seconds of that time line."""
    bench.wait(5.0)
    start = bench.clock.steady()
    for kind, begin, end in faults:
        bench.script.fault(kind, start + begin, start + end)
    bench.script.save()
    return bench.run([(name, 10.0, shape) for name, shape in zip("abc", shapes, strict=True)])


def assert_conserved(bench: VirtualBench) -> None:
    assert abs(bench.residual()) < 1e-8


@pytest.mark.parametrize("properties", [{}, {"instant": 0, "average": 1.0}, {"power_tick": 0.02}])
def test_without_a_counter_power_is_booked_within_its_bound(
    make_bench: MakeBench, properties: dict[str, float]
) -> None:
    bench = make_bench(gpu(counter=0, **properties))
    assert source_of(bench) == "nvml_power"
    for error in played(bench, (WAVE, Constant(WATTS), Noise(300.0, 150.0, 3))):
        assert error.holds, error
        assert error.ratio < 0.02, error
    assert_conserved(bench)


@TICKS
@pytest.mark.parametrize("fault", ["frozen", "counter_error"])
def test_a_counter_that_fails_and_comes_back_loses_and_doubles_nothing(
    make_bench: MakeBench, tick: float, jitter: float, fault: str
) -> None:
    bench = make_bench(gpu(tick, jitter))
    bench.wait(5.0)
    bench.begin("a", Constant(WATTS))
    start = bench.clock.steady()
    bench.script.fault(fault, start + 3.0, start + 14.0)
    bench.script.save()
    assert source_of(bench) == "nvml_counter"
    bench.run_until(start + 8.0)
    assert source_of(bench) == "nvml_power"
    bench.run_until(start + 10.0)
    bench.begin("b")
    bench.run_until(start + 20.0)
    assert source_of(bench) == "nvml_counter"
    bench.end()
    bench.wait(3.0)
    # At constant power neither source errs: what a change of source lost or doubled would stand out.
    for error in bench.errors():
        assert abs(error.error) < (0.1 + jitter) * tick * WATTS + 0.5, error
        assert error.holds, error
    assert_conserved(bench)


@pytest.mark.parametrize("fault", ["frozen", "counter_error"])
def test_with_power_that_varies_the_bound_covers_a_change_of_source(make_bench: MakeBench, fault: str) -> None:
    bench = make_bench(gpu())
    for error in played(bench, (WAVE, Noise(350.0, 200.0, 5), WAVE), (fault, 3.3, 14.7)):
        assert error.holds, error
        assert error.ratio < 0.02, error
    assert_conserved(bench)


def test_a_counter_that_fails_for_a_moment_is_waited_for(make_bench: MakeBench) -> None:
    bench = make_bench(gpu())
    errors = played(bench, (WAVE, Constant(WATTS), WAVE), ("counter_error", 3.0, 3.3), ("frozen", 13.0, 14.0))
    assert source_of(bench) == "nvml_counter"
    assert max(error.ratio for error in errors) < 0.001
    (view,) = bench.meter.snapshot().devices
    assert view.health.errors["nvml_unknown_error"] >= 3


def test_a_counter_that_stands_still_at_no_power_is_not_frozen(make_bench: MakeBench) -> None:
    bench = make_bench(gpu())
    bench.wait(3.0)
    bench.begin("a", Constant(WATTS))
    bench.wait(5.0)
    bench.begin("b", Constant(0.0))
    bench.wait(10.0)
    assert source_of(bench) == "nvml_counter"
    bench.begin("c", Constant(WATTS))
    bench.wait(5.0)
    bench.end()
    bench.wait(3.0)
    assert [error.joules for error in bench.errors()] == pytest.approx([2000.0, 0.0, 2000.0], abs=1.0)


def test_a_counter_that_fails_for_good_leaves_power_in_its_place(make_bench: MakeBench) -> None:
    bench = make_bench(gpu())
    for error in played(bench, (WAVE, Constant(WATTS), WAVE), ("frozen", 3.0, 1e9)):
        assert error.holds, error
        assert error.ratio < 0.02, error
    assert source_of(bench) == "nvml_power"
    assert_conserved(bench)


def test_one_gpu_falls_back_and_the_others_do_not(make_bench: MakeBench) -> None:
    bench = make_bench(gpu(), gpu(), gpu(counter=0))
    bench.wait(3.0)
    bench.script.fault("frozen", bench.clock.steady(), gpu=1)
    bench.script.save()
    bench.wait(5.0)
    sources = {view.device.name: view.source for view in bench.meter.snapshot().devices}
    assert sources == {"gpu0": "nvml_counter", "gpu1": "nvml_power", "gpu2": "nvml_power"}


@TICKS
@pytest.mark.parametrize("at", [5.0, 5.03, 9.99, 10.004])
@pytest.mark.parametrize("power_tick", [0.1, 0.02])
def test_a_counter_reset_is_one_gap_of_a_tick_and_never_a_delta(
    make_bench: MakeBench, tick: float, jitter: float, at: float, power_tick: float, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(gpu(tick, jitter, power_tick=power_tick))
    bench.wait(5.0)
    start = bench.clock.steady()
    bench.script.reset(start + at)
    bench.script.save()
    errors = bench.run([("a", 10.0, WAVE), ("b", 10.0, Constant(WATTS)), ("c", 10.0, WAVE)])
    for error in errors:
        assert error.holds, error
    # The reset may hide what was drawn from the tick before it to the reading after it, and no more.
    assert sum(abs(error.error) for error in errors[:2]) < 650.0 * (tick + 0.13)
    assert errors[2].ratio < 0.002
    (view,) = bench.meter.snapshot().devices
    assert 0 < view.gap_seconds < tick + 0.25
    assert caplog.text.count("event=counter_reset") == 1
    assert_conserved(bench)


def joules_of(bench: VirtualBench) -> dict[tuple[SeriesKey, str], float]:
    series = bench.meter.ledger.state.series.items()
    return {(key, device): joules for key, totals in series for device, joules in totals.joules.items()}


@pytest.mark.parametrize("seed", range(5))
def test_no_series_goes_down_through_any_of_them(make_bench: MakeBench, seed: int) -> None:
    bench = make_bench(gpu(), seed=seed)
    bench.wait(3.0)
    now = bench.clock.steady()
    bench.script.reset(now + 5.0 + 0.015 * seed)
    bench.script.fault("frozen", now + 8.0, now + 13.0)
    bench.script.fault("counter_error", now + 16.0, now + 19.0)
    bench.script.save()
    bench.begin("a", WAVE)
    before: dict[tuple[SeriesKey, str], float] = {}
    while bench.clock.steady() < now + 25.0:
        bench.wait(0.05)
        joules = joules_of(bench)
        assert all(joules[key] >= value for key, value in before.items())
        before = joules
    assert_conserved(bench)


def test_what_was_counted_ahead_of_a_reset_counter_is_not_taken_back() -> None:
    account = DeviceAccount(Device("gpu0", "u", "nvml_counter", power_limit_watts=700, fallback="nvml_power"))
    for count in range(30):
        apply(account, Reading(0.1 * count, 1000.0 + 10.0 * count, 100.0, sensor=True))
    # Seen first at 600 W, so that some of its first tick is taken as counted; but power falls at once.
    assert "counter_reset" in apply(account, Reading(3.0, 0.0, 600.0, sensor=True)).events
    total = account.total_joules
    for count in range(1, 100):
        settlement = apply(account, Reading(3.0 + 0.1 * count, 1.0 * count, 10.0, sensor=True))
        assert settlement.events == ()
        assert settlement.joules >= 0.0
    assert account.total_joules == pytest.approx(total + 0.1 * 98 * 10.0 - 600.0 * 0.05, abs=3.0)
