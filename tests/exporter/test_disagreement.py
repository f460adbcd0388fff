"""The two estimators of a device held against each other: exported, and said aloud when somebody should look."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nvml_mock import Constant, Gpu, Square, VirtualBench

from joulemark.attribution.agreement import ALERT_RATIO, Agreement, Seen
from joulemark.exposition.page import Page

MakeBench = Callable[..., VirtualBench]


def shown(bench: VirtualBench) -> dict[str, float]:
    """Device to disagreement as a scrape has it."""
    page = Page("0.0.0").text(bench.meter.snapshot(), openmetrics=False).decode()
    name = "joulemark_estimator_disagreement_ratio{"
    lines = [line for line in page.splitlines() if line.startswith(name)]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.mark.parametrize(("gain", "ratio"), [(1.0, 0.0), (1.1, 0.1), (0.8, 0.2)])
def test_a_gauge_that_is_wrong_shows_by_how_much(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture, gain: float, ratio: float
) -> None:
    bench = make_bench(Gpu({"gain": gain}))
    bench.begin("a", Constant(400.0))
    bench.wait(70.0)
    assert shown(bench) == {"gpu0": pytest.approx(ratio, abs=0.01)}
    assert ("estimators_disagree" in caplog.text) == (ratio > 0)


def test_what_sampling_alone_has_apart_is_not_said(make_bench: MakeBench, caplog: pytest.LogCaptureFixture) -> None:
    bench = make_bench(Gpu({"power_tick": 0.1}))
    bench.wait(5.0)
    bench.begin("a", Square(180.0, 690.0, 9.7))
    bench.wait(60.0)
    assert shown(bench) == {"gpu0": pytest.approx(0.0, abs=0.02)}
    assert "estimators_disagree" not in caplog.text


def test_disagreement_is_said_once_and_once_more_when_it_is_over(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = Gpu(), Gpu({"gain": 1.15})
    bench = make_bench(good, bad)
    bench.begin("a", Constant(400.0))
    bench.wait(40.0)
    said = [record.getMessage() for record in caplog.records if "estimators" in record.getMessage()]
    assert [line.partition(" ratio")[0] for line in said] == ["device=gpu1 event=estimators_disagree"]
    bad.properties["gain"] = 1.0
    bench.script.save()
    bench.wait(90.0)
    said = [record.getMessage() for record in caplog.records if "estimators" in record.getMessage()]
    assert [line.partition(" ratio")[0] for line in said[1:]] == ["device=gpu1 event=estimators_agree"]


def test_it_is_absent_where_there_is_only_one_estimator_and_before_there_is_enough(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu(), Gpu({"counter": 0}))
    bench.begin("a", Constant(400.0))
    bench.wait(5.0)
    assert shown(bench) == {}
    bench.wait(20.0)
    assert set(shown(bench)) == {"gpu0"}


@pytest.mark.parametrize("fault", ["power_error", "lost", "counter_error", "frozen"])
def test_what_one_estimator_missed_is_no_disagreement(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    bench = make_bench(Gpu())
    bench.begin("a", Square(100.0, 650.0, 0.7))
    bench.wait(30.0)
    now = bench.clock.steady()
    bench.script.fault(fault, now, now + 8.0)
    bench.script.save()
    bench.wait(40.0)
    assert shown(bench)["gpu0"] < ALERT_RATIO
    assert "estimators_disagree" not in caplog.text


def test_a_ratio_around_the_threshold_does_not_flap() -> None:
    agreement, turns, energy, integral = Agreement(), 0, 0.0, 0.0
    for second in range(600):
        energy += 100.0
        integral += 100.0 * (1.05 + (0.004 if second % 120 < 60 else -0.004))
        turns += agreement.note(Seen(float(second), energy, integral))
    assert turns == 1
