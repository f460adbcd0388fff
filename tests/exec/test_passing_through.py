"""`joulemark exec` without a terminal: codes, signals, pipes, nesting, and an exporter that is away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from eventually import eventually
from exporter_process import Exporter, free_port
from fake_exporter import FakeExporter
from joulemark_exec import JOULEMARK, environment, exec_argv, execute

NOTES_SIGNALS = """
import os, signal, sys, time
got = []
def note(number, frame): got.append(signal.Signals(number).name)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, note)
print("ready", flush=True)
until = time.monotonic() + 60
while time.monotonic() < until and "SIGUSR2" not in got: time.sleep(0.01)
time.sleep(0.3)
print(",".join(got))
sys.exit(5)
"""


@pytest.mark.parametrize("code", [0, 1, 7, 126, 127, 255])
def test_exit_codes_pass_through(code: int, fake: FakeExporter) -> None:
    assert execute("sh", "-c", f"exit {code}", url=fake.url).returncode == code
    assert fake.windows["w0"]["state"] == ("failed" if code else "ended")


def test_signals_sent_to_it_alone_arrive_once_and_in_order(fake: FakeExporter) -> None:
    process = subprocess.Popen(
        exec_argv(sys.executable, "-c", NOTES_SIGNALS), env=environment(fake.url), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR2):
        process.send_signal(number)
        time.sleep(0.1)
    out, err = process.communicate(timeout=60)
    assert out == "SIGTERM,SIGHUP,SIGUSR1,SIGINT,SIGQUIT,SIGUSR2\n"
    assert process.returncode == 5
    assert "±" in err


def test_a_command_that_is_stopped_where_no_shell_is_stays_so(fake: FakeExporter) -> None:
    """Suspended by a scheduler, which asks the group first and then stops each: nobody but it may continue them."""
    argv = exec_argv("sh", "-c", "echo $$; exec sleep 60")
    with subprocess.Popen(
        argv, env=environment(fake.url), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        command = int(process.stdout.readline())
        os.killpg(process.pid, signal.SIGTSTP)
        time.sleep(0.3)
        os.kill(command, signal.SIGSTOP)
        time.sleep(0.5)
        assert Path(f"/proc/{command}/stat").read_text().rpartition(") ")[2][0] == "T"
        os.kill(command, signal.SIGCONT)
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGHUP])
def test_it_dies_of_what_the_command_died_of(number: signal.Signals, fake: FakeExporter) -> None:
    done = execute("sh", "-c", f"kill -{number.name[3:]} $$", url=fake.url)
    assert done.returncode == -number
    assert "±" in done.stderr
    assert not fake.open_windows()


def test_pipes_and_large_input_pass_through(fake: FakeExporter) -> None:
    text = "line\n" * 200_000
    done = execute("sh", "-c", "cat; echo oops >&2", url=fake.url, stdin=text)
    assert done.stdout == text
    assert done.stderr.startswith("oops\n")


def test_the_command_is_given_no_mask_and_ignores_nothing(fake: FakeExporter) -> None:
    words = execute("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", url=fake.url).stdout.split()
    # Signals 32 and 33 are the C library's own.
    masks = {name: int(bits, 16) & ~(0b11 << 31) for name, bits in zip(words[::2], words[1::2], strict=True)}
    assert masks == {"SigBlk:": 0, "SigIgn:": 0}


def test_nohup_keeps_its_meaning(fake: FakeExporter) -> None:
    done = subprocess.run(
        ["nohup", *exec_argv("grep", "SigIgn", "/proc/self/status")], capture_output=True, text=True,
        env=environment(fake.url), timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert int(done.stdout.split()[1], 16) & 1 << (signal.SIGHUP - 1)


def test_process_group_and_session_are_ours(fake: FakeExporter) -> None:
    code = "import os; print(os.getpgrp(), os.getsid(0))"
    done = execute(sys.executable, "-c", code, url=fake.url)
    assert done.stdout.split() == [str(os.getpgrp()), str(os.getsid(0))]


def test_a_killed_exec_leaves_the_command_running_and_the_lease_ends_the_window(exporter: Exporter) -> None:
    # The lease is a minute; this test has none to wait for.
    code = "from joulemark.client import timing; timing.LEASE_SECONDS = 1.0; from joulemark.cli import main; main()"
    argv = [
        sys.executable,
        "-c",
        code,
        "exec",
        "--run",
        "r1",
        "--stage",
        "data",
        "--",
        "sh",
        "-c",
        "echo $$; exec sleep 60",
    ]
    process = subprocess.Popen(argv, env=environment(exporter.url), stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout:
        child = int(process.stdout.readline())
    process.kill()
    process.wait()
    try:
        eventually(lambda: exporter.http.get("/api/v1/stage").json() == [])
        os.kill(child, 0)  # raises when it is not there
    finally:
        os.kill(child, signal.SIGKILL)
    assert exporter.metrics()["joulemark_windows_expired_total"] == 1


def test_inside_of_itself_the_inner_stage_suspends_the_outer(exporter: Exporter) -> None:
    inner = exec_argv("sleep", "0.5", stage="eval")
    done = execute("sh", "-c", 'sleep 0.2; "$@"; sleep 0.2', "sh", *inner, url=exporter.url)
    assert done.returncode == 0
    stages = {x["stage"]: x for x in exporter.http.get("/api/v1/runs/r1").json()["stages"]}
    assert (stages["teacher"]["windows"], stages["eval"]["windows"]) == (1, 1)
    assert stages["eval"]["seconds"] >= 0.5
    lines = done.stderr.splitlines()
    assert ["run r1 stage eval" in lines[0], "run r1 stage teacher" in lines[1]] == [True, True]


def test_a_client_inside_of_it_takes_the_run_and_nests(exporter: Exporter) -> None:
    code = """
