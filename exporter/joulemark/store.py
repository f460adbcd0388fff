"""The ledger on disk: one SQLite file in WAL mode, one writer, every commit durable before it is answered."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from .attribution import DeviceAccount
from .errors import LedgerError
from .ledger import Ledger
from .sources.base import Device
from .state import Run, State
from .ticks import Tick
from .windows import OPEN_STATES, SeriesKey, Totals, Window

FILE_NAME = "ledger.sqlite"
SCHEMA_VERSION = 2
# What brings a file of one version to the next.
_MIGRATIONS = {1: "ALTER TABLE device ADD COLUMN unsettled TEXT NOT NULL DEFAULT '{}';"}

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE device (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT NOT NULL, model TEXT NOT NULL, driver TEXT NOT NULL,
    epoch TEXT NOT NULL, modelled INTEGER NOT NULL, joules REAL NOT NULL, gap_seconds REAL NOT NULL,
    counter_joules REAL, settled_steady REAL, unsettled TEXT NOT NULL DEFAULT '{}');
CREATE TABLE run (
    run TEXT PRIMARY KEY, created_at REAL NOT NULL, last_active_at REAL NOT NULL, origin TEXT NOT NULL,
    declared TEXT NOT NULL);
CREATE TABLE window (
    id TEXT PRIMARY KEY, run TEXT NOT NULL, stage TEXT NOT NULL, phase TEXT NOT NULL, devices TEXT NOT NULL,
    state TEXT NOT NULL, share INTEGER NOT NULL, shared INTEGER NOT NULL, parent TEXT, started_at REAL NOT NULL,
    ended_at REAL, lease_seconds REAL, lease_until REAL, running_since REAL, totals TEXT NOT NULL);
CREATE INDEX window_by_run ON window (run, started_at);
CREATE INDEX window_by_state ON window (state);
CREATE TABLE series (
    run TEXT NOT NULL, stage TEXT NOT NULL, phase TEXT NOT NULL,
    totals TEXT NOT NULL, PRIMARY KEY (run, stage, phase));
CREATE TABLE score (
    run TEXT NOT NULL, benchmark TEXT NOT NULL, score REAL NOT NULL, reference REAL, n INTEGER,
    PRIMARY KEY (run, benchmark));
CREATE TABLE artifact (
    run TEXT NOT NULL, artifact TEXT NOT NULL, kind TEXT NOT NULL, role TEXT NOT NULL,
    PRIMARY KEY (run, artifact, role));
"""


