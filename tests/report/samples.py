"""Records for tests, among them the paper's published runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joulemark.accounting import JOULES_PER_KWH
from joulemark.carbon import Intensity
from joulemark.factors import Factors
from joulemark.prometheus_runs import StageKey
from joulemark.report import DeviceFacts, PowerCurve, Report, make_report

TOKENS = 30_000_000
# Quality as printed, and kWh by stage, of some of the paper's runs.
PUBLISHED_QUALITY = {"sft-1b": 0.69, "sft-13b": 0.99, "kd-1b": 0.70, "kd-13b": 0.82}
PUBLISHED_STAGES = {
    "sft-1b": {"data": 0.37, "student": 6.30, "eval": 0.33},
    "sft-13b": {"data": 0.37, "student": 33.15, "eval": 1.08},
    "kd-1b": {"data": 0.37, "teacher": 11.00, "student": 5.20, "eval": 0.33},
    "kd-13b": {"data": 0.37, "teacher": 11.00, "student": 30.05, "eval": 1.08},
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
        "seconds": sum(float(one["seconds"] or 0.0) for one in stages),
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
    score = {"benchmark": "mean", "score": PUBLISHED_QUALITY[run], "reference": 1.0, "n": None, "stderr": None}
    pipeline, student = run.split("-")
    return record(run, stages, origin="published", scores=[score], pipeline=pipeline, student=student)


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


def seeds() -> dict[str, dict[str, Any]]:
    """Two baselines and three distilled runs that differ in seed alone, and a sweep of one label; all with scores."""
    runs = []
    for seed, joules in enumerate((690.0, 710.0)):
        runs.append(record(f"sft-{seed}", [stage("student", joules)], pipeline="sft", student="s", seed=seed))
    for seed, joules in enumerate((590.0, 600.0, 610.0)):
        stages = [stage("teacher", 300.0), stage("student", joules, tokens={"trained": 1000})]
        runs.append(record(f"kd-{seed}", stages, pipeline="kd", student="s", teacher="t", seed=seed))
    for temperature in ("2", "4"):
        hot = record(f"kd-t{temperature}", [stage("student", 500.0)], pipeline="kd", student="s", teacher="t")
        runs.append({**hot, "labels": {"temperature": temperature}})
    for number, run in enumerate(runs):
        run["scores"] = [{"benchmark": "gsm8k", "score": 0.40 + 0.02 * number, "reference": 0.8, "n": 100}]
    return {run["run"]: run for run in runs}


def apart(run: str, **fields: Any) -> dict[str, Any]:
    """A run of one stage of 30 s whose gauge integrates to 10 % more than its counter."""
    known = {"joules_by_device": {"gpu0": 12_000.0}, "power_integral_joules_by_device": {"gpu0": 13_200.0}}
    steady = {"seconds": 30.0, "peak_watts": 440.0, "power_integral_joules": 13_200.0}
    return record(run, [stage("teacher", 12_000.0, **{**known, **steady, **fields})], pipeline="kd", student="s")


def report_of(
    records: Mapping[str, Mapping[str, Any]], prometheus: Mapping[StageKey, float] | None = None, **fields: Any
) -> Report:
    """A report on all these records."""
    return make_report(list(records), records, prometheus=prometheus, **fields)


def curve(run: str) -> PowerCurve:
    """Power of a run: ten bins of its teacher, a pause, ten of its student."""
    times = tuple(1_750_000_000.0 + 5 * n for n in range(21))
    return PowerCurve(
        run, 5.0, times, {"teacher": (300.0,) * 10 + (None,) * 11, "student": (None,) * 11 + (180.0,) * 10}
    )


FACTORS = Factors(pue=1.2, grid=Intensity("FR", 56.0, "a table, 2024"), price_per_kwh=0.21, currency="EUR")
DEVICES = (DeviceFacts("cpu0", "rapl", "A processor"), DeviceFacts("gpu7", "nvml_counter", "not used here"))


def everything() -> Report:
    """A report with every part that one can have."""
    records = seeds()
    return report_of(
        records, {("kd-0", "student", ""): 580.0}, devices=DEVICES, factors=FACTORS, curves=[curve("kd-0")],
        compared_runs=("sft-0", "kd-0"), read_from="read from its ledger",
    )  # fmt: skip
