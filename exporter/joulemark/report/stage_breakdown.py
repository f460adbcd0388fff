"""Stacked bars: joules of each cell by stage, with each stage's share written in where there is room."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from ..accounting import AS_RUN
from .canvas import INK, Size, stage_legend, stage_style, title
from .cells import Cell, names_of
from .numbers import scale, short, with_bound
from .report import Report

_SMALLEST_LABELLED_SHARE = 0.05
_SMALLEST_LABELLED_WIDTH = {False: 0.055, True: 0.13}


def stage_breakdown(report: Report, size: Size) -> Figure | None:
    """The picture; whiskers are the deviation between repeats, of a single run its bound. None without a joule."""
    cells = [cell for cell in report.cells if cell.energy(AS_RUN).mean]
    if not cells:
        return None
    rise = 0.85 if size.narrow else 0.5
    figure = Figure(figsize=(size.width, 1.9 + rise * len(cells)), layout="constrained")
    axes = figure.subplots()
    longest = max(cell.energy(AS_RUN).mean or 0.0 for cell in cells)
    factor, unit = scale(longest)
    reach = max((cell.energy(AS_RUN).mean or 0.0) + (cell.error(cell.energy(AS_RUN)) or 0.0) for cell in cells)
    for position, (name, cell) in enumerate(zip(names_of(cells), cells, strict=True)):
        _bar(axes, position, cell, factor, longest, size)
        _label(axes, position, cell, factor, unit, size)
        if size.narrow:
            axes.text(0, position - 0.36, short(name), va="bottom", ha="left", fontsize=9)
    axes.set_yticks(range(len(cells)), [""] * len(cells) if size.narrow else [short(name) for name in names_of(cells)])
    axes.set_ylim(len(cells) - 0.5, -0.75 if size.narrow else -0.5)
    # Whiskers and what is written after them stay inside.
    axes.set_xlim(0, (1.5 if size.narrow else 1.25) * reach * factor)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"energy ({unit})")
    stages = list(dict.fromkeys(stage for cell in cells for stage in cell.stages()))
    stage_legend(figure, axes, stages, 3 if size.narrow else 6)
    title(figure, "Energy by stage", report, size)
    return figure


def _bar(axes: Any, position: int, cell: Cell, factor: float, longest: float, size: Size) -> None:
    left, total = 0.0, cell.energy(AS_RUN)
    height = 0.5 if size.narrow else 0.62
    for stage in cell.stages():
        # A stage that only some repeats have counts with its mean over all of them: so the bar ends at the mean.
        joules = sum(account.joules_by_stage().get(stage, 0.0) for account in cell.runs) / len(cell.runs)
        colour, hatch = stage_style(stage)
        axes.barh(
            position,
            joules * factor,
            left=left,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.8,
            height=height,
        )
        share = joules / total.mean if total.mean else 0.0
        if share >= _SMALLEST_LABELLED_SHARE and joules >= _SMALLEST_LABELLED_WIDTH[size.narrow] * longest:
            box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
            middle = left + joules * factor / 2
            axes.text(middle, position, f"{share:.0%}", ha="center", va="center", fontsize=8.5, color=INK, bbox=box)
        left += joules * factor
    error = cell.error(total)
    if error and error > longest / 1000:
        # Below the middle, where the shares are written.
        axes.errorbar(left, position + 0.2, xerr=error * factor, color=INK, capsize=3, linewidth=1.1)


def _label(axes: Any, position: int, cell: Cell, factor: float, unit: str, size: Size) -> None:
    """The figure at the bar's end, after its whisker."""
    total = cell.energy(AS_RUN)
    assert total.mean is not None
    error = cell.error(total)
    text = f"{with_bound(total.mean * factor, error * factor if error else None)} {unit}"
    if not cell.single:
        text += f" ({len(cell.runs)} runs)"
    end = (total.mean + (error or 0.0)) * factor
    axes.annotate(
        text, (end, position), (5, 0), textcoords="offset points", va="center", fontsize=8.5 if size.narrow else 9.5
    )
