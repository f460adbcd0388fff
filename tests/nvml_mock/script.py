"""The script that the mock follows, and its Python twin: the exact joules between two instants."""

from __future__ import annotations

import math
import mmap
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

FOR_EVER = 1e12
_MASK = (1 << 64) - 1


class Shape(Protocol):
    """Power over the seconds since it began."""

    def watts(self, seconds: float) -> float: ...

    def joules(self, seconds: float) -> float: ...


@dataclass(frozen=True)
class Constant:
    """The same watts for ever."""

    level: float

    def watts(self, seconds: float) -> float:
        return self.level

    def joules(self, seconds: float) -> float:
        return self.level * seconds


@dataclass(frozen=True)
class Square:
    """A square wave that begins high; `duty` is the part of a period that is high."""

    low: float
    high: float
    hertz: float
    duty: float = 0.5

    def watts(self, seconds: float) -> float:
        return self.high if seconds * self.hertz % 1.0 < self.duty else self.low

    def joules(self, seconds: float) -> float:
        whole, rest = divmod(seconds, 1 / self.hertz)
        high = self.duty / self.hertz
        per_period = high * self.high + (1 / self.hertz - high) * self.low
        return whole * per_period + min(rest, high) * self.high + max(0.0, rest - high) * self.low


@dataclass(frozen=True)
class Ramp:
    """From one level to another in so many seconds, and there it stays."""

    first: float
    last: float
    seconds: float

    def watts(self, seconds: float) -> float:
        return self.first + (self.last - self.first) * min(1.0, seconds / self.seconds)

    def joules(self, seconds: float) -> float:
        rise = min(seconds, self.seconds)
        return (
            self.first * rise
            + (self.last - self.first) * rise * rise / (2 * self.seconds)
            + (seconds - rise) * self.last
        )


@dataclass(frozen=True)
class Noise:
    """Five sines of 0.3 to 30 Hz around a mean, drawn by the seed; never further from it than `spread`."""

    mean: float
    spread: float
    seed: int = 1

    def _waves(self) -> list[tuple[float, float]]:
        draws = [(chance(self.seed, 2 * i), chance(self.seed, 2 * i + 1)) for i in range(5)]
        return [(0.3 + 30.0 * a * a, 2 * math.pi * b) for a, b in draws]

    def watts(self, seconds: float) -> float:
        return self.mean + self.spread * sum(math.sin(2 * math.pi * f * seconds + a) for f, a in self._waves()) / 5

    def joules(self, seconds: float) -> float:
        waves = self._waves()
        total = sum((math.cos(a) - math.cos(2 * math.pi * f * seconds + a)) / (2 * math.pi * f) for f, a in waves)
        return self.mean * seconds + self.spread * total / 5


def chance(seed: int, index: int) -> float:
    """A number in [0, 1) that belongs to (seed, index): the same as in power.c."""
    x = (seed * 0x9E3779B97F4A7C15 + index * 0xBF58476D1CE4E5B9) & _MASK
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & _MASK
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & _MASK
    x ^= x >> 31
    return (x >> 11) / 2.0**53


@dataclass
class Gpu:
    """One GPU: properties by the names that `set_property` in script.c knows, power over time, faults."""

    properties: dict[str, float | str] = field(default_factory=dict)
    pieces: list[tuple[float, Shape]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def joules(self, begin: float, end: float) -> float:
        """The exact energy between two instants of the clock, in joules."""
        return self._since_start(end) - self._since_start(begin)

    def watts(self, at: float) -> float:
        """The exact power at an instant, in watts."""
        known = [(start, shape) for start, shape in self.pieces if start <= at]
        return known[-1][1].watts(at - known[-1][0]) if known else 0.0

    def _since_start(self, at: float) -> float:
        ends = [start for start, _ in self.pieces[1:]] + [math.inf]
        return sum(
            shape.joules(min(at, end) - start)
            for (start, shape), end in zip(self.pieces, ends, strict=True)
            if at > start
        )


class Script:
    """What the mock does; `save` makes every change known to it."""

    def __init__(self, path: Path, gpus: list[Gpu], driver: str = "570.00") -> None:
        self.path = path
        self.gpus = gpus
        self.driver = driver
        self.driver_faults: list[tuple[float, float]] = []
        self._saved = 0

    def power(self, at: float, shape: Shape, gpu: int | None = None) -> None:
        """From `at` on, one GPU or all follow a shape."""
        for one in self.gpus if gpu is None else [self.gpus[gpu]]:
            one.pieces.append((at, shape))

    def fault(self, kind: str, begin: float, end: float = FOR_EVER, gpu: int = 0) -> None:
        """A fault of one GPU: lost, counter_error, power_error, frozen, hang; `driver` is of all."""
        if kind == "driver":
            self.driver_faults.append((begin, end))
        else:
            self.gpus[gpu].faults.append(f"fault {gpu} {begin!r} {end!r} {kind}")

    def error(self, call: str, code: int, begin: float, end: float = FOR_EVER, gpu: int = 0) -> None:
        """One NVML function of one GPU answers with an error code."""
        self.gpus[gpu].faults.append(f"error {gpu} {begin!r} {end!r} {call} {code}")

    def reset(self, at: float, gpu: int = 0) -> None:
        """The counter of one GPU starts again at 0."""
        self.gpus[gpu].faults.append(f"reset {gpu} {at!r}")

    def save(self) -> None:
        """Write the script for the mock, all at once."""
        lines = [f"driver {self.driver}"]
        for index, gpu in enumerate(self.gpus):
            lines.append(f"gpu {index} " + " ".join(_property(*item) for item in gpu.properties.items()))
            lines += [f"power {index} {start!r} {_words(shape)}" for start, shape in gpu.pieces]
            lines += gpu.faults
        lines += [f"fault -1 {begin!r} {end!r} driver" for begin, end in self.driver_faults]
        # The length differs each time, so that a change within one tick of the file system is seen too.
        self._saved += 1
        lines.append("#" * self._saved)
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.replace(self.path)


class SharedClock:
    """A clock that the mock reads too: it moves when told, and by the latency of each call."""

    def __init__(self, path: Path, start: float = 1000.0) -> None:
        path.write_bytes(struct.pack("d", start))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)
        self.boot_id = "boot-1"
        self.wall_offset = 1_700_000_000.0

    def steady(self) -> float:
        seconds: float = struct.unpack_from("d", self._memory)[0]
        return seconds

    def wall(self) -> float:
        return self.wall_offset + self.steady()

    def boot(self) -> str:
        return self.boot_id

    def move_to(self, steady: float) -> None:
        """Let time pass until an instant; never back."""
        if steady > self.steady():
            struct.pack_into("d", self._memory, 0, steady)


def build(folder: Path) -> Path:
    """Compile the mock; returns `folder`, in which libnvidia-ml.so.1 then lies."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("no C compiler: apt-get install gcc libc6-dev")
    target = folder / "libnvidia-ml.so.1"
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]
    # Under its own name a process may load it by path before nvidia-ml-py asks for it.
    command += ["-Wl,-soname,libnvidia-ml.so.1", "-o", str(target)]
    sources = sorted(str(path) for path in Path(__file__).parent.glob("*.c"))
    subprocess.run([*command, *sources, "-lm", "-lpthread"], check=True)
    return folder


def _property(name: str, value: float | str) -> str:
    return f"{name}={str(value).replace(' ', '%')}"


def _words(shape: Shape) -> str:
    kind = type(shape).__name__.lower()
    return " ".join([kind, *(repr(value) for value in vars(shape).values())])
