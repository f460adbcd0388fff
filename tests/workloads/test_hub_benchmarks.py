"""gsm8k, mmlu and ifeval by name: lm-eval's own prompts, filters and metrics on rows of the hub's shape, given here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
from tiny_model import tiny_model
from transformers import AutoTokenizer

from joulemark_workloads.evaluation import tasks
from joulemark_workloads.evaluation.tasks import TaskRunner

SUMS: list[dict[str, Any]] = [
    {"question": f"Ann has {n} pens and buys {n}.", "answer": f"She has {n} + {n}.\n#### {2 * n}"} for n in range(8)
]
CHOICES: list[dict[str, Any]] = [
    {"question": f"Which is {n}?", "subject": "numbers", "choices": ["0", "1", "2", "3"], "answer": n % 4}
    for n in range(8)
]
ASKED: list[dict[str, Any]] = [
    {"key": n, "prompt": f"Write {n}.", "instruction_id_list": [wanted], "kwargs": [{}]}
    for n, wanted in enumerate(["punctuation:no_comma", "detectable_format:title"] * 2)
]
ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "openai/gsm8k": {"train": SUMS, "test": SUMS},
    "cais/mmlu": {"dev": CHOICES, "validation": CHOICES, "test": CHOICES},
    "google/IFEval": {"train": ASKED},
}


@pytest.fixture
def runner(teacher_folder: Path, monkeypatch: pytest.MonkeyPatch) -> TaskRunner:
    """A model that says 'She has #### 4' to everything and chooses B, and a hub that has a few rows of each."""

    def load(path: str, *_: Any, **__: Any) -> Any:
        return datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split, rows in ROWS[path].items()})

    def say(_: Any, requests: list[Any], **__: Any) -> list[str]:
        return ["She has #### 4" for _ in requests]

    def prefer(_: Any, requests: list[Any], **__: Any) -> list[tuple[float, bool]]:
        return [(-1.0 if request.args[1].strip() == "B" else -5.0, False) for request in requests]

    # ifeval asks the network for a tokenizer that these prompts do not need.
    monkeypatch.setattr("nltk.download", lambda *_: False)
    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(tasks._CountingLM, "generate_until", say)
    monkeypatch.setattr(tasks._CountingLM, "loglikelihood", prefer)
    return TaskRunner(tiny_model(vocabulary=300), AutoTokenizer.from_pretrained(teacher_folder), 4)


@pytest.mark.parametrize(
    ("name", "limit", "score", "items"),
    # Of eight sums one is 4, of four choices one is B, half of the prompts ask for what it does. mmlu has 57 parts.
    [("gsm8k", None, 1 / 8, 8), ("gsm8k", 4, 1 / 4, 4), ("mmlu", 4, 1 / 4, 57 * 4), ("ifeval", None, 1 / 2, 4)],
)
def test_a_benchmark_of_the_hub_is_scored_by_name(
    runner: TaskRunner, name: str, limit: int | None, score: float, items: int
) -> None:
    found = runner.run(name, limit)
    assert found.score == pytest.approx(score)
    assert found.n == items
    assert found.stderr is not None
    assert 0 < found.stderr < 0.5
