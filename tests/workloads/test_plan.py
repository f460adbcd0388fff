"""Plans: sizes are right, tokens are the file's, forecasts name where they come from, and no model is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny_model import tiny_model

from joulemark_workloads.config import Cell, cells_of, read_document
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.models.student import cut_student
from joulemark_workloads.phases.sequence import run_phases
from joulemark_workloads.plan.show import show
from joulemark_workloads.plan.sizes import student_parameters, teacher_parameters
from joulemark_workloads.plan.steps import Step, steps_of

ROOT = Path(__file__).parents[2]


def planned(cells: list[Cell], work: Path) -> str:
    console = Console(width=200, record=True)
    show(cells, work, "t", console)
    return console.export_text()


def step(cell: Cell, phase: str) -> Step:
    return next(step for step in steps_of(cell) if step.phase == phase)


def cell_of(config: str, pipeline: str, student: str, *settings: str) -> Cell:
    cells = cells_of(read_document(ROOT / "configs" / config, settings))
    return next(cell for cell in cells if cell.pipeline == pipeline and student in cell.run_name("t"))


def test_a_cut_student_is_counted_as_it_is_made(experiment_file: Callable[..., Path]) -> None:
    (cell,) = cells_of(read_document(experiment_file("sft")))
    model = tiny_model(3, vocabulary=300)
    assert teacher_parameters(cell.experiment) == model.num_parameters()
    assert student_parameters(cell.experiment) == cut_student(model, 2).num_parameters()


def test_a_model_of_unknown_size_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("name: x\nteacher: some/model\npipelines: [kd]\nstudent: {model: other/model}\n")
    (cell,) = cells_of(read_document(tmp_path / "e.yaml"))
    with pytest.raises(WorkloadError, match=r"some/model .* set teacher\.parameters_billion"):
        teacher_parameters(cell.experiment)
    (cell,) = cells_of(read_document(tmp_path / "e.yaml", ["student.parameters_billion=1.5"]))
    assert student_parameters(cell.experiment) == 1.5e9


@pytest.mark.parametrize(("student", "published_kwh"), [("0425-1B", 6.30), ("1124-13B", 33.15)], ids=["1B", "13B"])
def test_the_papers_cells_are_foretold_near_what_it_printed(student: str, published_kwh: float, tmp_path: Path) -> None:
    cell = cell_of("olmo2/cells.yaml", "kd", student)
    assert step(cell, "student").tokens == pytest.approx(30.0e6, rel=1e-3)
    assert step(cell, "teacher").tokens == pytest.approx(30.0e6, rel=1e-3)
    shown = planned([cell], tmp_path)
    found = {
        line.split()[0]: float(match[1])
        for line in shown.splitlines()
        if (match := re.search(r"([\d.]+) kWh$", line.strip()))
    }
    assert found["student"] == pytest.approx(published_kwh, rel=0.02)
    assert found["teacher"] == pytest.approx(11.0, rel=0.02)
    assert "arXiv 2605.13981, fitted" in shown
    assert "effective batch 4 blocks of 1024 tokens" in shown


def test_the_nine_cells_are_there() -> None:
    cells = cells_of(read_document(ROOT / "configs" / "olmo2" / "cells.yaml"))
    pairs = {(cell.pipeline, cell.experiment.student.model) for cell in cells}
    assert len(pairs) == 9
    assert {cell.experiment.training.effective_batch_blocks for cell in cells} == {4}


def test_a_teacher_that_cells_share_is_planned_once(tmp_path: Path) -> None:
    shown = planned(cells_of(read_document(ROOT / "configs" / "smoke.yaml")), tmp_path)
    assert shown.count("the teacher works in 1 of the 2 runs, which the others share") == 2
    assert "energy: no forecast in all" in shown


def test_runs_that_take_the_same_are_one_table_with_what_they_differ_in(tmp_path: Path) -> None:
    cells = cells_of(read_document(ROOT / "configs" / "olmo2" / "cells.yaml"))
    shown = planned(cells, tmp_path).splitlines()
    titles = [line for line in shown if "runs (source tulu-3-sft-mixture, OpenR1-Math-220k" in line]
    assert len(titles) == len([line for line in shown if line.startswith("student")]) == 9
    assert all("6 runs" in title and "seed 0, 1), each" in title for title in titles)
    assert titles[3].startswith("kd, student OLMo-2-0425-1B-SFT: ")
    # Three data sets, so three caches: the smallest student's runs make them, the others' share them.
    assert shown.count("the teacher works in 3 of the 6 runs, which the others share") == 2
    assert len([line for line in shown if line.startswith("teacher") and line.endswith("shared")]) == 4
    alone = [float(planned([cell], tmp_path).partition("about ")[2].split()[0]) for cell in cells[:6]]
    together = float(planned(cells[:6], tmp_path).partition("about ")[2].split()[0])
    assert together == pytest.approx(sum(alone), abs=0.05)


def test_what_was_measured_here_foretells_the_next(
    experiment_file: Callable[..., Path], tmp_path: Path, make_exporter: Callable[..., Any]
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    (cell,) = cells_of(read_document(experiment_file("kd")))
    record = run_phases(cell, "kd-1", tmp_path, url=exporter.url)
    measured = sum(line["joules"] for line in record.bill if line["stage"] == "student")
    (twice,) = cells_of(read_document(experiment_file("kd"), ["training.epochs=2"]))
    shown = planned([twice], tmp_path)
    assert "measured here" in shown
    line = next(line for line in shown.splitlines() if line.startswith("student"))
    assert float(line.split()[-2].replace(",", "")) == pytest.approx(2 * measured, abs=1.0)


def test_a_model_unlike_any_that_was_measured_is_not_foretold(
    experiment_file: Callable[..., Path], tmp_path: Path, make_exporter: Callable[..., Any]
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    (cell,) = cells_of(read_document(experiment_file("sft")))
    run_phases(cell, "sft-1", tmp_path, url=exporter.url, phases=("data", "student"))
    (large,) = cells_of(read_document(experiment_file("sft"), ["student.parameters_billion=7.0"]))
    assert "energy: no forecast in all" in planned([large], tmp_path)


def test_an_unknown_hardware_is_named(experiment_file: Callable[..., Path], tmp_path: Path) -> None:
    (cell,) = cells_of(read_document(experiment_file("sft"), ["hardware=abacus"]))
    with pytest.raises(WorkloadError, match="'abacus' is not in the table of rates: use h100"):
        planned([cell], tmp_path)


def test_planning_loads_no_model_library(tmp_path: Path) -> None:
    script = (
        "import sys; from joulemark_workloads.__main__ import app\n"
        "try: app(['configs/olmo2/cells.yaml', '--plan'])\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
