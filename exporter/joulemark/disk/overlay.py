"""Rows that are not on disk yet, laid over the tables of a connection: whoever reads it sees both as one."""

from __future__ import annotations

import sqlite3

from .batch import RUN_COLUMN, Batch
from .schema import COLUMNS, KEYS


def lay_over(db: sqlite3.Connection, batch: Batch) -> None:
    """Make every query on this connection see the tables as they will be once the batch is written."""
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("CREATE TEMP TABLE forgotten (run TEXT PRIMARY KEY)")
    db.executemany("INSERT INTO forgotten VALUES (?)", [(run,) for run in batch.forgotten])
    for table, rows in batch.rows.items():
        newer = [row for row in rows.values() if row is not None]
        if newer or (batch.forgotten and table in RUN_COLUMN):
            _lay_over_table(db, table)
            places = ", ".join("?" * len(COLUMNS[table]))
            db.executemany(f"INSERT INTO newer_{table} VALUES ({places})", newer)  # noqa: S608  our own table names


def _lay_over_table(db: sqlite3.Connection, table: str) -> None:
    """A temporary view hides the table of its name."""
    keys = ", ".join(KEYS[table])
    kept = f"SELECT * FROM main.{table} WHERE ({keys}) NOT IN (SELECT {keys} FROM newer_{table})"  # noqa: S608
    if table in RUN_COLUMN:
        kept += " AND run NOT IN (SELECT run FROM forgotten)"
    db.execute(f"CREATE TEMP TABLE newer_{table} AS SELECT * FROM main.{table} LIMIT 0")  # noqa: S608
    db.execute(f"CREATE TEMP VIEW {table} AS SELECT * FROM newer_{table} UNION ALL {kept}")  # noqa: S608
