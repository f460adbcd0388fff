"""The formulas, and that the frontier is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joulemark import accounting

small = st.integers(0, 6).map(float)
points = st.one_of(
    st.lists(st.tuples(small, small), max_size=12),
    st.lists(st.tuples(small, small, small), max_size=12),
)
joules = st.floats(0, 1e15, allow_nan=False)


def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Told apart from the module's own: at least as good everywhere, and not the same."""
    costs, wins = one[0] - other[0], [a - b for a, b in zip(one[1:], other[1:], strict=True)]
    return costs <= 0 and min(wins) >= 0 and (costs < 0 or max(wins) > 0)


@given(points)
def test_no_frontier_point_is_dominated_and_every_other_is_by_one_on_it(found: list[tuple[float, ...]]) -> None:
    optimal = accounting.pareto_optimal(found)
    frontier = [point for point, best in zip(found, optimal, strict=True) if best]
    for point, best in zip(found, optimal, strict=True):
        assert best != any(beats(other, point) for other in frontier)


@given(points)
def test_ties_are_kept_and_order_says_nothing(found: list[tuple[float, ...]]) -> None:
    flags = dict(zip(found, accounting.pareto_optimal(found), strict=True))
    assert [flags[point] for point in found] == accounting.pareto_optimal(found)
    assert [flags[point] for point in reversed(found)] == accounting.pareto_optimal(found[::-1])
    assert any(flags.values()) or not found


@given(points)
def test_a_further_axis_takes_nobody_off_the_frontier_who_is_alone_there(found: list[tuple[float, ...]]) -> None:
    unique = list(dict.fromkeys(found))
    plain = accounting.pareto_optimal([point[:2] for point in unique])
    for point, best in zip(unique, plain, strict=True):
        if best and sum(other[:2] == point[:2] for other in unique) == 1:
            assert accounting.pareto_optimal(unique)[unique.index(point)]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({"cached": 10}, 10),
        ({"prompt": 50, "generated": 10}, 10),
        ({"prompt": 50}, 50),
        ({"prompt": 50, "generated": 0}, 50),
        ({}, 0),
    ],
)
def test_a_stage_is_judged_by_its_own_tokens(tokens: dict[str, int], expected: int) -> None:
    assert accounting.stage_tokens(tokens) == expected
    assert accounting.joules_per_token(20.0, tokens) == (20.0 / expected if expected else None)


def test_quality_is_the_mean_ratio_and_absent_without_references() -> None:
    assert accounting.quality([(0.4, 0.8), (0.9, 0.6)]) == pytest.approx(1.0)
    assert accounting.quality([(0.4, 0.8), (0.9, None), (0.1, 0.0)]) == pytest.approx(0.5)
    assert accounting.quality([(0.4, None)]) is None
    assert accounting.quality([]) is None
    assert accounting.run_joules_per_token(5.0, 0) is None


@given(joules, joules)
def test_agreement_is_the_same_both_ways_and_whole_only_when_equal(one: float, other: float) -> None:
    found = accounting.agreement_percent(one, other)
    assert found == accounting.agreement_percent(other, one)
    assert 0 <= found <= 100
    assert accounting.agreement_percent(one, one) == 100


@given(st.lists(st.tuples(st.sampled_from(["data", "teacher", "student"]), st.floats(0, 1e9)), min_size=1))
def test_the_teachers_share_is_a_share(stages: list[tuple[str, float]]) -> None:
    whole = sum(value for _, value in stages)
    found = accounting.share(accounting.teacher_joules(stages), whole)
    assert (found is None) == (whole == 0)
    assert found is None or 0 <= found <= 1 + 1e-12
