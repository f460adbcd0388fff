"""What the pictures share: fixed look, units that fit, how names and origins are shown."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from ..accounting import JOULES_PER_KWH
from .notes import MARKS
from .rows import Account

INK = "#222222"
MUTED = "#666666"
WARNING = "#B00020"
_DPI = 150
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
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
}
# matplotlib writes its version otherwise: the same data must give the same file.
_METADATA = {"Software": None}
_NAME_CHARACTERS = 28


@contextmanager
def look() -> Iterator[None]:
    """The pictures' own style, whatever the user's matplotlib is set to."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def png(figure: Figure) -> bytes:
    """The picture as a PNG, the same bytes for the same data."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, metadata=_METADATA)
    return out.getvalue()


def scale(joules: float) -> tuple[float, str]:
    """Factor and unit in which so many joules read well: J, kJ, or kWh from 0.1 kWh on."""
    if joules >= 0.1 * JOULES_PER_KWH:
        return 1 / JOULES_PER_KWH, "kWh"
    return (1e-3, "kJ") if joules >= 1e3 else (1.0, "J")


def with_bound(value: float, bound: float) -> str:
    """`x ± y` with three significant digits of the value and at least one of the bound; `x` alone without a bound."""
    digits = _digits(value, 3)
    if bound <= 0:
        return f"{value:,.{digits}f}"
    digits = max(digits, _digits(bound, 1))
    return f"{value:,.{digits}f} ± {bound:,.{digits}f}"


def _digits(value: float, significant: int) -> int:
    """Decimal places that show so many significant digits."""
    return 0 if value <= 0 else max(0, significant - 1 - math.floor(math.log10(value)))


def short(name: str) -> str:
    """A name that fits beside an axis: a long one keeps its beginning and its end."""
    keep = (_NAME_CHARACTERS - 1) // 2
    return name if len(name) <= _NAME_CHARACTERS else f"{name[:keep]}…{name[-keep:]}"


def title(figure: Figure, text: str, accounts: Sequence[Account]) -> None:
    """The title; below it in words what was not measured, and behind the data where nothing was."""
    origins = sorted({account.origin for account in accounts if account.origin in MARKS})
    figure.suptitle(text, x=0.01, ha="left", fontweight="bold", fontsize=13)
    if not origins:
        return
    notice = "\n".join(MARKS[origin] for origin in origins)
    figure.axes[0].set_title(notice, loc="left", fontsize=10, color=WARNING, fontweight="bold")
    if not all(account.origin in MARKS for account in accounts):
        return
    watermark = " + ".join(origin.upper() for origin in origins)
    # Below the data, so that it changes no stage's colour.
    figure.axes[0].text(
        0.5, 0.5, watermark, ha="center", va="center", fontsize=44, rotation=18, color=WARNING, alpha=0.13,
        fontweight="bold", zorder=0, transform=figure.axes[0].transAxes,
    )  # fmt: skip
