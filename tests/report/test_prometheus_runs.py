"""Records of runs from a real Prometheus alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_process import backfilled, sample

from joulemark.accounting import figures_of
from joulemark.carbon import Intensity
from joulemark.cell import cell_of
from joulemark.factors import Factors
from joulemark.prometheus_runs import Scraped, stage_joules
from joulemark.run_record import RunRecord

pytestmark = pytest.mark.prometheus

LONG_AGO = 20 * 24 * 3600.0
A = {"job": "joulemark", "instance": "a:9871"}
AGAIN = {"job": "again", "instance": "a:9871"}
MOVED = {"job": "joulemark", "instance": "a:9999"}
B = {"job": "joulemark", "instance": "b:9871"}
KD = {"run": "kd"}
STUDENT = {"run": "kd", "stage": "student", "phase": "kd"}
TEACHER = {"run": "kd", "stage": "teacher", "phase": ""}
SFT = {"run": "sft", "stage": "student", "phase": ""}
FACTS = {"pipeline": "kd", "student": "s", "teacher": "t", "dataset": "d", "origin": "measured"}
BARE = {"pipeline": "", "student": "", "teacher": "", "dataset": "", "origin": "measured"}
NOBODY = {"run": "", "stage": "unattributed", "phase": ""}

# Two nodes, one of them scraped by two jobs and then moved to another port; a run that is long gone, a baseline.
# Metric without prefix, target, labels, value, seconds ago.
SCRAPED: list[tuple[str, dict[str, str], dict[str, str], float, float]] = [
    ("ledger_info", A, {"ledger": "L1"}, 1, 0),
    ("ledger_info", AGAIN, {"ledger": "L1"}, 1, 0),
    ("ledger_info", MOVED, {"ledger": "L1"}, 1, 0),
    ("ledger_info", B, {"ledger": "L2"}, 1, 0),
    ("energy_joules_total", A, {"device": "gpu0", **STUDENT}, 40, 600),
    ("energy_joules_total", A, {"device": "gpu0", **STUDENT}, 90, 60),
    ("energy_joules_total", AGAIN, {"device": "gpu0", **STUDENT}, 90, 59),
    ("energy_joules_total", MOVED, {"device": "gpu0", **STUDENT}, 100, 0),
    ("energy_joules_total", B, {"device": "gpu0", **STUDENT}, 50, 0),
    ("energy_joules_total", B, {"device": "gpu0", **TEACHER}, 30, 0),
    ("energy_joules_total", B, {"device": "gpu0", **NOBODY}, 999, 0),
    ("energy_joules_total", A, {"device": "gpu0", **SFT}, 200, LONG_AGO),
    ("power_integral_joules_total", MOVED, {"device": "gpu0", **STUDENT}, 98, 0),
    ("stage_seconds_total", MOVED, STUDENT, 10, 0),
    ("stage_seconds_total", B, STUDENT, 12, 0),
    ("energy_uncertainty_joules", MOVED, STUDENT, 0.5, 0),
    ("stage_tokens_total", MOVED, {**STUDENT, "kind": "trained"}, 1000, 0),
    ("stage_tokens_total", B, {**STUDENT, "kind": "trained"}, 500, 0),
    ("run_info", MOVED, {**KD, **FACTS}, 1, 0),
    ("run_info", B, {**KD, **BARE}, 1, 0),
    ("run_info", A, {"run": "sft", **FACTS, "pipeline": "sft", "teacher": ""}, 1, LONG_AGO),
    ("run_score", MOVED, {**KD, "benchmark": "gsm8k"}, 0.4, 0),
    ("run_reference_score", MOVED, {**KD, "benchmark": "gsm8k"}, 0.8, 0),
    ("run_artifact", B, {**KD, "artifact": "x", "kind": "logit_cache", "role": "produced"}, 1, 0),
    ("run_idle_power_watts", MOVED, {**KD, "device": "gpu0"}, 2, 0),
    ("run_baseline_info", MOVED, {**KD, "baseline": "sft"}, 1, 0),
    ("run_cell_info", MOVED, {**KD, "cell": "c1", "seed": "7"}, 1, 0),
]


def page() -> str:
    """All of it as OpenMetrics with times."""
    now = time.time() - 5
    return "\n".join(
        sample(f"joulemark_{name}", {**target, **labels}, value, now - ago)
        for name, target, labels, value, ago in SCRAPED
    )


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunRecord]]:
    with backfilled(tmp_path_factory.mktemp("prometheus"), page()) as url:
        yield Scraped(url).records()


def test_a_node_counts_once_however_often_it_is_scraped_and_nodes_add_up(records: dict[str, RunRecord]) -> None:
    assert stage_joules(records.values()) == {
        ("kd", "student", "kd"): 150.0,
        ("kd", "teacher", ""): 30.0,
        ("sft", "student", ""): 200.0,
    }
    assert records["kd"].joules == 180.0
    assert {device for stage in records["kd"].stages for device in stage.joules_by_device} == {
        "node0/gpu0",
        "node1/gpu0",
    }


def test_facts_scores_artifacts_and_rest_come_along(records: dict[str, RunRecord]) -> None:
    kd = records["kd"]
    assert (kd.pipeline, kd.student, kd.teacher, kd.dataset, kd.origin) == ("kd", "s", "t", "d", "measured")
    assert (kd.seed, kd.labels, kd.baseline) == (7, {"cell": "c1"}, "sft")
    assert [(s.benchmark, s.score, s.reference) for s in kd.scores] == [("gsm8k", 0.4, 0.8)]
    assert [(a.artifact, a.role) for a in kd.artifacts] == [("x", "produced")]
    assert kd.idle_watts == {"node0/gpu0": 2.0}
    assert [stage.stage for stage in kd.stages if stage.node == "node1"] == ["teacher", "student"]


def test_figures_follow_and_a_run_of_weeks_ago_is_its_baseline(records: dict[str, RunRecord]) -> None:
    kd = figures_of(records)["kd"]
    assert kd.joules_per_token == 180.0 / 1500
    assert kd.quality.value == 0.5
    assert kd.throughput == 1500 / 12
    assert kd.reuses.value == 30.0 / (200.0 - 150.0)
    assert records["sft"].seconds is None, "absent, not 0"


def test_only_the_named_runs_are_asked_for(tmp_path: Path) -> None:
    with backfilled(tmp_path / "prometheus", page()) as url:
        assert set(Scraped(url, ["sft"]).records()) == {"sft"}
        assert Scraped(url, []).records() == {}
        assert set(Scraped(url, lookback="1d").records()) == {"kd"}


def test_labels_and_factors_come_back_as_they_were_configured(tmp_path: Path) -> None:
    now = time.time() - 5
    cell = cell_of({**FACTS, "labels": {"T": "2", "alpha": "0.5"}})
    assert cell
    lines = [
        sample("joulemark_energy_joules_total", {**A, "device": "gpu0", **STUDENT}, 1, now),
        sample("joulemark_run_info", {**A, **KD, **FACTS}, 1, now),
        sample("joulemark_run_cell_info", {**A, **KD, "cell": cell, "seed": "-3"}, 1, now),
        *(sample("joulemark_pue_ratio", target, 1.2, now) for target in (A, B)),
        sample("joulemark_carbon_intensity_grams_per_kwh", {**A, "zone": "FR", "source": "x"}, 56, now),
        sample("joulemark_electricity_price_per_kwh", {**A, "currency": "EUR"}, 0.2, now),
        sample("joulemark_electricity_price_per_kwh", {**B, "currency": "EUR"}, 0.3, now),
    ]
    with backfilled(tmp_path / "prometheus", "\n".join(lines)) as url:
        scraped = Scraped(url)
    assert (scraped.records()["kd"].labels, scraped.records()["kd"].seed) == ({"T": "2", "alpha": "0.5"}, -3)
    assert scraped.factors() == Factors(1.2, Intensity("FR", 56.0, "x")), "two prices are none"
