"""A transition is made at once where nobody is in the way; where somebody is, others are served meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from exporter_process import wait_for
from failing_disk import Disk
from meter_rig import TRACES

from joulemark.api import stages, threads
from joulemark.api.app import create_app
from joulemark.clock import ManualClock
from joulemark.disk import journal
from joulemark.meter.meter import Meter
from joulemark.sources.replay import ReplaySource


class Service:
    """An application in this process, whose devices are read by threads."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder, self._clock = folder, ManualClock()
        self.meter = Meter([ReplaySource(self._clock, TRACES)], folder, self._clock, threads=True, connect=disk.connect)
        self._app = create_app(self.meter)

    def run(self, steps: Coroutine[Any, Any, None]) -> None:
        """Ask it some things, in one event loop."""
        asyncio.run(asyncio.wait_for(steps, 30))

    async def switch(self, stage: str, key: str = "") -> dict[str, Any]:
        """A transition of one run, answered."""
        answer = await self._ask(
            "PUT", "/api/v1/stage", {"run": "kd", "stage": stage}, {"Idempotency-Key": key or stage}
        )
        return dict(answer.json())

    async def is_healthy(self) -> bool:
        """Whether it answers at all."""
        return (await self._ask("GET", "/-/healthy")).is_success

    def open_stages_on_disk(self) -> list[object]:
        """What an exporter finds that is started on a copy of what is on disk now."""
        self.meter._store.journal.close()
        self.meter._store._file.close()
        found = Meter([ReplaySource(self._clock, TRACES)], self._folder, self._clock)
        opened = [record["stage"] for record in found.active()]
        found.close()
        return opened

    async def _ask(self, method: str, path: str, body: object = None, headers: Any = None) -> httpx.Response:
        asked = httpx.ASGITransport(self._app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=asked, base_url="http://localhost") as client:
            return (await client.request(method, path, json=body, headers=headers)).raise_for_status()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.setattr(journal, "RETRY_SECONDS", 0.01)
    disk = Disk()
    yield disk
    disk.free.set()


@pytest.fixture
def service(tmp_path: Path, disk: Disk) -> Iterator[Service]:
    service = Service(tmp_path, disk)
    yield service
    disk.free.set()
    service.meter.close()


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was done in threads, in the order in which it was asked for."""
    calls: list[object] = []
    really = threads.in_thread

    async def noted(where: Any, call: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(call)
        return await really(where, call, *args, **kwargs)

    for module in (stages, threads):
        monkeypatch.setattr(module, "in_thread", noted)
    return calls


def test_what_needs_nothing_from_disk_needs_no_thread(service: Service, in_threads: list[object]) -> None:
    async def steps() -> None:
        await service.switch("teacher")
        assert len(in_threads) == 1, "a run that is not in memory may be on disk"
        second = await service.switch("student")
        assert second["ended"]["stage"] == "teacher"
        assert len(in_threads) == 1
        assert (await service.switch("student"))["id"] == second["id"]
        assert len(in_threads) == 2, "what a key began may be on disk"
        assert (await service.switch("student", key="another"))["id"] != second["id"]
        assert len(in_threads) == 2

    service.run(steps())
    assert service.open_stages_on_disk() == ["student"]


def test_others_are_served_while_somebody_is_at_the_ledger(service: Service, in_threads: list[object]) -> None:
    there, may_go = threading.Event(), threading.Event()

    def stay() -> None:
        with service.meter._lock:
            there.set()
            may_go.wait(20)

    async def steps() -> None:
        await service.switch("teacher")
        somebody = threading.Thread(target=stay)
        somebody.start()
        there.wait(20)
        asked = asyncio.ensure_future(service.switch("student"))
        try:
            while len(in_threads) < 2:
                await asyncio.sleep(0.001)
            assert await service.is_healthy()
            assert not asked.done()
        finally:
            may_go.set()
            somebody.join()
        assert (await asked)["ended"]["stage"] == "teacher"

    service.run(steps())


def test_others_are_served_while_the_disk_does_not_answer(
    service: Service, disk: Disk, in_threads: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps() -> None:
        await service.switch("teacher")
        disk.free.clear()
        asked = asyncio.ensure_future(service.switch("student"))
        while not service.meter._store.journal.waiting:
            await asyncio.sleep(0.001)
        assert await service.is_healthy()
        assert not asked.done(), "it is answered when it is on disk"
        disk.free.set()
        assert (await asked)["ended"]["stage"] == "teacher"
        assert len(in_threads) == 1
        disk.free.clear()
        monkeypatch.setattr(threads, "PATIENCE_SECONDS", 0.1)
        assert (await service.switch("eval"))["ended"]["stage"] == "student"
        assert not service.meter._store.journal.up, "it was waited for long enough, and is answered from memory"
        assert (await service.switch("prerun"))["ended"]["stage"] == "eval"
        disk.free.set()

    service.run(steps())
    wait_for(lambda: service.meter._store.journal.up)
    assert service.open_stages_on_disk() == ["prerun"]


def test_a_ledger_that_had_to_be_replaced_meanwhile_holds_all_of_it(service: Service) -> None:
    async def steps() -> None:
        await service.switch("teacher")
        service.meter._store.journal.restore("was found damaged")
        assert (await service.switch("student"))["ended"]["stage"] == "teacher"

    service.run(steps())
    assert not service.meter._store.journal.lost_all
    assert service.open_stages_on_disk() == ["student"]
