"""What a call to the exporter brings, some time later, on another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Answer:
    """Settled once by the thread that speaks; waited for by the job's threads and tasks."""

    def __init__(self) -> None:
        self._settled = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.value: Any = None
        self.error: Exception | None = None

    @classmethod
    def of_nothing(cls) -> Answer:
        """Settled already, with None."""
        answer = cls()
        answer.settle(None)
        return answer

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._settled.is_set()

    def settle(self, value: Any, error: Exception | None = None) -> None:
        """Say what came of the call."""
        with self._lock:
            self.value, self.error = value, error
            self._settled.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def wait(self, seconds: float) -> bool:
        """Block so long at most; true when it is settled."""
        return self._settled.wait(seconds)

    async def settled(self, seconds: float) -> bool:
        """`wait` for a task: the event loop goes on meanwhile."""
        import asyncio  # who awaits has it loaded already

        loop, event = asyncio.get_running_loop(), asyncio.Event()
        self._when_settled(lambda: _tell(loop, event.set))
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    def _when_settled(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if not self._settled.is_set():
                self._callbacks.append(callback)
                return
        callback()


def _tell(loop: Any, callback: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return  # The loop has ended, and with it whoever waited.
