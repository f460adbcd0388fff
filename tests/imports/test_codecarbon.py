"""CodeCarbon's emissions.csv as runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from imports.foreign_files import NOTHING_SAID, emission, joules, written

from joulemark.accounting import JOULES_PER_KWH
from joulemark.imports import ImportFailed
from joulemark.imports.codecarbon import codecarbon_runs
from joulemark.imports.stage_map import StageMap


def test_codecarbon_gives_measured_gpu_energy_and_more_only_when_asked(tmp_path: Path) -> None:
    path = written(tmp_path / "emissions.csv", [emission()])
    (run,) = codecarbon_runs(path, NOTHING_SAID, {})
    assert (run.name, run.origin, run.importer) == ("kd-run-1-845a8f50", "measured", "codecarbon")
    assert run.declared["labels"] == {
        "file": "emissions.csv", "run_id": "845a8f50-28d2", "codecarbon_version": "3.0.7", "importer": "codecarbon",
    }  # fmt: skip
    assert joules(run) == {("end_to_end", ""): pytest.approx(0.012 * JOULES_PER_KWH)}
    (whole,) = codecarbon_runs(path, NOTHING_SAID, {}, with_estimates=True)
    assert whole.origin == "modelled"
    assert set(whole.stages[0].joules) == {"codecarbon-gpu", "codecarbon-cpu", "codecarbon-ram"}
    assert joules(whole)["end_to_end", ""] == pytest.approx(0.0135 * JOULES_PER_KWH)


def test_codecarbons_pue_is_taken_out_of_the_joules(tmp_path: Path) -> None:
    (run,) = codecarbon_runs(written(tmp_path / "e.csv", [emission(pue=1.5)]), NOTHING_SAID, {})
    assert joules(run)["end_to_end", ""] == pytest.approx(0.012 * JOULES_PER_KWH / 1.5)


def test_codecarbons_later_lines_hold_the_earlier_ones(tmp_path: Path) -> None:
    rows = [emission(duration=50.0, gpu_energy=0.005), emission(duration=100.0, gpu_energy=0.012)]
    rows.append(emission(run_id="other-run-id", gpu_energy=0.002))
    found = codecarbon_runs(written(tmp_path / "e.csv", rows), NOTHING_SAID, {})
    assert [joules(run)["end_to_end", ""] / JOULES_PER_KWH for run in found] == [
        pytest.approx(0.012),
        pytest.approx(0.002),
    ]
    with pytest.raises(ImportFailed, match="holds 2 runs, which cannot all be named 'x': leave --run out"):
        codecarbon_runs(tmp_path / "e.csv", NOTHING_SAID, {}, name="x")


def test_codecarbons_tasks_are_stages(tmp_path: Path) -> None:
    rows = [
        {"task_name": "retrieval", **emission(duration=10.0, gpu_energy=0.004)},
        {"task_name": "train", **emission(duration=20.0, gpu_energy=0.008)},
    ]
    path = written(tmp_path / "emissions_base_id.csv", rows)
    with pytest.raises(ImportFailed, match=r"'retrieval' is no stage .* --map 'retrieval=STAGE'"):
        codecarbon_runs(path, NOTHING_SAID, {})
    (run,) = codecarbon_runs(path, StageMap.parse(["retrieval=teacher/logit_caching"]), {})
    assert joules(run) == {
        ("teacher", "logit_caching"): pytest.approx(0.004 * JOULES_PER_KWH),
        ("student", ""): pytest.approx(0.008 * JOULES_PER_KWH),
    }


def test_codecarbon_without_a_gpu_says_what_to_do(tmp_path: Path) -> None:
    path = written(tmp_path / "e.csv", [emission(gpu_energy=0)])
    with pytest.raises(ImportFailed, match="no GPU energy; --with-estimates"):
        codecarbon_runs(path, NOTHING_SAID, {})
    assert joules(codecarbon_runs(path, NOTHING_SAID, {}, with_estimates=True)[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column run_id, project_name"),
        ("a,b\n1,2\n", "has no column run_id"),
        ("run_id,project_name,duration,cpu_energy,gpu_energy,ram_energy\n", "no line but its header"),
        (
            "run_id,project_name,duration,cpu_energy,gpu_energy,ram_energy\nr,p,1,0,1\n",
            "line 2: 5 cells under 6 columns",
        ),
        ("run_id,project_name,duration,cpu_energy,gpu_energy,ram_energy\nr,p,1,0,-1,0\n", "line 2: gpu_energy is '-1'"),
        ("run_id,project_name,duration,cpu_energy,gpu_energy,ram_energy\nr,p,1,0,nan,0\n", "gpu_energy is 'nan'"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_place(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text(text)
    with pytest.raises(ImportFailed, match=said):
        codecarbon_runs(path, NOTHING_SAID, {})
    with pytest.raises(ImportFailed, match=r"gone\.csv cannot be read"):
        codecarbon_runs(tmp_path / "gone.csv", NOTHING_SAID, {})
