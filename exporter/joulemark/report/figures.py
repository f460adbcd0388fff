"""The report's pictures: stage breakdown per run, and energy against quality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..accounting import JOULES_PER_KWH, pareto_optimal
from .rows import Account
from .table import MARKS

# Okabe and Ito's palette: told apart with any colour vision. One stage, one colour, everywhere.
STAGE_COLOURS = {
    "prerun": "#999999",
    "data": "#56B4E9",
    "teacher": "#D55E00",
    "student": "#0072B2",
    "eval": "#009E73",
}
_OTHER_COLOUR = "#CC79A7"
_STYLE: Any = {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "joulemark"}
# matplotlib writes its version and the date otherwise: the same data must give the same file.
_METADATA = {"Software": None}


def stage_breakdown(accounts: Sequence[Account], path: Path) -> None:
    """Stacked bars: joules of each run by stage, with each stage's share written in where there is room."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 1.9 + 0.75 * len(accounts)), layout="constrained")
        axes = figure.subplots()
        scale, unit = _scale(max((account.total.joules for account in accounts), default=0.0))
        for position, account in enumerate(accounts):
            _bar(axes, position, account, scale, unit)
        axes.set_yticks(range(len(accounts)), [account.run for account in accounts])
        axes.invert_yaxis()
        axes.set_xlabel(f"energy ({unit})")
        axes.set_title("Energy by stage", loc="left", fontweight="bold")
        stages = {stage for account in accounts for stage in account.joules_by_stage()}
        handles = [Patch(color=_colour(stage), label=stage) for stage in sorted(stages, key=_order)]
        figure.legend(handles=handles, ncols=6, loc="outside lower left", frameon=False)
        _mark(figure, accounts)
        figure.savefig(path, dpi=150, metadata=_METADATA)


def energy_quality(accounts: Sequence[Account], path: Path) -> None:
    """Energy against quality Q; the frontier filled and joined, dominated runs hollow."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7, 5), layout="constrained")
        axes = figure.subplots()
        known = [(account, account.quality) for account in accounts if account.quality is not None]
        scale, unit = _scale(max((account.total.joules for account, _ in known), default=0.0))
        points = [(account.total.joules * scale, quality) for account, quality in known]
        optimal = pareto_optimal(points)
        frontier = sorted(point for point, best in zip(points, optimal, strict=True) if best)
        axes.plot(*zip(*frontier, strict=True), color="#0072B2", linewidth=1, zorder=1) if frontier else None
        for (account, _), point, best in zip(known, points, optimal, strict=True):
            face = "#0072B2" if best else "none"
            edge = "#0072B2" if best else "#D55E00"
            axes.scatter(*point, s=90, marker="o" if best else "X", facecolor=face, edgecolor=edge, zorder=2)
            axes.annotate(account.run, point, xytext=(8, 6), textcoords="offset points")
        if not known:
            axes.text(0.5, 0.5, "no run has scores with a reference yet", ha="center", transform=axes.transAxes)
        axes.margins(0.2)
        axes.set_xlabel(f"energy ({unit})")
        axes.set_ylabel("quality Q (teacher = 1)")
        axes.set_title("Energy against quality (● frontier, ✕ dominated)", loc="left", fontweight="bold")
        _mark(figure, accounts)
        figure.savefig(path, dpi=150, metadata=_METADATA)


def _bar(axes: Any, position: int, account: Account, scale: float, unit: str) -> None:
    left = 0.0
    for stage, joules in account.joules_by_stage().items():
        width = joules * scale
        colour = _colour(stage)
        axes.barh(position, width, left=left, color=colour, height=0.62)
        share = joules / account.total.joules if account.total.joules else 0.0
        if share >= 0.06:
            axes.text(left + width / 2, position, f"{share:.0%}", ha="center", va="center", color="white", fontsize=10)
        left += width
    total = account.total
    label = f"  {_figure(total.joules * scale)} ± {_figure(total.uncertainty_joules * scale)} {unit}"
    axes.text(left, position, label, va="center", fontsize=10)
    axes.margins(x=0.16)


def _mark(figure: Figure, accounts: Sequence[Account]) -> None:
    """Say in the picture itself what was not measured."""
    origins = sorted({account.origin for account in accounts if account.origin in MARKS})
    if origins:
        text = "; ".join(MARKS[origin] for origin in origins)
        figure.suptitle(text, x=0.99, ha="right", fontsize=9, color="#B00020")


def _colour(stage: str) -> str:
    return STAGE_COLOURS.get(stage, _OTHER_COLOUR)


def _order(stage: str) -> tuple[int, str]:
    """The canonical stages in their own order, others after them."""
    known = list(STAGE_COLOURS)
    return (known.index(stage) if stage in known else len(known), stage)


def _figure(value: float) -> str:
    """Enough digits to tell runs apart, no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _scale(joules: float) -> tuple[float, str]:
    if joules >= 0.1 * JOULES_PER_KWH:
        return 1 / JOULES_PER_KWH, "kWh"
    return (1e-3, "kJ") if joules >= 1e4 else (1.0, "J")
