"""A counter that refreshes at another time than it did, or is slow to read: its tick is known, or said not to be."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from nvml_mock import Constant, Gpu, Square, VirtualBench

MakeBench = Callable[..., VirtualBench]
# To the double, five times, a half, a fifth, and to what has no simple ratio to what it was.
CHANGES = [(0.05, 0.1), (0.02, 0.1), (0.1, 0.05), (0.1, 0.02), (0.02, 0.04), (0.04, 0.02), (0.1, 0.07), (0.1, 0.15)]


def bench_of(
    make_bench: MakeBench, seed: int, tick: float, options: dict[str, float] | None = None, **card: float
) -> VirtualBench:
    phase = tick * random.Random(seed).random()
    gpu = Gpu({"tick": tick, "power_tick": tick, "phase": phase, "limit": 700.0, **card})
    bench = make_bench(gpu, seed=seed, **options or {})
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


# At rest: `late` is the mean by which a look comes late, `jitter` how uneven ticks are as a part of one.
@pytest.mark.parametrize(
    ("tick", "call_seconds", "jitter", "interval", "late", "most"),
    [
        (0.1, 0.0, 0.0, 0.1, 0.0003, 1.1),
        (0.02, 0.0, 0.0, 0.1, 0.0003, 1.2),
        (0.02, 0.0, 0.0, 0.1, 0.002, 1.7),
        (0.1, 0.0, 0.0, 0.1, 0.01, 1.7),
        (0.1, 0.02, 0.0, 0.1, 0.0003, 1.3),
        (0.1, 0.024, 0.0, 0.1, 0.0003, 1.3),
        (0.1, 0.005, 0.0, 0.1, 0.0003, 1.8),
        (0.02, 0.003, 0.0, 0.1, 0.0003, 1.5),
        (0.1, 0.0, 0.0, 0.02, 0.0003, 1.1),
        (0.05, 0.0, 0.0, 0.01, 0.0003, 1.1),
        (0.5, 0.0, 0.0, 0.1, 0.0003, 1.1),
        (0.1, 0.0, 0.2, 0.1, 0.0003, 4.0),
    ],
)
def test_a_beat_that_stays_is_kept_at_rest_with_few_readings(
    make_bench: MakeBench, tick: float, call_seconds: float, jitter: float, interval: float, late: float, most: float
) -> None:
    options = {"interval": interval, "wake_seconds": late}
    bench = bench_of(make_bench, 1, tick, options, latency=call_seconds, jitter=jitter)
    bench.wait(14.0)
    ticks = bench.meter.ledger.state.accounts[bench.source.devices[0].key].ticks
    reads = bench.meter.snapshot().devices[0].health.reads
    for _ in range(40):
        bench.wait(3.0)
        assert ticks.locked
    # To learn a beat takes some five hundred readings a second.
    assert bench.meter.snapshot().devices[0].health.reads - reads < most * 120.0 / interval
    assert tick_of(bench) == pytest.approx(tick, rel=2e-3)


def test_a_counter_that_stands_still_for_a_moment_has_its_beat_afterwards(make_bench: MakeBench) -> None:
    bench = bench_of(make_bench, 1, 0.1)
    bench.wait(10.0)
    ticks = bench.meter.ledger.state.accounts[bench.source.devices[0].key].ticks
    for watts in (200.0, 0.0) * 6:
        bench.script.power(bench.clock.steady(), Constant(watts))
        bench.script.save()
        bench.wait(15.0 if watts else 0.5)
        assert ticks.locked


def test_a_counter_that_stands_still_for_long_is_not_looked_at_more_often_for_it(make_bench: MakeBench) -> None:
    bench = bench_of(make_bench, 1, 0.1)
    bench.wait(10.0)
    bench.script.power(bench.clock.steady(), Constant(0.0))
    bench.script.save()
    reads = bench.meter.snapshot().devices[0].health.reads
    bench.wait(600.0)
    assert bench.meter.snapshot().devices[0].health.reads - reads < 1.2 * 10 * 600
    bench.script.power(bench.clock.steady(), Constant(300.0))
    bench.script.save()
    bench.wait(20.0)
    assert bench.meter.ledger.state.accounts[bench.source.devices[0].key].ticks.locked
    assert all(
        error.holds for error in bench.run([("teacher", 5.0, Constant(300.0)), ("student", 5.0, Constant(90.0))])
    )


# The part of a call after which the value that it answers with is taken: nobody but the driver knows.
@pytest.mark.parametrize("taken", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("tick", "call_seconds"), [(0.1, 0.02), (0.1, 0.01), (0.05, 0.01), (0.03, 0.004)])
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


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("late", [0.0003, 0.002])
def test_no_tick_is_told_wrong_however_long_calls_take(make_bench: MakeBench, seed: int, late: float) -> None:
    chance = random.Random(seed)
    for _ in range(8):
        tick, taken = chance.uniform(0.02, 0.12), chance.choice((0.0, 0.5, 1.0))
        card = {"latency": chance.uniform(0.0, 0.6) * tick, "latency_before": taken}
        bench = bench_of(make_bench, seed, tick, {"wake_seconds": late}, jitter=chance.choice((0.0, 0.2)), **card)
        bench.wait(6.0)
        errors = bench.run([("wave", 8.0, Square(180.0, 690.0, 2.7)), ("even", 5.0, Constant(310.0))])
        assert tick_of(bench) in (None, pytest.approx(tick, rel=0.01))
        assert all(error.holds for error in errors)
        bench.stop()
