"""`joulemark exec` on a real terminal: keys, job control, window size, raw programs."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest
from fake_exporter import FakeExporter
from joulemark_exec import JOULEMARK, environment, exec_argv
from terminal import Terminal

COUNTS = """
import os, signal, sys, time
seen = 0
def note(number, frame):
    global seen
    seen += 1
signal.signal(signal.SIGINT, note)
print("tty", os.isatty(0), os.isatty(1), os.isatty(2), os.tcgetpgrp(0) == os.getpgrp(), flush=True)
while not seen: time.sleep(0.01)
time.sleep(0.5)
print("interrupts", seen, flush=True)
print("read", input(), flush=True)
"""


def test_a_key_interrupts_the_command_once_and_it_can_still_read(fake: FakeExporter) -> None:
    with Terminal(exec_argv(sys.executable, "-c", COUNTS), environment(fake.url)) as terminal:
        terminal.see("tty True True True True")
        terminal.press("\x03")
        terminal.see("interrupts 1")
        terminal.press("typed\n")
        terminal.see("read typed")
        terminal.see("±")
        assert terminal.wait() == 0


def test_a_command_that_dies_of_the_key_takes_exec_with_it(fake: FakeExporter) -> None:
    with Terminal(exec_argv("sh", "-c", "echo up; exec sleep 60"), environment(fake.url)) as terminal:
        terminal.see("up")
        terminal.press("\x03")
        terminal.see("±")
        assert terminal.wait() == -2
    assert not fake.open_windows()


def test_the_window_s_size_arrives(fake: FakeExporter) -> None:
    code = """
