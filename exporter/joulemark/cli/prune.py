"""`joulemark runs --prune`: shows which runs are old enough to be forgotten, and forgets them when told to."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import typer

from ..disk.history import list_runs
from ..disk.ledger_file import open_for_reading
from ..disk.prune import prune_on_disk, to_prune
from ..errors import CallRefused
from ..ledger.windows import OPEN_STATES
from .stage import ask

MOST_RUNS = 100_000
_CONFLICT = 409
Record = Mapping[str, object]


class Runs(Protocol):
    """Where runs are listed and forgotten."""

    def listed(self) -> Sequence[Record]:
        """All runs, newest first."""
        ...

    def held(self) -> set[str]:
        """The runs that have an open window."""
        ...

    def forget(self, names: Sequence[str]) -> list[str]:
        """Forget them; returns those that must stay, as their last joules are not settled."""
        ...


class ExporterRuns:
    """Those of the running exporter that JOULEMARK_URL names."""

    def listed(self) -> Sequence[Record]:
        found: list[Record] = ask("GET", f"/runs?limit={MOST_RUNS}")
        return found

    def held(self) -> set[str]:
        return {window["run"] for window in ask("GET", "/stage")}

    def forget(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if not self._forget(name)]

    def _forget(self, name: str) -> bool:
        try:
            ask("DELETE", f"/runs/{quote(name, safe='')}")
        except CallRefused as error:
            if error.status != _CONFLICT:
                raise
            return False
        return True


@dataclass(frozen=True)
class LedgerRuns:
    """Those of a ledger on disk, which no exporter may hold while they are forgotten."""

    folder: Path

    def listed(self) -> Sequence[Record]:
        with contextlib.closing(open_for_reading(self.folder)) as db:
            return list_runs(db, MOST_RUNS)

    def held(self) -> set[str]:
        marks = ",".join("?" * len(OPEN_STATES))
        with contextlib.closing(open_for_reading(self.folder)) as db:
            found = db.execute(f"SELECT DISTINCT run FROM window WHERE state IN ({marks})", OPEN_STATES)  # noqa: S608
            return {row["run"] for row in found}

    def forget(self, names: Sequence[str]) -> list[str]:
        return prune_on_disk(self.folder, names)


def prune(runs: Runs, *, keep: int | None, older_than_days: float | None, sure: bool) -> Sequence[Record]:
    """The runs to forget, which are forgotten where one is sure; says on stderr what was done, or would be.

    Raises typer.BadParameter where no bound is named: nobody means all of them.
    """
    if keep is None and older_than_days is None:
        raise typer.BadParameter("--prune needs a bound: --keep RUNS, --older-than DAYS, or both")
    listed = runs.listed()
    names = to_prune(listed, runs.held(), keep=keep, older_than_days=older_than_days, now=time.time())
    leaving = [run for run in listed if run["run"] in set(names)]
    stay = len(listed) - len(leaving)
    if not leaving:
        typer.echo(f"nothing to prune: all {stay} runs stay", err=True)
    elif not sure:
        typer.echo(
            f"{len(leaving)} runs would be forgotten for ever, {stay} stay; the joules stay in the totals of their "
            "devices. Nothing is done yet: say --yes",
            err=True,
        )
    else:
        _forget(runs, names, stay)
    return leaving


def _forget(runs: Runs, names: Sequence[str], stay: int) -> None:
    unsettled = runs.forget(names)
    typer.echo(f"{len(names) - len(unsettled)} runs pruned, {stay + len(unsettled)} stay", err=True)
    if unsettled:
        typer.echo(f"not settled yet, prune them in a moment: {', '.join(unsettled)}", err=True)
