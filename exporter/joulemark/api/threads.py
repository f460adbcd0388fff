"""Threads of their own for scrapes, reads and writes, so that a crowd of readers takes none from those who set stages.

What waits for a disk runs in a thread, but for a change that is made and on its way there; the framework checks an
answer without going to another thread for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from ..disk.journal import PATIENCE_SECONDS
from ..meter.durable import OnItsWay
from .problems import Refused

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

SCRAPES = ThreadPoolExecutor(2, "joulemark-scrape")
READS = ThreadPoolExecutor(4, "joulemark-read")
WRITES = ThreadPoolExecutor(40, "joulemark-write")


async def in_thread(
    threads: Executor, call: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """What a call returns that runs in one of these threads, in its turn; raises Refused where none can be had."""
    calls = [call]
    try:
        answer = asyncio.get_running_loop().run_in_executor(threads, lambda: calls.pop()(*args, **kwargs))
    except RuntimeError as error:
        # It is queued all the same: what is refused must not be carried out later.
        calls.clear()
        raise Refused(
            503, "Out of threads", f"no thread can be had for this call: {error}",
            remedy="see whether there is a limit of processes (ulimit -u, or a container's pids limit), and try again",
        ) from error  # fmt: skip
    return await answer


async def on_disk(made: OnItsWay[Result]) -> Result:
    """What a change returned that was made at once, when it is on disk or that has been waited for long enough."""
    loop = asyncio.get_running_loop()
    told = loop.create_future()

    def tell() -> None:
        if not told.done():
            told.set_result(None)

    def tell_from_any_thread() -> None:
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell)

    patience = loop.call_later(PATIENCE_SECONDS, tell)
    try:
        made.tell(tell_from_any_thread)
        await told
        if not made.on_disk:
            # Without a thread it is answered from memory: it is made, and must not be refused.
            with contextlib.suppress(Refused):
                await in_thread(WRITES, made.insist)
    finally:
        patience.cancel()
        # When it is answered: the threads that it wakes would get in the way of that.
        loop.call_soon(made.finish)
    return made.result
