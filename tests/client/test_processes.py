"""The client among threads, forked children and sudden ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest
from eventually import eventually
from exporter_process import Exporter
from fake_exporter import FakeExporter

import joulemark


def python(code: str, url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "JOULEMARK_URL": url, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=120)


def test_threads_add_tokens_and_none_is_lost(fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url) as run, run.stage("student") as stage:

        def add() -> None:
            for _ in range(5000):
                stage.add_tokens(trained=1, prompt=2)

        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert fake.windows["w0"]["tokens"] == {"trained": 40_000, "prompt": 80_000}


@pytest.mark.usefixtures("quick")
def test_stages_of_several_threads_lie_on_one_another_and_all_are_ended(fake: FakeExporter) -> None:
    with joulemark.run("kd-1", url=fake.url) as run:
        first_left = threading.Event()

        def second() -> None:
            with run.stage("eval") as stage:
                stage.add_tokens(evaluated=3)
                first_left.wait(20)
                eventually(lambda: [w["stage"] for w in fake.open_windows()] == ["eval"])
                stage.add_tokens(evaluated=4)

        with run.stage("student"):
            thread = threading.Thread(target=second)
            thread.start()
            eventually(lambda: len(fake.open_windows()) == 2)
        first_left.set()  # the outer one ended first: the exporter ended the inner one with it
        thread.join()
    assert not fake.open_windows()
    evals = [window for window in fake.windows.values() if window["stage"] == "eval"]
    assert len(evals) == 2
    assert sum(window["tokens"].get("evaluated", 0) for window in evals) == 7


FORK = """
import os, sys, threading, time, warnings, joulemark
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later warn of any fork among threads
with joulemark.run("kd-1") as run:
    with run.stage("student") as stage:
        busy = True
        def add():
            while busy: stage.add_tokens(trained=0)
        adders = [threading.Thread(target=add) for _ in range(2)]
        for adder in adders: adder.start()
        for _ in range(15):
            child = os.fork()
            if child == 0:
                stage.add_tokens(trained=1000)
                with run.stage("data"): run.score("gsm8k", 1.0); run.power_watts(); run.declare(seed=1)
                with joulemark.stage("eval"): pass
                run.close()
                sys.exit(0)  # runs what is registered at exit, as a careless child does
            assert os.waitpid(child, 0)[1] == 0
        busy = False
        for adder in adders: adder.join()
        stage.add_tokens(trained=7)
"""


def test_a_forked_child_neither_speaks_nor_deadlocks(fake: FakeExporter) -> None:
    done = python(FORK, fake.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert {window["stage"] for window in fake.windows.values()} == {"student"}
    assert fake.windows["w0"]["tokens"] == {"trained": 7}
    assert fake.made("POST", "/runs/.*") == []


def test_a_data_loader_that_forks_inside_a_stage(fake: FakeExporter) -> None:
    code = """
import torch, joulemark
class Rows(torch.utils.data.Dataset):
    def __len__(self): return 8
    def __getitem__(self, index): stage.add_tokens(trained=1000); return index
with joulemark.run("kd-1") as run, run.stage("student") as stage:
    for batch in torch.utils.data.DataLoader(Rows(), batch_size=2, num_workers=2, multiprocessing_context="fork"):
        stage.add_tokens(trained=len(batch))
"""
    done = python(code, fake.url, PYTHONWARNINGS="ignore")
    assert done.returncode == 0, done.stderr
    assert fake.windows["w0"]["tokens"] == {"trained": 8}


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_sudden_end_is_survived_by_the_lease(end: str, exporter: Exporter) -> None:
    code = (
        "import os, time, joulemark; from joulemark.client import timing; timing.LEASE_SECONDS = 1.0\n"
        f"with joulemark.run('kd-1') as run, run.stage('student'):\n    time.sleep(0.3); {end}"
    )
    done = python(code, exporter.url)
    assert done.returncode in (3, -signal.SIGKILL)
    eventually(lambda: exporter.http.get("/api/v1/stage").json() == [])
    assert exporter.metrics()["joulemark_windows_expired_total"] == 1


def test_a_job_that_forgets_to_close_ends_its_stages_at_exit(fake: FakeExporter) -> None:
    done = python("import joulemark; run = joulemark.run('kd-1'); run.stage('student').__enter__()", fake.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert [window["state"] for window in fake.windows.values()] == ["ended"]


def test_a_job_that_ends_while_the_exporter_hangs_ends(fake: FakeExporter) -> None:
    fake.behave = "hang"
    code = "import time, joulemark; run = joulemark.run('kd-1'); run.stage('student').__enter__(); run.close()"
    began = time.monotonic()
    done = python(code, fake.url, PYTHONWARNINGS="ignore")
    assert done.returncode == 0
    assert "transitions were not booked" in done.stderr
    assert time.monotonic() - began < 60


def test_no_thread_can_be_started(fake: FakeExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("joulemark.client.speaker.Speaker.start", refuse)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with joulemark.run("kd-1", url=fake.url) as run, run.stage("student") as stage:
            stage.add_tokens(trained=1)
    assert "can't start new thread" in str(caught[0].message)
    with pytest.raises(joulemark.ClientError, match="can't start new thread"):
        joulemark.run("kd-1", url=fake.url, strict=True)


def test_the_client_loads_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import joulemark; from joulemark.client import connection; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before} - {'joulemark'}; "
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    assert python(code, "").stdout == "[]\n"


def test_importing_joulemark_loads_no_network_code() -> None:
    code = "import sys, joulemark; print([name for name in ('http.client', 'ssl', 'asyncio') if name in sys.modules])"
    assert python(code, "").stdout == "[]\n"
