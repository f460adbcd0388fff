"""The thread that keeps a good copy of the ledger, so that a damaged one costs minutes and not everything."""

from __future__ import annotations

import logging
import sqlite3
import threading

from .meter import Meter

log = logging.getLogger(__name__)

# A small ledger is copied every minute, a large one less often: about a megabyte a minute, but every hour at least.
_LEAST_SECONDS = 60.0
_MOST_SECONDS = 3600.0
_BYTES_PER_SECOND = 1e6 / 60


class Copier(threading.Thread):
    """Copies the ledger at the start and then again and again, until stopped."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(name="joulemark-copier", daemon=True)
        self._meter = meter
        self._stopped = threading.Event()

    def run(self) -> None:
        wait = 0.0
        while not self._stopped.wait(wait):
            wait = _LEAST_SECONDS
            try:
                wait = seconds_until_next(self._meter.keep_copy())
            except (sqlite3.Error, OSError) as error:
                log.warning("no good copy of the ledger could be made: %s; the last one stays", error)

    def stop(self) -> None:
        """Stop; a copy in progress is not waited for, as the old one stays until the new one is whole."""
        self._stopped.set()


def seconds_until_next(size: int) -> float:
    """How long a copy of so many bytes is good enough."""
    return min(_MOST_SECONDS, max(_LEAST_SECONDS, size / _BYTES_PER_SECOND))
