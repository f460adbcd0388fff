"""Runs a command as if nobody stood between it and its terminal: signals, job control, exit code.

The command stays in our process group with our stdin, stdout and stderr. So the terminal's signals (Ctrl-C, Ctrl-Z, a
new window size) reach it by themselves, unless it makes a group of its own; those that a person or program sends to us
alone are passed on.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_PASSED_ON = {
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
    signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT, signal.SIGXCPU, *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
}  # fmt: skip
_HELD = _PASSED_ON | {signal.SIGCHLD}
# So long may a command take to stop when it is asked to, and so often it is looked at meanwhile.
_STOP_SECONDS, _LOOK_SECONDS = 10.0, 0.25
# Python ignores these; a command must not inherit that.
_PYTHONS_OWN = (signal.SIGPIPE, signal.SIGXFSZ)


@contextlib.contextmanager
def held_signals() -> Iterator[set[int]]:
    """Signals wait until `run_child` takes them; enter it before any thread starts. Gives the mask from before."""
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else the exit code would be thrown away
    before = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)}
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_child(argv: Sequence[str], environment: Mapping[str, str], mask: set[int]) -> int:
    """Start a command and return its exit code, or the number of the signal it died of, negative.

    Raises OSError when it cannot be started.
    """
    early = signal.sigpending() & (_HELD - {signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH})
    if early:
        # Whoever stops us before there is a command means us.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, early)
    child = os.posix_spawnp(argv[0], list(argv), dict(environment), setsigmask=mask, setsigdef=_PYTHONS_OWN)
    # Whether it is stopped, and up to when it may still stop because we were asked to be.
    stopped, asked_until = False, -math.inf
    while True:
        asked = time.monotonic() < asked_until
        info = signal.sigtimedwait(_HELD, _LOOK_SECONDS) if asked else signal.sigwaitinfo(_HELD)
        if info is None:
            stopped = stopped or _waits_in_kernel(child)
        elif info.si_signo == signal.SIGCHLD:
            for status in _changes(child):
                stopped = os.WIFSTOPPED(status)
                if not stopped and not os.WIFCONTINUED(status):
                    _discard_pending()
                    return os.waitstatus_to_exitcode(status)
        else:
            _pass_on(info, child)
            if info.si_signo == signal.SIGCONT:
                stopped, asked_until = False, -math.inf
            elif info.si_signo == signal.SIGTSTP:
                asked_until = time.monotonic() + _STOP_SECONDS
        # Not before the command has: it may clean up first, or take a key that is meant for the shell.
        if stopped and _stop_with(child, asked=time.monotonic() < asked_until):
            stopped, asked_until = False, -math.inf


def die_of(number: int) -> None:
    """End this process by the signal that ended the command, so that whoever waits sees the same; no second core."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)


def _pass_on(info: signal.struct_siginfo, child: int) -> None:
    from_somebody = info.si_code <= 0
    if from_somebody:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, info.si_signo)
    elif _left_our_group(child):
        # What the kernel sends for the terminal reaches our process group, the command's only if that is the same.
        _to_its_group(child, info.si_signo)


def _left_our_group(child: int) -> bool:
    """Whether the command, as `timeout` does, has made a process group of its own."""
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(child) != os.getpgrp()
    return False


def _to_its_group(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(os.getpgid(child), number)


def _changes(child: int) -> Iterator[int]:
    """How the command has stopped, gone on or ended by now. Others were adopted, by a container's first process."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == 0:
                return
            if pid == child:
                yield status


def _waits_in_kernel(child: int) -> bool:
    """Whether it cannot stop: a shell that is starting a program waits for that, which may be stopped already."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2].startswith("D")
    return False


def _stop_with(child: int, *, asked: bool) -> bool:
    """Stop as the command did, where a shell waits for that or we were asked to; whether we did."""
    in_foreground = _in_foreground()
    if in_foreground or asked:
        _stop(child, even_if_orphaned=in_foreground)
    return in_foreground or asked


def _stop(child: int, *, even_if_orphaned: bool) -> None:
    """Stop as Ctrl-Z does, so that our shell sees its job stopped, until somebody continues us: the command with us.

    In a group without a shell of its own nobody can be stopped so. There the command goes on only if it has the
    terminal, which would wait for it for ever: else whoever stopped it will continue it.
    """
    # Sent while blocked it is one with the terminal's own that may wait: we stop once, and not again when continued.
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
    # Whoever continues a group may reach us first: the command, still seen stopped, would stop us again.
    if not even_if_orphaned and signal.SIGCONT not in signal.sigpending():
        return
    if _left_our_group(child):
        _to_its_group(child, signal.SIGCONT)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)


def _in_foreground() -> bool:
    """Whether a terminal takes its input for our process group now."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _discard_pending() -> None:
    """What was meant for a command that has ended is nobody's."""
    while signal.sigtimedwait(_HELD, 0) is not None:
        pass
