"""An empty board, and the grid of 24 columns on which panels are placed."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType, GridPos

from .targets import DATASOURCE, over_time

UIDS = {
    "pipelines": "joulemark-pipelines",
    "run": "joulemark-run",
    "worth_it": "joulemark-worth-it",
    "meter_health": "joulemark-meter-health",
}
TITLES = {
    "pipelines": "Joulemark / Pipelines",
    "run": "Joulemark / Run",
    "worth_it": "Joulemark / Was it worth it?",
    "meter_health": "Joulemark / Meter health",
}
COLUMNS = 24


class Board:
    """A board that fills from top to bottom, a row of panels at a time."""

    def __init__(self, name: str, description: str, variables: list[Any], *, span: str = "now-1h") -> None:
        self.made = dashboard.Dashboard(TITLES[name])
        self._y = 0
        (
            self.made.uid(UIDS[name])
            .description(description)
            .tags(["joulemark", "energy"])
            .readonly()
            .refresh("5s")
            .time(span, "now")
            .timezone("browser")
            .tooltip(DashboardCursorSync.CROSSHAIR)
        )
        for variable in variables:
            self.made.with_variable(variable)
        for other in TITLES:
            if other != name:
                self.made.link(_link(other))

    def row(self, height: int, *panels: tuple[int, Any]) -> None:
        """Panels side by side: width and panel each; the widths must fill the screen."""
        if sum(width for width, _ in panels) != COLUMNS:
            raise ValueError(f"the row at {self._y} is {sum(width for width, _ in panels)} wide, not {COLUMNS}")
        x = 0
        for width, panel in panels:
            self.made.with_panel(panel.grid_pos(GridPos(h=height, w=width, x=x, y=self._y)))
            x += width
        self._y += height

    def heading(self, title: str) -> None:
        """A line of text above the rows that follow."""
        self.made.with_row(dashboard.Row(title).grid_pos(GridPos(h=1, w=COLUMNS, x=0, y=self._y)))
        self._y += 1

    def mark(self, name: str, colour: str, query: str, *, title: str, text: str, tags: str, at_value: bool) -> None:
        """Annotations: one for each series, at its value in milliseconds or while it is above 0."""
        self.made.annotation(
            dashboard.AnnotationQuery()
            .name(name)
            .datasource(DATASOURCE)
            .enable(True)
            .hide(False)
            .icon_color(colour)
            # Releases of Grafana differ in where they look for the query.
            .expr(query)
            .target(over_time("Anno", query, "").interval("10s"))
            .title_format(title)
            .text_format(text)
            .tag_keys(tags)
            .step("10s")
            .use_value_for_time(at_value)
        )


def run_link(field: str) -> str:
    """The address of the Run board for the run in a table's field, at the same time and on the same data source."""
    return f"/d/{UIDS['run']}?var-run=${{__data.fields.{field}}}&var-datasource=${{datasource}}&${{__url_time_range}}"


def _link(other: str) -> Any:
    return (
        dashboard.DashboardLink(TITLES[other].removeprefix("Joulemark / "))
        .type(DashboardLinkType.LINK)
        .url(f"/d/{UIDS[other]}")
        .icon("dashboard")
        .include_vars(True)
        .keep_time(True)
    )
