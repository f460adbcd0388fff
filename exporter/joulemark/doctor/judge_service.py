"""Findings about `joulemark serve` on this machine: its folder and addresses, one that runs already, Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from ..attribution.agreement import ALERT_RATIO
from .facts import AddressFacts, Booked, ExporterFacts, PrometheusFacts, StateDirFacts
from .findings import Finding, finding

_NETWORK_FILESYSTEMS = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "lustre",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
    "beegfs",
    "gpfs",
)
_LEAST_FREE_BYTES = 100e6
# Float rounding over many series, relative to the total.
_ROUNDING = 1e-9
_AHEAD_SECONDS = 1.0
# Exporter and doctor read the same counter: nothing but rounding should be left.
_BOOKED_RATIO = 0.01


def judge_state_dir(facts: StateDirFacts) -> Finding:
    """Whether the ledger can be kept where it would be kept."""
    if facts.reason:
        return finding("state_dir_refused", facts.path, facts.reason)
    if facts.filesystem in _NETWORK_FILESYSTEMS:
        return finding("state_dir_network", facts.path, f"file system {facts.filesystem}")
    if facts.free_bytes < _LEAST_FREE_BYTES:
        return finding("state_dir_full", facts.path, f"{facts.free_bytes / 1e6:.0f} MB are free")
    return finding("state_dir", facts.path, "is writable" if facts.exists else "can be made")


def judge_address(facts: AddressFacts) -> Finding:
    """Whether `serve` can listen at an address."""
    found = {"free": "is free", "joulemark": "held by Joulemark", "taken": "is in use:", "refused": ""}
    return finding(f"address_{facts.state}", facts.address, f"{found[facts.state]} {facts.detail}".strip())


def judge_web_files(reason: str) -> list[Finding]:
    """Whether the token and the web configuration file can be used; nothing to say when they can."""
    return [finding("web_files_refused", "", reason)] if reason else []


def judge_exporter(facts: ExporterFacts, own_version: str) -> list[Finding]:
    """Whether the exporter answers, is of our version, adds up, and reads its devices."""
    if not facts.reachable:
        kind = "exporter_unreachable" if facts.asked else "exporter_none"
        return [finding(kind, facts.url, facts.reason)]
    findings = [finding("exporter", facts.url, f"Joulemark {facts.version} answers"), _conservation(facts)]
    if facts.version != own_version:
        found = f"exporter {facts.version}, command line {own_version}"
        findings.append(finding("exporter_version", facts.url, found))
    for device, up in sorted(facts.up.items()):
        if not up:
            findings.append(finding("exporter_device_down", device, f"at {facts.url}"))
    for device, ratio in sorted(facts.disagreement_ratio.items()):
        missed = facts.sampling_ratio.get(device, 0.0)
        if ratio - missed > ALERT_RATIO:
            found = f"{100 * ratio:.1f} % apart at {facts.url}, of which sampling may explain {100 * missed:.1f} %"
            findings.append(finding("exporter_apart", device, found))
    for device, source in sorted(facts.source.items()):
        if source in ("cpu_model", "replay"):
            findings.append(finding("exporter_modelled", device, f"from {source} at {facts.url}"))
    return findings


def judge_booked(booked: Sequence[Booked], url: str) -> list[Finding]:
    """Whether a running exporter books what the doctor sees counters gain meanwhile."""
    return [_booked(one, url) for one in booked]


def _booked(one: Booked, url: str) -> Finding:
    found = (
        f"booked {one.joules:.1f} J in {one.seconds:.1f} s at {url}, "
        f"the counter gained {one.least_joules:.1f} to {one.most_joules:.1f} J"
    )
    ratio = one.unexplained_ratio
    if ratio > _BOOKED_RATIO:
        return finding("exporter_books_otherwise", one.device, f"{found}: {100 * ratio:.1f} % apart")
    return finding("exporter_books", one.device, found)


def _conservation(facts: ExporterFacts) -> Finding:
    apart = {
        device: joules
        for device, joules in facts.residual_joules.items()
        if abs(joules) > max(1e-6, _ROUNDING * abs(facts.total_joules[device]))
    }
    if apart:
        found = ", ".join(f"{device} {joules:+.6g} J" for device, joules in sorted(apart.items()))
        return finding("conservation_broken", facts.url, found)
    return finding("conservation", facts.url, f"stages add up on {len(facts.residual_joules)} device(s)")


def judge_prometheus(facts: PrometheusFacts) -> list[Finding]:
    """Whether Prometheus answers, scrapes, and has the same time."""
    if not facts.reachable:
        return [finding("prometheus_unreachable", facts.url, facts.reason)]
    findings = [
        finding("prometheus", facts.url, f"scrapes {facts.exporters} exporter(s)")
        if facts.exporters
        else finding("prometheus_empty", facts.url, "no joulemark_build_info")
    ]
    if abs(facts.ahead_seconds) > _AHEAD_SECONDS:
        findings.append(finding("prometheus_clock", facts.url, f"{facts.ahead_seconds:+.1f} s ahead of this machine's"))
    return findings
