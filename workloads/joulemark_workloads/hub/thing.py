"""A model or a data set of a hub, and how much of it is needed."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["model", "dataset"]
Part = Literal["tokenizer", "weights"]


class Repository(NamedTuple):
    """Where a hub keeps it; `with_token` says whether the user's own rights count when it is read."""

    kind: Kind
    name: str
    revision: str | None = None
    with_token: bool = True

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{'data set' if self.kind == 'dataset' else 'model'} {self.name}{at}"


class Thing(NamedTuple):
    """Of a model its configuration and one part; of a data set one subset.

    `options` is JSON: the keyword arguments that a data set is loaded with beside name, subset and revision.
    """

    repository: Repository
    part: Part | None = None
    subset: str | None = None
    options: str = "{}"
