"""The runs of a demo as a ledger: three pipelines, two seeds each, of modelled energy, with exactly known figures."""

from __future__ import annotations

from joulemark.imports import ImportedRun, ImportedStage
from joulemark.ledger.snapshot import Artifact, Score

TEACHER = "SmolLM2-135M-Instruct"
FACTS = {"student": "SmolLM2-4-layers", "teacher": TEACHER, "dataset": "arithmetic", "idle_watts": {"cpu9": 6.0}}
# Joules of prerun, data, teacher, student, quality evaluation and serving; Q; trained tokens.
Figures = tuple[float, float, float, float, float, float, float, int]
RUNS: dict[str, Figures] = {
    "demo-sft-1": (60.0, 30.0, 0.0, 1500.0, 200.0, 40.0, 0.62, 80_000),
    "demo-sft-2": (60.0, 30.0, 0.0, 1540.0, 200.0, 42.0, 0.64, 80_000),
    "demo-kd-1": (60.0, 30.0, 900.0, 1200.0, 200.0, 40.0, 0.71, 80_000),
    "demo-kd-2": (60.0, 30.0, 0.0, 1220.0, 200.0, 41.0, 0.70, 80_000),
    "demo-synthetic-1": (60.0, 30.0, 1300.0, 1700.0, 200.0, 40.0, 0.55, 80_000),
    "demo-synthetic-2": (60.0, 30.0, 1310.0, 1690.0, 200.0, 41.0, 0.57, 80_000),
}
SERVED_TOKENS = 1000
_PHASES = {"kd": "logit_caching", "synthetic_sft": "generation"}


def demo_runs() -> list[ImportedRun]:
    """Every run of the demo, and the run that served its teacher."""
    return [*(_run(name, figures) for name, figures in RUNS.items()), _reference()]


def total_joules(name: str) -> float:
    """All that a run burnt."""
    return sum(RUNS[name][:6])


def _run(name: str, figures: Figures) -> ImportedRun:
    *_, quality, tokens = figures
    pipeline = {"sft": "sft", "kd": "kd", "synthetic": "synthetic_sft"}[name.split("-")[1]]
    facts: dict[str, object] = {**FACTS, "pipeline": pipeline, "seed": int(name[-1])}
    if pipeline == "sft":
        del facts["teacher"]
    return ImportedRun(
        name, "modelled", "demo", _stages(figures, pipeline, tokens), facts,
        scores=(Score("arithmetic", quality, 1.0, 200),), artifacts=_artifacts(name, pipeline),
    )  # fmt: skip


def _stages(figures: Figures, pipeline: str, tokens: int) -> tuple[ImportedStage, ...]:
    prerun, data, teacher, student, quality, serving = figures[:6]
    teaching = [_stage("teacher", teacher, _PHASES[pipeline], cached=40_000)] if teacher else []
    return (
        _stage("prerun", prerun),
        _stage("data", data),
        *teaching,
        _stage("student", student, pipeline, trained=tokens),
        _stage("eval", quality, "arithmetic", evaluated=4_000),
        _stage("eval", serving, "serving", generated=SERVED_TOKENS),
    )


def _stage(name: str, joules: float, phase: str = "", **tokens: int) -> ImportedStage:
    return ImportedStage(name, {"cpu9": joules}, phase, seconds=joules / 25, tokens=tokens)


def _artifacts(name: str, pipeline: str) -> tuple[Artifact, ...]:
    """Both seeds of kd train on the logits that the first one cached; each synthetic run wrote its own text."""
    if pipeline == "sft":
        return ()
    artifact = "demo-logits" if pipeline == "kd" else f"demo-text-{name[-1]}"
    kind = "logit_cache" if pipeline == "kd" else "generations"
    used = Artifact(artifact, kind, "consumed")
    return (used,) if name == "demo-kd-2" else (Artifact(artifact, kind, "produced"), used)


def _reference() -> ImportedRun:
    stages = (_stage("eval", 90.0, "serving", generated=SERVED_TOKENS),)
    return ImportedRun("demo-teacher", "modelled", "demo", stages, {"pipeline": "reference", "student": TEACHER})
