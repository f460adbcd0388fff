"""Findings about the machine: versions, sources, clocks."""

from __future__ import annotations

from collections.abc import Sequence

from ..sources import nvml, rapl
from .facts import ClockFacts, SourceState, Versions
from .findings import Finding, finding

_FAST_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "xen")
# A boundary is placed to a fraction of a millisecond: a coarser clock would show in it.
_COARSE_SECONDS = 0.001
_STEP_SECONDS = 0.1
_MEASURED = {nvml.COUNTER, nvml.POWER, rapl.NAME}


def judge_versions(versions: Versions) -> list[Finding]:
    """What is installed, for whoever reads the report."""
    named = {
        "NVIDIA driver": versions.nvidia_driver,
        "NVML": versions.nvml_library,
        "CUDA offered by the driver": versions.cuda_driver,
        "nvidia-ml-py": versions.nvidia_ml_py,
        "Python": versions.python,
        "Linux": versions.kernel,
        "joulemark": versions.joulemark,
    }
    return [finding("versions", "", ", ".join(f"{name} {text}" for name, text in named.items() if text))]


def judge_sources(states: Sequence[SourceState], versions: Versions, asked: str) -> list[Finding]:
    """Each source, there or not, and whether anything is measured at all."""
    gpus = versions.nvidia_gpus_on_pci
    findings = [_source(state, asked, gpus) for state in states]
    findings += [finding(_warned(state), state.name, text) for state in states for text in state.warnings]
    nvml_works = any(state.available for state in states if state.name in (nvml.COUNTER, nvml.POWER))
    if gpus and not nvml_works:
        findings.append(finding("gpu_unused", "", f"{gpus} NVIDIA GPU(s) on the PCI bus, none of them readable"))
    used = [state.name for state in states if state.used]
    if not _MEASURED & set(used):
        found = f"'joulemark serve' would read {', '.join(used) or 'nothing'}"
        findings.append(finding("modelled_only", "", found))
    return findings


def _warned(state: SourceState) -> str:
    """NVML has one thing to warn of: a GPU that is there and cannot be used."""
    return "gpu_unusable" if state.name in (nvml.COUNTER, nvml.POWER) else "source_warning"


def _source(state: SourceState, asked: str, gpus: int) -> Finding:
    if state.used:
        return finding("source_read", state.name, f"reads {', '.join(state.devices)}")
    if state.available:
        return finding("source_unneeded", state.name, "is there")
    if state.name == asked:
        return finding("source_wanted", state.name, state.reason)
    nowhere = "not installed" in state.reason and not gpus if state.name != rapl.NAME else "no RAPL" in state.reason
    return finding("source_absent" if nowhere else "source_broken", state.name, state.reason)


def judge_clocks(clocks: ClockFacts) -> list[Finding]:
    """Whether time can be trusted to a fraction of a millisecond, and the wall clock for showing it."""
    findings = []
    steps = f"clock source {clocks.source or 'unknown'}, steps of {clocks.resolution_seconds * 1e6:.2g} µs"
    slow = clocks.source is not None and clocks.source not in _FAST_CLOCKS
    if slow or clocks.resolution_seconds > _COARSE_SECONDS:
        findings.append(finding("clock_coarse", "", steps))
    else:
        findings.append(finding("clock", "", steps))
    if clocks.suspended_seconds > 1:
        findings.append(finding("clock_suspended", "", f"for {clocks.suspended_seconds:.0f} s"))
    if abs(clocks.step_seconds) > _STEP_SECONDS:
        found = f"by {clocks.step_seconds:+.2f} s in {clocks.over_seconds:.0f} s"
        findings.append(finding("clock_stepped", "", found))
    if clocks.synchronised is False:
        findings.append(finding("clock_unsynchronised", "", "the kernel calls its wall clock unsynchronised"))
    return findings
