"""Experiments: unknown keys and impossible values name their line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from joulemark_workloads import corpus
from joulemark_workloads.config import Data, load_experiment
from joulemark_workloads.errors import WorkloadError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_experiment_loads(path: Path) -> None:
    assert load_experiment(path).name == path.stem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nteacher: t\ncolour: blue\n", "e.yaml:3: colour: unknown key"),
        ("name: x\nteacher: t\nstudent:\n  layers: 0\n", "e.yaml:4: student.layers"),
        ("name: x\nteacher: t\ndistillation:\n  alpha: 1.5\n", "e.yaml:4: distillation.alpha"),
        ("name: x\n", "teacher: Field required"),
        ("name: [", "is not YAML"),
    ],
)
def test_a_wrong_key_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "e.yaml"
    path.write_text(text)
    with pytest.raises(WorkloadError) as error:
        load_experiment(path)
    assert words in str(error.value)


def test_more_blocks_than_the_text_has_are_refused_with_the_remedy(tmp_path: Path) -> None:
    class Words:
        eos_token_id = 0

        def __call__(self, texts: list[str]) -> dict[str, list[list[int]]]:
            return {"input_ids": [[1] * 10 for _ in texts]}

    with pytest.raises(WorkloadError, match=r"lower data\.train_blocks"):
        corpus.prepare(Words(), Data(train_blocks=100_000), tmp_path)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--config", "missing.yaml", "--pipeline", "kd"], "missing.yaml cannot be read"),
        (["--config", "configs/tiny.yaml", "--pipeline", "magic"], "use sft or kd"),
    ],
)
def test_the_command_says_it_in_one_message(argv: list[str], words: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "joulemark_workloads", "run", *argv, "--run", "r", "--work-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
