"""One call that writes a report: from accounts to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .files import ReportError, write_files
from .html import page_files
from .rows import Account
from .tabular import FORMATS

PAGE = "html"


def write_report(accounts: Sequence[Account], folder: Path, formats: Sequence[str] = (PAGE,)) -> list[Path]:
    """Write the report on these runs and return its files: index.html with pictures, report.csv, .json, .md.

    Nothing is written unless every format could be made. Raises ReportError on an unknown format, a folder that
    cannot be written, or (html only) without the [report] extra.
    """
    known = (PAGE, *FORMATS)
    for name in formats:
        if name not in known:
            raise ReportError(f"format {name!r} is not known: use {', '.join(known)}")
    contents: dict[str, bytes] = {}
    for name in formats:
        contents |= page_files(accounts) if name == PAGE else {f"report.{name}": FORMATS[name](accounts).encode()}
    return write_files(folder, contents)
