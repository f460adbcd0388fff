"""The ledger and its store together: what changes it is answered when that is on disk."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from ..clock import Clock
from ..disk.journal import PATIENCE_SECONDS
from ..disk.store import Store
from ..ledger.ledger import Ledger

Result = TypeVar("Result")

# So long after the last time what was booked since is saved.
COMMIT_SECONDS = 1.0
# For how long somebody who books what waits sleeps between two parts of it, and at most while others make changes.
_TURN_SECONDS, _GIVE_WAY_SECONDS = 0.0002, 0.005


class DurableLedger:
    """Changes a ledger under `lock` and saves it; `book` books what was read and has waited.

    `saved_at` is when changes were last taken away to disk, in seconds of the steady clock. All but the newest
    `keep_runs` runs leave memory.
    """

    def __init__(
        self, ledger: Ledger, store: Store, lock: threading.RLock, book: Callable[[], object], clock: Clock, *,
        keep_runs: int,
    ) -> None:  # fmt: skip
        self._ledger, self._store, self._lock, self._book, self._clock = ledger, store, lock, book, clock
        self._keep_runs = keep_runs
        self.saved_at = -math.inf
        # The changes that are on their way to disk, or the threads that make them.
        self._changing: set[object] = set()
        # When it was last looked for what memory need not hold any more.
        self._forgot_at = -math.inf

    @contextmanager
    def booked(self) -> Iterator[Ledger]:
        """The ledger with all that was read booked, and nobody else at it."""
        with self._lock:
            self._book()
            yield self._ledger

    def change(
        self, change: Callable[[], Result], then: Callable[[], None] | None = None, *, booked: bool = True
    ) -> Result:
        """Make a change and answer when it is on disk; the lock is not held while that lasts.

        While the disk cannot be written it is answered all the same, and `joulemark_ledger_up` is 0. `then` is called
        when the change is on disk: before, it would take the processor from who writes. A change that needs no joules
        `booked` does not wait for what has been read to be.
        """
        self._changing.add(threading.get_ident())
        try:
            with self.booked() if booked else self._lock:
                # A part of what waited may be taken and not booked yet.
                self._ledger.book()
                result = change()
                number = self.save()
            self._wait_for(number)
        finally:
            self._changing.discard(threading.get_ident())
        if then:
            then()
        return result

    def change_at_once(
        self, change: Callable[[], Result | None], then: Callable[[], Callable[[], None]]
    ) -> OnItsWay[Result] | None:
        """Make a change that needs no joules booked, for who may wait for nothing: not for others, nor for the disk.

        None, and it is not made, where somebody else is at the ledger or `change` returns None. What `then` returns is
        called by `finish`.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            with self._store.journal.without_waiting() as free:
                if not free:
                    return None
                self._ledger.book()
                result = change()
                if result is None:
                    return None
                made = OnItsWay(self, result, self.save(), then())
                self._changing.add(made)
                return made
        finally:
            self._lock.release()

    def give_way(self) -> None:
        """Let others have the lock and the interpreter, as long as a change is on its way, if that is not too long."""
        until = time.monotonic() + _GIVE_WAY_SECONDS
        time.sleep(_TURN_SECONDS)
        while self._changing and time.monotonic() < until:
            time.sleep(_TURN_SECONDS)

    def save(self) -> int:
        """Take all changes away to disk, with the lock held; returns the number to wait for.

        What is on its way there can leave memory: that is looked for about once a second.
        """
        number = self._store.save(self._ledger.changes)
        self.saved_at = steady = self._clock.steady()
        if steady - self._forgot_at >= COMMIT_SECONDS:
            self._forgot_at = steady
            self._ledger.forget_settled()
            self._ledger.runs.forget(self._keep_runs)
        return number

    def _wait_for(self, number: int, patience: float = PATIENCE_SECONDS) -> None:
        if not self._store.journal.wait(number, patience) and self._store.journal.lost_all:
            # The file had to be replaced meanwhile: all that is in memory goes into the new one.
            with self.booked():
                number = self.save()
            self._store.journal.wait(number)


class OnItsWay(Generic[Result]):
    """A change that is made, with its `result`, and on its way to disk; `finish` must be called when it is answered."""

    def __init__(self, ledger: DurableLedger, result: Result, number: int, then: Callable[[], None]) -> None:
        self.result = result
        self._ledger, self._number, self._then = ledger, number, then
        self._until = time.monotonic() + PATIENCE_SECONDS
        self._decided, self._told = False, _nobody
        ledger._store.journal.tell(number, self._decide)

    def tell(self, call: Callable[[], None]) -> None:
        """Have it written, and `call` called, from any thread, when it is on disk or nobody knows when it will be."""
        self._told = call
        self._ledger._store.journal.write()
        if self._decided:
            call()

    @property
    def on_disk(self) -> bool:
        """Whether it is on disk."""
        return self._ledger._store.journal.has(self._number)

    def insist(self) -> None:
        """Wait for the disk, for what is left of the patience with it, and save again what it has lost meanwhile."""
        self._ledger._wait_for(self._number, max(0.0, self._until - time.monotonic()))

    def finish(self) -> None:
        """It is on disk, or was waited for long enough."""
        self._ledger._changing.discard(self)
        self._then()

    def _decide(self) -> None:
        # In this order: whoever comes second of this and `tell` calls, or both do.
        self._decided = True
        self._told()


def _nobody() -> None:
    return None
