"""The report on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .notes import MARKS, footnotes, marks
from .rows import Account, Row

__all__ = ["MARKS", "footnotes", "print_table"]

_MARK_STYLE = "bold black on yellow"


def print_table(accounts: Sequence[Account], console: Console) -> None:
    """Print every account with its totals, marks and footnotes."""
    marked = marks(accounts)
    for line in marked:
        console.print(Text(f" {line} ", style=_MARK_STYLE))
    console.print(_table(accounts))
    for line in footnotes(accounts):
        console.print(Text(line, style=_MARK_STYLE if line in marked else ""))


def _table(accounts: Sequence[Account]) -> Table:
    compared = any(account.compared for account in accounts)
    table = Table(title="Where the joules went", title_justify="left")
    for name in ("run", "stage", "phase"):
        table.add_column(name, no_wrap=True)
    energy = ("PromQL J", "ledger J", "agree %") if compared else ("joules",)
    for name in ("seconds", *energy, "± J", "share %", "tokens", "J/token"):
        table.add_column(name, justify="right", no_wrap=True)
    if marks(accounts):
        table.add_column("origin", no_wrap=True)
    for account in accounts:
        for row in account.rows:
            table.add_row(*_cells(row, account, table))
        table.add_row(*_cells(account.total, account, table), style="bold")
        table.add_section()
    return table


def _cells(row: Row, account: Account, table: Table) -> list[Text]:
    values = {
        "run": row.run,
        "stage": row.stage,
        "phase": row.phase,
        "seconds": _number(row.seconds),
        "PromQL J": _number(row.prometheus_joules) or "not seen" if account.compared else "",
        "ledger J": _number(row.joules),
        "joules": _number(row.joules),
        "agree %": _number(row.agreement_percent, 2),
        "± J": _number(row.uncertainty_joules),
        "share %": "" if row.share is None else f"{100 * row.share:.1f}",
        "tokens": f"{row.tokens:,}" if row.tokens else "",
        "J/token": "" if row.joules_per_token is None else f"{row.joules_per_token:.3g}",
        "origin": account.origin,
    }
    # Text, not str: names are shown as they are, brackets included, and not read as markup.
    cells = [Text(values[str(column.header)]) for column in table.columns]
    if account.origin in MARKS and table.columns[-1].header == "origin":
        cells[-1].stylize(_MARK_STYLE)
    return cells


def _number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
