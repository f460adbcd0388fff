"""One YAML file describes an experiment; it is checked once, here, and never changes after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import WorkloadError

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """A part of the file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Student(Section):
    """The teacher's family with fewer layers."""

    layers: Count = 4


class Data(Section):
    """Blocks of packed tokens; held-out blocks are never trained on."""

    block_tokens: Annotated[int, Field(ge=8, le=8192)] = 256
    train_blocks: Count = 96
    heldout_blocks: Count = 16


class Prerun(Section):
    """How long the idle baseline is watched and the machine is warmed up, in seconds."""

    idle_seconds: Seconds = 5.0
    burn_in_seconds: Seconds = 3.0


class LogitCache(Section):
    """How much of the teacher's distribution is kept per token, and how often it is put on disk."""

    top_k: Count = 64
    blocks_per_shard: Count = 8


class Distillation(Section):
    """`alpha * CE + (1 - alpha) * T^2 * KL`."""

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 1.0


class Training(Section):
    """AdamW with cosine schedule; the effective batch is micro_batch_blocks x gradient_accumulation blocks."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    micro_batch_blocks: Count = 2
    gradient_accumulation: Count = 1
    warmup_steps: Annotated[int, Field(ge=0)] = 5
    seed: int = 0


class Evaluation(Section):
    """Which shipped tasks are run, and on how many items of each."""

    tasks: tuple[str, ...] = ("facts", "arithmetic", "instructions")
    limit: Count | None = None


class Experiment(Section):
    """All of it; `teacher` is the shipped model's name, a folder, or a name on a model hub."""

    name: Annotated[str, Field(pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")]
    teacher: str
    student: Student = Student()
    data: Data = Data()
    prerun: Prerun = Prerun()
    logit_cache: LogitCache = LogitCache()
    distillation: Distillation = Distillation()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()


def load_experiment(path: Path) -> Experiment:
    """Read an experiment; raises WorkloadError that names the key, its line and what is wrong with it."""
    try:
        text = path.read_text()
    except OSError as error:
        raise WorkloadError(f"configuration {path} cannot be read ({error.strerror}): name one by --config") from error
    try:
        data = yaml.safe_load(text)
        lines = _lines(yaml.compose(text))
    except yaml.YAMLError as error:
        raise WorkloadError(f"configuration {path} is not YAML: {error}") from error
    try:
        return Experiment.model_validate(data)
    except ValidationError as error:
        raise WorkloadError("\n".join(_complaint(path, lines, dict(one)) for one in error.errors())) from error


def _complaint(path: Path, lines: dict[tuple[str, ...], int], error: dict[str, Any]) -> str:
    key = tuple(str(part) for part in error["loc"])
    # A missing key has no line of its own: that of its section is the nearest.
    line = next((lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in lines), 1)
    what = "unknown key" if error["type"] == "extra_forbidden" else error["msg"]
    return f"{path}:{line}: {'.'.join(key)}: {what}"


def _lines(node: yaml.Node | None, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    """The line of every key."""
    found: dict[tuple[str, ...], int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*prefix, str(key.value))
            found[path] = key.start_mark.line + 1
            found.update(_lines(value, path))
    return found
