"""Many short faults in one stage: what may have been drawn unseen is bound once, by what the board can draw."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvml_mock import Constant, Gpu, Noise, Shape, Square, StageError, VirtualBench

from joulemark.attribution.booking import Booking, Bookings
from joulemark.attribution.hand_overs import HandOvers
from joulemark.attribution.hole import Hole
from joulemark.attribution.power_integral import Holders, Slice

MakeBench = Callable[..., VirtualBench]
# The power limit with its headroom: what no reading can exceed.
MOST_WATTS = 1.5 * 700.0
WAVE = Square(100.0, 650.0, 2.7)
# Beside the time of the gap: joules that a reset leaves in doubt around it, at most a tick's and a reading's.
A_RESET = 250.0


@dataclass(frozen=True)
class Fault:
    """A fault `at` seconds after the stage began; with `reset` the counter begins anew in the middle of it."""

    at: float
    seconds: float
    kind: str = "lost"
    reset: bool = True


def played(bench: VirtualBench, faults: list[Fault], shape: Shape, seconds: float) -> tuple[StageError, float]:
    """One stage with these faults: what it came to, and the seconds of it that were not seen."""
    bench.wait(5.0)
    start = bench.clock.steady()
    for fault in faults:
        bench.script.fault(fault.kind, start + fault.at, start + fault.at + fault.seconds)
        if fault.reset:
            bench.script.reset(start + fault.at + fault.seconds / 2)
    bench.script.save()
    (error,) = bench.run([("a", seconds, shape)])
    (view,) = bench.meter.snapshot().devices
    assert abs(bench.residual()) < 1e-8
    return error, view.gap_seconds


@pytest.mark.parametrize("shape", [WAVE, Constant(400.0)])
@pytest.mark.parametrize("properties", [{}, {"tick": 0.02}, {"power_tick": 0.02}, {"instant": 0, "average": 1.0}])
def test_losses_with_a_reset_in_each_are_bound_once(
    make_bench: MakeBench, properties: dict[str, float], shape: Shape
) -> None:
    faults = [Fault(5.0 + 10.0 * number, 2.0) for number in range(4)]
    error, gap = played(make_bench(Gpu({"tick": 0.1, "limit": 700, **properties})), faults, shape, 45.0)
    assert error.holds, error
    assert 8.0 < gap < 10.0
    assert error.bound < MOST_WATTS * gap + 500.0


def test_what_sampled_power_fills_in_is_known_better_than_nothing(make_bench: MakeBench) -> None:
    faults = [Fault(5.0 + 6.0 * number, 1.2) for number in range(6)]
    error, gap = played(make_bench(Gpu({"limit": 700})), faults, Constant(400.0), 45.0)
    assert error.holds, error
    # Of what the board may have drawn that much is booked: the truth is no further from it than the rest.
    assert error.bound < (MOST_WATTS - 400.0) * gap + 6 * A_RESET


def test_losses_while_power_is_what_is_booked_are_bound_once(make_bench: MakeBench) -> None:
    faults = [Fault(5.0 + 6.0 * number, 1.5, reset=False) for number in range(6)]
    error, gap = played(make_bench(Gpu({"limit": 700, "counter": 0})), faults, Constant(400.0), 45.0)
    assert error.holds, error
    assert error.bound < (MOST_WATTS - 400.0) * gap + 6 * A_RESET


def drawn(seed: int) -> tuple[dict[str, float | str], list[Fault], Shape, float]:
    """A card and four to eight faults one after another, in a stage that goes on for a while after them."""
    draw = random.Random(seed)
    at, faults = 5.0, []
    for _ in range(draw.randint(4, 8)):
        at += draw.uniform(0.3, 5.0)
        kind = draw.choice(["lost", "lost", "driver", "frozen", "counter_error", "power_error"])
        faults.append(Fault(at, draw.uniform(0.2, 2.5), kind, draw.random() < 0.6))
        at += faults[-1].seconds
    card: dict[str, float | str] = {
        "limit": 700,
        "tick": draw.choice([0.02, 0.1]),
        "power_tick": draw.choice([0.02, 0.1]),
    }
    shapes: list[Shape] = [WAVE, Constant(400.0), Constant(690.0), Noise(350.0, 250.0, seed), Square(60.0, 690.0, 0.4)]
    return card, faults, draw.choice(shapes), at + 6.0


def test_whatever_fails_again_and_again_the_bound_holds_and_is_no_more_than_can_be_drawn(
    nvml_library: Path, tmp_path: Path
) -> None:
    passed, ordinary = [], 0.06
    for seed in range(80):
        card, faults, shape, seconds = drawn(seed)
        bench = VirtualBench(nvml_library, tmp_path, [Gpu(card)], seed=seed)
        try:
            error, gap = played(bench, faults, shape, seconds)
        finally:
            bench.stop()
        passed += [] if error.holds else [(seed, error)]
        # What power that goes up and down leaves in doubt where it alone is booked, and the ends of every fault.
        most = MOST_WATTS * gap + A_RESET * len(faults) + ordinary * error.truth
        assert error.bound < most, (seed, error, gap)
    assert len(passed) <= 1, passed


Cuts = st.lists(st.floats(0.0, 10.0), max_size=6)


@given(
    hole=st.tuples(st.floats(2.0, 5.0), st.floats(5.0, 8.0)),
    hand_overs=Cuts,
    samples=Cuts,
    watts=st.lists(st.floats(0.0, 1200.0), min_size=20, max_size=20),
    drawn_watts=st.lists(st.sampled_from([0.0, 1.0]), min_size=20, max_size=20),
    late=st.floats(0.0, 1.0),
)
def test_whatever_was_drawn_in_a_hole_it_is_within_what_stays_of_its_bound(
    hole: tuple[float, float],
    hand_overs: list[float],
    samples: list[float],
    watts: list[float],
    drawn_watts: list[float],
    late: float,
) -> None:
    """Nothing or all that can be was drawn in each part of the hole; outside of it what was sampled."""
    begin, end = hole
    held = HandOvers(("w",), [(at, (f"w{number % 3}",)) for number, at in enumerate(sorted(set(hand_overs)))])
    most, books = 1000.0, Bookings()
    gap = Hole(most)
    gap.grow(begin, begin + (end - begin) / 3, held, books, failed=True)
    gap.grow(begin, end, held, books, failed=True)
    whole = bookings(books)
    truth: dict[str, float] = {}
    for number, (one, inside) in enumerate(pieces(sorted({0.0, 10.0, *samples}), held, hole)):
        level = watts[number % 20]
        slices = Slice(one[0], one[1], one[2], level * (one[1] - one[0]), 1.0)
        gap.book(slices, held, books)
        # A gauge that shows more than can be drawn is not to be believed: then its variance has to do.
        unseen = most * drawn_watts[number % 20] if level <= most else level
        add(truth, one[2], unseen * inside + level * (one[1] - one[0] - inside))
    booked = bookings(books)
    for name in {*whole, *booked}:
        before, after = whole.get(name, Booking(name)), booked.get(name, Booking(name))
        bound = before.bound_joules + after.bound_joules
        assert abs(after.joules - truth.get(name, 0.0)) <= bound + 1e-6
        assert 0.0 <= bound + 1e-6 <= before.bound_joules + 2e-6
    # Once the counter has told of it, or a slice is of another time, there is nothing to be had from it.
    other = Bookings()
    assert gap.book(Slice(20.0, 20.0 + late, ("w",), 50.0, 9.0), held, other) == 50.0
    (booking,) = other.take()
    assert (booking.variance, booking.bound_joules) == (9.0, 0.0)


def bookings(books: Bookings) -> dict[str, Any]:
    return {str(booking.holder): booking for booking in books.take()}


def add(sums: dict[str, float], holders: Holders, joules: float) -> None:
    for holder in holders:
        sums[holder] = sums.get(holder, 0.0) + joules / len(holders)


def pieces(
    samples: list[float], held: HandOvers, hole: tuple[float, float]
) -> list[tuple[tuple[float, float, Holders], float]]:
    """Stretches from sample to sample, cut at hand-overs, with the seconds of the hole in each."""
    found = []
    for a, b in itertools.pairwise(samples):
        cuts = sorted({a, b, *(at for at, _ in held.boundaries if a < at < b)})
        for begin, end in itertools.pairwise(cuts):
            ((holders, _),) = held.held(begin, end)
            found.append(((begin, end, holders), max(0.0, min(end, hole[1]) - max(begin, hole[0]))))
    return found


def test_what_was_taken_back_bounds_nothing() -> None:
    gap, held, books = Hole(1000.0), HandOvers(("w",)), Bookings()
    gap.grow(1.0, 2.0, held, books, failed=False)
    gap.close(5000.0, 0.1, books)
    assert gap.book(Slice(0.5, 2.5, ("w",), 800.0, 4.0), held, books) == 800.0
    (booking,) = books.take()
    assert (booking.joules, booking.variance, booking.bound_joules) == (800.0, 4.0, 0.0)


def test_what_is_booked_by_power_is_not_taken_back_by_the_counter() -> None:
    gap, held, books = Hole(1000.0), HandOvers(("w",)), Bookings()
    gap.grow(1.0, 2.0, held, books, failed=False)
    assert gap.book(Slice(1.0, 2.0, ("w",), 300.0, 4.0), held, books) == 0.0
    gap.close(5000.0, 0.1, books)
    (booking,) = books.take()
    assert (booking.joules, booking.variance, booking.bound_joules) == (300.0, 0.0, 700.0)


def test_where_nobody_knows_what_can_be_drawn_nothing_is_known_of_a_hole() -> None:
    gap, held, books = Hole(0.0), HandOvers(("w",)), Bookings()
    gap.grow(1.0, 2.0, held, books, failed=True)
    assert gap.book(Slice(1.0, 2.0, ("w",), 300.0, 4.0), held, books) == 300.0
    (booking,) = books.take()
    assert (booking.joules, booking.variance, booking.bound_joules) == (300.0, 4.0, 0.0)
