"""The report on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .rows import Account, Row

MARKS = {
    "modelled": "MODELLED: computed from CPU utilisation or a script, not measured",
    "published": "PUBLISHED: figures of somebody else's, not measured here",
}


def print_table(accounts: Sequence[Account], console: Console) -> None:
    """Print every account with its totals, marks and footnotes."""
    asked = any(account.total.prometheus_joules is not None for account in accounts)
    table = Table(title="Where the joules went", title_justify="left")
    table.add_column("run", no_wrap=True)
    table.add_column("stage", no_wrap=True)
    table.add_column("phase", no_wrap=True)
    numeric = ["seconds"]
    numeric += ["PromQL J", "ledger J", "agree %"] if asked else ["joules"]
    for name in (*numeric, "± J", "share %", "tokens", "J/token"):
        table.add_column(name, justify="right", no_wrap=True)
    for account in accounts:
        for row in account.rows:
            table.add_row(*_cells(row, asked))
        table.add_row(*_cells(account.total, asked), style="bold")
        table.add_section()
    console.print(table)
    for line in footnotes(accounts):
        console.print(escape(line), highlight=False)


def footnotes(accounts: Sequence[Account]) -> list[str]:
    """What must be said beside the figures: teacher-side shares, origin, inherited energy."""
    lines = []
    for account in accounts:
        if account.teacher_share is not None:
            quality = "" if account.quality is None else f", quality Q {account.quality:.2f} of the teacher's"
            lines.append(f"{account.run}: {100 * account.teacher_share:.1f} % of its energy is teacher-side{quality}")
        for artifact, kind, maker, joules in account.inherited:
            lines.append(
                f"{account.run}: reuses {kind} {artifact[:19]} that run {maker} made; "
                f"that run's teacher stage used {joules:,.1f} J, which are not in this run's total"
            )
    for origin in sorted({account.origin for account in accounts if account.origin in MARKS}):
        named = ", ".join(account.run for account in accounts if account.origin == origin)
        lines.append(f"{MARKS[origin]} ({named})")
    return lines


def _cells(row: Row, asked: bool) -> list[str]:
    cells = [row.run, row.stage, row.phase, f"{row.seconds:.1f}"]
    if asked:
        cells += [_number(row.prometheus_joules), _number(row.joules), _number(row.agreement_percent, 2)]
    else:
        cells.append(_number(row.joules))
    cells += [
        _number(row.uncertainty_joules),
        "" if row.share is None else f"{100 * row.share:.1f}",
        f"{row.tokens:,}" if row.tokens else "",
        "" if row.joules_per_token is None else f"{row.joules_per_token:.3g}",
    ]
    return cells


def _number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
