"""The report as one page that opens from disk: tables, pictures, and how the figures came about."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import Any

from .compare import explained
from .files import ReportError
from .methods import methods
from .notes import MARKS, caveats, headlines, marks
from .numbers import digits, fixed, percent
from .report import Report
from .tables import tables


def to_html(report: Report) -> str:
    """The page, pictures inside, so that it can be mailed alone; raises ReportError without the [report] extra."""
    try:
        import jinja2

        from . import pictures
    except ImportError as error:
        raise missing_extra(error) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("joulemark.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"fixed": _or_dash(fixed), "ratio": _or_dash(percent), "digits": _or_dash(digits)}
    environment.filters["instant"] = _instant
    return environment.get_template("report.html.j2").render(
        report=report,
        tables=tables(report),
        marks=marks(report.accounts),
        marked=MARKS,
        headlines=headlines(report),
        caveats=caveats(report),
        explained=explained(report.comparison) if report.comparison else [],
        agreement=_agreement(report),
        pictures=[
            (name.replace("_", " "), pictures.CAPTIONS[name], _data_uri(wide), _data_uri(narrow))
            for name, (wide, narrow) in pictures.page_pictures(report).items()
        ],
        methods=methods(report),
    )


def missing_extra(error: ImportError) -> ReportError:
    """What to say when a package of the [report] extra is not there."""
    return ReportError(f"{error.name} is not installed: pip install 'joulemark[report]'")


def _data_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def _agreement(report: Report) -> float | None:
    """The worst agreement of Prometheus and ledger on any run, in percent; None where none was compared."""
    known = [account.total.agreement_percent for account in report.accounts]
    return min((value for value in known if value is not None), default=None)


def _or_dash(write: Any) -> Any:
    """A filter that shows what is absent as a dash."""

    def shown(value: float | None, *arguments: int) -> str:
        return write(value, *arguments) or "–"

    return shown


def _instant(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
