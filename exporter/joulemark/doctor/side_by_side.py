"""Runs steps for all devices at once, and never waits for ever: a driver call may not return."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

Result = TypeVar("Result")
_GLANCE_SECONDS = 0.1


class Progress(Protocol):
    """Is told what is being done, for how many seconds about, and how many of them have passed."""

    def step(self, what: str, seconds: float) -> None: ...

    def passed(self, seconds: float) -> None: ...


def side_by_side(
    jobs: Mapping[str, Callable[[], Result]], patience: float, passed: Callable[[float], None] = lambda _: None
) -> dict[str, Result]:
    """Do all jobs at once, in threads; returns what is done after `patience` seconds at most, the rest is missing.

    An exception of a job is raised here.
    """
    results: dict[str, Result] = {}
    errors: list[BaseException] = []

    def work(name: str, job: Callable[[], Result]) -> None:
        try:
            results[name] = job()
        except BaseException as error:
            errors.append(error)

    # Daemons: one that is stuck in the driver must not keep the doctor from leaving.
    threads = [threading.Thread(target=work, args=item, daemon=True) for item in jobs.items()]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and time.monotonic() - began < patience:
        next(thread for thread in threads if thread.is_alive()).join(_GLANCE_SECONDS)
        passed(time.monotonic() - began)
    if errors:
        raise errors[0]
    return dict(results)
