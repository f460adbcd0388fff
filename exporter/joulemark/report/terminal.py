"""The report on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import tables
from .notes import MARKS, footnotes, marks
from .numbers import digits, fixed
from .report import Report
from .rows import Account, Row

_MARK_STYLE = "bold black on yellow"


def print_report(report: Report, console: Console) -> None:
    """Print every run by stage, the tables that several runs make, marks and footnotes."""
    marked = marks(report.accounts)
    for line in marked:
        console.print(Text(f" {line} ", style=_MARK_STYLE))
    console.print(_runs(report.accounts))
    for table in tables.tables(report) if len(report.accounts) > 1 else []:
        console.print()
        console.print(_shown(table))
        console.print(Text(table.caption, style="dim"))
    console.print()
    for line in footnotes(report):
        console.print(Text(line, style=_MARK_STYLE if line in marked else ""))


def _runs(accounts: Sequence[Account]) -> Table:
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
        "seconds": fixed(row.seconds),
        "PromQL J": fixed(row.prometheus_joules) or "not seen" if account.compared else "",
        "ledger J": fixed(row.joules),
        "joules": fixed(row.joules),
        "agree %": fixed(row.agreement_percent, 2),
        "± J": fixed(row.uncertainty_joules),
        "share %": "" if row.share is None else f"{100 * row.share:.1f}",
        "tokens": f"{row.tokens:,}" if row.tokens else "",
        "J/token": digits(row.joules_per_token),
        "origin": account.origin,
    }
    # Text, not str: names are shown as they are, brackets included, and not read as markup.
    cells = [Text(values[str(column.header)]) for column in table.columns]
    if account.origin in MARKS and table.columns[-1].header == "origin":
        cells[-1].stylize(_MARK_STYLE)
    return cells


def _shown(made: tables.Table) -> Table:
    table = Table(title=made.title, title_justify="left")
    for index, name in enumerate(made.columns):
        table.add_column(Text(name), justify="left" if index < made.words else "right", no_wrap=index < made.words)
    for row in made.rows:
        table.add_row(*(Text(cell, style=_MARK_STYLE if cell in MARKS else "") for cell in row))
    return table
