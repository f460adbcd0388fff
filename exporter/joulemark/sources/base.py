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


class _Reading(NamedTuple):
    steady: float
    energy_joules: float | None
    watts: float | None
    sensor: bool
    begin: float
    end: float
    failed: str


class Reading(_Reading):
    """One look at a device; all instants in seconds of the steady clock.

    `energy_joules` is the hardware's cumulative counter: it was asked at the instant `begin` and had answered at `end`,
    both `steady` where that is not told apart; None where there is none or it failed, for the reason `failed`. `watts`
    is the power at the instant `steady`, None where it was not asked for. `sensor` says that watts come from a sensor
    of their own and not from the counter's difference.
    """

    __slots__ = ()

    def __new__(
        cls, steady: float, energy_joules: float | None, watts: float | None, sensor: bool = False,
        begin: float | None = None, end: float | None = None, failed: str = "",
    ) -> Reading:  # fmt: skip
        begin, end = steady if begin is None else begin, steady if end is None else end
        return tuple.__new__(cls, (steady, energy_joules, watts, sensor, begin, end, failed))


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
