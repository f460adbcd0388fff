"""Stages as decorators, and in asyncio tasks whose stages must not be mixed up."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import AsyncIterator, Iterator

import pytest
from fake_exporter import FakeExporter

import joulemark
from joulemark.client import timing
from joulemark.client.open_stages import innermost_stage


def names(fake: FakeExporter) -> list[str]:
    return [window["stage"] for window in fake.windows.values()]


def test_every_call_of_a_decorated_function_is_a_stage(fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url) as run:

        @run.stage("data", phase="pack")
        def pack(number: int) -> int:
            """Packs."""
            assert fake.open_windows()
            return number * 2

        assert [pack(1), pack(2)] == [2, 4]
        assert (pack.__name__, pack.__doc__) == ("pack", "Packs.")
    assert names(fake) == ["data", "data"]
    assert not fake.open_windows()


def test_a_decorator_without_a_run_belongs_to_the_run_around_it(fake: FakeExporter) -> None:
    @joulemark.stage("data")
    def load() -> str:
        return "loaded"

    assert load() == "loaded"  # no run: nothing happens
    with joulemark.run("kd-1", url=fake.url):
        load()
        with joulemark.run("kd-2", url=fake.url):
            load()
    assert [(window["run"], window["stage"]) for window in fake.windows.values()] == [
        ("kd-1", "data"),
        ("kd-2", "data"),
    ]
    with pytest.raises(joulemark.JoulemarkError, match="stage name"):
        joulemark.stage("No Such")


def test_a_generator_holds_its_stage_until_its_last_item(fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url) as run:

        @run.stage("data")
        def items() -> Iterator[int]:
            yield from range(2)

        seen = [len(fake.open_windows()) for _ in items()]
    assert seen == [1, 1]
    assert not fake.open_windows()


def test_recursion_opens_a_stage_for_each_call(fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url) as run:

        @run.stage("data")
        def down(depth: int) -> int:
            return depth if depth == 0 else down(depth - 1)

        down(2)
    assert names(fake) == ["data"] * 3
    assert not fake.open_windows()


def test_coroutines_and_async_generators(fake: FakeExporter) -> None:
    async def main() -> list[int]:
        with joulemark.run("kd-1", url=fake.url) as run:

            @run.stage("data")
            async def load() -> int:
                await asyncio.sleep(0)
                return len(fake.open_windows())

            @run.stage("eval")
            async def items() -> AsyncIterator[int]:
                yield len(fake.open_windows())

            return [await load(), *[item async for item in items()]]

    assert asyncio.run(main()) == [1, 1]
    assert names(fake) == ["data", "eval"]
    assert not fake.open_windows()


def test_tasks_do_not_mix_up_their_stages(fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url) as run:

        async def one(name: str, rounds: int) -> None:
            for _ in range(rounds):
                async with run.stage(name, devices=[name]) as outer:
                    await asyncio.sleep(0.001)
                    async with run.stage("eval") as inner:
                        await asyncio.sleep(0.001)
                        assert innermost_stage(run) is inner
                    assert innermost_stage(run) is outer
                assert innermost_stage(run) is None

        async def main() -> None:
            await asyncio.gather(*(one(f"task{number}", 5) for number in range(5)))

        asyncio.run(main())
    # Each inner stage works where the stage around it in its own task does.
    evals = [body["devices"] for body in fake.made("PUT", "/stage") if body["stage"] == "eval"]
    assert sorted(devices[0] for devices in evals) == sorted(f"task{number}" for number in range(5) for _ in range(5))
    assert not fake.open_windows()


def test_the_event_loop_goes_on_while_a_stage_waits(fake: FakeExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "WAIT_SECONDS", 5.0)
    monkeypatch.setattr(timing, "EXIT_SECONDS", 0.1)
    fake.behave = "hang"
    turns = []

    async def main(run: joulemark.Run) -> None:
        async def ticks() -> None:
            while True:
                turns.append(time.monotonic())
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(ticks())
        # The first call hangs and is waited for: the loop must turn meanwhile.
        run.voice._hopeless = False  # type: ignore[attr-defined]  # declaring the run has lost patience already
        async with run.stage("data"):
            ticking.cancel()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monkeypatch.setattr(timing, "WAIT_SECONDS", 0.05)
        run = joulemark.run("kd-1", url=fake.url)
        monkeypatch.setattr(timing, "WAIT_SECONDS", 3.0)
        asyncio.run(main(run))
        monkeypatch.setattr(timing, "WAIT_SECONDS", 0.05)
        run.close()
    assert len(turns) > 20


def test_a_stage_cannot_be_entered_twice_at_a_time_but_again_later(fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url) as run:
        stage = run.stage("data")
        with stage:
            stage.add_tokens(prompt=5)
            with pytest.raises(RuntimeError, match="open already"):
                stage.__enter__()
        with stage:
            stage.add_tokens(prompt=2)
    assert [window["tokens"] for window in fake.windows.values()] == [{"prompt": 5}, {"prompt": 2}]


def test_a_stage_after_the_run_is_nothing(fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url) as run:
        pass
    with pytest.warns(RuntimeWarning, match="closed"), run.stage("data"):
        pass
    assert fake.windows == {}
