"""The options of `joulemark report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..report import FORMATS

Named = Annotated[list[str] | None, typer.Argument(metavar="[RUN]…", help="Runs to report; all when left out.")]
Runs = Annotated[list[str] | None, typer.Option("--run", help="A run to report; may be given again.")]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option("--compare", metavar="A B", help="Explain where B's joules differ from A's."),
]
Url = Annotated[str, typer.Option("--url", help="Read this exporter; JOULEMARK_URL when nothing is named.")]
Ledgers = Annotated[
    list[Path] | None,
    typer.Option("--ledger", help="Read this --state-dir, without a server; again for more nodes."),
]
Prometheus = Annotated[
    str,
    typer.Option("--prometheus", help="Read this Prometheus; beside --url or --ledger, compare with it."),
]
Lookback = Annotated[str, typer.Option("--lookback", help="How far back to ask Prometheus: 12h, 7d.")]
Pue = Annotated[
    float | None,
    typer.Option("--pue", envvar="JOULEMARK_PUE", help="Facility power over device power, for CO2e and cost."),
]
Zone = Annotated[
    str | None,
    typer.Option("--carbon.zone", envvar="JOULEMARK_CARBON_ZONE", help="Country of the grid for CO2e: DE, US, EU."),
]
Grams = Annotated[
    float | None,
    typer.Option(
        "--carbon.grams-per-kwh", envvar="JOULEMARK_CARBON_GRAMS_PER_KWH", help="In place of the zone's figure."
    ),
]
CarbonFile = Annotated[
    Path | None,
    typer.Option("--carbon.file", envvar="JOULEMARK_CARBON_FILE", help="CSV in place of the shipped table."),
]
Price = Annotated[
    float | None,
    typer.Option("--price.per-kwh", envvar="JOULEMARK_PRICE_PER_KWH", help="Price of a kWh, for cost."),
]
Currency = Annotated[
    str | None, typer.Option("--price.currency", envvar="JOULEMARK_PRICE_CURRENCY", help="EUR, USD, …")
]
Format = Annotated[str, typer.Option("--format", help=f"table, {', '.join(FORMATS)}.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", help="A file, or a folder for a page with pictures as PNG, SVG and PDF (extra `report`)."),
]
