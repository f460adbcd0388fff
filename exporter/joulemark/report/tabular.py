"""The report for other programs: CSV, JSON, Markdown; figures in full precision where a program reads them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields

from .notes import footnotes
from .rows import Account, Row

_COLUMNS = [field.name for field in fields(Row)]


def to_csv(accounts: Sequence[Account]) -> str:
    """One line a stage; numbers in full precision, nothing where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_COLUMNS, "agreement_percent", "origin"])
    for account in accounts:
        for row in account.rows:
            values = [*asdict(row).values(), row.agreement_percent, account.origin]
            writer.writerow(["" if value is None else value for value in values])
    return out.getvalue()


def to_json(accounts: Sequence[Account]) -> str:
    """Every account as it is, with the figures that follow from it."""
    return json.dumps([_account(account) for account in accounts], indent=1, allow_nan=False) + "\n"


def to_markdown(accounts: Sequence[Account]) -> str:
    """A table to paste, with its footnotes."""
    compared = any(account.compared for account in accounts)
    head = ["run", "stage", "phase", "seconds", "joules", "share", "tokens", "J/token", "origin"]
    head += ["Prometheus J", "agreement"] if compared else []
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for account in accounts:
        for row in (*account.rows, account.total):
            cells = _markdown_cells(row, account.origin)
            cells += _markdown_comparison(row) if compared else []
            lines.append("| " + " | ".join(_markdown(cell) for cell in cells) + " |")
    return "\n".join([*lines, "", *(f"- {_markdown(line)}" for line in footnotes(accounts))]) + "\n"


def _account(account: Account) -> dict[str, object]:
    return {
        **asdict(account),
        "rows": [_row(row) for row in account.rows],
        "total": _row(account.total),
        "teacher_joules": account.teacher_joules,
        "teacher_share": account.teacher_share,
    }


def _row(row: Row) -> dict[str, object]:
    return {**asdict(row), "agreement_percent": row.agreement_percent}


def _markdown_cells(row: Row, origin: str) -> list[str]:
    return [
        row.run,
        row.stage,
        row.phase,
        "" if row.seconds is None else f"{row.seconds:.1f}",
        _joules(row),
        "" if row.share is None else f"{100 * row.share:.1f} %",
        f"{row.tokens:,}" if row.tokens else "",
        "" if row.joules_per_token is None else f"{row.joules_per_token:.3g}",
        origin,
    ]


def _joules(row: Row) -> str:
    bound = "" if row.uncertainty_joules is None else f" ± {row.uncertainty_joules:,.1f}"
    return f"{row.joules:,.1f}{bound}"


def _markdown_comparison(row: Row) -> list[str]:
    if row.prometheus_joules is None or row.agreement_percent is None:
        return ["not seen", ""]
    return [f"{row.prometheus_joules:,.1f}", f"{row.agreement_percent:.2f} %"]


def _markdown(text: str) -> str:
    """Text that neither ends a cell nor a line, nor is read as HTML."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").splitlines())


FORMATS: Mapping[str, Callable[[Sequence[Account]], str]] = {"csv": to_csv, "json": to_json, "md": to_markdown}
