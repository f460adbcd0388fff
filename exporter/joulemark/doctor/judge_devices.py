"""Findings about each device: can it be read, how often does it tick, how fast, do its two estimators agree."""

from __future__ import annotations

import os
from collections import Counter

from ..attribution.agreement import ALERT_RATIO
from ..sources import nvml
from ..sources.nvml_calls import REFUSED
from .facts import CallTimes, Comparison, DeviceFacts, LoadState, TickTimes
from .findings import Finding, finding

_SLOW_CALL_SECONDS = 0.02
# Below this time ticks at both ends are no small part of the whole.
_LEAST_SECONDS = 0.5
_GAUGES = {
    nvml.INSTANT_FIELD: "power_field",
    nvml.INSTANT_CALL: "power_call",
    nvml.AVERAGED_CALL: "power_averaged",
    nvml.MODULE_FIELD: "module_scope",
}


def judge_device(facts: DeviceFacts, load: LoadState) -> list[Finding]:
    """All findings about one device."""
    name = facts.device.name
    if facts.hung:
        return [finding("device_hung", name, f"stuck while {facts.hung}")]
    failed = _failed(facts)
    if not any(comparison.answered for comparison in facts.comparisons):
        return [finding("device_unreadable", name, ", ".join(sorted(failed)) or "no answer")]
    findings = [_counter(facts), *_latency(facts), *_estimators(facts, load)]
    if _refused(facts):
        del failed[REFUSED]
    if failed:
        made = sum(comparison.readings for comparison in facts.comparisons)
        found = f"{failed.total()} failures in {made} readings: {', '.join(sorted(failed))}"
        findings.append(finding("readings_fail", name, found))
    if facts.device.gauge:
        findings.append(finding(_GAUGES[facts.device.gauge], name, f"power by {facts.device.gauge.replace('_', ' ')}"))
    if facts.device.mig:
        findings.append(finding("mig", name, "MIG is enabled"))
    if facts.state.persistence is False:
        findings.append(finding("persistence", name, "persistence is off"))
    return findings


def _failed(facts: DeviceFacts) -> Counter[str]:
    """How often readings failed, whole or in part, by reason."""
    return sum((Counter(comparison.failed) for comparison in facts.comparisons), Counter())


def _refused(facts: DeviceFacts) -> bool:
    """Whether this user may not read the counter, and no reading ever had it."""
    read = any(comparison.counter_read for comparison in facts.comparisons)
    return facts.device.source == nvml.COUNTER and not read and REFUSED in _failed(facts)


def _counter(facts: DeviceFacts) -> Finding:
    device, name = facts.device, facts.device.name
    if _refused(facts):
        return finding("counter_refused", name, f"{REFUSED} for uid {os.getuid()}: power is integrated")
    if device.source == nvml.POWER or not any(comparison.counter_read for comparison in facts.comparisons):
        times = facts.calls.get("counter")
        return finding("counter_missing", name, times.reason if times and times.reason else "power is integrated")
    if facts.tick is not None:
        return _tick(facts, facts.tick)
    drawing = [x.mean_watts for x in facts.comparisons if x.mean_watts and not x.counter_joules]
    if drawing and device.fallback:
        return finding("counter_frozen", name, f"counter stands still at {drawing[-1]:.0f} W")
    return finding("counter_tick_unseen", name, "hardly any refresh of the counter was seen")


def _tick(facts: DeviceFacts, tick: TickTimes) -> Finding:
    counter = "MODELLED energy, no counter," if facts.device.modelled else "counter"
    name = facts.device.name
    if tick.seconds is None:
        return finding("counter_tick_untold", name, f"two looks are {1e3 * tick.resolution_seconds:.2g} ms apart")
    period = f"{counter} refreshes every {1e3 * tick.seconds:.4g} ms"
    if tick.declared:
        return finding("counter_tick_documented", name, f"{period}, as documented")
    found = f"{period} (jitter {1e3 * tick.jitter_seconds:.2g} ms, {tick.ticks} refreshes)"
    watts = next((x.mean_watts for x in reversed(facts.comparisons) if x.mean_watts), None)
    if watts:
        found += f": {watts * tick.seconds:.1f} J at {watts:.0f} W"
    return finding("counter_tick" if tick.even else "counter_tick_uneven", name, found)


def _latency(facts: DeviceFacts) -> list[Finding]:
    told = {kind: times for kind, times in facts.calls.items() if times.median_seconds is not None}
    if not told:
        return []
    slow = any((times.p99_seconds or 0.0) > _SLOW_CALL_SECONDS for times in told.values())
    found = ", ".join(_times_text(kind, times) for kind, times in told.items())
    return [finding("read_latency_slow" if slow else "read_latency", facts.device.name, found)]


def _times_text(kind: str, times: CallTimes) -> str:
    assert times.median_seconds is not None
    assert times.p99_seconds is not None
    median, p99 = 1e3 * times.median_seconds, 1e3 * times.p99_seconds
    return f"{kind.replace('_', ' ')} {median:.2g} ms (99 % within {p99:.2g} ms, {times.calls} calls)"


def _estimators(facts: DeviceFacts, load: LoadState) -> list[Finding]:
    """One finding for each condition in which the two could be compared."""
    if not facts.device.gauge:
        alone = "MODELLED energy" if facts.device.modelled else "counter"
        return [finding("estimators_single", facts.device.name, f"{alone} alone, power has no sensor of its own")]
    return [
        _compared(facts, comparison)
        for comparison in facts.comparisons
        if comparison.condition == "as_found" or load.is_on(facts.device)
    ]


def _compared(facts: DeviceFacts, comparison: Comparison) -> Finding:
    name, ratio, watts = facts.device.name, comparison.disagreement_ratio, comparison.mean_watts
    where = _where(facts, comparison)
    if ratio is None or comparison.seconds < _LEAST_SECONDS:
        return finding(
            "estimators_single", name, f"{where}: " + (f"{watts:.0f} W" if watts is not None else "no power")
        )
    found = (
        f"{where}: counter {comparison.counter_joules:.1f} J, integrated power {comparison.integral_joules:.1f} J "
        f"in {comparison.seconds:.1f} s ({watts:.0f} W), {100 * ratio:.1f} % apart"
    )
    if (comparison.unexplained_ratio or 0.0) <= ALERT_RATIO:
        missed = f" (sampling may have missed {comparison.sampling_joules:.1f} J)" if ratio > ALERT_RATIO else ""
        return finding("estimators_agree", name, found + missed)
    under_load = comparison.condition == "under_load"
    return finding("estimators_apart_under_load" if under_load else "estimators_apart", name, found)


def _where(facts: DeviceFacts, comparison: Comparison) -> str:
    if comparison.condition == "under_load":
        return "under load"
    used = facts.state.utilization_ratio
    return "as found" if used is None else f"as found (utilisation {100 * used:.0f} %)"
