"""The methods paragraph: how the figures came about, ready to paste."""

from __future__ import annotations

from ..accounting import ONE_OFF
from . import derived
from .numbers import fixed
from .report import DeviceFacts, Report

_SOURCES = {
    "nvml_counter": "the GPU's own energy counter (NVML), read at every stage transition",
    "nvml_power": "GPU power (NVML) sampled and integrated",
    "rapl": "the processor's energy counters (RAPL)",
    "cpu_model": "a model of the processor, idle + (TDP − idle) × utilisation, which is not a measurement",
    "replay": "a scripted trace, which is not a measurement",
    "paper": "tables as published",
    "harness": "the output folder of the paper's harness",
    "codecarbon": "CodeCarbon's emissions file",
    "zeus": "Zeus' window log",
}


def methods(report: Report) -> str:
    """One paragraph: sources, ticks, uncertainty, quality, reuse, derived figures, software and hardware."""
    sentences = [_measured(report), *(_device(one) for one in report.devices), _uncertainty(report)]
    sentences += [_repeats(report), _quality(report), _reuse(report), _derived(report), "1 kWh = 3.6 MJ."]
    return " ".join(sentence for sentence in sentences if sentence)


def _measured(report: Report) -> str:
    origins = sorted({account.origin for account in report.accounts})
    stages = list(dict.fromkeys(row.stage for account in report.accounts for row in account.rows))
    text = f"Energy was accounted by stage ({', '.join(stages)}) with Joulemark {report.version}"
    text += f", {report.read_from}" if report.read_from else ""
    if origins == ["measured"]:
        return text + "; all of it was measured."
    named = ", ".join(f"{sum(account.origin == origin for account in report.accounts)} {origin}" for origin in origins)
    return text + f"; of the runs, by the origin of their energy: {named}." if origins else text + "."


def _device(one: DeviceFacts) -> str:
    facts = ", ".join(filter(None, (one.model, f"driver {one.driver}" if one.driver else "")))
    what = f"{one.device} ({facts})" if facts else one.device
    tick = f", whose measured refresh interval was {1000 * one.tick_seconds:.0f} ms" if one.tick_seconds else ""
    return f"Energy of {what} came from {_SOURCES.get(one.source, one.source)}{tick}."


def _uncertainty(report: Report) -> str:
    bounded = [a for a in report.accounts if a.total.uncertainty_joules is not None and a.total.joules > 0]
    if not bounded:
        return ""
    worst = max((a.total.uncertainty_joules or 0.0) / a.total.joules for a in bounded)
    return (
        "A stage transition splits energy at the transition itself; what a counter's refresh interval and gaps in "
        f"reading leave unknown is bounded at three standard deviations, at most {fixed(100 * worst, 2)} % of a run's "
        "energy. "
        "The accuracy of the sensors is not in that bound: vendors do not state it for current hardware."
    )


def _repeats(report: Report) -> str:
    numbers = sorted({len(cell.runs) for cell in report.cells})
    if not numbers or numbers == [1]:
        return "Every cell is one run, without repeats."
    span = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    return f"Cells are means over {span} runs that differ in seed alone; spreads are sample standard deviations."


def _quality(report: Report) -> str:
    used = sorted({name for account in report.accounts for name in account.figures.quality.used})
    if not used:
        return ""
    return f"Quality Q is the mean, with equal weights, of score over the teacher's score on {', '.join(used)}."


def _reuse(report: Report) -> str:
    if not report.artifacts and not any(account.figures.own_teacher_joules for account in report.accounts):
        return ""
    users = max((len(artifact.users) for artifact in report.artifacts), default=0)
    shared = f", here by up to {users} runs" if users > 1 else ""
    return (
        f"Teacher energy is counted in full for every run ({ONE_OFF}) or divided by the runs that used the output "
        f"(amortized{shared}), its bound likewise. N* is the full teacher energy over what the student stage saves "
        "against the baseline's, T* the extra energy over what serving a generated token saves against the reference."
    )


def _derived(report: Report) -> str:
    if not derived.can_derive(report.factors):
        return ""
    return f"CO2e and cost are derived from energy, not measured, with {derived.told(report.factors)}."
