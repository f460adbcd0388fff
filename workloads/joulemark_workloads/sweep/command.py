"""A whole grid on the terminal: run it, show the table, say what failed."""

from __future__ import annotations

from .. import ranks
from ..config import Cell
from ..errors import WorkloadError
from ..ledger_view import LedgerView
from ..terminal import console
from .runner import Options, run_cells
from .table import table


def run_grid(cells: list[Cell], options: Options) -> None:
    """Raises WorkloadError at the end where a run has failed."""
    outcome = run_cells(cells, options)
    if ranks.is_first():
        shown = table(outcome.runs, outcome.records, LedgerView(options.url))
        if shown.row_count:
            console.print(shown)
    if outcome.failed:
        raise WorkloadError(
            f"{len(outcome.failed)} of {len(cells)} runs failed ({', '.join(outcome.failed)}); the others are done, "
            "and the same command tries these again"
        )
