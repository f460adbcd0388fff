"""Which keys of an experiment name something that is only on a hub."""

from __future__ import annotations

from pathlib import Path

from ..config import Experiment
from ..data.sources import is_local as data_is_local
from ..evaluation.shipped import shipped_tasks
from ..models.shipped import is_local as model_is_local

TEACHER, STUDENT, SOURCE, TASKS = "teacher.model", "student.model", "data.source", "evaluation.tasks"


def hub_keys(experiment: Experiment) -> set[str]:
    """Those of the four whose value is neither shipped nor a file nor a folder."""
    student, source = experiment.student.model, experiment.data.source
    found = {
        TEACHER: not model_is_local(experiment.teacher.model),
        STUDENT: student is not None and not model_is_local(student),
        SOURCE: not data_is_local(source) and not Path(source).is_dir(),
        TASKS: not set(experiment.evaluation.tasks) <= set(shipped_tasks()),
    }
    return {key for key, is_away in found.items() if is_away}
