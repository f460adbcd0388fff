"""Pictures as matplotlib's own objects, to look at what is drawn."""

from __future__ import annotations

from typing import Any

import pytest
from report.samples import published, report_of

from joulemark.report import Report
from joulemark.report.canvas import NARROW, WIDE, Drawing, Size, look

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])


def figure(draw: Drawing, report: Report, size: Size = WIDE) -> Any:
    # Any: what artists hold is looked at in ways that matplotlib's types do not know.
    with look():
        made = draw(report, size)
        assert made is not None
        made.draw_without_rendering()
        return made


def texts(made: Any) -> list[str]:
    return [
        text.get_text() for text in made.findobj(match=lambda artist: hasattr(artist, "get_text")) if text.get_text()
    ]


def paper_cells() -> Report:
    runs = ("sft-1b", "sft-13b", "kd-1b", "kd-13b")
    return report_of({run: published(run) for run in runs})
