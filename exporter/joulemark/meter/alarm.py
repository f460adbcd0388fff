"""What wakes the sampler: time, a reading that is due sooner than it thinks, or a transition."""

from __future__ import annotations

import threading

_LONGEST_SECONDS = 1.0


class Alarm:
    """One thread waits, any other may wake it."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self._transition = False

    def wait(self, seconds: float) -> bool:
        """Wait so long at most, or until woken; true when a transition wants a reading at once."""
        self._woken.wait(max(0.0, min(seconds, _LONGEST_SECONDS)))
        self._woken.clear()
        made, self._transition = self._transition, False
        return made

    def wake(self) -> None:
        """Have it look at the time again."""
        self._woken.set()

    def transition(self) -> None:
        """A transition was made."""
        self._transition = True
        self._woken.set()
