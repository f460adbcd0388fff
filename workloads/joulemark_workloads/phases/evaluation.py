"""How good the student is and what serving it costs, beside the teacher's own figures."""

from __future__ import annotations

from typing import Any

from ..models.load import load_trained
from ..terminal import console
from . import reference
from .context import TRAINED, Context
from .measure import measure, serve


def run(context: Context) -> dict[str, Any]:
    """Score the student, with the teacher's scores as reference."""
    context.record.facts("student")
    teacher = reference.teacher_scores(context)
    untrained = reference.untrained_scores(context, teacher)
    with context.run.stage("eval", phase="load"):
        model = load_trained(str(context.folder / TRAINED))
    found = measure(context, context.run, model)
    serving = context.experiment.evaluation.serving
    joules = serve(context, context.run, model, serving) if serving else None
    context.run.declare(reference=teacher.run)
    for name, score in found.scores.items():
        context.run.score(name, score.score, reference=teacher.scores[name].score, n=score.n, stderr=score.stderr)
        error = "" if score.stderr is None else f" ± {score.stderr:.2g}"
        console.print(f"  {name}: {score.score:.3g}{error} (teacher {teacher.scores[name].score:.3g}, n={score.n})")
    console.print(f"held-out loss {untrained.heldout_loss:.2f} untrained, [bold]{found.heldout.loss:.2f}[/] trained")
    return {
        "heldout_loss": found.heldout.loss,
        "heldout_loss_stderr": found.heldout.stderr,
        "untrained_heldout_loss": untrained.heldout_loss,
        "teacher_heldout_loss": teacher.heldout_loss,
        "scores": {name: score._asdict() for name, score in found.scores.items()},
        "reference": {"run": teacher.run, "scores": {name: s._asdict() for name, s in teacher.scores.items()}},
        "serving_joules_per_token": joules,
    }
