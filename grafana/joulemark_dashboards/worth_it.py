"""The board Was it worth it?: energy against quality, and when a teacher's output is paid for."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from . import panels, variables
from .layout import Board, run_link
from .panels import About
from .queries import worth_it as ask
from .style import BAD, GOOD, ORIGINS, QUIET, REASONS, column, fixed, with_origin_marked, words
from .targets import as_numbers, instant, join, matrix, ordered, shown, sorted_by, tables

_NO_SCORE = "No run with energy and a score yet: run.score(BENCHMARK, SCORE, reference=TEACHER_SCORE)"
_NAMES = {"measured": "", "modelled": "MODELLED, ", "published": "PUBLISHED, "}
# Series of the frontier: circles for it, squares for what others beat; full where measured, hollow where not.
CLASSES = {
    (origin, optimal): f"{_NAMES[origin]}{'on the frontier' if optimal else 'dominated'}"
    for origin in ORIGINS
    for optimal in (True, False)
}
UNJUDGED = "not judged: joulemark frontier is not scraped"


def build() -> dashboard.Dashboard:
    """The board, panels unnumbered."""
    board = Board(
        "worth_it",
        "Energy against quality: which runs no other beats, and after how many reuses a teacher has paid off.",
        [*variables.source(), *variables.runs(), variables.accounting(), *variables.factors()],
        span="now-24h",
    )
    board.row(16, (14, _pareto()), (10, _places()))
    board.row(9, (24, _verdicts()))
    board.row(12, (12, _amortised()), (12, _throughput()))
    board.row(10, (24, _footprint()))
    return board.made


def _pareto() -> Any:
    """One table by run, with a column for each class of runs, which Grafana draws as a series each."""
    asked = [ask.quality(origin, optimal=optimal) for origin, optimal in CLASSES]
    names = dict(zip((f"Value #{letter}" for letter in "BCDEFG"), CLASSES.values(), strict=True))
    columns = {"run": "run", "Value #A": "energy", **names, "Value #H": UNJUDGED}
    panel = panels.scatter(
        About(
            "Which runs does no other beat in energy and quality?",
            "Each point is a run: energy in the chosen accounting to the right, Q (mean score over the teacher's) up. "
            "Circles are on the frontier: no run of the same origin is as good and cheaper, or as cheap and better. "
            "Squares are dominated. Colour is the origin: measured here, modelled, or published by others. A run of "
            "one seed is one draw: two points near each other may well change places.",
            units.NoUnit,
            _NO_SCORE,
        ),
        "energy",
        [*CLASSES.values(), UNJUDGED],
        *tables(ask.WATT_HOURS, *asked, ask.UNJUDGED),
        changes=[join("run"), *shown(columns)],
    )
    panel = panel.axis_label("Q").override_by_name(
        "energy",
        [
            DynamicConfigValue(id_val="unit", value=units.WattHour),
            DynamicConfigValue(id_val="custom.axisLabel", value="energy, in the chosen accounting"),
            # A demo and a paper are six orders of magnitude apart.
            DynamicConfigValue(id_val="custom.scaleDistribution", value={"type": "log", "log": 10}),
        ],
    )
    panel = panel.point_size(panels.point_size(11)).point_stroke_width(2).fill_opacity(70)
    for (origin, optimal), name in CLASSES.items():
        panel = panel.override_by_name(name, _drawn(ORIGINS[origin][1], circle=optimal, full=optimal))
    return panel.override_by_name(UNJUDGED, _drawn(QUIET, circle=True, full=False))


def _drawn(colour: str, *, circle: bool, full: bool) -> list[DynamicConfigValue]:
    return [
        fixed(colour),
        DynamicConfigValue(id_val="custom.pointShape", value="circle" if circle else "square"),
        DynamicConfigValue(id_val="custom.fillOpacity", value=80 if full else 0),
    ]


def _places() -> Any:
    columns = {
        "run": "run", "origin": "origin", "Value #A": "energy", "Value #B": "±", "Value #C": "Q",
        "Value #D": "frontier",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "What are the figures behind the points?",
            "Energy in the chosen accounting with its bound ±, and Q of each run, and whether it is on the frontier "
            "of its origin. A bound that cannot be known, as of published energy, is empty. "
            "Without joulemark frontier running and scraped, the last column is empty.",
            units.WattHour,
            _NO_SCORE,
        ),
        *tables(ask.WATT_HOURS, ask.UNCERTAINTY, ask.QUALITY, ask.FLAG, ask.FACTS_OF_RUN),
        changes=[join("run"), *shown(columns), sorted_by("energy")],
    )
    panel = column(panel, "Q", units.NoUnit, 2, 60)
    for name, width in (("energy", 85), ("±", 80), ("origin", 100)):
        panel = column(panel, name, width=width)
    panel = panel.override_by_name("frontier", [words({"1": "yes", "0": "no"})])
    panel = column(panel, "frontier", units.NoUnit, 0, 80)
    return with_origin_marked(panels.linked(panel, "run", "Open this run", run_link("run")))


def _verdicts() -> Any:
    columns = {
        "pipeline": "pipeline", "student": "student", "dataset": "data set", "origin": "origin", "Value #A": "runs",
        "Value #B": "N*", "Value #C": "N* spread", "verdict 1": "reuse of the teacher's output", "Value #E": "T*",
        "verdict 2": "serving",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "After how many reuses, and how many served tokens, does distilling pay?",
            "By cell (runs that differ only in seed). N* = full teacher cost / (student energy of the baseline − of "
            "the run): how many students must share the teacher's output. T* = extra one-off energy / (joules per "
            "served token of the reference − of the student). Means over the cell's runs that have one; where there is "
            "none, why. A break-even in energy, at the quality that the runs have: it does not weigh quality.",
            units.NoUnit,
            "No cell yet: declare pipeline and student of a run, e.g. joulemark.run(NAME, pipeline='kd', student=…)",
        ),
        *tables(
            ask.RUNS_OF_CELL, ask.REUSES, ask.REUSES_SPREAD, ask.REUSES_SENTENCE, ask.TOKENS, ask.TOKENS_SENTENCE,
            ask.CELLS,
        ),
        changes=[join("cell"), *shown(columns)],
    )  # fmt: skip
    for name, unit, decimals, width in (
        ("pipeline", "", None, 110), ("student", "", None, 150), ("origin", "", None, 95), ("runs", "", 0, 50),
        ("N*", "", 2, 60), ("N* spread", "", 2, 85), ("T*", units.Short, 1, 70),
        ("reuse of the teacher's output", "", None, 250), ("serving", "", None, 250),
    ):  # fmt: skip
        panel = column(panel, name, unit, decimals, width)
    for name in ("reuse of the teacher's output", "serving"):
        panel = panel.override_by_name(name, [words(REASONS)])
    return with_origin_marked(panel)


def _amortised() -> Any:
    panel = panels.against(
        About(
            "From how many students on is a shared teacher paid for?",
            "(E_student + E_teacher / N) over the student energy of the run's baseline, the teacher's energy in full: "
            "N students share its output. Where a curve falls below 100 % is N*; one that stays above never pays off. "
            "Runs without a teacher or without a baseline are not here. Data preparation and evaluation are left out, "
            "as they are the same either way.",
            units.PercentUnit,
            "No run with a teacher's output and a baseline yet: a run of pipeline sft of the same student and data set",
        ),
        "students",
        instant("A", ask.AMORTISED),
        changes=[
            matrix("students", "run"),
            ordered("students\\run", called="students"),
            as_numbers("students"),
            sorted_by("students"),
        ],
    )
    share = [
        DynamicConfigValue(id_val="unit", value=units.NoUnit),
        DynamicConfigValue(id_val="custom.axisLabel", value="students that share the output (N)"),
    ]
    panel = panels.limits(panels.told_apart(panel.min(0)), (None, GOOD), (1, BAD)).thresholds_style(panels.limit_line())
    return panel.override_by_name("students", share)


def _throughput() -> Any:
    names = {"measured": "measured", "modelled": "MODELLED", "published": "PUBLISHED"}
    columns = {
        "run": "run", "Value #A": "throughput",
        **dict(zip((f"Value #{letter}" for letter in "BCD"), names.values(), strict=True)),
    }  # fmt: skip
    panel = panels.scatter(
        About(
            "Does training faster cost more energy?",
            "Each point is a run: tokens trained per second of its student stage to the right, energy in the chosen "
            "accounting up. Runs on different hardware stand side by side here: compare within one machine.",
            units.WattHour,
            "No run with trained tokens and a student stage that took time yet: stage.add_tokens(trained=N)",
        ),
        "throughput",
        list(names.values()),
        *tables(ask.THROUGHPUT, *(ask.energy_of(origin) for origin in ORIGINS)),
        changes=[join("run"), *shown(columns)],
    )
    panel = panel.axis_label("energy").override_by_name(
        "throughput",
        [
            DynamicConfigValue(id_val="unit", value=units.CountsPerSecond),
            DynamicConfigValue(id_val="custom.axisLabel", value="trained tokens per second"),
        ],
    )
    panel = panel.point_size(panels.point_size(11)).point_stroke_width(2).fill_opacity(70)
    for origin, (_, colour) in ORIGINS.items():
        drawn = _drawn(colour, circle=origin == "measured", full=origin == "measured")
        panel = panel.override_by_name(names[origin], drawn)
    return panel


def _footprint() -> Any:
    columns = {
        "run": "run", "pipeline": "pipeline", "student": "student", "origin": "origin", "Value #A": "energy",
        "Value #B": "±", "Value #C": "with PUE", "Value #D": "CO2e", "Value #E": "cost",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "What would it emit and cost elsewhere?",
            "kWh × PUE × grams per kWh, and kWh × PUE × price, of the energy in the chosen accounting (± is its "
            "bound), with the PUE, zone and price chosen above. Derived, never measured: a yearly mean says nothing of "
            "the hour at which a run ran. As configured means what the exporters say; it is empty where they say "
            "nothing, or where the price is not set.",
            units.WattHour,
            "No run yet",
        ),
        *tables(ask.WATT_HOURS, ask.UNCERTAINTY, ask.FACILITY_WATT_HOURS, ask.CO2E, ask.COST, ask.FACTS_OF_RUN),
        changes=[join("run"), *shown(columns)],
    )
    for name, unit, decimals in (("CO2e", units.Gram, None), ("cost", units.NoUnit, None)):
        panel = column(panel, name, unit, decimals)
    panel = column(panel, "origin", width=100)
    return with_origin_marked(panels.linked(panel, "run", "Open this run", run_link("run")))
