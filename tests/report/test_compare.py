"""Where two runs differ: the parts add up, whatever the figures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.samples import demo, record, report_of, stage

from joulemark.report.compare import Comparison, explained
from joulemark.report.notes import footnotes

amounts = st.floats(0.01, 1e9)


def compared(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> Comparison:
    found = report_of({"a": record("a", a), "b": record("b", b)}, compared_runs=("a", "b")).comparison
    assert found is not None
    return found


@given(st.lists(st.tuples(*[amounts] * 4), min_size=1, max_size=4), st.integers(1, 10**9), st.integers(1, 10**9))
def test_parts_add_up_without_a_rest(stages: list[tuple[float, float, float, float]], n: int, m: int) -> None:
    found = compared(
        [stage(f"s{k}", a, seconds=t, tokens={"trained": n}) for k, (a, t, _, _) in enumerate(stages)],
        [stage(f"s{k}", b, seconds=u, tokens={"trained": m}) for k, (_, _, b, u) in enumerate(stages)],
    )
    size = found.a_joules + found.b_joules
    assert sum(one.joules for one in found.stages) == pytest.approx(found.joules, abs=1e-9 * size)
    for one in found.stages:
        scale = one.a_joules + one.b_joules
        for parts in ((one.from_power, one.from_time), (one.from_tokens, one.from_per_token)):
            assert None not in parts
            # Each part alone may be far larger than the difference, and they cancel.
            size = sum(abs(part or 0.0) for part in parts) + scale
            assert sum(part or 0.0 for part in parts) == pytest.approx(one.joules, abs=1e-9 * size)


def test_longer_at_the_same_power_is_all_time_and_hotter_in_the_same_time_is_all_power() -> None:
    (one,) = compared([stage("eval", 100.0, seconds=10.0)], [stage("eval", 150.0, seconds=15.0)]).stages
    assert (one.from_power, one.from_time) == (0.0, 50.0)
    (one,) = compared([stage("eval", 100.0, seconds=10.0)], [stage("eval", 150.0, seconds=10.0)]).stages
    assert (one.from_power, one.from_time) == (50.0, 0.0)


def test_what_is_not_known_on_both_sides_is_not_split() -> None:
    (one,) = compared([stage("eval", 100.0, seconds=None)], [stage("eval", 150.0, tokens={"evaluated": 5})]).stages
    assert (one.from_power, one.from_time, one.from_tokens, one.from_per_token) == (None,) * 4


def test_it_is_told_in_words_the_largest_first() -> None:
    comparison = report_of(demo(), compared_runs=("sft-1", "kd-1")).comparison
    assert comparison is not None
    lines = explained(comparison)
    assert lines[0] == "kd-1 used 180 ± 1 J more than sft-1 (1.25 times)."
    assert lines[1] == "teacher: +300.0 ± 0.2 J, as only kd-1 has it."
    assert lines[2].startswith("student: −100.0 ± 0.5 J")
    assert footnotes(report_of(demo(), compared_runs=("sft-1", "kd-1")))[:3] == lines[:3]


def test_a_difference_within_its_bound_is_told_as_such_and_not_explained() -> None:
    a = [stage("student", 600.0, uncertainty_joules=3.0), stage("eval", 50.0, uncertainty_joules=1.0)]
    b = [stage("student", 605.0, uncertainty_joules=2.0), stage("eval", 53.0, uncertainty_joules=1.0, seconds=50.0)]
    found = compared(a, b)
    assert [(one.joules, one.uncertainty_joules) for one in found.stages] == [(5.0, 5.0), (3.0, 2.0)]
    assert (found.joules, found.uncertainty_joules) == (8.0, 7.0)
    whole, student, rest = explained(found)
    assert whole == "b used 8.00 ± 7.00 J more than a (1.01 times)."
    assert student == "student: +5.00 ± 5.00 J, no more than its bound: it may be none."
    assert rest == "eval: +3.00 ± 2.00 J: +11.6 ± 0.2 J from time and −8.55 ± 2.02 J from power."
    assert (
        explained(compared(a, a))[0]
        == "b used 0 ± 8 J more than a (1.00 times), no more than its bound: it may be none."
    )


def test_a_difference_from_what_has_no_bound_has_none() -> None:
    imported = {**record("a", [stage("eval", 50.0)]), "uncertainty_joules": None}
    imported["stages"] = [stage("eval", 50.0, uncertainty_joules=None)]
    found = report_of({"a": imported, "b": record("b", [stage("eval", 51.0)])}, compared_runs=("a", "b")).comparison
    assert found is not None
    assert found.uncertainty_joules is found.stages[0].uncertainty_joules is None
    assert explained(found)[0] == "b used 1.00 J more than a (1.02 times)."
