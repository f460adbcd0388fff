"""A board as one picture: Grafana's grid of 24 columns, rows of one height, a frame and a title for each panel."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import matplotlib as mpl
from grafana_code import Drawn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from .pictures import DRAW, INK, MUTED

ROW, GAP, HEAD, DPI = 38, 8, 78, 100
PAPER, PANEL, EDGE = "#111217", "#181b1f", "#2c3235"
TITLE_HEIGHT = 26


def draw_board(board: dict[str, Any], drawn: Drawn, note: str, path: Path, width: int = 1280) -> None:
    """Write a board's picture, so many pixels wide, with a note on what it was fed with."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 8, "text.color": INK, "axes.labelcolor": INK})
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    height = HEAD + rows * ROW + GAP
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
    _head(figure, board, note, height)
    for panel in board["panels"]:
        _panel(figure, panel, drawn, height)
    figure.savefig(path, facecolor=PAPER)
    # A palette keeps the file small; the pictures have few colours.
    Image.open(path).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)


def _head(figure: Figure, board: dict[str, Any], note: str, height: int) -> None:
    names = [_variable(variable) for variable in board["templating"]["list"]]
    links = "   ".join(f"↗ {link['title']}" for link in board["links"])
    _text(figure, 12, height - 18, board["title"], height, size=12, weight="bold")
    _text(figure, _width(figure) - 12, height - 18, links, height, ha="right", color=MUTED)
    _text(figure, 12, height - 39, "   ".join(names), height, size=7.5)
    _text(
        figure, 12, height - 58, f"Preview by the project's proofing tool, not by Grafana. {note}", height, color=MUTED
    )


def _variable(variable: dict[str, Any]) -> str:
    current = variable.get("current", {}).get("text", "")
    shown = current[0] if isinstance(current, list) else current
    return f"{variable.get('label', variable['name'])}: {str(shown).split(':')[0] or 'default'}"


def _panel(figure: Figure, panel: dict[str, Any], drawn: Drawn, height: int) -> None:
    whole = _width(figure)
    at, unit = panel["gridPos"], (whole - GAP) / 24
    left, width = GAP + at["x"] * unit, at["w"] * unit - GAP
    top = height - HEAD - at["y"] * ROW
    tall = at["h"] * ROW - GAP
    figure.add_artist(
        FancyBboxPatch(
            (left / whole, (top - tall) / height),
            width / whole,
            tall / height,
            boxstyle="square,pad=0",
            facecolor=PANEL,
            edgecolor=EDGE,
            linewidth=0.8,
            zorder=-1,
        )
    )
    title = textwrap.shorten(panel["title"], int(width / 6.0), placeholder="…")
    _text(figure, left + 9, top - 14, title, height, size=8.2, weight="bold")
    axes = figure.add_axes((left / whole, (top - tall) / height, width / whole, (tall - TITLE_HEIGHT) / height))
    axes.set_facecolor(PANEL)
    _fill(axes, panel, drawn, width, tall - TITLE_HEIGHT)


def _fill(axes: Axes, panel: dict[str, Any], drawn: Drawn, width: float, tall: float) -> None:
    frames = [frame for frame in drawn.frames[panel["title"]] if frame.length]
    if not frames:
        axes.axis("off")
        words = textwrap.fill(panel["fieldConfig"]["defaults"]["noValue"], max(18, int(width / 6.6)))
        axes.text(0.5, 0.5, words, ha="center", va="center", color=MUTED, transform=axes.transAxes)
        return
    DRAW[panel["type"]](axes, panel, frames, drawn, (width, tall))


def _text(figure: Figure, x: float, y: float, text: str, height: int, *, size: float = 8, **style: Any) -> None:
    figure.text(x / _width(figure), y / height, text, fontsize=size, va="center", **style)


def _width(figure: Figure) -> float:
    return float(figure.get_figwidth()) * DPI
