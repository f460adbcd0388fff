"""What runs are held against, measured once on a bill of its own: the teacher, and the untrained student."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import joulemark

from ..config import Cell
from ..evaluation.shipped import task_identity
from ..evaluation.tasks import Score
from ..ledger_view import LedgerView
from ..models.load import load_teacher
from ..terminal import console
from .context import Context
from .measure import HELDOUT_SCORE, measure, serve
from .untrained import untrained_student

Kind = Literal["reference", "untrained"]
REFERENCE: Kind = "reference"
UNTRAINED: Kind = "untrained"


class Reference(NamedTuple):
    """A model's scores, its held-out loss, and the run on whose bill they are."""

    run: str
    scores: dict[str, Score]
    heldout_loss: float


def teacher_scores(context: Context) -> Reference:
    """The teacher's own scores, and what serving it costs."""
    experiment = context.experiment

    def make() -> Any:
        console.print("the teacher's own scores, once, as the reference of quality")
        return load_teacher(context.teacher, experiment.teacher.dtype)

    return _once(context, REFERENCE, {"student": experiment.teacher.model}, make, None)


def untrained_scores(context: Context, teacher: Reference) -> Reference:
    """The scores of the student before any training: what every training starts from."""

    def make() -> Any:
        console.print("the untrained student's scores, once, as what training starts from")
        return untrained_student(context).float().eval()

    return _once(context, UNTRAINED, {"student": student_name(context.cell)}, make, teacher)


def is_measured(context: Context, kind: Kind) -> bool:
    """Whether a reference is there and will be used; not known before the data is."""
    return context.record.has("data") and _is_kept(context, _name(context, kind))


def student_name(cell: Cell) -> str:
    """What the run's student is called."""
    student = cell.experiment.student
    return student.model or f"{cell.experiment.teacher.model} cut to {student.layers} layers"


def facts_of(cell: Cell) -> dict[str, Any]:
    """What a run of this cell declares beside its student and pipeline."""
    return {"teacher": cell.experiment.teacher.model, "dataset": cell.experiment.data.source}


def reference_runs(experiment: str, work_dir: Path) -> list[str]:
    """The runs that references of this experiment are billed to, as far as there are any."""
    return [path.stem for path in sorted((work_dir / "references").glob(f"*-{experiment}-*.json"))]


def _facts(context: Context, kind: Kind) -> list[Any]:
    """What decides a model's scores."""
    found, experiment = context.record.facts("data"), context.experiment
    wanted = experiment.evaluation
    tasks = [HELDOUT_SCORE, *map(task_identity, wanted.tasks)]
    own = wanted.serving and wanted.serving.model_dump() if kind == REFERENCE else experiment.student.model_dump()
    return [found["teacher"], found["heldout"], tasks, wanted.limit, experiment.training.precision, own]


def _name(context: Context, kind: Kind) -> str:
    """The run of a reference, which its file is called after."""
    digest = hashlib.sha256(json.dumps(_facts(context, kind), sort_keys=True).encode()).hexdigest()
    return f"{kind}-{context.experiment.name}-{digest[:6]}"


def _path(context: Context, name: str) -> Path:
    return context.work_dir / "references" / f"{name}.json"


def _is_kept(context: Context, name: str) -> bool:
    return _path(context, name).exists() and _is_on_a_bill(context, name)


def _once(
    context: Context,
    kind: Kind,
    names: dict[str, Any],
    make: Callable[[], Any],
    teacher: Reference | None,
) -> Reference:
    name = _name(context, kind)
    path = _path(context, name)
    if _is_kept(context, name):
        return _read(path)
    labels = {"experiment": context.experiment.name}
    with joulemark.run(name, url=context.url, pipeline=kind, labels=labels, **names, **facts_of(context.cell)) as run:
        with run.stage("eval", phase="load"):
            model = make()
        found = measure(context, run, model)
        if teacher is None and context.experiment.evaluation.serving:
            serve(context, run, model, context.experiment.evaluation.serving)
        # The teacher is the reference of others, not of itself: its Q would be 1 and say nothing.
        if teacher is not None:
            for benchmark, score in found.scores.items():
                reference = teacher.scores[benchmark].score
                run.score(benchmark, score.score, reference=reference, n=score.n, stderr=score.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(Reference(name, found.scores, found.heldout.loss)._asdict()))
    partial.rename(path)
    return _read(path)


def _is_on_a_bill(context: Context, run: str) -> bool:
    """Whether this exporter has the run; taken as given where no exporter answers."""
    view = LedgerView(context.url)
    return bool(view.run(run)) or not view.devices()


def _read(path: Path) -> Reference:
    kept = json.loads(path.read_text())
    return Reference(kept["run"], {name: Score(*score) for name, score in kept["scores"].items()}, kept["heldout_loss"])
