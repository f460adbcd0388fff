"""`joulemark import`: figures of others beside one's own, each marked with where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..imports import Booked, ImportedRun, book
from ..imports.paper import paper_runs
from ..settings import default_state_dir

app = typer.Typer(
    no_args_is_help=True,
    help="Bring figures of others into a ledger as runs, each marked with its origin. The exporter of that ledger must "
    "be stopped meanwhile; started again, it shows them on /metrics. Importing twice changes nothing.",
)
StateDir = Annotated[Path | None, typer.Option("--state-dir", help="The ledger's folder, as of 'joulemark serve'.")]
Prefix = Annotated[str, typer.Option("--prefix", help="Put this before the names of the runs.")]


@app.command("paper")
def paper(state_dir: StateDir = None, prefix: Prefix = "") -> None:
    """The published tables of arXiv 2605.13981, to see one's own points beside the paper's. Origin: published."""
    _book(paper_runs(), state_dir, prefix)


def _book(runs: Sequence[ImportedRun], state_dir: Path | None, prefix: str) -> None:
    folder = state_dir or default_state_dir()
    named = [replace(run, name=prefix + run.name) for run in runs]
    _tell(book(named, folder), folder, {run.name: run.origin for run in named})


def _tell(booked: Booked, folder: Path, origins: dict[str, str]) -> None:
    for name in booked.added:
        typer.echo(f"{name} ({origins[name]})")
    told = f"{len(booked.added)} runs added to {folder}"
    typer.echo(told + (f", {len(booked.unchanged)} were there already" if booked.unchanged else ""), err=True)
