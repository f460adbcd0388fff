"""From records to rows: totals, who inherits what, what Prometheus has not seen, which estimators disagree."""

from __future__ import annotations

from typing import Any

import pytest
from report.samples import demo, record, report_of, seeds, stage

from joulemark.errors import UnknownName
from joulemark.report import RunRecord, make_report
from joulemark.report.notes import footnotes

SEEN = {("kd-1", "teacher", "logit_caching"): 297.0, ("kd-1", "student", "kd"): 600.0}


def test_a_run_that_reuses_an_artifact_says_what_it_cost_whom() -> None:
    report = report_of(demo())
    lines = footnotes(report)
    assert "kd-2: 600.0 ± 0.2 J; 900 J with the teacher output that it took from other runs" in "\n".join(lines)
    (line,) = [line for line in lines if line.startswith("logit_cache")]
    assert line == "logit_cache sha256:0123456789ab: made by kd-1 for 300 J; used by 2 runs (kd-1, kd-2)"
    assert report.accounts[1].teacher_share == pytest.approx(300 / 900)


def test_what_others_made_counts_though_they_are_not_reported() -> None:
    report = make_report(["kd-2"], demo())
    assert report.accounts[0].figures.bill.one_off == 900.0
    assert any("made by kd-1" in line for line in footnotes(report))


def test_an_artifact_of_unknown_making_is_not_free() -> None:
    alone = report_of({"kd-2": demo()["kd-2"]})
    assert alone.accounts[0].figures.bill.one_off is None
    assert any("no known run made it" in line for line in footnotes(alone))


def test_the_baseline_is_compared_only_where_it_is_known() -> None:
    lines = footnotes(report_of(demo()))
    assert any("kd-1" in line and f"{900 / 720:.2f} times the energy of its baseline sft-1" in line for line in lines)
    assert not any("baseline" in line for line in footnotes(report_of({"kd-1": demo()["kd-1"]})))


def test_what_prometheus_has_not_seen_is_absent_not_zero() -> None:
    report = report_of(demo(), SEEN)
    _, maker, user = report.accounts
    assert [row.agreement_percent for row in maker.rows] == [pytest.approx(99.0), 100.0]
    assert maker.total.prometheus_joules == pytest.approx(897.0)
    assert user.rows[0].prometheus_joules is user.total.prometheus_joules is None
    assert "sft-1: Prometheus has no sample of this run" in footnotes(report)


def test_part_of_a_run_does_not_pass_for_the_whole() -> None:
    report = report_of({"kd-1": demo()["kd-1"]}, {("kd-1", "student", "kd"): 600.0})
    assert report.accounts[0].total.prometheus_joules is None
    assert any("no sample of teacher/logit_caching" in line for line in footnotes(report))


def test_prometheus_is_not_mentioned_where_it_was_not_asked() -> None:
    assert not any("Prometheus" in line for line in footnotes(report_of(demo())))


def test_a_run_without_energy_has_no_shares() -> None:
    (account,) = report_of({"new": record("new", [stage("prerun", 0.0)])}).accounts
    assert account.rows[0].share is account.teacher_share is account.total.joules_per_token is None
    (empty,) = report_of({"new": record("new", [])}).accounts
    assert empty.total.joules == 0
    assert empty.total.prometheus_joules is None


def test_stages_told_by_two_nodes_are_one_row() -> None:
    two = record("kd", [stage("student", 100.0, node="a", seconds=9.0), stage("student", 50.0, node="b", seconds=10.0)])
    (account,) = report_of({"kd": two}).accounts
    (row,) = account.rows
    assert (row.joules, row.seconds, row.uncertainty_joules) == (150.0, 10.0, 0.5)


@pytest.mark.parametrize(("integral", "told"), [(104.9, False), (105.1, True), (94.0, True)])
def test_estimators_that_disagree_are_told_of_by_stage_and_as_a_whole(integral: float, told: bool) -> None:
    # The cpu has one estimator alone: it is not held against the gpu's power.
    both: dict[str, Any] = {
        "joules_by_device": {"gpu0": 100.0, "cpu0": 900.0},
        "power_integral_joules": integral,
        "power_integral_joules_by_device": {"gpu0": integral},
    }
    report = report_of({"kd": record("kd", [stage("teacher", 1000.0, **both)])})
    lines = [line for line in footnotes(report) if "disagree" in line]
    assert [("in teacher" in line, "as a whole" in line) for line in lines] == [(True, False), (False, True)] * told
    assert report.accounts[0].rows[0].disagreement_ratio == pytest.approx(abs(integral / 100 - 1))


def test_a_quality_without_all_benchmarks_says_so() -> None:
    scores = [{"benchmark": name, "score": 0.5, "reference": 1.0, "n": 1} for name in ("a", "b")]
    full = record("full", [stage("eval", 1.0)], teacher="t", scores=scores)
    part = record("part", [stage("eval", 1.0)], teacher="t", scores=scores[:1])
    lines = footnotes(report_of({"full": full, "part": part}))
    assert "part: Q is over a alone, without b; compare it only with a Q over the same" in lines


def test_a_cell_of_one_run_among_repeats_says_so() -> None:
    assert "one run only, so no spread: kd s, kd s" in footnotes(report_of(seeds()))


def test_a_run_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UnknownName, match="no run 'gone' here; known: kd-1, kd-2, sft-1"):
        make_report(["gone"], demo())
    with pytest.raises(UnknownName, match="no run 'other'"):
        make_report(["kd-1"], demo(), compared_runs=("kd-1", "other"))


def test_records_may_come_parsed() -> None:
    parsed = {name: RunRecord.from_json(one) for name, one in demo().items()}
    assert make_report(["kd-1"], parsed).accounts[0].total.joules == 900.0
