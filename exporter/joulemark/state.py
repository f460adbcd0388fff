"""What the ledger knows, as plain data: the store saves and loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from .attribution import DeviceAccount
from .errors import InvalidField
from .names import check_phase, check_run, check_stage
from .windows import SeriesKey, Totals, Window


@dataclass
class Run:
    """A run as declared; `declared` holds the fields of `PUT /runs/{run}` that were given."""

    name: str
    created_at: float
    last_active_at: float
    origin: str
    declared: dict[str, object] = field(default_factory=dict)


@dataclass
class State:
    """Everything the ledger knows; what the store saves and loads."""

    accounts: dict[str, DeviceAccount] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    series: dict[SeriesKey, Totals] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    # Joules by device key of the runs that are on disk only; exact, so that the order of adding never shows.
    retired: dict[str, Fraction] = field(default_factory=dict)
    windows_expired: int = 0

    def retire(self, totals: Totals, sign: int = 1) -> None:
        """Count a series as gone from memory, or (sign -1) as back."""
        for device, joules in totals.joules.items():
            self.retired[device] = self.retired.get(device, Fraction(0)) + sign * Fraction(joules)


@dataclass(frozen=True)
class StageRequest:
    """What `PUT /stage` asks for; `devices` None means all."""

    run: str
    stage: str
    phase: str = ""
    devices: Sequence[str] | None = None
    ttl_seconds: float | None = None
    share: bool = False
    nest: bool = False

    def checked_key(self) -> SeriesKey:
        """The names, or InvalidField for whatever of the request no ledger could accept."""
        if self.ttl_seconds is not None and not 1 <= self.ttl_seconds <= 86_400:
            raise InvalidField(
                f"ttl_seconds is {self.ttl_seconds:g}",
                field="ttl_seconds",
                remedy="use 1 to 86400, or leave it out for a window without a lease",
            )
        return SeriesKey(check_run(self.run), check_stage(self.stage), check_phase(self.phase))

    def device_keys(self, keys: Mapping[str, str]) -> list[str]:
        """The keys of the devices asked for, by name or by key; `keys` maps the names of all that are there."""
        if self.devices is None:
            return sorted(keys.values())
        if not self.devices:
            raise InvalidField("devices is empty", field="devices", remedy="leave it out for all devices")
        known = {**{key: key for key in keys.values()}, **keys}
        for device in self.devices:
            if device not in known:
                raise InvalidField(
                    f"device {device!r} is not known", field="devices", remedy="use " + ", ".join(sorted(keys))
                )
        return sorted({known[device] for device in self.devices})
