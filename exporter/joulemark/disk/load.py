"""From the ledger on disk to the state that the exporter goes on from."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Iterable
from fractions import Fraction

from ..ledger.bookings import UNCLAIMED
from ..ledger.idempotency import REMEMBERED
from ..ledger.state import Run, State
from ..ledger.windows import OPEN_STATES, SeriesKey, Totals
from . import rows

log = logging.getLogger(__name__)


def load(db: sqlite3.Connection, keep_runs: int, boot: str | None) -> State:
    """All devices, the windows to which energy may still be booked, and the runs that are on /metrics.

    `boot` None takes the state as it was left, whatever has happened to the machine since.
    """
    state = State()
    meta = {row["key"]: row["value"] for row in db.execute("SELECT key, value FROM meta")}
    state.counts = rows.counts_of(meta)
    for row in db.execute("SELECT * FROM device"):
        rows.add_device(state, row)
    _load_windows(db, state)
    _load_runs(db, state, keep_runs)
    _load_retired(db, state)
    newest = db.execute("SELECT * FROM request ORDER BY rowid DESC LIMIT ?", (REMEMBERED,)).fetchall()
    state.answered = {row["key"]: rows.answered_of(row) for row in reversed(newest)}
    state.ledger_id = meta.get("ledger_id", "")
    state.boot = meta.get("boot", "") if boot is None else boot
    state.rebooted = meta.get("boot", state.boot) != state.boot
    if state.rebooted:
        _end_leases(state)
    _balance(state)
    return state


def recall(db: sqlite3.Connection, name: str) -> tuple[Run, dict[SeriesKey, Totals]] | None:
    """A run with its totals by series, None when it is not in the ledger."""
    row = db.execute("SELECT * FROM run WHERE run = ?", (name,)).fetchone()
    if row is None:
        return None
    run = rows.run_of(row)
    for score in db.execute("SELECT * FROM score WHERE run = ?", (name,)):
        rows.add_score(run, score)
    for artifact in db.execute("SELECT * FROM artifact WHERE run = ?", (name,)):
        rows.add_artifact(run, artifact)
    return run, _series(db, name)


def _load_windows(db: sqlite3.Connection, state: State) -> None:
    """The open windows, and those that ended within the tick that was not settled yet."""
    marks = ",".join("?" * len(OPEN_STATES))
    found = db.execute(f"SELECT * FROM window WHERE state IN ({marks})", OPEN_STATES).fetchall()  # noqa: S608
    accounts = state.accounts.values()
    for holder in {x for a in accounts for held in a.hand_overs.all for x in held}:
        found += db.execute("SELECT * FROM window WHERE id = ?", (holder,)).fetchall()
    for row in found:
        window = rows.window_of(row)
        state.windows[window.id] = window


def _load_runs(db: sqlite3.Connection, state: State, keep_runs: int) -> None:
    """The runs that have not left /metrics, and as many of the newest as are wanted on it."""
    newest = [
        row["run"] for row in db.execute("SELECT run FROM run ORDER BY last_active_at DESC LIMIT ?", (keep_runs,))
    ]
    shown = [row["run"] for row in db.execute("SELECT run FROM run WHERE NOT retired")]
    for name in {*newest, *shown, *(window.key.run for window in state.windows.values())}:
        found = recall(db, name)
        if found is not None:
            run, series = found
            if run.retired:
                # Asked for a longer page than before: `retired` becomes less, and goes on under another name.
                state.counts.comebacks += 1
                run.retired = False
            state.runs[name] = run
            state.series.update(series)
    state.series.update(_series(db, UNCLAIMED.run))


def _load_retired(db: sqlite3.Connection, state: State) -> None:
    for row in db.execute("SELECT run, totals FROM series WHERE run != ''"):
        if row["run"] not in state.runs:
            state.retire(rows.totals_from(row["totals"]))
    for row in db.execute("SELECT * FROM pruned"):
        state.pruned[row["device"]] = rows.joules_of(row)
        state.retired[row["device"]] = state.retired.get(row["device"], Fraction(0)) + state.pruned[row["device"]]


def _series(db: sqlite3.Connection, run: str) -> dict[SeriesKey, Totals]:
    found: Iterable[sqlite3.Row] = db.execute("SELECT * FROM series WHERE run = ?", (run,))
    return {rows.key_of(row): rows.totals_from(row["totals"]) for row in found}


def _balance(state: State) -> None:
    """Make stages add up to their device: what an older copy of the ledger does not know of is unattributed."""
    for key, account in state.accounts.items():
        known = math.fsum(totals.joules.get(key, 0.0) for totals in state.series.values())
        missing = account.total_joules - known - float(state.retired.get(key, 0))
        if abs(missing) <= 1e-9 * max(1.0, account.total_joules):
            continue
        log.warning("device=%s joules=%g of the device are in no stage: booked as unattributed", key, missing)
        state.counts.comebacks += 1
        if missing > 0:
            unclaimed = state.series.setdefault(UNCLAIMED, Totals()).joules
            unclaimed[key] = unclaimed.get(key, 0.0) + missing
        else:
            account.total_joules -= missing


def _end_leases(state: State) -> None:
    """After a reboot steady time starts anew: leases have ended, windows without one run on from now."""
    for window in state.windows.values():
        window.running_since = None
        if window.lease_seconds is not None:
            window.lease_until = 0.0
