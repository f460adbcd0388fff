"""The doctor's whole report, and its machine-readable shape."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from .facts import ClockFacts, Comparison, DeviceFacts, LoadState, SourceState, Versions
from .findings import SEVERITIES, Finding, Severity

# Changed when a field goes or changes its meaning; new fields may come at any time. Described in docs/doctor.md.
SHAPE = "joulemark.doctor/1"


@dataclass(frozen=True)
class Diagnosis:
    """Facts and findings of one examination; `wall` is when it began, in seconds since the epoch."""

    wall: float
    seconds: float
    versions: Versions
    clocks: ClockFacts
    sources: tuple[SourceState, ...]
    devices: tuple[DeviceFacts, ...]
    load: LoadState
    findings: tuple[Finding, ...]

    @property
    def fit(self) -> bool:
        """Whether this machine can measure: no finding is an error."""
        return not self.of("error")

    def of(self, severity: Severity) -> list[Finding]:
        """The findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]

    @property
    def verdict(self) -> str:
        """The result in one line."""
        counts = ", ".join(f"{len(self.of(s))} {_plural(s, len(self.of(s)))}" for s in SEVERITIES if self.of(s))
        if not self.fit:
            return f"not fit to measure: {counts}"
        names = ", ".join(facts.device.name for facts in self.devices)
        return f"fit to measure {names}: {counts}"

    def as_json(self) -> dict[str, Any]:
        """The report as plain data, in the shape named SHAPE."""
        return {
            "shape": SHAPE,
            "at": datetime.fromtimestamp(self.wall, timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "fit": self.fit,
            "verdict": self.verdict,
            "versions": asdict(self.versions),
            "clocks": asdict(self.clocks),
            "sources": [asdict(state) for state in self.sources],
            "load": asdict(self.load),
            "devices": [_device(facts) for facts in self.devices],
            "findings": [asdict(finding) for finding in self.findings],
        }


def _plural(severity: Severity, count: int) -> str:
    return severity if severity in ("ok", "info") or count == 1 else f"{severity}s"


def _device(facts: DeviceFacts) -> dict[str, Any]:
    device = facts.device
    return {
        "device": device.name,
        "uuid": device.key,
        "model": device.model,
        "source": device.source,
        "modelled": device.modelled,
        "driver": device.driver,
        "mig": device.mig,
        "gauge": device.gauge or None,
        "state": asdict(facts.state),
        "hung": facts.hung or None,
        "tick": asdict(facts.tick) if facts.tick else None,
        "latency": {kind: asdict(times) for kind, times in facts.calls.items()},
        "estimators": [_comparison(comparison) for comparison in facts.comparisons],
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        **asdict(comparison),
        "disagreement_ratio": comparison.disagreement_ratio,
        "unexplained_ratio": comparison.unexplained_ratio,
    }
