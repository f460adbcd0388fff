"""The machine: versions, NVIDIA hardware on the bus, and its clocks."""

from __future__ import annotations

import ctypes
import itertools
import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ..sources.nvml_facts import nvml_versions
from .facts import ClockFacts, Versions

_SYS = Path("/sys")
_NVIDIA = "0x10de"
# Display and 3D controllers, in the first byte of a PCI class.
_DISPLAY = "0x03"
# What adjtimex answers while nothing keeps the wall clock right.
_TIME_ERROR = 5
_LOOKS = 1000


def versions(sys_folder: Path = _SYS) -> Versions:
    """What is installed here."""
    nvml = nvml_versions()
    return Versions(
        joulemark=version("joulemark"),
        python=platform.python_version(),
        kernel=os.uname().release,
        nvidia_driver=nvml.driver,
        nvml_library=nvml.library,
        cuda_driver=nvml.cuda,
        nvidia_ml_py=nvml.binding,
        nvidia_gpus_on_pci=_gpus_on_pci(sys_folder),
    )


def _gpus_on_pci(sys_folder: Path) -> int:
    folders = (sys_folder / "bus" / "pci" / "devices").glob("*")
    return sum(_text(x / "vendor") == _NVIDIA and _text(x / "class").startswith(_DISPLAY) for x in folders)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class Clocks:
    """The clocks at one instant."""

    wall: float
    monotonic: float
    boot: float


def look_at_clocks() -> Clocks:
    """All clocks, as close together as can be."""
    return Clocks(time.time(), time.clock_gettime(time.CLOCK_MONOTONIC), time.clock_gettime(time.CLOCK_BOOTTIME))


def clock_facts(before: Clocks, sys_folder: Path = _SYS) -> ClockFacts:
    """How the clocks have done since `before`."""
    now = look_at_clocks()
    source = _text(sys_folder / "devices" / "system" / "clocksource" / "clocksource0" / "current_clocksource")
    return ClockFacts(
        source=source or None,
        resolution_seconds=_resolution(),
        synchronised=_synchronised(),
        suspended_seconds=max(0.0, now.boot - now.monotonic),
        step_seconds=(now.wall - before.wall) - (now.boot - before.boot),
        over_seconds=now.boot - before.boot,
    )


def _resolution() -> float:
    """The smallest step in which the steady clock was seen to go on, in seconds."""
    looks = [time.clock_gettime(time.CLOCK_BOOTTIME) for _ in range(_LOOKS)]
    return min((b - a for a, b in itertools.pairwise(looks) if b > a), default=float("inf"))


def _synchronised() -> bool | None:
    """Whether the kernel's clock is kept right by something like NTP; None where it cannot be asked."""
    try:
        # A struct timex of zeros asks and sets nothing; it has 208 bytes.
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR
