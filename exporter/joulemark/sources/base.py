"""What a power source is: devices, and one reading of a device at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


@dataclass(frozen=True)
class Device:
    """One thing that draws power, and how it is read.

    `key` names the hardware (a GPU's UUID), `name` the place (`gpu0`). `wrap_joules` is the range after which
    the energy counter starts again at 0. `tick_seconds` is the time between its refreshes where that is documented,
    None where it must be measured. `fallback` is the source it goes on with when its counter fails, `source` itself
    where there is no counter. `gauge` names the power gauge, empty where power has no sensor of its own; it refreshes
    every `power_tick_seconds` and averages over `averaging_seconds` (0: instantaneous). `epoch` changes whenever
    counter values stop being comparable (a reboot).
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
    gauge: str = ""
    power_tick_seconds: float = 0.1
    averaging_seconds: float = 0.0
    fallback: str = ""
    modelled: bool = False
    mig: bool = False


class Reading(NamedTuple):
    """One look at a device.

    `energy_joules` is the hardware's cumulative counter, taken between the instants `begin` and `end`; None where
    there is none or it failed, for the reason `failed`. `watts` is the power at the instant `steady`, None where
    it was not asked for. `sensor` says that watts come from a sensor of their own and not from the counter's
    difference.
    """

    steady: float
    energy_joules: float | None
    watts: float | None
    sensor: bool = False
    called: float | None = None
    answered: float | None = None
    failed: str = ""

    @property
    def begin(self) -> float:
        """When the counter was asked, in seconds of the steady clock."""
        return self.steady if self.called is None else self.called

    @property
    def end(self) -> float:
        """When the counter had answered."""
        return self.steady if self.answered is None else self.answered


@dataclass(frozen=True)
class Vitals:
    """A GPU's state beside its power, base units only; None where the driver does not tell."""

    utilization_ratio: float | None = None
    memory_used_bytes: float | None = None
    temperature_celsius: float | None = None
    sm_clock_hertz: float | None = None
    power_limit_watts: float | None = None
    throttle_reasons: dict[str, bool] = field(default_factory=dict)


class Source(Protocol):
    """Reads power; raises SourceUnavailable when built on a machine that lacks it."""

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices this source reads."""

    def read(self, device: Device, *, power: bool = True) -> Reading:
        """Read one device now, without its power gauge where that is not wanted; raises ReadFailed."""

    def vitals(self, device: Device) -> Vitals | None:
        """State beside power, read at scrapes only; None where there is none."""

    def recover(self, failing: frozenset[str]) -> None:
        """Try to get back devices (by key) whose readings fail, and find those that are new; may take seconds."""

    def close(self) -> None:
        """Release what the source holds."""
