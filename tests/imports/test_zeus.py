"""Zeus' window log as a run, in which no joule is counted twice."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imports.foreign_files import NOTHING_SAID, joules, window, written

from joulemark.imports import ImportFailed
from joulemark.imports.stage_map import StageMap
from joulemark.imports.zeus import zeus_run


def test_zeus_windows_are_stages_by_gpu(tmp_path: Path) -> None:
    rows = [window("generation", 100.0, 50.0, 500.0, 400.0), window("train", 150.0, 30.0, 300.0, 200.0)]
    run = zeus_run(written(tmp_path / "log.csv", rows), "mine", NOTHING_SAID, {"pipeline": "kd"})
    assert (run.name, run.origin, run.importer) == ("mine", "measured", "zeus")
    assert joules(run) == {("teacher", "generation"): 900.0, ("student", ""): 500.0}
    assert run.stages[0].joules == {"zeus-gpu0": 500.0, "zeus-gpu1": 400.0}
    assert (run.stages[0].seconds, run.stages[0].started_at, run.stages[0].ended_at) == (50.0, 100.0, 150.0)


def test_a_zeus_window_inside_another_takes_its_energy_away_from_it(tmp_path: Path) -> None:
    # Zeus writes a line when a window ends, so those inside come first.
    rows = [
        window("eval", 110.0, 10.0, 80.0),
        window("eval", 130.0, 5.0, 40.0),
        window("train", 100.0, 50.0, 500.0),
        window("whole", 90.0, 70.0, 700.0),
    ]
    run = zeus_run(written(tmp_path / "log.csv", rows), "mine", StageMap.parse(["whole=overhead"]), {})
    assert joules(run) == {("overhead", ""): 200.0, ("student", ""): 380.0, ("eval", ""): 120.0}
    assert {stage.stage: stage.seconds for stage in run.stages} == {"overhead": 20.0, "student": 35.0, "eval": 15.0}


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(0.1, 1e4)), min_size=1, max_size=8), st.floats(0, 1e4))
def test_nested_zeus_windows_never_count_a_joule_twice(parts: list[tuple[float, float]], rest: float) -> None:
    rows, at = [], 1000.0
    for number, (seconds, energy) in enumerate(parts):
        rows.append(window(f"eval{number % 2}", at, seconds, energy))
        at += seconds
    total = math.fsum(energy for _, energy in parts) + rest
    rows.append(window("train", 1000.0, at - 1000.0, total))
    with tempfile.TemporaryDirectory() as folder:
        run = zeus_run(written(Path(folder) / "log.csv", rows), "mine", NOTHING_SAID, {})
    assert math.fsum(joules(run).values()) == pytest.approx(total, rel=1e-9)


def test_zeus_windows_that_cross_are_refused_with_the_way_out(tmp_path: Path) -> None:
    rows = [window("train", 100.0, 50.0, 500.0), window("eval", 140.0, 20.0, 100.0)]
    path = written(tmp_path / "log.csv", rows)
    with pytest.raises(ImportFailed, match=r"'train' \(line 2\) and 'eval' \(line 3\) cross, .*--window"):
        zeus_run(path, "mine", NOTHING_SAID, {})
    assert joules(zeus_run(path, "mine", NOTHING_SAID, {}, ["train"])) == {("student", ""): 500.0}
    with pytest.raises(ImportFailed, match="no energy of any GPU in these windows"):
        zeus_run(path, "mine", NOTHING_SAID, {}, ["none"])
