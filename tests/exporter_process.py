"""A real `joulemark serve` in a process of its own, for tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


class Exporter:
    """A `joulemark serve` process; it can be killed and started again on the same state."""

    def __init__(
        self, state_dir: Path, *options: str, env: dict[str, str] | None = None, client: dict[str, Any] | None = None
    ) -> None:
        self.state_dir = state_dir
        self.port = free_port()
        self._client = client or {}
        self.url = f"{'https' if 'verify' in self._client else 'http'}://127.0.0.1:{self.port}"
        self.options = options
        self.env = {**os.environ, **(env or {})}
        self.http = self.new_client()
        # A file, so that it can be read meanwhile, and an exporter that says much is not held up by a full pipe.
        self._log = state_dir.parent / f"serve-{self.port}.log"

    def new_client(self) -> httpx.Client:
        """Another client, with connections of its own."""
        return httpx.Client(base_url=self.url, timeout=10, trust_env=False, **self._client)

    @property
    def proc(self) -> Path:
        """What the kernel says about the process."""
        return Path(f"/proc/{self.process.pid}")

    def start(self) -> Exporter:
        command = [
            sys.executable, "-c", "from joulemark.cli import main; main()", "serve",
            "--web.listen-address", f"127.0.0.1:{self.port}", "--state-dir", str(self.state_dir), *self.options,
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.env)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"exporter ended: {self.log()}")
            try:
                if self.http.get("/-/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("exporter not ready in 30 s")

    def kill(self) -> None:
        self.process.kill()
        self.finish()

    def terminate(self) -> int:
        self.process.terminate()
        return self.finish()

    def finish(self) -> int:
        return self.process.wait(timeout=20)

    def log(self) -> str:
        """All that it has written so far, since it was first started."""
        return self._log.read_text()

    def wait_for_log(self, text: str, times: int = 1) -> None:
        """Wait until it has written this so many times."""
        wait_for(lambda: self.log().count(text) >= times, 60)

    def stop_and_read_log(self) -> str:
        """End it and return all that it wrote."""
        self.terminate()
        return self.log()

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its text `name{labels}`."""
        lines = self.http.get("/metrics").text.splitlines()
        rows = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}

    def put_stage(self, run: str, stage: str, **fields: Any) -> dict[str, Any]:
        answer = self.http.put("/api/v1/stage", json={"run": run, "stage": stage, **fields})
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def end_stage(self, window: str) -> dict[str, Any]:
        """End a window and wait until its energy is settled; its summary then."""
        answers = (self.http.delete(f"/api/v1/stage/{window}").json() for _ in self.until("the window is settled"))
        summary: dict[str, Any] = next(answer for answer in answers if answer["settled"])
        return summary

    def wait_for(self, what: str, found: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        """The metrics as soon as they show what is waited for."""
        return next(metrics for metrics in (self.metrics() for _ in self.until(what)) if found(metrics))

    def until(self, what: str, seconds: float = 60.0) -> Iterator[None]:
        """Ticks on for as long as anything may take; raises when that was too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield
            time.sleep(0.05)
        raise AssertionError(f"not in {seconds:.0f} s: {what}")
