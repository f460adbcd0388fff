"""Starts and stops the doctor's own load, `matrix_load`, so that no CUDA context is ever made in the doctor."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from types import TracebackType

from .facts import LoadState
from .side_by_side import side_by_side

# PyTorch's import and the first CUDA context take seconds, on a cold disk many.
_START_SECONDS = 120.0


def torch_is_there() -> bool:
    """Whether this Python environment has PyTorch, without importing it."""
    return find_spec("torch") is not None


class Load:
    """The load, from `with` to its end; `state` says whether it runs."""

    def __enter__(self) -> Load:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.matrix_load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        line = side_by_side({"line": self._process.stdout.readline}, _START_SECONDS).get("line")
        self.state = _state(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _state(line: str | None) -> LoadState:
    if line is None:
        return LoadState(False, f"PyTorch did not start within {_START_SECONDS:.0f} s")
    try:
        said = json.loads(line)
    except ValueError:
        return LoadState(False, "the process of the load ended before it began")
    if "unavailable" in said:
        return LoadState(False, str(said["unavailable"]))
    return LoadState(True, torch=str(said["torch"]), uuids=tuple(said["uuids"]))
