"""The student as it is before training, for all who need it without what trains, which takes seconds to load."""

from __future__ import annotations

from typing import Any

import torch

from ..models.load import device, load_teacher
from ..models.locate import find_model
from ..models.student import cut_student, load_student
from .context import Context


def untrained_student(context: Context) -> Any:
    """The student before training, the same for every seed."""
    wanted, precision = context.experiment.student, context.experiment.training.precision
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    if wanted.model is not None:
        return load_student(find_model(wanted.model, context.work_dir, wanted.revision), dtype).to(device())
    assert wanted.layers is not None
    teacher = load_teacher(context.teacher, context.experiment.teacher.dtype)
    return cut_student(teacher, wanted.layers).to(device=device(), dtype=dtype)
