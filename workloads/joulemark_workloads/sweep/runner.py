"""Every cell of a grid in its order; what was done before is not done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape

from .. import ranks
from ..config import PHASES, Cell, artifact_facts
from ..errors import BudgetSpent, WorkloadError
from ..ledger_view import LedgerView
from ..phases.record import Record
from ..phases.reference import reference_runs
from ..phases.sequence import run_phases, setup_run
from ..terminal import console
from .budget import Budget
from .energy import together
from .forecast import Cost, forecast
from .hub_check import check_hub


@dataclass(frozen=True)
class Options:
    """How a grid is run."""

    work_dir: Path
    tag: str
    run: str | None = None
    url: str | None = None
    phases: Sequence[str] = PHASES
    baseline: str | None = None
    even_if_busy: bool = False
    max_kwh: float | None = None
    max_hours: float | None = None
    tables: bool = True


@dataclass
class Outcome:
    """What became of a grid: its runs in order, and the errors of those that failed."""

    runs: list[tuple[Cell, str]]
    records: dict[str, Record] = field(default_factory=dict)
    failed: dict[str, WorkloadError] = field(default_factory=dict)


def run_cells(cells: list[Cell], options: Options) -> Outcome:
    """Run every cell; one that fails does not keep the others from running. Raises BudgetSpent at the limit.

    Raises WorkloadError before anything runs where something of a hub that will be needed cannot be had.
    """
    outcome = Outcome([(cell, options.run or cell.run_name(options.tag)) for cell in cells])
    check_hub(outcome.runs, options.phases, options.work_dir, options.url)
    names = dict(outcome.runs)
    view = LedgerView(options.url)
    experiment = cells[0].experiment.name

    def billed() -> list[str]:
        """Every run so far, with what was done once for all; the references come up on the way."""
        return [*names.values(), setup_run(experiment), *reference_runs(experiment, options.work_dir)]

    budget = Budget(lambda: view.joules(billed()), options.max_kwh, options.max_hours)
    for number, (cell, name) in enumerate(outcome.runs):
        if len(cells) > 1:
            _say_where(number, outcome, _told(view, billed()))
        base = cell.baseline(cells)
        try:
            outcome.records[name] = run_phases(
                cell,
                name,
                options.work_dir,
                url=options.url,
                phases=options.phases,
                baseline=options.baseline or (names[base] if base else None),
                even_if_busy=options.even_if_busy,
                check_budget=budget.check,
            )
        except BudgetSpent:
            raise
        except WorkloadError as error:
            if len(cells) == 1:
                raise
            console.print(f"[bold red]{name}:[/] {escape(str(error))}")
            outcome.failed[name] = error
    return outcome


def _told(view: LedgerView, names: list[str]) -> list[dict[str, Any]]:
    """What the exporter knows of runs; where none answers, that is found out once and not by each name."""
    return [record for name in names if (record := view.run(name))] if view.devices() else []


def _say_where(number: int, outcome: Outcome, so_far: list[dict[str, Any]]) -> None:
    """Which run, the joules so far with their bound, and a forecast to the end."""
    name = outcome.runs[number][1]
    console.rule(f"[bold]{name}[/] ({number + 1} of {len(outcome.runs)})")
    if not ranks.is_first():
        return
    costs = [_cost(done, outcome.records[run]) for done, run in outcome.runs[:number] if run in outcome.records]
    left = forecast(costs, [(cell.pipeline, artifact_facts(cell)) for cell, _ in outcome.runs[number:]])
    words = [f"{together(so_far)} so far"] if so_far else []
    if left is not None:
        words.append(f"forecast to the end: {left.joules:,.0f} J, {left.seconds / 60:.1f} min")
    if words:
        console.print(f"[dim]{'; '.join(words)}[/]")


def _cost(cell: Cell, record: Record) -> Cost:
    joules: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for line in record.bill:
        joules[line["stage"]] = joules.get(line["stage"], 0.0) + line["joules"]
        seconds[line["stage"]] = seconds.get(line["stage"], 0.0) + line["seconds"]
    return Cost(cell.pipeline, artifact_facts(cell), joules, seconds)
