"""The highest power of a window: of all its GPUs at one instant, and of the time in which it held them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from nvml_mock import Constant, Gpu, Square, VirtualBench

from joulemark.attribution.recent_power import MAX_BRIDGE_SECONDS, RecentPower, watts_together
from joulemark.ledger.state import StageRequest

LOW, HIGH = 100.0, 600.0
# Either is high for a second while the other is low.
FIRST, SECOND = Square(LOW, HIGH, 0.5), Square(HIGH, LOW, 0.5)
MakeBench = Callable[..., VirtualBench]
GAUGES = pytest.mark.parametrize(
    "properties",
    [{}, {"power_tick": 0.01}, {"counter": 0}, {"tick": 0.02}],
    ids=["slow", "fast", "no counter", "quick"],
)


def follow(bench: VirtualBench, *shapes: Square | Constant) -> None:
    """From now on each GPU follows a shape of its own."""
    for gpu, shape in enumerate(shapes):
        bench.script.power(bench.clock.steady(), shape, gpu)
    bench.script.save()


def begin(bench: VirtualBench, stage: str, *, devices: Sequence[str] | None = None) -> str:
    """Begin a stage, a nested one where devices are named; returns the window."""
    request = StageRequest("run", stage, devices=list(devices) if devices else None, nest=bool(devices))
    return str(bench.meter.begin(request)[0]["id"])


def peak_of_waves(bench: VirtualBench, *shapes: Square) -> float:
    """The peak of a stage of some waves, after one at even more watts."""
    bench.wait(4.0)
    follow(bench, Constant(650.0), Constant(650.0))
    bench.wait(3.0)
    window = begin(bench, "waves")
    follow(bench, *shapes)
    bench.wait(20.0)
    peak = bench.meter.end(window, {})["peak_watts"]
    assert isinstance(peak, float)
    return peak


@GAUGES
@pytest.mark.parametrize("seed", range(2))
def test_gpus_that_take_turns_are_never_high_together(
    make_bench: MakeBench, properties: dict[str, float | str], seed: int
) -> None:
    bench = make_bench(Gpu(dict(properties)), Gpu(dict(properties)), seed=seed)
    assert peak_of_waves(bench, FIRST, SECOND) == pytest.approx(LOW + HIGH, rel=0.01)
    (series,) = [totals for key, totals in bench.meter.ledger.state.series.items() if key.stage == "waves"]
    assert series.peak_watts == pytest.approx(LOW + HIGH, rel=0.01)


@GAUGES
@pytest.mark.parametrize("seed", range(2))
def test_gpus_in_step_are_high_together(make_bench: MakeBench, properties: dict[str, float | str], seed: int) -> None:
    bench = make_bench(Gpu(dict(properties)), Gpu(dict(properties)), seed=seed)
    assert peak_of_waves(bench, FIRST, FIRST) == pytest.approx(2 * HIGH, rel=0.01)


def test_gauges_that_refresh_at_different_instants_do_not_add_up_two_peaks(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu(), Gpu({"phase": 0.03}))
    # Within a refresh nothing shows which of the two changed first.
    assert LOW + HIGH - 1 < peak_of_waves(bench, FIRST, SECOND) < LOW + HIGH + 0.8 * (HIGH - LOW)


@pytest.mark.parametrize("gpus", [1, 3])
def test_the_power_of_the_stage_before_is_no_peak_of_this_one(make_bench: MakeBench, gpus: int) -> None:
    bench = make_bench(*(Gpu({"phase": 0.03 * gpu}) for gpu in range(gpus)))
    bench.wait(4.0)
    bench.begin("hot", Constant(650.0))
    bench.wait(3.0)
    bench.begin("cold", Constant(150.0))
    bench.wait(3.0)
    bench.end(Constant(60.0))
    bench.wait(1.0)
    peaks = {window["stage"]: window["peak_watts"] for window in bench.meter.windows(10)}
    assert peaks == {"hot": 650.0 * gpus, "cold": 150.0 * gpus}


def test_a_gpu_that_is_lost_adds_nothing_to_the_peak(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu(), Gpu())
    bench.wait(3.0)
    follow(bench, Constant(600.0), Constant(300.0))
    before = begin(bench, "before")
    bench.wait(3.0)
    bench.script.fault("lost", bench.clock.steady())
    bench.script.save()
    bench.wait(3.0)
    follow(bench, Constant(600.0), Constant(350.0))
    bench.wait(3.0)
    during = begin(bench, "during")
    bench.wait(3.0)
    assert bench.meter.end(during, {})["peak_watts"] == 350.0
    assert bench.meter.end(before, {})["peak_watts"] == 900.0


@pytest.mark.parametrize("kind", ["lost", "power_error"])
@pytest.mark.parametrize("gone", [0, 1])
def test_the_peak_is_followed_whichever_gpu_tells_nothing(make_bench: MakeBench, kind: str, gone: int) -> None:
    bench = make_bench(Gpu({"counter": 0}), Gpu({"counter": 0}))
    bench.wait(3.0)
    window = begin(bench, "one")
    bench.script.fault(kind, bench.clock.steady(), gpu=gone)
    bench.script.save()
    follow(bench, Constant(200.0), Constant(200.0))
    bench.wait(4.0)
    follow(bench, Constant(500.0), Constant(500.0))
    bench.wait(4.0)
    assert bench.meter.end(window, {})["peak_watts"] == 500.0


@pytest.mark.parametrize("lent", [0, 1])
def test_the_peak_is_followed_whichever_gpu_is_lent(make_bench: MakeBench, lent: int) -> None:
    bench = make_bench(Gpu(), Gpu())
    bench.wait(3.0)
    outer = begin(bench, "outer")
    follow(bench, Constant(100.0), Constant(100.0))
    bench.wait(2.0)
    inner = begin(bench, "inner", devices=[f"gpu{lent}"])
    follow(bench, Constant(600.0), Constant(600.0))
    bench.wait(2.0)
    follow(bench, Constant(100.0), Constant(100.0))
    bench.wait(1.0)
    bench.meter.end(inner, {})
    bench.wait(1.0)
    assert bench.meter.end(outer, {})["peak_watts"] == 600.0


def test_a_gpu_lent_to_a_nested_stage_counts_there_alone(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu(), Gpu())
    bench.wait(3.0)
    outer = begin(bench, "outer")
    follow(bench, Constant(200.0), Constant(200.0))
    bench.wait(2.0)
    inner = begin(bench, "inner", devices=["gpu0"])
    follow(bench, Constant(650.0), Constant(210.0))
    bench.wait(2.0)
    assert bench.meter.end(inner, {})["peak_watts"] == 650.0
    follow(bench, Constant(200.0), Constant(210.0))
    bench.wait(2.0)
    assert bench.meter.end(outer, {})["peak_watts"] == 410.0


def trail(*samples: tuple[float, float]) -> RecentPower:
    recent = RecentPower()
    for at, watts in samples:
        recent.see(at, watts, since=at)
    return recent


def test_devices_are_compared_at_the_latest_instant_that_all_of_them_tell_of() -> None:
    assert watts_together([]) == 0.0
    assert watts_together([trail((1.0, 50.0))]) == 50.0
    assert watts_together([trail((1.0, 0.0), (2.0, 100.0), (2.2, 900.0)), trail((1.5, 7.0))]) == 57.0
    assert watts_together([trail((2.0, 100.0)), trail((1.0, 7.0), (1.5, 8.0))]) == 108.0


def test_a_device_of_which_nothing_is_heard_any_more_is_left_out() -> None:
    late = 1.0 + MAX_BRIDGE_SECONDS
    assert watts_together([trail((late, 100.0)), trail((1.0, 7.0))]) == 107.0
    assert watts_together([trail((late + 0.1, 100.0)), trail((1.0, 7.0))]) == 100.0
    assert watts_together([trail((1.0, 7.0), (late + 0.1, 9.0)), trail((late, 1.0))]) == 10.0


def test_what_tells_of_the_time_before_a_hand_over_is_not_taken() -> None:
    recent = trail((1.0, 50.0))
    recent.hand_over(2.0)
    assert recent.latest == -math.inf
    recent.see(2.05, 50.0, since=1.95)
    recent.see_mean(2.1, 60.0)
    assert recent.latest == -math.inf
    recent.see_mean(2.2, 70.0)
    assert (recent.latest, recent.watts(2.2), recent.watts(1.0)) == (2.2, 70.0, 70.0)