class Store:
    """Reads and writes the ledger file; holds the folder's lock so that no second writer can come."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._lock = _lock(folder)
        self._db = _connect(self.path)
        try:
            self._prepare()
        except LedgerError:
            self.close()
            raise

    def load(self, keep_runs: int, boot: str) -> State:
        """The state to go on from: all devices, open windows, and the newest runs with their series."""
        state = State(accounts=dict(self._accounts()))
        names = [
            r[0] for r in self._db.execute("SELECT run FROM run ORDER BY last_active_at DESC LIMIT ?", (keep_runs,))
        ]
        marks = ",".join("?" * len(OPEN_STATES))
        for row in self._db.execute(f"SELECT * FROM window WHERE state IN ({marks})", OPEN_STATES):  # noqa: S608
            window = _window(row)
            state.windows[window.id] = window
            names.append(window.key.run)
        for name in {*names, ""}:
            known = self.recall(name)
            if known:
                state.runs[name] = known[0]
            state.series.update(known[1] if known else self._series(name))
        for row in self._db.execute("SELECT run, totals FROM series"):
            if row["run"] and row["run"] not in state.runs:
                state.retire(totals_from(row["totals"]))
        row = self._db.execute("SELECT value FROM meta WHERE key = 'windows_expired'").fetchone()
        state.windows_expired = int(row[0]) if row else 0
        if self.boot is not None and self.boot != boot:
            _end_leases(state)
        return state

    def recall(self, name: str) -> tuple[Run, dict[SeriesKey, Totals]] | None:
        """A run with its totals by series, None when it is not on disk."""
        row = self._db.execute("SELECT * FROM run WHERE run = ?", (name,)).fetchone()
        return (_run(row), self._series(name)) if row else None

    def save(self, ledger: Ledger, boot: str) -> None:
        """Commit all that changed since the last save, in one transaction."""
        state = ledger.state
        series = [key for key in ledger.dirty_series if key in state.series]
        with self._transaction() as db:
            db.executemany(_INSERT_DEVICE, [_device_row(account) for account in state.accounts.values()])
            db.executemany(_INSERT_RUN, [_run_row(state.runs[name]) for name in ledger.dirty_runs])
            db.executemany(_INSERT_WINDOW, [_window_row(state.windows[x]) for x in ledger.dirty_windows])
            db.executemany(_INSERT_SERIES, [(*key, _totals_text(state.series[key])) for key in series])
            meta = {"boot": boot, "windows_expired": str(state.windows_expired)}
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())
        ledger.dirty_windows.clear()
        ledger.dirty_series.clear()
        ledger.dirty_runs.clear()

    def add_score(self, run: str, benchmark: str, score: float, reference: float | None, n: int | None) -> None:
        """Keep a run's score of a benchmark; a later one replaces it."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO score VALUES (?, ?, ?, ?, ?)", (run, benchmark, score, reference, n))

    def add_artifact(self, run: str, artifact: str, kind: str, role: str) -> None:
        """Keep that a run produced or consumed an artifact."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO artifact VALUES (?, ?, ?, ?)", (run, artifact, kind, role))

    def window(self, window_id: str) -> Window | None:
        """A window from disk, None when there is none of this id."""
        row = self._db.execute("SELECT * FROM window WHERE id = ?", (window_id,)).fetchone()
        return _window(row) if row else None

    def windows(self, limit: int, run: str | None) -> list[Window]:
        """The windows that began last, newest first; of one run, or of all."""
        where, order = ("WHERE run = ?", "started_at") if run is not None else ("", "rowid")
        rows = self._db.execute(
            f"SELECT * FROM window {where} ORDER BY {order} DESC LIMIT ?",  # noqa: S608
            (limit,) if run is None else (run, limit),
        )
        return sorted(map(_window, rows), key=lambda window: window.started_at, reverse=True)

    @property
    def boot(self) -> str | None:
        """The boot during which it was last saved, None for a new one."""
        row = self._db.execute("SELECT value FROM meta WHERE key = 'boot'").fetchone()
        return str(row[0]) if row else None

    @property
    def ledger_id(self) -> str:
        """What tells this ledger from all others, for as long as it exists."""
        return str(self._db.execute("SELECT value FROM meta WHERE key = 'ledger_id'").fetchone()[0])

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for reading what `history` reads."""
        return self._db

    def close(self) -> None:
        """Close the file and give the folder free."""
        self._db.close()
        self._lock.close()

    def _prepare(self) -> None:
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                self._db.executescript(_SCHEMA)
                self._db.execute("INSERT INTO meta VALUES ('schema_version', ?)", (str(SCHEMA_VERSION),))
            # Made once: whoever scrapes it, and wherever it moves, this ledger is told from others by its id.
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('ledger_id', ?)", (uuid.uuid4().hex,))
            self._migrate()
            check_schema(self._db, self.path, oldest=SCHEMA_VERSION)
        except sqlite3.DatabaseError as error:
            raise LedgerError(
                f"{self.path} is not a usable ledger ({error}): move it away to start a new one"
            ) from error

    def _migrate(self) -> None:
        """Bring an older file to this version, all or nothing."""
        for version in range(_version(self._db), SCHEMA_VERSION):
            if version in _MIGRATIONS:
                with self._transaction() as db:
                    db.execute(_MIGRATIONS[version])
                    db.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(version + 1),))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _accounts(self) -> Iterable[tuple[str, DeviceAccount]]:
        for row in self._db.execute("SELECT * FROM device"):
            device = Device(
                name=row["name"], key=row["key"], source=row["source"], model=row["model"],
                driver=row["driver"], epoch=row["epoch"], modelled=bool(row["modelled"]),
            )  # fmt: skip
            yield row["key"], _account(device, row)

    def _series(self, run: str) -> dict[SeriesKey, Totals]:
        rows = self._db.execute("SELECT * FROM series WHERE run = ?", (run,))
        return {SeriesKey(r["run"], r["stage"], r["phase"]): totals_from(r["totals"]) for r in rows}


def check_schema(db: sqlite3.Connection, path: Path, oldest: int = 1) -> None:
    """Raise LedgerError unless the file is of a version that can be read."""
    version = _version(db)
    if not oldest <= version <= SCHEMA_VERSION:
        raise LedgerError(
            f"{path} has schema version {version}, this joulemark reads {SCHEMA_VERSION}: "
            "use the joulemark that wrote it, or another --state-dir"
        )


