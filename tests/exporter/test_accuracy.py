"""The accuracy benchmark's cases, each a few times: the wanted figures and the stated bounds hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.accuracy.cases import CASES, Case
from benchmarks.accuracy.measure import measure

RUNS = 8
# What 95 of 100 runs stay within is told by no fewer, where how waves lie to the samples decides.
RUNS_OF_SAMPLES = 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_wanted_accuracy_is_reached_and_the_stated_bound_holds(
    case: Case, nvml_library: Path, tmp_path: Path
) -> None:
    result = measure(case, nvml_library, tmp_path, RUNS if case.use_counter else RUNS_OF_SAMPLES)
    assert result.missed == []
    # When power changes that is only sampled, no sample tells.
    assert result.held >= (90.0 if case.lags and not case.use_counter else 100.0), [
        x for x in result.windows if not x.holds
    ]
    # A bound that is wide enough for anything would be no bound. Waves that a gauge cannot follow are not known better,
    # nor what lies between two calls that take a large part of a tick.
    followed = (case.use_counter or case.wanted.worst is not None) and case.card.get("latency", 0.0) <= 0.005
    if followed and not case.faults and all(window.truth > 200 for window in result.windows):
        assert result.bound < 1.0
    assert result.residual < 1e-6
    # A frozen counter is no gap: power stands in for it.
    assert (min(result.gaps) > 0) == any(fault.kind != "frozen" for fault in case.faults)


def test_an_outage_is_no_reason_to_be_wrong_about_the_stages_beside_it(nvml_library: Path, tmp_path: Path) -> None:
    (case,) = [case for case in CASES if case.name == "GPU lost 5 s across a boundary"]
    result = measure(case, nvml_library, tmp_path, RUNS)
    assert min(result.gaps) == pytest.approx(5.0, abs=0.5)
    beside = [stage for stage in result.stages if stage.stage not in ("teacher", "student")]
    assert max(stage.ratio for stage in beside) < 0.002
    # Nothing is lost either: the counter ran on, and what it gained is booked to the two stages.
    assert result.total < 0.01
