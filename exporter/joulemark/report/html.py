"""The report as a page that opens from disk: tables, pictures, and how the figures came about."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from ..errors import JoulemarkError
from .rows import Account
from .table import MARKS, footnotes


class ReportError(JoulemarkError):
    """A report that cannot be written; the message names cause and remedy."""


def write_page(accounts: Sequence[Account], folder: Path) -> list[Path]:
    """Write index.html and its pictures into `folder` and return the files; needs the [report] extra."""
    try:
        import jinja2

        from . import figures
    except ImportError as error:
        raise ReportError(f"{error.name} is not installed: pip install 'joulemark[report]'") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pictures = [folder / "stage_breakdown.png", folder / "energy_quality.png"]
        figures.stage_breakdown(accounts, pictures[0])
        figures.energy_quality(accounts, pictures[1])
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("joulemark.report"), autoescape=True, undefined=jinja2.StrictUndefined
        )
        page = environment.get_template("report.html.j2").render(
            accounts=accounts,
            marks=sorted({MARKS[account.origin] for account in accounts if account.origin in MARKS}),
            footnotes=footnotes(accounts),
            pictures=[(path.stem.replace("_", " "), _data_uri(path)) for path in pictures],
        )
        index = folder / "index.html"
        partial = folder / ".index.html.partial"
        partial.write_text(page)
        partial.replace(index)
    except OSError as error:
        raise ReportError(f"{folder} cannot be written ({error}): name another by --output") from error
    return [index, *pictures]


def _data_uri(path: Path) -> str:
    """The picture inside the page, so that the page can be mailed alone."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
