"""Which stages and runs are open around the code that asks: each task and each thread has its own."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .run import Run
    from .stage import Stage

# Set anew at each change and never reset by token: a stage may be left in another context than it was entered in.
_stages: ContextVar[tuple[Stage, ...]] = ContextVar("joulemark_stages", default=())
_runs: ContextVar[tuple[Run, ...]] = ContextVar("joulemark_runs", default=())
# Of the whole process, oldest first: a thread that a job starts knows nothing of the context it was started in.
_all_runs: list[Run] = []


def enter_stage(stage: Stage) -> None:
    """This stage is now the innermost here."""
    _stages.set((*_stages.get(), stage))


def leave_stage(stage: Stage) -> None:
    """This stage is over, wherever it lay."""
    _stages.set(tuple(other for other in _stages.get() if other is not stage))


def innermost_stage(run: Run) -> Stage | None:
    """The run's stage around the code that asks."""
    return next((stage for stage in reversed(_stages.get()) if stage.is_of(run)), None)


def open_run(run: Run) -> None:
    """A run was opened."""
    _all_runs.append(run)


def close_run(run: Run) -> None:
    """A run was closed."""
    leave_run(run)
    if run in _all_runs:
        _all_runs.remove(run)


def enter_run(run: Run) -> None:
    """This run is now the innermost here."""
    _runs.set((*_runs.get(), run))


def leave_run(run: Run) -> None:
    """This run is not the innermost here any more."""
    _runs.set(tuple(other for other in _runs.get() if other is not run))


def innermost_run() -> Run | None:
    """The run around the code that asks, else the one that the process opened last and has not closed."""
    around = [run for run in _runs.get() if run in _all_runs]
    runs = around or _all_runs
    return runs[-1] if runs else None


def all_runs() -> list[Run]:
    """The open runs of the process."""
    return list(_all_runs)
