"""How many weights a model has, from a table, from the experiment, or from its folder."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ..config import Experiment
from ..errors import WorkloadError


@cache
def known_models() -> dict[str, dict[str, int]]:
    """The shipped table."""
    table: dict[str, dict[str, int]] = yaml.safe_load((Path(__file__).parent / "models.yaml").read_text())
    return table


def teacher_parameters(experiment: Experiment) -> float:
    """Weights of the teacher; raises WorkloadError that says how to give them where they are not known."""
    return _parameters(experiment.teacher.model, experiment.teacher.parameters_billion, "teacher")


def student_parameters(experiment: Experiment) -> float:
    """Weights of the student, of a cut one from those of its teacher."""
    student = experiment.student
    if student.model is not None or student.parameters_billion is not None:
        return _parameters(student.model or "student", student.parameters_billion, "student")
    assert student.layers is not None
    teacher = known_models().get(experiment.teacher.model) or _from_folder(experiment.teacher.model)
    if teacher is None:
        raise _unknown(f"{experiment.teacher.model} cut to {student.layers} layers", "student")
    layer = (teacher["parameters"] - teacher["embedding_parameters"]) / teacher["layers"]
    return teacher["parameters"] - layer * (teacher["layers"] - student.layers)


def vocabulary(experiment: Experiment) -> int:
    """Tokens of the teacher's vocabulary; more than 16 bits hold where it is not known."""
    known = known_models().get(experiment.teacher.model) or _from_folder(experiment.teacher.model)
    return known["vocabulary"] if known else 2**16 + 1


def _parameters(name: str, given_billion: float | None, role: str) -> float:
    if given_billion is not None:
        return given_billion * 1e9
    known = known_models().get(name) or _from_folder(name)
    if known is None:
        raise _unknown(name, role)
    return known["parameters"]


def _unknown(name: str, role: str) -> WorkloadError:
    return WorkloadError(f"how many weights {name} has is not known here: set {role}.parameters_billion for the plan")


def _from_folder(name: str) -> dict[str, int] | None:
    """Counted from a folder's configuration, for the usual decoder with gated feed-forward layers."""
    path = Path(name) / "config.json"
    if not path.exists():
        return None
    config: dict[str, Any] = json.loads(path.read_text())
    try:
        hidden, inner, layers = (config[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
        heads = config["num_attention_heads"]
        narrow = hidden * config.get("num_key_value_heads", heads) // heads
        embeddings = config["vocab_size"] * hidden * (1 if config.get("tie_word_embeddings", True) else 2)
    except KeyError:
        return None
    layer = 2 * hidden * hidden + 2 * hidden * narrow + 3 * hidden * inner + 2 * hidden
    return {
        "parameters": embeddings + layers * layer + hidden,
        "layers": layers,
        "embedding_parameters": embeddings + hidden,
        "vocabulary": config["vocab_size"],
    }
