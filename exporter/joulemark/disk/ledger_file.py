"""Where the ledger lies on disk, and how it is opened: to write, to read, or into memory in trouble."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..errors import LedgerError
from .folder_lock import UNWRITABLE, lock
from .good_copy import PARTS, Damaged, check, connect, is_damage, make_copy, move_aside, put_back, size_of, uri_of
from .schema import SCHEMA_VERSION, check_version, prepare, version_of

log = logging.getLogger(__name__)

FILE_NAME = "ledger.sqlite"
COPY_NAME = "ledger.good.sqlite"

Connect = Callable[[str], sqlite3.Connection]


class LedgerFile:
    """The files in one folder; holds the folder's lock so that no second writer can come.

    `connect` is how SQLite is reached, so that a test can make a disk fail.
    """

    def __init__(self, folder: Path, connect: Connect = connect) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self.copy_path = folder / COPY_NAME
        self._connect = connect
        self._lock = lock(folder)
        self._closing = False
        self._checked = False
        self._inode: int | None = None
        # Idle, but while it is open SQLite keeps the files by which others read beside the writer: on a full disk
        # they could not be made anew.
        self._anchor: sqlite3.Connection | None = None
        self._set_aside_files = 0

    def open_to_write(self) -> sqlite3.Connection:
        """The ledger, made or brought up to date; raises Damaged, or sqlite3.Error while the disk cannot be written."""
        if self._lock is None:
            self._lock = lock(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not size_of(self.path) and self.copy_path.exists():
            raise Damaged("is missing or empty, but there is a good copy of it")
        db = self._connect(uri_of(self.path, "mode=rwc"))
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            if not self._checked:
                check(db)
            prepare(db, self.path)
            self._checked, self._inode = True, self.path.stat().st_ino
            if self._anchor is None and not self._closing:
                self._anchor = self.open_to_read()
        except sqlite3.Error as error:
            db.close()
            raise Damaged(str(error)) if is_damage(error) else error from error
        except BaseException:
            db.close()
            raise
        return db

    def open_to_read(self) -> sqlite3.Connection:
        """A connection that cannot write; raises sqlite3.Error where the file cannot be read as it is."""
        db = self._connect(uri_of(self.path, "mode=ro"))
        try:
            if version_of(db) != SCHEMA_VERSION:
                raise sqlite3.OperationalError("not brought up to date yet")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def moved(self) -> bool:
        """Whether the file that was opened is not the one of this name any more: writing on would write to nowhere."""
        if self._inode is None:
            return False
        try:
            return self.path.stat().st_ino != self._inode
        except (FileNotFoundError, NotADirectoryError):
            return True

    def into_memory(self) -> sqlite3.Connection:
        """The ledger as a database in memory, while its disk cannot be written; empty where there is none."""
        for path in (self.path, self.copy_path):
            if size_of(path):
                memory = connect(":memory:")
                try:
                    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
                        _load(path, Path(folder), memory)
                    check(memory)
                    prepare(memory, path)
                    return memory
                except (sqlite3.Error, OSError, Damaged) as error:
                    log.error("ledger=%s cannot be read: %s", path, error)
                    memory.close()
        memory = connect(":memory:")
        prepare(memory, self.path)
        return memory

    def set_aside(self, why: object, *, distrust_copy: bool = False) -> None:
        """Move a damaged ledger out of the way, where it can be looked at, and put the last good copy in its place."""
        self._set_aside_files += 1
        self._checked, self._inode = False, None
        self._raise_anchor()
        aside = move_aside(self.path)
        went_on = put_back(self.copy_path, self.path, distrusted=distrust_copy)
        log.error("ledger=%s damaged (%s), set aside as %s; %s", self.path, why, aside or "nothing", went_on)

    def remove(self) -> None:
        """Take away a ledger that was only begun."""
        self._raise_anchor()
        for part in PARTS:
            Path(f"{self.path}{part}").unlink(missing_ok=True)

    def keep_copy(self) -> int:
        """Replace the good copy by one of the ledger as it is; returns its bytes, raises as `make_copy` does."""
        try:
            source = self.open_to_read()
        except sqlite3.Error as error:
            raise Damaged(str(error)) if is_damage(error) else error from error
        with contextlib.closing(source):
            return make_copy(source, self.copy_path)

    def copied_at(self) -> float | None:
        """When the good copy was made, in Unix time; None while there is none."""
        return self.copy_path.stat().st_mtime if self.copy_path.exists() else None

    def taken_aside(self) -> int:
        """How many files were set aside since this was last asked."""
        count, self._set_aside_files = self._set_aside_files, 0
        return count

    def refuse_unless_unwritable(self, error: Exception) -> None:
        """Raise LedgerError when what keeps the ledger from being opened will not pass by itself."""
        if isinstance(error, Damaged):
            raise LedgerError(f"{self.path} is damaged and cannot be replaced: {error}") from error
        allowed = os.access(self.folder, os.R_OK) and (not self.path.exists() or os.access(self.path, os.R_OK))
        if not allowed or (isinstance(error, OSError) and error.errno not in UNWRITABLE):
            raise LedgerError(
                f"{self.path} cannot be used ({error}): give it to the user who runs this, or name another --state-dir"
            ) from error

    def end_reading(self) -> None:
        """To be called before the writer closes: the last one to close takes the write-ahead log in."""
        self._closing = True
        self._raise_anchor()

    def close(self) -> None:
        """Give the folder free."""
        if self._lock is not None:
            self._lock.close()

    def _raise_anchor(self) -> None:
        if self._anchor is not None:
            self._anchor.close()
        self._anchor = None


def open_for_reading(folder: Path) -> sqlite3.Connection:
    """A read-only connection to the ledger in `folder`; raises LedgerError where there is none."""
    path = folder / FILE_NAME
    if not path.exists():
        raise LedgerError(f"no ledger at {path}: name the --state-dir that 'joulemark serve' runs with")
    try:
        db = connect(uri_of(path, "mode=ro" if os.access(folder, os.W_OK) else "mode=ro&immutable=1"))
        check_version(version_of(db), path)
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{path} cannot be read as a ledger: {error}") from error
    return db


def _load(path: Path, folder: Path, target: sqlite3.Connection) -> None:
    """Read a ledger by way of a folder that can be written, so that SQLite can take its write-ahead log in."""
    for part in PARTS[:2]:
        if Path(f"{path}{part}").exists():
            shutil.copyfile(f"{path}{part}", folder / f"{FILE_NAME}{part}")
    with contextlib.closing(connect(uri_of(folder / FILE_NAME, "mode=rw"))) as source:
        source.backup(target)
    # A database in memory has no write-ahead log.
    target.execute("PRAGMA journal_mode = MEMORY")


def _memory_folder() -> str | None:
    shared = Path("/dev/shm")  # noqa: S108  a folder of our own is made in it
    return str(shared) if os.access(shared, os.W_OK) else None
