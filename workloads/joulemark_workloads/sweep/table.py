"""What came out of a grid: one row a cell, repeats with other seeds as mean and spread."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

from rich.table import Table

from ..config import Cell
from ..ledger_view import LedgerView
from ..phases.record import Record
from .energy import bounded


class Figures(NamedTuple):
    """Of one run; what is not known is None."""

    joules: float | None
    bound_joules: float | None
    joules_per_token: float | None
    heldout_loss: float | None
    untrained_loss: float | None
    serving: float | None


def table(runs: Sequence[tuple[Cell, str]], records: dict[str, Record], view: LedgerView) -> Table:
    """The finished runs, cell by cell."""
    cells: dict[tuple[tuple[str, str], ...], list[Figures]] = {}
    for cell, name in runs:
        if name in records and records[name].has("eval"):
            cells.setdefault(cell.without_seed(), []).append(_figures(name, records[name], view))
    shown = Table(
        title="What each cell took and gave",
        title_justify="left",
        caption="±: the spread between runs; of the joules of one run, their bound",
        caption_justify="left",
        box=None,
        header_style="dim",
    )
    for heading in ("cell", "runs", "joules", "J/trained token", "held-out loss", "untrained", "J/served token"):
        shown.add_column(heading, justify="left" if heading == "cell" else "right", no_wrap=heading == "cell")
    for key, figures in cells.items():
        columns = [_spread([getattr(one, name) for one in figures], digits) for name, digits in (
            ("joules_per_token", 4), ("heldout_loss", 3), ("untrained_loss", 3), ("serving", 3),
        )]  # fmt: skip
        shown.add_row(_name(key), str(len(figures)), _joules(figures), *columns)
    return shown


def _name(key: tuple[tuple[str, str], ...]) -> str:
    """The pipeline, then what tells this cell from others."""
    (_, pipeline), *axes = key
    return ", ".join([pipeline, *(f"{name.rpartition('.')[2]} {value}" for name, value in axes)])


def _figures(name: str, record: Record, view: LedgerView) -> Figures:
    found = record.facts("eval")
    billed: dict[str, Any] = view.run(name) or {}
    trained = sum(stage["tokens"].get("trained", 0) for stage in billed.get("stages", []))
    joules = billed.get("joules")
    return Figures(
        joules,
        billed.get("uncertainty_joules"),
        joules / trained if joules is not None and trained else None,
        found["heldout_loss"],
        found["untrained_heldout_loss"],
        found["serving_joules_per_token"],
    )


def _joules(figures: list[Figures]) -> str:
    """Mean and spread; of one run `x ± y` with its bound."""
    known = [one for one in figures if one.joules is not None]
    if len(known) == 1 and known[0].joules is not None:
        return bounded(known[0].joules, known[0].bound_joules)
    return _spread([one.joules for one in known], 1)


def _spread(values: list[float | None], digits: int) -> str:
    """`mean ± sample standard deviation`; of one value, that alone."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    middle = f"{mean(known):,.{digits}f}"
    return middle if len(known) == 1 else f"{middle} ± {stdev(known):,.{digits}f}"
