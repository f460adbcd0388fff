"""Which runs of a ledger are old enough to be forgotten, and forgetting them without an exporter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..errors import LedgerError, RunInUse
from ..ledger.ledger import Ledger
from .store import Store

DAY_SECONDS = 86_400.0


def to_prune(
    runs: Sequence[Mapping[str, object]],
    held: Collection[str],
    *,
    keep: int | None,
    older_than_days: float | None,
    now: float,
) -> list[str]:
    """The names to forget: all but the `keep` newest, and of those only what was last active so many days ago.

    `runs` are records as the API lists them, newest first; runs that are `held`, by an open window, stay. A bound that
    is None takes nothing away from the others.
    """
    old = [run for run in list(runs)[keep or 0 :] if run["run"] not in held]
    if older_than_days is not None:
        horizon = now - older_than_days * DAY_SECONDS
        old = [run for run in old if _number(run["last_active_at"]) < horizon]
    return [str(run["run"]) for run in old]


def prune_on_disk(folder: Path, names: Sequence[str]) -> list[str]:
    """Forget runs in a ledger that no exporter holds; their joules stay in the totals of its devices.

    Returns those that stay, as their last joules are not settled; raises LedgerError when nothing could be written.
    """
    store = Store(folder)
    try:
        ledger = Ledger(store.load(0, None), recall=store.recall)
        unsettled = [name for name in names if not _prune(ledger, name)]
        if not store.journal.wait(store.save(ledger.changes)):
            raise LedgerError(f"{store.path} cannot be written: free space or make the disk writable, then again")
        return unsettled
    finally:
        store.close()


def _prune(ledger: Ledger, name: str) -> bool:
    try:
        ledger.runs.prune(name)
    except RunInUse:
        return False
    return True


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
