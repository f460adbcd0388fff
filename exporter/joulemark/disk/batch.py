"""Rows on their way to disk: the newest of each, so that a batch never holds more rows than the ledger has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Row = tuple[Any, ...]
Key = tuple[Any, ...]

# How many of a table's first columns name a row.
_KEY_COLUMNS = {
    "meta": 1, "device": 1, "pruned": 1, "run": 1, "window": 1, "series": 3, "score": 2, "artifact": 4, "request": 1,
}  # fmt: skip
TABLES = tuple(_KEY_COLUMNS)
# The tables that hold what belongs to a run, with the column that names it.
RUN_COLUMN = {"run": 0, "window": 1, "series": 0, "score": 0, "artifact": 0}


@dataclass
class Batch:
    """Rows by table and key, None for a row that is to go; runs in `forgotten` lose all that was there before."""

    rows: dict[str, dict[Key, Row | None]] = field(default_factory=lambda: {table: {} for table in TABLES})
    forgotten: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.rows.values()) + len(self.forgotten)

    def put(self, table: str, rows: Iterable[Row]) -> None:
        """Take rows of a table, in the order of its columns."""
        width = _KEY_COLUMNS[table]
        self.rows[table].update({row[:width]: row for row in rows})

    def drop(self, table: str, key: str) -> None:
        """Take it that a row is to go."""
        self.rows[table][key,] = None

    def forget(self, runs: set[str]) -> None:
        """Take it that runs are to go, with all that belongs to them."""
        self.forgotten |= runs
        for table, column in RUN_COLUMN.items() if runs else ():
            kept = {key: row for key, row in self.rows[table].items() if row is None or row[column] not in runs}
            self.rows[table] = kept

    def follow(self, later: Batch) -> None:
        """Take in all of a batch that comes after this one."""
        self.forget(later.forgotten)
        for table, rows in later.rows.items():
            self.rows[table].update(rows)

    def of_run(self, run: str) -> Batch:
        """What of it belongs to a run."""
        found = Batch(forgotten=self.forgotten & {run})
        for table, column in RUN_COLUMN.items():
            found.put(table, (row for row in self.rows[table].values() if row is not None and row[column] == run))
        return found
