"""A ledger as JSON lines: every row of every table, so that what is imported is what was exported, to the last bit.

The first line names format and schema, each other line is one row by its columns: `{"run": {"run": "kd-1", …}}`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ..errors import LedgerError
from .batch import TABLES
from .good_copy import size_of
from .ledger_file import LedgerFile
from .schema import COLUMNS, KEYS, SCHEMA_VERSION, check_version, version_of

FORMAT = 1
# What a new ledger has before anything is in it.
_OF_THE_FILE = ("schema_version",)


def export_lines(db: sqlite3.Connection, path: Path) -> Iterator[str]:
    """Every row of the ledger as one line of JSON, the same ledger always the same lines."""
    version = version_of(db)
    check_version(version, path)
    if version != SCHEMA_VERSION:
        raise LedgerError(f"{path} was written by an earlier joulemark: start 'joulemark serve' on it once, then again")
    db.execute("BEGIN")
    yield _line({"joulemark_ledger": FORMAT, "schema_version": SCHEMA_VERSION})
    for table in TABLES:
        order = "rowid" if table == "request" else ", ".join(KEYS[table])
        for row in db.execute(f"SELECT * FROM {table} ORDER BY {order}"):  # noqa: S608  our own table names
            if table != "meta" or row["key"] not in _OF_THE_FILE:
                yield _line({table: dict(zip(COLUMNS[table], row, strict=True))})
    db.execute("COMMIT")


def import_lines(lines: Iterable[str], folder: Path) -> dict[str, int]:
    """Fill an empty ledger with exported lines, all or nothing; returns the rows by table.

    Raises LedgerError naming the line that cannot be used, and for a folder that has a ledger already.
    """
    file = LedgerFile(folder)
    try:
        if size_of(file.path) or size_of(file.copy_path):
            raise LedgerError(
                f"{folder} has a ledger already: import into another --state-dir, as totals of two cannot be one's"
            )
        with closing(file.open_to_write()) as db:
            try:
                return _fill(db, lines)
            except BaseException:
                # Nothing is better than half a ledger: an exporter would go on from it.
                db.close()
                file.remove()
                raise
    except sqlite3.Error as error:
        raise LedgerError(f"{file.path} cannot be written: {error}") from error
    finally:
        file.end_reading()
        file.close()


def _fill(db: sqlite3.Connection, lines: Iterable[str]) -> dict[str, int]:
    counts = dict.fromkeys(TABLES, 0)
    numbered = enumerate(lines, start=1)
    _check_head(next(numbered, (1, ""))[1])
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM meta WHERE key = 'ledger_id'")
    for number, line in numbered:
        if line.strip():
            table, row = _row(number, line)
            places = ", ".join("?" * len(row))
            try:
                db.execute(f"INSERT INTO {table} VALUES ({places})", row)  # noqa: S608  our own table names
            except sqlite3.IntegrityError as error:
                raise LedgerError(f"line {number}: this row cannot be in a ledger: {error}") from error
            counts[table] += 1
    db.execute("COMMIT")
    return counts


def _check_head(line: str) -> None:
    try:
        head = json.loads(line)
        known = (head["joulemark_ledger"], head["schema_version"]) == (FORMAT, SCHEMA_VERSION)
    except (ValueError, TypeError, KeyError):
        raise LedgerError("line 1: this is no exported ledger; 'joulemark ledger export' makes one") from None
    if not known:
        raise LedgerError(
            f"line 1: the file has format {head['joulemark_ledger']} of schema {head['schema_version']}, this "
            f"joulemark reads format {FORMAT} of schema {SCHEMA_VERSION}: export it with this release"
        )


def _row(number: int, line: str) -> tuple[str, tuple[Any, ...]]:
    try:
        ((table, columns),) = json.loads(line).items()
        if table not in TABLES or set(columns) != set(COLUMNS[table]):
            raise ValueError(table)
        return table, tuple(columns[name] for name in COLUMNS[table])
    except (ValueError, TypeError, AttributeError) as error:
        raise LedgerError(f"line {number}: this is no row of a ledger: {line.strip()[:80]}") from error


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
