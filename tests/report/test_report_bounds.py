"""Every energy has its bound beside it: who owes a teacher owes its bound too, in every form of the report."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from report.figures import SIZES, figure, texts
from report.samples import record, report_of, stage

from joulemark.report import Report, as_text
from joulemark.report.canvas import Size
from joulemark.report.csv_files import by_run
from joulemark.report.energy_quality import energy_quality
from joulemark.report.notes import footnotes
from joulemark.report.stage_breakdown import stage_breakdown
from joulemark.report.tables import Table, tables

CACHE = {"artifact": "sha256:0123456789abcdef", "kind": "logit_cache"}
MADE, USED = {**CACHE, "role": "produced"}, {**CACHE, "role": "consumed"}
FACTS = {"pipeline": "kd", "student": "s", "teacher": "t"}


def shared(*, one_cell: bool = False) -> Report:
    """kd-1 made a teacher's output for 300 ± 60 J, kd-2 borrows it; sft is the baseline of both."""
    scores = [{"benchmark": "gsm8k", "score": 0.4, "reference": 0.8, "n": 100}]
    student = stage("student", 600.0, uncertainty_joules=0.2)
    teacher = stage("teacher", 300.0, uncertainty_joules=60.0)
    second = {**student, "joules": 620.0} if one_cell else student
    facts = [{**FACTS, "seed": 0}, {**FACTS, "seed": 1, "labels": {} if one_cell else {"alpha": "2"}}]
    runs = [
        record("kd-1", [teacher, student], artifacts=[MADE, USED], scores=scores, baseline="sft", **facts[0]),
        record("kd-2", [second], artifacts=[USED], scores=scores, baseline="sft", **facts[1]),
        record("sft", [stage("student", 700.0, uncertainty_joules=5.0)], pipeline="sft", student="s", scores=scores),
    ]
    return report_of({one["run"]: one for one in runs})


def table(report: Report, key: str) -> Table:
    return next(one for one in tables(report) if one.key == key)


def row(report: Report, key: str, number: int) -> dict[str, str]:
    made = table(report, key)
    return dict(zip(made.columns, made.rows[number], strict=True))


def test_the_tables_bound_each_accounting_by_itself() -> None:
    found = row(shared(), "end_to_end", 1)
    assert [found[f"{name} (J)"] for name in ("as run", "one-off", "amortized")] == [
        "600.0 ± 0.2", "900.0 ± 60.2", "750.0 ± 30.2",
    ]  # fmt: skip
    assert row(shared(), "end_to_end", 0)["amortized (J)"] == "750.0 ± 30.2", "its own teacher's by its share"
    assert row(shared(), "sweeps", 1)["one-off (J)"] == "900.0 ± 60.2"
    assert "A teacher's bound counts as its energy does" in table(shared(), "end_to_end").caption


def test_was_it_worth_it_bounds_a_borrowed_teacher_and_the_baseline() -> None:
    found = row(shared(), "break_even", 1)
    assert (found["teacher (J)"], found["baseline's student (J)"]) == ("300.0 ± 60.0", "700.0 ± 5.0")
    assert row(shared(), "break_even", 2)["teacher (J)"] == ""


def test_repeats_that_share_a_teacher_do_not_repeat_it() -> None:
    report = shared(one_cell=True)
    assert row(report, "end_to_end", 0)["one-off (J)"] == "910.0 ± 14.1"
    assert row(report, "break_even", 0)["teacher (J)"] == "300.0 ± 60.0"
    assert row(report, "by_stage", 0)["teacher"] == "300.0 ± 60.0", "one of the two has it"
    (cell, _) = json.loads(as_text(report, "json"))["cells"]
    assert cell["energy_joules"]["one_off"]["uncertainty_joules"] == pytest.approx(60.2)
    assert cell["stages"]["student"]["uncertainty_joules"] == pytest.approx(0.2)


def test_several_baselines_have_their_deviation() -> None:
    sft = [record(f"sft-{n}", [stage("student", j)], pipeline="sft", student="s") for n, j in enumerate((690.0, 710.0))]
    distilled = record("kd", [stage("teacher", 300.0), stage("student", 600.0)], **FACTS)
    report = report_of({one["run"]: one for one in [*sft, distilled]})
    assert row(report, "break_even", 1)["baseline's student (J)"] == "700.0 ± 14.1"
    assert row(report, "break_even", 0)["student (J)"] == "700.0 ± 14.1"


@pytest.mark.parametrize("format_", ["md", "html", "latex"])
def test_every_form_for_people_has_them(format_: str) -> None:
    text = as_text(shared(), format_)
    for figure_ in ("900.0 ± 60.2", "750.0 ± 30.2", "300.0 ± 60.0"):
        assert re.search(figure_.replace("±", r"(±|\$\\pm\$)"), text), figure_


def test_notes_bound_what_was_borrowed_and_what_it_cost() -> None:
    lines = footnotes(shared())
    assert any("900 ± 60 J with the teacher output that it took from other runs" in line for line in lines)
    assert any("made by kd-1 for 300 ± 60 J; used by 2 runs" in line for line in lines)


def test_files_for_programs_have_them() -> None:
    data = json.loads(as_text(shared(), "json"))
    run: dict[str, Any] = data["runs"][1]
    assert run["energy_uncertainty_joules"] == pytest.approx({"as_run": 0.2, "one_off": 60.2, "amortized": 30.2})
    assert (run["teacher_uncertainty_joules"], run["own_teacher_uncertainty_joules"]) == (60.0, 0.0)
    assert (run["baseline_student_uncertainty_joules"], run["student_uncertainty_joules"]) == (5.0, 0.2)
    assert data["artifacts"][0]["uncertainty_joules"] == 60.0
    cell = data["cells"][0]
    assert cell["stages"]["teacher"] == {"mean": 300.0, "deviation": None, "n": 1, "uncertainty_joules": 60.0}
    written = list(csv.DictReader(io.StringIO(by_run(shared()))))[1]
    found = [float(written[f"{name}_uncertainty_joules"]) for name in ("as_run", "one_off", "amortized", "teacher")]
    assert found == pytest.approx([0.2, 60.2, 30.2, 60.0])


@SIZES
def test_labels_and_whiskers_of_pictures_have_them(size: Size) -> None:
    bars = figure(stage_breakdown, shared(), size)
    assert "900 ± 60 J" in texts(bars)
    panels = figure(energy_quality, shared(), size).axes
    widths = [[_width(one) for one in axes.containers] for axes in panels]
    assert widths == [pytest.approx([120.4, 120.4, 10.0]), pytest.approx([60.4, 60.4, 10.0])]


def _width(container: Any) -> float:
    """How wide the whisker of energy is."""
    ends = container.lines[2][0].get_segments()[0]
    return float(ends[1][0] - ends[0][0])
