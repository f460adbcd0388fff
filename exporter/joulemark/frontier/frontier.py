"""The frontier as an exporter of its own: asks Prometheus for the runs at each scrape, and keeps nothing.

What PromQL cannot say in a rule is computed here from what the recording rules give, by the same pure function as the
report's. When Prometheus cannot be asked there are no flags, not old ones, and `joulemark_frontier_up` is 0.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .. import promql
from ..accounting import Point, frontier
from ..metrics import FRONTIER_TABLE
from ..promql import PromQLError

log = logging.getLogger(__name__)

_ENERGY = "max by (run, accounting) (run_accounting:joulemark_energy_joules:sum)"
_QUALITY = "max by (run) (run:joulemark_quality:ratio)"
_THROUGHPUT = "max by (run) (run:joulemark_tokens_per_second:ratio)"
_ORIGIN = "max by (run, origin) (run:joulemark_run_origin:info)"

Sample = tuple[str, tuple[str, ...], float]


class FrontierCollector(Collector):
    """Asks afresh at each scrape, waiting for each answer at most `timeout_seconds`."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout = timeout_seconds
        self._failed = False

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families = {
            metric.name: GaugeMetricFamily(metric.name, metric.help, labels=metric.labels) for metric in FRONTIER_TABLE
        }
        for name, labels, value in self._samples():
            families[name].add_metric(labels, value)
        yield from families.values()

    def _samples(self) -> list[Sample]:
        began = time.perf_counter()
        try:
            flags = list(samples(self._url, self._timeout))
        except PromQLError as error:
            if not self._failed:
                log.warning("prometheus=%s up=0 reason=%s", self._url, error)
            self._failed = True
            return [("joulemark_frontier_up", (), 0.0)]
        if self._failed:
            log.warning("prometheus=%s up=1", self._url)
        self._failed = False
        seconds = time.perf_counter() - began
        return [*flags, ("joulemark_frontier_up", (), 1.0), ("joulemark_frontier_query_duration_seconds", (), seconds)]


def samples(url: str, timeout_seconds: float) -> Iterator[Sample]:
    """The flag of every run that has a place, by accounting, over two axes and over three. Raises PromQLError."""
    energy, quality, throughput, origin = (
        promql.instant(url, query, timeout_seconds) for query in (_ENERGY, _QUALITY, _THROUGHPUT, _ORIGIN)
    )
    origins = {labels["run"]: labels["origin"] for labels, _ in origin}
    qualities = {labels["run"]: value for labels, value in quality}
    rates = {labels["run"]: value for labels, value in throughput}
    by_accounting: dict[str, dict[str, float]] = {}
    for labels, joules in energy:
        by_accounting.setdefault(labels["accounting"], {})[labels["run"]] = joules
    for accounting, joules_by_run in sorted(by_accounting.items()):
        for metric, axes in (
            ("joulemark_run_pareto_optimal", (joules_by_run, qualities)),
            ("joulemark_run_pareto_optimal_with_throughput", (joules_by_run, qualities, rates)),
        ):
            flags = frontier(_points(axes, origins))
            yield from ((metric, (run, accounting), float(flags[run])) for run in sorted(flags))


def _points(axes: tuple[Mapping[str, float], ...], origins: Mapping[str, str]) -> dict[str, tuple[str, Point]]:
    """The runs that have a value on every axis, each with its origin."""
    runs = set(origins).intersection(*axes)
    return {run: (origins[run], tuple(axis[run] for axis in axes)) for run in runs}
