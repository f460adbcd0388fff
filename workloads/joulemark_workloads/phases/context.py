"""What the phases of one run share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ..config import Cell, Experiment
from ..models.locate import ModelFolder, find_model
from .record import Record

# The folder of the trained student, in that of its run.
TRAINED = "student"


class Stage(Protocol):
    """A stage that is told its tokens; `summary` is the exporter's, once it has ended and the exporter answered."""

    summary: dict[str, Any] | None

    def add_tokens(self, **counts: int) -> None:
        """Add tokens by kind."""


class Run(Protocol):
    """What of the client's run the phases use."""

    name: str

    def stage(self, stage: str, *, phase: str = "") -> AbstractContextManager[Stage]:
        """A stage to enter."""

    def declare(self, **facts: object) -> None:
        """Say what the run is."""

    def score(
        self,
        benchmark: str,
        score: float,
        *,
        reference: float | None = None,
        n: int | None = None,
        stderr: float | None = None,
    ) -> None:
        """Keep a benchmark score."""

    def artifact(self, artifact: str, *, kind: str, role: str) -> None:
        """Keep that an artifact was produced or consumed."""

    def power_watts(self) -> dict[str, float] | None:
        """The latest power by device in watts."""


class Billed(Run, Protocol):
    """A run that remembers what its stages cost."""

    def take_bill(self) -> list[dict[str, Any]]:
        """The lines since the last call."""


@dataclass
class Context:
    """One run on its way through the phases."""

    cell: Cell
    run: Billed
    record: Record
    work_dir: Path
    url: str | None
    even_if_busy: bool = False
    # Raises BudgetSpent where the energy or time that was given is used up; called wherever it is safe to stop.
    check_budget: Callable[[], None] = lambda: None

    @property
    def experiment(self) -> Experiment:
        """The cell's experiment."""
        return self.cell.experiment

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.record.folder

    @cached_property
    def teacher(self) -> ModelFolder:
        """The teacher, made loadable."""
        wanted = self.experiment.teacher
        return find_model(wanted.model, self.work_dir, wanted.revision)


class SilentRun:
    """The run as the other processes of a distributed phase see it: one alone speaks to the exporter."""

    summary: dict[str, Any] | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    def stage(self, stage: str, *, phase: str = "") -> SilentRun:
        """A stage that is nobody's."""
        del stage, phase
        return self

    def __enter__(self) -> SilentRun:
        """Itself: run and stage in one."""
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing was open."""

    def add_tokens(self, **counts: int) -> None:
        """The first process adds everybody's."""

    def declare(self, **facts: object) -> None:
        """The first process does."""

    def score(
        self,
        benchmark: str,
        score: float,
        *,
        reference: float | None = None,
        n: int | None = None,
        stderr: float | None = None,
    ) -> None:
        """The first process does."""

    def artifact(self, artifact: str, *, kind: str, role: str) -> None:
        """The first process does."""

    def power_watts(self) -> dict[str, float] | None:
        """Unknown here."""
        return None
