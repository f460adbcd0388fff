"""The report as a page that opens from disk: tables, pictures, and how the figures came about."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from .files import ReportError
from .notes import caveats, headlines, marks
from .rows import Account

_CAPTIONS = {
    "stage_breakdown.png": "Energy of each run by stage. The share of the run is written in; ± and the whisker are "
    "the bound from ticks and gaps.",
    "energy_quality.png": "Energy of each run against its quality Q. Circles are on the frontier; a cross is a run "
    "that another one beats in energy without being worse in quality, or in quality without using more energy.",
}


def page_files(accounts: Sequence[Account]) -> dict[str, bytes]:
    """index.html and its pictures, by file name; raises ReportError without the [report] extra."""
    try:
        import jinja2

        from . import figures
    except ImportError as error:
        raise ReportError(f"{error.name} is not installed: pip install 'joulemark[report]'") from error
    pictures = {
        "stage_breakdown.png": figures.stage_breakdown(accounts),
        "energy_quality.png": figures.energy_quality(accounts),
    }
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("joulemark.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"joules": _joules, "percent": _percent, "instant": _instant, "per_token": _per_token}
    page = environment.get_template("report.html.j2").render(
        accounts=accounts,
        compared=any(account.compared for account in accounts),
        marks=marks(accounts),
        headlines=headlines(accounts),
        caveats=caveats(accounts),
        agreement=_agreement(accounts),
        pictures=_pictures(pictures),
    )
    return {"index.html": page.encode(), **pictures}


def _pictures(files: Mapping[str, bytes]) -> list[tuple[str, str, str]]:
    """Title, caption and data URI of each: the pictures are inside the page, so that it can be mailed alone."""
    return [
        (name.removesuffix(".png").replace("_", " "), _CAPTIONS[name], _data_uri(content))
        for name, content in files.items()
    ]


def _data_uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _agreement(accounts: Sequence[Account]) -> float | None:
    """The worst agreement of Prometheus and ledger on any run, in percent; None where none was compared."""
    known = [account.total.agreement_percent for account in accounts]
    return min((value for value in known if value is not None), default=None)


def _joules(value: float | None) -> str:
    return "—" if value is None else f"{value:,.1f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "—" if value is None else f"{value:.{digits}f} %"


def _per_token(value: float | None) -> str:
    return "—" if value is None else f"{value:.3g}"


def _instant(unix_seconds: float | None) -> str:
    if unix_seconds is None:
        return "—"
    return datetime.fromtimestamp(unix_seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
