"""What the benchmark runs on: a real GPU with PyTorch CUDA, or the mock NVML whose power follows the same loads."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from nvml_mock import Constant, Gpu, Script, Square, build
from nvml_mock.script import Shape


class Machine(Protocol):
    """Something with GPUs that can be put under a load; `environment` is what an exporter needs to see them."""

    real: bool
    environment: Mapping[str, str]

    def tell(self, order: str) -> None:
        """`on`, `off` or `steps SECONDS`, as torch_load has them; returns when it is in force."""

    def close(self) -> None: ...


class NoGpu(Exception):
    """There is no GPU to be had through PyTorch; says why."""


class RealMachine:
    """The GPUs of this machine; the load is a process of its own, so that this one makes no CUDA context."""

    real = True
    environment: Mapping[str, str] = {}

    def __init__(self) -> None:
        command = [sys.executable, "-m", f"{__package__}.torch_load"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        word, _, text = self._heard().partition(" ")
        if word != "ready":
            self.close()
            raise NoGpu(text or "the load did not start")

    def tell(self, order: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        if self._heard() != "done":
            raise SystemExit("the load has ended")

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def _heard(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


class MockMachine:
    """One mock GPU with a counter that ticks every 100 ms and calls of 1 ms, 70 W at rest and 600 W under load."""

    real = False
    _REST, _LOAD = 70.0, 600.0

    def __init__(self, folder: Path) -> None:
        build(folder)
        self._script = Script(folder / "script", [Gpu({"latency": 0.001, "tick": 0.1, "power_tick": 0.1})])
        self.environment: Mapping[str, str] = {
            "LD_LIBRARY_PATH": str(folder),
            "MOCK_NVML_SCRIPT": str(self._script.path),
        }
        self._draw(Constant(self._REST))
        os.environ.update(self.environment)
        # Under its soname, so that nvidia-ml-py in this process finds it too.
        ctypes.CDLL(str(folder / "libnvidia-ml.so.1"))

    def tell(self, order: str) -> None:
        word, _, seconds = order.partition(" ")
        shapes: dict[str, Shape] = {"on": Constant(self._LOAD), "off": Constant(self._REST)}
        shape = shapes[word] if word in shapes else Square(self._REST, self._LOAD, 0.5 / float(seconds))
        self._draw(shape)

    def close(self) -> None:
        return None

    def _draw(self, shape: Shape) -> None:
        self._script.power(time.clock_gettime(time.CLOCK_BOOTTIME), shape)
        self._script.save()
