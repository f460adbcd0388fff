"""A GPU or a driver that goes away: what is known before and after stays right to the tick, what is not is flagged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nvml_mock import Constant, Gpu, Square, StageError, VirtualBench

WAVE = Square(100.0, 650.0, 2.7)
# What a reading may be behind the loss of a GPU, and a reload of the library behind the return of its driver, in
# seconds.
INTERVAL, RECOVERY = 0.2, 1.2
TICKS = pytest.mark.parametrize("tick", [0.1, 0.02])
MakeBench = Callable[..., VirtualBench]
Fault = Callable[[VirtualBench, float], None]


def lost(begin: float, end: float = 1e9) -> Fault:
    return lambda bench, start: bench.script.fault("lost", start + begin, start + end)


def lost_and_reset(begin: float, end: float) -> Fault:
    def fault(bench: VirtualBench, start: float) -> None:
        bench.script.fault("lost", start + begin, start + end)
        bench.script.reset(start + end)

    return fault


def driver_reloaded(begin: float, end: float) -> Fault:
    return lambda bench, start: bench.script.fault("driver", start + begin, start + end)


class Outage:
    """Stages a, b and c of 10 s on one GPU, and a fault somewhere in them."""

    def __init__(
        self, make_bench: MakeBench, fault: Fault, *, tick: float = 0.1, counter: int = 1, seed: int = 0
    ) -> None:
        self.bench = make_bench(Gpu({"tick": tick, "limit": 700, "counter": counter}), seed=seed)
        self.bench.wait(5.0)
        self.start = self.bench.clock.steady()
        fault(self.bench, self.start)
        self.bench.script.save()
        a, b, c = self.bench.run([("a", 10.0, WAVE), ("b", 10.0, Constant(400.0)), ("c", 10.0, WAVE)])
        self.a: StageError = a
        self.b: StageError = b
        self.c: StageError = c
        (self.view,) = self.bench.meter.snapshot().devices

    def truth(self, begin: float, end: float) -> float:
        """Joules in truth between two seconds from the start."""
        return self.bench.gpus[0].joules(self.start + begin, self.start + end)


@TICKS
def test_a_loss_inside_a_stage_costs_nothing_when_the_counter_counts_on(make_bench: MakeBench, tick: float) -> None:
    outage = Outage(make_bench, lost(3.0, 8.0), tick=tick)
    for error in (outage.a, outage.b, outage.c):
        assert error.holds, error
        assert error.ratio < 0.002, error
        assert error.bound < 35.0, error
    assert 5.0 - INTERVAL <= outage.view.gap_seconds <= 5.0 + INTERVAL
    assert abs(outage.bench.residual()) < 1e-8


@TICKS
@pytest.mark.parametrize("seed", range(6))
def test_a_loss_across_a_boundary_leaves_only_the_split_in_doubt(make_bench: MakeBench, seed: int, tick: float) -> None:
    outage = Outage(make_bench, lost(8.0, 13.0), tick=tick, seed=seed)
    both = outage.a.joules + outage.b.joules
    assert both == pytest.approx(outage.a.truth + outage.b.truth, abs=0.1 * tick * 650 + 1)
    for error in (outage.a, outage.b):
        assert error.holds, error
        assert outage.truth(8.0 - INTERVAL, 13.0) * 0.5 < error.bound < outage.truth(7.8, 13.0 + 2 * INTERVAL), error
    assert outage.c.ratio < 0.002
    assert outage.c.bound < 20.0
    assert 5.0 - INTERVAL <= outage.view.gap_seconds <= 5.0 + INTERVAL


@TICKS
@pytest.mark.parametrize("fault", [lost_and_reset(8.0, 13.0), driver_reloaded(8.0, 13.0)])
def test_where_the_counter_starts_anew_all_but_the_outage_is_right_to_the_tick(
    make_bench: MakeBench, tick: float, fault: Fault
) -> None:
    outage = Outage(make_bench, fault, tick=tick)
    a_tick = 650.0 * (tick + INTERVAL)
    assert outage.truth(0.0, 8.0) - a_tick <= outage.a.joules <= outage.truth(0.0, 8.0) + a_tick
    least, most = outage.truth(13.0 + RECOVERY, 20.0), outage.truth(13.0, 20.0)
    assert least - a_tick <= outage.b.joules <= most + a_tick
    for error in (outage.a, outage.b):
        assert error.holds, error
        assert error.bound < 1.5 * 700.0 * 7.0, error
    assert outage.c.ratio < 0.002
    assert outage.c.bound < 20.0
    assert 5.0 - INTERVAL <= outage.view.gap_seconds <= 5.0 + RECOVERY + tick
    assert abs(outage.bench.residual()) < 1e-8


def test_without_a_counter_a_loss_is_not_bridged_but_bound(make_bench: MakeBench) -> None:
    outage = Outage(make_bench, lost(8.0, 13.0), counter=0)
    a_tick = 650.0 * 0.3
    assert outage.a.joules == pytest.approx(outage.truth(0.0, 8.0), abs=a_tick)
    assert outage.truth(13.0 + RECOVERY, 20.0) - a_tick < outage.b.joules < outage.truth(13.0, 20.0) + a_tick
    assert outage.a.holds
    assert outage.b.holds
    assert outage.c.ratio < 0.02
    assert 5.0 - 2 * INTERVAL <= outage.view.gap_seconds <= 5.0 + 2 * INTERVAL


def test_a_loss_for_good_is_no_silent_zero(make_bench: MakeBench) -> None:
    outage = Outage(make_bench, lost(8.0))
    assert outage.a.joules == pytest.approx(outage.truth(0.0, 8.0), abs=650 * 0.25)
    assert (outage.b.joules, outage.c.joules) == (0.0, 0.0)
    for error in (outage.a, outage.b, outage.c):
        assert error.holds, error
    assert (outage.view.health.up, outage.view.watts, outage.view.vitals) == (False, None, None)
    assert outage.view.gap_seconds > 22 - INTERVAL
    assert sum(outage.view.health.errors.values()) > 100
    assert abs(outage.bench.residual()) < 1e-8


def test_a_gpu_is_down_while_it_is_lost_and_comes_back_without_a_restart(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu(), Gpu())
    bench.wait(3.0)
    bench.begin("a", Constant(300.0))
    now = bench.clock.steady()
    bench.script.fault("lost", now + 1.0, now + 6.0, gpu=1)
    bench.script.save()
    seen = []
    for second in (0.5, 4.0, 8.0):
        bench.run_until(now + second)
        other, view = bench.meter.snapshot().devices
        assert other.health.up
        assert other.watts == 300.0
        seen.append((view.health.up, view.watts, view.gap_seconds > 0))
    assert seen == [(True, 300.0, False), (False, None, True), (True, 300.0, True)]


@pytest.mark.parametrize("seconds", [0.5, 12.0, 25.0])
def test_however_long_a_gpu_was_lost_it_comes_back(make_bench: MakeBench, seconds: float) -> None:
    bench = make_bench(Gpu(), Gpu({"hidden": 1}))
    bench.wait(3.0)
    now = bench.clock.steady()
    bench.script.fault("lost", now, now + seconds)
    bench.script.save()
    bench.run_until(now + seconds + RECOVERY)
    (view,) = bench.meter.snapshot().devices
    assert view.health.up
    assert view.gap_seconds == pytest.approx(seconds, abs=RECOVERY)


def test_the_device_says_which_driver_it_came_back_under(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu())
    bench.wait(2.0)
    bench.script.driver = "580.10"
    bench.script.fault("driver", bench.clock.steady(), bench.clock.steady() + 3.0)
    bench.script.save()
    bench.wait(5.0)
    (view,) = bench.meter.snapshot().devices
    assert (view.device.driver, view.device.name, view.health.up) == ("580.10", "gpu0", True)


def test_a_counter_of_another_driver_load_is_not_read_on_though_it_is_higher(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    module = tmp_path / "module"
    (tmp_path / "load-1").mkdir()
    (tmp_path / "load-2").mkdir()
    module.symlink_to(tmp_path / "load-1")
    bench = make_bench(Gpu({"limit": 700}), module=module)
    # A counter that has just begun: what it shows after the next load may soon be more.
    bench.script.reset(bench.clock.steady() + 1.0)
    bench.script.save()
    bench.wait(3.0)
    bench.begin("a", Constant(600.0))
    now = bench.clock.steady()
    bench.script.fault("lost", now + 1.0, now + 8.0)
    bench.script.fault("driver", now + 1.0, now + 3.0)
    bench.script.save()
    bench.run_until(now + 2.0)
    module.unlink()
    module.symlink_to(tmp_path / "load-2")
    bench.run_until(now + 15.0)
    bench.end()
    bench.wait(3.0)
    (error,) = bench.errors()
    known = bench.gpus[0].joules(now, now + 1.0), bench.gpus[0].joules(now + 8.0 + RECOVERY, now + 15.0)
    assert sum(known) - 600 * 0.25 < error.joules < sum(known) + 600 * (RECOVERY + 0.25)
    assert error.holds
