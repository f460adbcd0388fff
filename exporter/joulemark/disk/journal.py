"""The one writer of the ledger: takes batches, makes them durable, many in one commit, and keeps what it could not.

While a commit is on its way to disk, batches that come meanwhile wait and go together with the next. While the disk is
full, read-only or away, they wait in memory, and the exporter goes on without them.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .batch import RUN_COLUMN, Batch, Key, Row
from .good_copy import Damaged, is_damage
from .ledger_file import LedgerFile
from .schema import COLUMNS, KEYS

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
# A disk that takes longer than this holds nobody up: what was asked is answered from memory.
PATIENCE_SECONDS = 5.0
# More rows than this are not kept for a disk that does not come back; ended windows go first, their totals stay.
MOST_ROWS = 100_000
# Nobody but the thread itself is at what is guarded here for longer than this.
_LONGEST_SECONDS = 0.02


class Journal(threading.Thread):
    """Writes batches in a thread of its own; every public method may be called from any thread.

    `up` says whether what was taken is on disk, `failures` counts the commits that failed, `seconds` is the duration
    of the latest. `lost_all` is set when the file had to be replaced: all that is in memory must be taken anew.
    """

    def __init__(self, file: LedgerFile, db: sqlite3.Connection | None) -> None:
        super().__init__(name="joulemark-ledger", daemon=True)
        self._file = file
        self._db = db
        self._changed = threading.Condition()
        self._waiting = Batch()
        self._writing: Batch | None = None
        self._taken = self._durable = 0
        self._retry_at = 0.0
        self._closed = self._quiet = False
        self.up = db is not None
        self.failures = int(db is None)
        self.seconds = 0.0
        self.lost_all = False
        self._suspected: object = None
        # Who wants to be told when a batch need not be waited for any more.
        self._listeners: list[tuple[int, Callable[[], None]]] = []

    def take(self, batch: Batch, *, everything: bool = False) -> int:
        """Take a batch to be written; returns its number for `wait`. `everything` ends `lost_all`."""
        with self._changed:
            self.lost_all = self.lost_all and not everything
            self._waiting.follow(batch)
            self._shed()
            self._taken += 1
            if not self._quiet:
                self._changed.notify_all()
            return self._taken

    def wait(self, number: int | None = None, patience: float = PATIENCE_SECONDS) -> bool:
        """Wait until a batch (all of them, without a number) is on disk; false at once while that cannot be."""
        deadline = time.monotonic() + patience
        with self._changed:
            number = self._taken if number is None else number
            while not self._decided(number):
                left = deadline - time.monotonic()
                if left <= 0:
                    self._note_failure(f"the disk has not answered for {PATIENCE_SECONDS:g} s")
                self._changed.wait(left)
            return self._durable >= number

    @contextmanager
    def without_waiting(self) -> Iterator[bool]:
        """Whether `take` and `tell` need not wait for anybody in here, nor for the disk.

        Nor does the thread that writes get in the way: for what is taken meanwhile `write` wakes it.
        """
        free = self._changed.acquire(blocking=False)
        try:
            self._quiet = self._quiet or free
            yield free
        finally:
            if free:
                self._quiet = False
                self._changed.release()

    def write(self) -> None:
        """Have what was taken written now; waits for others in here, but not for the disk."""
        # Who is in here for longer is the thread itself: it looks for more before it waits.
        if self._changed.acquire(timeout=_LONGEST_SECONDS):
            self._changed.notify_all()
            self._changed.release()

    def tell(self, number: int, call: Callable[[], None]) -> None:
        """Have `call` called once, from any thread, when a batch is on disk or nobody knows when it will be."""
        with self._changed:
            self._listeners.append((number, call))
            self._tell()

    def has(self, number: int) -> bool:
        """Whether a batch is on disk."""
        return self._durable >= number

    @property
    def waiting(self) -> int:
        """How many rows wait for the disk."""
        with self._changed:
            return sum(len(batch) for batch in self._batches())

    def backlog(self, run: str | None = None) -> Batch:
        """All that is not known to be on disk, or what of it belongs to one run."""
        found = Batch()
        with self._changed:
            for batch in self._batches():
                found.follow(batch if run is None else batch.of_run(run))
        return found

    def backlog_of_window(self, window_id: str) -> Batch:
        """What is not known to be on disk of one window."""
        found = Batch()
        with self._changed:
            for batch in self._batches():
                found.forget(batch.forgotten)
                row = batch.rows["window"].get((window_id,))
                found.put("window", [row] if row else [])
        return found

    def restore(self, why: object) -> None:
        """Set the file aside as damaged, at the next commit."""
        self._suspected = why

    def close(self, patience: float = PATIENCE_SECONDS) -> bool:
        """Write what waits and stop; false when it could not be written."""
        with self._changed:
            self._retry_at = 0.0
            self._closed = True
            self._tell()
        self.join(patience)
        return self._durable >= self._taken

    # -- the thread ----------------------------------------------------------------------------------------

    def run(self) -> None:
        while True:
            with self._changed:
                while not self._due():
                    if self._closed:
                        self._close_db()
                        return
                    self._changed.wait(self._until_retry())
                self._writing, self._waiting = self._waiting, Batch()
                number = self._taken
            self._write(self._writing, number)
            if self._closed and not self.up:
                return

    def _due(self) -> bool:
        return self._durable < self._taken and not self.lost_all and time.monotonic() >= self._retry_at

    def _until_retry(self) -> float | None:
        waits = self._durable < self._taken and not self.lost_all
        return max(0.0, self._retry_at - time.monotonic()) if waits else None

    def _write(self, batch: Batch, number: int) -> None:
        began = time.perf_counter()
        try:
            if self._suspected or self._file.moved():
                raise Damaged(self._suspected or "was removed or replaced")
            if self._db is None:
                self._db = self._file.open_to_write()
            _commit(self._db, batch)
        except (sqlite3.Error, Damaged, OSError) as error:
            with self._changed:
                self._keep(batch)
                self._close_db()
                if isinstance(error, Damaged) or (isinstance(error, sqlite3.Error) and is_damage(error)):
                    self._set_aside(error)
                else:
                    self._note_failure(error)
            return
        with self._changed:
            self._writing = None
            self._durable = number
            self.seconds = time.perf_counter() - began
            if not self.up:
                log.warning("ledger=%s is written again, %d rows caught up", self._file.path, len(batch))
            self.up = True
            self._tell()

    # -- inside, with the lock held ------------------------------------------------------------------------

    def _decided(self, number: int) -> bool:
        """Whether a batch is on disk, or nobody knows when it will be."""
        return self._durable >= number or not self.up or self.lost_all or self._closed

    def _tell(self) -> None:
        """Wake who waits, and tell who wants to be told."""
        self._changed.notify_all()
        told = [listener for listener in self._listeners if self._decided(listener[0])]
        if told:
            self._listeners = [listener for listener in self._listeners if listener not in told]
            for _, call in told:
                call()

    def _batches(self) -> Iterator[Batch]:
        if self._writing is not None:
            yield self._writing
        yield self._waiting

    def _keep(self, batch: Batch) -> None:
        batch.follow(self._waiting)
        self._waiting, self._writing = batch, None

    def _note_failure(self, why: object) -> None:
        if self.up:
            log.error(
                "ledger=%s cannot be written (%s): totals are kept in memory and would be lost with this process; "
                "free space or make the disk writable, nothing needs restarting", self._file.path, why,
            )  # fmt: skip
        self.up = False
        self.failures += 1
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self._tell()

    def _set_aside(self, why: object) -> None:
        try:
            self._file.set_aside(why)
            self._suspected, self.lost_all = None, True
            self._tell()
        except OSError as error:
            self._note_failure(f"{why}, and it cannot be set aside: {error}")

    def _close_db(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None

    def _shed(self) -> None:
        excess = len(self._waiting) - MOST_ROWS
        if excess <= 0:
            return
        for table in ("window", "request"):
            for key in list(self._waiting.rows[table])[:excess]:
                del self._waiting.rows[table][key]


def _commit(db: sqlite3.Connection, batch: Batch) -> None:
    """Write a batch in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for run in batch.forgotten:
            for table in RUN_COLUMN:
                db.execute(f"DELETE FROM {table} WHERE run = ?", (run,))  # noqa: S608  our own table names
        for table, rows in batch.rows.items():
            _write_rows(db, table, rows)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _write_rows(db: sqlite3.Connection, table: str, rows: dict[Key, Row | None]) -> None:
    gone = [key for key, row in rows.items() if row is None]
    kept = [row for row in rows.values() if row is not None]
    if gone:
        db.executemany(f"DELETE FROM {table} WHERE key = ?", gone)  # noqa: S608
    if kept:
        db.executemany(_upsert(table), kept)


@functools.cache
def _upsert(table: str) -> str:
    """The statement that puts a row of this table in the place of what has its key."""
    places = ", ".join("?" * len(COLUMNS[table]))
    keys = ", ".join(KEYS[table])
    updates = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[table] if name not in KEYS[table])
    return f"INSERT INTO {table} VALUES ({places}) ON CONFLICT ({keys}) DO UPDATE SET {updates}"  # noqa: S608
