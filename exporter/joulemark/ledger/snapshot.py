"""What a scrape sees: one immutable picture of the ledger at an instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from ..factors import Factors
from ..sources.base import Device, Vitals
from .windows import SeriesKey


class DeviceHealth(NamedTuple):
    """How reading a device goes; the counts go on through restarts."""

    up: bool = False
    reads: int = 0
    errors: Mapping[str, int] = MappingProxyType({})
    duration_seconds: float = 0.0
    last_read_at: float | None = None


@dataclass(frozen=True)
class DeviceView:
    """A device, its total in joules, who holds it, its latest power in watts and its health.

    `source` is where its energy comes from now, `tick_seconds` the measured refresh of its counter,
    None before it is measured and where there is none. `disagreement_ratio` of its two estimators is None where there
    is one only, by `sampling_ratio` sampling alone may have them apart.
    """

    device: Device
    source: str
    tick_seconds: float | None
    disagreement_ratio: float | None
    joules: float
    gap_seconds: float
    watts: float | None
    holders: tuple[SeriesKey, ...]
    health: DeviceHealth
    vitals: Vitals | None = None
    # By reason: how often its readings could not be joined to those before.
    breaks: Mapping[str, int] = field(default_factory=dict)
    sampling_ratio: float | None = None


@dataclass(frozen=True)
class SeriesView:
    """Totals of one (run, stage, phase); joules by device name. Imported ones may lack seconds, and lack a bound."""

    key: SeriesKey
    joules: Mapping[str, float]
    integral_joules: Mapping[str, float]
    seconds: float | None
    uncertainty_joules: float | None
    tokens: Mapping[str, int]


class Score(NamedTuple):
    """A student's score on a benchmark of `n` items with its standard error, and its teacher's as reference."""

    benchmark: str
    score: float
    reference: float | None
    n: int | None
    stderr: float | None = None


class Artifact(NamedTuple):
    """A teacher artifact; role is produced or consumed."""

    artifact: str
    kind: str
    role: str


@dataclass(frozen=True)
class RunView:
    """A run as declared, its origin, its scores and artifacts."""

    name: str
    origin: str
    declared: Mapping[str, object]
    scores: tuple[Score, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


class OpenStage(NamedTuple):
    """A stage with an open window: since when (Unix time), and whether a lease will end it when nobody renews it."""

    key: SeriesKey
    started_at: float
    leased: bool


@dataclass(frozen=True)
class Host:
    """What is said of exporter and machine: the id of its ledger, factors of CO2e and cost, GPUs that are there."""

    ledger: str = ""
    factors: Factors = field(default_factory=Factors)
    gpus_present: int | None = None


@dataclass(frozen=True)
class LedgerHealth:
    """How the ledger on disk does: `up` when all is on it, `waiting` the rows that are not.

    `copied_at` is the Unix time of the last good copy, None before the first.
    """

    up: bool = True
    waiting: int = 0
    failures: int = 0
    set_aside: int = 0
    commit_seconds: float = 0.0
    copied_at: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """All of it; `gone_joules` are totals by name of devices that are no longer there, `picture` its number."""

    devices: tuple[DeviceView, ...]
    gone_joules: Mapping[str, float]
    series: tuple[SeriesView, ...]
    runs: tuple[RunView, ...]
    windows_expired: int
    runs_unseen: int
    picture: int
    open_stages: tuple[OpenStage, ...] = ()
    host: Host = Host()
    ledger: LedgerHealth = LedgerHealth()
