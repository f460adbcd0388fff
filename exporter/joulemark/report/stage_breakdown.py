"""Stacked bars: joules of each cell by stage, with each stage's share written in where there is room.

A run that used what another run's teacher made is drawn with that teacher in full, as it would have cost alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from ..accounting import AS_RUN, ONE_OFF, Spread
from .canvas import INK, Size, stage_legend, stage_style, title
from .cells import Cell, names_in_pictures, shared_student
from .numbers import scale, with_bound
from .report import Report

_SMALLEST_LABELLED_SHARE = 0.05
_SMALLEST_LABELLED_WIDTH = {False: 0.055, True: 0.13}
# Drawn open, so that it is not taken for what the run itself burnt.
_BORROWED = "another run's teacher"


@dataclass(frozen=True)
class _Part:
    """A piece of a bar: a stage's mean joules over the cell's runs, or those of another run's teacher."""

    joules: float
    face: str
    edge: str
    hatch: str


def stage_breakdown(report: Report, size: Size) -> Figure | None:
    """The picture; whiskers are the deviation between repeats, of a single run its bound. None without a joule."""
    cells = [cell for cell in report.cells if cell.energy(AS_RUN).mean]
    if not cells:
        return None
    rise = 0.85 if size.narrow else 0.5
    figure = Figure(figsize=(size.width, 1.9 + rise * len(cells)), layout="constrained")
    axes = figure.subplots()
    names = names_in_pictures(cells)
    longest = max(_total(cell)[0].mean or 0.0 for cell in cells)
    furthest = max(_end_joules(cell) for cell in cells)
    factor, unit = scale(longest)
    for position, (name, cell) in enumerate(zip(names, cells, strict=True)):
        _bar(axes, position, cell, factor, longest, size)
        _label(axes, position, cell, factor, unit, size)
        if size.narrow:
            axes.text(0, position - 0.36, name, va="bottom", ha="left", fontsize=9)
    axes.set_yticks(range(len(cells)), [""] * len(cells) if size.narrow else names)
    axes.set_ylim(len(cells) - 0.5, -0.75 if size.narrow else -0.5)
    axes.set_xlim(0, (1.5 if size.narrow else 1.25) * furthest * factor)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"energy ({unit})")
    stages = list(dict.fromkeys(stage for cell in cells for stage in cell.stages()))
    borrowed = {_BORROWED: _borrowed_style()} if any(map(_borrowed, cells)) else {}
    columns = (2 if borrowed else 3) if size.narrow else 6
    stage_legend(figure, stages, columns, borrowed)
    title(figure, "Energy by stage", report, size, shared_student(cells))
    return figure


def _borrowed(cell: Cell) -> float:
    """Mean joules of other runs' teachers in a cell; 0 without any, or where one of them is not known."""
    whole, burnt = cell.energy(ONE_OFF), cell.energy(AS_RUN)
    if whole.n < len(cell.runs):
        return 0.0
    return (whole.mean or 0.0) - (burnt.mean or 0.0)


def _total(cell: Cell) -> tuple[Spread, float | None]:
    """Joules of its whole bar, and what is drawn and written after ±."""
    accounting = ONE_OFF if _borrowed(cell) else AS_RUN
    return cell.energy(accounting), cell.error(accounting)


def _borrowed_style() -> tuple[str, str, str]:
    colour, hatch = stage_style("teacher")
    return "white", colour, hatch


def _parts(cell: Cell) -> list[_Part]:
    """The pieces of its bar in order, another run's teacher before the student."""
    found: list[_Part] = []
    missing = [_Part(joules, *_borrowed_style())] if (joules := _borrowed(cell)) else []
    for stage in cell.stages():
        # A stage that only some repeats have counts with its mean over all of them: so the bar ends at the mean.
        joules = sum(account.joules_by_stage().get(stage, 0.0) for account in cell.runs) / len(cell.runs)
        colour, hatch = stage_style(stage)
        if stage == "student":
            found, missing = [*found, *missing], []
        found.append(_Part(joules, colour, "white", hatch))
    return [*found, *missing]


def _bar(axes: Any, position: int, cell: Cell, factor: float, longest: float, size: Size) -> None:
    left, (total, error) = 0.0, _total(cell)
    look = {"height": 0.5 if size.narrow else 0.62, "linewidth": 0.8}
    for part in _parts(cell):
        width = part.joules * factor
        axes.barh(position, width, left=left, color=part.face, hatch=part.hatch, edgecolor=part.edge, **look)
        share = part.joules / total.mean if total.mean else 0.0
        if share >= _SMALLEST_LABELLED_SHARE and part.joules >= _SMALLEST_LABELLED_WIDTH[size.narrow] * longest:
            box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
            middle = left + width / 2
            axes.text(middle, position, f"{share:.0%}", ha="center", va="center", fontsize=8.5, color=INK, bbox=box)
        left += width
    if error and error > longest / 1000:
        # Below the middle, where the shares are written.
        axes.errorbar(left, position + 0.2, xerr=error * factor, color=INK, capsize=3, linewidth=1.1)


def _end_joules(cell: Cell) -> float:
    """Where the bar ends, its whisker included."""
    total, error = _total(cell)
    return (total.mean or 0.0) + (error or 0.0)


def _label(axes: Any, position: int, cell: Cell, factor: float, unit: str, size: Size) -> None:
    """The figure at the bar's end, after its whisker."""
    total, error = _total(cell)
    assert total.mean is not None
    text = f"{with_bound(total.mean * factor, error * factor if error else None)} {unit}"
    if not cell.single:
        text += f" ({len(cell.runs)} runs)"
    end = (_end_joules(cell) * factor, position)
    axes.annotate(text, end, (5, 0), textcoords="offset points", va="center", fontsize=8.5 if size.narrow else 9.5)
