"""One run through its phases: all in a row, or those that are asked for; each leaves its facts on disk for the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import joulemark

from .. import ranks
from ..config import PHASES, Cell, phases_of
from ..models.locate import needs_conversion
from ..terminal import console
from . import data, evaluation, prerun, teacher
from .billed import BilledRun
from .context import Context, SilentRun
from .faults import explained
from .record import Record
from .reference import facts_of, student_name

Work = Callable[[Context], dict[str, Any]]

# What all processes of a distributed start do together; the rest is the first one's.
_TOGETHER = {"prerun", "teacher", "student"}


def run_phases(
    cell: Cell,
    name: str,
    work_dir: Path,
    *,
    url: str | None = None,
    phases: Sequence[str] = PHASES,
    baseline: str | None = None,
    even_if_busy: bool = False,
    check_budget: Callable[[], None] = lambda: None,
) -> Record:
    """Run the phases that are not done yet; raises WorkloadError, the stage that failed closed and its joules kept."""
    record = Record(work_dir / "runs" / name, name, cell)
    left = [phase for phase in phases_of(cell.pipeline) if phase in phases and not record.has(phase)]
    for phase in phases:
        if record.has(phase):
            console.print(f"[dim]{phase}: done before[/]")
    if not left:
        return record
    # First, so that what cannot be loaded is known before a joule is spent.
    work = [(phase, _work_of(phase)) for phase in left]
    with _open(cell, name, url, baseline) as run:
        context = Context(cell, BilledRun(run), record, work_dir, url, even_if_busy, check_budget)
        _convert(context)
        for phase, do in work:
            check_budget()
            _run(context, phase, do)
    return record


def _work_of(phase: str) -> Work:
    if phase == "student":
        # What trains takes as long to load as all the rest: who does other phases does not wait for it.
        from . import student

        return student.run
    return {"prerun": prerun.run, "data": data.run, "teacher": teacher.run, "eval": evaluation.run}[phase]


def _open(cell: Cell, name: str, url: str | None, baseline: str | None) -> Any:
    if not ranks.is_first():
        return SilentRun(name)
    labels = {key: value for key, value in cell.axes.items() if key.rpartition(".")[2] != "seed"}
    return joulemark.run(
        name,
        url=url,
        pipeline=cell.pipeline,
        student=student_name(cell),
        seed=cell.experiment.training.seed,
        baseline=baseline,
        labels={"experiment": cell.experiment.name, **labels},
        **facts_of(cell),
    )


def setup_run(experiment: str) -> str:
    """The run whose bill has what is done once for all runs of an experiment."""
    return f"setup-{experiment}"


def _convert(context: Context) -> None:
    """Unpacking the shipped model is done once for all runs, so it is on a bill of its own and on no student's."""
    if ranks.is_first() and needs_conversion(context.experiment.teacher.model, context.work_dir):
        setup = joulemark.run(
            setup_run(context.experiment.name), url=context.url, pipeline="setup", **facts_of(context.cell)
        )
        with setup as run, run.stage("prerun", phase="unpack_model"):
            _ = context.teacher
    ranks.barrier()


def _run(context: Context, phase: str, work: Work) -> None:
    together = phase in _TOGETHER
    if ranks.is_first():
        context.record.begin(phase)
    try:
        with explained(phase):
            facts = work(context) if together or ranks.is_first() else {}
    except BaseException as error:
        if ranks.is_first():
            context.record.fail(phase, error, context.run.take_bill())
        raise
    if ranks.is_first():
        context.record.finish(phase, facts, context.run.take_bill())
    ranks.barrier()
    context.record.reload()
