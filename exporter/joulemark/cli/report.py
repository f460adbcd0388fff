"""`joulemark report`: where the joules of some runs went, as tables, files, or a page with pictures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..carbon import intensity_of
from ..factors import Factors
from ..report import FORMATS, as_text, make_report, print_report, write_one, write_report
from .read_runs import Asked, in_order, read_runs

_SUFFIXES = {".csv": "csv", ".json": "json", ".md": "md", ".tex": "latex", ".html": "html"}


def command(
    named: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]…", help="Runs to report; all when left out.")
    ] = None,
    runs: Annotated[list[str] | None, typer.Option("--run", help="A run to report; may be given again.")] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="A B", help="Explain where B's joules differ from A's."),
    ] = None,
    url: Annotated[str, typer.Option("--url", help="Read this exporter; JOULEMARK_URL when nothing is named.")] = "",
    ledger: Annotated[
        list[Path] | None,
        typer.Option("--ledger", help="Read this --state-dir, without a server; again for more nodes."),
    ] = None,
    prometheus: Annotated[
        str,
        typer.Option("--prometheus", help="Read this Prometheus; beside --url or --ledger, compare with it."),
    ] = "",
    lookback: Annotated[str, typer.Option("--lookback", help="How far back to ask Prometheus: 12h, 7d.")] = "90d",
    pue: Annotated[
        float | None,
        typer.Option("--pue", envvar="JOULEMARK_PUE", help="Facility power over device power, for CO2e and cost."),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option("--carbon.zone", envvar="JOULEMARK_CARBON_ZONE", help="Country of the grid for CO2e: DE, US, EU."),
    ] = None,
    grams: Annotated[
        float | None,
        typer.Option(
            "--carbon.grams-per-kwh", envvar="JOULEMARK_CARBON_GRAMS_PER_KWH", help="In place of the zone's figure."
        ),
    ] = None,
    carbon_file: Annotated[
        Path | None,
        typer.Option("--carbon.file", envvar="JOULEMARK_CARBON_FILE", help="CSV in place of the shipped table."),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option("--price.per-kwh", envvar="JOULEMARK_PRICE_PER_KWH", help="Price of a kWh, for cost."),
    ] = None,
    currency: Annotated[
        str | None, typer.Option("--price.currency", envvar="JOULEMARK_PRICE_CURRENCY", help="EUR, USD, …")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help=f"table, {', '.join(FORMATS)}.")] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", help="A file, or a folder for a page with pictures as PNG, SVG and PDF (extra `report`)."
        ),
    ] = None,
) -> None:
    """Report runs: joules by stage with their uncertainty, the teacher's share, quality, break-even, frontier.

    Without --url, --ledger or --prometheus the exporter of JOULEMARK_URL is read. Several runs give the tables of a
    paper: end to end, by stage, break-even, sweeps; runs that differ only in seed are one row with mean and spread.
    CO2e and cost are derived with the options given here, else with what the exporters are configured with.
    """
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
