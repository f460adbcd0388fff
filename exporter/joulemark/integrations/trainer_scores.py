"""Which of a Trainer's metrics are benchmark scores."""

from __future__ import annotations

import math
from collections.abc import Mapping

# What every evaluation measures of itself; a loss is no score either, as less of it is better.
_NO_SCORES = (
    "loss", "runtime", "samples_per_second", "steps_per_second", "model_preparation_time", "jit_compilation_time",
    "perplexity", "ppl", "entropy", "num_tokens", "epoch",
)  # fmt: skip


def scores_of(metrics: Mapping[str, object], named: Mapping[str, str] | None) -> dict[str, float]:
    """Scores by benchmark: the metrics that are `named` (metric to benchmark), else all that may be scores.

    `eval_accuracy` is then the benchmark `accuracy`; of several sets, `eval_math_accuracy` is `math_accuracy`.
    """
    scores = {}
    for metric, value in metrics.items():
        benchmark = _benchmark(metric) if named is None else named.get(metric)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if benchmark and number and math.isfinite(float(value)):  # type: ignore[arg-type]  # a number, as asked
            scores[benchmark] = float(value)  # type: ignore[arg-type]
    return scores


def evaluation_of(metrics: Mapping[str, object]) -> str | None:
    """What an evaluation is called: `eval`, or `eval_NAME` for one of several sets; None when nothing says so."""
    names = [metric.removesuffix("_runtime") for metric in metrics if metric.endswith("_runtime")]
    return names[0] if names else None


def _benchmark(metric: str) -> str | None:
    name = metric.removeprefix("eval_")
    if name == metric or "_mem_" in metric or any(name == word or name.endswith(f"_{word}") for word in _NO_SCORES):
        return None
    return name
