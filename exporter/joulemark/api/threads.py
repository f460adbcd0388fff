"""Threads of their own for scrapes, reads and writes, so that a crowd of readers takes none from those who set stages.

What waits for a disk runs in a thread; the framework checks its answer without going to another for it.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import anyio
from anyio.to_thread import run_sync

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

SCRAPES = anyio.CapacityLimiter(2)
READS = anyio.CapacityLimiter(4)
WRITES = anyio.CapacityLimiter(40)


def in_threads(
    limiter: anyio.CapacityLimiter,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Awaitable[Result]]]:
    """Make a call run in a thread, as many at once as the limiter says; the others wait their turn."""

    def decorate(call: Callable[Parameters, Result]) -> Callable[Parameters, Awaitable[Result]]:
        @functools.wraps(call)
        async def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            return await run_sync(functools.partial(call, *args, **kwargs), limiter=limiter)

        return run

    return decorate
