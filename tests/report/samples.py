"""Records for tests, among them the paper's published runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joulemark.accounting import JOULES_PER_KWH
from joulemark.prometheus_runs import StageKey
from joulemark.report import Account, accounts_of

TOKENS = 30_000_000
# pipeline, student -> joules per token and quality, as printed; and kWh by stage.
PUBLISHED_TOTALS = {
    "sft-1b": (7.00, 0.84, 0.69),
    "sft-7b": (19.50, 2.34, 0.90),
    "sft-13b": (34.60, 4.15, 0.99),
    "kd-1b": (16.90, 2.03, 0.70),
    "kd-13b": (42.50, 5.10, 0.82),
    "synthetic-13b": (40.70, 4.88, 0.85),
}
PUBLISHED_STAGES = {
    "sft-1b": {"data": 0.37, "student": 6.30, "eval": 0.33},
    "sft-13b": {"data": 0.37, "student": 33.15, "eval": 1.08},
    "kd-1b": {"data": 0.37, "teacher": 11.00, "student": 5.20, "eval": 0.33},
    "kd-13b": {"data": 0.37, "teacher": 11.00, "student": 30.05, "eval": 1.08},
    "synthetic-13b": {"data": 0.37, "teacher": 10.60, "student": 28.65, "eval": 1.08},
}
HOSTILE = "<script>alert(1)</script>|[bold]$x$&amp;\"'"


def stage(name: str, joules: float, **fields: Any) -> dict[str, Any]:
    """One element of `stages`, as the exporter gives it."""
    return {
        "stage": name,
        "phase": "",
        "seconds": 40.0,
        "joules": joules,
        "uncertainty_joules": 0.25,
        "joules_by_device": {"cpu0": joules},
        "power_integral_joules": None,
        "tokens": {},
        "joules_per_token": None,
        "mean_watts": joules / 40.0,
        "peak_watts": joules / 20.0,
        "windows": 1,
        "power_integral_joules_by_device": {},
        "node": "",
    } | fields


def record(run: str, stages: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """What `GET /api/v1/runs/{run}` answers."""
    return {
        "run": run,
        "pipeline": None,
        "student": None,
        "teacher": None,
        "dataset": None,
        "seed": None,
        "baseline": None,
        "reference": None,
        "idle_watts": None,
        "labels": {},
        "origin": "measured",
        "created_at": 1_750_000_000.0,
        "last_active_at": 1_750_000_100.0,
        "joules": sum(float(one["joules"]) for one in stages),
        "uncertainty_joules": sum(float(one["uncertainty_joules"]) for one in stages),
        "seconds": sum(float(one["seconds"]) for one in stages),
        "stages": stages,
        "scores": [],
        "artifacts": [],
    } | fields


def published(run: str) -> dict[str, Any]:
    """A run of the paper's table by stage, with its quality as one score against the teacher's 1."""
    stages = [
        stage(name, kwh * JOULES_PER_KWH, tokens={"trained": TOKENS} if name == "student" else {})
        for name, kwh in PUBLISHED_STAGES[run].items()
    ]
    score = {"benchmark": "mean", "score": PUBLISHED_TOTALS[run][2], "reference": 1.0, "n": None}
    return record(run, stages, origin="published", scores=[score])


def demo() -> dict[str, dict[str, Any]]:
    """A baseline, a run that made a logit cache, and one that reused it."""
    cache = {"artifact": "sha256:0123456789abcdef", "kind": "logit_cache"}
    made, used = {**cache, "role": "produced"}, {**cache, "role": "consumed"}
    student = stage("student", 600.0, phase="kd", tokens={"trained": 30_000})
    teacher = stage("teacher", 300.0, phase="logit_caching", tokens={"cached": 24_576}, joules_per_token=300 / 24_576)
    runs = [
        record("sft-1", [stage("data", 20.0), stage("student", 700.0)], pipeline="sft"),
        record("kd-1", [teacher, student], pipeline="kd", baseline="sft-1", artifacts=[made, used]),
        record("kd-2", [student], pipeline="kd", baseline="sft-1", artifacts=[used], idle_watts={"cpu0": 3.2}),
    ]
    return {run["run"]: run for run in runs}


def accounts(
    records: Mapping[str, Mapping[str, Any]], prometheus: Mapping[StageKey, float] | None = None
) -> list[Account]:
    """Accounts of all these records."""
    return accounts_of(list(records), records, prometheus)
