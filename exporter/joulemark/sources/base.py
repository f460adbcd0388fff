"""What a power source is: devices, and one reading of a device at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Device:
    """One thing that draws power, and how it is read.

    `key` names the hardware (a GPU's UUID), `name` the place (`gpu0`). `wrap_joules` is the range after which
    the energy counter starts again at 0, `tick_seconds` the time between its refreshes.
    `epoch` changes whenever counter values stop being comparable (a reboot).
    """

    name: str
    key: str
    source: str
    model: str = ""
    driver: str = ""
    epoch: str = ""
    power_limit_watts: float | None = None
    wrap_joules: float | None = None
    tick_seconds: float | None = None
    modelled: bool = False


@dataclass(frozen=True)
class Reading:
    """One look at a device.

    `energy_joules` is the hardware's cumulative counter, None where there is none; `watts` is the latest power.
    `sensor` says that watts come from a sensor of their own and not from the counter's difference.
    """

    steady: float
    energy_joules: float | None
    watts: float | None
    sensor: bool = False


@dataclass(frozen=True)
class Vitals:
    """A GPU's state beside its power, base units only; None where the driver does not tell."""

    utilization_ratio: float | None = None
    memory_used_bytes: float | None = None
    temperature_celsius: float | None = None
    sm_clock_hertz: float | None = None
    throttle_reasons: dict[str, bool] = field(default_factory=dict)


class Source(Protocol):
    """Reads power; raises SourceUnavailable when built on a machine that lacks it."""

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices this source reads."""

    def read(self, device: Device) -> Reading:
        """Read one device now; raises ReadFailed."""

    def vitals(self, device: Device) -> Vitals | None:
        """State beside power, read at scrapes only; None where there is none."""

    def close(self) -> None:
        """Release what the source holds."""
