"""Held-out loss and the shipped tasks, through lm-eval; tokens are those that went through the model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import lm_eval
import torch
import yaml
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from rich.progress import track

from .errors import WorkloadError
from .losses import cross_entropy

TASKS = Path(__file__).parent / "tasks"
HELDOUT = "heldout"


class Score(NamedTuple):
    """A score in [0, 1] over n items or tokens."""

    score: float
    n: int


class Evaluated(NamedTuple):
    """Scores by benchmark, held-out loss in nats per token, and the tokens that went through the model."""

    scores: dict[str, Score]
    heldout_loss: float
    tokens: int


def evaluate(model: Any, tokenizer: Any, heldout: Any, tasks: tuple[str, ...], limit: int | None) -> Evaluated:
    """Evaluate a model; `heldout` scores exp(-loss), the geometric mean of the true tokens' probabilities."""
    loss, tokens = heldout_loss(model, heldout)
    scores = {HELDOUT: Score(math.exp(-loss), tokens)}
    counted = 0
    if tasks:
        task_scores, counted = _run_tasks(model, tokenizer, tasks, limit)
        scores.update(task_scores)
    return Evaluated(scores, loss, tokens + counted)


def heldout_loss(model: Any, heldout: Any) -> tuple[float, int]:
    """Mean next-token loss in nats over the held-out blocks, and their tokens."""
    total, tokens = 0.0, 0
    with torch.inference_mode():
        for row in track(heldout, description="held-out loss"):
            ids = row["input_ids"][None].long().to(model.device)
            total += float(cross_entropy(model(input_ids=ids).logits, ids))
            tokens += ids.numel()
    return total / len(heldout), tokens


class _CountingLM(HFLM):  # type: ignore[misc]  # lm-eval ships no types
    """lm-eval's own model, counting the tokens of every request that it runs."""

    tokens = 0

    def _loglikelihood_tokens(self, requests: Any, *args: Any, **options: Any) -> Any:
        self.tokens += sum(len(context) + len(continuation) for _, context, continuation in requests)
        return super()._loglikelihood_tokens(requests, *args, **options)


def _run_tasks(model: Any, tokenizer: Any, tasks: tuple[str, ...], limit: int | None) -> tuple[dict[str, Score], int]:
    wrapped = _CountingLM(pretrained=model, tokenizer=tokenizer, batch_size=16)
    answer = lm_eval.simple_evaluate(
        model=wrapped,
        tasks=[_task(name) for name in tasks],
        task_manager=TaskManager(include_defaults=False),
        limit=limit,
        bootstrap_iters=0,
        log_samples=False,
    )
    scores = {
        name: Score(float(answer["results"][name]["acc,none"]), int(answer["n-samples"][name]["effective"]))
        for name in tasks
    }
    return scores, wrapped.tokens


def _task(name: str) -> dict[str, Any]:
    """A shipped task's own YAML, with its data file's place on this machine filled in."""
    path = TASKS / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(task.stem for task in TASKS.glob("*.yaml")))
        raise WorkloadError(f"evaluation task {name!r} is not shipped: use {known}")
    task: dict[str, Any] = yaml.safe_load(path.read_text())
    task["dataset_kwargs"] = {"data_files": {"test": str(TASKS / f"{name}.jsonl")}}
    return task
