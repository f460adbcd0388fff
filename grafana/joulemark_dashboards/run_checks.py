"""The lower part of the board Run: scores, artifacts, hardware, and whether to believe the figures."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models import units

from . import panels
from .panels import About
from .queries import run as ask
from .style import BAD, GOOD, WARNING, column, fixed, told_by_colour, words
from .targets import instant, join, over_time, shown, sorted_by, tables


def scores() -> Any:
    """The benchmarks behind Q."""
    columns = {
        "benchmark": "benchmark", "Value #A": "score", "Value #B": "teacher's score", "Value #C": "score / teacher's",
    }  # fmt: skip
    return panels.rows(
        About(
            "How good is its student, benchmark by benchmark?",
            "The score of the student, of its teacher, and their quotient; Q is the mean of the quotients. A benchmark "
            "without a teacher's score is not in Q.",
            units.NoUnit,
            "No score yet: run.score(BENCHMARK, SCORE, reference=TEACHER_SCORE)",
            3,
        ),
        *tables(ask.SCORES, ask.REFERENCE_SCORES, ask.BENCHMARK_QUALITY),
        changes=[join("benchmark"), *shown(columns)],
    )


def artifacts() -> Any:
    """What it made and used of teachers' output."""
    columns = {
        "artifact": "artifact", "Value #A": "produced", "Value #B": "consumed", "Value #C": "cost of making it",
        "Value #D": "±", "Value #E": "used by runs",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "Which teacher output did it produce and consume?",
            "Artifacts such as logit caches and generated text, what making each once costs (the teacher stage of the "
            "runs that made it, in equal parts over what they made) with its bound ±, and how many runs used it. An "
            "empty cost means that no known run made it.",
            units.WattHour,
            "No artifact: run.artifact(NAME, kind='logit_cache', role='produced' or 'consumed')",
        ),
        *tables(ask.PRODUCED, ask.CONSUMED, ask.ARTIFACT_WATT_HOURS, ask.ARTIFACT_UNCERTAINTY, ask.ARTIFACT_CONSUMERS),
        changes=[join("artifact"), *shown(columns)],
    )
    for name in ("produced", "consumed"):
        panel = column(panel.override_by_name(name, [words({"1": "yes"})]), name, units.NoUnit, 0, 90)
    return column(panel, "used by runs", units.NoUnit, 0, 110)


def hardware() -> Any:
    """On what it ran, and how that was metered."""
    columns = {
        "instance": "exporter", "device": "device", "model": "model", "source": "source", "driver": "driver",
    }  # fmt: skip
    sources: dict[str, tuple[str, str | None]] = {
        "nvml_counter": ("nvml_counter: measured, energy counter", GOOD),
        "nvml_power": ("nvml_power: measured, power sampled", GOOD),
        "rapl": ("rapl: measured, energy counter", GOOD),
        "cpu_model": ("cpu_model: MODELLED, not measured", WARNING),
        "replay": ("replay: MODELLED, a script", WARNING),
    }
    panel = panels.rows(
        About(
            "On what hardware, and by which source?",
            "Devices that the run held within this time and how they were metered. Compare joules of runs only on the "
            "same model. Imported and published runs held no device here.",
            units.String,
            "It held no device of these exporters within this time: widen the range",
        ),
        instant("A", ask.HARDWARE),
        changes=shown(columns),
    )
    panel = column(column(panel, "device", width=70), "source", width=270)
    return told_by_colour(panel, "source", sources)


def estimators() -> Any:
    """The counters beside the integral of power."""
    columns = {
        "stage": "stage", "Value #A": "energy counter", "Value #B": "± joules", "Value #C": "power integrated",
        "Value #D": "disagreement", "Value #E": "from scrapes",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "Do the two estimators agree?",
            "Joules of each stage by the energy counter and by power that the exporter sampled and integrated, over "
            "the devices that have both, and their disagreement. More than 5 % over minutes: one of the sensors is "
            "wrong; over seconds sampling alone may do that. The bound ± is that of the counter's joules, and holds "
            "all devices of the stage; of the other two none is known. The last is what Prometheus makes of watts it "
            "scraped, of all devices: coarser, blind between scrapes.",
            units.Joule,
            "No device with two estimators: an NVIDIA GPU with an energy counter has both",
        ),
        *tables(ask.BY_COUNTER, ask.BY_COUNTER_UNCERTAINTY, ask.BY_POWER, ask.DISAGREEMENT, ask.BY_SCRAPES),
        changes=[join("stage"), *shown(columns), sorted_by("stage")],
    )
    return column(panel, "disagreement", units.PercentUnit, 2, 120)


def faults() -> Any:
    """Gaps, breaks and errors of its devices."""
    panel = panels.curves(
        About(
            "Were there gaps or faults while it ran?",
            "Of the devices that it held: seconds that no reading covers, readings that could not be joined to those "
            "before (resets, reloads, lost GPUs), and readings that failed. Level at 0 is good. A gap widens the bound "
            "±, it makes up no joule.",
            units.Short,
            "It held no device of these exporters within this time: widen the range",
        ),
        over_time("A", ask.GAP_SECONDS, "{{device}} of {{instance}}: seconds of gap"),
        over_time("B", ask.BREAKS, "{{device}} of {{instance}}: {{reason}}"),
        over_time("C", ask.ERRORS, "{{device}} of {{instance}}: errors, {{reason}}"),
    )
    return panels.told_apart(panel.min(0)).override_by_regexp("/seconds of gap/", [fixed(BAD)])
