"""Whole files and damaged ones: the good copy of a ledger is made, put back, and what is damaged moved aside."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import time
from pathlib import Path

log = logging.getLogger(__name__)

# A ledger is these files: the database, its write-ahead log, and what readers and the writer share.
PARTS = ("", "-wal", "-shm")


class Damaged(Exception):
    """A file that SQLite cannot make sense of."""


def connect(uri: str) -> sqlite3.Connection:
    """A connection as the ledger wants it: transactions by hand, rows by column name."""
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5)
    db.row_factory = sqlite3.Row
    return db


def uri_of(path: Path, options: str) -> str:
    """The URI by which SQLite opens a file whatever its name, with options such as mode=ro."""
    return f"{path.absolute().as_uri()}?{options}"


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is broken, and not that the disk is full or away."""
    return any(words in str(error) for words in ("malformed", "not a database", "no such table", "no such column"))


def check(db: sqlite3.Connection) -> None:
    """Raise Damaged unless SQLite finds the whole file in order."""
    try:
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise Damaged(str(error)) if is_damage(error) else error from error
    if found != "ok":
        raise Damaged(found)


def size_of(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def make_copy(source: sqlite3.Connection, path: Path) -> int:
    """Replace the copy at `path` by one of this database, once that is seen to be whole; returns its bytes.

    Raises Damaged, or sqlite3.Error and OSError where there is no room for it.
    """
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    try:
        with contextlib.closing(connect(uri_of(temporary, "mode=rwc"))) as copy:
            copy.execute("PRAGMA synchronous = OFF")
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            check(copy)
        _into_place(temporary, path)
    except BaseException as error:
        # What came of it must not keep a full disk full.
        temporary.unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error) and is_damage(error):
            raise Damaged(str(error)) from error
        raise
    return size_of(path)


def put_back(copy: Path, path: Path, *, distrusted: bool) -> str:
    """Put the copy in the place of a ledger, where there is one that is whole; returns what to say of it."""
    if size_of(copy) and (distrusted or not _is_whole(copy)):
        log.error("copy=%s is damaged too, set aside as %s", copy, move_aside(copy))
    if not size_of(copy):
        return "there is no good copy: totals start anew"
    temporary = path.with_suffix(".restored")
    shutil.copyfile(copy, temporary)
    _into_place(temporary, path)
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(copy.stat().st_mtime))
    return f"totals go on from the good copy of {made}"


def move_aside(path: Path) -> Path | None:
    """Rename a damaged file and what belongs to it, with the time in the name; None where there is none."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    while aside.exists():
        aside = aside.with_name(aside.name + "x")
    for part in PARTS:
        if Path(f"{path}{part}").exists():
            Path(f"{path}{part}").rename(f"{aside}{part}")
    return aside if aside.exists() else None


def _is_whole(path: Path) -> bool:
    with contextlib.closing(connect(uri_of(path, "immutable=1"))) as db:
        try:
            check(db)
        except (sqlite3.Error, Damaged):
            return False
    return True


def _into_place(temporary: Path, path: Path) -> None:
    """Rename a finished file onto its name; either the old or the new one is there at any instant."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
