"""Lists where one value is expected make a grid; each cell is one run of one pipeline."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import WorkloadError
from .read import Document, Key
from .sections import Experiment, Pipeline

# What a pipeline does not read cannot tell two of its runs apart.
_UNREAD: dict[Pipeline, tuple[str, ...]] = {
    "sft": ("logit_cache", "distillation", "generation"),
    "kd": ("generation",),
    "synthetic_sft": ("logit_cache", "distillation"),
}
_MAX_CELLS = 10_000


@dataclass(frozen=True)
class Cell:
    """One pipeline of one experiment; `axes` are the values that the grid gave it, by dotted key."""

    experiment: Experiment
    pipeline: Pipeline
    axes: dict[str, str] = field(hash=False, default_factory=dict)

    def run_name(self, tag: str) -> str:
        """`kd-TAG`, then what tells this cell from others, e.g. `kd-smoke-seed1`."""
        parts = [self.pipeline, tag, *(_label(key, value) for key, value in self.axes.items())]
        return re.sub(r"[^A-Za-z0-9._+-]", "-", "-".join(parts))[:128]

    def without_seed(self) -> tuple[tuple[str, str], ...]:
        """What repeats of one cell have in common: pipeline and axes, seeds aside."""
        axes = ((key, value) for key, value in self.axes.items() if key.rpartition(".")[2] != "seed")
        return (("pipeline", self.pipeline), *axes)

    def baseline(self, cells: list[Cell]) -> Cell | None:
        """The `sft` cell of the same student, data and seed; None where the grid has none, or this is it."""
        if self.pipeline == "sft":
            return None
        axes = {key: value for key, value in self.axes.items() if _reads("sft", key)}
        return next((cell for cell in cells if cell.pipeline == "sft" and cell.axes == axes), None)


def cells_of(document: Document) -> list[Cell]:
    """Every cell of the grid, in the order of the file; raises WorkloadError naming the line of what is wrong."""
    axes = list(_axes(document.data, Experiment))
    count = 1
    for _, values in axes:
        count *= len(values)
    if count > _MAX_CELLS:
        raise WorkloadError(f"the lists make {count} cells: take some out, {_MAX_CELLS} are the most")
    experiments = [
        (choice, _experiment(document, axes, choice))
        for choice in itertools.product(*(range(len(values)) for _, values in axes))
    ]
    cells: dict[tuple[str, str], Cell] = {}
    for pipeline in experiments[0][1].pipelines:
        for choice, experiment in experiments:
            # What this pipeline does not read stays at the first value of its list, so that no cell is there twice.
            if any(index and not _reads(pipeline, ".".join(key)) for (key, _), index in zip(axes, choice, strict=True)):
                continue
            read = {
                ".".join(key): _value_label(values[index])
                for (key, values), index in zip(axes, choice, strict=True)
                if _reads(pipeline, ".".join(key))
            }
            cell = Cell(experiment.model_copy(update={"pipelines": (pipeline,)}), pipeline, read)
            cells.setdefault((pipeline, cell.experiment.model_dump_json()), cell)
    return list(cells.values())


def _experiment(document: Document, axes: list[tuple[Key, list[Any]]], choice: tuple[int, ...]) -> Experiment:
    data = document.data
    moved: dict[Key, Key] = {}
    for (key, values), index in zip(axes, choice, strict=True):
        data = _replaced(data, key, values[index])
        moved[key] = (*key, str(index))
    try:
        return Experiment.model_validate(data)
    except ValidationError as error:
        raise WorkloadError(document.complaints(error, moved)) from error


def _axes(data: dict[str, Any], model: type[BaseModel], prefix: Key = ()) -> Iterator[tuple[Key, list[Any]]]:
    for name, value in data.items():
        if name not in model.model_fields:
            continue
        kinds = list(_kinds(model.model_fields[name].annotation))
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if isinstance(value, dict) and section:
            yield from _axes(value, section, (*prefix, name))
        # An empty list is left in place, so that the check of types complains about it by line.
        elif isinstance(value, list) and value and not any(get_origin(kind) is tuple for kind in kinds):
            yield (*prefix, name), value


def _kinds(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    else:
        yield annotation


def _replaced(data: dict[str, Any], key: Key, value: Any) -> dict[str, Any]:
    head, *rest = key
    return {**data, head: _replaced(data[head], tuple(rest), value) if rest else value}


def _reads(pipeline: Pipeline, key: str) -> bool:
    return key.partition(".")[0] not in _UNREAD[pipeline]


def _value_label(value: Any) -> str:
    """A value as a few characters: of a section, the name of its model or what else tells it apart."""
    if isinstance(value, dict):
        return str(value["model"]) if "model" in value else "-".join(f"{k}{v}" for k, v in value.items())
    return str(value)


def _label(key: str, value: str) -> str:
    """`layers4`, `seed1`; of a model or a data set its own name alone."""
    name = key.rpartition(".")[2]
    short = value.rpartition("/")[2]
    return short if name in ("student", "model", "source", "teacher") else f"{name}{short}"


def artifact_facts(cell: Cell) -> str:
    """What decides which teacher artifact a cell uses, as far as its configuration tells; empty where it uses none."""
    if cell.pipeline == "sft":
        return ""
    experiment = cell.experiment
    own: list[Any] = [experiment.generation.model_dump()]
    if cell.pipeline == "kd":
        own = [experiment.logit_cache.model_dump(), experiment.distillation.temperature]
    return json.dumps([cell.pipeline, experiment.teacher.model_dump(), experiment.data.model_dump(), *own])
