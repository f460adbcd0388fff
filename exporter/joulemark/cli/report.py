"""`joulemark report`: where the joules of some runs went, as tables, files, or a page with pictures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from ..carbon import intensity_of
from ..factors import Factors
from ..report import FORMATS, Report, as_text, make_report, print_report, write_one, write_report
from .read_runs import Asked, in_order, read_runs
from .report_options import (
    CarbonFile,
    Compare,
    Currency,
    Format,
    Grams,
    Ledgers,
    Lookback,
    Named,
    Output,
    Price,
    Prometheus,
    Pue,
    Runs,
    Url,
    Zone,
)  # fmt: skip

HELP = """Report runs: joules by stage with their uncertainty, the teacher's share, quality, break-even, frontier.

Without --url, --ledger or --prometheus the exporter of JOULEMARK_URL is read. Several runs give the tables of a
paper: end to end, by stage, break-even, sweeps; runs that differ only in seed are one row with mean and spread.
CO2e and cost are derived with the options given here, else with what the exporters are configured with.

All runs as a page with pictures, for a paper: joulemark report --output report/

Two runs, where they differ: joulemark report --compare sft-1b kd-1b

A table for LaTeX, with CO2e for Germany: joulemark report --carbon.zone DE --format latex --output table.tex

Last week's runs from Prometheus alone: joulemark report --prometheus http://127.0.0.1:9090 --lookback 7d
"""
_SUFFIXES = {".csv": "csv", ".json": "json", ".md": "md", ".tex": "latex", ".html": "html"}


def command(
    named: Named = None,
    runs: Runs = None,
    compare: Compare = None,
    url: Url = "",
    ledger: Ledgers = None,
    prometheus: Prometheus = "",
    lookback: Lookback = "90d",
    pue: Pue = None,
    zone: Zone = None,
    grams: Grams = None,
    carbon_file: CarbonFile = None,
    price: Price = None,
    currency: Currency = None,
    format_: Format = "",
    output: Output = None,
) -> None:
    """Report runs: joules by stage with their uncertainty, the teacher's share, quality, break-even, frontier."""
    plan = _plan(format_, output)
    grid = intensity_of(zone, grams, carbon_file)
    chosen = Factors(pue or 1.0, grid, price, currency)
    wanted = [*(named or []), *(runs or [])]
    asked = Asked(url, tuple(ledger or ()), prometheus, lookback, power=bool({"html", "json"} & set(plan.formats)))
    read = read_runs(asked, [*wanted, *(compare or ())])
    report = make_report(
        wanted or list(compare or in_order(read.records)),
        read.records,
        prometheus=read.prometheus,
        devices=read.devices,
        factors=_chosen(chosen, read.factors, pue_given=pue is not None),
        curves=read.curves,
        compared_runs=compare,
        read_from=read.told,
    )
    _put_out(report, plan, output)


def _put_out(report: Report, plan: _Plan, output: Path | None) -> None:
    if plan.table:
        print_report(report, Console(width=None if os.isatty(1) else 150))
    if output is None:
        for one in plan.formats:
            typer.echo(as_text(report, one), nl=False)
        return
    written = (
        write_one(report, output, plan.formats[0]) if plan.one_file else write_report(report, output, plan.formats)
    )
    for path in written:
        typer.echo(f"wrote {path}", err=True)


def _chosen(given: Factors, configured: Factors, *, pue_given: bool) -> Factors:
    """Each factor as given, else as configured."""
    priced = given if given.price_per_kwh is not None else configured
    return Factors(
        given.pue if pue_given else configured.pue,
        given.grid or configured.grid,
        priced.price_per_kwh,
        priced.currency,
    )


@dataclass(frozen=True)
class _Plan:
    """What comes out: a table on the terminal, and the report in these formats, as one file or in a folder."""

    table: bool
    formats: tuple[str, ...]
    one_file: bool = False


def _plan(format_: str, output: Path | None) -> _Plan:
    """Raises typer.BadParameter for a format that is not known, or that does not fit the output."""
    if format_ not in ("", "table", *FORMATS):
        raise typer.BadParameter(f"--format {format_}: use table, {', '.join(FORMATS)}")
    if output is None:
        return _Plan(format_ in ("", "table"), () if format_ in ("", "table") else (format_,))
    by_suffix = _SUFFIXES.get(output.suffix)
    if by_suffix or (output.suffix and not output.is_dir()):
        if format_ in ("", by_suffix) and by_suffix:
            return _Plan(table=False, formats=(by_suffix,), one_file=True)
        raise typer.BadParameter(
            f"--output {output} does not fit --format {format_ or 'table'}: end the name with one of "
            f"{', '.join(_SUFFIXES)}, or name a folder"
        )
    other = () if format_ in ("", "table", "html") else (format_,)
    return _Plan(format_ in ("", "table"), ("html", *other))
