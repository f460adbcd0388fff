"""The report for other programs: CSV, JSON, Markdown; figures in full precision where a program reads them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields

from .rows import Account, Row
from .table import footnotes

_COLUMNS = [field.name for field in fields(Row)]


def to_csv(accounts: Sequence[Account]) -> str:
    """One line a stage; numbers in full precision, nothing where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_COLUMNS, "origin"])
    for account in accounts:
        for row in account.rows:
            writer.writerow([*("" if value is None else value for value in asdict(row).values()), account.origin])
    return out.getvalue()


def to_json(accounts: Sequence[Account]) -> str:
    """Every account as it is."""
    return json.dumps([asdict(account) for account in accounts], indent=1) + "\n"


def to_markdown(accounts: Sequence[Account]) -> str:
    """A table to paste, with its footnotes."""
    head = ["run", "stage", "phase", "seconds", "joules", "share", "tokens", "J/token", "origin"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for account in accounts:
        for row in (*account.rows, account.total):
            cells = [
                row.run, row.stage, row.phase, f"{row.seconds:.1f}",
                f"{row.joules:,.1f} ± {row.uncertainty_joules:,.1f}",
                "" if row.share is None else f"{100 * row.share:.1f} %",
                f"{row.tokens:,}" if row.tokens else "",
                "" if row.joules_per_token is None else f"{row.joules_per_token:.3g}", account.origin,
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {line}" for line in footnotes(accounts))]) + "\n"


FORMATS: Mapping[str, Callable[[Sequence[Account]], str]] = {"csv": to_csv, "json": to_json, "md": to_markdown}
