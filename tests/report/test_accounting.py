"""The formulas: the paper's published numbers come out, and the frontier is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.samples import PUBLISHED_STAGES, PUBLISHED_TOTALS, TOKENS, accounts, published

from joulemark import accounting

points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)
joules = st.floats(0, 1e15, allow_nan=False)


@pytest.mark.parametrize("run", PUBLISHED_TOTALS)
def test_published_energy_and_joules_per_token_are_over_30_million_tokens(run: str) -> None:
    kwh, per_token, _ = PUBLISHED_TOTALS[run]
    assert kwh * accounting.JOULES_PER_KWH / per_token == pytest.approx(TOKENS, rel=0.005)
    found = accounting.run_joules_per_token(kwh * accounting.JOULES_PER_KWH, TOKENS)
    assert found == pytest.approx(per_token, abs=0.005)


@pytest.mark.parametrize("run", PUBLISHED_STAGES)
def test_published_stages_add_up_to_the_published_total(run: str) -> None:
    (account,) = accounts({run: published(run)})
    assert accounting.kilowatt_hours(account.total.joules) == pytest.approx(PUBLISHED_TOTALS[run][0], rel=1e-9)
    assert account.total.joules_per_token == pytest.approx(PUBLISHED_TOTALS[run][1], abs=0.005)
    teacher = PUBLISHED_STAGES[run].get("teacher", 0.0)
    assert accounting.kilowatt_hours(account.teacher_joules) == pytest.approx(teacher, rel=1e-9)


def test_published_distilling_costs_2_41_times_the_baseline() -> None:
    records = {run: published(run) for run in ("sft-1b", "kd-1b")}
    records["kd-1b"]["baseline"] = "sft-1b"
    assert accounts(records)[1].baseline_ratio == pytest.approx(16.90 / 7.00, rel=1e-9)


def test_published_frontier() -> None:
    energy_and_quality = [(kwh, quality) for kwh, _, quality in PUBLISHED_TOTALS.values()]
    optimal = dict(zip(PUBLISHED_TOTALS, accounting.pareto_optimal(energy_and_quality), strict=True))
    assert {run for run, best in optimal.items() if best} == {"sft-1b", "kd-1b", "sft-7b", "sft-13b"}


def dominates(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and (one[0] < other[0] or one[1] > other[1])


@given(points)
def test_no_frontier_point_is_dominated_and_every_other_is_by_one_on_it(found: list[tuple[int, int]]) -> None:
    optimal = accounting.pareto_optimal(found)
    frontier = [point for point, best in zip(found, optimal, strict=True) if best]
    for point, best in zip(found, optimal, strict=True):
        assert best != any(dominates(other, point) for other in frontier)


@given(points)
def test_ties_are_kept_and_order_says_nothing(found: list[tuple[int, int]]) -> None:
    flags = dict(zip(found, accounting.pareto_optimal(found), strict=True))
    assert [flags[point] for point in found] == accounting.pareto_optimal(found)
    assert [flags[point] for point in reversed(found)] == accounting.pareto_optimal(found[::-1])
    assert any(flags.values()) or not found


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
