"""A strict run is for measurement campaigns: whatever was not booked is an exception."""

from __future__ import annotations

import pytest
from eventually import eventually
from exporter_process import free_port
from fake_exporter import FakeExporter

import joulemark
from joulemark.client import timing


def test_a_run_that_cannot_be_declared_does_not_open() -> None:
    with pytest.raises(joulemark.ClientError, match="no exporter at"):
        joulemark.run("kd-1", url=f"http://127.0.0.1:{free_port()}", strict=True)


@pytest.mark.parametrize("behaviour", ["html 502", "truncated", "wrong types", "hang up"])
def test_a_transition_that_is_not_booked_is_raised(behaviour: str, fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url, strict=True) as run:
        with run.stage("data"):
            fake.behave = behaviour
            with pytest.raises(joulemark.ClientError), run.stage("eval"):
                raise AssertionError("the stage was entered all the same")
            fake.behave = "well"
        with pytest.raises(joulemark.ClientError), run.stage("student"):
            fake.behave = behaviour
        fake.behave = "well"
    eventually(lambda: not fake.open_windows())


def test_an_answer_that_does_not_come_is_raised(fake: FakeExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "REQUEST_SECONDS", 0.2)
    with joulemark.run("kd-1", url=fake.url, strict=True) as run:
        fake.behave = "hang"
        with pytest.raises(joulemark.ClientError, match="timed out"), run.stage("data"):
            pass
        fake.behave = "well"


@pytest.mark.usefixtures("quick")
def test_a_window_that_was_lost_meanwhile_is_raised_at_the_end(fake: FakeExporter) -> None:
    def lose_it(run: joulemark.Run) -> None:
        with run.stage("student"):
            fake.expire()
            eventually(lambda: len(fake.windows) == 2)

    run = joulemark.run("kd-1", url=fake.url, strict=True)
    with run, pytest.raises(joulemark.ClientError, match="expired before the stage ended"):
        lose_it(run)


def test_what_the_job_raises_itself_comes_first(fake: FakeExporter) -> None:
    def fail(run: joulemark.Run) -> None:
        with run.stage("student"):
            fake.behave = "html 502"
            _ = 1 / 0

    with joulemark.run("kd-1", url=fake.url, strict=True) as run:
        with pytest.raises(ZeroDivisionError):
            fail(run)
        fake.behave = "well"


def test_a_score_that_is_none_is_raised(fake: FakeExporter) -> None:
    run = joulemark.run("kd-1", url=fake.url, strict=True)
    with run, pytest.raises(joulemark.JoulemarkError, match="benchmark name"):
        run.score("no such name", 0.5)


@pytest.mark.parametrize("strict", [True, False])
def test_names_are_checked_before_anything_is_sent(strict: bool, fake: FakeExporter) -> None:
    for name in ("no spaces", "", "-x", "a" * 200):
        with pytest.raises(joulemark.JoulemarkError, match="run name"):
            joulemark.run(name, url=fake.url, strict=strict)
    assert fake.calls == []
    with joulemark.run("kd-1", url=fake.url, strict=strict) as run:
        with pytest.raises(joulemark.JoulemarkError, match="stage name"):
            run.stage("Teacher")
        with pytest.raises(joulemark.JoulemarkError, match="reserved"):
            run.stage("unattributed")
        with pytest.raises(joulemark.JoulemarkError, match="phase name"):
            run.stage("teacher", phase="a b")
        with run.stage("teacher") as stage, pytest.raises(joulemark.JoulemarkError, match="token kind"):
            stage.add_tokens(examples=3)


def test_what_comes_out_of_the_job_ends_it_only_when_strict(fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url) as run:
        with pytest.warns(RuntimeWarning, match="not kept, the job goes on"):
            run.score("no such name", 0.5)
        with pytest.warns(RuntimeWarning, match="not kept, the job goes on"):
            run.score("gsm8k", "high")  # type: ignore[arg-type]
    assert fake.made("POST", "/runs/.*") == []


def test_warnings_that_are_errors_end_no_job(capfd: pytest.CaptureFixture[str]) -> None:
    # pytest runs with warnings as errors, and nothing here says otherwise.
    with joulemark.run("kd-1", url=f"http://127.0.0.1:{free_port()}") as run, run.stage("data"):
        pass
    assert "the job goes on" in capfd.readouterr().err
