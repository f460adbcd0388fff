"""The client keeps its connection from call to call, and is not misled by one that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from exporter_process import Exporter
from fake_exporter import FakeExporter

import joulemark
from joulemark.client import timing

STAGES = 5
FORKS = """
import os, sys, joulemark
with joulemark.run("parent", strict=True) as run, run.stage("teacher"):
    child = os.fork()
    if not child:
        with joulemark.run("child", strict=True) as own:
            for stage in range(3):
                with own.stage(f"s{stage}"):
                    pass
        os._exit(0)
    for stage in range(3):
        with run.stage(f"p{stage}"):
            pass
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def run_stages(url: str, pause: float = 0.0) -> None:
    """Five stages, one after the other; raises when one of them is not booked."""
    with joulemark.run("kd-1", url=url, strict=True) as run:
        for stage in range(STAGES):
            with run.stage(f"s{stage}"):
                time.sleep(pause)


def begun(fake: FakeExporter) -> list[object]:
    return [body["stage"] for body in fake.made("PUT", "/stage")]


def test_all_calls_of_a_run_come_by_one_connection(fake: FakeExporter) -> None:
    fake.answers_per_connection = 1000
    run_stages(fake.url)
    assert len(fake.made("PUT", "/stage")) == len(fake.made("DELETE", "/stage/.*")) == STAGES
    assert fake.connections == 1


@pytest.mark.parametrize("answers", [1, 2, 3])
@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_an_exporter_that_hangs_up_between_two_calls_misses_none_and_gets_none_twice(
    fake: FakeExporter, answers: int, pause: float
) -> None:
    fake.answers_per_connection = answers
    run_stages(fake.url, pause)
    assert begun(fake) == [f"s{stage}" for stage in range(STAGES)]
    assert fake.connections >= len(fake.calls) / answers


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    fake: FakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers_per_connection = 1000
    monkeypatch.setattr(timing, "KEPT_SECONDS", 0.02)
    run_stages(fake.url, pause=0.1)
    assert begun(fake) == [f"s{stage}" for stage in range(STAGES)]
    assert fake.connections >= STAGES


def test_a_forked_child_has_a_connection_of_its_own(fake: FakeExporter) -> None:
    fake.answers_per_connection = 1000
    done = subprocess.run(
        [sys.executable, "-c", FORKS], env={**os.environ, "JOULEMARK_URL": fake.url}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert fake.connections == 2
    assert sorted(map(str, begun(fake))) == ["p0", "p1", "p2", "s0", "s1", "s2", "teacher"]
    assert not fake.open_windows()


def test_an_exporter_that_restarts_between_two_stages_misses_none(exporter: Exporter) -> None:
    with joulemark.run("kd-1", url=exporter.url, strict=True) as run:
        with run.stage("teacher"):
            pass
        exporter.terminate()
        exporter.start()
        with run.stage("student"):
            pass
    stages = exporter.http.get("/api/v1/runs/kd-1").json()["stages"]
    assert sorted(stage["stage"] for stage in stages) == ["student", "teacher"]
