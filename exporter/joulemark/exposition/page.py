"""The text of /metrics: the text of what did not change since the last scrape is used again.

A page of hundreds of finished runs has tens of thousands of lines of which a handful change.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client.utils import floatToGoString

from ..ledger.snapshot import RunView, SeriesView, Snapshot
from ..ledger.windows import SeriesKey
from ..metrics import TABLE, Metric
from .exposition import Sample, of_moment, of_run, of_series

# The lines of each metric that one thing has, in one text.
Lines = dict[str, str]


class _Labels(NamedTuple):
    """How a metric's labels are written: in the order of their names, each from its place in the sample."""

    heads: tuple[str, ...]
    places: tuple[int, ...]


class Page:
    """Writes pages, each from a snapshot; `version` is the release shown on it."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._lock = threading.Lock()
        self._series: dict[SeriesKey, tuple[SeriesView, Lines]] = {}
        self._runs: dict[str, tuple[RunView, Lines]] = {}

    def text(self, snapshot: Snapshot, beside: Iterable[Sample] = (), *, openmetrics: bool) -> bytes:
        """The page of this snapshot and the samples beside it, in the OpenMetrics or the older text format."""
        with self._lock:
            parts: dict[str, list[str]] = {metric.name: [] for metric in TABLE}
            for lines in (*self._pieces(snapshot), _lines(beside)):
                for name, text in lines.items():
                    parts[name].append(text)
        texts = (text for metric in TABLE for text in (_head(metric, openmetrics=openmetrics), *parts[metric.name]))
        return ("".join(texts) + ("# EOF\n" if openmetrics else "")).encode()

    def _pieces(self, snapshot: Snapshot) -> Iterable[Lines]:
        self._series = {view.key: self._of_series(view) for view in snapshot.series}
        self._runs = {run.name: self._of_run(run) for run in snapshot.runs}
        yield _lines(of_moment(snapshot, self._version))
        for known in (self._series, self._runs):
            yield from (lines for _, lines in known.values())

    def _of_series(self, view: SeriesView) -> tuple[SeriesView, Lines]:
        known = self._series.get(view.key)
        # The same object is the same text: views are immutable.
        return known if known and known[0] is view else (view, _lines(of_series(view)))

    def _of_run(self, run: RunView) -> tuple[RunView, Lines]:
        known = self._runs.get(run.name)
        return known if known and known[0] is run else (run, _lines(of_run(run)))


def _lines(samples: Iterable[Sample]) -> Lines:
    lines: Lines = {}
    for name, values, value in samples:
        heads, places = _LABELS[name]
        labels = ",".join([f'{head}"{_escaped(values[place])}"' for head, place in zip(heads, places, strict=True)])
        number = floatToGoString(value)  # type: ignore[no-untyped-call]
        text = f"{name}{{{labels}}} {number}\n" if labels else f"{name} {number}\n"
        lines[name] = lines.get(name, "") + text
    return lines


def _head(metric: Metric, *, openmetrics: bool) -> str:
    name, text = metric.name, metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    if openmetrics:
        # There a counter's family is named without the ending of its samples.
        name, text = name.removesuffix("_total"), text.replace('"', '\\"')
    return f"# HELP {name} {text}\n# TYPE {name} {metric.type}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _label_order(metric: Metric) -> _Labels:
    ordered = sorted(range(len(metric.labels)), key=lambda place: metric.labels[place])
    return _Labels(tuple(f"{metric.labels[place]}=" for place in ordered), tuple(ordered))


_LABELS: Mapping[str, _Labels] = {metric.name: _label_order(metric) for metric in TABLE}
