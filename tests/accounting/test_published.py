"""What the paper prints comes out of the module, to 1e-9 of what its formulas give on its own inputs."""

from __future__ import annotations

import pytest
from accounting.published import BY_STAGE, END_TO_END, TRAINED_TOKENS, published_records

from joulemark.accounting import JOULES_PER_KWH, RunFigures, cells_of, co2e_grams, cost, figures_of
from joulemark.run_record import RunRecord

STUDENTS = ("1b", "13b")


def exactly(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=0)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunRecord]:
    return published_records(tmp_path_factory.mktemp("ledger"))


@pytest.fixture(scope="module")
def figures(records: dict[str, RunRecord]) -> dict[str, RunFigures]:
    return figures_of(records)


@pytest.mark.parametrize("run", END_TO_END)
def test_totals_joules_per_token_and_quality(run: str, figures: dict[str, RunFigures]) -> None:
    kwh, per_token, quality = END_TO_END[run]
    found = figures[run]
    assert found.bill.as_run == exactly(kwh * JOULES_PER_KWH)
    assert found.bill.one_off == exactly(kwh * JOULES_PER_KWH), "a printed cell holds its teacher's energy in full"
    assert found.joules_per_token == exactly(kwh * JOULES_PER_KWH / TRAINED_TOKENS)
    assert round(found.joules_per_token or 0, 2) == pytest.approx(per_token, abs=1e-12)
    assert found.quality.value == exactly(quality)


@pytest.mark.parametrize("run", BY_STAGE)
def test_stages(run: str, figures: dict[str, RunFigures]) -> None:
    data, teacher, student, evaluation = BY_STAGE[run]
    found = figures[run]
    assert found.bill.as_run == exactly((data + teacher + student + evaluation) * JOULES_PER_KWH)
    assert found.student_joules == exactly(student * JOULES_PER_KWH)
    assert found.own_teacher_joules == exactly(teacher * JOULES_PER_KWH)
    assert found.bill.teacher_joules == exactly(teacher * JOULES_PER_KWH)


@pytest.mark.parametrize(
    ("pipeline", "student", "rounded"),
    [("kd", "1b", 10.0), ("kd", "13b", 3.55), ("synthetic-sft", "1b", 11.16), ("synthetic-sft", "13b", 2.36)],
)
def test_breakeven_reuses(pipeline: str, student: str, rounded: float, figures: dict[str, RunFigures]) -> None:
    run, baseline = f"paper-{pipeline}-{student}", f"paper-sft-{student}"
    found = figures[run]
    assert found.baselines == (baseline,)
    assert found.reuses.value == exactly(BY_STAGE[run][1] / (BY_STAGE[baseline][2] - BY_STAGE[run][2]))
    assert round(found.reuses.value or 0, 2) == rounded
    assert found.reuses.reason is None


def test_distilling_once_costs_2_41_times_the_baseline(figures: dict[str, RunFigures]) -> None:
    found = figures["paper-kd-1b"]
    assert found.baseline_joules is not None
    assert found.bill.as_run / found.baseline_joules == exactly(16.90 / 7.00)
    assert round(found.bill.as_run / found.baseline_joules, 2) == 2.41


def test_frontier(figures: dict[str, RunFigures]) -> None:
    optimal = {run: found.optimal["one_off"] for run, found in figures.items() if "one_off" in found.optimal}
    assert set(optimal) == set(END_TO_END), "synthetic_sft 1B has no printed Q, so it has no place"
    best = {run for run, is_best in optimal.items() if is_best}
    assert best == {"paper-sft-1b", "paper-kd-1b", "paper-sft-7b", "paper-sft-13b"}


def test_sharing_the_teacher_between_the_printed_students(figures: dict[str, RunFigures]) -> None:
    for student in STUDENTS:
        data, teacher, training, evaluation = BY_STAGE[f"paper-kd-{student}"]
        shared = (data + teacher / 2 + training + evaluation) * JOULES_PER_KWH
        assert figures[f"paper-kd-{student}"].bill.amortized == exactly(shared)


def test_what_is_not_printed_is_absent(figures: dict[str, RunFigures]) -> None:
    synthetic = figures["paper-synthetic-sft-1b"]
    assert (synthetic.quality.value, synthetic.joules_per_token, synthetic.optimal) == (None, None, {})
    assert figures["paper-sft-7b"].student_joules == 0
    for found in figures.values():
        assert (found.throughput, found.net_joules, found.optimal_with_throughput) == (None, None, {})
        assert found.served_tokens.value is None
    assert figures["paper-sft-1b"].reuses.reason == "no_teacher"
    assert figures["paper-kd-1b"].served_tokens.reason == "no_serving"


def test_derived_grams_and_cost_leave_the_joules_alone() -> None:
    joules = 16.90 * JOULES_PER_KWH
    assert co2e_grams(joules, 1.2, 50.0) == exactly(16.90 * 1.2 * 50.0)
    assert cost(joules, 1.2, 0.25) == exactly(16.90 * 1.2 * 0.25)


def test_every_printed_cell_is_a_cell_of_one_run(records: dict[str, RunRecord]) -> None:
    assert sorted(len(names) for names in cells_of(records).values()) == [1] * 7
