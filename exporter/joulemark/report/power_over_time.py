"""Power of each run over time, shaded by stage."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from .canvas import INK, Size, stage_legend, stage_style, title
from .numbers import short
from .power import PowerCurve
from .report import Report

_MOST_PANELS = 12
# A stage that takes less of the time than this has no room for its name; its colour and hatch are in the legend.
_NAMED_SHARE = {False: 0.08, True: 0.16}
_UNITS = ((3600.0 * 3, 3600.0, "h"), (180.0, 60.0, "min"), (0.0, 1.0, "s"))


def power_over_time(report: Report, size: Size) -> Figure | None:
    """A panel for each run that Prometheus has watts of; None where there is none."""
    curves = report.curves[:_MOST_PANELS]
    if not curves:
        return None
    figure = Figure(figsize=(size.width, 1.2 + 1.9 * len(curves)), layout="constrained")
    panels = figure.subplots(len(curves), 1, squeeze=False).flatten()
    for axes, curve in zip(panels, curves, strict=True):
        _panel(axes, curve, size)
    stages = list(dict.fromkeys(stage for curve in curves for stage in curve.watts))
    stage_legend(figure, stages, 3 if size.narrow else 6, {})
    title(figure, "Power over time", report, size)
    return figure


def _panel(axes: Any, curve: PowerCurve, size: Size) -> None:
    begin = curve.times[0]
    length = curve.times[-1] + curve.step_seconds - begin
    _, factor, unit = next(row for row in _UNITS if length >= row[0])
    edges = [(at - begin) / factor for at in (*curve.times, curve.times[-1] + curve.step_seconds)]
    floor = [0.0] * len(curve.times)
    for stage, watts in curve.watts.items():
        colour, hatch = stage_style(stage)
        top = [low + (value or 0.0) for low, value in zip(floor, watts, strict=True)]
        axes.stairs(
            top, edges, baseline=floor, fill=True, facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0
        )
        floor = top
        _name(axes, stage, watts, edges, size)
    axes.stairs(floor, edges, baseline=None, color=INK, linewidth=0.8)
    axes.set_ylim(0, 1.25 * max(floor, default=1.0) or 1.0)
    axes.set_xlim(0, edges[-1])
    axes.set_ylabel("watts")
    axes.set_xlabel(f"time since its first scrape ({unit})")
    axes.set_title(short(curve.run), loc="right", fontsize=9.5, fontweight="bold")


def _name(axes: Any, stage: str, watts: tuple[float | None, ...], edges: list[float], size: Size) -> None:
    """The stage's name over its longest stretch, where there is room for it."""
    best, start = (0, 0), 0
    for index in range(len(watts) + 1):
        if index == len(watts) or watts[index] is None:
            best = max(best, (index - start, start))
            start = index + 1
    count, start = best
    if count / len(watts) >= _NAMED_SHARE[size.narrow]:
        middle = (edges[start] + edges[start + count]) / 2
        axes.text(middle, 0.98, stage, transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=8.5)
