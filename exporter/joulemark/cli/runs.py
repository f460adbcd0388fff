"""`joulemark runs`: what a ledger holds, and forgetting what is old."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from ..disk.history import run_record
from ..disk.ledger_file import open_for_reading
from ..errors import LedgerError
from .prune import ExporterRuns, LedgerRuns, prune
from .stage import ask
from .text import joules_text, seconds_text


def command(
    run: Annotated[str, typer.Argument(help="One run's full account as JSON; all runs as a table without.")] = "",
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="Read this --state-dir, without a server.", show_default=False)
    ] = None,
    prune_: Annotated[
        bool, typer.Option("--prune", help="Forget old runs for ever; shows them first, until you say --yes.")
    ] = False,
    keep: Annotated[int | None, typer.Option("--keep", min=0, help="With --prune: keep so many newest runs.")] = None,
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", min=0, metavar="DAYS", help="With --prune: only what was last active before."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --prune: do it.")] = False,
) -> None:
    """List the runs of the exporter, show one run's full account, or forget old ones.

    A run that is forgotten leaves /metrics and the ledger; its joules stay in the totals of its devices, so that no
    counter goes down and stages still add up. A run with an open window is never forgotten. To keep a copy of what
    goes: 'joulemark ledger export'. With --ledger the exporter of that folder must be stopped to prune.
    """
    if not prune_ and (yes or keep is not None or older_than is not None):
        raise typer.BadParameter("--keep, --older-than and --yes belong to --prune")
    if run and prune_:
        raise typer.BadParameter("--prune takes no run: --keep and --older-than say which")
    if run:
        Console().print_json(data=_account(run, ledger))
        return
    source = ExporterRuns() if ledger is None else LedgerRuns(ledger)
    if prune_:
        _print(prune(source, keep=keep, older_than_days=older_than, sure=yes))
    else:
        _print(source.listed())


def _account(run: str, ledger: Path | None) -> Any:
    if ledger is None:
        return ask("GET", f"/runs/{quote(run, safe='')}")
    with contextlib.closing(open_for_reading(ledger)) as db:
        record = run_record(db, run)
    if record is None:
        raise LedgerError(f"no run {run!r} in {ledger}: 'joulemark runs --ledger {ledger}' lists them")
    return record


def _print(records: Iterable[Mapping[str, Any]]) -> None:
    table = Table("run", "pipeline", "origin", "seconds", "joules")
    for record in records:
        table.add_row(
            record["run"],
            record["pipeline"] or "",
            record["origin"],
            seconds_text(record["seconds"]),
            joules_text(record),
        )
    Console().print(table)
