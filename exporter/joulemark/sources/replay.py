"""A scripted trace with exactly known joules, for demos and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from ..clock import Clock
from ..errors import SettingsError
from .base import Device, Reading, Vitals

NAME = "replay"


@dataclass(frozen=True)
class Trace:
    """Power of one device as steps: `(seconds, watts)` each, repeated for ever."""

    steps: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if not self.steps or any(seconds <= 0 or watts < 0 for seconds, watts in self.steps):
            raise SettingsError("a replay trace needs steps of seconds > 0 and watts >= 0")

    def joules(self, elapsed: float) -> float:
        """The exact energy in joules from the start to `elapsed` seconds."""
        period = sum(seconds for seconds, _ in self.steps)
        whole, rest = divmod(elapsed, period)
        total = whole * sum(seconds * watts for seconds, watts in self.steps)
        for seconds, watts in self.steps:
            part = min(rest, seconds)
            total += part * watts
            rest -= part
        return total

    def watts(self, elapsed: float) -> float:
        """The power in watts at `elapsed` seconds."""
        rest = elapsed % sum(seconds for seconds, _ in self.steps)
        for seconds, watts in self.steps:
            if rest < seconds:
                return watts
            rest -= seconds
        return self.steps[-1][1]


DEFAULT_TRACES = {"gpu0": Trace(((4.0, 70.0), (6.0, 310.0), (3.0, 180.0)))}


class ReplaySource:
    """Devices that follow traces; the counter refreshes every `tick_seconds` like a real card's."""

    def __init__(
        self,
        clock: Clock,
        traces: dict[str, Trace] | None = None,
        *,
        tick_seconds: float = 0.1,
        start: float | None = None,
        epoch: str = "",
    ) -> None:
        self._clock = clock
        self._traces = dict(traces or DEFAULT_TRACES)
        self._tick = tick_seconds
        self._start = clock.steady() if start is None else start
        self._devices = tuple(
            Device(
                name=name,
                key=f"replay-{name}",
                source=NAME,
                model="scripted trace",
                epoch=epoch or f"{clock.boot()}:{self._start}",
                power_limit_watts=10 * max(watts for _, watts in trace.steps) + 1,
                modelled=True,
            )
            for name, trace in self._traces.items()
        )

    @property
    def devices(self) -> tuple[Device, ...]:
        return self._devices

    def read(self, device: Device, *, power: bool = True) -> Reading:
        del power
        now = self._clock.steady()
        elapsed = now - self._start
        trace = self._traces[device.name]
        shown = elapsed if not self._tick else (elapsed + 1e-9) // self._tick * self._tick
        return Reading(now, trace.joules(shown), trace.watts(elapsed), sensor=True)

    def vitals(self, device: Device) -> Vitals | None:
        del device
        return None

    def recover(self, failing: frozenset[str]) -> None:
        del failing

    def close(self) -> None:
        return None


def load_traces(path: Path) -> dict[str, Trace]:
    """Read traces from YAML: `{gpu0: [[seconds, watts], …]}`."""
    try:
        data = yaml.safe_load(path.read_text())
        return {str(name): Trace(_steps(steps)) for name, steps in data.items()}
    except (OSError, yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise SettingsError(
            f"replay trace {path} cannot be used ({error}): write it as '{{gpu0: [[seconds, watts], …]}}'"
        ) from error


def _steps(steps: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(seconds), float(watts)) for seconds, watts in steps)
