"""A model's scores and what serving it costs, each benchmark under its own phase."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from rich.progress import track

from ..config.sections import Serving
from ..data import pack
from ..errors import WorkloadError
from ..evaluation.heldout import Heldout, heldout_loss
from ..evaluation.serving import start_serving
from ..evaluation.tasks import Score, TaskRunner
from ..models.load import load_tokenizer
from ..terminal import console
from .context import Context, Run

HELDOUT = "heldout"
# The score of it: exp(-loss), the geometric mean of the probabilities of the true tokens.
HELDOUT_SCORE = "heldout_token_probability"


class Measured(NamedTuple):
    """Held-out loss, and scores by benchmark with that of the held-out text among them."""

    heldout: Heldout
    scores: dict[str, Score]


def measure(context: Context, run: Run, model: Any) -> Measured:
    """Held-out text first, then every benchmark of the experiment, on this run's bill."""
    wanted = context.experiment.evaluation
    blocks = pack.read(context.folder / "data" / "heldout")
    with run.stage("eval", phase=HELDOUT) as stage:
        heldout = heldout_loss(model, track(blocks, description="held-out text", console=console))
        stage.add_tokens(evaluated=heldout.tokens)
    scores = {HELDOUT_SCORE: Score(heldout.score, _known(heldout.score_stderr), heldout.blocks)}
    runner = TaskRunner(model, load_tokenizer(context.teacher), wanted.batch_size)
    for task in wanted.tasks:
        console.print(f"[dim]benchmark {task}[/]")
        with run.stage("eval", phase=_phase(task)) as stage:
            scores[task] = runner.run(task, wanted.limit)
            stage.add_tokens(evaluated=runner.take_tokens())
    return Measured(heldout, scores)


def serve(context: Context, run: Run, model: Any, wanted: Serving) -> float | None:
    """Generate at a steady pace under phase `serving`; joules per token, None where no exporter told them."""
    needed, room = wanted.prompt_tokens + 1 + wanted.warmup_tokens + wanted.new_tokens, _context_tokens(model)
    if needed > room:
        raise WorkloadError(
            f"evaluation.serving takes {needed} tokens of context, the model has {room}: lower its prompt_tokens or "
            "new_tokens"
        )
    blocks = pack.read(context.folder / "data" / "heldout")
    with run.stage("eval", phase="serving_warmup"):
        served = start_serving(model, blocks, wanted, context.experiment.training.seed)
    with run.stage("eval", phase="serving") as stage:
        served.generate(wanted.new_tokens, lambda tokens: stage.add_tokens(generated=tokens))
    summary = stage.summary or {}
    tokens = wanted.sequences * wanted.new_tokens
    return float(summary["joules"]) / tokens if "joules" in summary else None


def _context_tokens(model: Any) -> int:
    return int(getattr(model.config, "max_position_embeddings", 2**31))


def _phase(task: str) -> str:
    """A benchmark's name as a phase may be called."""
    return re.sub(r"[^a-z0-9_.-]", "_", task.lower())[:63]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