import joulemark, time
with joulemark.run(strict=True) as run:
    assert run.name == "r1"
    for stage in ("data", "eval"):
        with run.stage(stage): time.sleep(0.2)
"""
    assert execute(sys.executable, "-c", code, url=exporter.url, PYTHONWARNINGS="error").returncode == 0
    stages = {x["stage"]: x["windows"] for x in exporter.http.get("/api/v1/runs/r1").json()["stages"]}
    assert stages == {"teacher": 1, "data": 1, "eval": 1}


def test_another_run_on_the_same_devices_is_named_and_the_command_runs(exporter: Exporter) -> None:
    outer = exporter.http.put("/api/v1/stage", json={"run": "other", "stage": "teacher"}).json()
    done = execute("echo", "hello", url=exporter.url)
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert "is held by run 'other', stage 'teacher'" in done.stderr
    assert "share" in done.stderr
    assert "no summary" in done.stderr
    strict = execute("echo", "hello", url=exporter.url, options=("--strict",))
    assert (strict.returncode, strict.stdout) == (2, "")
    assert [x["id"] for x in exporter.http.get("/api/v1/stage").json()] == [outer["id"]]


def test_without_an_exporter_the_command_runs(tmp_path: object) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = execute("sh", "-c", "exit 3", url=url)
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert len(lines) == 3, lines
    assert ["no exporter at" in lines[0], "no summary" in lines[1], "were not booked" in lines[2]] == [True] * 3
    assert "RuntimeWarning" not in done.stderr
    assert execute("true", url=url, options=("--strict",)).returncode == 2


def test_a_strict_stage_that_was_lost_meanwhile_is_an_error(fake: FakeExporter) -> None:
    process = subprocess.Popen(
        exec_argv("sh", "-c", "echo up; sleep 1", options=("--strict",)), env=environment(fake.url),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    process.stdout.readline()
    fake.expire()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "expired before the stage ended" in err


@pytest.mark.parametrize(("name", "code"), [("no-such-command", 127), ("/etc/passwd", 126), ("/", 126)])
def test_a_command_that_cannot_be_started_is_named(name: str, code: int, fake: FakeExporter) -> None:
    done = execute(name, url=fake.url)
    assert done.returncode == code
    assert name in done.stderr


def test_the_name_of_the_run_may_come_from_the_environment(fake: FakeExporter) -> None:
    argv = [*JOULEMARK, "exec", "--stage", "data", "--", "sh", "-c", "echo $JOULEMARK_RUN"]
    done = subprocess.run(
        argv, env=environment(fake.url, JOULEMARK_RUN="named"), capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "named\n"
    assert fake.windows["w0"]["run"] == "named"


def test_a_wrong_name_is_refused_before_the_command_starts(fake: FakeExporter) -> None:
    done = execute("echo", "hello", url=fake.url, run="no spaces")
    assert (done.returncode, done.stdout) == (2, "")
    assert "run name" in done.stderr
    assert fake.calls == []
