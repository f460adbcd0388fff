"""A table as a plain picture: the texts that Grafana would write, and the colours of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafana_code import Drawn, Field, Frame
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

INK, MUTED = "#d8d9da", "#8e8e99"
_LINE, _ROW = "#2c3235", 25.0
_PIXELS_PER_LETTER = 6.3


def table(axes: Axes, panel: dict[str, Any], frames: Sequence[Frame], drawn: Drawn, size: tuple[float, float]) -> None:
    """Headings and as many rows as fit; what does not fit is counted."""
    axes.axis("off")
    width, tall = size
    axes.set_xlim(0, width)
    axes.set_ylim(tall, 0)
    frame = frames[0]
    edges = _edges(frame.fields, width)
    fitting = int((tall - _ROW) // _ROW)
    for field, (left, wide) in zip(frame.fields, edges, strict=True):
        _cell(axes, left, 0, wide, field.title, field.type == "number", INK, bold=True)
        for row in range(min(frame.length, fitting)):
            y = _ROW * (row + 1)
            axes.plot([9, width - 9], [y, y], color=_LINE, lw=0.5)
            _value(axes, field, row, left, y, wide)
    if frame.length > fitting:
        axes.text(
            width - 12,
            tall - 8,
            f"{frame.length - fitting} more rows",
            ha="right",
            va="center",
            color=MUTED,
            fontsize=7,
        )


def _edges(fields: Sequence[Field], width: float) -> list[tuple[float, float]]:
    """Left and width of each column: as configured, and the rest in equal parts."""
    fixed = [field.config["custom"].get("width") for field in fields]
    least = [field.config["custom"].get("minWidth", 0) for field in fields]
    free = max(width - 18 - sum(one or 0 for one in fixed), 0)
    parts = max(1, fixed.count(None))
    wide = [one if one else max(free / parts, low) for one, low in zip(fixed, least, strict=True)]
    scale = min(1.0, (width - 18) / sum(wide))
    edges, left = [], 9.0
    for one in wide:
        edges.append((left, one * scale))
        left += one * scale
    return edges


def _value(axes: Axes, field: Field, row: int, left: float, y: float, wide: float) -> None:
    cell = field.config["custom"].get("cellOptions", {}).get("type")
    colour = field.colours[row] if field.config.get("mapped") else None
    if cell == "color-background" and colour:
        axes.add_patch(Rectangle((left + 1, y + 3), wide - 6, _ROW - 6, facecolor=colour, linewidth=0))
        _cell(axes, left, y, wide, field.texts[row], False, "#111217")
    elif cell == "gauge" and isinstance(field.values[row], int | float):
        axes.add_patch(Rectangle((left + 4, y + 8), (wide - 60) * field.values[row], _ROW - 16, facecolor="#009E73"))
        _cell(axes, left, y, wide, field.texts[row], True, INK)
    else:
        _cell(axes, left, y, wide, field.texts[row], field.type == "number", INK)


def _cell(
    axes: Axes, left: float, y: float, wide: float, text: str, is_number: bool, colour: str, *, bold: bool = False
) -> None:
    letters = max(2, int(wide / _PIXELS_PER_LETTER))
    shown = text if len(text) <= letters else text[: letters - 1] + "…"
    x = left + wide - 9 if is_number else left + 4
    axes.text(
        x, y + _ROW / 2, shown, ha="right" if is_number else "left", va="center", color=colour, fontsize=7.4,
        weight="bold" if bold else "normal",
    )  # fmt: skip
