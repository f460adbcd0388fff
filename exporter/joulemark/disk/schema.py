"""The tables of the ledger, and how an older file is brought to them."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from pathlib import Path

from ..errors import LedgerError
from .batch import TABLES

SCHEMA_VERSION = 4

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE device (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT NOT NULL, model TEXT NOT NULL, driver TEXT NOT NULL,
    epoch TEXT NOT NULL, modelled INTEGER NOT NULL, joules REAL NOT NULL, gap_seconds REAL NOT NULL,
    counter_joules REAL, settled_steady REAL, unsettled TEXT NOT NULL DEFAULT '{}', reads INTEGER NOT NULL DEFAULT 0,
    errors TEXT NOT NULL DEFAULT '{}', breaks TEXT NOT NULL DEFAULT '{}', seen_at REAL);
CREATE TABLE pruned (device TEXT PRIMARY KEY, joules TEXT NOT NULL);
CREATE TABLE run (
    run TEXT PRIMARY KEY, created_at REAL NOT NULL, last_active_at REAL NOT NULL, origin TEXT NOT NULL,
    declared TEXT NOT NULL, retired INTEGER NOT NULL DEFAULT 0);
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
    stderr REAL, PRIMARY KEY (run, benchmark));
CREATE TABLE artifact (
    run TEXT NOT NULL, artifact TEXT NOT NULL, kind TEXT NOT NULL, role TEXT NOT NULL,
    PRIMARY KEY (run, artifact, role));
CREATE TABLE request (key TEXT PRIMARY KEY, asked TEXT NOT NULL, window TEXT NOT NULL, ended TEXT NOT NULL);
CREATE INDEX run_by_age ON run (last_active_at);
CREATE INDEX window_by_start ON window (started_at);
"""

# What brings a file of one version to the next. Columns are added last, as rows are written by position.
_MIGRATIONS = {
    1: "ALTER TABLE device ADD COLUMN unsettled TEXT NOT NULL DEFAULT '{}';",
    # Version 2 showed the 20 newest runs unless told otherwise: as many stay on /metrics.
    2: """
ALTER TABLE device ADD COLUMN reads INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN errors TEXT NOT NULL DEFAULT '{}';
ALTER TABLE device ADD COLUMN breaks TEXT NOT NULL DEFAULT '{}';
ALTER TABLE device ADD COLUMN seen_at REAL;
ALTER TABLE run ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;
UPDATE run SET retired = run NOT IN (SELECT run FROM run ORDER BY last_active_at DESC LIMIT 20)
    AND run NOT IN (SELECT run FROM window WHERE state IN ('active', 'suspended'));
CREATE TABLE pruned (device TEXT PRIMARY KEY, joules TEXT NOT NULL);
CREATE TABLE request (key TEXT PRIMARY KEY, asked TEXT NOT NULL, window TEXT NOT NULL, ended TEXT NOT NULL);
CREATE INDEX run_by_age ON run (last_active_at);
CREATE INDEX window_by_start ON window (started_at);
""",
    3: "ALTER TABLE score ADD COLUMN stderr REAL;",
}


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or bring those of an older version up to date: all or nothing."""
    version = version_of(db)
    if version is None:
        _change(db, _TABLES, SCHEMA_VERSION)
        version = SCHEMA_VERSION
    check_version(version, path)
    while version < SCHEMA_VERSION:
        _change(db, _MIGRATIONS[version], version + 1)
        version += 1
    if not db.execute("SELECT 1 FROM meta WHERE key = 'ledger_id'").fetchone():
        # Made once: whoever scrapes it, and wherever it moves, this ledger is told from others by its id.
        db.execute("INSERT INTO meta VALUES ('ledger_id', ?)", (uuid.uuid4().hex,))


def version_of(db: sqlite3.Connection) -> int | None:
    """The schema version of a file, None when it holds no ledger yet."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        return None
    row = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    return int(row[0]) if row else 0


def check_version(version: int | None, path: Path) -> None:
    """Raise LedgerError unless the file is of a version that can be brought up to date."""
    if version is None or not 1 <= version <= SCHEMA_VERSION:
        raise LedgerError(
            f"{path} has schema version {version}, this joulemark reads 1 to {SCHEMA_VERSION}: "
            "use the joulemark that wrote it, or another --state-dir"
        )


def _table_columns() -> dict[str, list[sqlite3.Row]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        _change(db, _TABLES, SCHEMA_VERSION)
        return {table: db.execute(f"PRAGMA table_info({table})").fetchall() for table in TABLES}


def _change(db: sqlite3.Connection, script: str, version: int) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in script.split(";\n"):
            if statement.strip():
                db.execute(statement)
        db.execute("INSERT OR REPLACE INTO meta VALUES ('schema_version', ?)", (str(version),))
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


# Of every table: its columns in order, and those that name a row.
COLUMNS = {table: tuple(str(x["name"]) for x in columns) for table, columns in _table_columns().items()}
KEYS = {table: tuple(str(x["name"]) for x in columns if x["pk"]) for table, columns in _table_columns().items()}
