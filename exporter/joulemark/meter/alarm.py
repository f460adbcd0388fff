"""What wakes the sampler: time, or a reading that is due sooner than it thinks."""

from __future__ import annotations

import contextlib
import threading

_LONGEST_SECONDS = 1.0


class Alarm:
    """One thread waits, any other may wake it: a lock alone, as an event costs more than what it is waited for."""

    def __init__(self) -> None:
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wait(self, seconds: float) -> None:
        """Wait so long at most, or until woken."""
        self._asleep.acquire(timeout=max(0.0, min(seconds, _LONGEST_SECONDS)))

    def wake(self) -> None:
        """Have it look at the time again."""
        # Who is to wake already needs no waking.
        with contextlib.suppress(RuntimeError):
            self._asleep.release()
