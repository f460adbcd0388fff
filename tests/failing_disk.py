"""A disk whose commits fail on demand, or do not return."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any


class Disk:
    """Opens SQLite connections whose commits fail on demand: before they are made, after, or by never returning."""

    def __init__(self) -> None:
        self.trouble = ""
        self.after_commit = False
        self.free = threading.Event()
        self.free.set()

    def connect(self, uri: str) -> sqlite3.Connection:
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                if sql != "COMMIT":
                    return super().execute(sql, *args)
                disk.free.wait(30)
                if disk.trouble and not disk.after_commit:
                    raise sqlite3.OperationalError(disk.trouble)
                done = super().execute(sql, *args)
                if disk.trouble:
                    raise sqlite3.OperationalError(disk.trouble)
                return done

        db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection)
        db.row_factory = sqlite3.Row
        return db
