"""The report as Markdown: tables to paste, with their captions and footnotes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .methods import methods
from .notes import footnotes, marks
from .numbers import digits, fixed, percent
from .report import Report
from .rows import Account, Row
from .tables import tables


def to_markdown(report: Report) -> str:
    """Marks first, then every run by stage, the tables, what must be known beside them, and the methods paragraph."""
    parts = [f"> **{_text(line)}**" for line in marks(report.accounts)]
    parts.append(_runs(report))
    for table in tables(report):
        parts += [f"## {table.title}", _table(table.columns, table.rows, table.words), _text(table.caption)]
    parts.append("\n".join(f"- {_text(line)}" for line in footnotes(report)))
    parts += ["## Methods", _text(methods(report))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _runs(report: Report) -> str:
    head = ["run", "stage", "phase", "seconds", "joules", "share", "tokens", "J/token", "origin"]
    head += ["Prometheus J", "agreement"] if report.compared else []
    rows = [
        _cells(row, account, report.compared) for account in report.accounts for row in (*account.rows, account.total)
    ]
    return _table(head, rows, 3)


def _cells(row: Row, account: Account, compared: bool) -> list[str]:
    bound = "" if row.uncertainty_joules is None else f" ± {row.uncertainty_joules:,.1f}"
    cells = [
        row.run,
        row.stage,
        row.phase,
        fixed(row.seconds),
        f"{row.joules:,.1f}{bound}",
        percent(row.share),
        f"{row.tokens:,}" if row.tokens else "",
        digits(row.joules_per_token),
        account.origin,
    ]
    if not compared:
        return cells
    if row.prometheus_joules is None or row.agreement_percent is None:
        return [*cells, "not seen", ""]
    return [*cells, fixed(row.prometheus_joules), f"{row.agreement_percent:.2f} %"]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    lines = ["| " + " | ".join(_text(name) for name in head) + " |"]
    lines.append("|" + "|".join("---" if index < words else "--:" for index in range(len(head))) + "|")
    lines += ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _text(text: str) -> str:
    """Text that neither ends a cell nor a line, nor is read as HTML or a link."""
    for special in "\\|*[]`":
        text = text.replace(special, f"\\{special}")
    return " ".join(text.replace("<", "&lt;").splitlines())
