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
    assert "kd-2: 600.0 ± 0.2 J; 900.0 ± 0.5 J with the teacher output that it took from other runs" in "\n".join(lines)
    (line,) = [line for line in lines if line.startswith("logit_cache")]
    assert line == "logit_cache sha256:0123456789ab: made by kd-1 for 300.0 ± 0.2 J; used by 2 runs (kd-1, kd-2)"
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


def both(joules: dict[str, float], integral: dict[str, float], **fields: Any) -> dict[str, Any]:
    """A stage on devices that have both estimators, and on cpu0, which has one and is not held against any power.

    Power is steady where no peak is given.
    """
    name, total = fields.pop("name", "teacher"), 900.0 + sum(joules.values())
    fields["power_integral_joules"] = sum(integral.values())
    fields.setdefault("peak_watts", (900.0 + sum(integral.values())) / fields["seconds"])
    by_device = {**joules, "cpu0": 900.0}
    return stage(name, total, joules_by_device=by_device, power_integral_joules_by_device=integral, **fields)


def disagreements(*stages: dict[str, Any]) -> list[str]:
    """What a report says of estimators that disagree."""
    return [line for line in footnotes(report_of({"kd": record("kd", list(stages))})) if "disagree" in line]


@pytest.mark.parametrize(("integral", "told"), [(104.9, False), (105.1, True), (94.0, True)])
def test_estimators_that_disagree_are_told_of_by_stage_and_as_a_whole(integral: float, told: bool) -> None:
    one = both({"gpu0": 100.0}, {"gpu0": integral}, seconds=1e6)
    lines = disagreements(one)
    assert [("in teacher" in line, "as a whole" in line) for line in lines] == [(True, False), (False, True)] * told
    report = report_of({"kd": record("kd", [one])})
    assert report.accounts[0].rows[0].disagreement_ratio == pytest.approx(abs(integral / 100 - 1))


def test_a_device_that_disagrees_is_not_hidden_among_those_that_agree() -> None:
    joules = {f"gpu{index}": 30_000.0 for index in range(8)}
    teacher, _ = disagreements(both(joules, {**joules, "gpu3": 34_500.0}, seconds=100.0))
    assert "disagree by 15.0 % in teacher on gpu3 (more than 5 % and what sampling explains)" in teacher


def test_under_steady_power_half_a_minute_tells() -> None:
    steady = both({"gpu0": 12_000.0}, {"gpu0": 13_200.0}, seconds=30.0)
    assert "disagree by 10.0 % in teacher on gpu0" in disagreements(steady)[0]


def test_what_sampling_has_apart_is_no_disagreement() -> None:
    # A wave between 150 and 650 W, read every 100 ms.
    assert not disagreements(both({"gpu0": 2659.0}, {"gpu0": 2817.0}, seconds=6.6, peak_watts=790.0))
    # Fifty stages of 0.35 s each at 120 and 650 W in turn, which an average over a second cannot tell apart.
    short = {"seconds": 17.5, "windows": 50}
    low = both({"gpu0": 2100.0}, {"gpu0": 5500.0}, **short)
    assert not disagreements(low, both({"gpu0": 11_400.0}, {"gpu0": 8000.0}, name="student", **short))


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
