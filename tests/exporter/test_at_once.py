"""A transition is made at once where nobody is in the way; where somebody is, others are served meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections import Counter
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
from joulemark.api.problems import Refused
from joulemark.clock import ManualClock
from joulemark.disk import journal
from joulemark.meter import durable
from joulemark.meter.meter import Meter
from joulemark.sources.base import Device, Reading
from joulemark.sources.replay import ReplaySource


class Counted(ReplaySource):
    """Counts how often each device is read."""

    reads: Counter[str]

    def read(self, device: Device, *, power: bool = True) -> Reading:
        self.reads[device.name] += 1
        return super().read(device, power=power)


class Service:
    """An application in this process, whose devices are read by threads."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder, self._clock = folder, ManualClock()
        source = Counted(self._clock, TRACES)
        self.reads = source.reads = Counter()
        self.meter = Meter([source], folder / "ledger", self._clock, threads=True, connect=disk.connect)
        self.journal = self.meter._store.journal
        self._app = create_app(self.meter)

    def run(self, steps: Coroutine[Any, Any, None]) -> None:
        """Ask it some things, in one event loop."""
        asyncio.run(asyncio.wait_for(steps, 30))

    async def switch(self, stage: str, key: str = "") -> dict[str, Any]:
        """A transition of one run, answered."""
        await self.rest()
        answer = await self._ask(
            "PUT", "/api/v1/stage", {"run": "kd", "stage": stage}, {"Idempotency-Key": key or stage}
        )
        return dict(answer.json())

    async def rest(self) -> None:
        """Until the readings that the latest transition triggered are made, so that nobody is at the ledger."""
        reader: Any = self.meter.fleet._reader
        while reader._queue or reader._busy:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)

    async def is_healthy(self) -> bool:
        """Whether it answers at all."""
        return (await self._ask("GET", "/-/healthy")).is_success

    def open_stages_on_disk(self) -> list[object]:
        """What an exporter finds that is started on a copy of what is on disk now."""
        shutil.copytree(self._folder / "ledger", self._folder / "copy")
        found = Meter([ReplaySource(self._clock, TRACES)], self._folder / "copy", self._clock)
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
        await service.rest()
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
        while not service.journal.waiting:
            await asyncio.sleep(0.001)
        assert await service.is_healthy()
        assert not asked.done(), "it is answered when it is on disk"
        disk.free.set()
        assert (await asked)["ended"]["stage"] == "teacher"
        assert len(in_threads) == 1
        disk.free.clear()
        for module in (threads, durable):
            monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
        assert (await service.switch("eval"))["ended"]["stage"] == "student"
        assert not service.journal.up, "it was waited for long enough, and is answered from memory"
        assert (await service.switch("prerun"))["ended"]["stage"] == "eval"
        disk.free.set()

    service.run(steps())
    wait_for(lambda: service.journal.up)
    assert service.open_stages_on_disk() == ["prerun"]


def test_a_ledger_that_had_to_be_replaced_meanwhile_holds_all_of_it(service: Service, disk: Disk) -> None:
    async def steps() -> None:
        await service.switch("teacher")
        disk.free.clear()
        asked = [asyncio.ensure_future(service.switch("student", key=str(number))) for number in range(6)]
        while len(service.meter._durable._changing) < len(asked):
            await asyncio.sleep(0.001)
        service.journal.restore("was found damaged")
        disk.free.set()
        answers = await asyncio.gather(*asked)
        assert len({answer["id"] for answer in answers}) == len(asked)
        assert service.journal.up
        assert service.journal.failures == 0
        assert not service.journal.waiting

    service.run(steps())
    assert service.open_stages_on_disk() == ["student"]


def test_the_loop_waits_neither_for_a_file_that_is_being_replaced_nor_answers_before(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, may_go = threading.Event(), threading.Event()
    really = service.meter._store._file.set_aside

    def takes_long(why: object) -> None:
        there.set()
        may_go.wait(20)
        really(why)

    async def steps() -> None:
        await service.switch("teacher")
        monkeypatch.setattr(service.meter._store._file, "set_aside", takes_long)
        service.journal.restore("was found damaged")
        asked = [asyncio.ensure_future(service.switch("student"))]
        while not there.is_set():
            await asyncio.sleep(0.001)
        asked.append(asyncio.ensure_future(service.switch("eval")))
        for _ in range(20):
            assert await service.is_healthy()
            await asyncio.sleep(0.005)
        assert not any(one.done() for one in asked)
        may_go.set()
        await asyncio.gather(*asked)

    service.run(steps())
    assert service.open_stages_on_disk() == ["eval"]


def test_a_transition_that_no_thread_can_be_had_for_is_answered_when_it_is_made(
    service: Service, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> None:
        raise Refused(503, "Out of threads", "no thread can be had", remedy="try again")

    async def steps() -> None:
        await service.switch("teacher")
        disk.free.clear()
        monkeypatch.setattr(threads, "PATIENCE_SECONDS", 0.1)
        monkeypatch.setattr(threads, "in_thread", refused)
        assert (await service.switch("student"))["ended"]["stage"] == "teacher"

    service.run(steps())


def test_each_transition_has_every_device_read_once(service: Service) -> None:
    async def steps() -> None:
        await service.switch("teacher")
        await service.switch("student")
        await service.switch("eval")
        await service.rest()
        before = Counter(service.reads)
        await service.switch("prerun")
        await service.rest()
        assert service.reads - before == Counter(dict.fromkeys(before, 1))
        assert not service.meter._durable._changing

    service.run(steps())
