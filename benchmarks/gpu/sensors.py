"""What the GPUs' sensors are like: ticks, latencies, and the counter against integrated power under several loads."""

from __future__ import annotations

import itertools
import time

from joulemark.doctor.call_times import time_calls
from joulemark.doctor.comparison import compare
from joulemark.doctor.facts import Comparison
from joulemark.doctor.tick_times import watch_ticks
from joulemark.sources.base import Device, Reading
from joulemark.sources.nvml import NvmlSource

from .machines import Machine

STEPS_SECONDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
# A gauge that averages, and the chip's temperature, want a load to have run for a while.
_SETTLE_SECONDS = 3.0


def latency_table(source: NvmlSource, device: Device, seconds: float) -> list[str]:
    """How long each call takes."""
    rows = ["| call | calls | median | 99th percentile |", "|---|---|---|---|"]
    for name, times in time_calls(source.calls(device), seconds).items():
        if times.median_seconds is None or times.p99_seconds is None:
            rows.append(f"| {name} | {times.calls} | fails: {times.reason} | |")
        else:
            median, p99 = 1e3 * times.median_seconds, 1e3 * times.p99_seconds
            rows.append(f"| {name} | {times.calls} | {median:.3f} ms | {p99:.3f} ms |")
    return rows


def tick_lines(source: NvmlSource, device: Device, seconds: float) -> list[str]:
    """Refreshes of the energy counter and of the power gauge."""
    tick = watch_ticks(source, device, seconds)
    lines = ["Energy counter: no refresh seen."]
    if tick:
        beat = "an even beat" if tick.even else "no even beat"
        period = f"{1e3 * tick.seconds:.2f} ms" if tick.seconds else "so often that calls are too slow to tell"
        lines = [
            f"Energy counter: a refresh every {period}, jitter {1e3 * tick.jitter_seconds:.3f} ms, "
            f"{beat}; {tick.ticks} refreshes, watched every {1e3 * tick.resolution_seconds:.1f} ms."
        ]
    changes = gauge_changes(source, device, seconds)
    return [*lines, "", f"Power gauge ({device.gauge}): {changes}"]


def gauge_changes(source: NvmlSource, device: Device, seconds: float) -> str:
    """How often the gauge shows another value; at an even power it may refresh without being seen to."""
    calls = source.calls(device)
    ask = calls.get("power_field", calls["power_call"])
    changed: list[float] = []
    before, until = ask(), time.monotonic() + seconds
    while time.monotonic() < until:
        watts = ask()
        if watts != before:
            changed.append(time.monotonic())
            before = watts
        time.sleep(0.001)
    gaps = sorted(b - a for a, b in itertools.pairwise(changed))
    if len(gaps) < 5:
        return f"changed {len(changed)} times in {seconds:.0f} s, too seldom to tell its refresh."
    return f"another value every {1e3 * gaps[len(gaps) // 2]:.1f} ms at the median ({len(changed)} changes)."


def estimator_table(machine: Machine, source: NvmlSource, device: Device, seconds: float) -> list[str]:
    """Counter against integrated power: at rest, under load, and under steps of 50 to 500 ms."""
    rows = [
        "| load | mean power | counter | power, sampled every 20 ms | apart | sampled every 100 ms | apart |",
        "|---|---|---|---|---|---|---|",
    ]
    orders = {"at rest": "off", "matrix products": "on"}
    orders |= {f"{1e3 * half:.0f} ms on, {1e3 * half:.0f} ms off": f"steps {half}" for half in STEPS_SECONDS}
    for name, order in orders.items():
        machine.tell(order)
        time.sleep(_SETTLE_SECONDS)
        readings = _readings(source, device, seconds)
        fine = compare(readings, device.averaging_seconds, "as_found")
        coarse = compare(_thinned(readings), device.averaging_seconds, "as_found")
        rows.append(_row(name, fine, coarse))
    machine.tell("off")
    return rows


def _readings(source: NvmlSource, device: Device, seconds: float) -> list[Reading]:
    readings = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        readings.append(source.read(device))
        time.sleep(0.02)
    return readings


def _thinned(readings: list[Reading]) -> list[Reading]:
    """The same counter readings with power only every 100 ms."""
    kept, last = [], float("-inf")
    for reading in readings:
        wanted = reading.steady - last >= 0.1
        last = reading.steady if wanted else last
        kept.append(reading if wanted else reading._replace(watts=None))
    return kept


def _row(name: str, fine: Comparison, coarse: Comparison) -> str:
    cells = [name, _text(fine.mean_watts, "W"), _text(fine.counter_joules, "J")]
    for comparison in (fine, coarse):
        ratio = comparison.disagreement_ratio
        cells += [_text(comparison.integral_joules, "J"), "-" if ratio is None else f"{100 * ratio:.2f} %"]
    return f"| {' | '.join(cells)} |"


def _text(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:,.1f} {unit}"
