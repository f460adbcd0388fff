"""The house style: what every board and panel looks like, and one colour for one stage everywhere."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DynamicConfigValue,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
# Okabe and Ito's palette: told apart with any colour vision. The report uses the same.
STAGE_COLOURS = {
    "prerun": "#999999",
    "data": "#56B4E9",
    "teacher": "#D55E00",
    "student": "#0072B2",
    "eval": "#009E73",
    "unattributed": "#E0E0E0",
}
# Energy that was not measured is told apart by its words first, by its colour only as well.
ORIGINS = {
    "measured": ("measured", "#009E73"),
    "modelled": ("modelled, not measured", "#E69F00"),
    "published": ("published by others", "#56B4E9"),
}


def board(uid: str, title: str, description: str) -> dashboard.Dashboard:
    """An empty board with the variables that every board has."""
    from . import queries

    made = dashboard.Dashboard(title)
    (
        made.uid(uid)
        .description(description)
        .tags(["joulemark", "energy"])
        .readonly()
        .refresh("5s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(variable("job", "Job", queries.JOBS))
        .with_variable(variable("instance", "Instance", queries.INSTANCES))
        .with_variable(variable("run", "Run", queries.RUNS))
    )
    return made


def variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """A variable of several values, all of them at first."""
    made = dashboard.QueryVariable(name)
    (
        made.label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )
    return made


def instant(ref_id: str, query: str, legend: str = "") -> prometheus.Dataquery:
    """A query for the latest values, as a table."""
    found = _asked(ref_id, query, legend)
    found.instant().format(PromQueryFormat.TABLE)
    return found


def over_time(ref_id: str, query: str, legend: str) -> prometheus.Dataquery:
    """A query for a curve."""
    found = _asked(ref_id, query, legend)
    found.range()
    return found


def latest(ref_id: str, query: str, legend: str) -> prometheus.Dataquery:
    """A query for the latest values, one named field each."""
    found = _asked(ref_id, query, legend)
    found.instant()
    return found


def _asked(ref_id: str, query: str, legend: str) -> prometheus.Dataquery:
    found = prometheus.Dataquery()
    found.ref_id(ref_id).expr(query).legend_format(legend).datasource(DATASOURCE)
    return found


def with_stage_colours(panel: Any) -> Any:
    """Give every stage its own colour in a panel whose fields are named after stages."""
    for stage, colour in STAGE_COLOURS.items():
        value = {"mode": "fixed", "fixedColor": colour}
        panel = panel.override_by_name(stage, [DynamicConfigValue(id_val="color", value=value)])
    return panel


def with_origin_marked(panel: Any) -> Any:
    """Say in a table's `origin` column, in words and colour, which figures are not measurements."""
    options = {
        name: {"text": text, "color": colour, "index": i} for i, (name, (text, colour)) in enumerate(ORIGINS.items())
    }
    return panel.override_by_name(
        "origin",
        [
            DynamicConfigValue(id_val="mappings", value=[{"type": "value", "options": options}]),
            DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
        ],
    )
