"""Hand-made runs on two nodes, for holding rules and module against each other: by name, what each is there for."""

from __future__ import annotations

from collections.abc import Mapping

from joulemark.imports import ImportedRun, ImportedStage
from joulemark.imports.paper import paper_runs
from joulemark.ledger.snapshot import Artifact, Score

Stages = Mapping[str, float]


def stage(name: str, joules: float, *, device: str = "gpu0", **tokens: int) -> ImportedStage:
    phase = "serving" if name == "eval" and tokens.get("generated") else ""
    return ImportedStage(name, {device: joules}, phase, seconds=joules / 250, tokens=tokens)


def run(
    name: str,
    *stages: ImportedStage,
    made: tuple[str, ...] = (),
    used: tuple[str, ...] = (),
    scores: tuple[Score, ...] = (),
    labels: Mapping[str, str] | None = None,
    **facts: object,
) -> ImportedRun:
    artifacts = tuple(Artifact(a, "logit_cache", "produced") for a in made)
    artifacts += tuple(Artifact(a, "logit_cache", "consumed") for a in used)
    given = {"idle_watts": {"gpu0": 60.0}, **facts}
    return ImportedRun(name, "measured", "hand", stages, given, labels or {}, scores, artifacts)


def kd(name: str, joules: float, **more: object) -> ImportedRun:
    """A distilled run with what most of them have in common."""
    facts: dict[str, object] = {"pipeline": "kd", "student": "S", "teacher": "T", "dataset": "D", **more}
    stages = facts.pop("stages", ())
    assert isinstance(stages, tuple)
    student = stage("student", joules, trained=1000)
    return run(name, student, *stages, **facts)  # type: ignore[arg-type]


# Three seeds of the baseline that is found, each with its scores.
BASELINES = [
    run(
        f"sft-{seed}", stage("student", 1000.0 + 100 * seed, trained=1000), stage("eval", 50.0, evaluated=10),
        pipeline="sft", student="S", dataset="D", seed=seed, scores=(Score("gsm8k", 0.5 + seed / 10, 0.8, 100),),
    )
    for seed in (1, 2, 3)
]  # fmt: skip

NODE_A = [
    *paper_runs(),
    *BASELINES,
    # Reuse by 1, 2 and 11; the maker of the last is one of its users, on two nodes.
    kd("alone", 900.0, stages=(stage("teacher", 700.0, cached=5000),), made=("x1",), used=("x1",)),
    kd("first", 900.0, stages=(stage("teacher", 700.0),), made=("x2",), used=("x2",), seed=1, baseline="sft-1"),
    kd("second", 950.0, used=("x2",), seed=2, baseline="sft-2"),
    kd("sweep-0", 900.0, stages=(stage("teacher", 800.0),), made=("x11", "x12"), used=("x11",), labels={"alpha": "0"}),
    *(kd(f"sweep-{i}", 900.0 - i, used=("x11",), labels={"alpha": str(i)}) for i in range(1, 11)),
    # What is absent, and why.
    kd("no-baseline", 900.0, student="another", stages=(stage("teacher", 5.0),)),
    kd("unknown-baseline", 900.0, baseline="never-heard-of", stages=(stage("teacher", 5.0),)),
    kd("own-baseline", 900.0, baseline="own-baseline", stages=(stage("teacher", 5.0),)),
    kd("dear-student", 5000.0, stages=(stage("teacher", 5.0),)),
    kd("unknown-artifact", 900.0, used=("bought",)),
    kd("baseline-of-unknown-cost", 900.0, baseline="unknown-artifact", stages=(stage("teacher", 5.0),)),
    run("no-student", stage("teacher", 500.0), pipeline="kd", student="S", teacher="T", dataset="D"),
    run("no-tokens", stage("student", 500.0, trained=0), pipeline="kd", student="S", dataset="D"),
    run("nothing-said", stage("student", 1.0)),
    # Quality: a benchmark without a reference of its own, one without any, one that the teacher scores 0 on.
    kd("scored", 900.0, scores=(Score("gsm8k", 0.4, 0.8, 9), Score("mmlu", 6.0, 8.0, 9))),
    kd("borrows", 900.0, scores=(Score("gsm8k", 0.6, None, 9), Score("ifeval", 0.5, None, 9))),
    kd("zero", 900.0, scores=(Score("hard", 0.5, 0.0, 9),), teacher="U"),
    # Served tokens: a declared run, a declared model, the teacher as runs of that student served it.
    run("teacher-1", stage("eval", 600.0, generated=100), pipeline="reference", student="T"),
    run("teacher-2", stage("eval", 300.0, generated=200), pipeline="reference", student="T"),
    kd("serves", 900.0, stages=(stage("teacher", 700.0), stage("eval", 100.0, generated=100))),
    kd(
        "serves-by-run",
        900.0,
        stages=(stage("teacher", 700.0), stage("eval", 10.0, generated=10)),
        reference="teacher-1",
    ),
    kd("serves-dearly", 900.0, stages=(stage("teacher", 700.0), stage("eval", 900.0, generated=100))),
    kd("serves-for-less", 10.0, stages=(stage("eval", 1.0, generated=100),)),
    kd("serves-nobody", 900.0, stages=(stage("teacher", 700.0),), reference="nobody"),
    kd("on-two-nodes", 400.0, stages=(stage("teacher", 300.0),), made=("x3",)),
    run("no-idle", stage("student", 500.0, device="gpu7"), pipeline="kd", student="S"),
]

NODE_B = [
    kd("on-two-nodes", 500.0, stages=(stage("teacher", 300.0),), made=("x3",)),
    kd("elsewhere", 850.0, used=("x3", "x12"), scores=(Score("gsm8k", 0.7, 0.8, 9),)),
]
