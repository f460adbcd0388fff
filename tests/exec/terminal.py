"""A real terminal: a program on a pseudo-terminal of its own, driven as a person would."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType


class Terminal:
    """Starts a program as leader of a new session whose controlling terminal this is."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self.text = ""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], list(argv), dict(environment))
        self.resize(24, 80)

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size; the kernel tells the foreground."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, text: str) -> None:
        """Type it."""
        os.write(self._master, text.encode())

    def see(self, wanted: str, seconds: float = 30.0) -> str:
        """Wait until this is shown after all that was seen before; what was shown up to its end."""
        until = time.monotonic() + seconds
        while wanted not in self.text:
            ready, _, _ = select.select([self._master], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"{wanted!r} was not shown in: {self.text!r}"
            try:
                raw = os.read(self._master, 4096)
            except OSError:
                raw = b""
            assert raw, f"the terminal closed before {wanted!r}: {self.text!r}"
            self.text += raw.decode(errors="replace")
        seen, _, self.text = self.text.partition(wanted)
        return seen + wanted

    def wait(self, seconds: float = 30.0) -> int:
        """The program's exit code, negative for a signal; reads on meanwhile, as a terminal does."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self._master], [], [], 0.02)[0]:
                try:
                    self.text += os.read(self._master, 4096).decode(errors="replace")
                except OSError:
                    time.sleep(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"it did not end: {self.text!r}")

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)
