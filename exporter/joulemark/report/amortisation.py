"""Reuse: what a student costs when N share the teacher's output, against the baseline, with N* where they meet."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..accounting import REASONS
from .canvas import MUTED, STAGE_COLOURS, Size, title
from .cells import Cell, names_in_pictures, shared_student
from .numbers import digits, scale
from .report import Report

_LEAST_SHOWN = 12
_MOST_PANELS = 12


def amortisation(report: Report, size: Size) -> Figure | None:
    """A panel for each cell with a teacher and a student stage; None where there is none."""
    cells = [
        (name, cell)
        for name, cell in zip(names_in_pictures(report.cells), report.cells, strict=True)
        if _teacher(cell) and _student(cell)
    ][:_MOST_PANELS]
    if not cells:
        return None
    across = 1 if size.narrow else min(2, len(cells))
    down = math.ceil(len(cells) / across)
    figure = Figure(figsize=(size.width, 1.2 + 2.3 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for axes, (name, cell) in zip(panels, cells, strict=False):
        _panel(axes, cell)
        axes.text(0.99, 0.99, name, transform=axes.transAxes, ha="right", va="top", fontsize=9.5, weight="bold")
    for axes in panels[len(cells) :]:
        axes.set_axis_off()
    _legend(figure, panels[0], size)
    fold = "\n" if size.narrow else " "
    title(
        figure,
        f"What a student costs when N{fold}share the teacher's output",
        report,
        size,
        shared_student(report.cells),
    )
    return figure


def _teacher(cell: Cell) -> float | None:
    return cell.of(lambda one: one.figures.bill.teacher_joules).mean


def _student(cell: Cell) -> float | None:
    return cell.of(lambda one: one.figures.student_joules or None).mean


def _panel(axes: Any, cell: Cell) -> None:
    teacher, student = _teacher(cell) or 0.0, _student(cell) or 0.0
    baseline = cell.of(lambda one: one.figures.baseline_student_joules).mean
    pays = baseline is not None and baseline > student
    reuses = teacher / (baseline - student) if baseline is not None and pays else None
    shown = max(_LEAST_SHOWN, math.ceil(1.6 * reuses) if reuses else 0)
    factor, unit = scale(teacher + student)
    numbers = range(1, shown + 1) if shown <= 60 else sorted({round(shown ** (k / 60)) for k in range(61)})
    costs = [(teacher / n + student) * factor for n in numbers]
    marker = "o" if shown <= 60 else ""
    axes.plot(list(numbers), costs, color=STAGE_COLOURS["teacher"], marker=marker, markersize=3, linewidth=1.3)
    axes.axhline(student * factor, color=MUTED, linewidth=0.8, linestyle=":")
    if shown > 60:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlim(0.5 if shown <= 60 else 1, shown + 0.5)
    axes.set_ylim(0, (teacher + student) * factor * 1.08)
    axes.set_xlabel("N, students that share it")
    axes.set_ylabel(f"energy a student ({unit})")
    if baseline is not None:
        axes.axhline(baseline * factor, color=STAGE_COLOURS["student"], linewidth=1.3, linestyle="--")
    _mark(axes, cell, reuses, (baseline or 0.0) * factor)


def _mark(axes: Any, cell: Cell, reuses: float | None, baseline: float) -> None:
    """N* where the curve meets the baseline, or why it never does."""
    if reuses is not None:
        axes.axvline(reuses, color=MUTED, linewidth=0.9, linestyle="-.")
        axes.scatter([reuses], [baseline], s=55, marker="D", color="black", zorder=4)
        axes.annotate(
            f"N*{'' if cell.single else ' of the means'} = {digits(reuses)}",
            (reuses, baseline),
            (6, 9),
            textcoords="offset points",
            fontsize=9.5,
        )
        return
    reason = next((one.figures.reuses.reason for one in cell.runs if one.figures.reuses.reason), None)
    if reason:
        text = f"no N*: {REASONS[reason]}".replace(": ", ":\n").replace(" or found, ", " or found,\n")
        axes.text(0.97, 0.86, text, transform=axes.transAxes, ha="right", va="top", fontsize=8, color=MUTED)


def _legend(figure: Figure, axes: Any, size: Size) -> None:
    handles = [
        axes.plot([], [], color=STAGE_COLOURS["teacher"], marker="o", markersize=3, label="E_teacher / N + E_student")[
            0
        ],
        axes.plot([], [], color=STAGE_COLOURS["student"], linestyle="--", label="student stage of the baseline")[0],
        axes.plot([], [], color=MUTED, linestyle=":", label="E_student alone")[0],
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if size.narrow else 3, frameon=False)
