"""Estimators that disagree are told of, in every form; what a gauge honestly shows late is no disagreement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nvml_mock import Constant, Gpu, Shape, Square, VirtualBench
from report.samples import HOSTILE, apart, report_of

from joulemark.ledger.state import StageRequest
from joulemark.report import Report, as_text
from joulemark.report.notes import footnotes

MakeBench = Callable[..., VirtualBench]
GAUGES = pytest.mark.parametrize(
    "properties",
    [{}, {"power_tick": 0.1}, {"instant": 0, "arch": 7, "name": "NVIDIA A40", "average": 1.0}],
    ids=["fast", "slow", "averaged"],
)
# A run of 52 s, as a first try is.
SHORT_RUN: list[tuple[str, float, Shape]] = [
    ("prerun", 5.0, Constant(90.0)),
    ("data", 3.0, Constant(120.0)),
    ("teacher", 14.0, Constant(450.0)),
    ("student", 20.0, Square(620.0, 480.0, 0.7)),
    ("eval", 10.0, Constant(350.0)),
]


def told(bench: VirtualBench) -> list[str]:
    """What a report of the bench's run says of estimators that disagree."""
    bench.meter.keep_up()
    lines = footnotes(report_of({"run": bench.meter.run_record("run")}))
    return [line for line in lines if "disagree" in line]


@GAUGES
@pytest.mark.parametrize("gain", [1.1, 0.9])
def test_a_short_run_tells_that_its_gauge_is_a_tenth_off(
    make_bench: MakeBench, properties: dict[str, float | str], gain: float
) -> None:
    bench = make_bench(Gpu({**properties, "gain": gain}))
    bench.wait(4.0)
    bench.run(SHORT_RUN)
    lines = told(bench)
    for where in ("teacher", "student", "eval", "the run as a whole"):
        assert any(f"in {where} on gpu0" in line for line in lines), where


@GAUGES
def test_a_short_run_whose_gauge_is_right_tells_nothing(
    make_bench: MakeBench, properties: dict[str, float | str]
) -> None:
    bench = make_bench(Gpu(dict(properties)))
    bench.wait(4.0)
    bench.run(SHORT_RUN)
    assert told(bench) == []


@GAUGES
def test_stages_that_interrupt_each_other_faster_than_an_average_tells_are_no_disagreement(
    make_bench: MakeBench, properties: dict[str, float | str]
) -> None:
    bench = make_bench(Gpu(dict(properties)))
    bench.wait(4.0)

    def follow(watts: float) -> None:
        bench.script.power(bench.clock.steady(), Constant(watts))
        bench.script.save()

    outer, _ = bench.meter.begin(StageRequest("run", "student"))
    for _ in range(20):
        follow(600.0)
        bench.wait(0.6)
        inner, _ = bench.meter.begin(StageRequest("run", "eval", nest=True))
        follow(120.0)
        bench.wait(0.4)
        bench.meter.end(str(inner["id"]), {})
    bench.meter.end(str(outer["id"]), {})
    bench.wait(3.0)
    assert told(bench) == []


def lines_of(one: dict[str, Any]) -> list[str]:
    return [line for line in footnotes(report_of({one["run"]: one})) if "disagree" in line]


def test_a_bound_that_is_known_is_allowed_for() -> None:
    assert lines_of(apart("kd", uncertainty_joules=500.0))
    assert not lines_of(apart("kd", uncertainty_joules=700.0))


def test_of_several_windows_all_but_one_may_be_too_short_to_tell() -> None:
    assert lines_of(apart("kd", windows=2))
    assert not lines_of(apart("kd", windows=3))


def floats(report: Report) -> list[str]:
    return as_text(report, "latex").split("\\begin{table}")[1:]


def test_latex_has_the_doubt_below_each_table_of_joules() -> None:
    scored = {**apart("kd_1"), "scores": [{"benchmark": "gsm8k", "score": 0.4, "reference": 0.8, "n": 100}]}
    for one in floats(report_of({"kd_1": scored})):
        body, below = one.split("\\end{tabular}}")
        assert "disagree" not in body
        doubted = r"kd\_1: energy counter and sampled power disagree by 10.0 \% in teacher on gpu0" in below
        assert doubted == ("tab:joulemark-scores" not in one)
    assert "disagree" not in as_text(report_of({"kd_1": apart("kd_1", windows=3)}), "latex")


def test_latex_prints_a_doubt_as_it_is() -> None:
    (first, *_) = floats(report_of({HOSTILE: apart(HOSTILE)}))
    below = first.split("\\end{tabular}}")[1]
    assert (
        r"\textless{}script\textgreater{}alert(1)\textless{}/script\textgreater{}\textbar{}[bold]\$x\$\&amp;" in below
    )
