"""The bound of each accounting: a joule that counts by a share has its bound counted by the same share."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.samples import record, stage

from joulemark.accounting import ACCOUNTINGS, RunFigures, artifacts_of, figures_of
from joulemark.run_record import RunRecord


def artifact(role: str, name: str = "logits") -> dict[str, str]:
    return {"artifact": name, "kind": "logit_cache", "role": role}


MADE, USED = artifact("produced"), artifact("consumed")


def bounded(name: str, joules: float, bound: float | None) -> dict[str, Any]:
    return stage(name, joules, uncertainty_joules=bound)


def run(name: str, stages: list[dict[str, Any]], *artifacts: dict[str, str], **fields: Any) -> dict[str, Any]:
    known = [one["uncertainty_joules"] for one in stages]
    whole = None if None in known else sum(known)
    plain = [{**one, "uncertainty_joules": one["uncertainty_joules"] or 0.0} for one in stages]
    return {
        **record(name, plain, artifacts=list(artifacts), **fields), "stages": stages, "uncertainty_joules": whole,
    }  # fmt: skip


def figures(*records: dict[str, Any]) -> dict[str, RunFigures]:
    return figures_of({one["run"]: RunRecord.from_json(one) for one in records})


def bounds(found: RunFigures) -> tuple[float | None, ...]:
    """As run, one-off, amortized."""
    return tuple(found.bill.uncertainty_joules(accounting) for accounting in ACCOUNTINGS)


def maker(teacher_bound: float | None = 60.0) -> dict[str, Any]:
    return run("kd-1", [bounded("teacher", 300.0, teacher_bound), bounded("student", 600.0, 0.2)], MADE, USED)


def borrower(name: str = "kd-2") -> dict[str, Any]:
    return run(name, [bounded("student", 600.0, 0.2)], USED)


def test_a_borrowed_teacher_brings_its_bound_whole_or_by_its_share() -> None:
    found = figures(maker(), borrower())
    assert bounds(found["kd-2"]) == pytest.approx((0.2, 60.2, 30.2))
    assert found["kd-2"].bill.teacher_uncertainty_joules == 60.0


def test_who_made_the_teachers_output_keeps_of_its_bound_what_it_keeps_of_its_joules() -> None:
    found = figures(maker(), borrower(), borrower("kd-3"))
    assert bounds(found["kd-1"]) == pytest.approx((60.2, 60.2, 20.2))
    assert bounds(figures(maker())["kd-1"]) == pytest.approx((60.2, 60.2, 60.2))


def test_a_teacher_run_whose_users_pay_is_left_with_neither_joules_nor_bound() -> None:
    teacher = run("teacher", [bounded("teacher", 300.0, 0.1), bounded("teacher", 10.0, 0.2)], MADE)
    found = figures(teacher, borrower())["teacher"]
    assert bounds(found) == pytest.approx((0.3, 0.3, 0.0))
    assert found.bill.uncertainty_joules("amortized") == 0.0


def test_outputs_of_one_stage_share_its_bound_and_what_was_made_twice_has_the_mean() -> None:
    both = run("both", [bounded("teacher", 300.0, 60.0)], MADE, artifact("produced", "texts"))
    assert bounds(figures(both, borrower())["kd-2"]) == pytest.approx((0.2, 30.2, 30.2))
    twice = figures(maker(60.0), {**maker(20.0), "run": "again"}, borrower())["kd-2"]
    assert bounds(twice) == pytest.approx((0.2, 40.2, 0.2 + 40.0 / 3))


def test_a_bound_that_is_not_known_in_part_is_not_known() -> None:
    assert bounds(figures(maker(None), borrower())["kd-2"]) == (0.2, None, None)
    assert bounds(figures(maker(None), borrower())["kd-1"]) == (None, None, None)
    assert bounds(figures(borrower())["kd-2"]) == (0.2, None, None), "nobody knows what it owes"
    (known,) = artifacts_of([RunRecord.from_json(maker())]).values()
    assert (known.joules, known.uncertainty_joules) == (300.0, 60.0)


def test_baselines_have_bounds_and_several_their_deviation() -> None:
    facts = {"student": "s", "dataset": "d"}
    sft = [
        run(f"sft-{seed}", [bounded("student", joules, bound)], pipeline="sft", **facts)
        for seed, (joules, bound) in enumerate(((690.0, 3.0), (710.0, 5.0)))
    ]
    distilled = {**maker(), "pipeline": "kd", **facts}
    one, two = figures(sft[0], distilled)["kd-1"], figures(*sft, distilled)["kd-1"]
    assert (one.baseline_student_uncertainty_joules, one.baseline_student_deviation) == (3.0, None)
    assert (two.baseline_student_uncertainty_joules, two.baseline_uncertainty_joules) == (4.0, 4.0)
    assert two.baseline_student_deviation == pytest.approx(200**0.5)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 5)), min_size=1, max_size=6))
def test_amortized_bounds_add_up_to_those_of_what_was_burnt(runs: list[tuple[float, int]]) -> None:
    """Each run made an output, and used that of another or its own."""
    made = [
        run(
            f"r{n}", [bounded("teacher", 100.0, bound), bounded("student", 7.0, 1.0)],
            artifact("produced", f"a{n}"), artifact("consumed", f"a{used % len(runs)}"),
        )
        for n, (bound, used) in enumerate(runs)
    ]  # fmt: skip
    found = figures(*made).values()
    burnt = sum(one["uncertainty_joules"] for one in made)
    assert sum(one.bill.uncertainty_joules("amortized") or 0.0 for one in found) == pytest.approx(burnt, rel=1e-9)
