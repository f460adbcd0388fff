"""What the calls answer: energy in joules, power in watts, durations in seconds, `_at` in Unix seconds."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Rates(BaseModel):
    """What windows and stages have in common."""

    seconds: float | None = Field(description="time in which it held a device; null where an import does not say")
    joules: float
    uncertainty_joules: float | None = Field(description="the bound y of x ± y J; null for imported energy")
    joules_by_device: dict[str, float]
    mean_watts: float | None
    peak_watts: float | None
    tokens: dict[str, int] = Field(description="counts by kind")
    joules_per_token: float | None = Field(description="absent without tokens")


class WindowFacts(BaseModel):
    """What a window is."""

    id: str
    run: str
    stage: str
    phase: str
    state: Literal["active", "suspended", "ended", "failed", "replaced", "expired"]
    devices: list[str]
    shared: bool = Field(description="its devices worked for another run at the same time")
    modelled: bool = Field(description="some of its energy is modelled, not measured")
    lease_seconds: float | None
    started_at: float
    ended_at: float | None
    settled: bool = Field(description="false while the counter has yet to confirm the last joules")


class WindowSummary(Rates, WindowFacts):
    """One stretch of one stage of one run on a set of devices."""


class Switched(WindowSummary):
    """The new window, and what it ended."""

    ended: WindowSummary | None = Field(description="the window that this one follows")
    also_ended: list[WindowSummary] = Field(description="other windows of the run that lost their last device")


class StageName(BaseModel):
    """Which stage."""

    stage: str
    phase: str


class StageRecord(Rates, StageName):
    """All windows of one stage and phase of a run, added up."""

    power_integral_joules: float | None = Field(description="the second estimator, sampled power integrated")
    power_integral_joules_by_device: dict[str, float] = Field(description="of the devices that have it")
    windows: int


class ScoreRecord(BaseModel):
    """A benchmark score; `reference` is the teacher's, `n` the number of items, `stderr` the standard error."""

    benchmark: str
    score: float
    reference: float | None
    n: int | None
    stderr: float | None


class ArtifactRecord(BaseModel):
    """A teacher artifact that the run produced or consumed."""

    artifact: str
    kind: str
    role: Literal["produced", "consumed"]


class RunSummary(BaseModel):
    """A run as declared, and its energy."""

    run: str
    pipeline: str | None
    student: str | None
    teacher: str | None
    dataset: str | None
    seed: int | None
    baseline: str | None
    reference: str | None
    idle_watts: dict[str, float] | None
    labels: dict[str, str]
    origin: Literal["measured", "modelled", "published"]
    created_at: float
    last_active_at: float
    joules: float
    uncertainty_joules: float | None
    seconds: float | None


class RunRecord(RunSummary):
    """Full accounting of a run."""

    stages: list[StageRecord]
    scores: list[ScoreRecord]
    artifacts: list[ArtifactRecord]


class DeviceRecord(BaseModel):
    """A device and its latest reading."""

    device: str
    uuid: str
    model: str
    driver: str
    source: str = Field(description="where its energy comes from now")
    modelled: bool
    mig: bool = Field(description="MIG is on: the energy is the whole board's, not an instance's")
    up: bool = Field(description="the last reading came")
    watts: float | None
    joules: float = Field(description="all energy counted so far")
    tick_seconds: float | None = Field(description="refresh interval of its counter; null until it is measured")
    disagreement_ratio: float | None = Field(description="between its two estimators")
    gap_seconds: float = Field(description="time of which nothing is known")
    last_read_at: float | None
    errors: dict[str, int] = Field(description="failed readings by reason since the exporter's start")


class FactorsRecord(BaseModel):
    """What CO2e and cost are derived with; null is not configured."""

    pue: float = Field(description="facility power over device power")
    zone: str | None
    grams_per_kwh: float | None = Field(description="CO2e of a kWh from the zone's grid")
    carbon_source: str | None = Field(description="where that figure is from")
    price_per_kwh: float | None
    currency: str | None


class Pruned(BaseModel):
    """A run that is not in the ledger any more."""

    run: str
