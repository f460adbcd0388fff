"""Experiments: unknown keys and impossible values name their line; lists make a grid."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from joulemark_workloads.config import Cell, cells_of, read_document
from joulemark_workloads.errors import WorkloadError

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def load(tmp_path: Path, text: str, *settings: str) -> list[Cell]:
    path = tmp_path / "e.yaml"
    path.write_text(text)
    return cells_of(read_document(path, settings))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_experiment_loads(path: Path) -> None:
    assert cells_of(read_document(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nteacher: t\ncolour: blue\n", "e.yaml:3: colour: unknown key, known here are name, "),
        (
            "name: x\nteacher: t\ntraining:\n  learning_rat: 1\n",
            "learning_rat: unknown key, did you mean learning_rate?",
        ),
        ("name: x\nteacher: {model: t, revison: a}\n", "teacher.revison: unknown key, did you mean revision?"),
        ("name: x\nteacher: t\nstudent:\n  layers: 0\n", "e.yaml:4: student.layers"),
        ("name: x\nteacher: t\ndistillation:\n  alpha: 1.5\n", "e.yaml:4: distillation.alpha"),
        ("name: x\nteacher: t\ndistillation:\n  alpha: [0.5,\n    1.5]\n", "e.yaml:5: distillation.alpha"),
        ("name: x\nteacher: t\nstudent:\n- layers: 2\n- layers: no\n", "e.yaml:5: student.layers"),
        ("name: x\nteacher: t\ntraining:\n  warmup_steps: 2.5\n", "e.yaml:4: training.warmup_steps"),
        ("name: x\nteacher: t\nname: y\n", "e.yaml:3: name: stands twice, first at"),
        ("name: x\nteacher: t\nstudent:\n  layers: 2\n  model: m\n", "e.yaml:3: student: give either layers"),
        (
            "name: x\nteacher: t\ntraining:\n  effective_batch_blocks: 3\n",
            "e.yaml:3: training: effective_batch_blocks (3)",
        ),
        ("name: x\nteacher: t\ntraining: {early_stopping: {}}\n", "e.yaml:3: training: early_stopping needs"),
        ("name: x\nteacher: t\npipelines: [magic]\n", "e.yaml:3: pipelines.0"),
        ("name: x\nteacher: t\ntraining:\n  seed: []\n", "e.yaml:4: training.seed"),
        ("name: x\n", "e.yaml:1: teacher: Field required"),
        ("name: [", "is not YAML"),
        ("- a\n", "is not a mapping"),
    ],
)
def test_a_wrong_key_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(WorkloadError) as error:
        load(tmp_path, text)
    assert words in str(error.value)


def test_a_list_of_wrong_elements_is_not_called_empty_as_well(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError) as error:
        load(tmp_path, "name: x\nteacher: t\npipelines: [magic]\n")
    assert len(str(error.value).splitlines()) == 1


def test_every_error_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError) as error:
        load(tmp_path, "name: x\nteacher: t\ncolour: blue\ndata:\n  train_blocks: 0\n")
    assert "e.yaml:3: colour" in str(error.value)
    assert "e.yaml:5: data.train_blocks" in str(error.value)


def test_a_file_may_extend_another_and_errors_name_the_file_they_are_in(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("name: base\nteacher: t\ntraining:\n  learning_rate: 1e-4\n  epochs: 3\n")
    (cell, _) = load(tmp_path, "extends: base.yaml\ntraining: {epochs: 2}\n")
    training = cell.experiment.training
    assert (cell.experiment.name, training.learning_rate, training.epochs) == ("base", 1e-4, 2)
    (tmp_path / "base.yaml").write_text("name: base\nteacher: t\ntraining:\n  learning_rate: 7\n")
    with pytest.raises(WorkloadError, match=r"base\.yaml:4: training\.learning_rate"):
        load(tmp_path, "extends: base.yaml\n")
    with pytest.raises(WorkloadError, match="extends itself"):
        load(tmp_path, "extends: e.yaml\n")


def test_settings_go_on_top_and_are_named_when_wrong(tmp_path: Path) -> None:
    text = "name: x\nteacher: t\ntraining: {seed: 3}\n"
    assert load(tmp_path, text, "training.seed=4", "data.block_tokens=64")[0].experiment.training.seed == 4
    with pytest.raises(WorkloadError, match=r"--set training\.seed: training\.seed"):
        load(tmp_path, text, "training.seed=-1")
    with pytest.raises(WorkloadError, match="is not key=value"):
        load(tmp_path, text, "training.seed")


GRID = """
name: g
teacher: t
student: [{layers: 2}, {layers: 4}]
pipelines: [sft, kd, synthetic_sft]
distillation: {alpha: [0.3, 0.5, 0.8], temperature: [1.0, 2.0]}
generation: {prompt_tokens: 8, max_new_tokens: [16, 32]}
training: {seed: [0, 1]}
"""


def test_lists_make_a_grid_without_runs_that_differ_in_nothing_they_read(tmp_path: Path) -> None:
    cells = load(tmp_path, GRID)
    counts = {name: sum(cell.pipeline == name for cell in cells) for name in ("sft", "kd", "synthetic_sft")}
    assert counts == {"sft": 2 * 2, "kd": 2 * 3 * 2 * 2, "synthetic_sft": 2 * 2 * 2}
    names = [cell.run_name("g") for cell in cells]
    assert len(set(names)) == len(names)
    assert "kd-g-layers4-alpha0.8-temperature2.0-seed1" in names


def test_the_baseline_is_the_sft_run_of_the_same_student_and_seed(tmp_path: Path) -> None:
    cells = load(tmp_path, GRID)
    kd = next(cell for cell in cells if cell.run_name("g") == "kd-g-layers4-alpha0.8-temperature2.0-seed1")
    base = kd.baseline(cells)
    assert base
    assert base.run_name("g") == "sft-g-layers4-seed1"
    assert base.baseline(cells) is None
    assert kd.baseline([kd]) is None


def test_repeats_differ_in_seed_alone(tmp_path: Path) -> None:
    cells = load(tmp_path, GRID)
    assert len({cell.without_seed() for cell in cells}) == len(cells) / 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["missing.yaml"], "missing.yaml cannot be read"),
        (["configs/tiny.yaml", "--pipeline", "magic"], "it has kd, sft, synthetic_sft"),
        (["configs/tiny.yaml", "--phase", "magic"], "use prerun, data, teacher, student, eval"),
        (["configs/tiny.yaml", "--run", "r"], "the file describes 3"),
    ],
)
def test_the_command_says_it_in_one_message(argv: list[str], words: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "joulemark_workloads", *argv, "--work-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
