"""From records to rows: totals, inheritance, and what Prometheus has not seen."""

from __future__ import annotations

import pytest
from report.samples import accounts, demo, record, stage

from joulemark.report import Inherited
from joulemark.report.notes import footnotes

SEEN = {("kd-1", "teacher", "logit_caching"): 297.0, ("kd-1", "student", "kd"): 600.0}


def test_a_run_that_reuses_an_artifact_says_what_it_cost_whom() -> None:
    baseline, maker, user = accounts(demo())
    assert baseline.inherited == maker.inherited == ()
    assert user.inherited == (Inherited("sha256:0123456789abcdef", "logit_cache", "kd-1", 300.0),)
    assert user.teacher_share == 0
    assert "0.0 % of its energy is teacher-side (teacher output of another run" in footnotes([user])[0]
    assert maker.teacher_share == pytest.approx(300 / 900)
    (line,) = [line for line in footnotes([user]) if "reuses" in line]
    assert "run kd-1 made" in line
    assert "300.0 J" in line


def test_an_artifact_of_unknown_making_is_not_free() -> None:
    alone = accounts({"kd-2": demo()["kd-2"]})
    assert alone[0].inherited == (Inherited("sha256:0123456789abcdef", "logit_cache", None, None),)
    assert any("no known run made" in line for line in footnotes(alone))


def test_the_baseline_is_compared_only_where_it_is_known() -> None:
    found = accounts(demo())
    assert [account.baseline_ratio for account in found] == [None, 900 / 720, 600 / 720]
    assert accounts({"kd-1": demo()["kd-1"]})[0].baseline_ratio is None


def test_what_prometheus_has_not_seen_is_absent_not_zero() -> None:
    baseline, maker, user = accounts(demo(), SEEN)
    assert [row.agreement_percent for row in maker.rows] == [pytest.approx(99.0), 100.0]
    assert maker.total.prometheus_joules == pytest.approx(897.0)
    assert user.rows[0].prometheus_joules is user.total.prometheus_joules is None
    assert any("Prometheus has no sample of this run" in line for line in footnotes([baseline]))


def test_part_of_a_run_does_not_pass_for_the_whole() -> None:
    (account,) = accounts({"kd-1": demo()["kd-1"]}, {("kd-1", "student", "kd"): 600.0})
    assert account.total.prometheus_joules is None
    assert any("no sample of teacher/logit_caching" in line for line in footnotes([account]))


def test_prometheus_is_not_mentioned_where_it_was_not_asked() -> None:
    assert not any("Prometheus" in line for line in footnotes(accounts(demo())))


def test_a_run_without_energy_has_no_shares() -> None:
    (account,) = accounts({"new": record("new", [stage("prerun", 0.0)])})
    assert account.rows[0].share is account.teacher_share is account.total.joules_per_token is None
    (empty,) = accounts({"new": record("new", [])})
    assert empty.total.joules == 0
    assert empty.total.prometheus_joules is None
