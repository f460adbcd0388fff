"""A real `joulemark serve` that can be killed at any instant and started again on its port and its ledger."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ATTEMPT_SECONDS = 10.0


class Unanswered(Exception):
    """A call that got no whole answer: whether it was carried out is not known."""


class Exporter:
    """One exporter on the replay source; `trace` is the YAML of its devices' power."""

    def __init__(self, folder: Path, trace: Path, *options: str) -> None:
        self.folder = folder
        self.ledger = folder / "ledger" / "ledger.sqlite"
        self._options = options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._command = [
            sys.executable, "-c", "from joulemark.cli import main; main()", "serve", "--source", "replay",
            "--replay.trace", str(trace), "--web.listen-address", f"127.0.0.1:{self.port}",
            "--state-dir", str(folder / "ledger"), *options,
        ]  # fmt: skip

    def spawn(self) -> None:
        """Start it without waiting until it answers."""
        with (self.folder / "exporter.log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def wait_until_ready(self) -> None:
        """Wait until it answers; an exporter that ended by itself is a failure of what is measured here."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"the exporter ended by itself:\n{(self.folder / 'exporter.log').read_text()[-3000:]}")
            try:
                self.call("GET", "/-/ready")
                return
            except Unanswered:
                time.sleep(0.02)
        raise SystemExit("the exporter did not come up in 120 s")

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it as a service manager does."""
        self.process.terminate()
        self.process.wait(timeout=60)

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of one call on a connection of its own; raises Unanswered where there is no whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ATTEMPT_SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(str(error)) from error
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """The JSON of a call that must succeed."""
        status, raw = self.call(method, path, body, **headers)
        if status != 200:
            raise SystemExit(f"{method} {path} answered {status}: {raw.decode()}")
        return json.loads(raw)

    def scrape(self) -> dict[str, float]:
        """Every sample of /metrics by its text `name{labels}`."""
        status, raw = self.call("GET", "/metrics")
        if status != 200:
            raise SystemExit(f"/metrics answered {status}: {raw.decode()}")
        rows = (line.rpartition(" ") for line in raw.decode().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}


def write_trace(path: Path, devices: int, watts: float = 200.0) -> Path:
    """A trace of so many GPUs of constant power, whose true joules are their watts times the time."""
    path.write_text("".join(f"gpu{number}: [[1.0, {watts}]]\n" for number in range(devices)))
    return path
