"""`joulemark runs`: what the exporter's ledger holds."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from .stage import ask
from .text import joules_text, seconds_text


def command(
    run: Annotated[str, typer.Argument(help="One run's full account as JSON; all runs as a table without.")] = "",
) -> None:
    """List the runs of the exporter, or show one run's full account."""
    if run:
        Console().print_json(data=ask("GET", f"/runs/{quote(run, safe='')}"))
        return
    table = Table("run", "pipeline", "origin", "seconds", "joules")
    for record in ask("GET", "/runs"):
        table.add_row(
            record["run"],
            record["pipeline"] or "",
            record["origin"],
            seconds_text(record["seconds"]),
            joules_text(record),
        )
    Console().print(table)
