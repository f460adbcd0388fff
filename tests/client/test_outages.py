"""The exporter is away, hung, or talks nonsense: the job goes on, is warned once, and is told at the end."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from eventually import eventually
from exporter_process import free_port
from fake_exporter import BEHAVIOURS, FakeExporter

import joulemark
from joulemark.client import timing


@contextmanager
def warned() -> Iterator[list[str]]:
    """The texts of the client's warnings."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
        texts += [str(w.message) for w in caught if str(w.message).startswith("joulemark")]


def three_stages(run: joulemark.Run) -> None:
    for _ in range(3):
        with run.stage("teacher") as stage:
            stage.add_tokens(cached=1)
        assert stage.summary is None


@pytest.mark.parametrize("behaviour", sorted(BEHAVIOURS))
def test_nonsense_ends_no_job_and_is_warned_of_once(
    behaviour: str, fake: FakeExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.behave = behaviour
    with warned() as texts, joulemark.run("kd-1", url=fake.url) as run:
        three_stages(run)
        assert run.power_watts() is None
    assert fake.connections > 0
    assert len([text for text in texts if "the job goes on" in text]) == 1, texts
    assert run.missed == 6
    assert "run kd-1: 6 transitions were not booked" in capfd.readouterr().err


def test_nobody_listens(capfd: pytest.CaptureFixture[str]) -> None:
    with warned() as texts, joulemark.run("kd-1", url=f"http://127.0.0.1:{free_port()}") as run:
        three_stages(run)
    assert len(texts) == 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "6 transitions were not booked" in said
    assert "3 tokens were not counted" in said
    assert "1 scores, artifacts or declarations were not kept" in said


@pytest.mark.parametrize("behaviour", ["hang", "trickle"])
def test_a_hung_exporter_costs_the_job_one_short_wait(
    behaviour: str, fake: FakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that whoever waited for a request would be seen, however slow the machine.
    monkeypatch.setattr(timing, "REQUEST_SECONDS", 100.0)
    monkeypatch.setattr(timing, "WAIT_SECONDS", 0.25)
    monkeypatch.setattr(timing, "EXIT_SECONDS", 0.1)
    fake.behave = behaviour
    began = time.monotonic()
    run = joulemark.run("kd-1", url=fake.url)
    for _ in range(200):
        with run.stage("student") as stage:
            stage.add_tokens(trained=10)
    run.score("gsm8k", 0.5)
    run.close()
    # One wait and that of closing; 402 of them would be over 100 s, and one request 100 s too.
    assert time.monotonic() - began < 20 * timing.WAIT_SECONDS
    assert fake.connections == 1


def test_a_server_that_sends_a_byte_at_a_time_cannot_hold_the_client(
    fake: FakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(timing, "WAIT_SECONDS", 0.25)
    fake.behave = "trickle"
    with warned() as texts, joulemark.run("kd-1", url=fake.url):
        eventually(lambda: fake.connections >= 2)
    # The client of the test before may be warning still.
    assert len([text for text in texts if fake.url in text]) == 1


def test_adding_tokens_never_speaks(fake: FakeExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "BEAT_SECONDS", 1000.0)
    with joulemark.run("kd-1", url=fake.url) as run, run.stage("student") as stage:
        before = fake.connections
        for _ in range(10_000):
            stage.add_tokens(trained=1)
        assert fake.connections == before
    assert fake.made("DELETE", "/stage/w0") == [{"tokens": {"trained": 10_000}}]


@pytest.mark.usefixtures("quick")
def test_beats_send_cumulative_counts(fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url) as run, run.stage("student") as stage:
        stage.add_tokens(trained=5)
        eventually(lambda: {"tokens": {"trained": 5}} in fake.made("POST", "/stage/w0/heartbeat"))
        stage.add_tokens(trained=2)
        eventually(lambda: {"tokens": {"trained": 7}} in fake.made("POST", "/stage/w0/heartbeat"))


@pytest.mark.usefixtures("quick")
def test_the_stage_that_is_open_when_the_exporter_comes_back_begins_then(
    fake: FakeExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    with warned() as texts, joulemark.run("kd-1", url=fake.url) as run:
        fake.behave = "html 502"
        with run.stage("data"):
            pass
        with run.stage("student"):
            time.sleep(0.4)
            fake.behave = "well"
            eventually(fake.open_windows)
    stages = [window["stage"] for window in fake.windows.values()]
    assert stages == ["student"]  # what was over before is not made up afterwards
    assert run.missed == 3
    assert len(texts) == 1
    assert "stages were open for 0." in capfd.readouterr().err


@pytest.mark.usefixtures("quick")
def test_a_window_whose_stage_ended_in_an_outage_is_ended_when_it_is_over(
    fake: FakeExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    with warned(), joulemark.run("kd-1", url=fake.url) as run:
        with run.stage("teacher") as stage:
            stage.add_tokens(cached=9)
            fake.behave = "html 502"
        time.sleep(0.5)
        fake.behave = "well"
        eventually(lambda: not fake.open_windows())
    assert fake.windows["w0"]["tokens"] == {"cached": 9}
    assert run.missed == 1
    assert "too long" in capfd.readouterr().err


@pytest.mark.usefixtures("quick")
def test_each_outage_is_warned_of_once(fake: FakeExporter) -> None:
    with warned() as texts, joulemark.run("kd-1", url=fake.url) as run:
        for outage in (1, 2):
            fake.behave = "html 502"
            with run.stage("data"):
                calls = len(fake.calls)
                eventually(partial(fake.has_had, calls + 3))
                fake.behave = "well"
                eventually(fake.open_windows)
            eventually(lambda: not fake.open_windows())
            assert run.missed == outage
    assert len(texts) == 2


@pytest.mark.usefixtures("quick")
def test_an_unanswered_begin_is_repeated_with_its_key(fake: FakeExporter) -> None:
    with warned(), joulemark.run("kd-1", url=fake.url) as run:
        fake.behave = "truncated"
        with run.stage("student"):
            eventually(lambda: len(fake.made("PUT", "/stage")) >= 3)
            fake.behave = "well"
            eventually(fake.open_windows)
    keys = [headers["idempotency-key"] for headers in fake.headers if "idempotency-key" in headers]
    assert len(set(keys)) == 1
    assert len(fake.windows) == 1


@pytest.mark.usefixtures("quick")
def test_an_expired_window_begins_anew_and_the_summary_adds_up(fake: FakeExporter) -> None:
    with warned(), joulemark.run("kd-1", url=fake.url) as run, run.stage("student") as stage:
        stage.add_tokens(trained=10)
        eventually(lambda: fake.windows["w0"]["tokens"] == {"trained": 10})
        fake.expire()
        eventually(lambda: len(fake.windows) == 2)
        stage.add_tokens(trained=5)
    assert fake.windows["w1"]["tokens"] == {"trained": 5}
    assert stage.summary is not None
    assert (stage.summary["joules"], stage.summary["uncertainty_joules"]) == (20.0, 2.0)
    assert stage.summary["tokens"] == {"trained": 15}
    assert stage.summary["joules_per_token"] == 20 / 15


@pytest.mark.usefixtures("quick")
def test_a_window_that_somebody_else_ended_is_not_fought_for(fake: FakeExporter) -> None:
    with warned() as texts, joulemark.run("kd-1", url=fake.url) as run, run.stage("student"):
        fake.windows["w0"]["state"] = "replaced"
        eventually(lambda: fake.made("POST", "/stage/w0/heartbeat"))
        time.sleep(0.3)
        assert len(fake.windows) == 1
    assert ["another call ended the window" in text for text in texts] == [True]
