"""`joulemark report`: where the joules of some runs went, as a table, a file, or a page with pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console

from ..errors import UnknownName
from ..history import list_runs, run_record
from ..prometheus_runs import runs_of, stage_joules
from ..report import accounts_of, write_report
from ..report.table import print_table
from ..report.tabular import FORMATS
from ..store import open_for_reading
from .stage import ask


def command(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs to report; all when left out.")] = None,
    url: Annotated[str, typer.Option("--url", help="The exporter; JOULEMARK_URL when left out.")] = "",
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="Read this --state-dir instead, without a server.")
    ] = None,
    prometheus: Annotated[
        str, typer.Option("--prometheus", help="URL of a Prometheus to compare the ledger with.")
    ] = "",
    format_: Annotated[str, typer.Option("--format", help="table, csv, json or md.")] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for index.html and pictures ([report] extra).")
    ] = None,
) -> None:
    """Report runs: stages, joules with their uncertainty, shares, tokens, joules per token."""
    if format_ != "table" and format_ not in FORMATS:
        raise typer.BadParameter(f"--format {format_}: use table, {', '.join(FORMATS)}")
    if url:
        os.environ["JOULEMARK_URL"] = url
    records = _from_ledger(ledger) if ledger else _from_exporter()
    names = runs or sorted(records)
    for name in names:
        if name not in records:
            known = ", ".join(sorted(records)) or "none yet"
            raise UnknownName(f"no run {name!r} here; known: {known}", remedy="name one of the known runs")
    seen = stage_joules(runs_of(prometheus, names).values()) if prometheus and names else None
    accounts = accounts_of(names, records, seen)
    if format_ == "table":
        print_table(accounts, Console(width=None if os.isatty(1) else 150))
    else:
        typer.echo(FORMATS[format_](accounts), nl=False)
    if output:
        for path in write_report(accounts, output, ("html",) if format_ == "table" else ("html", format_)):
            typer.echo(f"wrote {path}", err=True)


def _from_exporter() -> dict[str, dict[str, Any]]:
    names = [record["run"] for record in ask("GET", "/runs")]
    return {name: ask("GET", f"/runs/{quote(name, safe='')}") for name in names}


def _from_ledger(folder: Path) -> dict[str, dict[str, Any]]:
    db = open_for_reading(folder)
    try:
        names = [str(record["run"]) for record in list_runs(db)]
        return {name: run_record(db, name) or {} for name in names}
    finally:
        db.close()
