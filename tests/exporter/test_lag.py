"""Loads that change some time after or before their stage does: what they draw in that time is booked right."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import pytest
from nvml_mock import Constant, Gpu, Square, StageError, VirtualBench
from nvml_mock.script import Shape

from joulemark.attribution.boundary import Power, split
from joulemark.attribution.recent_power import RecentPower
from joulemark.attribution.ticks import Tick

Stages = list[tuple[str, float, Shape]]
MakeBench = Callable[..., VirtualBench]
STEADY: Stages = [(f"stage{i}", 5.0, Constant((120.0, 650.0)[i % 2])) for i in range(6)]
SHORT: Stages = [(f"stage{i:02}", 0.35, Constant((120.0, 650.0)[i % 2])) for i in range(20)]
UNSTEADY: Stages = [
    ("quiet", 4.0, Constant(95.0)),
    ("wave", 6.0, Square(180.0, 690.0, 2.7)),
    ("even", 4.0, Constant(310.0)),
]


def errors_of(make_bench: MakeBench, stages: Stages, lag: float, tick: float) -> list[StageError]:
    """What every stage came to, in runs whose ticks lie otherwise each time."""
    found: list[StageError] = []
    for seed in range(8):
        phase = tick * random.Random(seed).random()
        bench = make_bench(Gpu({"tick": tick, "power_tick": tick, "phase": phase, "limit": 700.0}), seed=seed)
        bench.wait(5.0)
        found += bench.run_lagging(stages, lambda: lag)
        assert abs(bench.residual()) < 1e-6
        bench.stop()
    return found


@pytest.mark.parametrize("tick", [0.02, 0.1])
@pytest.mark.parametrize("lag", [-0.02, -0.005, 0.005, 0.01, 0.02])
def test_a_lag_within_a_tick_is_told_from_what_the_counter_gained(
    make_bench: MakeBench, lag: float, tick: float
) -> None:
    errors = errors_of(make_bench, STEADY, lag, tick)
    assert all(error.holds for error in errors)
    # With all of it on the wrong side of every boundary of a stage.
    missed = 2 * abs(lag) * (650.0 - 120.0)
    assert sum(abs(error.error) for error in errors) / len(errors) < 0.2 * missed


@pytest.mark.parametrize("stages", [STEADY, SHORT, UNSTEADY], ids=["steady", "short", "unsteady"])
@pytest.mark.parametrize("lag", [-0.05, -0.03, -0.01, 0.005, 0.03, 0.05])
def test_the_stated_bound_holds_however_late_or_early_a_load_changes(
    make_bench: MakeBench, stages: Stages, lag: float
) -> None:
    errors = errors_of(make_bench, stages, lag, 0.1)
    assert sum(error.holds for error in errors) >= 0.99 * len(errors), [x for x in errors if not x.holds]


def test_a_wave_in_step_with_the_ticks_is_not_taken_for_a_lag(make_bench: MakeBench) -> None:
    stages: Stages = [
        ("quiet", 4.0, Constant(95.0)),
        ("wave", 6.0, Square(180.0, 690.0, 10.0)),
        ("even", 4.0, Constant(310.0)),
    ]
    errors = errors_of(make_bench, stages, 0.0, 0.1)
    assert all(error.holds for error in errors)
    assert max(error.ratio for error in errors) < 0.005


def test_a_bound_grows_steadily_with_what_a_tick_gained_too_much() -> None:
    before, after = Power(120.0, 2.4), Power(650.0, 13.0)
    expected = 0.05 * (before.watts + after.watts)
    variances = [
        split(Tick(0.0, 0.0, 0.0), Tick(0.1, 0.0, expected + 0.05 * step), [0.05], before, after)[0].variance
        for step in range(200)
    ]
    assert all(0.98 * one <= other < 1.2 * one for one, other in itertools.pairwise(variances))


@pytest.mark.parametrize(
    ("until", "watts"), [(10.0, 300.0), (11.0, 500.0), (math.inf, 700.0), (9.0, None), (12.0, 700.0), (15.0, None)]
)
def test_the_gauge_tells_of_the_stage_that_is_asked_for_or_of_none(until: float, watts: float | None) -> None:
    power = RecentPower()
    for at, shown in ((9.5, 200.0), (9.9, 300.0)):
        power.see(at, shown, since=at)
    power.hand_over(10.0)
    power.see(10.5, 500.0, since=10.5)
    power.hand_over(11.0)
    # It tells of the time before the hand-over, too.
    power.see(11.05, 999.0, since=10.95)
    power.see(11.5, 700.0, since=11.4)
    assert power.last_watts(until) == watts
