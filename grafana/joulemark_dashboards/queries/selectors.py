"""Selectors that all queries are made of. What comes from an exporter is called as in the exporter's own table."""

from __future__ import annotations

from joulemark.metrics import METRICS

EXPORTER = 'job=~"$job",instance=~"$instance"'
RUN = 'run=~"$run"'
_FACTS = 'pipeline=~"$pipeline",student=~"$student",dataset=~"$dataset"'
FACTS = f"run:joulemark_run_facts:info{{{RUN},{_FACTS}}}"
# Grafana scales watt-hours to the kWh in which papers report, and joules of seconds to something that can be read.
PER_WATT_HOUR = "/ 3600"


def metric(name: str, *matchers: str) -> str:
    """Series of the chosen exporters. Raises KeyError for a name that is not in the exporter's table."""
    return f"{METRICS[name].name}{{{','.join((EXPORTER, *matchers))}}}"


def of_runs(rule: str, *matchers: str) -> str:
    """Series of a recording rule, of the chosen runs; rules know no job and no instance."""
    return f"({rule}{{{','.join((RUN, *matchers))}}} and on (run) {FACTS})"


def by_run(rule: str, *matchers: str, operation: str = "max") -> str:
    """One value for each chosen run; of runs of one name at several sites the largest."""
    return f"{operation} by (run) ({of_runs(rule, *matchers)})"


_ORIGIN = "run:joulemark_run_origin:info"
# What is no measurement is said in capitals; a measurement needs no word.
_MARKS = ("modelled", "published")


def _marked(text: str) -> str:
    """The origin of runs, with `text` (which names it as %s) in a label `mark` where it is no measurement."""
    origin = _ORIGIN
    for name in _MARKS:
        origin = f'label_replace({origin}, "mark", "{text % name.upper()}", "origin", "{name}")'
    return f"max by (run, mark) ({origin})"


def by_origin(rule: str) -> str:
    """Sum over the chosen runs, those of each origin apart: MODELLED, PUBLISHED, measured."""
    named = f'label_replace({_marked("%s")}, "mark", "measured", "mark", "")'
    return f"sum by (mark) ({by_run(rule)} * on (run) group_left (mark) {named})"


def with_marked_runs(query: str) -> str:
    """The query with the origin behind the run's name where it is no measurement: kd-1 MODELLED."""
    return f'label_join({query} * on (run) group_left (mark) {_marked(" %s")}, "run", "", "run", "mark")'


def stage_starts(*labels: str) -> str:
    """Unix milliseconds at which open stages began, by stage and `window`, which is stage and phase in one text.

    In an annotation's text Grafana writes the name of a label that is not there, and a phase may not be.
    """
    began = metric("joulemark_stage_started_timestamp_seconds", RUN)
    kept = ", ".join((*labels, "stage", "window"))
    return f'max by ({kept}) (label_join({began}, "window", " ", "stage", "phase")) * 1000'


def keyed(query: str, first: str, second: str) -> str:
    """The query with two labels in one, `key`: tables are joined on one."""
    return f'label_join({query}, "key", " ", "{first}", "{second}")'


def watt_hours(query: str) -> str:
    """The query in watt-hours, for one in joules."""
    return f"{query} {PER_WATT_HOUR}"
