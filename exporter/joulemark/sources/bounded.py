"""Calls that may hang: each in a thread of its own, so that a driver that does not answer holds up nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent import futures
from concurrent.futures import Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class BoundedCalls(Generic[Result]):
    """Waits for a call only so long; one that is late is asked for again by its name, and never made twice at once."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._late: dict[Hashable, Future[Result]] = {}

    def call(self, name: Hashable, function: Callable[[], Result]) -> Result:
        """What the function returns or raises; raises TimeoutError while it does not answer."""
        late = self._late.get(name)
        future = late or _started(str(name), function)
        self._late[name] = future
        # Who was waited for once is only looked at.
        done, _ = futures.wait([future], 0.0 if late else self._patience_seconds)
        if not done:
            raise TimeoutError(f"{name} does not answer")
        del self._late[name]
        return future.result()


def _started(name: str, function: Callable[[], Result]) -> Future[Result]:
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    # A daemon: a call that never returns must not keep the process.
    threading.Thread(target=run, name=f"joulemark-{name}", daemon=True).start()
    return future
