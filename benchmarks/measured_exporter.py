"""A real `joulemark serve` whose cost is taken from /proc: CPU seconds, memory, and the time of calls to it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from joulemark.client import timing
from joulemark.client.transport import Transport


class MeasuredExporter:
    """An exporter in a process of its own, from `with` to its end, on a free port; `python` runs it."""

    def __init__(
        self, folder: Path, *options: str, environment: Mapping[str, str] | None = None, python: str = sys.executable
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._command = [python, "-c", "from joulemark.cli import main; main()", "serve"]
        self._command += ["--web.listen-address", f"127.0.0.1:{self.port}", "--state-dir", str(folder)]
        self._command += ["--log.level", "error", *options]
        self._environment = {**os.environ, **(environment or {})}
        self._client = Transport(f"http://127.0.0.1:{self.port}", keep=True)

    def __enter__(self) -> MeasuredExporter:
        self._process = subprocess.Popen(self._command, env=self._environment)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.call("GET", "/-/ready")
                return self
            except OSError:
                time.sleep(0.1)
        self._process.kill()
        raise SystemExit("the exporter did not come up")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(timeout=30)

    def call(self, method: str, path: str, body: object = None) -> None:
        """One call on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{method} {path} answered {answer.status}")

    def switch(self, number: int) -> None:
        """A transition to one of five stages, as joulemark's client makes it: on the connection of the last one."""
        self._client.call("PUT", "/stage", _stage(number), key=uuid.uuid4().hex)

    def switch_anew(self, number: int) -> None:
        """The same on a connection of its own."""
        self.call("PUT", "/api/v1/stage", _stage(number))

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far, those that have ended too; in steps of 10 ms."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cpu_share(self, seconds: float, meanwhile: Callable[[float], object] = time.sleep) -> float:
        """The part of one core that it uses over so many seconds, in which `meanwhile` is done."""
        before, began = self.cpu_seconds(), time.monotonic()
        meanwhile(seconds)
        return (self.cpu_seconds() - before) / (time.monotonic() - began)

    def resident_megabytes(self) -> float:
        """The most memory that it ever had resident."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def _stage(number: int) -> dict[str, object]:
    return {"run": "bench", "stage": f"s{number % 5}", "phase": "", "ttl_seconds": timing.LEASE_SECONDS, "share": False}


def milliseconds(count: int, action: Callable[[int], None], pause: float = 0.0) -> list[float]:
    """How long each of so many calls took."""
    found = []
    for index in range(count):
        began = time.perf_counter()
        action(index)
        found.append((time.perf_counter() - began) * 1e3)
        time.sleep(pause)
    return found
