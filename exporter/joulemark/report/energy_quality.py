"""Energy against quality: the frontier, and the cells that another one beats, told apart by shape as well as colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from ..accounting import AMORTIZED, AS_RUN, ONE_OFF
from .canvas import STAGE_COLOURS, Size, title
from .cells import Cell, names_in_pictures, optimal_cells, shared_student
from .numbers import scale
from .report import Report

_FRONTIER, _DOMINATED = STAGE_COLOURS["student"], STAGE_COLOURS["teacher"]
_NAMES = {
    AS_RUN: "as run",
    ONE_OFF: "one-off: each run pays its teacher in full",
    AMORTIZED: "amortized: runs share the teacher's cost",
}


class _Point(NamedTuple):
    energy: float
    quality: float
    energy_error: float
    quality_error: float
    name: str
    best: bool


def energy_quality(report: Report, size: Size) -> Figure | None:
    """One panel by accounting that differs from the one before; None where no cell has both energy and Q."""
    accountings = [name for name in (ONE_OFF, AMORTIZED) if optimal_cells(report.cells, name)]
    if len(accountings) == 2 and _energies(report, ONE_OFF) == _energies(report, AMORTIZED):
        accountings = accountings[:1]
    if not accountings and optimal_cells(report.cells, AS_RUN):
        accountings = [AS_RUN]
    if not accountings:
        return None
    down = len(accountings) if size.narrow else 1
    across = 1 if size.narrow else len(accountings)
    figure = Figure(figsize=(size.width, 1.4 + 3.1 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharey=True).flatten()
    factor, unit = scale(max(max(_energies(report, name).values()) for name in accountings))
    drawn = [_points(report, name, factor) for name in accountings]
    for number, (axes, accounting, points) in enumerate(zip(panels, accountings, drawn, strict=True)):
        _draw(axes, points)
        axes.set_xlabel(f"energy ({unit}), less is better\n{_NAMES[accounting]}")
        axes.margins(0.2 if size.narrow else 0.16)
        if number == 0 or size.narrow:
            axes.set_ylabel("quality Q (teacher = 1)")
    _legend(figure, list(panels), drawn, size)
    title(figure, "Energy against quality", report, size, shared_student(report.cells))
    figure.draw_without_rendering()
    for axes, points in zip(panels, drawn, strict=True):
        _place_labels(axes, points)
    return figure


def _energies(report: Report, accounting: str) -> dict[int, float]:
    places = optimal_cells(report.cells, accounting)
    return {index: report.cells[index].energy(accounting).mean or 0.0 for index in sorted(places)}


def _points(report: Report, accounting: str, factor: float) -> list[_Point]:
    cells, best = report.cells, optimal_cells(report.cells, accounting)
    names = names_in_pictures(cells)
    return [_point(cells[index], names[index], accounting, factor, best[index]) for index in sorted(best)]


def _point(cell: Cell, name: str, accounting: str, factor: float, best: bool) -> _Point:
    energy, quality = cell.energy(accounting), cell.quality()
    assert energy.mean is not None
    assert quality.mean is not None
    error = (cell.error(accounting) or 0.0) * factor
    return _Point(energy.mean * factor, quality.mean, error, quality.deviation or 0.0, name, best)


def _draw(axes: Any, points: Sequence[_Point]) -> None:
    frontier = sorted({(point.energy, point.quality) for point in points if point.best})
    # Steps: between two cells on the frontier, the quality that can be had is that of the cheaper one.
    axes.step(*zip(*frontier, strict=True), where="post", color=_FRONTIER, linewidth=1, alpha=0.6, zorder=1)
    for point in points:
        colour = _FRONTIER if point.best else _DOMINATED
        at = (point.energy, point.quality)
        axes.errorbar(
            *at, xerr=point.energy_error, yerr=point.quality_error, color=colour, capsize=3, linewidth=1, zorder=2
        )
        axes.scatter(
            *at, s=70, marker="o" if point.best else "X", facecolor=colour if point.best else "white", edgecolor=colour,
            linewidth=1.3, zorder=3,
        )  # fmt: skip


def _legend(figure: Figure, panels: Sequence[Any], drawn: Sequence[Sequence[_Point]], size: Size) -> None:
    shown = [("o", _FRONTIER, _FRONTIER, "frontier: nothing cheaper is as good")]
    if any(not point.best for points in drawn for point in points):
        shown.append(("X", "white", _DOMINATED, "dominated by another run"))
    handles = [
        panels[0].scatter([], [], s=70, marker=marker, facecolor=face, edgecolor=edge, linewidth=1.3, label=label)
        for marker, face, edge, label in shown
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if size.narrow else 2, frameon=False)


def _place_labels(axes: Any, points: Sequence[_Point]) -> None:
    """Write each name beside its point, on the first side where it covers no other name or point."""
    centres = axes.transData.transform([(point.energy, point.quality) for point in points])
    taken = [Bbox.from_extents(x - 9, y - 9, x + 9, y + 9) for x, y in centres]
    sides = [
        (x, y, "left" if x > 0 else "right", "bottom" if y > 0 else "top")
        for distance in (6, 16, 28)
        for x, y in ((8, distance), (8, -distance), (-8, distance), (-8, -distance))
    ]
    frame = axes.get_window_extent()
    for number, point in enumerate(points):
        others = [box for index, box in enumerate(taken) if index != number]
        for x, y, across, up in sides:
            text = axes.annotate(
                point.name, (point.energy, point.quality), (x, y), textcoords="offset points", ha=across, va=up,
                fontsize=9, parse_math=False,
            )  # fmt: skip
            text.set_in_layout(False)
            text.set_path_effects([withStroke(linewidth=3, foreground="white")])
            box = text.get_window_extent()
            inside = frame.x0 - 8 <= box.x0 and box.x1 <= frame.x1 + 8
            if (inside and not box.count_overlaps(others)) or (x, y, across, up) == sides[-1]:
                taken.append(box)
                break
            text.remove()
