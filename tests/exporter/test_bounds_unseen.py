"""What could not be seen is in the bound: edges in step with samples, samples shown late, a tick between two looks."""

from __future__ import annotations

import math

import pytest

from joulemark.attribution.booking import Bookings
from joulemark.attribution.boundary import Power, split
from joulemark.attribution.edges import RegularEdges
from joulemark.attribution.hand_overs import HandOvers
from joulemark.attribution.hole import Hole
from joulemark.attribution.power_integral import PowerIntegral, Slice
from joulemark.attribution.ticks import Tick

SAMPLE = 0.02


def extra(samples_apart: list[int]) -> float:
    """The standard deviation in joules that edges of 560 W upwards have beside that of each alone."""
    edges, at, variance = RegularEdges(), 0.0, 0.0
    for count in samples_apart:
        at += count * SAMPLE
        variance += edges.see(at, 560.0, SAMPLE)
    return math.sqrt(variance)


def test_edges_in_step_with_the_samples_add_up_and_others_do_not() -> None:
    most = 560.0 * SAMPLE / 2
    # Each of them may be off by half a sample, all alike.
    assert 3 * extra([15] * 20) > 0.9 * 20 * most
    assert extra([15, 17] * 10) < 0.3 * extra([15] * 20)
    # Slopes and waves too fast for the samples are no edges.
    assert extra([1] * 20) == extra([2] * 20) == 0.0


def test_what_was_shown_late_stays_in_the_bound_when_the_slice_that_tells_of_it_lies_in_a_hole() -> None:
    hole, hand_overs, books = Hole(1000.0), HandOvers(("w",)), Bookings()
    hole.grow(1.0, 3.0, hand_overs, books, failed=True)
    hole.book(Slice(1.0, 2.0, ("w",), 300.0, 4.0, 900.0), hand_overs, books)
    (booking,) = books.take()
    assert booking.variance == 900.0


def test_an_average_that_rose_and_fell_is_as_unsure_as_one_that_rose() -> None:
    power = PowerIntegral(("w",), averaging=1.0)
    for count, watts in enumerate([100.0, 300.0, 500.0, 300.0, 100.0]):
        power.see(count * 0.1, watts, placed=True)
    assert power.late_variance == pytest.approx((0.25 * 400.0) ** 2)


def test_samples_that_were_not_placed_are_late_though_those_after_them_are() -> None:
    power = PowerIntegral(("w",), refresh=0.1)
    for count in range(10):
        power.see(count * 0.1, 100.0 + 10.0 * count, placed=count > 5)
    assert power.late_variance == pytest.approx((0.025 * 50.0) ** 2)


def test_a_first_value_that_did_not_change_may_be_of_the_stage_before() -> None:
    power = PowerIntegral(("a",), refresh=0.1)
    power.see(0.0, 60.0)
    power.hand_over(0.05, ("b",))
    slices = [one for at, watts in ((0.11, 60.0), (0.16, 690.0), (0.26, 690.0)) for one in power.see(at, watts)]
    of_b = [one for one in slices if one.holders == ("b",)]
    missing = 690.0 * 0.21 - sum(one.joules for one in of_b)
    assert 0.0 < missing < 3.0 * math.sqrt(sum(one.variance for one in of_b))


def test_a_gain_that_no_place_of_a_tick_explains_is_shared_by_where_power_may_be_more() -> None:
    # 690 W, then a stage that began with 86 ms of 650 W and whose later ticks all show 90 W.
    begin, end, cut = Tick(8.0458, 0.0247, 0.0), Tick(8.1991, 0.0008, 88.3), 8.0886
    _, after = split(begin, end, [cut], Power(681.0, 103.0), Power(90.0, 2.5), 1050.0)
    assert abs(after.joules - 58.7) < 3.0 * math.sqrt(after.variance)
