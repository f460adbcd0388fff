"""The text of /metrics is what the client library would write, and what did not change is written as before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meter_rig import Rig
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector, CollectorRegistry

from joulemark.exposition.exposition import of_moment, of_run, of_series
from joulemark.exposition.page import Page
from joulemark.ledger.snapshot import RunView, Score, SeriesView, Snapshot
from joulemark.ledger.windows import SeriesKey
from joulemark.metrics import TABLE

Family = CounterMetricFamily | GaugeMetricFamily


class Reference(Collector):
    """The same samples as families of the client library."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def collect(self) -> Iterator[Family]:
        families: dict[str, Family] = {}
        for metric in TABLE:
            kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
            families[metric.name] = kind(metric.name, metric.help, labels=metric.labels)
        pieces = [of_moment(self.snapshot, "1.2.3")]
        pieces += [of_series(view) for view in self.snapshot.series]
        pieces += [of_run(run) for run in self.snapshot.runs]
        for piece in pieces:
            for name, labels, value in piece:
                families[name].add_metric(labels, value)
        yield from families.values()


def by_library(snapshot: Snapshot, *, openmetrics: bool) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Reference(snapshot))
    page: bytes = generate_openmetrics(registry) if openmetrics else generate_latest(registry)  # type: ignore[no-untyped-call]
    return page


numbers = st.floats(allow_nan=False) | st.integers(0, 10**12).map(float)
names = st.text(min_size=1, max_size=8)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    keys = draw(st.lists(st.builds(SeriesKey, names, names, names), unique=True, max_size=4))
    joules = st.dictionaries(names, numbers, max_size=3)
    series = tuple(
        SeriesView(
            key, draw(joules), draw(joules), draw(numbers), draw(numbers), draw(st.dictionaries(names, st.just(7)))
        )
        for key in keys
    )
    scores = st.lists(st.builds(Score, names, numbers, st.none() | numbers, st.none()), max_size=2)
    runs = tuple(
        RunView(name, "measured", {"teacher": draw(names)}, tuple(draw(scores)))
        for name in draw(st.lists(names, unique=True, max_size=2))
    )
    return Snapshot((), draw(joules), series, runs, 3, 1, 1)


@pytest.mark.parametrize("openmetrics", [False, True])
@given(snapshot=snapshots())
def test_both_formats_are_those_of_the_client_library(snapshot: Snapshot, openmetrics: bool) -> None:
    assert Page("1.2.3").text(snapshot, openmetrics=openmetrics) == by_library(snapshot, openmetrics=openmetrics)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_page_that_uses_old_text_again_is_as_one_written_anew(rig: Rig, openmetrics: bool) -> None:
    page = Page("1.2.3")
    window = ""
    for step in range(12):
        if step % 3 == 0:
            if window:
                rig.meter.end(window, {})
            window = rig.begin(f"run-{step % 2}", f"stage{step}")
        if step == 5:
            rig.meter.score("run-0", "gsm8k", 0.5, 0.6, 10)
        if step == 7:
            rig.meter.heartbeat(window, {"trained": 5})
        rig.wait(0.3)
        snapshot = rig.meter.snapshot()
        text = page.text(snapshot, openmetrics=openmetrics)
        assert text == by_library(snapshot, openmetrics=openmetrics)
        assert f'stage="stage{step // 3 * 3}"' in text.decode()


def test_a_stage_that_nothing_happens_to_is_the_same_object_in_the_next_picture(rig: Rig) -> None:
    rig.meter.end(rig.begin("old", "teacher"), {})
    rig.wait(1.0)
    rig.begin("new", "teacher", devices=["gpu0"])
    before = {view.key.run: view for view in rig.meter.snapshot().series}
    rig.wait(1.0)
    after = {view.key.run: view for view in rig.meter.snapshot().series}
    assert after["old"] is before["old"]
    assert after["new"] is not before["new"]
