"""What each phase of a cell has to do: tokens, weights and bytes."""

from __future__ import annotations

from typing import NamedTuple

from ..config import Cell, artifact_facts
from ..teacher.cache_size import bytes_per_token
from .sizes import student_parameters, teacher_parameters, vocabulary

_ID_BYTES = 4
# Per weight, of the optimizer's state in a checkpoint: AdamW keeps two numbers, Adafactor rows and columns alone.
_STATE_BYTES = {"adamw": 8, "adafactor": 1}
_KEPT_CHECKPOINTS = 2


class Step(NamedTuple):
    """A phase of a cell; `work` names its rate, `shared` is equal for cells that share it, empty where none do.

    `bytes` stay on disk, `passing_bytes` are needed while it runs.
    """

    phase: str
    work: str
    tokens: int
    kind: str
    parameters: float
    bytes: float
    passing_bytes: float = 0
    shared: str = ""


def steps_of(cell: Cell) -> list[Step]:
    """The phases that take tokens, in order; prerun takes seconds alone."""
    experiment = cell.experiment
    data, training = experiment.data, experiment.training
    tokens = (data.train_blocks + data.heldout_blocks) * data.block_tokens
    student = student_parameters(experiment)
    trained = training.epochs * (_synthetic_tokens(cell) or data.train_blocks * data.block_tokens)
    steps = [Step("data", "data", tokens, "prompt", 0, tokens * 2 * _ID_BYTES)]
    if cell.pipeline != "sft":
        steps.append(_teacher(cell))
    steps.append(Step("student", "training", trained, "trained", student, *_weight_bytes(cell, student)))
    heldout = data.heldout_blocks * data.block_tokens
    steps.append(Step("eval", "evaluation", heldout, "held out", student, 0))
    return steps


def _synthetic_tokens(cell: Cell) -> int | None:
    """At most: who comes to an end early writes less, and what does not fill a block is left out."""
    wanted = cell.experiment.generation
    if cell.pipeline != "synthetic_sft":
        return None
    block = cell.experiment.data.block_tokens
    return wanted.prompts * (wanted.prompt_tokens + wanted.max_new_tokens) // block * block


def _teacher(cell: Cell) -> Step:
    experiment = cell.experiment
    weights, shared = teacher_parameters(experiment), artifact_facts(cell)
    if cell.pipeline == "kd":
        tokens = experiment.data.train_blocks * experiment.data.block_tokens
        room = tokens * bytes_per_token(experiment.logit_cache, vocabulary(experiment))
        return Step("teacher", "logit_caching", tokens, "cached", weights, room, shared=shared)
    wanted = experiment.generation
    tokens = wanted.prompts * wanted.max_new_tokens
    room = (tokens + wanted.prompts * wanted.prompt_tokens) * _ID_BYTES
    return Step("teacher", "generation", tokens, "generated (most)", weights, room, shared=shared)


def _weight_bytes(cell: Cell, parameters: float) -> tuple[float, float]:
    """Of the trained student, and of its newest checkpoints, which go when it is trained."""
    training = cell.experiment.training
    weight = 2 if training.precision == "bfloat16" else 4
    state = weight + _STATE_BYTES[training.optimizer]
    return parameters * weight, parameters * state * _KEPT_CHECKPOINTS if training.save_every_steps else 0
