"""The board Run: one run in depth."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from . import panels, run_checks, variables
from .layout import Board
from .panels import About
from .queries import run as ask
from .style import BAD, OTHER_STAGE, WARNING, column, mapped, with_origin_marked, with_stage_colours
from .targets import by_stage, instant, join, latest, over_time, shown, sorted_by, tables

_NO_RUN = "Choose a run above; without any, set a stage: joulemark exec --run R --stage student -- CMD"


def build() -> dashboard.Dashboard:
    """The board, panels unnumbered."""
    board = Board(
        "run",
        "One run in depth: its stages, power, tokens and artifacts, and whether its figures can be believed.",
        [*variables.source(), *variables.runs(several=False)],
    )
    _mark(board)
    board.row(3, (24, _facts()))
    board.row(
        4, (4, _energy()), (3, _bound()), (3, _net()), (3, _per_token()), (3, _quality()), (4, _co2e()), (4, _cost())
    )
    board.row(8, (24, _timeline()))
    board.row(8, (12, _power()), (12, _tokens()))
    board.row(8, (15, _stages()), (9, _phases()))
    board.row(7, (12, _per_token_over_time()), (12, run_checks.scores()))
    board.row(6, (12, run_checks.artifacts()), (12, run_checks.hardware()))
    board.row(8, (12, run_checks.estimators()), (12, run_checks.faults()))
    return board.made


def _mark(board: Board) -> None:
    board.mark(
        "Stage begins", "#56B4E9", ask.STAGE_STARTS, title="{{window}}", text="stage begins", tags="stage",
        at_value=True,
    )  # fmt: skip
    board.mark(
        "Gap in reading", BAD, ask.GAP_MARKS, title="{{device}} was not read", text="{{instance}}", tags="device",
        at_value=False,
    )  # fmt: skip
    board.mark(
        "Throttled", WARNING, ask.THROTTLE_MARKS, title="{{device}} was throttled: {{reason}}", text="{{instance}}",
        tags="device,reason", at_value=False,
    )  # fmt: skip


def _facts() -> Any:
    columns = {
        "run": "run", "origin": "origin", "pipeline": "pipeline", "student": "student", "teacher": "teacher",
        "dataset": "data set",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "What is this run, and are its figures measured?",
            "What the run declared, and where its energy comes from: measured by a sensor, modelled from CPU "
            "utilisation or a script, or published by others. What it did not declare is empty.",
            units.String,
            _NO_RUN,
        ),
        instant("A", ask.FACTS_OF_RUN),
        changes=shown(columns),
    )
    return with_origin_marked(column(panel, "origin", width=100))


def _figure(title: str, text: str, unit: str, query: str, empty: str, decimals: int | None = None) -> Any:
    return panels.number(About(title, text, unit, empty, decimals), latest("A", query, title.rstrip("?")))


def _energy() -> Any:
    return _figure(
        "How much energy?",
        "All that the run burnt itself, all devices, stages and nodes together; it grows while it runs. Boards of GPUs "
        "and CPU packages only, without PUE.",
        units.WattHour,
        ask.ENERGY,
        _NO_RUN,
    )


def _bound() -> Any:
    return _figure(
        "± how much?",
        "Bound on the energy: what boundaries between stages and gaps in reading may have put on the wrong side. The "
        "sensor's own accuracy is not in it, and vendors do not state that.",
        units.WattHour,
        ask.UNCERTAINTY,
        "Published or imported: no bound is known",
    )


def _net() -> Any:
    return _figure(
        "Net of idle?",
        "Energy less what its devices would have used at rest: the idle watts that its prerun measured, times the "
        "seconds it held them. Not what it would save to switch the machine off.",
        units.WattHour,
        ask.NET_ENERGY,
        "No idle baseline: run the prerun stage, or declare idle_watts",
    )


def _per_token() -> Any:
    return _figure(
        "J per trained token?",
        "All energy of the run over the tokens that its student was trained on, as in the paper. Not the energy of "
        "serving a token.",
        units.Joule,
        ask.JOULES_PER_TOKEN,
        "No trained tokens yet: stage.add_tokens(trained=N)",
    )


def _quality() -> Any:
    return _figure(
        "Quality Q?",
        "Mean of score over the teacher's score, equal weights, of the benchmarks that have both. 1 is as good as the "
        "teacher; runs scored on different benchmarks do not compare.",
        units.NoUnit,
        ask.QUALITY,
        "No score with a teacher's beside it: run.score(BENCHMARK, S, reference=T)",
        2,
    )


def _co2e() -> Any:
    return _figure(
        "How much CO2e?",
        "kWh × PUE × grams per kWh of the zone that its exporters are configured with now. Derived, never measured.",
        units.Gram,
        ask.CO2E,
        "No zone is configured: joulemark serve --carbon.zone DE",
    )


def _cost() -> Any:
    panel = panels.number(
        About(
            "What did its energy cost?",
            "kWh × PUE × price that its exporters are configured with now, in the currency named. Energy only.",
            units.NoUnit,
            "No price is configured: joulemark serve --price.per-kwh 0.3 --price.currency EUR",
        ),
        latest("A", ask.COST, "{{currency}}"),
    )
    return panel.text_mode("value_and_name")


def _timeline() -> Any:
    panel = panels.states(
        About(
            "Which stage and phase ran when?",
            "A line for each stage and phase, filled while it held a device. A nested stage, such as evaluation within "
            "training, suspends the outer one: its line is filled where the outer one's is not. What is shorter than a "
            "scrape may be missing here; its energy is not missing anywhere.",
            units.NoUnit,
            "Nothing ran within this time: widen the range; imported runs have no times",
        ),
        *by_stage(ask.phases, "{{stage}} {{phase}}", over=True),
    )
    panel = with_stage_colours(panels.coloured(panel, OTHER_STAGE))
    shown_states = mapped({"0": ("not running", "transparent"), "1": ("running", None)})
    return panel.override_by_regexp("/.*/", [shown_states])


def _power() -> Any:
    panel = panels.curves(
        About(
            "How much power did each device draw for it?",
            "Latest power of the devices that this run holds; a device that it shares counts with its part. For energy "
            "use the counters, not the area under this curve.",
            units.Watt,
            "No device was held within this time; imported runs have no curve",
        ),
        over_time("A", ask.DEVICE_WATTS, "{{device}} of {{instance}}"),
    )
    return panels.told_apart(panel.min(0))


def _tokens() -> Any:
    panel = panels.curves(
        About(
            "How many tokens, of which kind?",
            "Tokens that its stages say they handled: prompt, generated, cached, trained, evaluated. Cumulative.",
            units.Short,
            "No tokens yet: stage.add_tokens(trained=N)",
        ),
        over_time("A", ask.TOKENS, "{{stage}}: {{kind}}"),
    )
    return panels.told_apart(panel.min(0))


def _stages() -> Any:
    columns = {
        "stage": "stage", "Value #A": "joules", "Value #B": "± joules", "Value #C": "share", "Value #D": "mean power",
        "Value #E": "time", "Value #F": "tokens", "Value #G": "J/token",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "What did each stage use, and how sure is that?",
            "Joules of each stage with its bound ±, its share of the run, mean power over the time it held a device, "
            "and joules per token of its own. The bound does not hold the sensor's own error; it is empty for energy "
            "that others published.",
            units.Joule,
            _NO_RUN,
        ),
        *tables(
            ask.STAGE_JOULES, ask.STAGE_UNCERTAINTY, ask.STAGE_SHARE, ask.STAGE_WATTS, ask.STAGE_SECONDS,
            ask.STAGE_TOKENS, ask.STAGE_JOULES_PER_TOKEN,
        ),
        changes=[join("stage"), *shown(columns), sorted_by("joules", descending=True)],
    )  # fmt: skip
    for name, unit in (("mean power", units.Watt), ("time", units.Seconds), ("tokens", units.Short)):
        panel = column(panel, name, unit)
    return _with_share(panel)


def _phases() -> Any:
    columns = {
        "stage": "stage", "phase": "phase", "Value #A": "joules", "Value #B": "± joules", "Value #C": "share",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "And each phase?",
            "Joules of each phase of each stage with its bound ±, and its share of the run; evaluation that was nested "
            "in training included. Phases of a stage add up to it, and so do their bounds.",
            units.Joule,
            _NO_RUN,
        ),
        *tables(ask.PHASE_JOULES, ask.PHASE_UNCERTAINTY, ask.PHASE_SHARE),
        changes=[join("key"), *shown(columns), sorted_by("joules", descending=True)],
    )
    return _with_share(panel)


def _with_share(panel: Any) -> Any:
    """The column `share` as a bar of the whole run."""
    gauge = DynamicConfigValue(id_val="custom.cellOptions", value={"type": "gauge", "mode": "basic"})
    panel = column(panel, "share", units.PercentUnit, 1)
    return panel.override_by_name("share", [gauge, DynamicConfigValue(id_val="max", value=1)])


def _per_token_over_time() -> Any:
    panel = panels.curves(
        About(
            "How does J/token go, stage by stage?",
            "Joules of each stage until then over the tokens that it had handled until then: prompt tokens only where "
            "it handled no others. It starts high where work begins before the first token.",
            units.Joule,
            "No tokens yet: stage.add_tokens(trained=N)",
        ),
        over_time("A", ask.JOULES_PER_TOKEN_OVER_TIME, "{{stage}}"),
    )
    return with_stage_colours(panels.coloured(panel.min(0), OTHER_STAGE))
