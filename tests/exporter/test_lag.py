"""Loads that change some time after or before their stage does: what they draw in that time is booked right."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from nvml_mock import Constant, Gpu, Square, StageError, VirtualBench
from nvml_mock.script import Shape

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
        found += bench.run_apart(stages, lambda: lag)
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
