"""CO2e and cost of each cell: derived from its energy with the factors that were given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from ..accounting import ONE_OFF
from . import derived
from .canvas import STAGE_COLOURS, Size, title
from .cells import Cell, names_in_pictures, shared_student
from .numbers import digits
from .report import Report


def footprint(report: Report, size: Size) -> Figure | None:
    """Bars of one-off CO2e and cost; None where no factor was given or no cell has one-off energy."""
    factors = report.factors
    sides: list[tuple[str, Callable[[float | None], float | None], str]] = []
    if factors.grid is not None:
        scale, unit = _mass_unit(report)
        sides.append(
            (f"CO2e ({unit})", lambda joules: _times(derived.co2e_grams(factors, joules), scale), STAGE_COLOURS["eval"])
        )
    if factors.price_per_kwh is not None:
        sides.append(
            (f"cost ({factors.currency})", lambda joules: derived.cost(factors, joules), STAGE_COLOURS["data"])
        )
    cells = [cell for cell in report.cells if cell.energy(ONE_OFF).mean is not None]
    if not sides or not cells:
        return None
    down, across = (len(sides), 1) if size.narrow else (1, len(sides))
    height = (1.0 + (0.62 if size.narrow else 0.42) * len(cells)) * down + 0.9
    figure = Figure(figsize=(size.width, height), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharey=not size.narrow).flatten()
    for axes, (label, derive, colour) in zip(panels, sides, strict=True):
        _bars(axes, cells, derive, colour)
        axes.set_xlabel(label)
    names = names_in_pictures(cells)
    for axes in panels if size.narrow else panels[:1]:
        axes.set_yticks(range(len(cells)), names)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(cells) - 0.5, -0.5)
    fold = "\n" if size.narrow else " "
    title(figure, f"CO2e and cost, one-off{fold}(derived, not measured)", report, size, shared_student(cells))
    figure.supxlabel(_wrapped(derived.told(factors), size), fontsize=8.5)
    return figure


def _bars(axes: Any, cells: list[Cell], derive: Callable[[float | None], float | None], colour: str) -> None:
    values = [derive(cell.energy(ONE_OFF).mean) or 0.0 for cell in cells]
    axes.barh(range(len(cells)), values, color=colour, height=0.6)
    axes.set_xlim(0, 1.3 * max(values, default=1.0) or 1.0)
    axes.locator_params(axis="x", nbins=5)
    axes.ticklabel_format(axis="x", scilimits=(-3, 5))
    for position, value in enumerate(values):
        axes.annotate(digits(value), (value, position), (4, 0), textcoords="offset points", va="center", fontsize=9)


def _mass_unit(report: Report) -> tuple[float, str]:
    """Factor and unit in which the largest CO2e reads well: mg, g or kg."""
    grams = max(
        (derived.co2e_grams(report.factors, cell.energy(ONE_OFF).mean) or 0.0 for cell in report.cells), default=0
    )
    return (1e-3, "kg") if grams >= 1e3 else (1.0, "g") if grams >= 1 else (1e3, "mg")


def _times(grams: float | None, factor: float) -> float | None:
    return None if grams is None else grams * factor


def _wrapped(text: str, size: Size) -> str:
    return text.replace("; ", "\n") if size.narrow else text
