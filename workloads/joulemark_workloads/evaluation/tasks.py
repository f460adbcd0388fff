"""Benchmarks through lm-eval: the shipped ones everywhere, its own by name where a hub is in reach."""

from __future__ import annotations

import logging
import math
from functools import cache
from typing import Any, NamedTuple

import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from ..errors import WorkloadError
from .shipped import shipped_task, shipped_tasks

# Which of a benchmark's figures is its score: the first of these that it has. Names are lm-eval's.
_METRICS = ("exact_match,flexible-extract", "exact_match,strict-match", "prompt_level_strict_acc,none", "acc,none")


# Requests that are done too soon for lm-eval's own bars to help anyone.
_FEW = 1000


class Score(NamedTuple):
    """A score in [0, 1], its standard error (None where lm-eval gives none) and the number of items."""

    score: float
    stderr: float | None
    n: int


class TaskRunner:
    """Benchmarks on one model."""

    def __init__(self, model: Any, tokenizer: Any, batch_size: int) -> None:
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        self._model = _CountingLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)

    def run(self, name: str, limit: int | None) -> Score:
        """The score of a shipped task, or of one of lm-eval's; raises WorkloadError where it is not at hand."""
        shipped = name in shipped_tasks()
        manager = task_manager(include_defaults=not shipped)
        if not shipped:
            check_known(name, manager)
        try:
            answer = lm_eval.simple_evaluate(
                model=self._model,
                tasks=[shipped_task(name) if shipped else name],
                task_manager=manager,
                limit=limit,
                bootstrap_iters=100,
                log_samples=False,
            )
        except (OSError, ImportError, ValueError) as error:
            if shipped:
                raise
            raise WorkloadError(
                f"evaluation task {name!r} cannot be run ({str(error).strip().partition(chr(10))[0][:200]}): it needs "
                f"a hub in reach; without one use {_names()}"
            ) from error
        return _score(name, answer)

    def take_tokens(self) -> int:
        """Tokens that went through the model since the last call."""
        taken, self._model.tokens = self._model.tokens, 0
        return int(taken)


class _CountingLM(HFLM):  # type: ignore[misc]  # lm-eval ships no types
    """lm-eval's own model, counting the tokens of every request that it runs."""

    tokens = 0

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
        return super().loglikelihood(requests, disable_tqdm=disable_tqdm or len(requests) < _FEW)

    def _loglikelihood_tokens(self, requests: Any, *args: Any, **options: Any) -> Any:
        self.tokens += sum(len(context) + len(continuation) for _, context, continuation in requests)
        return super()._loglikelihood_tokens(requests, *args, **options)

    def _model_generate(self, context: Any, max_length: int, stop: list[str], **options: Any) -> Any:
        generated = super()._model_generate(context, max_length, stop, **options)
        self.tokens += generated.numel()
        return generated


@cache
def task_manager(include_defaults: bool) -> Any:
    """One for all tasks: to read the thousands that lm-eval knows takes seconds, and joules of the stage."""
    return TaskManager(include_defaults=include_defaults)


def check_known(name: str, manager: Any) -> None:
    """Raise WorkloadError where there is no such benchmark."""
    if name not in manager.all_tasks:
        raise WorkloadError(
            f"evaluation task {name!r} is not known: use the shipped {_names()}, or one of lm-eval's such as gsm8k, "
            "mmlu, ifeval"
        )


def _names() -> str:
    return ", ".join(shipped_tasks())


def _score(name: str, answer: dict[str, Any]) -> Score:
    figures = answer["results"].get(name) or answer.get("groups", {})[name]
    metric = next((metric for metric in _METRICS if metric in figures), None)
    if metric is None:
        raise WorkloadError(f"evaluation task {name!r} gives none of {', '.join(_METRICS)}: it cannot be scored here")
    score, stderr = float(figures[metric]), figures.get(metric.replace(",", "_stderr,"))
    known = isinstance(stderr, float) and not math.isnan(stderr)
    return Score(score, float(stderr) if known else None, _items(name, answer))


def _items(name: str, answer: dict[str, Any]) -> int:
    """How many items were scored; of a group, those of its parts."""
    samples = answer["n-samples"]
    parts = [name] if name in samples else answer.get("group_subtasks", {}).get(name, [])
    return sum(_items(part, answer) if part not in samples else int(samples[part]["effective"]) for part in parts)
