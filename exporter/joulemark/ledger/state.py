"""What the ledger knows, as plain data: the store saves and loads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ..attribution.attribution import DeviceAccount
from ..errors import InvalidField
from ..names import check_phase, check_run, check_stage
from .snapshot import Artifact, DeviceHealth, Score
from .windows import SeriesKey, Totals, Window


@dataclass
class Run:
    """A run as declared; `declared` holds the fields of `PUT /runs/{run}` that were given.

    `retired` says that it has left /metrics, `changed_in` is the picture after which its series last changed.
    """

    name: str
    created_at: float
    last_active_at: float
    origin: str
    declared: dict[str, object] = field(default_factory=dict)
    retired: bool = False
    scores: dict[str, Score] = field(default_factory=dict)
    artifacts: dict[tuple[str, str], Artifact] = field(default_factory=dict)
    changed_in: int = 1


@dataclass(frozen=True)
class Answered:
    """A transition that was asked for with an idempotency key: what was asked, and which windows came of it."""

    key: str
    asked: str
    window: str
    ended: tuple[str, ...]


@dataclass
class Counts:
    """What is counted beside energy and must not start again at 0 with the exporter.

    `comebacks` counts the times that a run which had left /metrics was taken up again.
    """

    windows_expired: int = 0
    runs_unseen: int = 0
    comebacks: int = 0
    commit_failures: int = 0
    files_set_aside: int = 0


@dataclass
class State:
    """Everything the ledger knows; what the store saves and loads."""

    accounts: dict[str, DeviceAccount] = field(default_factory=dict)
    health: dict[str, DeviceHealth] = field(default_factory=dict)
    # When a device was last read, in Unix time: the one clock that a reboot does not start anew.
    seen_at: dict[str, float] = field(default_factory=dict)
    # By device key and reason: how often its readings could not be joined to those before.
    breaks: dict[str, dict[str, int]] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    series: dict[SeriesKey, Totals] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    # Joules by device key of the runs that are on disk only; exact, so that the order of adding never shows.
    retired: dict[str, Fraction] = field(default_factory=dict)
    # The same of runs that were pruned: they are nowhere else any more.
    pruned: dict[str, Fraction] = field(default_factory=dict)
    # The latest transitions with an idempotency key, oldest first.
    answered: dict[str, Answered] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    # What tells this ledger from all others, for as long as it exists.
    ledger_id: str = ""
    # The boot during which steady times are comparable, and whether the state was saved during another.
    boot: str = ""
    rebooted: bool = False

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
                raise _unknown(device, keys)
        return sorted({known[device] for device in self.devices})


def _unknown(device: str, names: Iterable[str]) -> InvalidField:
    if device.startswith("MIG-"):
        return InvalidField(
            f"{device} is a MIG instance, and energy is known for the whole board only",
            field="devices",
            remedy="name the board (GET /api/v1/devices lists them), with share true when other instances work for "
            "other runs: its energy is then split equally and marked",
        )
    return InvalidField(f"device {device!r} is not known", field="devices", remedy="use " + ", ".join(sorted(names)))
