"""The variables at the top of the boards."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from joulemark.carbon import zones

from .queries import variables as queries
from .targets import DATASOURCE

ACCOUNTINGS = {
    "as run: what it burnt itself": "as_run",
    "one-off: with the full cost of what it reused": "one_off",
    "amortised: with its share of what several used": "amortized",
}
PUES = ("1", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6")
PRICES = ("0.05", "0.10", "0.15", "0.20", "0.25", "0.30", "0.35", "0.40")


def source() -> list[Any]:
    """The data source, and which exporters of it."""
    return [
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        asked("job", "Job", queries.JOBS),
        asked("instance", "Instance", queries.INSTANCES),
    ]


def runs(*, several: bool = True) -> list[Any]:
    """Which runs: by what they are, then by name."""
    return [
        asked("pipeline", "Pipeline", queries.PIPELINES),
        asked("student", "Student", queries.STUDENTS),
        asked("dataset", "Data set", queries.DATASETS),
        asked("run", "Run", queries.RUNS, several=several),
    ]


def accounting() -> Any:
    """Who pays for the teacher."""
    return chosen("accounting", "Accounting", ACCOUNTINGS).description(
        "Who pays for a teacher's output that several runs use; docs/accounting.md has the formulas."
    )


def factors() -> list[Any]:
    """What CO2e and cost are computed with; any number can be typed in."""
    table = {f"{zone} ({one.grams_per_kwh:g} g/kWh)": f"{one.grams_per_kwh:g}" for zone, one in zones().items()}
    configured = "as configured"
    return [
        chosen("pue", "PUE", {configured: queries.CONFIGURED_PUE, **{pue: pue for pue in PUES}}).description(
            "Facility power over device power; 1 counts no overhead. Type any other."
        ),
        chosen("zone", "Zone", {configured: queries.CONFIGURED_INTENSITY, **table}).description(
            "Grams of CO2e per kWh of a grid, yearly means by Ember (CC BY 4.0). Type any other figure."
        ),
        chosen("price", "Price per kWh", {configured: queries.CONFIGURED_PRICE, **{p: p for p in PRICES}}).description(
            "In the currency that you think in. Type any other."
        ),
    ]


def asked(name: str, label: str, query: str, *, several: bool = True) -> dashboard.QueryVariable:
    """A variable that Prometheus fills: of several values, all of them at first, or of one."""
    made = dashboard.QueryVariable(name)
    made.label(label).datasource(DATASOURCE).query(query)
    made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC).multi(several)
    if several:
        everything = VariableOption(selected=True, text=["All"], value=["$__all"])
        made.include_all(True).all_value(".*").current(everything)
    return made


def chosen(name: str, label: str, options: dict[str, str]) -> dashboard.CustomVariable:
    """A variable with a list of texts and values, the first at first."""
    made = dashboard.CustomVariable(name)
    text, value = next(iter(options.items()))
    made.label(label).values(", ".join(f"{shown} : {used}" for shown, used in options.items()))
    made.current(VariableOption(selected=True, text=text, value=value)).multi(False).include_all(False)
    return made
