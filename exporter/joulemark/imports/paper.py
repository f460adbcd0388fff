"""The published tables of arXiv 2605.13981 (Lambert and Luccioni) as runs: means over its three data sets.

Only what is printed is here. A cell whose total alone is printed has one stage, `end_to_end`; one that is printed by
stage alone has no quality and no tokens. Trained tokens are not printed but follow from the table: E / (J/token) is
30.0 million in every row. Quality is printed as Q, so each run has one score, `paper_mean_q`, against a reference of 1.
"""

from __future__ import annotations

from typing import NamedTuple

from ..accounting import JOULES_PER_KWH
from ..ledger.snapshot import Artifact, Score
from .imported_run import END_TO_END, ImportedRun, ImportedStage

DEVICE = "published"
TRAINED_TOKENS = 30_000_000
BENCHMARK = "paper_mean_q"
TEACHER = "OLMo-2-32B-SFT"
DATASET = "mean of TULU-3, OpenR1-Math-220k and codeforces-cots"

# Phase of the teacher stage, and the one output that the runs of a pipeline share.
_TEACHER_OUTPUT = {
    "kd": ("logit_caching", "paper-logits", "logit_cache"),
    "synthetic_sft": ("generation", "paper-generations", "generations"),
}


class Cell(NamedTuple):
    """A cell of the paper's grid; energies in kWh as printed, None where they are not."""

    pipeline: str
    student: str
    total: float | None = None
    quality: float | None = None
    data: float | None = None
    teacher: float | None = None
    training: float | None = None
    evaluation: float | None = None

    @property
    def run(self) -> str:
        """The name of its run."""
        return f"paper-{self.pipeline.replace('_', '-')}-{self.student.lower()}"


CELLS = (
    Cell("sft", "1B", 7.00, 0.69, 0.37, None, 6.30, 0.33),
    Cell("sft", "7B", 19.50, 0.90),
    Cell("sft", "13B", 34.60, 0.99, 0.37, None, 33.15, 1.08),
    Cell("kd", "1B", 16.90, 0.70, 0.37, 11.00, 5.20, 0.33),
    Cell("kd", "13B", 42.50, 0.82, 0.37, 11.00, 30.05, 1.08),
    Cell("synthetic_sft", "1B", None, None, 0.37, 10.60, 5.35, 0.33),
    Cell("synthetic_sft", "13B", 40.70, 0.85, 0.37, 10.60, 28.65, 1.08),
)


def paper_runs() -> list[ImportedRun]:
    """Every printed cell as a run of origin `published`."""
    return [_run(cell) for cell in CELLS]


def _run(cell: Cell) -> ImportedRun:
    facts = {"pipeline": cell.pipeline, "student": f"OLMo-2-{cell.student}", "dataset": DATASET}
    artifacts: tuple[Artifact, ...] = ()
    if cell.pipeline in _TEACHER_OUTPUT:
        facts["teacher"] = TEACHER
        _, output, kind = _TEACHER_OUTPUT[cell.pipeline]
        # Each printed cell holds the teacher's energy in full, as if it had made the output itself, and uses it.
        artifacts = (Artifact(output, kind, "consumed"), Artifact(output, kind, "produced"))
    labels = {"source": "arXiv 2605.13981"}
    if cell.total is not None:
        labels["tokens"] = "derived: printed energy over printed joules per token"
    return ImportedRun(
        name=cell.run,
        origin="published",
        importer="paper",
        stages=tuple(_stages(cell)),
        facts=facts,
        labels=labels,
        scores=() if cell.quality is None else (Score(BENCHMARK, cell.quality, 1.0, None),),
        artifacts=artifacts,
    )


def _stages(cell: Cell) -> list[ImportedStage]:
    tokens = {} if cell.total is None else {"trained": TRAINED_TOKENS}
    if cell.training is None:
        assert cell.total is not None
        return [_stage(END_TO_END, cell.total, tokens=tokens)]
    phase = _TEACHER_OUTPUT[cell.pipeline][0] if cell.pipeline in _TEACHER_OUTPUT else ""
    printed = (("data", cell.data, ""), ("teacher", cell.teacher, phase), ("student", cell.training, ""))
    stages = [_stage(stage, kwh, phase, tokens if stage == "student" else {}) for stage, kwh, phase in printed if kwh]
    return [*stages, _stage("eval", cell.evaluation)] if cell.evaluation else stages


def _stage(stage: str, kwh: float, phase: str = "", tokens: dict[str, int] | None = None) -> ImportedStage:
    return ImportedStage(stage, {DEVICE: kwh * JOULES_PER_KWH}, phase, tokens=tokens or {})
