"""A call that no thread can be had for is refused with the remedy, and is not carried out later."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from joulemark.api.problems import Refused
from joulemark.api.threads import in_thread


def test_a_call_that_was_refused_for_want_of_a_thread_is_never_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def calls(threads: ThreadPoolExecutor) -> None:
        with monkeypatch.context() as limited:
            limited.setattr(threading.Thread, "start", start)
            with pytest.raises(Refused, match="can't start new thread") as refused:
                await in_thread(threads, made.append, "refused")
        assert refused.value.status == 503
        assert "limit of processes" in refused.value.remedy
        await in_thread(threads, made.append, "asked again")

    with ThreadPoolExecutor(1) as threads:
        asyncio.run(calls(threads))
    assert made == ["asked again"]
