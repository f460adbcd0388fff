"""The home board, Pipelines: what each run used, by stage, and how much of it was the teacher's."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import barchart, dashboard, stat, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common, units
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue, GridPos

from . import queries
from .style import (
    DATASOURCE,
    STAGE_COLOURS,
    board,
    instant,
    latest,
    over_time,
    with_origin_marked,
    with_stage_colours,
)

UID = "joulemark-pipelines"


def build() -> dashboard.Dashboard:
    """The board, panels unnumbered."""
    made = board(UID, "Joulemark / Pipelines", "Where the joules of language-model pipelines go, stage by stage.")
    (
        made.with_panel(_total().grid_pos(GridPos(h=5, w=6, x=0, y=0)))
        .with_panel(_teacher_share().grid_pos(GridPos(h=5, w=18, x=6, y=0)))
        .with_panel(_stages().grid_pos(GridPos(h=10, w=24, x=0, y=5)))
        .with_panel(_power().grid_pos(GridPos(h=9, w=24, x=0, y=15)))
        .with_panel(_runs().grid_pos(GridPos(h=9, w=24, x=0, y=24)))
    )
    return made


def _total() -> Any:
    return (
        stat.Panel()
        .title("How much energy did these runs use?")
        .description(
            "Sum of the selected runs' energy, teacher side included, each at its latest value within the range. "
            "Modelled where the runs table says so. Energy that no stage claims is not in it."
        )
        .datasource(DATASOURCE)
        .unit(units.Joule)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no run yet: set a stage, e.g. joulemark exec --run R --stage student -- CMD")
        .with_target(instant("A", queries.TOTAL_JOULES))
    )


def _teacher_share() -> Any:
    return (
        stat.Panel()
        .title("Which share of each run is teacher-side?")
        .description(
            "Energy of the teacher stage over the energy of the run. A run that reuses a teacher's output has burnt "
            "none itself and is absent: see where its artifacts were made."
        )
        .datasource(DATASOURCE)
        .unit(units.PercentUnit)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no selected run has a teacher stage")
        .with_target(latest("A", queries.TEACHER_SHARE, "{{run}}"))
    )


def _stages() -> Any:
    panel = (
        barchart.Panel()
        .title("Where did each run's energy go?")
        .description("Energy of each run by stage, from the exporter's counters. Stages add up to the run.")
        .datasource(DATASOURCE)
        .unit(units.Joule)
        .orientation(common.VizOrientation.HORIZONTAL)
        .stacking(common.StackingMode.NORMAL)
        .x_field("run")
        .no_value("no run in this range")
        .with_target(instant("A", queries.STAGE_JOULES))
        .with_transformation(
            DataTransformerConfig(
                id_val="groupingToMatrix",
                options={"columnField": "stage", "rowField": "run", "valueField": "Value", "emptyValue": "null"},
            )
        )
        .with_transformation(
            DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {},
                    # As a pipeline runs, not as the alphabet goes; stages of other names come after.
                    "indexByName": {name: place for place, name in enumerate(("run\\stage", *STAGE_COLOURS))},
                    "renameByName": {"run\\stage": "run"},
                },
            )
        )
    )
    return with_stage_colours(panel)


def _power() -> Any:
    panel = (
        timeseries.Panel()
        .title("What is drawing power now?")
        .description(
            "Latest power of all selected devices, coloured by the stage that holds them; unattributed is power that "
            "no stage claims. A reading at each scrape: for energy use the counters, not the area under this curve."
        )
        .datasource(DATASOURCE)
        .unit(units.Watt)
        .min(0)
        .fill_opacity(60)
        .line_width(1)
        .stacking(common_builders.StackingConfig().mode(common.StackingMode("normal")))
        .no_value("no exporter is scraped")
        .with_target(over_time("A", queries.STAGE_WATTS, "{{stage}}"))
    )
    return with_stage_colours(panel)


def _runs() -> Any:
    hidden = {"Time 1": True, "Time 2": True, "Time 3": True, "Value #C": True, "Time": True}
    columns = ("run", "pipeline", "student", "teacher", "dataset", "Value #A", "Value #B", "origin")
    renamed = {"Value #A": "energy", "Value #B": "J/token"}
    panel = (
        table.Panel()
        .title("What did each run cost, and is that measured?")
        .description(
            "Energy of each run and its joules per trained token. Origin says whether the energy was measured, "
            "modelled from CPU utilisation, or published by others."
        )
        .datasource(DATASOURCE)
        .unit(units.WattHour)
        .no_value("no run in this range")
        .with_target(instant("A", queries.RUN_WATT_HOURS))
        .with_target(instant("B", queries.RUN_JOULES_PER_TOKEN))
        .with_target(instant("C", queries.RUN_FACTS))
        .with_transformation(DataTransformerConfig(id_val="joinByField", options={"byField": "run", "mode": "outer"}))
        .with_transformation(
            DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": hidden,
                    "indexByName": {name: place for place, name in enumerate(columns)},
                    "renameByName": renamed,
                },
            )
        )
        .override_by_name("J/token", [DynamicConfigValue(id_val="unit", value=units.Joule)])
    )
    return with_origin_marked(panel)
