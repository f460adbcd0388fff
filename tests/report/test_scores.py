"""The table of scores: mean and spread of repeats, and between what the student was before and what its teacher is."""

from __future__ import annotations

from typing import Any

from report.samples import record, report_of, stage

from joulemark.report import make_report
from joulemark.report.tables import Table, tables

FACTS = {"student": "S", "teacher": "T", "dataset": "D"}


def score(benchmark: str, value: float, stderr: float | None = None) -> dict[str, Any]:
    return {"benchmark": benchmark, "score": value, "reference": 0.9, "n": 100, "stderr": stderr}


def run(name: str, pipeline: str, *scores: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return record(name, [stage("eval", 10.0)], pipeline=pipeline, scores=list(scores), **FACTS | fields)


def table(records: dict[str, Any], *names: str) -> Table:
    return next(one for one in tables(make_report(list(names), records)) if one.key == "scores")


BEFORE = (score("facts", 0.26, 0.044), score("heldout", 3e-12))
RUNS = {
    "kd-0": run("kd-0", "kd", score("facts", 0.40, 0.05), score("heldout", 0.0030), seed=0),
    "kd-1": run("kd-1", "kd", score("facts", 0.50, 0.05), score("heldout", 0.0034), seed=1),
    "sft-0": run("sft-0", "sft", score("facts", 0.25, 0.043), seed=0),
    "untrained-1": run("untrained-1", "untrained", *BEFORE, created_at=1.0),
    "untrained-0": run("untrained-0", "untrained", score("facts", 0.1), created_at=0.0),
    "untrained-x": run("untrained-x", "untrained", score("facts", 0.2), student="X"),
}  # fmt: skip


def test_repeats_have_a_spread_single_runs_their_standard_error() -> None:
    found = table(RUNS, "kd-0", "kd-1", "sft-0")
    assert found.columns == ("", "runs", "facts", "heldout")
    assert found.rows == (
        ("kd S", "2", "0.450 ± 0.071", "0.0032 ± 0.0003"),
        ("sft S", "1", "0.250 ± 0.043", ""),
        ("S, untrained", "1", "0.260 ± 0.044", "3.0e-12"),
        ("teacher T", "", "0.900", "0.900"),
    )


def test_a_student_before_training_that_is_reported_itself_stands_once() -> None:
    found = table(RUNS, "kd-0", "untrained-1")
    assert [row[0] for row in found.rows] == ["kd S", "untrained S", "teacher T"]


def test_runs_without_scores_have_no_such_table() -> None:
    records = {"kd": record("kd", [stage("student", 5.0)], pipeline="kd", student="S")}
    assert "scores" not in [one.key for one in tables(report_of(records))]
