"""The home board, Pipelines: what each run used, by stage, and how much of it was the teacher's."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import common, units
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from . import panels, variables
from .layout import Board, run_link
from .panels import About
from .queries import pipelines as ask
from .style import OTHER_STAGE, STAGE_COLOURS, column, with_origin_marked, with_stage_colours
from .targets import by_stage, instant, join, latest, matrix, ordered, shown, sorted_by, tables

_NO_RUN = "No run yet. Set a stage, e.g. joulemark exec --run R --stage student -- CMD"


def build() -> dashboard.Dashboard:
    """The board, panels unnumbered."""
    board = Board(
        "pipelines",
        "Where the joules of language-model pipelines go: every run, stage by stage, the teacher's side included.",
        [*variables.source(), *variables.runs(), variables.accounting()],
    )
    board.mark(
        "Stage changes", "#56B4E9", ask.STAGE_STARTS, title="{{window}}", text="{{run}}", tags="stage",
        at_value=True,
    )  # fmt: skip
    board.row(5, (6, _teacher_share()), (6, _teacher_share_by_pipeline()), (5, _total()), (4, _watts()), (3, _lost()))
    board.row(10, (24, _runs()))
    board.row(12, (12, _stages()), (12, _shares()))
    board.row(10, (10, _stage_figures()), (14, _power()))
    return board.made


def _teacher_share() -> Any:
    panel = panels.number(
        About(
            "Which share of the energy is teacher-side?",
            "Energy of the teacher stages of the selected runs over all their energy, as they burnt it, apart by "
            "origin: MODELLED and PUBLISHED energy was not measured here. A run that "
            "reused a teacher's output burnt none of it itself: choose one-off accounting in the table below to see "
            "what it would have cost alone.",
            units.PercentUnit,
            _NO_RUN,
            1,
        ),
        latest("A", ask.TEACHER_SHARE, "{{mark}}"),
    )
    return panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME)


def _teacher_share_by_pipeline() -> Any:
    panel = panels.gauges(
        About(
            "And by pipeline?",
            "The same share, over the runs of each pipeline together. Runs that declare no pipeline are one group "
            "without a name. It does not say which pipeline is better: see the board Was it worth it?",
            units.PercentUnit,
            _NO_RUN,
            1,
        ),
        latest("A", ask.TEACHER_SHARE_BY_PIPELINE, "{{pipeline}}"),
    )
    return panels.coloured(panel.min(0).max(1), STAGE_COLOURS["teacher"])


def _total() -> Any:
    panel = panels.number(
        About(
            "How much energy until now?",
            "Sum of the selected runs' energy, teacher side included, as they burnt it; it grows while they run. "
            "Apart by origin: MODELLED and PUBLISHED energy was not measured here. What no stage claims is not in it.",
            units.WattHour,
            _NO_RUN,
        ),
        latest("A", ask.TOTAL_WATT_HOURS, "{{mark}}"),
    )
    return panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME)


def _watts() -> Any:
    return panels.number(
        About(
            "How much power now?",
            "Latest power of all devices of the selected exporters, whether a stage claims it or not. Boards of GPUs "
            "and CPU packages only: not the rest of the machine, and no PUE.",
            units.Watt,
            "No exporter is scraped: start joulemark serve and give Prometheus its address",
        ),
        latest("A", ask.WATTS, "power"),
    )


def _lost() -> Any:
    return panels.number(
        About(
            "Claimed by nobody?",
            "Energy that no stage claimed over all energy of the selected exporters' devices, since their ledgers "
            "began. Idle time between runs is in it, so a large share is no fault by itself.",
            units.PercentUnit,
            "No exporter is scraped",
            1,
        ),
        latest("A", ask.UNATTRIBUTED_SHARE, "unattributed"),
    )


def _runs() -> Any:
    columns = {
        "run": "run", "pipeline": "pipeline", "student": "student", "dataset": "data set", "origin": "origin",
        "Value #A": "energy", "Value #B": "±", "Value #C": "teacher share", "Value #D": "J/token", "Value #E": "Q",
        "Value #F": "CO2e", "Value #G": "cost", "currency": "currency",
    }  # fmt: skip
    asked = tables(
        ask.RUN_WATT_HOURS, ask.RUN_UNCERTAINTY, ask.RUN_TEACHER_SHARE, ask.RUN_JOULES_PER_TOKEN, ask.RUN_QUALITY,
        ask.RUN_CO2E, ask.RUN_COST, ask.RUN_FACTS,
    )  # fmt: skip
    panel = panels.rows(
        About(
            "What did each run cost, how good is it, and is that measured?",
            "Energy in the chosen accounting with its bound ±; the other figures are of the run as it burnt them: "
            "share of the teacher stage, joules per trained token, Q (mean score over the teacher's), CO2e and cost "
            "with the factors that its exporter is configured with. A figure that cannot be known is empty. Click a "
            "run to open it, a heading to sort.",
            units.WattHour,
            _NO_RUN,
        ),
        *asked,
        changes=[join("run"), *shown(columns)],
    )
    for name, unit, decimals, width in (
        ("pipeline", "", None, 110), ("student", "", None, 150), ("origin", "", None, 95), ("energy", "", None, 85),
        ("±", "", None, 80), ("teacher share", units.PercentUnit, 1, 105), ("J/token", units.Joule, None, 80),
        ("Q", units.NoUnit, 2, 50), ("CO2e", units.Gram, None, 80), ("cost", units.NoUnit, None, 80),
        ("currency", "", None, 75),
    ):  # fmt: skip
        panel = column(panel, name, unit, decimals, width)
    sort = DynamicConfigValue(id_val="custom.minWidth", value=180)
    panel = panels.linked(panel, "run", "Open this run", run_link("run")).override_by_name("run", [sort])
    return with_origin_marked(panel)


def _stages() -> Any:
    panel = panels.bars(
        About(
            "Where did each run's energy go?",
            f"Energy of each run by stage, as it burnt it; the stages add up to the run. The {ask.BARS} dearest of the "
            "selected runs. Figures that are published as a whole show as end_to_end. The table below says how sure "
            "each is.",
            units.WattHour,
            _NO_RUN,
        ),
        "run",
        instant("A", ask.STAGE_WATT_HOURS),
        changes=_by_stage(),
        stacked="normal",
    )
    return with_stage_colours(panels.coloured(panel, OTHER_STAGE))


def _shares() -> Any:
    panel = panels.bars(
        About(
            "Which share went to which stage?",
            "The same energy, each run at its full length. Compare how energy is divided, not how much there was.",
            units.WattHour,
            _NO_RUN,
        ),
        "run",
        instant("A", ask.STAGE_WATT_HOURS),
        changes=_by_stage(),
        stacked="percent",
    )
    return with_stage_colours(panels.coloured(panel, OTHER_STAGE))


def _stage_figures() -> Any:
    columns = {"run": "run", "stage": "stage", "Value #A": "energy", "Value #B": "±"}
    panel = panels.rows(
        About(
            "What are the figures behind the bars, and how sure are they?",
            "Energy of each stage of the same runs, as they burnt it, with its bound ±. The bound does not hold the "
            "sensor's own error; it is empty for energy that others published.",
            units.WattHour,
            _NO_RUN,
        ),
        *tables(ask.KEYED_STAGE_WATT_HOURS, ask.KEYED_STAGE_UNCERTAINTY),
        changes=[join("key"), *shown(columns), sorted_by("energy", descending=True), sorted_by("run")],
    )
    for name, width in (("stage", 100), ("energy", 85), ("±", 80)):
        panel = column(panel, name, width=width)
    return panel


def _by_stage() -> list[Any]:
    """As a pipeline runs, not as the alphabet goes; stages of other names come after."""
    return [matrix("run", "stage"), ordered("run\\stage", *STAGE_COLOURS, called="run"), sorted_by("run")]


def _power() -> Any:
    panel = panels.curves(
        About(
            "What draws the power, and when did stages change?",
            "Latest power at each evaluation of the rules, coloured by the stage that holds the devices; unattributed "
            "is power that no stage claims, of all exporters. Marks are stages that began and still run. For energy "
            "use the counters, not the area under this curve.",
            units.Watt,
            "No exporter is scraped: start joulemark serve and give Prometheus its address",
        ),
        *by_stage(ask.stage_watts, "{{stage}}", over=True, unattributed=True),
        stacked=True,
    )
    return with_stage_colours(panels.coloured(panel, OTHER_STAGE))
