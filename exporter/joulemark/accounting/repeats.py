"""Runs that differ only in seed, as one cell with mean and spread."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..run_record import RunRecord


@dataclass(frozen=True)
class Spread:
    """Mean of `n` values and their sample standard deviation; None without values, no deviation of one."""

    mean: float | None
    deviation: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread:
        """The spread of the values that are known."""
        known = [value for value in values if value is not None]
        return cls(
            statistics.fmean(known) if known else None,
            statistics.stdev(known) if len(known) > 1 else None,
            len(known),
        )


@dataclass(frozen=True)
class CellKey:
    """What runs of a cell have in common; `alone` names the run that says too little to repeat another."""

    pipeline: str
    student: str
    teacher: str
    dataset: str
    origin: str
    labels: tuple[tuple[str, str], ...]
    alone: str = ""


def cells_of(records: Mapping[str, RunRecord]) -> dict[CellKey, list[str]]:
    """The names of the runs of each cell; runs without pipeline or student say too little to be repeats of another."""
    cells: dict[CellKey, list[str]] = {}
    for name, record in records.items():
        key = CellKey(
            record.pipeline or "", record.student or "", record.teacher or "", record.dataset or "", record.origin,
            tuple(sorted(record.labels.items())),
        )  # fmt: skip
        if not (record.pipeline and record.student):
            key = replace(key, alone=name)
        cells.setdefault(key, []).append(name)
    return cells
