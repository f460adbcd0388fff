"""What of a hub each phase of a run will need, and the key that asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..config import phases_of
from ..evaluation.data_sets import data_sets_of
from ..evaluation.shipped import shipped_tasks
from ..hub.thing import Part, Repository, Thing
from ..models.shipped import hub_name
from . import reference, teacher
from .context import Context
from .hub_keys import SOURCE, STUDENT, TASKS, TEACHER, hub_keys


class Need(NamedTuple):
    """A thing of a hub, which phase needs it, and which key asks for it; of a benchmark its name as well."""

    thing: Thing
    phase: str
    key: str
    benchmark: str = ""


def needs_of(context: Context, phases: Sequence[str]) -> Iterator[Need]:
    """Those of the phases that are not done; raises WorkloadError where a benchmark is not known."""
    experiment, away = context.experiment, hub_keys(context.experiment)
    left = [phase for phase in phases_of(context.cell.pipeline) if phase in phases and not context.record.has(phase)]
    for phase in left:
        for key, part in _models(context, phase):
            if key in away:
                yield Need(Thing(_model(context, key), part), phase, key)
    if "data" in left and SOURCE in away:
        name, _, subset = experiment.data.source.partition(":")
        repository = Repository("dataset", name, experiment.data.revision, with_token=False)
        yield Need(Thing(repository, subset=subset or None), "data", SOURCE)
    if "eval" in left and TASKS in away:
        for benchmark in experiment.evaluation.tasks:
            for thing in data_sets_of(benchmark) if benchmark not in shipped_tasks() else ():
                yield Need(thing, "eval", TASKS, benchmark)


def _models(context: Context, phase: str) -> Iterator[tuple[str, Part]]:
    """By key what of the models a phase loads; for what is there already, as far as that is known, none is loaded."""
    student = STUDENT if context.experiment.student.model is not None else TEACHER
    if phase == "data":
        yield from ((TEACHER, "tokenizer"), (student, "tokenizer"))
    elif phase == "teacher" and not teacher.is_made(context):
        yield from ((TEACHER, "tokenizer"), (TEACHER, "weights"))
    elif phase == "student":
        yield from ((TEACHER, "tokenizer"), (student, "weights"))
    elif phase == "eval":
        yield TEACHER, "tokenizer"
        if not reference.is_measured(context, reference.REFERENCE):
            yield TEACHER, "weights"
        if not reference.is_measured(context, reference.UNTRAINED):
            yield student, "weights"


def _model(context: Context, key: str) -> Repository:
    teacher_asked, student_asked = context.experiment.teacher, context.experiment.student
    if key == STUDENT and student_asked.model is not None:
        return Repository("model", hub_name(student_asked.model), student_asked.revision)
    return Repository("model", hub_name(teacher_asked.model), teacher_asked.revision)
