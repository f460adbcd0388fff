"""What the ledger knows, as plain data: the store saves and loads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .attribution import DeviceAccount
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
    windows_expired: int = 0


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
