"""One call that writes a report: from a report to text or files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .as_json import to_json
from .csv_files import by_run, by_stage
from .files import ReportError, write_files
from .html import missing_extra, to_html
from .latex import to_latex
from .markdown import to_markdown
from .report import Report

# What a report can be as text, and the file name of each.
FORMATS: Mapping[str, Callable[[Report], str]] = {
    "csv": by_stage,
    "json": to_json,
    "md": to_markdown,
    "latex": to_latex,
    "html": to_html,
}
_FILES = {"csv": "report.csv", "json": "report.json", "md": "report.md", "latex": "report.tex", "html": "index.html"}


def as_text(report: Report, format_: str) -> str:
    """The report in one of FORMATS; raises ReportError on any other."""
    return _maker(format_)(report)


def write_report(report: Report, folder: Path, formats: Sequence[str] = ("html",)) -> list[Path]:
    """Write the report and return its files: report.csv (with runs.csv), .json, .md, .tex, index.html with pictures.

    Pictures come with html, each as PNG, SVG and PDF. Nothing is written unless all of it could be made. Raises
    ReportError on an unknown format, a folder that cannot be written, or (html) without the [report] extra.
    """
    makers = {format_: _maker(format_) for format_ in formats}
    contents = {_FILES[format_]: make(report).encode() for format_, make in makers.items()}
    if "csv" in makers:
        contents["runs.csv"] = by_run(report).encode()
    if "html" in makers:
        contents |= _pictures(report)
    return write_files(folder, contents)


def write_one(report: Report, path: Path, format_: str) -> list[Path]:
    """Write the report in one format to a file of this name."""
    return write_files(path.parent, {path.name: as_text(report, format_).encode()})


def _pictures(report: Report) -> dict[str, bytes]:
    try:
        from .pictures import picture_files
    except ImportError as error:
        raise missing_extra(error) from error
    return picture_files(report)


def _maker(format_: str) -> Callable[[Report], str]:
    if format_ not in FORMATS:
        raise ReportError(f"format {format_!r} is not known: use {', '.join(FORMATS)}")
    return FORMATS[format_]
