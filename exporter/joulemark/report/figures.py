"""The report's pictures, each as the bytes of a PNG: stage breakdown per run, and energy against quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from ..accounting import pareto_optimal
from ..names import CANONICAL_STAGES
from .canvas import INK, MUTED, look, png, scale, short, title, with_bound
from .rows import Account

# Okabe and Ito's palette: told apart with any colour vision. One stage, one colour, everywhere.
STAGE_COLOURS = {
    "prerun": "#999999",
    "data": "#56B4E9",
    "teacher": "#D55E00",
    "student": "#0072B2",
    "eval": "#009E73",
}
_OTHER_COLOUR = "#CC79A7"
_DARK = ("teacher", "student", "eval")
_FRONTIER, _DOMINATED = STAGE_COLOURS["student"], STAGE_COLOURS["teacher"]
_SMALLEST_LABELLED_SHARE = 0.05
_SMALLEST_LABELLED_WIDTH = 0.045


def stage_breakdown(accounts: Sequence[Account]) -> bytes:
    """Stacked bars: joules of each run by stage, with each stage's share written in where there is room.

    The whisker at a bar's end is the run's uncertainty.
    """
    with look():
        figure = Figure(figsize=(9, 2.1 + 0.62 * max(1, len(accounts))), layout="constrained")
        axes = figure.subplots()
        longest = max((account.total.joules for account in accounts), default=0.0)
        factor, unit = scale(longest)
        for position, account in enumerate(accounts):
            _bar(axes, position, account, factor, longest)
            bound = account.total.uncertainty_joules or 0.0
            label = f"{with_bound(account.total.joules * factor, bound * factor)} {unit}"
            end = (account.total.joules + bound) * factor
            axes.annotate(label, (end, position), (7, 0), textcoords="offset points", va="center", fontsize=10)
        axes.set_yticks(range(len(accounts)), _names(accounts))
        axes.set_ylim(max(1, len(accounts)) - 0.5, -0.5)
        axes.set_xlim(0, 1.22 * longest * factor or 1.0)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"energy ({unit})")
        _stage_legend(figure, axes, accounts)
        title(figure, "Energy by stage", accounts)
        return png(figure)


def energy_quality(accounts: Sequence[Account]) -> bytes:
    """Energy against quality Q; frontier runs filled circles joined by a line, dominated runs hollow crosses."""
    known = [(account, account.quality) for account in accounts if account.quality is not None]
    with look():
        figure = Figure(figsize=(8, 5.2), layout="constrained")
        axes = figure.subplots()
        factor, unit = scale(max((account.total.joules for account, _ in known), default=0.0))
        axes.set_xlabel(f"energy ({unit}), less is better")
        axes.set_ylabel("quality Q (teacher = 1), more is better")
        if known:
            points = [(account.total.joules * factor, quality) for account, quality in known]
            bounds = [(account.total.uncertainty_joules or 0.0) * factor for account, _ in known]
            _points(axes, points, bounds)
            axes.margins(0.16)
            figure.legend(loc="outside lower center", ncols=2, frameon=False)
        else:
            _say_no_quality(axes)
        title(figure, "Energy against quality", accounts)
        figure.draw_without_rendering()
        if known:
            _place_labels(axes, points, _names([account for account, _ in known]))
        return png(figure)


def _bar(axes: Any, position: int, account: Account, factor: float, longest: float) -> None:
    left = 0.0
    for stage, joules in account.joules_by_stage().items():
        width = joules * factor
        colour = STAGE_COLOURS.get(stage, _OTHER_COLOUR)
        axes.barh(position, width, left=left, color=colour, edgecolor="white", linewidth=0.8, height=0.62)
        share = joules / account.total.joules if account.total.joules else 0.0
        if share >= _SMALLEST_LABELLED_SHARE and joules >= _SMALLEST_LABELLED_WIDTH * longest:
            ink = "white" if stage in _DARK else INK
            axes.text(left + width / 2, position, f"{share:.0%}", ha="center", va="center", color=ink, fontsize=10)
        left += width
    if (account.total.uncertainty_joules or 0.0) > longest / 1000:
        bound = (account.total.uncertainty_joules or 0.0) * factor
        # Below the middle, where the shares are written.
        axes.errorbar(account.total.joules * factor, position + 0.2, xerr=bound, color=INK, capsize=4, linewidth=1.2)


def _stage_legend(figure: Figure, axes: Any, accounts: Sequence[Account]) -> None:
    """The stages in the order of the pipeline, others after them under one colour."""
    present = {stage for account in accounts for stage in account.joules_by_stage()}
    stages = [stage for stage in CANONICAL_STAGES if stage in present]
    handles = [axes.barh(0, 0, color=STAGE_COLOURS[stage], label=stage) for stage in stages]
    others = sorted(present - set(CANONICAL_STAGES))
    if others:
        label = short(", ".join(others))
        handles.append(axes.barh(0, 0, color=_OTHER_COLOUR, label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)


def _points(axes: Any, points: Sequence[tuple[float, float]], bounds: Sequence[float]) -> None:
    optimal = pareto_optimal(points)
    frontier = sorted({point for point, best in zip(points, optimal, strict=True) if best})
    # Steps: between two runs on the frontier, the quality that can be had is that of the cheaper one.
    axes.step(*zip(*frontier, strict=True), where="post", color=_FRONTIER, linewidth=1, alpha=0.6, zorder=1)
    labels = {True: "frontier: nothing cheaper is as good", False: "dominated by another run"}
    for point, bound, best in zip(points, bounds, optimal, strict=True):
        colour = _FRONTIER if best else _DOMINATED
        axes.errorbar(*point, xerr=bound, color=colour, capsize=3, linewidth=1, zorder=1)
        face = colour if best else "white"
        axes.scatter(
            *point, s=95, marker="o" if best else "X", facecolor=face, edgecolor=colour, linewidth=1.4, zorder=3,
            label=labels.pop(best, None),
        )  # fmt: skip


def _say_no_quality(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    text = "No quality is known: no run has benchmark scores\nwith a reference score of the teacher."
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=MUTED, fontsize=12)


def _place_labels(axes: Any, points: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Write each name beside its point, on the first side where it covers no other name or point."""
    centres = axes.transData.transform(points)
    taken = [Bbox.from_extents(x - 9, y - 9, x + 9, y + 9) for x, y in centres]
    sides = [
        (x, y, "left" if x > 0 else "right", "bottom" if y > 0 else "top")
        for distance in (6, 16, 28)
        for x, y in ((8, distance), (8, -distance), (-8, distance), (-8, -distance))
    ]
    for number, (point, name) in enumerate(zip(points, names, strict=True)):
        others = [box for index, box in enumerate(taken) if index != number]
        for x, y, across, up in sides:
            text = axes.annotate(
                name, point, (x, y), textcoords="offset points", ha=across, va=up, fontsize=10, parse_math=False
            )
            text.set_in_layout(False)
            text.set_path_effects([withStroke(linewidth=3, foreground="white")])
            box = text.get_window_extent()
            inside = axes.figure.bbox.x0 <= box.x0 and box.x1 <= axes.figure.bbox.x1
            if (inside and not box.count_overlaps(others)) or (x, y, across, up) == sides[-1]:
                taken.append(box)
                break
            text.remove()


def _names(accounts: Sequence[Account]) -> list[str]:
    """The names of the runs, each with its origin where they differ."""
    if len({account.origin for account in accounts}) == 1:
        return [short(account.run) for account in accounts]
    return [f"{short(account.run)}\n({account.origin})" for account in accounts]
