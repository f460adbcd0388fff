"""A whole grid on the terminal: run it, show the tables, say what failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .. import ranks
from ..config import Cell
from ..errors import WorkloadError
from ..ledger_view import LedgerView
from ..terminal import console
from .runner import Options, Outcome, run_cells
from .table import table


def run_grid(cells: list[Cell], options: Options) -> None:
    """Raises WorkloadError at the end where a run has failed."""
    outcome = run_cells(cells, options)
    if ranks.is_first() and options.tables:
        _show(outcome, LedgerView(options.url))
    if outcome.failed:
        raise WorkloadError(
            f"{len(outcome.failed)} of {len(cells)} runs failed ({', '.join(outcome.failed)}); the others are done, "
            "and the same command tries these again"
        )


def _show(outcome: Outcome, view: LedgerView) -> None:
    """What training gave, then the paper's tables (energy, J/token, Q, N*, T*) as `joulemark report` shows them."""
    shown = table(outcome.runs, outcome.records, view)
    if shown.row_count:
        console.print(shown)
    known = [name for _, name in outcome.runs if view.run(name)]
    if known:
        command = str(Path(sys.executable).with_name("joulemark"))
        subprocess.run([command, "report", "--url", view.url, "--format", "table", *known], check=False)
