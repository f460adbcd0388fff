"""A run that remembers what each of its stages cost, for its own record."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from .context import Run, Stage

_KEPT = ("stage", "phase", "state", "joules", "uncertainty_joules", "seconds", "tokens")


class BilledRun:
    """The client's run; `bill` has a line for each stage that the exporter answered about in time."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.name = run.name
        self.declare = run.declare
        self.score = run.score
        self.artifact = run.artifact
        self.power_watts = run.power_watts
        self.bill: list[dict[str, Any]] = []

    def stage(self, stage: str, *, phase: str = "") -> BilledStage:
        """A stage to enter."""
        return BilledStage(self, self._run.stage(stage, phase=phase))

    def take_bill(self) -> list[dict[str, Any]]:
        """The lines since the last call."""
        taken, self.bill = self.bill, []
        return taken


class BilledStage:
    """A stage that puts its summary on the run's bill when it ends."""

    def __init__(self, run: BilledRun, inner: Any) -> None:
        self._run = run
        self._inner = inner

    def __enter__(self) -> Stage:
        stage: Stage = self._inner.__enter__()
        self._stage = stage
        return stage

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.__exit__(kind, error, trace)
        summary = self._stage.summary
        if summary:
            self._run.bill.append({key: summary.get(key) for key in _KEPT})
