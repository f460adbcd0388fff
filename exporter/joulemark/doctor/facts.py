"""What the doctor measured and saw, before anybody judges it. Seconds, joules, watts, ratios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..sources.base import Device

Condition = Literal["as_found", "under_load"]


@dataclass(frozen=True)
class Versions:
    """What is installed; None where it is not, or does not say."""

    joulemark: str
    python: str
    kernel: str
    nvidia_driver: str | None = None
    nvml_library: str | None = None
    cuda_driver: str | None = None
    nvidia_ml_py: str | None = None
    nvidia_gpus_on_pci: int = 0


@dataclass(frozen=True)
class SourceState:
    """A source: whether it is there, whether `serve` would read it, else why not; `warnings` are its own."""

    name: str
    available: bool
    used: bool
    reason: str = ""
    devices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CallTimes:
    """How long calls of one kind took, those that failed left out; `reason` is why the last of these did."""

    calls: int
    failed: int = 0
    median_seconds: float | None = None
    p99_seconds: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class TickTimes:
    """When a counter refreshed: the time between refreshes, and how far they stray from an even beat.

    `seconds` is None where looks were too far apart to tell it.

    `even` is whether the meter could follow the beat, `declared` that the period is documented and not measured,
    `resolution_seconds` how closely refreshes were watched.
    """

    seconds: float | None
    jitter_seconds: float = 0.0
    even: bool = True
    ticks: int = 0
    resolution_seconds: float = 0.0
    declared: bool = False


@dataclass(frozen=True)
class Comparison:
    """Counter and integrated power over the same ticks; what is None could not be had.

    `counter_read` says that the counter answered, even where it never moved; of `readings` so many were `answered`,
    and what failed in any of them is counted by reason. By `sampling_joules` sampling alone may have the integral off.
    """

    condition: Condition
    seconds: float
    counter_joules: float | None = None
    integral_joules: float | None = None
    sampling_joules: float = 0.0
    mean_watts: float | None = None
    counter_read: bool = False
    readings: int = 0
    answered: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def disagreement_ratio(self) -> float | None:
        """|integrated power / counter - 1|, None where only one of them could be had."""
        if not self.counter_joules or self.integral_joules is None:
            return None
        return abs(self.integral_joules / self.counter_joules - 1)

    @property
    def unexplained_ratio(self) -> float | None:
        """What of the disagreement sampling does not explain."""
        ratio = self.disagreement_ratio
        if ratio is None or not self.counter_joules:
            return None
        return max(0.0, ratio - self.sampling_joules / self.counter_joules)


@dataclass(frozen=True)
class GpuState:
    """A GPU as it was found; None where the driver does not tell."""

    utilization_ratio: float | None = None
    compute_processes: int | None = None
    persistence: bool | None = None

    @property
    def busy(self) -> bool:
        """Whether somebody's job is at work on it."""
        at_work = self.utilization_ratio is None or self.utilization_ratio > 0.05
        return bool(self.compute_processes) and at_work


@dataclass
class DeviceFacts:
    """All of one device; `hung` names the step in which a call did not return."""

    device: Device
    state: GpuState = field(default_factory=GpuState)
    calls: dict[str, CallTimes] = field(default_factory=dict)
    tick: TickTimes | None = None
    comparisons: list[Comparison] = field(default_factory=list)
    hung: str = ""


@dataclass(frozen=True)
class LoadState:
    """The doctor's own load: whether it ran, on which GPUs (by the end of their UUIDs), else why not."""

    ran: bool
    reason: str = ""
    torch: str = ""
    uuids: tuple[str, ...] = ()

    def is_on(self, device: Device) -> bool:
        """Whether the device is one of those that are loaded; not knowing counts as yes."""
        return not self.uuids or any(device.key.endswith(uuid) for uuid in self.uuids)


@dataclass(frozen=True)
class ClockFacts:
    """The clocks over the examination: `step_seconds` is by how much the wall clock left the steady one."""

    source: str | None
    resolution_seconds: float
    synchronised: bool | None
    suspended_seconds: float
    step_seconds: float
    over_seconds: float


@dataclass(frozen=True)
class StateDirFacts:
    """The ledger's folder, or the nearest one above it that exists; `reason` is why it cannot be written."""

    path: str
    exists: bool
    reason: str = ""
    filesystem: str = ""
    free_bytes: int = 0


@dataclass(frozen=True)
class AddressFacts:
    """An address at which `serve` would listen."""

    address: str
    state: Literal["free", "joulemark", "taken", "refused"]
    detail: str = ""


@dataclass(frozen=True)
class ExporterFacts:
    """The exporter at a URL; ratios, residuals and states by device. `asked` says that JOULEMARK_URL is set."""

    url: str
    asked: bool
    reachable: bool
    reason: str = ""
    version: str = ""
    residual_joules: Mapping[str, float] = field(default_factory=dict)
    total_joules: Mapping[str, float] = field(default_factory=dict)
    disagreement_ratio: Mapping[str, float] = field(default_factory=dict)
    sampling_ratio: Mapping[str, float] = field(default_factory=dict)
    up: Mapping[str, bool] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)
    uuid: Mapping[str, str] = field(default_factory=dict)
    tick_seconds: Mapping[str, float] = field(default_factory=dict)
    gap_seconds: Mapping[str, float] = field(default_factory=dict)
    last_read_at: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Booked:
    """What a running exporter booked of a device in so many seconds, and what its counter gained: at least, at most."""

    device: str
    seconds: float
    joules: float
    least_joules: float
    most_joules: float

    @property
    def unexplained_ratio(self) -> float:
        """How far what is booked is outside of what the counter gained, as a part of that."""
        outside = max(self.least_joules - self.joules, self.joules - self.most_joules, 0.0)
        return outside / ((self.least_joules + self.most_joules) / 2)


@dataclass(frozen=True)
class PrometheusFacts:
    """The Prometheus at a URL; `exporters` that it scrapes now, and by how much its clock is ahead of ours."""

    url: str
    reachable: bool
    reason: str = ""
    exporters: int = 0
    ahead_seconds: float = 0.0
