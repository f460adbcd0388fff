"""What may stand in a section of an experiment, for who wrote something else."""

from __future__ import annotations

import difflib
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from .sections import Experiment


def instead_of(key: tuple[str, ...]) -> str:
    """`did you mean …?`, or the keys that are known in its section."""
    known = list(_section(key[:-1]).model_fields)
    alike = difflib.get_close_matches(key[-1], known, n=1)
    return f"did you mean {alike[0]}?" if alike else f"known here are {', '.join(known)}"


def _section(key: tuple[str, ...]) -> type[BaseModel]:
    section: type[BaseModel] = Experiment
    for name in key:
        # An element of a list has a number between its section's name and its own keys.
        field = section.model_fields.get(name)
        section = _model(field.annotation) or section if field else section
    return section


def _model(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) in (Union, UnionType):
        return next((model for part in get_args(annotation) if (model := _model(part))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
