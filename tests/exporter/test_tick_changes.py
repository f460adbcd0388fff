"""A counter that refreshes at another time than it did, or is slow to read: its tick is known, or said not to be."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from nvml_mock import Constant, Gpu, Square, VirtualBench

MakeBench = Callable[..., VirtualBench]
# To the double, five times, a half, a fifth, and to what has no simple ratio to what it was.
CHANGES = [(0.05, 0.1), (0.02, 0.1), (0.1, 0.05), (0.1, 0.02), (0.02, 0.04), (0.04, 0.02), (0.1, 0.07), (0.1, 0.15)]


def bench_of(make_bench: MakeBench, seed: int, tick: float, **card: float) -> VirtualBench:
    phase = tick * random.Random(seed).random()
    gpu = Gpu({"tick": tick, "power_tick": tick, "phase": phase, "limit": 700.0, **card})
    bench = make_bench(gpu, seed=seed)
    # As an exporter has its readings made: a transition waits for none.
    bench.meter.fleet.threads = True
    return bench


def tick_of(bench: VirtualBench) -> float | None:
    return bench.meter.snapshot().devices[0].tick_seconds


def change_tick(bench: VirtualBench, tick: float) -> None:
    bench.gpus[0].properties["tick"] = tick
    bench.script.save()


@pytest.mark.parametrize("call_seconds", [0.0, 0.001])
@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_tick_that_changes_is_learnt_anew_within_a_minute_at_rest(
    make_bench: MakeBench, before: float, after: float, call_seconds: float
) -> None:
    for seed in range(3):
        bench = bench_of(make_bench, seed, before, latency=call_seconds)
        bench.wait(12.0)
        assert tick_of(bench) == pytest.approx(before, rel=0.01)
        change_tick(bench, after)
        bench.wait(48.0)
        assert tick_of(bench) == pytest.approx(after, rel=0.01)
        bench.stop()


def test_the_bound_holds_through_a_change_of_the_tick(make_bench: MakeBench) -> None:
    held = []
    for seed, (before, after) in enumerate(CHANGES):
        bench = bench_of(make_bench, seed, before)
        bench.wait(5.0)
        for index in range(30):
            bench.begin(f"stage{index:02}", (Square(180.0, 690.0, 2.7), Constant(120.0), Constant(650.0))[index % 3])
            bench.wait(1.0)
            if index == 5:
                change_tick(bench, after)
            bench.go_on_until(bench.stamps[-1][0] + 2.0)
        bench.end(Constant(60.0))
        bench.wait(3.0)
        held += [error.holds for error in bench.errors()]
        assert abs(bench.residual()) < 1e-6
        assert tick_of(bench) == pytest.approx(after, rel=0.01)
        bench.stop()
    assert sum(held) >= 0.99 * len(held)


def test_a_beat_that_stays_is_proven_with_few_readings_and_never_learnt_anew(make_bench: MakeBench) -> None:
    for tick in (0.1, 0.02):
        bench = bench_of(make_bench, 1, tick)
        bench.wait(10.0)
        reads = bench.meter.snapshot().devices[0].health.reads
        bench.wait(180.0)
        # Ten a second are made anyhow; to learn a beat takes some five hundred a second.
        assert bench.meter.snapshot().devices[0].health.reads - reads < 1.1 * 10 * 180
        assert tick_of(bench) == pytest.approx(tick, rel=1e-3)
        bench.stop()


# The part of a call after which the value that it answers with is taken: nobody but the driver knows.
@pytest.mark.parametrize("taken", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("tick", "call_seconds"), [(0.1, 0.02), (0.1, 0.01), (0.05, 0.01), (0.03, 0.005)])
def test_the_beat_is_learnt_where_calls_are_slow_and_the_bound_knows_that_they_are(
    make_bench: MakeBench, tick: float, call_seconds: float, taken: float
) -> None:
    errors = []
    for seed in range(4):
        bench = bench_of(make_bench, seed, tick, latency=call_seconds, latency_before=taken)
        bench.wait(5.0)
        stages = [(f"stage{i:02}", 0.5 + 0.1 * (i % 3), Constant((120.0, 650.0)[i % 2])) for i in range(30)]
        errors += bench.run(stages)
        assert tick_of(bench) == pytest.approx(tick, rel=0.02)
        bench.stop()
    assert sum(error.holds for error in errors) >= 0.99 * len(errors)
    assert sum(error.ratio for error in errors) < 0.06 * len(errors)


@pytest.mark.parametrize(("tick", "call_seconds"), [(0.02, 0.01), (0.02, 0.02), (0.05, 0.02), (0.1, 0.05)])
def test_a_tick_that_calls_are_too_slow_to_tell_is_not_told_wrong(
    make_bench: MakeBench, tick: float, call_seconds: float
) -> None:
    for seed in range(4):
        bench = bench_of(make_bench, seed, tick, latency=call_seconds)
        bench.wait(5.0)
        errors = bench.run([("wave", 8.0, Square(180.0, 690.0, 2.7)), ("even", 5.0, Constant(310.0))])
        assert tick_of(bench) is None
        assert all(error.holds for error in errors)
        bench.stop()
