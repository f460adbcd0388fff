"""Threads of their own for scrapes, reads and writes, so that a crowd of readers takes none from those who set stages.

What waits for a disk runs in a thread; the framework checks its answer without going to another for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

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
