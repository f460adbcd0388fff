"""What the pictures share: look, palette, how cells and origins are shown, and the files they become."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..names import CANONICAL_STAGES
from .notes import MARKS
from .numbers import short
from .report import Report

INK = "#222222"
MUTED = "#666666"
WARNING = "#B00020"
# Okabe and Ito's palette: told apart with any colour vision. One stage, one colour and one hatch, everywhere.
STAGE_COLOURS = {
    "prerun": "#999999",
    "data": "#56B4E9",
    "teacher": "#D55E00",
    "student": "#0072B2",
    "eval": "#009E73",
}
STAGE_HATCHES = {"prerun": "..", "data": "xx", "teacher": "//", "student": "", "eval": "\\\\"}
OTHER_COLOUR, OTHER_HATCH = "#CC79A7", "++"
FORMATS = ("png", "svg", "pdf")
_DPI = 200
_TITLE_POINTS = 12
_NOTICE_POINTS = 8.5
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,
    "hatch.linewidth": 0.6,
    # Letters stay letters in PDF, and the same data is the same SVG.
    "pdf.fonttype": 42,
    "svg.hashsalt": "joulemark",
}
# Neither version nor time: the same data must give the same file.
_METADATA: dict[str, Any] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Size:
    """The width of a picture in inches: a page's for print and desktop, a phone's with fewer things side by side."""

    width: float
    narrow: bool


WIDE = Size(7.2, narrow=False)
NARROW = Size(3.9, narrow=True)
Drawing = Callable[[Report, Size], "Figure | None"]


@contextmanager
def look() -> Iterator[None]:
    """The pictures' own style, whatever the user's matplotlib is set to."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def drawn(draw: Drawing, report: Report, size: Size, formats: Sequence[str]) -> dict[str, bytes]:
    """The picture in each format, the same bytes for the same data; nothing where there is nothing to draw."""
    with look():
        figure = draw(report, size)
        return {} if figure is None else {name: _saved(figure, name) for name in formats}


def _saved(figure: Figure, format_: str) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format=format_, dpi=_DPI, metadata=_METADATA[format_])
    return out.getvalue()


def stage_style(stage: str) -> tuple[str, str]:
    """Colour and hatch of a stage; stages of one's own share one pair."""
    return STAGE_COLOURS.get(stage, OTHER_COLOUR), STAGE_HATCHES.get(stage, OTHER_HATCH)


def stage_legend(
    figure: Figure, stages: Sequence[str], columns: int, beside: Mapping[str, tuple[str, str, str]]
) -> None:
    """The stages in the order of the pipeline, others after them as one; then what else is drawn: face, edge, hatch."""
    known = [stage for stage in CANONICAL_STAGES if stage in stages]
    others = sorted(set(stages) - set(CANONICAL_STAGES))
    labelled = [(stage, stage) for stage in known] + ([(others[0], short(", ".join(others)))] if others else [])
    handles = [
        Patch(facecolor=stage_style(stage)[0], edgecolor="white", hatch=stage_style(stage)[1], label=label)
        for stage, label in labelled
    ] + [
        Patch(facecolor=face, edgecolor=edge, hatch=hatch, label=label) for label, (face, edge, hatch) in beside.items()
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=9, columnspacing=1.6
    )


def title(figure: Figure, text: str, report: Report, size: Size, student: str = "") -> None:
    """The title; below it the student that all cells share, and in words what was not measured: behind the data too,
    where nothing was."""
    origins = sorted({account.origin for account in report.accounts if account.origin in MARKS})
    notices = [MARKS[origin].replace(": ", ":\n") if size.narrow else MARKS[origin] for origin in origins]
    shared = f"student: {student}\n" if student else ""
    lines = sum(notice.count("\n") + 1 for notice in notices) + shared.count("\n")
    # The empty lines keep the place of what is written there smaller and in another colour.
    figure.suptitle(text + "\n" * lines, x=0.01, ha="left", fontweight="bold", fontsize=_TITLE_POINTS)
    below = 0.98 - (text.count("\n") + 1) * 1.25 * _TITLE_POINTS / 72 / figure.get_figheight()
    if shared:
        figure.text(0.01, below, shared.strip(), va="top", fontsize=_NOTICE_POINTS, color=MUTED)
        below -= 1.3 * _NOTICE_POINTS / 72 / figure.get_figheight()
    figure.text(0.01, below, "\n".join(notices), va="top", fontsize=_NOTICE_POINTS, color=WARNING, fontweight="bold")
    if origins and all(account.origin in MARKS for account in report.accounts):
        _watermark(figure, " + ".join(origin.upper() for origin in origins), size)


def _watermark(figure: Figure, text: str, size: Size) -> None:
    """Below the data, so that it changes no stage's colour."""
    figure.text(
        0.5, 0.5, text, ha="center", va="center", fontsize=30 if size.narrow else 50, rotation=18,
        color=WARNING, alpha=0.12, fontweight="bold", zorder=-1,
    )  # fmt: skip
    for axes in figure.axes:
        axes.patch.set_visible(False)
