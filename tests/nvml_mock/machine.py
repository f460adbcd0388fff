"""The mock NVML as a machine: in this process on a clock that the test moves, or for others on the real clock."""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from .script import Constant, Gpu, Script, SharedClock

_numbers = itertools.count()


class Machine:
    """GPUs that follow `script` on `clock`, seen by every NVML call of this process from now on.

    Till the script says otherwise every GPU draws `idle_watts`, and has done so for a while.
    """

    def __init__(
        self, library: Path, folder: Path, gpus: Sequence[Gpu], *, start: float = 1000.0, idle_watts: float = 60.0
    ) -> None:
        number = next(_numbers)
        clock, script = folder / f"clock-{number}", folder / f"script-{number}"
        self.clock = SharedClock(clock, start)
        self.script = Script(script, list(gpus))
        self.script.power(start - 100.0, Constant(idle_watts))
        self.script.save()
        # Loaded under its soname, so that nvidia-ml-py finds this one.
        mock = ctypes.CDLL(str(library / "libnvidia-ml.so.1"))
        mock.mock_nvml_use(bytes(script), bytes(clock))


class LiveMachine:
    """GPUs for processes of their own, on CLOCK_BOOTTIME; the environment lets a process load the mock."""

    def __init__(self, library: Path, folder: Path, gpus: Sequence[Gpu], *, watts: Sequence[float]) -> None:
        self.script = Script(folder / f"script-{next(_numbers)}", list(gpus))
        self.calls = self.script.path.with_name(f"calls-of-{self.script.path.name}")
        self.environment = {
            "LD_LIBRARY_PATH": str(library),
            "MOCK_NVML_SCRIPT": str(self.script.path),
            "MOCK_NVML_CALLS": str(self.calls),
        }
        for gpu, level in enumerate(watts):
            self.script.power(self.now() - 100.0, Constant(level), gpu)
        self.script.save()

    def now(self) -> float:
        """The instant, of the clock that the mock and the exporter go by."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def fault(self, kind: str, gpu: int = 0) -> None:
        """From now on a fault; `driver` is of all GPUs."""
        self.script.fault(kind, self.now(), gpu=gpu)
        self.script.save()

    def error(self, call: str, code: int, gpu: int = 0) -> None:
        """One NVML function of one GPU answers with an error code, and has always done so."""
        self.script.error(call, code, 0.0, gpu=gpu)
        self.script.save()

    def mend(self) -> None:
        """End every fault now; a counter that was reset stays so."""
        for gpu in self.script.gpus:
            gpu.faults = [_ended(line, self.now()) for line in gpu.faults]
        self.script.driver_faults = [(begin, min(end, self.now())) for begin, end in self.script.driver_faults]
        self.script.save()


def _ended(line: str, now: float) -> str:
    words = line.split()
    if words[0] != "reset":
        words[3] = repr(min(float(words[3]), now))
    return " ".join(words)