import os, signal, time
sizes = []
signal.signal(signal.SIGWINCH, lambda *_: sizes.append(tuple(os.get_terminal_size())))
print("up", flush=True)
while not sizes: time.sleep(0.01)
time.sleep(0.3)
print("sizes", sizes)
"""
    with Terminal(exec_argv(sys.executable, "-c", code), environment(fake.url)) as terminal:
        terminal.see("up")
        terminal.resize(50, 133)
        terminal.see("sizes [(133, 50)]")
        assert terminal.wait() == 0


@pytest.fixture
def shell(fake: FakeExporter, tmp_path: Path) -> Terminal:
    """An interactive bash in which `jm` books a command."""
    rc = tmp_path / "rc"
    command = f"{shlex.join(JOULEMARK)} exec --run r1 --stage student -- "
    # No function, which would be a shell of its own in the background.
    rc.write_text(f'PS1="$ "\nalias jm={shlex.quote(command)}\n')
    argv = ["bash", "--noprofile", "--rcfile", str(rc), "-i"]
    return Terminal(argv, environment(fake.url, TERM="dumb"))


def test_job_control_of_an_interactive_shell(shell: Terminal, fake: FakeExporter) -> None:
    with shell as terminal:
        terminal.see("$ ")
        terminal.press("jm sh -c 'echo s''tarted; read line; echo got $line; exit 4'\n")
        terminal.see("started")
        terminal.press("\x1a")
        terminal.see("Stopped")
        terminal.see("$ ")
        terminal.press("jobs; echo in''between\n")
        terminal.see("Stopped")
        terminal.see("inbetween")
        terminal.press("fg\n")
        terminal.see("exec --run r1")
        terminal.press("word\n")
        terminal.see("got word")
        terminal.see("±")
        terminal.press("echo code $?\n")
        terminal.see("code 4")
        terminal.press("exit\n")
        terminal.wait()
    assert [window["state"] for window in fake.windows.values()] == ["failed"]


CLEANS_UP = """
import os, signal, sys, time
def stop(number, frame):
    time.sleep(0.5)
    print("cleaned " + "up", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
signal.signal(signal.SIGTSTP, stop)
print("star" + "ted", flush=True)
print("got", sys.stdin.readline())
"""


def test_the_job_is_stopped_when_the_command_is(shell: Terminal, tmp_path: Path) -> None:
    """Before that the command still has the terminal: it would take what is typed at the shell's prompt."""
    (tmp_path / "cleans_up.py").write_text(CLEANS_UP)
    with shell as terminal:
        terminal.see("$ ")
        terminal.press(f"jm {sys.executable} {tmp_path}/cleans_up.py\n")
        terminal.see("started")
        terminal.press("\x1a")
        assert "Stopped" not in terminal.see("cleaned up")
        terminal.see("Stopped")
        terminal.see("$ ")
        terminal.press("fg\nword\n")
        terminal.see("got word")
        terminal.press("exit\n")
        terminal.wait()


def test_a_command_that_does_not_stop_keeps_the_terminal(shell: Terminal) -> None:
    with shell as terminal:
        terminal.see("$ ")
        terminal.press("jm sh -c 'trap \"\" TSTP; echo s''tarted; read line; echo got $line'\n")
        terminal.see("started")
        terminal.press("\x1a")
        time.sleep(0.5)
        terminal.press("word\n")
        assert "Stopped" not in terminal.see("got word")
        terminal.press("exit\n")
        terminal.wait()


@pytest.mark.parametrize("whom", ["%1", "$!"], ids=["the group", "exec alone"])
def test_a_job_in_the_background_is_stopped_with_its_command(shell: Terminal, tmp_path: Path, whom: str) -> None:
    waits = f"until test -e {tmp_path}/go; do sleep 0.1; done"
    with shell as terminal:
        terminal.see("$ ")
        terminal.press(f"jm sh -c 'echo s''tarted; {waits}; echo fin''ished' &\n")
        terminal.see("started")
        terminal.press(f"kill -TSTP {whom}; sleep 1; jobs; touch {tmp_path}/go; sleep 1; echo a''sked\n")
        seen = terminal.see("asked")
        assert "Stopped" in seen
        assert "finished" not in seen
        terminal.press("kill -CONT %1\n")
        terminal.see("finished")
        terminal.see("±")
        terminal.press("exit\n")
        terminal.wait()


def test_a_shell_that_starts_one_program_after_another_is_stopped(shell: Terminal) -> None:
    """Where the program was stopped before it was one, the shell waits for it and cannot stop."""
    with shell as terminal:
        terminal.see("$ ")
        terminal.press("jm sh -c 'echo s''tarted; until ! /bin/echo .; do :; done'\n")
        terminal.see("started")
        for _ in range(5):
            terminal.press("\x1a")
            terminal.see("Stopped")
            terminal.see("$ ")
            terminal.press("fg\n")
            terminal.see("done'")
            terminal.see(".")
        terminal.press("\x03")
        terminal.see("±")
        terminal.press("exit\n")
        terminal.wait()


def test_a_command_in_a_group_of_its_own_gets_the_keys(shell: Terminal) -> None:
    with shell as terminal:
        terminal.see("$ ")
        command = (
            "trap \"echo a''wake\" CONT; trap \"echo g''one; exit\" INT; echo s''tarted; while :; do sleep 0.1; done"
        )
        terminal.press(f"jm timeout 60 sh -c '{command}'\n")
        terminal.see("started")
        terminal.press("\x1a")
        terminal.see("Stopped")
        terminal.see("$ ")
        terminal.press("fg\n")
        terminal.see("awake")
        terminal.press("\x03")
        # Two processes get the key; which of them ends first is theirs.
        if "gone" not in terminal.see("±"):
            terminal.see("gone")
        terminal.press("exit\n")
        terminal.wait()


def test_a_command_that_somebody_stopped_and_continued_is_not_stopped_again(shell: Terminal) -> None:
    with shell as terminal:
        terminal.see("$ ")
        terminal.press("jm sh -c 'echo p''id:$$:; exec sleep 60' &\n")
        terminal.see("pid:")
        command = int(terminal.see(":").rstrip(":"))
        for number in (signal.SIGSTOP, signal.SIGCONT):
            os.kill(command, number)
            time.sleep(0.5)
        terminal.press("fg\n")
        terminal.see("exec sleep 60")
        terminal.resize(50, 133)
        time.sleep(0.5)
        terminal.press("\x03")
        assert "Stopped" not in terminal.see("±")
        terminal.press("exit\n")
        terminal.wait()


def test_a_command_that_stops_itself_stops_the_job(shell: Terminal) -> None:
    with shell as terminal:
        terminal.see("$ ")
        terminal.press("jm sh -c 'kill -STOP $$; echo aw''ake'\n")
        terminal.see("Stopped")
        terminal.press("fg\n")
        terminal.see("awake")
        terminal.see("±")
        terminal.press("exit\n")
        terminal.wait()


def test_in_the_background_it_does_not_touch_the_terminal(shell: Terminal) -> None:
    with shell as terminal:
        terminal.see("$ ")
        terminal.press("jm sh -c 'sleep 1; echo do''ne' & echo at o''nce\n")
        terminal.see("at once")
        terminal.see("done")
        terminal.see("±")
        terminal.press("kill %1; wait; jm sleep 60 & sleep 1; kill %1; wait; echo code $?\n")
        terminal.see("code ")
        terminal.press("exit\n")
        terminal.wait()
    assert "Stopped" not in terminal.text


def test_a_shell_inside_of_it_has_its_own_job_control(fake: FakeExporter) -> None:
    argv = exec_argv("bash", "--noprofile", "--norc", "-i")
    with Terminal(argv, environment(fake.url, PS1="$ ", TERM="dumb")) as terminal:
        terminal.see("$ ")
        terminal.press("sh -c 'echo st''arted; exec sleep 60'\n")
        terminal.see("started")
        terminal.press("\x1a")
        terminal.see("Stopped")
        terminal.see("$ ")
        terminal.press("kill -9 %1; wait; echo mo''re\n")
        terminal.see("more")
        terminal.see("$ ")
        terminal.press("sh -c 'echo be''gun; exec cat'\n")
        terminal.see("begun")
        # Shown by the terminal, and once more by cat: it runs, so that no shell on its way to it takes the key.
        terminal.press("hello\n")
        terminal.see("hello")
        terminal.see("hello")
        terminal.press("\x03")
        terminal.see("$ ")
        terminal.press("echo still he''re; exit 9\n")
        terminal.see("still here")
        assert terminal.wait() == 9
