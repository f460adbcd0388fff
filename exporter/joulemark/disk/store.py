"""The ledger on disk: read at the start and for runs that left memory, written through the journal."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import LedgerError
from ..ledger.changes import Changes
from ..ledger.snapshot import LedgerHealth
from ..ledger.state import Run, State
from ..ledger.windows import SeriesKey, Totals, Window
from . import rows
from .batch import Batch
from .good_copy import Damaged, connect
from .journal import Journal
from .ledger_file import Connect, LedgerFile
from .load import load, recall
from .overlay import lay_over

log = logging.getLogger(__name__)


class Store:
    """One folder's ledger; holds the folder's lock so that no second writer can come."""

    def __init__(self, folder: Path, connect: Connect = connect) -> None:
        self._file = LedgerFile(folder, connect)
        self._memory: sqlite3.Connection | None = None
        self._opening = threading.Lock()
        try:
            db = self._open()
        except LedgerError:
            self._file.close()
            raise
        self.journal = Journal(self._file, db)
        self.journal.start()

    def health(self, set_aside: int) -> LedgerHealth:
        """How the ledger on disk does."""
        journal = self.journal
        return LedgerHealth(
            journal.up, journal.waiting, journal.failures, set_aside, journal.seconds, self._file.copied_at()
        )

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self._file.path

    def load(self, keep_runs: int, boot: str | None) -> State:
        """The state to go on from; a ledger that SQLite reads but nobody understands is set aside as damaged."""
        for attempt in range(3):
            try:
                with contextlib.closing(self._connection()) as db:
                    state = load(db, keep_runs, boot)
                self.journal.failures += state.counts.commit_failures
                return state
            except (sqlite3.DatabaseError, ValueError, TypeError, KeyError) as error:
                # First the ledger goes, then the copy of it.
                self._set_aside(error, distrust_copy=attempt > 0)
        raise LedgerError(f"{self.path} cannot be read: name another --state-dir")

    def save(self, changes: Changes) -> int:
        """Take away all that changed; returns the number to wait for."""
        everything = self.journal.lost_all
        if everything:
            changes.everything()
        counts = changes.state.counts
        counts.commit_failures, counts.files_set_aside = (
            self.journal.failures, counts.files_set_aside + self._file.taken_aside(),
        )  # fmt: skip
        number = self.journal.take(rows.batch_of(changes), everything=everything)
        changes.saved()
        return number

    def recall(self, name: str) -> tuple[Run, dict[SeriesKey, Totals]] | None:
        """A run with its totals by series, None when it is not in the ledger."""
        with self._sees(self.journal.backlog(name)) as db:
            return recall(db, name)

    def window(self, window_id: str) -> Window | None:
        """A window that is not in memory, None when there is none of this id."""
        with self._sees(self.journal.backlog_of_window(window_id)) as db:
            row = db.execute("SELECT * FROM window WHERE id = ?", (window_id,)).fetchone()
        return rows.window_of(row) if row else None

    def windows(self, limit: int, run: str | None) -> list[Window]:
        """The windows that began last, newest first; of one run, or of all."""
        where, values = ("WHERE run = ?", (run, limit)) if run is not None else ("", (limit,))
        with self.reading() as db:
            found = db.execute(f"SELECT * FROM window {where} ORDER BY started_at DESC LIMIT ?", values)  # noqa: S608
            return [rows.window_of(row) for row in found]

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees all that was saved before, on disk or still on the way."""
        self.journal.wait()
        with self._sees(self.journal.backlog()) as db:
            yield db

    def keep_copy(self) -> int:
        """Renew the good copy and return its bytes; a ledger found damaged is set aside at its next commit."""
        self.journal.wait()
        try:
            return self._file.keep_copy()
        except Damaged as error:
            self.journal.restore(error)
            return 0

    def close(self) -> bool:
        """Write what waits, close the file and give the folder free; false when it could not be written."""
        self._file.end_reading()
        written = self.journal.close()
        if self._memory is not None:
            self._memory.close()
        self._file.close()
        return written

    # -- inside --------------------------------------------------------------------------------------------

    @contextmanager
    def _sees(self, backlog: Batch) -> Iterator[sqlite3.Connection]:
        """A connection of the caller's own, in one transaction, with what is on its way laid over it."""
        with contextlib.closing(self._connection()) as db:
            if len(backlog):
                lay_over(db, backlog)
            db.execute("BEGIN")
            yield db

    def _connection(self) -> sqlite3.Connection:
        """A connection for reading; where the file cannot be opened as it is, one to a copy of it in memory."""
        with self._opening:
            if self._memory is None or self.journal.up:
                self._memory = None
                with contextlib.suppress(sqlite3.Error):
                    return self._file.open_to_read()
                self._memory = self._file.into_memory()
            copy = connect(":memory:")
            self._memory.backup(copy)
            return copy

    def _open(self) -> sqlite3.Connection | None:
        """The ledger for writing, or its last good copy when it is damaged; None while the disk cannot be written."""
        try:
            try:
                return self._file.open_to_write()
            except Damaged as error:
                self._file.set_aside(error)
                return self._file.open_to_write()
        except (sqlite3.Error, OSError, Damaged) as error:
            self._file.refuse_unless_unwritable(error)
            log.error("ledger=%s cannot be written (%s): totals are kept in memory until it can", self.path, error)
            return None

    def _set_aside(self, why: object, *, distrust_copy: bool) -> None:
        self.journal.close()
        try:
            self._file.set_aside(why, distrust_copy=distrust_copy)
        except OSError as error:
            raise LedgerError(f"{self.path} is damaged ({why}) and cannot be moved away ({error})") from error
        self.journal = Journal(self._file, self._open())
        self.journal.start()
