"""Scores: shipped tasks are what they say, tokens are counted, what is not at hand is named."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from tiny_model import tiny_model
from transformers import AutoTokenizer

from joulemark_workloads.config.sections import Serving
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.evaluation import tasks
from joulemark_workloads.evaluation.serving import start_serving
from joulemark_workloads.evaluation.shipped import TASKS, shipped_tasks, task_identity
from joulemark_workloads.evaluation.tasks import TaskRunner


@pytest.fixture(scope="module")
def runner(teacher_folder: Path) -> TaskRunner:
    return TaskRunner(tiny_model(vocabulary=300), AutoTokenizer.from_pretrained(teacher_folder), 4)


@pytest.mark.parametrize("name", shipped_tasks())
def test_a_shipped_task_has_a_hundred_items_that_guessing_a_place_does_not_solve(name: str) -> None:
    items = [json.loads(line) for line in (TASKS / f"{name}.jsonl").read_text().splitlines()]
    assert len(items) >= 100
    assert len({item["question"] for item in items}) == len(items)
    for item in items:
        assert len(set(item["choices"])) == len(item["choices"]) >= 2
        assert 0 <= item["answer"] < len(item["choices"])
    places = Counter(item["answer"] for item in items)
    assert max(places.values()) < 0.4 * len(items)


@pytest.mark.parametrize("name", shipped_tasks())
def test_who_does_not_read_the_question_gets_a_quarter(name: str) -> None:
    items = [json.loads(line) for line in (TASKS / f"{name}.jsonl").read_text().splitlines()]
    for start in range(0, len(items), 4):
        group = items[start : start + 4]
        answers = {item["choices"][item["answer"]] for item in group}
        assert len(answers) == 4
        assert all(set(item["choices"]) == answers for item in group)


def test_a_task_with_other_items_is_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for suffix in (".yaml", ".jsonl"):
        (tmp_path / f"facts{suffix}").write_bytes((TASKS / f"facts{suffix}").read_bytes())
    before = task_identity("facts")
    monkeypatch.setattr("joulemark_workloads.evaluation.shipped.TASKS", tmp_path)
    assert task_identity("facts") == before
    with (tmp_path / "facts.jsonl").open("a") as file:
        file.write("{}\n")
    assert task_identity("facts") != before
    assert task_identity("gsm8k") == "gsm8k"


def test_a_score_has_its_standard_error_and_its_items(runner: TaskRunner) -> None:
    score = runner.run("facts", 20)
    assert score.n == 20
    assert score.score * 20 == pytest.approx(round(score.score * 20))
    # The sample standard error of a proportion.
    assert score.stderr == pytest.approx(math.sqrt(score.score * (1 - score.score) / 19))
    assert runner.take_tokens() > 20 * 4
    assert runner.take_tokens() == 0


def test_a_task_that_nobody_knows_is_named(runner: TaskRunner) -> None:
    with pytest.raises(
        WorkloadError, match=r"'no-such-task' is not known: use the shipped arithmetic, facts, instructions"
    ):
        runner.run("no-such-task", 1)


@pytest.mark.parametrize("name", ["gsm8k", "mmlu", "ifeval"])
def test_the_papers_benchmarks_are_known_by_name_and_need_a_hub(
    runner: TaskRunner, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**asked: Any) -> None:
        assert asked["tasks"] == [name]
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr("lm_eval.simple_evaluate", away)
    with pytest.raises(
        WorkloadError, match=rf"{name!r} cannot be run \(Couldn't reach the hub\): it needs a hub in reach"
    ):
        runner.run(name, 1)


GSM8K = {
    "results": {
        "gsm8k": {
            "exact_match,strict-match": 0.1,
            "exact_match,flexible-extract": 0.4,
            "exact_match_stderr,flexible-extract": 0.01,
        }
    },
    "n-samples": {"gsm8k": {"original": 1319, "effective": 1319}},
}
IFEVAL = {
    "results": {"ifeval": {"prompt_level_strict_acc,none": 0.5, "prompt_level_strict_acc_stderr,none": 0.02}},
    "n-samples": {"ifeval": {"original": 541, "effective": 541}},
}
MMLU = {
    "results": {"mmlu": {"acc,none": 0.6, "acc_stderr,none": "N/A"}},
    "group_subtasks": {"mmlu": ["stem", "other"], "stem": ["physics", "chemistry"]},
    "n-samples": {
        name: {"original": 9, "effective": n} for name, n in (("physics", 3), ("chemistry", 4), ("other", 5))
    },
}


@pytest.mark.parametrize(
    ("name", "answer", "wanted"),
    [("gsm8k", GSM8K, (0.4, 0.01, 1319)), ("ifeval", IFEVAL, (0.5, 0.02, 541)), ("mmlu", MMLU, (0.6, None, 12))],
)
def test_each_benchmark_is_read_by_its_own_figure(name: str, answer: Any, wanted: Any) -> None:
    assert tuple(tasks._score(name, answer)) == wanted


def test_serving_keeps_the_batch_full_and_counts_every_token() -> None:
    ids = torch.randint(0, 97, (3, 16), generator=torch.Generator().manual_seed(0)).tolist()
    blocks = datasets.Dataset.from_dict({"input_ids": ids}).with_format("torch")
    wanted = Serving(sequences=5, prompt_tokens=8, warmup_tokens=2, new_tokens=6)
    counted: list[int] = []
    start_serving(tiny_model(), blocks, wanted, 0).generate(6, counted.append)
    assert counted == [5] * 6
