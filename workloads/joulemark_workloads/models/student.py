"""Students before training: cut out of the teacher, or a model of their own that speaks the same tokens."""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from ..errors import WorkloadError
from .locate import ModelFolder


def cut_student(teacher: Any, layers: int) -> Any:
    """The teacher's family with fewer layers, initialised from its first layers and its last, in float32."""
    available = teacher.config.num_hidden_layers
    if layers > available:
        raise WorkloadError(f"student.layers is {layers}, but the teacher has only {available}: use 1 to {available}")
    config = copy.deepcopy(teacher.config)
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    student: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
    kept = {str(ours): str(theirs) for ours, theirs in enumerate([*range(layers - 1), available - 1])}
    weights = teacher.state_dict()
    state = {name: weights[_source_name(name, kept)].float() for name in student.state_dict()}
    student.load_state_dict(state)
    return student.to(teacher.device)


def load_student(folder: ModelFolder, dtype: torch.dtype) -> Any:
    """A student that is a model of its own."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder.path, revision=folder.revision, dtype=dtype)
    return model


def _source_name(name: str, kept: dict[str, str]) -> str:
    """`model.layers.<i>.…` of the student as the teacher names it."""
    head, found, tail = name.partition(".layers.")
    if not found:
        return name
    index, _, rest = tail.partition(".")
    return f"{head}.layers.{kept[index]}.{rest}"