def open_for_reading(folder: Path) -> sqlite3.Connection:
    """A read-only connection to the ledger in `folder`; raises LedgerError where there is none."""
    path = folder / FILE_NAME
    if not path.exists():
        raise LedgerError(f"no ledger at {path}: name the --state-dir that 'joulemark serve' runs with")
    try:
        db = _connect(path, mode="ro" if os.access(folder, os.W_OK) else "ro&immutable=1")
        check_schema(db, path)
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{path} cannot be read as a ledger: {error}") from error
    return db


def totals_from(text: str) -> Totals:
    """Totals as stored; those of schema version 1 knew a bound alone."""
    fields = json.loads(text)
    if "uncertainty_joules" in fields:
        fields["bound_joules"] = fields.pop("uncertainty_joules")
    return Totals(**fields)


_INSERT_DEVICE = "INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_RUN = "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?)"
_INSERT_WINDOW = "INSERT OR REPLACE INTO window VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_SERIES = (
    "INSERT INTO series (run, stage, phase, totals) VALUES (?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET totals = excluded.totals"
)


def _lock(folder: Path) -> TextIO:
    """Hold the folder for this process alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise LedgerError(f"{folder} cannot be used ({error}): name another folder by --state-dir") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise LedgerError(
            f"{folder} is in use by another exporter: stop it, or give this one its own --state-dir"
        ) from error
    return lock


def _connect(path: Path, mode: str = "rwc") -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=5)
    db.row_factory = sqlite3.Row
    return db


def _totals_text(totals: Totals) -> str:
    return json.dumps(vars(totals))


def _version(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    return int(row[0]) if row else 0


def _device_row(account: DeviceAccount) -> tuple[Any, ...]:
    d, settled = account.device, account.settled
    unsettled = {
        "spread": settled.spread if settled else None,
        "holders": account.holders_settled,
        "boundaries": account.boundaries,
        "seen": account.steady,
    }
    return (
        d.key, d.name, d.source, d.model, d.driver, d.epoch, d.modelled, account.total_joules, account.gap_seconds,
        settled.joules if settled else None, settled.at if settled else None, json.dumps(unsettled),
    )  # fmt: skip


def _account(device: Device, row: sqlite3.Row) -> DeviceAccount:
    unsettled = json.loads(row["unsettled"])
    settled = None
    if row["counter_joules"] is not None:
        settled = Tick(row["settled_steady"], unsettled.get("spread") or 0.0, row["counter_joules"])
    return DeviceAccount(
        device, row["joules"], row["gap_seconds"], settled, tuple(unsettled.get("holders", ())),
        [(at, tuple(holders)) for at, holders in unsettled.get("boundaries", ())],
        steady=unsettled.get("seen", row["settled_steady"]),
    )  # fmt: skip


def _run_row(run: Run) -> tuple[Any, ...]:
    return run.name, run.created_at, run.last_active_at, run.origin, json.dumps(run.declared)


def _run(row: sqlite3.Row) -> Run:
    return Run(row["run"], row["created_at"], row["last_active_at"], row["origin"], json.loads(row["declared"]))


def _window_row(x: Window) -> tuple[Any, ...]:
    return (
        x.id, *x.key, json.dumps(x.devices), x.state, x.share, x.shared, x.parent, x.started_at, x.ended_at,
        x.lease_seconds, x.lease_until, x.running_since, _totals_text(x.totals),
    )  # fmt: skip


def _window(row: sqlite3.Row) -> Window:
    return Window(
        id=row["id"], key=SeriesKey(row["run"], row["stage"], row["phase"]), devices=json.loads(row["devices"]),
        started_at=row["started_at"], state=row["state"], share=bool(row["share"]), shared=bool(row["shared"]),
        parent=row["parent"], lease_seconds=row["lease_seconds"], lease_until=row["lease_until"],
        ended_at=row["ended_at"], running_since=row["running_since"], totals=totals_from(row["totals"]),
    )  # fmt: skip


def _end_leases(state: State) -> None:
    """After a reboot steady time starts anew: leases have ended, windows without one run on from now."""
    for window in state.windows.values():
        window.running_since = None
        if window.lease_seconds is not None:
            window.lease_until = float("-inf")
