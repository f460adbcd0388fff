"""Every picture of a report, in every format; needs the [report] extra."""

from __future__ import annotations

from collections.abc import Sequence

from .amortisation import amortisation
from .canvas import FORMATS, NARROW, WIDE, Drawing, drawn
from .energy_quality import energy_quality
from .footprint import footprint
from .power_over_time import power_over_time
from .report import Report
from .stage_breakdown import stage_breakdown

DRAWINGS: dict[str, Drawing] = {
    "stage_breakdown": stage_breakdown,
    "energy_quality": energy_quality,
    "amortisation": amortisation,
    "power_over_time": power_over_time,
    "footprint": footprint,
}
CAPTIONS = {
    "stage_breakdown": "Energy by stage. A run that used what another run's teacher made is shown with that teacher "
    "in full (open hatch), as it would have cost alone. The share is written in; ± and the whisker are the deviation "
    "between repeats, of a single run the bound from ticks and gaps.",
    "energy_quality": "Energy against quality Q. Circles are on the frontier; a cross is beaten by another "
    "in energy without being better in quality, or in quality without using less. Bars are as in the breakdown.",
    "amortisation": "Teacher energy over N plus the student's own, against the student stage of the baseline. "
    "From N* students on, sharing the teacher's output costs less.",
    "power_over_time": "Mean power as Prometheus scraped it, all devices of a run together, by stage.",
    "footprint": "Derived from one-off energy; not measured.",
}


def picture_files(report: Report, formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """The pictures by file name, those without anything to show left out."""
    return {
        f"{name}.{format_}": content
        for name, draw in DRAWINGS.items()
        for format_, content in drawn(draw, report, WIDE, formats).items()
    }


def page_pictures(report: Report) -> dict[str, tuple[bytes, bytes]]:
    """The pictures for the page as SVG, by name: for a wide window, and for a phone."""
    pairs = {}
    for name, draw in DRAWINGS.items():
        wide, narrow = drawn(draw, report, WIDE, ("svg",)), drawn(draw, report, NARROW, ("svg",))
        if wide and narrow:
            pairs[name] = (wide["svg"], narrow["svg"])
    return pairs
